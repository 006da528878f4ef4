"""Offer and answer of one call: whose SDP goes where, what holds when, and which line could be recorded."""

import pytest

from gateway.call.effects import PlaneOrder
from gateway.call.errors import NegotiationError
from gateway.call.model import DialogTag, SdpMessage
from gateway.call.negotiation import MOST_BRANCHES, Negotiation
from gateway.media.plane import Address, CallRef, FlowId, Forward, is_relay
from gateway.sdp.errors import SdpError
from policy.decision import Side

CALL = CallRef("00112233aabbccdd")
OURS = {Side.CALLER: "198.51.100.1", Side.AGENT: "198.51.100.2"}
ONE, TWO = DialogTag("one"), DialogTag("two")


def sdp(host: str, port: int = 4000, direction: str = "", codecs: str = "8 0 101", more: str = "") -> bytes:
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", f"m=audio {port} RTP/AVP {codecs}"]
    if "101" in codecs:
        lines.append("a=rtpmap:101 telephone-event/8000")
    lines += [f"a={direction}"] if direction else []
    lines += more.split("|") if more else []
    return "".join(f"{line}\r\n" for line in lines).encode()


CALLER, AGENT, OTHER = sdp("192.0.2.1"), sdp("192.0.2.2"), sdp("192.0.2.3")
SECOND = "m=audio 4100 RTP/AVP 8"


class Told:
    """A negotiation with ports for whatever needs them; `forwards` is what the media plane was told last."""

    def __init__(self) -> None:
        self.media = Negotiation(CALL, hosts=OURS)
        self.forwards: dict[FlowId, Forward] = {}
        self.orders = 0
        self.ports_left = True
        """For more than audio."""

    def say(self, party: Side, body: bytes, role: str = "offer", dialog: DialogTag | None = ONE) -> str:
        message = SdpMessage(party, dialog, role, body)  # type: ignore[arg-type]  # role is a str
        for spec in self.media.missing(message):
            if self.ports_left or not is_relay(spec.flow):
                self.media.ports[spec.flow] = Address(spec.local_host, 30000 + 2 * len(self.media.ports))
        sent, effects = self.media.describe(message)
        self.take(effects)
        return sent.decode()

    def fix(self, dialog: DialogTag = ONE) -> None:
        self.take(self.media.fix(dialog))

    def take(self, effects) -> None:
        for effect in effects:
            assert isinstance(effect, PlaneOrder)
            if isinstance(effect.order, Forward):
                self.forwards[effect.order.flow] = effect.order
                self.orders += 1

    def goes_to(self, party: Side, mline: int = 0) -> str | None:
        """Where the media plane believes that this party receives."""
        remote = self.forwards[FlowId(f"{CALL}/{party.value}/{mline}")].remote
        return remote.host if remote is not None else None

    def is_flowing(self) -> bool | None:
        line = self.media.line()
        return None if line is None else line.flowing


@pytest.fixture
def told():
    return Told()


def establish(told: Told, caller: bytes = CALLER, agent: bytes = AGENT) -> None:
    told.say(Side.CALLER, caller, dialog=None)
    told.say(Side.AGENT, agent, "answer")
    told.fix()


def test_each_party_gets_our_port_of_its_own_side(told):
    offer = told.say(Side.CALLER, CALLER, dialog=None)
    assert "c=IN IP4 198.51.100.2\r\n" in offer  # the agent is told where to send: our agent side
    assert told.forwards == {}
    answer = told.say(Side.AGENT, AGENT, "answer")
    assert "c=IN IP4 198.51.100.1\r\n" in answer
    assert told.media.line() is None  # early: no 2xx fixed the branch
    told.fix()
    line = told.media.line()
    assert line is not None
    assert line.flowing
    assert (told.goes_to(Side.CALLER), told.goes_to(Side.AGENT)) == ("192.0.2.1", "192.0.2.2")
    assert (line.codec, line.payload_type, line.codecs) == ("PCMA", 8, {8: "PCMA", 0: "PCMU"})
    assert (line.caller_events, line.ptime_ms) == ({101: 8000}, 20)
    assert line.caller_flow == f"{CALL}/caller/0"


def test_the_agent_may_be_the_one_who_calls(told):
    told.say(Side.AGENT, AGENT, dialog=None)
    told.say(Side.CALLER, CALLER, "answer")
    told.fix()
    line = told.media.line()
    assert line is not None
    assert line.caller_flow == f"{CALL}/caller/0"
    assert told.goes_to(Side.CALLER) == "192.0.2.1"


