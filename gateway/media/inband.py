"""Digits in the audio itself, by Goertzel's bins (ITU-T Q.23, Q.24), for calls that didn't negotiate telephone-event.

Windows of 20 ms every 10 ms. A digit is one row and one column tone that hold most of the window's energy, of about
equal level; it is told once, after it ended. Speech that sounds like a digit for under 30 ms is none.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.rtp.g711 import RATE, Samples
from gateway.rtp.telephone_event import Press

ROWS: Final = (697, 770, 852, 941)
COLUMNS: Final = (1209, 1336, 1477, 1633)
KEYS: Final = ("123A", "456B", "789C", "*0#D")
WINDOW: Final = RATE // 50
HOP: Final = RATE // 100
LEAST_HITS: Final = 3
MISSES: Final = 2
SHARE: Final = 0.8
"""Of the window's energy, what both tones must hold."""
TWIST: Final = 10 ** (8 / 10)
"""Most that one of the tones may be stronger, as power."""
FLOOR: Final = 200.0
"""RMS of a window below which nothing is looked for (about -44 dBFS)."""
OFF: Final = np.array([-0.012, 0.0, 0.012])
"""A phone's tones may be off by 1.5 %, which a window of 20 ms would tell from the tone itself."""
_TONES: Final = np.outer(ROWS + COLUMNS, 1 + OFF).ravel()
_BINS: Final[NDArray[np.complex128]] = np.exp(-2j * np.pi * np.outer(_TONES, np.arange(WINDOW)) / RATE)


@dataclass(slots=True)
class _Held:
    digit: str
    began_at: float
    hits: int = 1
    misses: int = 0


class InbandReader:
    """The presses in one party's audio."""

    def __init__(self) -> None:
        self._left: Samples = np.zeros(0, np.int16)
        self._held: _Held | None = None

    @property
    def sounding(self) -> str | None:
        """The digit that sounds, as far as has been heard."""
        return self._held.digit if self._held is not None else None

    def read(self, samples: Samples, arrival: float) -> list[Press]:
        """Take one packet's samples; the presses that ended in it."""
        heard = np.concatenate((self._left, samples))
        ended: list[Press] = []
        at = 0
        while at + WINDOW <= len(heard):
            began_at = arrival - max(len(self._left) - at, 0) / RATE
            press = self._hear(_digit(heard[at : at + WINDOW]), began_at)
            ended += [press] if press else []
            at += HOP
        self._left = heard[at:]
        return ended

    def _hear(self, digit: str | None, at: float) -> Press | None:
        held = self._held
        if held is not None and digit == held.digit:
            held.hits, held.misses = held.hits + 1 + held.misses, 0
            return None
        if held is not None and held.misses + 1 < MISSES:
            held.misses += 1
            return None
        self._held = _Held(digit, at) if digit else None
        if held is None or held.hits < LEAST_HITS:
            return None
        return Press(held.digit, held.began_at, held.hits * 1000 * HOP // RATE)


def _digit(window: Samples) -> str | None:
    signal = window.astype(np.float64)
    energy = float(signal @ signal)
    if energy < FLOOR**2 * WINDOW:
        return None
    bins = np.abs(_BINS @ signal) ** 2 * 2 / WINDOW
    power = bins.reshape(-1, len(OFF)).max(axis=1)
    row, column = int(np.argmax(power[:4])), int(np.argmax(power[4:]))
    low, high = float(power[row]), float(power[4 + column])
    if low + high < SHARE * energy or low > TWIST * high or high > TWIST * low:
        return None
    return KEYS[row][column]
