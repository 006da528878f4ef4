"""WAV as a stream of unknown length: a header with 0xFFFFFFFF sizes, then G.711 bytes as they were received.

Mono, 8 kHz, format 6 (A-law) or 7 (µ-law), as players take it even when it is cut. Nothing is ever rewritten.
"""

import struct
from typing import Final

from gateway.rtp.g711 import RATE
from gateway.rtp.payload_types import Law

_FORMATS: Final[dict[Law, int]] = {"PCMA": 6, "PCMU": 7}
_UNKNOWN: Final = 0xFFFFFFFF
_HEADER: Final = struct.Struct("<4sI4s 4sIHHIIHHH 4sI")
HEADER_BYTES: Final = _HEADER.size


def wav_header(law: Law) -> bytes:
    """The 46 bytes before the audio."""
    channels, sample_bytes, extension = 1, 1, 0
    form = (b"fmt ", 18, _FORMATS[law], channels, RATE, RATE * sample_bytes, sample_bytes, 8 * sample_bytes, extension)
    return _HEADER.pack(b"RIFF", _UNKNOWN, b"WAVE", *form, b"data", _UNKNOWN)


def container_name(law: Law) -> str:
    """What the manifest calls it."""
    return f"wav/{law}"
