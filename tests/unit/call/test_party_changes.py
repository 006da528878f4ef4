"""Who is at the other end may change without a word: a new SSRC that nothing explains, a transfer, a takeover."""

from datetime import UTC, datetime

import pytest

from gateway.call.core import EXPLAINED_S, Call
from gateway.call.model import DialogTag, NewCall, SdpMessage, SipCallId
from gateway.call.negotiation import Negotiation
from gateway.media.plane import Address, FlowId, MediaSeen
from policy.decision import Side
from tests.peers.leg_bench import AGENT, CALL, CALLER, LegBench

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"


@pytest.fixture
def call():
    leg = LegBench().leg
    ours = {Side.CALLER: "198.51.100.1", Side.AGENT: "198.51.100.2"}
    media = Negotiation(CALL, hosts=ours)
    media.ports = {CALLER: Address("198.51.100.1", 30000), AGENT: Address("198.51.100.2", 30002)}
    new = NewCall(SipCallId("c"), "uac", Side.CALLER, None, None, None)
    made = Call(CALL, new, media, 0, datetime(2026, 3, 2, tzinfo=UTC), lambda agent, said: leg)
    made.describe(SdpMessage(Side.CALLER, None, "offer", SDP), 1000.0)
    made.describe(SdpMessage(Side.AGENT, DialogTag("one"), "answer", SDP), 1000.0)
    made.answered(DialogTag("one"), "agent")
    return made


def seen(flow: FlowId, at: float, earlier: int | None = 7) -> MediaSeen:
    return MediaSeen(flow, at, 8, 8, earlier)


@pytest.mark.parametrize("flow", [CALLER, AGENT])
def test_a_new_ssrc_that_nothing_explains_is_another_party(call, flow):
    call.media_seen(seen(flow, 1000.1, earlier=None))
    assert not call.leg.party_changed, "the first one is nobody else's"
    call.media_seen(seen(flow, 1000.0 + EXPLAINED_S + 0.1))
    assert call.leg.party_changed


@pytest.mark.parametrize("before_s", [-0.5, 0.5])
def test_a_new_ssrc_with_a_new_description_of_that_party_is_the_same_one(call, before_s):
    call.describe(SdpMessage(Side.AGENT, DialogTag("one"), "offer", SDP), 2000.0)
    call.media_seen(seen(AGENT, 2000.0 + before_s))
    assert not call.leg.party_changed
    call.media_seen(seen(CALLER, 2000.0 + before_s))
    assert call.leg.party_changed, "the other party's description explains nothing"


def test_a_transfer_is_another_party(call):
    call.referred()
    assert call.leg.party_changed
