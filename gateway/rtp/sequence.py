"""Sequence numbers and timestamps that wrap, made to run on (RFC 3550 appendix A.1): each lies next to its neighbour.

`extend` takes one, `unwrap` a batch in the order of arrival.
"""

import numpy as np
from numpy.typing import NDArray


def distance(value: int, reference: int, bits: int) -> int:
    """How far `value` is ahead of `reference` modulo 2^bits: -2^(bits-1) up to 2^(bits-1) - 1."""
    half = 1 << (bits - 1)
    return ((value - reference + half) & ((1 << bits) - 1)) - half


def extend(value: int, reference: int, bits: int) -> int:
    """The integer congruent to `value` modulo 2^bits that lies next to the extended `reference`."""
    return reference + distance(value, reference, bits)


def unwrap(values: NDArray[np.int64], reference: int, bits: int) -> NDArray[np.int64]:
    """Extend each value next to the one before it, the first next to `reference`."""
    half, mask = 1 << (bits - 1), (1 << bits) - 1
    before = np.empty_like(values)
    before[0] = reference & mask
    before[1:] = values[:-1]
    steps = ((values - before + half) & mask) - half
    return reference + np.cumsum(steps)
