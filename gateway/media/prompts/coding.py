"""Sounds in codecs that can't be mixed packet by packet: coded as a whole before they are played, and kept.

G.711 is coded as it is played (`player`).
"""

import numpy as np

from audio import g722, libopus
from gateway.media.errors import SoundError
from gateway.rtp.g711 import RATE, Samples
from gateway.rtp.payload_types import LAWS, Codec

__all__ = ["coded", "playable"]


def playable() -> tuple[Codec, ...]:
    """The codecs that sounds can be played in on this machine."""
    return (*LAWS, "G722", "OPUS") if libopus.available() else (*LAWS, "G722")


def coded(codec: Codec, samples: Samples, ptime_ms: int) -> list[bytes]:
    """Payloads of `ptime_ms` each, the last one filled up with silence. Raises SoundError."""
    if codec not in ("G722", "OPUS"):
        raise SoundError(f"sounds can't be played in `{codec}`")
    size = RATE * ptime_ms // 1000
    whole = np.concatenate((samples, np.zeros(-len(samples) % size, np.int16)))
    frames = (whole[at : at + size] for at in range(0, len(whole), size))
    try:
        encoder = g722.Encoder() if codec == "G722" else libopus.Encoder(RATE)
        return [encoder.encode(frame) for frame in frames]
    except libopus.OpusError:
        raise SoundError(f"sounds can't be played in `{codec}`") from None
