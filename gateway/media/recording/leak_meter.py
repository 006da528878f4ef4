"""Whether the caller's voice is heard in the agent's microphone (agreement.md §4 `per_leg`). Numpy; no I/O, no clock.

Theory of operation. What the agent hears goes out to the headset; if it comes back into the microphone, the microphone
is a filtered, delayed copy of it, whatever else is said meanwhile. Of each window both signals are levelled (divided by
their own loudness of the last moments, so that a gap in the agent's speech counts as much as the speech), whitened
(so that a voice's pitch doesn't resemble another's) and correlated at every lag. Lags of 0 to `MAX_DELAY` are those at
which an echo can be; the same lags backwards are impossible for it and show what chance does. The correlation is put in
units of its own spread, clipped so that no single coincidence decides, and summed lag by lag with its sign: an echo
stays where it is, chance doesn't. The sum over what its spread would be is the score, and `LIMIT` of it is a leak.

A window in which the caller is silent, or the microphone is, says nothing. One that fits backwards better than forwards
is the agent's voice come back from the caller's line, and says nothing about the other way.

What was measured is in docs/leak-meter.md. Nothing is stored here but the last two seconds and one number a lag.
"""

from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.rtp.g711 import RATE, Samples

MAX_DELAY: Final = RATE // 4
"""The longest way from our port through the headset and back, in samples: 250 ms."""
WINDOW: Final = 8192
HOP: Final = WINDOW // 2
HOLD: Final = 6 * RATE
"""How long audio waits for what comes after it: a faint echo takes some seconds to tell from chance."""
LIMIT: Final = 7.5
"""Score of a leak. Two voices that have nothing to do with each other stay below 6.5."""
CLIP: Final = 4.0
"""One window's correlation counts for so many times its spread at most: a leak takes four windows, 2.5 s of speech."""
DECAY: Final = 0.93
"""What a window's evidence is worth in the next one: about seven seconds of it count."""
FEW: Final = 4
"""Fewer windows than these can't reach the limit: a segment that ends with them is judged by the next two."""
FEW_LIMIT: Final = 6.0
"""Score of a leak in three windows."""
ALONE: Final = 12.0
"""The unclipped correlation of one window that is a leak where there are too few to sum up."""
SHORTEST: Final = 5 * RATE
"""A shorter segment with speech of the caller's in it isn't judged clean: pausing often mustn't blind us."""
SPEECH: Final = 64.0
"""Root mean square of 32 ms (-54 dBFS) from which the caller's side isn't silence."""
MUTED: Final = 12.0
"""Root mean square of a window (-69 dBFS) below which a microphone sends nothing but its codec's noise."""
_BACKWARDS: Final = 6.0
_LEVELLED: Final = 256
_BLOCK: Final = 256
_FFT: Final = 2 * WINDOW
_FLOOR: Final = 30.0
_WHITENING: Final = 0.9
_NEEDED: Final = WINDOW + MAX_DELAY

Floats = NDArray[np.float64]


class Verdict(StrEnum):
    """What a meter has found so far."""

    SILENT = "silent"
    """No window had speech of the caller's in it: nothing can have leaked."""
    CLEAN = "clean"
    BRIEF = "brief"
    """The caller spoke, and the segment ended before that could be judged."""
    LEAK = "leak"
    """Final."""


