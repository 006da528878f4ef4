"""Finds a sound that was sent in what was heard or recorded: normalised cross-correlation by FFT."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo.g711 import RATE, Samples


@dataclass(frozen=True, slots=True)
class Match:
    """Where a sound fits best, and how well."""

    lag: int
    """Index of the first of the sound's samples in what was searched."""
    strength: float
    """1.0: the same wave; about 0: not there. Loudness doesn't count."""

    @property
    def lag_ms(self) -> float:
        """The lag in milliseconds at 8 kHz."""
        return self.lag * 1000 / RATE


def find(sound: Samples, where: Samples) -> Match:
    """Best place of `sound` as a whole within `where`; strength 0 where it doesn't fit or either is silent."""
    needle, hay = sound.astype(np.float64), where.astype(np.float64)
    if not 0 < len(needle) <= len(hay) or not needle.any():
        return Match(0, 0.0)
    energy = _moving_energy(hay, len(needle))
    audible = energy > energy.max() * 1e-6
    if not audible.any():
        return Match(0, 0.0)
    score = np.where(audible, _correlation(needle, hay), 0.0)
    score /= np.sqrt(np.where(audible, energy, 1.0) * (needle @ needle))
    lag = int(score.argmax())
    return Match(lag, float(score[lag]))


def level_db(samples: Samples) -> float:
    """RMS level in dB below the full scale of 16 bits; -inf where there is nothing but zeros."""
    power = float(np.mean(samples.astype(np.float64) ** 2)) if len(samples) else 0.0
    return 10 * float(np.log10(power / 32768**2)) if power else float("-inf")


def tone_db(samples: Samples, hertz: float) -> float:
    """Level of one frequency in dB below a full-scale sine, read over the whole of `samples`."""
    window = np.hanning(len(samples))
    turning = np.exp(-2j * np.pi * hertz / RATE * np.arange(len(samples)))
    amplitude = 2 * abs(np.sum(samples * window * turning)) / max(float(window.sum()), 1.0)
    return 20 * float(np.log10(amplitude / 32768)) if amplitude else float("-inf")


def _correlation(needle: NDArray[np.float64], hay: NDArray[np.float64]) -> NDArray[np.float64]:
    size = 1 << (len(hay) + len(needle) - 1).bit_length()
    spectrum = np.fft.rfft(hay, size) * np.conj(np.fft.rfft(needle, size))
    return np.fft.irfft(spectrum, size)[: len(hay) - len(needle) + 1]


def _moving_energy(hay: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    total = np.concatenate(([0.0], np.cumsum(hay**2)))
    return total[length:] - total[:-length]
