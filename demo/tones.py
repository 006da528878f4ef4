"""Sounds that phones make: plain tones, and keys as in-band tone pairs (ITU-T Q.23)."""

import numpy as np

from demo.g711 import RATE, Samples

_ROWS = (697, 770, 852, 941)
_COLUMNS = (1209, 1336, 1477, 1633)
_KEYPAD = ("123A", "456B", "789C", "*0#D")


def tone(hertz: float, seconds: float, level_db: float = -10.0) -> Samples:
    """A sine; the level is its peak against full scale."""
    wave = np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
    return (wave * 32767 * 10 ** (level_db / 20)).astype(np.int16)


def dtmf(key: str, ms: int = 100) -> Samples:
    """The tone pair of a key."""
    row = next(index for index, keys in enumerate(_KEYPAD) if key in keys)
    seconds = ms / 1000
    return tone(_ROWS[row], seconds, -12.0) + tone(_COLUMNS[_KEYPAD[row].index(key)], seconds, -10.0)
