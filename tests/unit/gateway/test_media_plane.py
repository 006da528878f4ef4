"""Every order and report between gateway and media workers survives its line; nothing else is read as one."""

import json
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.media import plane as p
from gateway.media.plane import MAX_LINE, PlaneError, decode_order, decode_report, encode

CALL, FLOW, PEER = (
    p.CallRef("00112233aabbccdd"),
    p.FlowId("00112233aabbccdd/caller/0"),
    p.FlowId("00112233aabbccdd/agent/0"),
)
REC = p.RecordingId("ab" * 16)
HERE, THERE = p.Address("2001:db8::1", 30000), p.Address("192.0.2.7", 4000)
ORDERS = (
    p.Reserve(CALL, (p.FlowSpec(FLOW, "192.0.2.1"), p.FlowSpec(PEER, "2001:db8::1"))),
    p.Forward(FLOW, PEER, THERE, p.Address("192.0.2.7", 4001), True, True, ("10.0.0.0/8", "2001:db8::/32")),
    p.Forward(FLOW, PEER, None, None),
    p.Play("play-1", FLOW, "ask-de-2", "instead", "PCMU", 0, 30, -6.5),
    p.Play("code", FLOW, "code-de-1", "instead", "PCMA", 8, then=("digit-de-7", "pause-200")),
    p.StopPlay("play-1", FLOW),
    p.Listen(FLOW, True, {101: 8000, 110: 48_000}, True),
    p.Listen(FLOW, False),
    p.Withhold(FLOW, "blocked", "silenced", (101, 110)),
    p.Record(CALL, REC, 2, (p.RecordSide("caller", FLOW, ("age1a", "age1b"), {8: "PCMA", 0: "PCMU"}),), 1000.125),
    p.Record(CALL, REC, 1, (p.RecordSide("agent", FLOW, ("age1a",), {8: "PCMA"}),), 1.0, p.Quorum(("age1c",), "age1d")),
    p.Stop(CALL, REC, 2, p.End.STOPPED),
    p.Discard(CALL, REC),
    p.Remove(CALL),
    p.Query(CALL),
    p.Secure(FLOW, p.SrtpKey("AES_CM_128_HMAC_SHA1_80", "a2V5"), None),
    p.Settled(REC, 2, "agent"),
)
REPORTS = (
    p.Hello(1, 4711),
    p.Hello(1, 4711, {CALL: (p.FlowState(FLOW, HERE, PEER, THERE), p.FlowState(PEER, HERE, None, None))}),
    p.Reserved(CALL, {FLOW: HERE, PEER: THERE}),
    p.ReserveFailed(CALL, "Ran out of ports"),
    p.MediaSeen(FLOW, 1000.5, 0xFFFFFFFF, 8, 1),
    p.MediaSeen(FLOW, 1000.5, 7, 8),
    p.MediaTimeout(FLOW, 30.0),
    p.DigitHeard(FLOW, "*", 120, 1000.25, "rfc4733"),
    p.CodeHeard(FLOW, "*9"),
    p.PlayEnded("play-1", FLOW, False, 1001.0),
    p.SegmentOpened(CALL, REC, 1, "agent", "cd" * 32, 1, "wav/PCMA", 1000.75),
    p.SegmentSealed(
        CALL, REC, 1, "agent", p.End.PAUSED, "ab" * 32, 65_600, 1, "cd" * 32, 2, "wav/PCMU", 1.5, 2.5, 8000,
        (p.Gap(0, 20, "loss"), p.Gap(100, 200, "digits")),
    ),
    p.SegmentFailed(CALL, REC, 1, "caller", "no_media"),
    p.CodecSwitched(CALL, REC, 1),
    p.KeysLost(CALL),
    p.MediaUnreadable(FLOW),
    p.Discarded(CALL, REC),
    p.Counted(CALL, {FLOW: p.FlowCount(1, 2, 3, 4, 5, 6)}, True),
)  # fmt: skip


DEFAULTED = frozenset(
    [
        "keys",
        "audio",
        "events",
        "rtcp_mux",
        "any_source",
        "nat_networks",
        "srtp",
        "ptime_ms",
        "gain_db",
        "hold_back",
        "codes",
        "clock_rate",
        "sha256",
        "calls",
        "earlier",
        "final",
        "quorum",
        "then",
    ]
)  # what is meant where nothing is said


def test_the_examples_here_are_all_there_are():
    assert {type(order) for order in ORDERS} == set(get_args(p.Order))
    assert {type(report) for report in REPORTS} == set(get_args(p.Report))


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.kind)
def test_an_order_survives_its_line_and_is_no_report(order):
    line = encode(order)
    assert line.endswith(b"\n") and line.count(b"\n") == 1 and len(line) < MAX_LINE
    assert decode_order(line) == order
    with pytest.raises(PlaneError):
        decode_report(line)


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.kind)
def test_a_report_survives_its_line_and_is_no_order(report):
    line = encode(report)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert decode_report(line) == report
    with pytest.raises(PlaneError):
        decode_order(line)


@pytest.mark.parametrize("value", [*ORDERS, *REPORTS], ids=lambda value: value.kind)
def test_a_line_that_lacks_a_field_is_none(value):
    """Where a default stands the default counts; nothing else is made up."""
    read = decode_order if isinstance(value, get_args(p.Order)) else decode_report
    fields = json.loads(encode(value))
    for name in fields:
        rest = json.dumps({key: inner for key, inner in fields.items() if key != name}).encode()
        if type(value).__dataclass_fields__[name].default is type(value).__dataclass_fields__["kind"].default:
            continue
        try:
            found = read(rest)
        except PlaneError:
            continue
        assert name in DEFAULTED, name
        assert type(found) is type(value)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[" * 100_000,
        b'{"kind":"remove","call":1}',
        b'{"kind":"stop","call":"c","recording":"r","seg":1,"end":"paused?"}',
        b'{"kind":"record","call":"c","recording":"r","seg":1,"opened_at":1,"sides":[{"side":"both"}]}',
        b'{"kind":"nothing"}',
        b'{"call":"c"}',
    ],
    ids=lambda line: line[:40].decode(),
)
def test_what_is_neither_is_refused(line):
    for read in (decode_order, decode_report):
        with pytest.raises(PlaneError) as caught:
            read(line)
        assert "\n" not in str(caught.value)


VALUES: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.just([]) | st.just({})
)


@given(st.sampled_from([*ORDERS, *REPORTS]), st.data())
def test_a_line_with_one_field_exchanged_reads_or_is_the_declared_error(value, data):
    fields = json.loads(encode(value))
    fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(VALUES)
    line = json.dumps(fields).encode()
    for read in (decode_order, decode_report):
        try:
            read(line)
        except PlaneError as error:
            assert "\n" not in str(error)


@given(st.binary(max_size=200))
@example(b"\xff{}")
@example(b'{"kind":"hello","worker":1e400,"pid":1}')
def test_any_line_reads_or_is_the_declared_error(line):
    for read in (decode_order, decode_report):
        try:
            read(line)
        except PlaneError as error:
            assert "\n" not in str(error)
