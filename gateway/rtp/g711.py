"""G.711 by table: A-law and µ-law to 16-bit samples and back, one law to the other, and mixing.

The tables follow ITU-T G.711 with the even bits of A-law inverted, as RTP carries it (RFC 3551 §4.5.14).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.rtp.packet import Buffer
from gateway.rtp.payload_types import Law

Samples = NDArray[np.int16]
Octets = NDArray[np.uint8]

RATE: Final = 8000
SILENCE: Final[dict[Law, int]] = {"PCMA": 0xD5, "PCMU": 0xFF}
_BIAS: Final = 132
_CLIP: Final = 32635


def _alaw_to_linear() -> Samples:
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _ulaw_to_linear() -> Samples:
    code = np.arange(256) ^ 0xFF
    magnitude = ((((code & 15) << 3) + _BIAS) << ((code >> 4) & 7)) - _BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _linear_to_alaw() -> Octets:
    linear = _every_sample()
    magnitude = np.where(linear < 0, -linear - 1, linear)
    exponent = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int64) - 7, 0)
    mantissa = (magnitude >> np.maximum(exponent + 3, 4)) & 15
    code: Octets = (((exponent << 4) | mantissa | np.where(linear < 0, 0, 0x80)) ^ 0x55).astype(np.uint8)
    return code


def _linear_to_ulaw() -> Octets:
    linear = _every_sample()
    magnitude = np.minimum(np.abs(linear), _CLIP) + _BIAS
    exponent = np.floor(np.log2(magnitude)).astype(np.int64) - 7
    mantissa = (magnitude >> (exponent + 3)) & 15
    code: Octets = (((exponent << 4) | mantissa | np.where(linear < 0, 0x80, 0)) ^ 0xFF).astype(np.uint8)
    return code


def _every_sample() -> NDArray[np.int64]:
    """All 16-bit samples, at the index that their bits are as an unsigned number."""
    return np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int64)


_TO_LINEAR: Final[dict[Law, Samples]] = {"PCMA": _alaw_to_linear(), "PCMU": _ulaw_to_linear()}
_FROM_LINEAR: Final[dict[Law, Octets]] = {"PCMA": _linear_to_alaw(), "PCMU": _linear_to_ulaw()}


def decode(law: Law, payload: Buffer) -> Samples:
    """16-bit samples of a payload."""
    return _TO_LINEAR[law][np.frombuffer(payload, np.uint8)]


def encode(law: Law, samples: Samples) -> bytes:
    """The payload of 16-bit samples."""
    return _FROM_LINEAR[law][samples.view(np.uint16)].tobytes()


_TRANSCODE: Final[dict[tuple[Law, Law], bytes]] = {
    ("PCMA", "PCMU"): encode("PCMU", _TO_LINEAR["PCMA"]),
    ("PCMU", "PCMA"): encode("PCMA", _TO_LINEAR["PCMU"]),
}


def transcode(payload: bytes, source: Law, target: Law) -> bytes:
    """A payload of one law in the other; the same payload where both are one."""
    return payload if source == target else payload.translate(_TRANSCODE[source, target])


def amplify(samples: Samples, gain_db: float) -> Samples:
    """Samples louder or softer, clipped at full scale."""
    return _clipped(samples * 10 ** (gain_db / 20))


def mix(law: Law, payload: Buffer, samples: Samples) -> bytes:
    """A payload with samples (as many, or fewer: the rest stays) added to it, clipped at full scale."""
    mixed = decode(law, payload).astype(np.int32)
    mixed[: len(samples)] += samples[: len(mixed)]
    return encode(law, _clipped(mixed))


def _clipped(samples: NDArray[np.floating] | NDArray[np.int32]) -> Samples:
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
