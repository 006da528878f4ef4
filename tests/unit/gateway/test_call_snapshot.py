"""A call's journal entry gives the call back to relay and end it, and holds nothing that could tell who called whom."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.call.caller_word import CallerWord
from gateway.call.core import Call
from gateway.call.effects import PlaneOrder
from gateway.call.model import DialogTag, NewCall, Private, SdpMessage, SipCallId, flow_of
from gateway.call.negotiation import Negotiation
from gateway.call.snapshot import SnapshotError, read_snapshot, restore, snapshot_of
from gateway.media.plane import Address, CallRef, FlowId, Forward
from policy.decision import Side

REF, CALL_ID = CallRef("00112233aabbccdd"), SipCallId("a84b4c76e66710@pc33.example")
AT = datetime(2026, 3, 4, 9, 30, 15, 123456, tzinfo=UTC)
HOSTS = {Side.CALLER: "192.0.2.1", Side.AGENT: "10.0.0.1"}
NETWORKS = {Side.CALLER: ("192.0.2.0/24",), Side.AGENT: ()}
EXTENSION, QUEUE, OUTSIDE = "7734501", "service-strom-canary", "+4940998877"


def sdp(host: str, port: int, direction: str = "sendrecv", session: int = 1) -> bytes:
    return (
        f"v=0\r\no=- {session} 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
        f"a=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
    ).encode()


def no_leg(agent: str, said: CallerWord):
    raise AssertionError("an adopted call has no leg")


def fresh(worker: int | None = 1) -> Call:
    new = NewCall(CALL_ID, "uac-tag", Side.CALLER, Private(EXTENSION), QUEUE, Private(OUTSIDE))
    media = Negotiation(REF, nat_networks=NETWORKS, hosts=HOSTS)
    for index, side in enumerate(Side):
        media.ports[flow_of(REF, side, 0)] = Address(HOSTS[side], 30000 + 2 * index)
    return Call(REF, new, media, worker, AT, no_leg)


def answered() -> Call:
    call = fresh()
    tag = DialogTag("uas-tag")
    call.describe(SdpMessage(Side.CALLER, None, "offer", sdp("192.0.2.77", 4000)), 1.0)
    call.describe(SdpMessage(Side.AGENT, DialogTag("other"), "answer", sdp("10.0.0.66", 6000)), 2.0)
    call.describe(SdpMessage(Side.AGENT, tag, "answer", sdp("10.0.0.77", 5000)), 2.0)
    call.answered(tag, None)
    return call


def again(call: Call) -> Call:
    entry = snapshot_of(call)
    assert entry is not None
    return restore(read_snapshot(entry), HOSTS, NETWORKS, no_leg)


@pytest.mark.parametrize("make", [fresh, answered])
def test_a_call_comes_back_as_it_was(make):
    call = make()
    back = again(call)
    assert back.negotiation == call.negotiation
    assert (back.ref, back.worker, back.since, back.answered_dialog) == (REF, 1, AT, call.answered_dialog)
    assert (back.new.call_id, back.new.uac_tag, back.new.uac) == (CALL_ID, "uac-tag", Side.CALLER)
    assert snapshot_of(back) == snapshot_of(call)


def test_a_call_that_came_back_has_no_leg_whoever_holds_the_seat():
    back = again(fresh())
    assert back.adopted
    assert back.new.extension is None and back.new.queue is None and back.new.outside is None
    assert back.answered(DialogTag("uas-tag"), "alma") == []
    assert back.leg is None


def test_a_hold_after_the_restart_moves_the_media_as_it_would_have_before():
    call, back = answered(), again(answered())
    hold = SdpMessage(Side.CALLER, DialogTag("uas-tag"), "offer", sdp("192.0.2.78", 4100, "sendonly", 2))
    agreed = SdpMessage(Side.AGENT, DialogTag("uas-tag"), "answer", sdp("10.0.0.77", 5000, "recvonly", 2))
    assert back.describe(hold, 9.0) == call.describe(hold, 9.0)
    assert back.describe(agreed, 9.0) == call.describe(agreed, 9.0)
    _, effects = again(answered()).describe(agreed, 9.0)
    orders = [effect.order for effect in effects if isinstance(effect, PlaneOrder)]
    moved = {order.flow: order for order in orders if isinstance(order, Forward)}
    assert moved[flow_of(REF, Side.CALLER, 0)].nat_networks == ("192.0.2.0/24",)


def test_the_entry_holds_no_extension_no_queue_and_no_number():
    entry = snapshot_of(answered())
    assert entry is not None
    for secret in (EXTENSION, QUEUE, OUTSIDE, OUTSIDE[1:], "redacted"):
        assert secret.encode() not in entry
    assert b'"extension"' not in entry and b'"queue"' not in entry and b'"outside"' not in entry


def test_a_call_without_ports_has_no_entry():
    assert snapshot_of(fresh(worker=None)) is None


def test_a_call_id_of_any_bytes_that_passed_the_validator_can_be_kept():
    call, tag = fresh(), DialogTag("\udcff€")
    call.new = NewCall(
        SipCallId(b"caf\xe9@\xc3\xa9".decode("utf-8", "surrogateescape")), "t\udce9g", Side.AGENT, None, None, None
    )
    call.describe(SdpMessage(Side.AGENT, None, "offer", sdp("10.0.0.77", 4000)), 1.0)
    call.describe(SdpMessage(Side.CALLER, tag, "answer", sdp("192.0.2.66", 6000)), 2.0)
    call.answered(tag, None)
    back = again(call)
    assert (back.new.call_id, back.new.uac_tag) == (call.new.call_id, call.new.uac_tag)
    assert back.answered_dialog == tag and back.negotiation == call.negotiation


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"{}",
        b"null",
        b"\xff",
        b"[" * 50_000,
        b'{"ref":"x"}',
        (snapshot_of(fresh()) or b"").replace(b"a84b", "ą".encode()),
    ],
    ids=lambda entry: entry[:10].decode("latin1"),
)
def test_what_isn_t_an_entry_is_the_declared_error(entry):
    with pytest.raises(SnapshotError) as caught:
        read_snapshot(entry)
    assert "\n" not in str(caught.value)


@given(st.data())
def test_a_damaged_entry_reads_or_is_the_declared_error(data):
    entry = bytearray(snapshot_of(answered()) or b"")
    for _ in range(data.draw(st.integers(1, 3))):
        entry[data.draw(st.integers(0, len(entry) - 1))] = data.draw(st.integers(0, 255))
    try:
        kept = read_snapshot(bytes(entry))
    except SnapshotError:
        return
    assert isinstance(restore(kept, HOSTS, NETWORKS, no_leg).negotiation.ports.get(FlowId("none")), type(None))