def test_a_delayed_offer(told):
    told.say(Side.AGENT, AGENT, "offer")  # in the 2xx
    told.fix()
    assert told.media.line() is None
    told.say(Side.CALLER, CALLER, "answer")  # in the ACK
    assert told.is_flowing() is True
    assert told.goes_to(Side.AGENT) == "192.0.2.2"


# --- forks ------------------------------------------------------------------------------------------------------------


def test_the_first_2xx_fixes_the_branch(told):
    told.say(Side.CALLER, CALLER, dialog=None)
    told.say(Side.AGENT, AGENT, "answer", ONE)
    told.say(Side.AGENT, OTHER, "answer", TWO)
    assert told.goes_to(Side.AGENT) == "192.0.2.3"  # early media of whoever spoke last
    told.fix(ONE)
    assert told.goes_to(Side.AGENT) == "192.0.2.2"
    before = told.orders
    told.fix(TWO)
    told.say(Side.AGENT, OTHER, "answer", TWO)
    assert told.orders == before
    assert told.is_flowing() is True


def test_all_branches_are_offered_the_same_port(told):
    told.say(Side.CALLER, CALLER, dialog=None)
    ports = dict(told.media.ports)
    told.say(Side.AGENT, AGENT, "answer", ONE)
    told.say(Side.AGENT, OTHER, "answer", TWO)
    assert told.media.ports == ports


# --- offers within the dialog -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("party", list(Side))
@pytest.mark.parametrize("direction", ["sendonly", "inactive", "recvonly"])
def test_hold_and_its_end(told, party, direction):
    establish(told)
    other = Side.AGENT if party is Side.CALLER else Side.CALLER
    mirror = {"sendonly": "recvonly", "recvonly": "sendonly"}.get(direction, direction)
    told.say(party, sdp("192.0.2.9", direction=direction))
    assert told.is_flowing() is True  # it holds with its answer
    told.say(other, sdp("192.0.2.8", direction=mirror), "answer")
    assert told.is_flowing() is False
    told.say(party, sdp("192.0.2.9"))
    told.say(other, sdp("192.0.2.8"), "answer")
    assert told.is_flowing() is True


def test_the_old_way_to_hold_sends_to_nobody(told):
    establish(told)
    told.say(Side.CALLER, sdp("0.0.0.0"))
    told.say(Side.AGENT, AGENT, "answer")
    assert told.media.line() is None
    assert told.goes_to(Side.CALLER) is None


def test_an_offer_that_is_refused_changes_nothing(told):
    establish(told)
    before = told.orders
    told.say(Side.CALLER, OTHER)
    told.media.rolled_back(ONE)
    assert told.orders == before
    assert told.goes_to(Side.CALLER) == "192.0.2.1"
    told.say(Side.AGENT, sdp("192.0.2.7"))  # the other end's own offer comes next
    told.say(Side.CALLER, CALLER, "answer")
    assert (told.goes_to(Side.AGENT), told.goes_to(Side.CALLER)) == ("192.0.2.7", "192.0.2.1")
    told.media.rolled_back(TWO)


def test_a_repeated_answer_is_answered_alike(told):
    establish(told)
    first = told.say(Side.AGENT, AGENT, "answer")
    assert first == told.say(Side.AGENT, AGENT, "answer")
    assert told.is_flowing() is True


def test_an_answer_to_nothing(told):
    with pytest.raises(NegotiationError):
        told.say(Side.AGENT, AGENT, "answer")
    with pytest.raises(NegotiationError):
        told.say(Side.AGENT, AGENT, "answer", None)


def test_a_party_does_not_answer_itself(told):
    told.say(Side.CALLER, CALLER, dialog=None)
    with pytest.raises(NegotiationError):
        told.say(Side.CALLER, CALLER, "answer")


def test_without_ports_nothing_is_described(told):
    with pytest.raises(NegotiationError):
        told.media.describe(SdpMessage(Side.CALLER, None, "offer", CALLER))
    with pytest.raises(SdpError):
        told.say(Side.CALLER, b"hello")


# --- several m-lines and what can't be recorded -----------------------------------------------------------------------


def test_two_audio_lines_are_relayed_and_not_recorded(told):
    establish(told, sdp("192.0.2.1", more=SECOND), sdp("192.0.2.2", more=SECOND))
    assert len(told.media.ports) == 4
    assert told.goes_to(Side.CALLER, 1) == "192.0.2.1"
    assert told.media.line() is None


def test_a_second_line_that_was_refused_counts_for_nothing(told):
    refused = SECOND.replace("4100", "0")
    establish(told, sdp("192.0.2.1", more=SECOND), sdp("192.0.2.2", more=refused))
    assert told.is_flowing() is True


