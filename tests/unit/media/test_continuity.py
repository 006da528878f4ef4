"""A play in the middle of a stream leaves its numbers without a break."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.prompts.continuity import Continuity
from gateway.rtp.packet import Rtp, build

SSRC = 77
DICE = bytes(range(1, 11))


def heard(seq, timestamp, ssrc=SSRC):
    return Rtp.parse(build(8, seq, timestamp, ssrc, bytes(160)))


def after(seq, timestamp):
    return Continuity.after(build(8, seq, timestamp, SSRC, b""), 160, DICE)


def test_our_packets_follow_the_last_one_and_the_partys_follow_ours():
    stream = after(65534, 2**32 - 160)
    assert [stream.own(160) for _ in range(3)] == [(65535, 0), (0, 160), (1, 320)]
    # what was said meanwhile was held back; the next one takes the next number
    assert stream.passed(heard(2, 480), 160) == (2, 480)
    assert stream.passed(heard(3, 640), 160) == (3, 640)
    assert stream.passed(heard(5, 960), 160) == (5, 960)
    assert stream.passed(heard(4, 800), 160) == (4, 800)


def test_a_late_packet_from_before_the_play_is_dropped():
    stream = after(100, 16000)
    stream.own(160)
    assert stream.passed(heard(103, 16480), 160) == (102, 16480)
    assert stream.passed(heard(101, 16160), 160) is None


def test_timestamps_that_stood_still_go_on_behind_ours():
    stream = after(100, 16000)
    for _ in range(50):
        stream.own(160)
    assert stream.passed(heard(101, 16160), 160) == (151, 16000 + 51 * 160)


def test_a_pause_of_the_party_stays_as_long_as_it_was():
    stream = after(100, 16000)
    stream.own(160)
    assert stream.passed(heard(101, 16000 + 40000), 160) == (102, 56000)


def test_another_ssrc_goes_on_as_the_same_stream():
    stream = after(100, 16000)
    assert stream.passed(heard(5, 999, ssrc=8), 160) == (101, 16160)
    assert stream.ssrc == SSRC


def test_a_stream_of_our_own_is_what_the_dice_say():
    stream = Continuity.after(b"", 160, DICE)
    first = (0x0506 + 1, 0x0708090A + 160)
    assert (stream.ssrc, stream.own(160)) == (0x01020304, first)
    assert stream.passed(heard(9, 9), 160) == (first[0] + 1, first[1] + 160)


@pytest.mark.parametrize(("last", "first"), [(30004, 30005), (64535, 64536), (64536, 0), (65535, 0)])
def test_under_an_ssrc_of_its_own_the_numbers_still_go_on(last, first):
    """Buffers that outlive a change of SSRC would take lower ones for late; only close to a wrap some are left out."""
    stream = Continuity.after(build(8, last, 5000, SSRC, b""), 160, DICE, apart=True)
    assert (stream.ssrc, stream.own(160)) == (0x01020304, (first, 5160))
    assert stream.passed(heard((last + 1) & 0xFFFF, 5160), 160) == (first + 1, 5320)


@given(
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1),
    st.lists(st.tuples(st.booleans(), st.integers(1, 5), st.integers(0, 3)), max_size=60),
)
def test_whatever_is_played_between_no_number_comes_twice_or_backwards(seq, timestamp, steps):
    stream = after(seq, timestamp)
    sent, at = [(seq, timestamp)], timestamp
    for ours, count, lost in steps:
        for _ in range(count):
            at += 160
            seq += 1
            if ours:
                sent.append(stream.own(160))
            else:
                place = stream.passed(heard(seq & 0xFFFF, at & 0xFFFFFFFF), 160)
                assert place is not None
                sent.append(place)
        seq += lost
        at += 160 * lost
    for (seq_before, at_before), (seq_now, at_now) in itertools.pairwise(sent):
        assert 1 <= (seq_now - seq_before) & 0xFFFF <= 40
        assert 160 <= (at_now - at_before) & 0xFFFFFFFF <= 160 * 400
