"""Sees every entry of one log for what isn't the verifier's: legs that the council's openings open, and wanted outs."""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from council.cdr import Leg
from council.codes import Code
from council.finding import Findings
from policy import log_entry
from policy.opening import CallOpening

EVERY: Final = 4096


class Opened:
    """Call it with every entry. `openings`: by epoch and index; `wanted`: indices of `out` entries."""

    def __init__(
        self,
        origin: str,
        openings: Mapping[str, Mapping[int, CallOpening]],
        wanted: Collection[int],
        findings: Findings,
        progress: Callable[[int], None],
    ) -> None:
        self.legs: list[Leg] = []
        self.outs: list[tuple[int, log_entry.Out]] = []
        self._origin, self._openings, self._wanted, self._progress = origin, openings, wanted, progress
        self._findings = findings
        self._running: dict[tuple[str, str, int], Leg] = {}

    def __call__(self, index: int, entry: log_entry.Entry) -> None:
        """An entry; the number of those seen is told now and then."""
        if index % EVERY == 0:
            self._progress(index)
        if isinstance(entry, log_entry.Call) and entry.e in self._openings:
            self._call(index, entry, self._openings[entry.e].get(index))
        elif isinstance(entry, log_entry.Out):
            leg = self._running.pop((entry.e, entry.a, entry.n), None) if entry.o != "wish" else None
            if leg is not None:
                leg.hit = entry.o == "hit"
            if index in self._wanted:
                self.outs.append((index, entry))

    def _call(self, index: int, entry: log_entry.Call, opening: CallOpening | None) -> None:
        """The epoch's opening file opens each of its legs."""
        if opening is None or opening.entry != index or not opening.fits(entry.c):
            self._findings.add(Code.OPENING, f"{self._origin} entry {index}", epoch=entry.e)
            return
        leg = Leg(index, opening, origin=self._origin)
        self._running[entry.e, entry.a, entry.n] = leg
        self.legs.append(leg)