def test_a_line_added_later_ends_what_could_be_recorded(told):
    establish(told)
    told.say(Side.CALLER, sdp("192.0.2.1", more=SECOND))
    told.say(Side.AGENT, sdp("192.0.2.2", more=SECOND), "answer")
    assert told.media.line() is None


# --- codecs -----------------------------------------------------------------------------------------------------------

OPUS = "a=rtpmap:111 opus/48000/2|a=fmtp:111 useinbandfec=1"
EVENTS_48 = f"{OPUS}|a=rtpmap:110 telephone-event/48000"


@pytest.mark.parametrize(
    ("caller", "agent", "more", "codec", "codecs", "plain"),
    [
        ("9 101", "9 101", "", ("G722", 9), {9: "G722"}, False),
        ("9 8 101", "9 8 101", "", ("G722", 9), {9: "G722", 8: "PCMA"}, False),
        ("9 8 101", "8 101", "", ("PCMA", 8), {8: "PCMA"}, True),
        ("8 101", "9 8 101", "", ("PCMA", 8), {8: "PCMA"}, True),
        ("111 9 8 101", "111 8 101", OPUS, ("OPUS", 111), {111: "OPUS", 8: "PCMA"}, False),
        ("18 8 101", "18 8 101", "", ("PCMA", 8), {18: "G729", 8: "PCMA"}, False),
    ],
)
def test_what_they_speak_is_kept_and_sounds_are_played_in_it(told, caller, agent, more, codec, codecs, plain):
    told.media.plays = ("PCMA", "PCMU", "G722", "OPUS")
    establish(told, sdp("192.0.2.1", codecs=caller, more=more), sdp("192.0.2.2", codecs=agent, more=more))
    line = told.media.line()
    assert line is not None
    assert ((line.codec, line.payload_type), line.codecs, line.plain) == (codec, codecs, plain)
    assert line.caller_events == {101: 8000}


@pytest.mark.parametrize(
    ("caller", "agent", "more"),
    [
        ("8", "0", ""),  # nothing in common
        ("3 8 101", "3 8 101", ""),  # GSM would be spoken
        ("18 101", "18 101", ""),  # nobody could be asked in G.729
        ("9", "9", ""),  # keys aren't found in the sound of G.722
        ("111 101", "111 101", "a=rtpmap:111 opus/8000"),  # no such Opus
        ("111 101", "111 101", "a=rtpmap:111 speex/16000"),
    ],
)
def test_what_cannot_be_kept_or_asked_in_is_relayed_only(told, caller, agent, more):
    told.media.plays = ("PCMA", "PCMU", "G722", "OPUS")
    establish(told, sdp("192.0.2.1", codecs=caller, more=more), sdp("192.0.2.2", codecs=agent, more=more))
    assert told.media.line() is None
    assert told.goes_to(Side.AGENT) == "192.0.2.2"


def test_without_an_encoder_for_opus_nobody_is_asked_in_it(told):
    told.media.plays = ("PCMA", "PCMU", "G722")
    opus = sdp("192.0.2.1", codecs="111 101", more=OPUS)
    establish(told, opus, opus)
    assert told.media.line() is None


def test_keys_are_heard_under_every_number_that_they_may_come_by_each_with_its_clock(told):
    told.media.plays = ("OPUS",)
    both = sdp("192.0.2.1", codecs="111 101 110", more=EVENTS_48)
    establish(told, both, both)
    line = told.media.line()
    assert line is not None
    assert line.caller_events == line.agent_events == {101: 8000, 110: 48_000}
    told.say(Side.CALLER, sdp("192.0.2.1", codecs="111 101 96", more=EVENTS_48.replace("110", "96")))
    # 0 Hz is no clock; each hears by its own numbers, and a telephone may well send by the other's
    odd = sdp("192.0.2.2", codecs="111 101 97", more=f"{OPUS}|a=rtpmap:97 telephone-event/0")
    told.say(Side.AGENT, odd, "answer")
    line = told.media.line()
    assert line is not None
    assert line.caller_events == line.agent_events == {101: 8000, 96: 48_000, 97: 8000}


def test_a_number_that_means_something_else_to_each_is_not_kept(told):
    told.media.plays = ("PCMA", "OPUS")
    establish(
        told,
        sdp("192.0.2.1", codecs="8 111 101", more="a=rtpmap:111 opus/48000/2"),
        sdp("192.0.2.2", codecs="8 111 101", more="a=rtpmap:111 G729/8000"),
    )
    line = told.media.line()
    assert line is not None
    assert line.codecs == {8: "PCMA"}


