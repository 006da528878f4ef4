"""The seam's lines and the worker's journal read what they wrote, and declare what they can't read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media import plane
from gateway.media.datapath.base import Latched, call_of
from gateway.media.journal import FlowEntry, Journal
from gateway.media.plane import Address, CallRef, FlowId, Forward, PlaneError, decode_order, decode_report, encode

CALL, FLOW = CallRef("00112233aabbccdd"), FlowId("00112233aabbccdd/caller/0")
FORWARD = Forward(FLOW, FLOW, Address("192.0.2.1", 4000), None, nat_networks=("192.0.2.0/24",))
ENTRY = FlowEntry(
    FLOW,
    Address("127.0.0.1", 30000),
    FORWARD,
    Latched(Address("192.0.2.1", 4002), None),
)


@given(st.binary(max_size=200))
def test_any_line_reads_or_is_the_declared_error(line):
    for read in (decode_order, decode_report):
        try:
            read(line)
        except PlaneError as error:
            assert "\n" not in str(error)


def test_an_order_survives_its_line():
    orders: list[plane.Order] = [
        FORWARD,
        plane.Play("p1", FLOW, "ask-de-2", "instead", "PCMA", 8, 20, -12.0),
        plane.Record(
            CALL, plane.RecordingId("0" * 32), 1, (plane.RecordSide("agent", FLOW, ("age1x",), {8: "PCMA"}),), 1.5
        ),
        plane.Settled(plane.RecordingId("0" * 32), 1, "caller"),
    ]
    assert [decode_order(encode(order)) for order in orders] == orders


def test_a_report_survives_its_line():
    gaps = (plane.Gap(0, 20, "loss"), plane.Gap(100, 2000, "digits"))
    sealed = plane.SegmentSealed(
        CALL,
        plane.RecordingId("0" * 32),
        1,
        "agent",
        plane.End.PAUSED,
        "ab",
        1,
        1,
        "cd",
        1,
        "wav/PCMA",
        0.5,
        1.5,
        8000,
        gaps,
    )
    hello = plane.Hello(0, 7, {CALL: (plane.FlowState(FLOW, Address("127.0.0.1", 30000), None, None),)})
    assert [decode_report(encode(report)) for report in (sealed, hello)] == [sealed, hello]
    with pytest.raises(PlaneError):
        decode_order(encode(hello))


def test_a_journal_gives_back_what_it_was_given_until_it_is_erased(tmp_path):
    journal = Journal(tmp_path / "j")
    journal.write(CALL, (ENTRY,))
    journal.write(CALL, (ENTRY, ENTRY))
    assert journal.flush()
    assert dict(Journal(tmp_path / "j").calls()) == {CALL: (ENTRY, ENTRY)}
    journal.erase(CALL)
    journal.erase(CALL)
    assert journal.flush()
    assert list((tmp_path / "j").iterdir()) == []


def test_a_journal_is_readable_by_its_owner_only(tmp_path):
    journal = Journal(tmp_path / "j")
    journal.write(CALL, (ENTRY,))
    assert journal.flush()
    assert (tmp_path / "j").stat().st_mode & 0o077 == 0
    assert next((tmp_path / "j").iterdir()).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"[", b"{}", b'[{"flow": 1}]', b"\xff", b" " * 70_000])
def test_what_isn_t_a_journal_is_removed_and_counted(tmp_path, content):
    (tmp_path / "00112233aabbccde.json").write_bytes(content)
    journal = Journal(tmp_path)
    journal.write(CALL, (ENTRY,))
    assert [call for call, _ in journal.calls()] == [CALL]
    assert journal.unreadable == 1
    assert [path.stem for path in tmp_path.iterdir()] == [CALL]


@pytest.mark.parametrize("call", ["../../etc/passwd", "", "a/b", "ä"])
def test_a_call_reference_can_t_leave_the_journal(tmp_path, call):
    journal = Journal(tmp_path / "j")
    journal.write(CallRef(call), (ENTRY,))
    assert journal.flush()
    assert journal.failed == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["j"]


def test_a_flow_names_its_call():
    assert call_of(FLOW) == CALL
