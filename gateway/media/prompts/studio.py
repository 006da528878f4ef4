"""From a recording to a sound that can be played: taken apart, judged, resampled, trimmed, brought to one loudness.

What a caller wouldn't understand on a phone is refused rather than repaired: clipped, faint, with long silences, or too
long for the fifteen seconds that question and answer have together.
"""

import io
import wave
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.media.errors import SoundError
from gateway.media.inband import InbandReader
from gateway.rtp.g711 import RATE, Samples

__all__ = ["LEVEL_DB", "LONGEST_S", "as_samples", "levelled", "prepared", "resampled", "trimmed"]

LEVEL_DB: Final = -16.0
"""RMS of the parts that are spoken, below full scale."""
LONGEST_S: Final = 10.0
"""Of a question: fifteen seconds, less five for the answer (`call.asking`)."""
SHORTEST_S: Final = 1.5
FAINTEST_DB: Final = -42.0
"""Of the spoken parts: louder than this, or its noise would be heard when it is brought to `LEVEL_DB`."""
LONGEST_SILENCE_S: Final = 1.5
"""Within: a caller would take it for the end."""
MOST_BYTES: Final = 32 << 20
NOTHING: Final = "nothing to be heard"
RATES: Final = range(8_000, 96_001)
_CLIPPED: Final = 0.999
_RUN: Final = 3
"""So many samples in a row at full scale are a clipped peak."""
_MOST_CLIPPED: Final = 5
_TAPS: Final = 127

Wave = NDArray[np.float64]
"""Samples of one channel between -1 and 1."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A WAV as it came."""

    rate: int
    channels: tuple[Wave, ...]


def prepared(data: bytes) -> Samples:
    """A question from somebody's WAV; raises SoundError, which says what to do."""
    recording = _taken_apart(data)
    _refuse_clipped(recording)
    one = trimmed(resampled(_mixed(recording), recording.rate))
    level = _db(_voiced(one))
    if level < FAINTEST_DB:
        raise SoundError(f"too soft: its speech is at {level:.0f} dB, it needs {FAINTEST_DB:.0f} dB or more")
    seconds = len(one) / RATE
    if seconds > LONGEST_S:
        raise SoundError(f"{seconds:.1f} s long: with 5 s to answer, {LONGEST_S:.0f} s are left for the question")
    if seconds < SHORTEST_S:
        raise SoundError(f"{seconds:.1f} s long: nobody asks a question in less than {SHORTEST_S} s")
    silence = _longest_silence(one)
    if silence > LONGEST_SILENCE_S:
        raise SoundError(f"silent for {silence:.1f} s within: a caller would take that for its end")
    samples = as_samples(levelled(one))
    if InbandReader().read(np.concatenate((samples, np.zeros(RATE // 5, np.int16))), 0.0):
        raise SoundError("there are key tones in it: an echo of them could be taken for the caller's answer")
    return samples


def _taken_apart(data: bytes) -> Recording:
    if len(data) > MOST_BYTES:
        raise SoundError(f"over {MOST_BYTES >> 20} MiB: no question is that long")
    try:
        with wave.open(io.BytesIO(data)) as file:
            count, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            raw = file.readframes(file.getnframes())
    except (wave.Error, EOFError):
        raise SoundError("not a WAV of plain PCM: convert it to 16 bit first") from None
    if count not in (1, 2) or width not in (2, 3) or rate not in RATES:
        raise SoundError(
            f"{count} channels, {8 * width} bit, {rate} Hz: it takes mono or stereo, 16 or 24 bit, 8 to 96 kHz"
        )
    whole = np.frombuffer(raw[: len(raw) - len(raw) % (count * width)], np.uint8).reshape(-1, count, width)
    if len(whole) < rate // 10:
        raise SoundError(NOTHING)
    padded = np.zeros((*whole.shape[:2], 4), np.uint8)
    padded[:, :, 4 - width :] = whole
    samples = padded.view("<i4")[:, :, 0] / 2**31
    return Recording(rate, tuple(samples[:, channel] for channel in range(count)))


def _refuse_clipped(recording: Recording) -> None:
    for channel in recording.channels:
        full = np.convolve(np.abs(channel) >= _CLIPPED, np.ones(_RUN), "valid") >= _RUN
        peaks = int(np.count_nonzero(np.diff(full.astype(np.int8), prepend=0) == 1))
        if peaks > _MOST_CLIPPED:
            raise SoundError(f"clipped in {peaks} places: record it again, more softly")


def _mixed(recording: Recording) -> Wave:
    """Both channels together, without a constant offset."""
    one = np.mean(recording.channels, axis=0)
    one = one - np.mean(one)
    if _db(one) < FAINTEST_DB - 20:
        cancelled = max(map(_db, recording.channels)) > FAINTEST_DB
        raise SoundError("its two channels cancel each other: save one of them" if cancelled else NOTHING)
    return np.asarray(one)


def resampled(samples: Wave, rate: int) -> Wave:
    """To 8 kHz: low-pass at 3.6 kHz by a windowed sinc, then linear between neighbours."""
    if rate == RATE:
        return samples
    at = np.arange(_TAPS) - _TAPS // 2
    kernel = np.sinc(2 * 3600 / rate * at) * np.hamming(_TAPS)
    smooth = np.convolve(samples, kernel / kernel.sum(), "same")
    places = np.arange(0, len(smooth) - 1, rate / RATE)
    return np.asarray(np.interp(places, np.arange(len(smooth)), smooth))


def trimmed(samples: Wave) -> Wave:
    """Without the silence at both ends, but for 60 ms."""
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    margin = RATE * 60 // 1000
    return samples[max(int(loud[0]) - margin, 0) : int(loud[-1]) + margin]


def levelled(samples: Wave) -> Wave:
    """At `LEVEL_DB` where there is speech, peaks rounded off below full scale."""
    scaled = samples / np.sqrt(np.mean(_voiced(samples) ** 2)) * 10 ** (LEVEL_DB / 20)
    return np.asarray(np.tanh(scaled / 0.9) * 0.9)


def as_samples(samples: Wave) -> Samples:
    """In 16 bit."""
    return np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16)


def _voiced(samples: Wave) -> Wave:
    return np.asarray(samples[np.abs(samples) > 0.05 * np.abs(samples).max()])


def _db(samples: Wave) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(samples**2)) + 1e-9))


def _longest_silence(samples: Wave) -> float:
    """Seconds without a frame of 20 ms that is within 30 dB of the speech."""
    frame = RATE // 50
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    loud = np.sqrt(np.mean(frames**2, axis=1)) > np.sqrt(np.mean(_voiced(samples) ** 2)) * 10 ** (-30 / 20)
    edges = np.flatnonzero(np.concatenate(([True], loud, [True])))
    return float(np.diff(edges).max() - 1) / 50
