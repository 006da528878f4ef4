"""From tapped packets to a timeline: the quick way for packets in a row stores what the thorough one stores."""

from typing import ClassVar

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.media.recording.intake import Intake
from gateway.rtp.packet import build, in_a_row

PCMA, PCMU, EVENTS, NOISE = 8, 0, 101, 13
CODECS = {PCMA: "PCMA", PCMU: "PCMU"}


class ThoroughIntake(Intake):
    """Places each batch as if none went on from the one before."""

    def _go_on(self, times, packets):
        return False


class WatchedIntake(Intake):
    """Notes which way each batch took."""

    ways: ClassVar[list[bool]] = []

    def _go_on(self, times, packets):
        self.ways.append(super()._go_on(times, packets))
        return self.ways[-1]


def stored(intake, packets, stop, every=1.0):
    """What a side stores of `(arrival, packet)` in the order of arrival, and its gaps."""
    pieces, waiting = [], sorted(packets, key=lambda one: one[0])
    for end in np.arange(every, stop + every, every).tolist():
        now = min(end, stop)
        while waiting and waiting[0][0] <= now:
            intake.tap(waiting[0][0], memoryview(waiting.pop(0)[1]))
        intake.drain(now)
        if intake.timeline is not None:
            pieces += intake.timeline.take(now)
    if intake.timeline is None:
        return b"", ()
    pieces += intake.timeline.finish(stop)
    audio = b"".join(piece if isinstance(piece, bytes) else b"\xd5" * piece for piece in pieces)
    return audio, intake.timeline.gaps


def talk(count, *, first=0, seq=65500, timestamp=2**32 - 9000, ptime=160, kind=PCMA):
    """Packets of one sender with their arrivals; each carries its own number."""
    for index in range(first, first + count):
        payload = bytes([index % 200]) * ptime
        packet = build(kind, seq + index, timestamp + index * ptime, 7, payload)
        yield index * ptime / 8000, packet


def intake(kind=Intake):
    return kind(0.0, CODECS, lambda law, arrival: None)


disturbances = st.lists(
    st.tuples(st.integers(0, 299), st.sampled_from(["lost", "late", "twice", "marked", "event", "noise", "other law"])),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(
    disturbances,
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1),
    st.sampled_from([80, 160, 480]),
    st.floats(0, 0.03),
    st.sampled_from([0.25, 1.0, 2.5]),
)
def test_the_quick_way_stores_what_the_thorough_one_stores(disturbed, seq, timestamp, ptime, jitter, every):
    dice = np.random.default_rng(seq)
    packets = []
    for index, (at, packet) in enumerate(talk(300, seq=seq, timestamp=timestamp, ptime=ptime)):
        arrival = at + float(dice.uniform(0, jitter))
        kinds = {what for place, what in disturbed if place == index}
        changed = bytearray(packet)
        if "marked" in kinds:
            changed[1] |= 0x80
        if "event" in kinds:
            changed = bytearray(build(EVENTS, seq + index, timestamp + index * ptime, 7, b"\x05\x00\x00\xa0"))
        if "noise" in kinds:
            changed = bytearray(build(NOISE, seq + index, timestamp + index * ptime, 7, b"\x40"))
        if "other law" in kinds:
            changed[1] = PCMU
        if "lost" not in kinds:
            packets.append((arrival + (0.1 if "late" in kinds else 0), bytes(changed)))
        if "twice" in kinds:
            packets.append((arrival + 0.05, bytes(changed)))
    stop = 300 * ptime / 8000 + 0.2
    assert stored(intake(), packets, stop, every) == stored(intake(ThoroughIntake), packets, stop, every)


def test_nearly_all_packets_take_the_quick_way():
    watched = intake(WatchedIntake)
    audio, gaps = stored(watched, list(talk(3000)), 60.0)
    assert watched.ways.count(False) == 2, "the first one, and where numbers wrap"
    assert len(watched.ways) == 60
    assert audio == b"".join(bytes([index % 200]) * 160 for index in range(3000))
    assert gaps == ()


def test_a_stall_of_our_own_loses_nothing():
    quick, pieces, waiting = intake(), [], list(talk(500))
    for now in (1.0, 2.0, 3.0, 6.5, 8.0, 10.0):
        while waiting and waiting[0][0] <= now:
            arrival, packet = waiting.pop(0)
            quick.tap(arrival, memoryview(packet))
        quick.drain(now)
        assert quick.timeline is not None
        pieces += quick.timeline.take(now)
    assert quick.timeline is not None
    pieces += quick.timeline.finish(10.0)
    assert pieces == [piece for piece in pieces if isinstance(piece, bytes)]
    assert b"".join(pieces) == b"".join(bytes([index % 200]) * 160 for index in range(500))


def test_a_row_is_one_type_of_one_stream_without_a_break():
    row = [packet for _, packet in talk(5, seq=5, timestamp=0)]
    found = in_a_row(row)
    assert found is not None
    assert found.tobytes() == b"".join(packet[12:] for packet in row)
    other_kind = [packet for _, packet in talk(2, seq=0xFFFF, timestamp=0)]
    other_kind[1] = bytes([0x80, PCMA + 1]) + other_kind[1][2:]
    for broken in (
        row[:2] + row[3:],
        [row[0], *row],
        row[::-1],
        [*row[:4], row[4] + b"x"],
        [*row[:4], row[4][:8] + bytes(4) + row[4][12:]],
        other_kind,
    ):
        assert in_a_row(broken) is None


def test_packets_that_name_their_m_line_are_stored_like_those_that_do_not():
    """As a phone sends them that offered BUNDLE: `mid` in a header extension (RFC 9143, RFC 8285)."""
    mid = b"\xbe\xde\x00\x01\x10a\x00\x00"
    plain = list(talk(100))
    named = [(at, bytes([packet[0] | 0x10]) + packet[1:12] + mid + packet[12:]) for at, packet in plain]
    assert stored(intake(), named, 2.0) == stored(intake(), plain, 2.0)
    assert len(stored(intake(), named, 2.0)[0]) == 16_000
