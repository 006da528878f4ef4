"""One playing of a sound: which payload comes next, and whether all of them reached the party.

G.711 is mixed under what the other party says; a sound in another codec takes that packet's place.

Says nothing of when: `passage` gives the beat and sends.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np

from gateway.media.plane import Play
from gateway.rtp.g711 import RATE, Samples, amplify, encode, mix
from gateway.rtp.packet import Buffer
from gateway.rtp.payload_types import CLOCK, Law


class Voice(Protocol):
    """A sound as payloads, taken one after the other."""

    @property
    def over(self) -> bool:
        """Whether everything was taken."""
        ...

    def frame(self) -> bytes:
        """The next payload alone."""
        ...

    def beneath(self, payload: Buffer) -> bytes:
        """The next one together with a payload of the other party's, or in its place."""
        ...


class Playing:
    """A sound on its way to a party."""

    def __init__(self, order: Play, voice: Voice) -> None:
        self.order: Final = order
        self.voice: Final = voice
        self.frame_ticks: Final = CLOCK[order.codec] * order.ptime_ms // 1000
        """Timestamp units of a payload."""
        self.begun = False
        """Whether a packet of ours was sent, for the marker bit of the first."""
        self.complete = True
        """Whether everything up to now was sent."""

    def note(self, sent: bool) -> None:
        """What became of the payload that was taken last."""
        self.complete = self.complete and sent


class LawVoice:
    """Samples, coded as they are played."""

    def __init__(self, law: Law, samples: Samples, ptime_ms: int, gain_db: float) -> None:
        self._law: Final = law
        self._samples = amplify(samples, gain_db) if gain_db else samples
        self._frame_samples = RATE * ptime_ms // 1000
        self._at = 0

    @property
    def over(self) -> bool:
        """Whether every sample was taken."""
        return self._at >= len(self._samples)

    def frame(self) -> bytes:
        """The next payload alone, filled up with silence at the end."""
        taken = self._take(self._frame_samples)
        padded = np.concatenate((taken, np.zeros(self._frame_samples - len(taken), np.int16)))
        return encode(self._law, padded)

    def beneath(self, payload: Buffer) -> bytes:
        """What the other party says, with the next samples under it."""
        return mix(self._law, payload, self._take(len(payload)))

    def _take(self, count: int) -> Samples:
        taken = self._samples[self._at : self._at + count]
        self._at += count
        return taken


class CodedVoice:
    """Payloads that were coded before."""

    def __init__(self, payloads: Sequence[bytes]) -> None:
        self._payloads: Final = payloads
        self._at = 0

    @property
    def over(self) -> bool:
        """Whether every payload was taken."""
        return self._at >= len(self._payloads)

    def frame(self) -> bytes:
        """The next payload."""
        self._at += 1
        return self._payloads[self._at - 1]

    def beneath(self, payload: Buffer) -> bytes:
        """The next payload, in place of the other party's."""
        return self.frame()
