"""Keeps the agent's side of a one-sided recording in memory until the leak meter has cleared it.

What the caller says is heard here, decoded, compared and forgotten: it has no file and no key, and nothing of it leaves
this module. What the meter could not hear whole (our queue was full, another codec) counts as a leak: nobody could say
that it isn't one.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.media.recording.intake import Intake
from gateway.media.recording.leak_meter import LeakMeter, Verdict
from gateway.media.recording.timeline import Piece
from gateway.rtp.g711 import RATE, Samples, decode
from gateway.rtp.payload_types import Law
from storage.errors import StorageError

MAX_HELD: Final = 30 * RATE
"""Samples that may wait: several times what the meter needs; more means that its thread is stuck at a disk."""
KEPT: Final = 4 * RATE
"""Samples of the caller's that are remembered while the agent's side has none, and silence that needn't be compared."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a meter is to judge next: both sides at the same places, or so many samples of silence."""

    heard: Samples
    microphone: Samples
    skipped: int = 0


class Reference:
    """What the agent was sent since the segment's zero, as far as it is still needed."""

    def __init__(self, opened_at: float, codecs: dict[int, str]) -> None:
        """Raises StorageError for a codec that isn't G.711."""
        self._intake = Intake(opened_at, codecs, lambda law, arrival: None)
        self._kept: deque[tuple[int, Samples]] = deque()
        """What came, with its position; what is missing between was silence."""
        self._end = 0

    @property
    def whole(self) -> bool:
        """Whether all that could be a voice was heard."""
        return not (self._intake.overflowed or self._intake.unread)

    def tap(self, arrival: float, packet: memoryview) -> None:
        """One packet of the caller's that was sent on to the agent."""
        self._intake.tap(arrival, packet)

    def listen(self, now: float, *, to_the_end: bool = False) -> None:
        """Take in what came until now; at the end, without waiting for what is late."""
        self._intake.drain(now)
        timeline = self._intake.timeline
        if timeline is not None:
            for piece in timeline.finish(now) if to_the_end else timeline.take(now):
                self._keep(piece)

    def read(self, start: int, end: int) -> Samples:
        """The samples of a stretch, silence where nothing came; what lies before its end is forgotten."""
        found = np.zeros(end - start, np.int16)
        for at, samples in self._kept:
            first, last = max(start, at), min(end, at + len(samples))
            if first < last:
                found[first - start : last - start] = samples[first - at : last - at]
        self._forget(end)
        return found

    def forget_old(self) -> None:
        """While nobody reads: keep the last seconds only."""
        self._forget(self._end - KEPT)

    def clear(self) -> None:
        """Forget everything."""
        self._intake.clear()
        self._kept.clear()

    def _keep(self, piece: Piece) -> None:
        if isinstance(piece, bytes):
            self._kept.append((self._end, decode(self._intake.law, piece)))
        self._end += _samples(piece)

    def _forget(self, until: int) -> None:
        while self._kept and self._kept[0][0] + len(self._kept[0][1]) <= until:
            self._kept.popleft()


class Vetting:
    """One side between timeline and file; `judge` and `finish` are for the writer thread, the rest for the loop."""

    def __init__(self, reference: Reference) -> None:
        self.reference: Final = reference
        self._meter = LeakMeter()
        self._held: deque[Piece] = deque()
        self._held_bytes = 0
        self._fed = 0
        """Position behind what was given to the meter."""
        self._gone = 0
        """Position of the first sample that is held."""

    def hold(self, pieces: list[Piece], law: Law) -> list[Stretch]:
        """Keep what left the timeline; what is to be judged of it. Raises StorageError where too much waits already."""
        self._held += pieces
        self._held_bytes += sum(len(piece) for piece in pieces if isinstance(piece, bytes))
        if self._held_bytes > MAX_HELD:
            raise StorageError("storage is too slow")
        return [self._stretch(piece, law) for piece in pieces]

    def release(self, cleared: int) -> list[Piece]:
        """What may be written now: all before a position that the meter has cleared."""
        out: list[Piece] = []
        while self._held and self._gone + _samples(self._held[0]) <= cleared:
            out.append(self._let_go())
        if self._held and self._gone < cleared:
            piece, count = self._held[0], cleared - self._gone
            self._held[0] = piece[count:] if isinstance(piece, bytes) else piece - count
            out.append(piece[:count] if isinstance(piece, bytes) else count)
            self._held_bytes -= count if isinstance(piece, bytes) else 0
            self._gone += count
        return out

    def release_all(self) -> list[Piece]:
        """Everything that is held: for the end, to be written only if `finish` finds no leak."""
        return [self._let_go() for _ in range(len(self._held))]

    def clear(self) -> None:
        """Forget all audio, the meter's too: what is judged just now is let go when that is over."""
        self._held.clear()
        self._meter = LeakMeter()
        self.reference.clear()

    def judge(self, stretches: list[Stretch]) -> tuple[Verdict, int]:
        """What the meter says with this, and up to which position it clears."""
        for stretch in stretches:
            if stretch.skipped:
                self._meter.skip(stretch.skipped)
            else:
                self._meter.feed(stretch.heard, stretch.microphone)
        return self._meter.verdict, self._meter.cleared

    def finish(self, stretches: list[Stretch]) -> Verdict:
        """The last of it; what the meter says about the whole."""
        self.judge(stretches)
        return self._meter.finish()

    def _stretch(self, piece: Piece, law: Law) -> Stretch:
        start, count = self._fed, _samples(piece)
        self._fed += count
        if isinstance(piece, bytes):
            return Stretch(self.reference.read(start, self._fed), decode(law, piece))
        if count > KEPT:
            return Stretch(_NOTHING, _NOTHING, skipped=count)
        return Stretch(self.reference.read(start, self._fed), np.zeros(count, np.int16))

    def _let_go(self) -> Piece:
        piece = self._held.popleft()
        self._held_bytes -= len(piece) if isinstance(piece, bytes) else 0
        self._gone += _samples(piece)
        return piece


_NOTHING: Final[Samples] = np.zeros(0, np.int16)


def _samples(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece
