"""G.722 at 64 kbit/s (ITU-T G.722, mode 1): 16 kHz in two sub-bands, one byte for two samples. Sans-IO, no tables of C.

`decode` serves whoever opens a recording. The codec adapts from sample to sample, which Python alone would take minutes
for; but it forgets its past within half a second, so the stream is cut into pieces that begin `WARM_UP` early, and all
pieces are decoded side by side, one numpy operation for a sample of each. `Encoder` makes prompts: they are 8 kHz, so
that the lower sub-band is all there is of them, and the upper one stays silent.
"""

from bisect import bisect_right
from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
_Ints = NDArray[np.int64]

RATE: Final = 16_000
BYTES_PER_S: Final = 8000
SILENCE: Final = 0xFC
"""Repeated, it fades into next to nothing in either sub-band, whatever was before."""
WARM_UP: Final = 4000
"""Bytes that a piece begins early: half a second."""
_PIECE: Final = 8000
_MOST_PIECES: Final = 2048

# ITU-T G.722, tables 7 and 14: decision levels and quantizer outputs of the lower sub-band
_LEVELS: Final = (
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
    1458, 1612, 1765, 1980, 2195, 2557, 2919,
)  # fmt: skip
_LOW_6: Final = np.array([
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856,
    -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040, -728,
    24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464,
    4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
])  # fmt: skip
_LOW_4: Final = np.array([
    0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0
])  # fmt: skip
_HIGH_2: Final = np.array([-7408, -1616, 7408, 1616])
_LOW_LOG: Final = np.array([-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60])
"""By the 4 upper bits of a code: how the logarithm of the step grows."""
_HIGH_LOG: Final = np.array([798, -214, 798, -214])
_LOW_MOST, _HIGH_MOST = 18_432, 22_528
_LOG_TO_LINEAR: Final = np.array([round(2048 * 2 ** (step / 32)) for step in range(32)])
_QMF: Final = (3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11)
"""Half of the receiving filter of 24 taps; the other half is the same backwards."""
_NEGATIVE: Final = (63, 62, *range(31, 3, -1))
_POSITIVE: Final = tuple(range(61, 31, -1))