class LeakMeter:
    """One side of one segment; positions are samples since its zero."""

    def __init__(self) -> None:
        self.score = 0.0
        """The highest so far."""
        self._heard: Floats = np.zeros(MAX_DELAY)
        """What the agent was sent, from `MAX_DELAY` before the next window."""
        self._microphone: Floats = np.zeros(0)
        """From the beginning of the next window."""
        self._start = 0
        self._overlap = 0
        """How many of the samples that wait were in a window already."""
        self._sum: Floats = np.zeros(MAX_DELAY + 1)
        self._weight = 0.0
        self._windows = 0
        self._strongest = 0.0
        self._leaked = False

    @property
    def verdict(self) -> Verdict:
        """What was found so far."""
        if self._leaked:
            return Verdict.LEAK
        return Verdict.CLEAN if self._windows else Verdict.SILENT

    @property
    def cleared(self) -> int:
        """Everything before this position was judged, and has waited for `HOLD` more."""
        return 0 if self._leaked else max(self._start - HOLD, 0)

    def feed(self, heard: Samples, microphone: Samples) -> Verdict:
        """Take the next samples of both, as many of one as of the other."""
        self._heard = np.concatenate((self._heard, heard))
        self._microphone = np.concatenate((self._microphone, microphone))
        while len(self._microphone) >= _NEEDED:
            self._judge()
            self._advance(HOP)
        return self.verdict

    def skip(self, samples: int) -> None:
        """The microphone sent nothing for so long: pass over it."""
        self._start += len(self._microphone) + samples
        self._overlap = 0
        self._heard, self._microphone = np.zeros(MAX_DELAY), np.zeros(0)

    def finish(self) -> Verdict:
        """The segment ends here: judge what is left, however short it is."""
        left = len(self._microphone)
        brief = self._start + left < SHORTEST
        self._heard = np.pad(self._heard, (0, _NEEDED))
        self._microphone = np.pad(self._microphone, (0, _NEEDED))
        while left > self._overlap:
            self._judge()
            self._advance(HOP)
            left -= HOP
        if self._windows < FEW and (self.score >= FEW_LIMIT or self._strongest >= ALONE):
            self._leaked = True
        return Verdict.BRIEF if brief and self.verdict is Verdict.CLEAN else self.verdict

    def _advance(self, samples: int) -> None:
        self._start += samples
        self._overlap = WINDOW - samples
        self._heard, self._microphone = self._heard[samples:], self._microphone[samples:]

    def _judge(self) -> None:
        """One window's evidence."""
        heard, microphone = self._heard[: WINDOW + 2 * MAX_DELAY], self._microphone[:WINDOW]
        if not _speaks(heard[:_NEEDED]) or microphone.std() < MUTED:
            return
        z = _correlation(heard, microphone)
        backwards, forwards = z[:MAX_DELAY], z[MAX_DELAY:]
        strongest = float(np.abs(forwards).max())
        if float(np.abs(backwards).max()) > max(_BACKWARDS, strongest):
            return
        self._windows += 1
        self._strongest = max(self._strongest, strongest)
        self._sum = DECAY * self._sum + np.clip(forwards, -CLIP, CLIP)
        self._weight = DECAY * DECAY * self._weight + 1
        self.score = max(self.score, float(np.abs(self._sum).max() / np.sqrt(self._weight)))
        self._leaked = self._leaked or self.score >= LIMIT


def _speaks(heard: Floats) -> bool:
    blocks = heard[: len(heard) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    return bool(np.mean(blocks**2, axis=1).max() >= SPEECH**2)


def _correlation(heard: Floats, microphone: Floats) -> Floats:
    """At lags -`MAX_DELAY` to `MAX_DELAY` (positive: the microphone comes later), in units of its spread."""
    near = _whitened(_levelled(microphone) * _TAPER)
    far = _whitened(_levelled(heard))
    found = np.fft.irfft(np.conj(near) * far * _BAND, _FFT)[2 * MAX_DELAY :: -1]
    # the median by hand: the first call of numpy's own would import for some milliseconds, beside the relay
    spread = np.partition(np.abs(found), MAX_DELAY)[MAX_DELAY] / 0.6745
    return np.asarray(found / spread) if spread > 0 else np.zeros(2 * MAX_DELAY + 1)


def _levelled(samples: Floats) -> Floats:
    """Divided by the loudness around each sample."""
    power = np.cumsum(np.pad(samples**2, (_LEVELLED // 2, _LEVELLED // 2)))
    loudness = np.sqrt(np.maximum(power[_LEVELLED:] - power[:-_LEVELLED], 0) / _LEVELLED)
    return np.asarray(samples / (loudness + _FLOOR))


def _whitened(samples: Floats) -> NDArray[np.complex128]:
    spectrum = np.fft.rfft(samples, _FFT)
    power = spectrum.real**2 + spectrum.imag**2
    return np.asarray(spectrum / (power + _QUIET * len(samples)) ** (_WHITENING / 2))


_QUIET: Final = 1e-6
_TAPER: Final = np.hanning(WINDOW)
_FREQUENCIES: Final = np.fft.rfftfreq(_FFT, 1 / RATE)
_BAND: Final = (_FREQUENCIES > 150) & (_FREQUENCIES < 3700)