def test_without_telephone_event_on_both_sides_keys_are_heard_in_band(told):
    establish(told, sdp("192.0.2.1", codecs="8"), sdp("192.0.2.2"))
    line = told.media.line()
    assert line is not None
    assert line.caller_events == {}


def test_encrypted_media_is_relayed_and_said_to_be(told):
    secure = sdp("192.0.2.1", more="a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x").replace(b"RTP/AVP", b"RTP/SAVP")
    establish(told, secure, secure)
    assert told.media.encrypted
    assert told.media.line() is None
    assert told.goes_to(Side.CALLER) == "192.0.2.1"


def test_plain_media_isnt_said_to_be_encrypted(told):
    assert not told.media.encrypted
    establish(told)
    assert not told.media.encrypted


def test_rtcp_is_muxed_only_where_both_say_so(told):
    establish(told, sdp("192.0.2.1", more="a=rtcp-mux"), sdp("192.0.2.2", more="a=rtcp:4077"))
    caller, agent = (told.forwards[FlowId(f"{CALL}/{party.value}/0")] for party in (Side.CALLER, Side.AGENT))
    assert not caller.rtcp_mux
    assert not agent.rtcp_mux
    assert agent.remote_rtcp == Address("192.0.2.2", 4077)
    told.say(Side.CALLER, sdp("192.0.2.1", more="a=rtcp-mux"))
    told.say(Side.AGENT, sdp("192.0.2.2", more="a=rtcp-mux"), "answer")
    assert told.forwards[FlowId(f"{CALL}/agent/0")].rtcp_mux


@pytest.mark.parametrize("host", ["phone.example", "192.000.002.001"])
def test_whoever_receives_at_a_name_is_passed_by(host):
    """The media plane sends to addresses alone: with our ports in its place that party would hear nothing."""
    told = Told()
    with pytest.raises(NegotiationError, match="at a name"):
        told.say(Side.CALLER, sdp(host), dialog=None)
    assert not told.media.ports, "nothing is reserved for it"


def test_rtcp_at_a_name_or_above_the_last_port_costs_no_audio():
    told = Told()
    told.say(Side.CALLER, sdp("192.0.2.1", more="a=rtcp:4009 IN IP4 phone.example"), dialog=None)
    told.say(Side.AGENT, sdp("192.0.2.2", port=65_535), "answer")
    caller, agent = (told.forwards[FlowId(f"{CALL}/{side}/0")] for side in ("caller", "agent"))
    assert caller.remote_rtcp == Address("192.0.2.1", 4009)
    assert agent.remote == Address("192.0.2.2", 65_535) and agent.remote_rtcp is None


def test_a_peer_that_answers_under_ever_new_tags_fills_no_memory():
    told = Told()
    told.say(Side.CALLER, CALLER, dialog=None)
    for number in range(3 * MOST_BRANCHES):
        told.say(Side.AGENT, OTHER, "answer", DialogTag(f"t{number}"))
    assert len(told.media.dialogs) == MOST_BRANCHES
    told.say(Side.AGENT, AGENT, "answer", DialogTag("t0"))
    told.fix(DialogTag("t0"))
    assert told.goes_to(Side.AGENT) == "192.0.2.2", "one that was forgotten may still be the one that answers"


@pytest.mark.parametrize(("wished", "played"), [(10, 10), (30, 30), (60, 60), (1, 20), (1000, 20), (9999, 20)])
def test_sounds_are_played_in_packets_that_a_telephone_can_take(wished, played):
    told = Told()
    told.say(Side.CALLER, sdp("192.0.2.1", more=f"a=ptime:{wished}"), dialog=None)
    told.say(Side.AGENT, AGENT, "answer")
    told.fix()
    line = told.media.line()
    assert line is not None and line.ptime_ms == played


def test_one_audio_line_in_a_bundle_is_anchored_and_recorded_like_any_other(told):
    """RFC 9143: a softphone that would bundle has nothing to bundle in a call of audio alone."""
    bundled = [
        body.replace(b"t=0 0", b"t=0 0\r\na=group:BUNDLE a") + b"a=mid:a\r\na=rtcp-mux\r\n" for body in (CALLER, AGENT)
    ]
    establish(told, *bundled)
    assert told.is_flowing()
    offer = told.say(Side.CALLER, bundled[0])
    assert "a=group:BUNDLE a\r\n" in offer and "a=mid:a\r\n" in offer and "c=IN IP4 198.51.100.2\r\n" in offer
    refused = b"m=video 0 RTP/AVP 96\r\na=mid:v\r\n"
    told.say(Side.AGENT, bundled[1] + refused, "answer")
    assert told.is_flowing()
