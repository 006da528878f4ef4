"""Where each packet's audio belongs in a side's segment. No files, no clock: arrivals and timestamps in, bytes out.

Theory of operation. The axis is samples (8 kHz) since `opened_at`, on this machine's monotonic clock, the same for both
sides: that is what keeps them together. A sender's timestamps run on the sender's clock, with an origin that nobody
knows, and arrive late by a delay that varies. So a *run* (one SSRC without a break) has an `offset`: position of a
packet = extended timestamp + offset. The offset is the least `arrival - timestamp` of the last seconds: the packets
with least delay show the sender's clock, jitter only ever adds. It is followed slowly, a sample at a time, which
corrects 50 ppm (180 ms an hour) without an audible seam; the hole or overlap is closed by repeating a sample or
dropping it. Where the offset turns out to be wrong by more than `STEP`, or while a run is young (its first packets
were late), it steps. Where a whole batch lies farther than `WINDOW` from the offset, the sender's timestamps jumped or
stood still (a hold, a restart): the run ends and a new one begins at its own arrival.

A new SSRC is a new run. The last few runs are kept, so that late packets of the old one still find their place.

Samples stay in a buffer for `WINDOW` behind the present, which is the reorder window; the first packet for a place
wins. What leaves the buffer unfilled is silence and told as a `Gap`: `overflow` (our queue was full), `digits` (a key
press, never stored), `loss` (sequence numbers are missing) or `dtx` (the sender sent nothing). After `longest_gap_s`
without audio nothing more is filled in, and the positions behind are moved up.

`finish` clips at the stop, and fills up to it, so that both sides end alike.

Nearly all packets come one right behind the other, and numpy costs by the call, not by the byte: `go_on` places a row
of such packets with a third of the calls that `place` needs. What it can't take it leaves to `place`.
"""

import heapq
import math
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from gateway.media.plane import Gap
from gateway.rtp.g711 import RATE
from gateway.rtp.sequence import distance, extend, unwrap

WINDOW: Final = RATE // 2
"""Samples that are held back for what comes late, and the farthest a run may stray before it is a new one."""
STEP: Final = RATE // 50
"""An offset that is wrong by this much is corrected at once."""
DEADBAND: Final = 64
"""An offset that is wrong by less (8 ms) is left alone: a busy sender's or relay's delay varies that much by itself."""
DELAY_S: Final = 20.0
"""How far back the least delay is looked for: long enough to meet an undelayed packet, short beside a clock's drift."""
SETTLING_S: Final = 2.0
"""How long a run counts as young."""
PACE_S: Final = 0.5
"""How often the offset may follow by a sample: 250 ppm, which no sender's clock exceeds."""
SMALL_HOLE: Final = 20
"""Holes up to this many samples come from following the sender's clock; they repeat the sample before."""
TOLD_GAP: Final = RATE // 100
MAX_GAPS: Final = 1000
MAX_RUNS: Final = 4
Why = Literal["loss", "dtx", "overflow", "digits"]
_RANK: Final[dict[Why, int]] = {"overflow": 0, "digits": 1, "loss": 2, "dtx": 3}


Piece = bytes | int
"""Audio, or so many samples of silence (of a codec in frames: units, see `container`), which need no bytes."""


@dataclass(slots=True)
class _Run:
    """One SSRC's timestamps, tied to the axis."""

    offset: int
    timestamp: int
    """Extended, of the newest packet, in samples as all that follows."""
    seq: int
    """Extended, of the newest packet."""
    end: int
    """Extended timestamp behind the newest packet's audio."""
    began_at: float
    followed_at: float = float("-inf")
    """When the offset followed last."""
    delays: deque[tuple[float, int]] = field(default_factory=deque)
    """Least `arrival - timestamp` by batch: times rise, values rise."""

    def least_delay(self, at: float, delay: int) -> int:
        """Note a batch's least delay; the least of the last seconds."""
        while self.delays and self.delays[-1][1] >= delay:
            self.delays.pop()
        self.delays.append((at, delay))
        while self.delays[0][0] < at - DELAY_S:
            self.delays.popleft()
        return self.delays[0][1]


@dataclass(frozen=True, slots=True)
class Batch:
    """Packets of one SSRC in the order of arrival, as columns."""

    ssrc: int
    arrivals: NDArray[np.float64]
    seqs: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    payloads: list[bytes]
    """One byte a sample, but for codecs in frames (`frame_line`)."""


