"""One playing of a sound: which samples come next, and whether all of them reached the party.

Says nothing of when: `passage` gives the beat and sends.
"""

from typing import Final

import numpy as np

from gateway.media.plane import Play
from gateway.rtp.g711 import RATE, Samples, amplify, encode, mix
from gateway.rtp.packet import Buffer


class Playing:
    """A sound on its way to a party."""

    def __init__(self, order: Play, samples: Samples) -> None:
        self.order: Final = order
        self.frame_samples: Final = RATE * order.ptime_ms // 1000
        self.begun = False
        """Whether a packet of ours was sent, for the marker bit of the first."""
        self.complete = True
        """Whether everything up to now was sent."""
        self._samples = amplify(samples, order.gain_db) if order.gain_db else samples
        self._at = 0

    @property
    def over(self) -> bool:
        """Whether every sample was taken."""
        return self._at >= len(self._samples)

    def frame(self) -> bytes:
        """The next payload alone, filled up with silence at the end."""
        taken = self._take(self.frame_samples)
        padded = np.concatenate((taken, np.zeros(self.frame_samples - len(taken), np.int16)))
        return encode(self.order.codec, padded)

    def beneath(self, payload: Buffer) -> bytes:
        """What the other party says, with the next samples under it."""
        return mix(self.order.codec, payload, self._take(len(payload)))

    def note(self, sent: bool) -> None:
        """What became of the payload that was taken last."""
        self.complete = self.complete and sent

    def _take(self, count: int) -> Samples:
        taken = self._samples[self._at : self._at + count]
        self._at += count
        return taken
