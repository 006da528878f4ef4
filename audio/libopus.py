"""Opus by the system's libopus (BSD licence; Debian: `libopus0`), through ctypes: mono, 8 to 48 kHz. Optional.

`available` says whether it is there. Nothing here holds Python's lock while it works.
"""

import ctypes
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

_VOIP: Final = 2048
_LONGEST_MS: Final = 120
_MOST_BYTES: Final = 1500


class OpusError(Exception):
    """Not Opus, or libopus isn't there."""


@lru_cache(1)
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libopus.so.0")
        for made in (library.opus_encoder_create, library.opus_decoder_create):
            made.restype = ctypes.c_void_p
    except (OSError, AttributeError):
        return None
    return library


def available() -> bool:
    """Whether libopus can be used."""
    return _library() is not None


class Encoder:
    """Samples of one rate to packets. Raises OpusError."""

    def __init__(self, rate: int) -> None:
        self._library, self._state = _opened(
            "encoder", lambda library, error: library.opus_encoder_create(rate, 1, _VOIP, error)
        )

    def encode(self, samples: Samples) -> bytes:
        """One packet of samples that last 10, 20, 40 or 60 ms."""
        taken = np.ascontiguousarray(samples, np.int16)
        packet = ctypes.create_string_buffer(_MOST_BYTES)
        pcm = ctypes.c_void_p(taken.ctypes.data)
        size = self._library.opus_encode(ctypes.c_void_p(self._state), pcm, len(taken), packet, _MOST_BYTES)
        if size < 1:
            raise OpusError("samples can't be encoded")
        return packet.raw[:size]

    def __del__(self) -> None:
        if hasattr(self, "_state"):
            self._library.opus_encoder_destroy(ctypes.c_void_p(self._state))


class Decoder:
    """Packets to samples of one rate. Raises OpusError."""

    def __init__(self, rate: int) -> None:
        self._longest = rate * _LONGEST_MS // 1000
        self._library, self._state = _opened(
            "decoder", lambda library, error: library.opus_decoder_create(rate, 1, error)
        )

    def decode(self, packet: bytes) -> Samples:
        """The samples of one packet."""
        samples = np.zeros(self._longest, np.int16)
        pcm = ctypes.c_void_p(samples.ctypes.data)
        count = self._library.opus_decode(ctypes.c_void_p(self._state), packet, len(packet), pcm, self._longest, 0)
        if count < 0:
            raise OpusError("a packet can't be decoded")
        return samples[:count]

    def __del__(self) -> None:
        if hasattr(self, "_state"):
            self._library.opus_decoder_destroy(ctypes.c_void_p(self._state))


def _opened(what: str, create: Callable[[ctypes.CDLL, object], int | None]) -> tuple[ctypes.CDLL, int]:
    library, error = _library(), ctypes.c_int(0)
    if library is None:
        raise OpusError("libopus isn't installed")
    state = create(library, ctypes.byref(error))
    if not state or error.value:
        raise OpusError(f"libopus makes no {what}")
    return library, state
