"""G.711 for the simulated phones (ITU-T G.711): int16 samples at 8 kHz to A-law or µ-law octets and back.

Written apart from what the gateway uses for its prompts, so that the two check each other.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Codec = Literal["PCMA", "PCMU"]
Samples = NDArray[np.int16]

RATE = 8000
"""Samples a second."""


def encode(codec: Codec, samples: Samples) -> bytes:
    """Octets of the nearest quantisation levels, one for each sample."""
    return _ENCODE[codec][samples.astype(np.int32) + 32768].tobytes()


def decode(codec: Codec, payload: bytes) -> Samples:
    """Samples of a payload, one for each octet."""
    return _DECODE[codec][np.frombuffer(payload, np.uint8)]


def _a_law_levels() -> Samples:
    code = np.arange(256) ^ 0x55
    segment, step = (code >> 4) & 7, ((code & 15) << 4) + 8
    level = np.where(segment == 0, step, (step + 256) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, level, -level).astype(np.int16)


def _mu_law_levels() -> Samples:
    code = ~np.arange(256) & 0xFF
    level = ((((code & 15) << 3) + 132) << ((code >> 4) & 7)) - 132
    return np.where(code & 0x80, -level, level).astype(np.int16)


def _encoder(levels: Samples) -> NDArray[np.uint8]:
    # by level, then by code: of µ-law's two zeros the positive one (0xFF), which phones send, stands last
    order = np.lexsort((np.arange(256), levels))
    ascending = levels[order].astype(np.int32)
    edges = (ascending[:-1] + ascending[1:]) / 2
    return order[np.searchsorted(edges, np.arange(-32768, 32768), side="right")].astype(np.uint8)


_DECODE = {"PCMA": _a_law_levels(), "PCMU": _mu_law_levels()}
_ENCODE = {codec: _encoder(levels) for codec, levels in _DECODE.items()}