class Timeline:
    """One side of one segment, in a codec of one byte for a unit of its 8 kHz clock."""

    ticks: int = 1
    """Timestamp units of a sample of the axis."""

    def __init__(self, opened_at: float, silence: int, *, longest_gap_s: float = 4 * 3600.0) -> None:
        self._opened_at = opened_at
        self._silence = silence
        self._longest_gap = int(longest_gap_s * RATE)
        self._runs: dict[int, _Run] = {}
        self._audio = np.full(4 * WINDOW, silence, np.uint8)
        self._filled = np.zeros(4 * WINDOW, np.bool_)
        self._base = 0
        """Position of the buffer's first sample: all before has left."""
        self._high = 0
        """One past the last filled position."""
        self._cut = 0
        """Samples of overlong gaps that were left out, which positions are moved up by."""
        self._marks: list[tuple[int, int, Why]] = []
        self._gaps: list[Gap] = []
        self._open_gap: tuple[int, Why] | None = None
        self._last = silence
        self._out: list[Piece] = []

    @property
    def samples(self) -> int:
        """Samples that have left, silence included."""
        return self._base

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What was silence, in order; of very many only the longest."""
        return tuple(self._gaps)

    def place(self, batch: Batch) -> None:
        """Put one SSRC's packets where they belong; a batch isn't empty."""
        first = float(batch.arrivals[0])
        self._uncap(self._position(first))
        self._emit(self._position(first) - WINDOW)
        arrived = np.floor((batch.arrivals - self._opened_at) * RATE).astype(np.int64) - self._cut
        run = self._runs.get(batch.ssrc)
        reference = run.timestamp * self.ticks if run else int(batch.timestamps[0])
        timestamps = unwrap(batch.timestamps, reference, 32) // self.ticks
        run = self._follow(run, batch, arrived - timestamps, timestamps)
        seqs = unwrap(batch.seqs, run.seq, 16)
        self._mark_loss(run, seqs, timestamps, batch.payloads)
        self._write(timestamps + run.offset, batch.payloads)

    def go_on(
        self, ssrc: int, arrivals: NDArray[np.float64], seq: int, timestamp: int, audio: NDArray[np.uint8]
    ) -> bool:
        """Put packets, one in each row of `audio`, where they belong if each goes on where the one before it ended.

        `seq` and `timestamp` are the first one's. False, and nothing is done, where that isn't so.
        """
        run = self._runs.get(ssrc)
        if run is None or distance(seq, run.seq, 16) != 1 or extend(timestamp, run.timestamp, 32) != run.end:
            return False
        count, size = audio.shape
        due = (arrivals - self._opened_at) * RATE - _ramp(count, size)
        least = math.floor(float(due.min())) - self._cut - run.end
        if abs(least - run.offset) > WINDOW:
            return False
        first = run.end
        self._steer(run, float(arrivals[-1]), least)
        run.seq, run.timestamp, run.end = run.seq + count, first + (count - 1) * size, first + count * size
        self._write_row(first + run.offset, size, audio)
        return True

    def digits(self, ssrc: int, timestamp: int, arrival: float) -> None:
        """A telephone-event packet: the silence from its timestamp to now is a key press."""
        run = self._runs.get(ssrc)
        if run is not None:
            start = extend(timestamp, run.timestamp * self.ticks, 32) // self.ticks + run.offset
            end = self._position(arrival)
            if 0 <= end - start <= 20 * RATE:
                self._marks.append((start, end + STEP, "digits"))

    def overflow(self, since: float, until: float) -> None:
        """Packets were thrown away because our queue was full."""
        self._marks.append((self._position(since) - STEP, self._position(until) + STEP, "overflow"))

    def take(self, now: float) -> list[Piece]:
        """What is due at `now`: all that is older than the window."""
        self._emit(self._position(now) - WINDOW)
        out, self._out = self._out, []
        return out

    def finish(self, stopped_at: float) -> list[Piece]:
        """All that is left up to the stop, silence up to it."""
        self._uncap(self._position(stopped_at))
        self._emit(self._position(stopped_at))
        self._end_gap(self._base)
        out, self._out = self._out, []
        return out

    def _position(self, at: float) -> int:
        return int((at - self._opened_at) * RATE) - self._cut

    def _uncap(self, position: int) -> None:
        """Where silence stood still at its cap, move the axis up to go on behind it."""
        behind = position - WINDOW - max(self._base, self._high + self._longest_gap)
        if behind > 0:
            for run in self._runs.values():
                run.offset -= behind
                run.delays.clear()
            self._cut += behind

    def _follow(self, run: _Run | None, batch: Batch, delays: NDArray[np.int64], stamps: NDArray[np.int64]) -> _Run:
        """The run that the batch belongs to, its offset brought up to date."""
        at = float(batch.arrivals[-1])
        least = int(delays.min())
        if run is not None and least < run.offset - WINDOW:
            # a lone stray mustn't move the run
            early = delays < run.offset - WINDOW
            least = least if 2 * int(early.sum()) >= len(delays) else int(delays[~early].min())
        if run is None or abs(least - run.offset) > WINDOW:
            return self._begin(batch, least, stamps)
        self._steer(run, at, least)
        return run

    @staticmethod
    def _steer(run: _Run, at: float, least: int) -> None:
        """Let the offset follow the least delay of the last seconds."""
        least = run.least_delay(at, least)
        error = least - run.offset
        if abs(error) > (DEADBAND if at < run.began_at + SETTLING_S else STEP):
            run.offset = least
        elif abs(error) > DEADBAND and at >= run.followed_at + PACE_S:
            run.offset += 1 if error > 0 else -1
            run.followed_at = at

    def _begin(self, batch: Batch, least: int, stamps: NDArray[np.int64]) -> _Run:
        # the first packets may have waited together: all of them were received after the opening, so none is cut off
        offset = max(least, self._base - int(stamps.min()))
        first = int(stamps[0])
        run = _Run(offset, first, int(batch.seqs[0]), first, float(batch.arrivals[0]))
        run.least_delay(float(batch.arrivals[-1]), offset)
        self._runs.pop(batch.ssrc, None)
        self._runs[batch.ssrc] = run
        if len(self._runs) > MAX_RUNS:
            del self._runs[next(iter(self._runs))]
        return run

    def _mark_loss(self, run: _Run, seqs: NDArray[np.int64], stamps: NDArray[np.int64], payloads: list[bytes]) -> None:
        """Remember between which timestamps sequence numbers are missing, and how far the run has come."""
        order = np.argsort(seqs, kind="stable")
        for index in order.tolist() if self._missing(run, seqs, order) else ():
            seq, stamp = int(seqs[index]), int(stamps[index])
            if seq > run.seq + 1 and stamp > run.end:
                self._marks.append((run.end + run.offset, stamp + run.offset, "loss"))
            if seq >= run.seq:
                run.seq, run.end = seq, stamp + self._span(payloads[index])
        newest = int(order[-1])
        if seqs[newest] >= run.seq:
            run.seq = int(seqs[newest])
            run.end = int(stamps[newest]) + self._span(payloads[newest])
        run.timestamp = max(run.timestamp, int(stamps[newest]))

    def _span(self, payload: bytes) -> int:
        """How long a payload is, in samples of the axis."""
        return len(payload)

    @staticmethod
    def _missing(run: _Run, seqs: NDArray[np.int64], order: NDArray[np.intp]) -> bool:
        ordered = seqs[order]
        return bool(ordered[0] > run.seq + 1 or (np.diff(ordered) > 1).any())

    def _write(self, positions: NDArray[np.int64], payloads: list[bytes]) -> None:
        sizes = {len(payload) for payload in payloads}
        if len(sizes) > 1:
            for position, payload in zip(positions.tolist(), payloads, strict=True):
                self._write(np.array([position]), [payload])
            return
        size = sizes.pop()
        if not size:
            return
        samples = np.frombuffer(b"".join(payloads), np.uint8)
        if not (np.diff(positions) != size).any() and self._append(int(positions[0]), samples):
            return
        self._scatter(positions, size, samples)

    def _write_row(self, position: int, size: int, audio: NDArray[np.uint8]) -> None:
        samples = audio.ravel()
        if position + len(samples) - self._base > len(self._audio):
            self._emit(position - WINDOW)
        if not self._append(position, samples):
            self._scatter(position + _ramp(len(audio), size), size, samples)

    def _scatter(self, positions: NDArray[np.int64], size: int, samples: NDArray[np.uint8]) -> None:
        # backwards, so that the first packet for a place is the last one written there
        places = (positions[::-1, None] - self._base + np.arange(size)).ravel()
        samples = samples.reshape(-1, size)[::-1].ravel()
        # INVARIANT: nothing is placed before what has left, nor farther ahead than the buffer may grow.
        wanted = (places >= 0) & (places < self._room(int(places.max()) + 1))
        wanted[wanted] = ~self._filled[places[wanted]]
        places = places[wanted]
        if len(places):
            self._audio[places] = samples[wanted]
            self._filled[places] = True
            self._high = max(self._high, self._base + int(places.max()) + 1)

    def _append(self, position: int, samples: NDArray[np.uint8]) -> bool:
        """The usual case, audio in one piece where nothing is yet; False where it is another."""
        start = position - self._base
        end = start + len(samples)
        if start < 0 or end > self._room(end) or (position < self._high and self._filled[start:end].any()):
            return False
        self._audio[start:end] = samples
        self._filled[start:end] = True
        self._high = max(self._high, self._base + end)
        return True

    def _room(self, needed: int) -> int:
        """Make the buffer hold `needed` samples if that isn't absurd; how many it holds."""
        size = len(self._audio)
        if size < needed <= 64 * RATE:
            grown = max(needed, 2 * size)
            self._audio = np.concatenate((self._audio, np.full(grown - size, self._silence, np.uint8)))
            self._filled = np.concatenate((self._filled, np.zeros(grown - size, np.bool_)))
        return len(self._audio)

    def _emit(self, until: int) -> None:
        """Let everything before `until` leave the buffer, holes told and closed."""
        until = min(until, self._high + self._longest_gap)
        while self._base < until:
            if self._base >= self._high:
                self._leave_silence(until - self._base)
            else:
                self._out.append(self._leave(min(until, self._high) - self._base))
        self._marks = [mark for mark in self._marks if mark[1] > self._base]

    def _leave_silence(self, count: int) -> None:
        if self._open_gap is None:
            self._open_gap = (self._base, self._why(self._base, self._base + count))
        self._out.append(count)
        self._last = self._silence
        self._base += count

    def _leave(self, count: int) -> bytes:
        audio = self._audio[:count].copy()
        filled = self._filled[:count]
        if not filled.all():
            self._close_holes(audio, filled)
        elif self._open_gap is not None:
            self._end_gap(self._base)
        self._last = int(audio[-1])
        for column, rest in ((self._audio, self._silence), (self._filled, False)):
            column[:-count] = column[count:]
            column[-count:] = rest
        self._base += count
        return audio.tobytes()

    def _close_holes(self, audio: NDArray[np.uint8], filled: NDArray[np.bool_]) -> None:
        edges = np.flatnonzero(np.diff(filled.astype(np.int8), prepend=np.int8(1), append=np.int8(1)))
        starts, ends = edges[0::2].tolist(), edges[1::2].tolist()
        if self._open_gap is not None and (not starts or starts[0] > 0):
            self._end_gap(self._base)
        for start, end in zip(starts, ends, strict=True):
            if end - start <= SMALL_HOLE and self._open_gap is None and end < len(audio):
                audio[start:end] = audio[start - 1] if start else self._last
                continue
            if self._open_gap is None:
                self._open_gap = (self._base + start, self._why(self._base + start, self._base + end))
            if end < len(audio):
                self._end_gap(self._base + end)

    def _why(self, start: int, end: int) -> Why:
        reasons = [why for begin, stop, why in self._marks if begin < end and stop > start]
        return min(reasons, key=_RANK.__getitem__, default="dtx")

    def _end_gap(self, end: int) -> None:
        if self._open_gap is None:
            return
        start, why = self._open_gap
        self._open_gap = None
        if end - start >= TOLD_GAP:
            self._gaps.append(Gap(start * 1000 // RATE, end * 1000 // RATE, why))
        if len(self._gaps) > 4 * MAX_GAPS:
            longest = heapq.nlargest(MAX_GAPS, self._gaps, key=lambda gap: gap.end_ms - gap.start_ms)
            self._gaps = sorted(longest, key=lambda gap: gap.start_ms)


@lru_cache(64)
def _ramp(count: int, size: int) -> NDArray[np.int64]:
    """0, `size`, … : where packets of one size begin."""
    return np.arange(count, dtype=np.int64) * size
