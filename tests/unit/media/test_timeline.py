"""A side's timeline: what was sent when, whatever the network and the sender's clock did to it."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.media.recording.timeline import Batch, Timeline

SILENCE = 0xD5
RATE = 8000


@dataclasses.dataclass
class Packet:
    arrival: float
    seq: int
    timestamp: int
    payload: bytes
    ssrc: int = 7


def speech(count, *, start=0.0, ptime=160, ssrc=7, seq=65530, timestamp=2**32 - 1000, ppm=0.0):
    """Packets of a sender whose clock runs fast by `ppm`; each payload byte tells the true 20 ms it was spoken in."""
    for index in range(count):
        said_at = start + index * ptime / RATE * (1 - ppm / 1e6)
        mark = 1 + index % 200
        yield Packet(
            said_at, (seq + index) & 0xFFFF, (timestamp + index * ptime) & 0xFFFFFFFF, bytes([mark]) * ptime, ssrc
        )


def place(timeline, packets):
    by_ssrc: dict[int, list[Packet]] = {}
    for packet in packets:
        by_ssrc.setdefault(packet.ssrc, []).append(packet)
    for ssrc, group in by_ssrc.items():
        timeline.place(
            Batch(
                ssrc,
                np.array([packet.arrival for packet in group]),
                np.array([packet.seq for packet in group], np.int64),
                np.array([packet.timestamp for packet in group], np.int64),
                [packet.payload for packet in group],
            )
        )


def flat(pieces):
    return b"".join(piece if isinstance(piece, bytes) else bytes([SILENCE]) * piece for piece in pieces)


def record(packets, stop, opened_at=0.0, batch_s=0.1, timeline=None):
    """Run packets through a timeline as a session does; audio and the timeline."""
    timeline = timeline or Timeline(opened_at, SILENCE)
    waiting = sorted(packets, key=lambda packet: packet.arrival)
    out, now = [], opened_at
    while now < stop:
        now += batch_s
        due = [packet for packet in waiting if packet.arrival <= min(now, stop)]
        waiting = waiting[len(due) :]
        if due:
            place(timeline, due)
        out += timeline.take(min(now, stop))
    out += timeline.finish(stop)
    return flat(out), timeline


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
def test_an_undisturbed_stream_is_stored_as_it_was(ptime_ms):
    ptime = ptime_ms * 8
    packets = list(speech(100, ptime=ptime))
    audio, timeline = record(packets, 100 * ptime / RATE)
    assert audio == b"".join(packet.payload for packet in packets)
    assert timeline.gaps == ()
    assert timeline.samples == len(audio)


def test_leading_silence_lines_the_sides_up_and_the_stop_clips_both():
    early, _ = record(speech(100), 1.5)
    late, timeline = record(speech(100, start=0.5), 1.5)
    assert len(early) == len(late) == 12000
    assert late[:4000] == bytes([SILENCE]) * 4000
    assert late[4000] == 1
    assert timeline.gaps[0].start_ms == 0
    assert timeline.gaps[0].end_ms == 500


def test_lost_packets_are_silence_and_told_as_loss():
    packets = list(speech(100))
    audio, timeline = record(packets[:20] + packets[25:], 2.0)
    assert audio[20 * 160 : 25 * 160] == bytes([SILENCE]) * 800
    assert audio[25 * 160] == 26
    assert [(gap.start_ms, gap.end_ms, gap.why) for gap in timeline.gaps] == [(400, 500, "loss")]


def test_loss_is_seen_across_batches_too():
    packets = list(speech(100))
    _, timeline = record(packets[:20] + packets[30:], 2.0, batch_s=0.02)
    assert [(gap.start_ms, gap.end_ms, gap.why) for gap in timeline.gaps] == [(400, 600, "loss")]


def test_a_silent_sender_is_dtx_not_loss():
    talk = list(speech(50))
    again = [
        dataclasses.replace(packet, arrival=packet.arrival + 3.0, timestamp=(packet.timestamp + 3 * RATE) & 0xFFFFFFFF)
        for packet in list(speech(100))[50:]
    ]
    audio, timeline = record(talk + again, 5.0)
    assert [(gap.start_ms, gap.end_ms, gap.why) for gap in timeline.gaps] == [(1000, 4000, "dtx")]
    assert audio[4 * RATE] == 51


def test_packets_out_of_order_find_their_place():
    packets = list(speech(100))
    for packet in packets[10:90:3]:
        packet.arrival += 0.075
    audio, timeline = record(packets, 2.0)
    assert audio == b"".join(packet.payload for packet in packets)
    assert timeline.gaps == ()


def test_repeated_packets_change_nothing():
    packets = list(speech(100))
    audio, _ = record(packets + [dataclasses.replace(p, arrival=p.arrival + 0.03) for p in packets], 2.0)
    assert audio == b"".join(packet.payload for packet in packets)


def test_jitter_moves_nothing():
    dice = np.random.default_rng(7)
    packets = list(speech(1000))
    for packet in packets[1:]:
        packet.arrival += float(dice.uniform(0, 0.08))
    audio, timeline = record(packets, 20.2)
    stored = np.frombuffer(audio[: 1000 * 160], np.uint8)
    wanted = np.frombuffer(b"".join(packet.payload for packet in packets), np.uint8)
    # following the clock may shift by a sample or a few, at the edge of each packet
    assert np.count_nonzero(stored != wanted) < 0.02 * len(wanted)
    assert len(stored) == len(wanted)
    assert [gap.why for gap in timeline.gaps] == ["dtx"]


def test_a_new_ssrc_goes_on_in_the_same_side_at_its_own_time():
    first = list(speech(50))
    second = list(speech(50, start=1.5, ssrc=99, seq=3, timestamp=123456))
    audio, timeline = record(first + second, 2.5)
    assert audio[: 50 * 160] == b"".join(packet.payload for packet in first)
    assert audio[12000:] == b"".join(packet.payload for packet in second)
    assert [(gap.start_ms, gap.end_ms, gap.why) for gap in timeline.gaps] == [(1000, 1500, "dtx")]


def test_timestamps_that_stood_still_in_a_hold_go_on_at_the_right_time():
    talk = list(speech(100))
    for packet in talk[50:]:
        packet.arrival += 10.0
    audio, _ = record(talk, 12.0)
    assert audio[11 * RATE] == 51
    assert set(audio[RATE : 11 * RATE]) == {SILENCE}


def test_timestamps_that_jump_begin_a_new_run():
    talk = list(speech(100))
    for packet in talk[50:]:
        packet.timestamp = (packet.timestamp + 900_000_000) & 0xFFFFFFFF
    audio, _ = record(talk, 2.0)
    # at most one batch is lost at the seam
    assert audio[9600:] == b"".join(packet.payload for packet in talk)[9600:]


def test_one_stray_timestamp_costs_one_packet():
    talk = list(speech(100))
    talk[50].timestamp = (talk[50].timestamp + 900_000) & 0xFFFFFFFF
    audio, _ = record(talk, 2.0)
    whole = b"".join(packet.payload for packet in talk)
    assert audio[: 50 * 160] == whole[: 50 * 160]
    assert audio[51 * 160 :] == whole[51 * 160 :]


def test_first_packets_that_waited_together_are_not_cut_off():
    talk = list(speech(50))
    for packet in talk[:3]:
        packet.arrival = 0.04
    audio, _ = record(talk, 1.1)
    stored = audio.replace(bytes([SILENCE]), b"")
    assert stored == b"".join(packet.payload for packet in talk)


@pytest.mark.parametrize("ppm", [50.0, -50.0])
def test_an_hour_of_a_clock_that_drifts_stays_within_20_ms(ppm):
    seconds = 3600
    count = seconds * 50
    index = np.arange(count)
    said_at = index * 0.02 * (1 - ppm / 1e6)
    dice = np.random.default_rng(3)
    arrivals = said_at + dice.exponential(0.004, count)
    marks = (1 + index % 200).astype(np.uint8)
    timeline = Timeline(0.0, SILENCE)
    out = []
    for second in range(seconds):
        due = np.flatnonzero((arrivals > second) & (arrivals <= second + 1))
        due = due[np.argsort(arrivals[due], kind="stable")]
        payloads = [bytes([marks[at]]) * 160 for at in due.tolist()]
        timeline.place(Batch(7, arrivals[due], due.astype(np.int64) & 0xFFFF, (due * 160).astype(np.int64), payloads))
        out += timeline.take(second + 1.0)
    audio = np.frombuffer(flat(out + timeline.finish(float(seconds))), np.uint8)
    assert abs(len(audio) - seconds * RATE) <= 1
    for at in range(60, seconds - 60, 60):
        spoken = int(np.searchsorted(said_at, at))
        mark = int(marks[spoken])
        near = audio[at * RATE - 2400 : at * RATE + 2400]
        found = np.flatnonzero(near == mark)
        assert abs(int(found[0]) - 2400 - (said_at[spoken] - at) * RATE) < 160


def test_only_the_longest_gap_is_capped():
    timeline = Timeline(0.0, SILENCE, longest_gap_s=2.0)
    talk = list(speech(100))
    for packet in talk[50:]:
        packet.arrival += 100.0
    audio, timeline = record(talk, 101.0 + 1.0, timeline=timeline)
    assert len(audio) < 6 * RATE
    assert audio[:RATE] == b"".join(packet.payload for packet in talk[:50])
    assert b"".join(packet.payload for packet in talk[50:]) in audio


def test_digits_and_overflow_are_told_as_such():
    talk = list(speech(100))
    timeline = Timeline(0.0, SILENCE)
    place(timeline, talk[:20])
    timeline.digits(7, talk[20].timestamp, talk[24].arrival)
    place(timeline, talk[25:50])
    timeline.overflow(1.0, 1.19)
    place(timeline, talk[60:])
    timeline.finish(2.0)
    assert [(gap.start_ms, gap.end_ms, gap.why) for gap in timeline.gaps] == [
        (400, 500, "digits"),
        (1000, 1200, "overflow"),
    ]


def test_an_hour_of_leading_silence_is_a_number_not_bytes():
    timeline = Timeline(0.0, SILENCE)
    place(timeline, speech(5, start=3600.0))
    pieces = timeline.take(3600.1)
    assert sum(len(piece) for piece in pieces if isinstance(piece, bytes)) < RATE
    audio, _ = record([], 3600.2, opened_at=3600.1, timeline=timeline)
    assert sum(piece if isinstance(piece, int) else len(piece) for piece in pieces) + len(audio) == int(3600.2 * RATE)
    assert audio.rstrip(bytes([SILENCE])).endswith(bytes([5]) * 160)


def test_of_very_many_gaps_the_longest_are_told():
    talk = [packet for index, packet in enumerate(speech(12_000)) if index % 2 or index > 11_990]
    del talk[100:150]
    _, timeline = record(talk, 240.0, batch_s=1.0)
    assert len(timeline.gaps) <= 4000
    assert any(gap.end_ms - gap.start_ms > 1900 for gap in timeline.gaps)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 3),
            st.integers(0, 65535),
            st.integers(0, 2**32 - 1),
            st.binary(max_size=300),
            st.integers(1, 3),
        ),
        max_size=40,
    ),
    st.floats(0.01, 4),
)
def test_whatever_arrives_the_length_is_the_time_that_passed(rows, stop):
    packets = [Packet(*row) for row in rows if row[0] <= stop]
    audio, timeline = record(packets, stop)
    assert len(audio) == timeline.samples == int(stop * RATE)
    assert all(0 <= gap.start_ms < gap.end_ms <= stop * 1000 for gap in timeline.gaps)
