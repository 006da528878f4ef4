"""Numbers that wrap go on (RFC 3550 appendix A.1)."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.rtp.sequence import distance, extend, unwrap


def test_distance_goes_the_short_way_round():
    assert distance(0, 65535, 16) == 1
    assert distance(65535, 0, 16) == -1
    assert distance(0x8000, 0, 16) == -0x8000


@given(st.integers(0, 2**40), st.integers(-(2**15), 2**15 - 1))
def test_extend_finds_the_neighbour(reference, step):
    assert extend((reference + step) & 0xFFFF, reference, 16) == reference + step


@given(st.integers(0, 2**33), st.lists(st.integers(-3000, 3000), min_size=1, max_size=50))
def test_a_batch_unwraps_as_each_after_the_other(start, steps):
    wanted = start + np.cumsum(np.array(steps, np.int64))
    assert unwrap(wanted & 0xFFFFFFFF, start, 32).tolist() == wanted.tolist()
    assert unwrap(wanted & 0xFFFF, start, 16).tolist() == wanted.tolist()
