"""The measure of what a recording holds of a call: a frame that is missing, late or out of order is noticed."""

import numpy as np
import pytest

from demo.g711 import decode, encode
from demo.line import FRAME, Arrival, Line
from tests.peers.marked_frames import MarkedFrames, unbroken

SECONDS = 0.4
COUNT = 20


def spoken() -> tuple[MarkedFrames, np.ndarray, Line]:
    """The frames, how they sound after G.711, the line that hears them."""
    near, far = Line(), Line()
    marked = MarkedFrames(near, far, SECONDS, 7)
    frames = near._voice[0].samples.reshape(-1, FRAME)
    sound = np.stack([decode(near.codec, encode(near.codec, frame)) for frame in frames])
    far.arrivals = [
        Arrival(0.02 * number, 1, 65_530 + number & 0xFFFF, 160 * number, 8, False, encode(near.codec, frame))
        for number, frame in enumerate(frames)
    ]
    return marked, sound, far


def test_what_a_side_holds_is_found_frame_by_frame_wherever_it_begins():
    marked, sound, _ = spoken()
    silence = np.zeros(37, np.int16)
    assert marked.kept(np.concatenate([silence, sound[3:12].reshape(-1), silence])) == range(3, 12)


@pytest.mark.parametrize("cut", [700, 780], ids=["in a first half", "in a second half"])
def test_a_sample_that_the_recorder_drops_is_no_hole_and_more_are(cut):
    marked, sound, _ = spoken()
    side = sound[3:12].reshape(-1)
    assert marked.kept(np.delete(side, cut)) == range(3, 12)
    with pytest.raises(AssertionError):
        marked.kept(np.delete(side, [cut, cut + 1]))


@pytest.mark.parametrize(
    "order", [[3, 4, 6, 7], [3, 5, 4, 6], []], ids=["one is missing", "two are swapped", "none is there"]
)
def test_a_hole_in_a_side_is_noticed(order):
    marked, sound, _ = spoken()
    side = np.concatenate([np.zeros(37, np.int16), *(sound[number] for number in order)])
    with pytest.raises(AssertionError):
        marked.kept(side)


def test_each_frame_is_known_again_at_the_far_end():
    marked, _, far = spoken()
    heard = marked.heard()
    assert sorted(heard) == list(range(COUNT)) and heard[5].at == far.arrivals[5].at
    assert unbroken(far, 0.1) == sum(one.at > 0.1 for one in far.arrivals)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrivals: arrivals[:9] + arrivals[10:],
        lambda arrivals: [*arrivals[:9], arrivals[9]._replace(timestamp=0)],
    ],
    ids=["a packet is missing", "a timestamp leaps"],
)
def test_a_gap_at_the_far_end_is_noticed(change):
    _, _, far = spoken()
    far.arrivals = change(far.arrivals)
    with pytest.raises(AssertionError):
        unbroken(far, 0.0)
