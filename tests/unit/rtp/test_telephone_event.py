"""One key press is one digit, whatever the network makes of its packets (RFC 4733 §2.5)."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rtp.errors import RtpError
from gateway.rtp.telephone_event import LOST_END_S, Event, EventReader


def packets(code, timestamp, duration, at=100.0, ends=3):
    """What a phone sends for one press: updates each 20 ms, the end three times; (payload, timestamp, arrival)."""
    updates = [
        (bytes(Event(code, False, 10, lasted)), timestamp, at + lasted / 8000) for lasted in range(160, duration, 160)
    ]
    last = (bytes(Event(code, True, 10, duration)), timestamp, at + duration / 8000)
    return updates + [last] * ends


def read_all(reader, stream):
    found = [reader.read(payload, timestamp, arrival) for payload, timestamp, arrival in stream]
    return [press for press in found if press is not None]


def test_a_press_is_told_once_with_its_duration():
    presses = read_all(EventReader(), packets(1, 5000, 800))
    assert [(press.digit, press.duration_ms) for press in presses] == [("1", 100)]
    assert presses[0].began_at == pytest.approx(100.0)


def test_all_sixteen_keys():
    reader = EventReader()
    stream = [packet for code in range(17) for packet in packets(code, 5000 + code * 1600, 480)]
    assert "".join(press.digit for press in read_all(reader, stream)) == "0123456789*#ABCD"


def test_lost_ends_are_told_at_the_next_press_or_by_time():
    reader = EventReader()
    first, second = packets(9, 5000, 800)[:-3], packets(1, 9000, 800, at=101.0)[:-3]
    assert [press.digit for press in read_all(reader, first + second)] == ["9"]
    assert reader.expire(101.2) is None
    press = reader.expire(101.08 + LOST_END_S)
    assert press is not None
    assert press.digit == "1"
    assert press.duration_ms == 80
    assert reader.expire(200.0) is None


def test_a_press_of_which_only_an_end_arrives_counts():
    reader = EventReader()
    held = packets(9, 5000, 800)[:2]
    late = packets(1, 9000, 800)[-3:]
    assert [press.digit for press in read_all(reader, held + late)] == ["9", "1"]


def test_a_press_that_had_begun_before_is_dated_back():
    stream = packets(1, 5000, 8000, at=100.0)[25:]
    press = read_all(EventReader(), stream)[0]
    assert press.began_at == pytest.approx(100.0, abs=0.001)


def test_a_press_longer_than_a_counter_is_one_press():
    timestamp, full = 5000, 0xFFFF
    first = [
        (bytes(Event(5, False, 10, lasted)), timestamp, 100 + lasted / 8000)
        for lasted in (*range(800, full, 800), full)
    ]
    rest = packets(5, timestamp + full, 8000, at=100 + full / 8000)
    presses = read_all(EventReader(), first + rest + first[-1:])
    assert [(press.digit, press.duration_ms) for press in presses] == [("5", (full + 8000) * 1000 // 8000)]


def test_a_cut_event_is_the_declared_error():
    with pytest.raises(RtpError):
        EventReader().read(b"\x01\x00\x00", 0, 0.0)


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(320, 4000)), max_size=8), st.randoms(use_true_random=False))
def test_losses_and_repeats_never_make_two_of_one(pressed, dice: random.Random):
    stream, timestamp = [], 2**32 - 8000
    for code, duration in pressed:
        for packet in packets(code, timestamp & 0xFFFFFFFF, duration, at=100 + timestamp / 8000):
            stream += [packet] * dice.choice([0, 1, 1, 2])
        timestamp += duration + 800
    reader = EventReader()
    presses = read_all(reader, stream)
    last = reader.expire(10**9)
    told = [press.digit for press in presses] + ([last.digit] if last else [])
    wanted = ["0123456789*#ABCD"[code] for code, _ in pressed]
    rest = iter(wanted)
    assert all(digit in rest for digit in told)


@given(st.lists(st.tuples(st.binary(max_size=6), st.integers(0, 2**32 - 1), st.floats(0, 1e6))))
def test_any_payloads_read_or_raise_the_declared_error(stream):
    reader = EventReader()
    for payload, timestamp, arrival in stream:
        try:
            reader.read(payload, timestamp, arrival)
        except RtpError:
            assert len(payload) < 4