def decode(data: bytes) -> Samples:
    """Samples at 16 kHz, two for each byte."""
    codes = np.frombuffer(data, np.uint8).astype(np.int64)
    if not len(codes):
        return np.zeros(0, np.int16)
    pieces = min(-(-len(codes) // _PIECE), _MOST_PIECES)
    size = -(-len(codes) // pieces)
    whole = np.full(WARM_UP + pieces * size, SILENCE, np.int64)
    whole[WARM_UP : WARM_UP + len(codes)] = codes
    starts = np.arange(pieces) * size
    low, high = _sub_bands(whole, starts, WARM_UP + size)
    low, high = (band[WARM_UP:].T.ravel()[: len(codes)] for band in (low, high))
    return _joined(low, high)


def _sub_bands(codes: _Ints, starts: _Ints, steps: int) -> tuple[_Ints, _Ints]:
    """Both bands of all pieces, a row for each step."""
    count = len(starts)
    # both bands go through the same predictor: the lower one's columns first
    band = _Band(2 * count)
    most = np.repeat((_LOW_MOST, _HIGH_MOST), count)
    shift = np.repeat((8, 10), count)
    low, high = np.empty((steps, count), np.int64), np.empty((steps, count), np.int64)
    first = [0, count]
    step_log, step = np.zeros(2 * count, np.int64), np.repeat((32, 8), count)
    for at in range(steps):
        if at == WARM_UP:
            # the first piece has nothing before it
            band.forget(first)
            step_log[first], step[first] = 0, (32, 8)
        code = codes[starts + at]
        six, four, two = code & 63, (code & 63) >> 2, code >> 6
        low[at] = np.clip(band.s[:count] + ((step[:count] * _LOW_6[six]) >> 15), -16384, 16383)
        difference = (step * np.concatenate((_LOW_4[four], _HIGH_2[two]))) >> 15
        high[at] = np.clip(band.s[count:] + difference[count:], -16384, 16383)
        grown = ((step_log * 127) >> 7) + np.concatenate((_LOW_LOG[four], _HIGH_LOG[two]))
        step_log = np.minimum(np.maximum(grown, 0), most)
        scaled = _LOG_TO_LINEAR[(step_log >> 6) & 31] << 12
        step = (scaled >> (12 + shift - (step_log >> 11))) << 2
        band.adapt(difference)
    return low, high


class _Band:
    """The adaptive predictor of many sub-bands at once (§3.6): two poles, six zeros."""

    def __init__(self, count: int) -> None:
        self.s = np.zeros(count, np.int64)
        """The signal's estimate for the next sample."""
        self._zeros = np.zeros((6, count), np.int64)
        self._differences = np.zeros((6, count), np.int64)
        self._a1, self._a2 = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._r1, self._sz = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._p1, self._p2 = np.zeros(count, np.int64), np.zeros(count, np.int64)

    def forget(self, columns: list[int]) -> None:
        """Let some of them begin anew."""
        for one in (self.s, self._a1, self._a2, self._r1, self._p1, self._p2, self._sz):
            one[columns] = 0
        self._zeros[:, columns] = self._differences[:, columns] = 0

    def adapt(self, difference: _Ints) -> None:
        """Take the quantized difference of a sample."""
        r0, p0 = _sat(self.s + difference), _sat(self._sz + difference)
        sign = p0 < 0
        like_1, like_2 = sign == (self._p1 < 0), sign == (self._p2 < 0)
        first = _sat(self._a1 * 4)
        second = np.minimum(np.where(like_1, -first, first), 32767) >> 7
        a2 = np.clip(np.where(like_2, 128, -128) + second + ((self._a2 * 32512) >> 15), -12288, 12288)
        limit = 15360 - a2
        a1 = np.minimum(np.maximum(np.where(like_1, 192, -192) + ((self._a1 * 32640) >> 15), -limit), limit)
        gain = np.where(difference == 0, 0, 128)
        alike = (difference < 0) == (self._differences < 0)
        self._zeros = np.where(alike, gain, -gain) + ((self._zeros * 32640) >> 15)
        self._differences[1:] = self._differences[:-1]
        self._differences[0] = difference
        self._sz = _sat(((self._zeros * _sat(2 * self._differences)) >> 15).sum(axis=0))
        poles = ((a1 * _sat(2 * r0)) >> 15) + ((a2 * _sat(2 * self._r1)) >> 15)
        self.s = _sat(_sat(poles) + self._sz)
        self._a1, self._a2, self._r1, self._p2, self._p1 = a1, a2, r0, self._p1, p0


def _sat(values: _Ints) -> _Ints:
    return np.minimum(np.maximum(values, -32768), 32767)


def _joined(low: _Ints, high: _Ints) -> Samples:
    """The receiving quadrature mirror filters (§4.4): both bands to 16 kHz."""
    total, difference = (np.concatenate((np.zeros(11, np.int64), band)) for band in (low + high, low - high))
    even = np.convolve(difference, _QMF, "valid") >> 11
    odd = np.convolve(total, _QMF[::-1], "valid") >> 11
    return np.clip(np.stack((even, odd), axis=1).ravel(), -32768, 32767).astype(np.int16)


class Encoder:
    """Sound of 8 kHz as G.722, whose upper sub-band stays silent; keeps its state from call to call."""

    def __init__(self) -> None:
        self._s = self._sz = self._step_log = self._a1 = self._a2 = self._r1 = self._p1 = self._p2 = 0
        self._step = 32
        self._zeros = [0] * 6
        self._differences = [0] * 6

    def encode(self, samples: Samples) -> bytes:
        """One byte for each sample."""
        return bytes(map(self._code, (samples >> 1).tolist()))

    def _code(self, sample: int) -> int:
        error = _saturated(sample - self._s)
        size = error if error >= 0 else -error - 1
        level = bisect_right(_LEVELS, (size << 12) // self._step)
        code = (_POSITIVE if error >= 0 else _NEGATIVE)[level]
        difference = (self._step * _LOW_4_LIST[code >> 2]) >> 15
        self._step_log = min(max(((self._step_log * 127) >> 7) + _LOW_LOG_LIST[code >> 2], 0), _LOW_MOST)
        self._step = (_LINEAR_LIST[(self._step_log >> 6) & 31] << 4 >> (12 - (self._step_log >> 11))) << 2
        self._adapt(difference)
        return SILENT_UPPER | code

    def _adapt(self, difference: int) -> None:
        """The same for one number as `_Band.adapt` does for many: numpy would cost fifty times as much for one."""
        r0, p0 = _saturated(self._s + difference), _saturated(self._sz + difference)
        first = _saturated(self._a1 << 2)
        alike = (p0 < 0) == (self._p1 < 0)
        second = min(-first if alike else first, 32767) >> 7
        a2 = (128 if (p0 < 0) == (self._p2 < 0) else -128) + second + ((self._a2 * 32512) >> 15)
        self._a2 = a2 = min(max(a2, -12288), 12288)
        limit = 15360 - a2
        self._a1 = a1 = min(max((192 if alike else -192) + ((self._a1 * 32640) >> 15), -limit), limit)
        gain, negative = (128 if difference else 0), difference < 0
        self._zeros = zeros = [
            (gain if negative == (old < 0) else -gain) + ((zero * 32640) >> 15)
            for zero, old in zip(self._zeros, self._differences, strict=True)
        ]
        self._differences = differences = [difference, *self._differences[:5]]
        sz = 0
        for zero, old in zip(zeros, differences, strict=True):
            sz += (zero * _saturated(old << 1)) >> 15
        self._sz = sz = _saturated(sz)
        poles = ((a1 * _saturated(r0 << 1)) >> 15) + ((a2 * _saturated(self._r1 << 1)) >> 15)
        self._s = _saturated(_saturated(poles) + sz)
        self._r1, self._p2, self._p1 = r0, self._p1, p0


def _saturated(value: int) -> int:
    return -32768 if value < -32768 else 32767 if value > 32767 else value


SILENT_UPPER: Final = 0xC0
"""The code of the smallest step in the upper sub-band."""
_LOW_4_LIST, _LOW_LOG_LIST, _LINEAR_LIST = _LOW_4.tolist(), _LOW_LOG.tolist(), _LOG_TO_LINEAR.tolist()
