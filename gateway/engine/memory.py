"""What became of legs that are over, for their agents' `explain`, and of calls, for everybody else's.

24 hours, in memory only, never on disk. What others are told of a call is kept apart, and from the moment it is over:
a leg is remembered only once its recording is settled.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

__all__ = ["Memory", "Remembered"]

KEPT_S = 24 * 3600.0
MOST = 50_000


@dataclass(frozen=True, slots=True)
class Remembered:
    """One leg that is over."""

    call: str
    agent: str | None
    since: datetime
    ended_at: float
    """Monotonic seconds."""
    told_as: str
    reasons: tuple[str, ...]
    drawn: bool | None
    recording: str | None


class Memory:
    """By call reference and agent, oldest first."""

    def __init__(self) -> None:
        self._legs: OrderedDict[tuple[str, str | None], Remembered] = OrderedDict()
        self._calls: OrderedDict[str, tuple[float, tuple[str, ...]]] = OrderedDict()

    def add(self, leg: Remembered) -> None:
        """Remember a leg; what is older than a day goes."""
        self._legs[leg.call, leg.agent] = leg
        self._legs.move_to_end((leg.call, leg.agent))
        while self._legs and (len(self._legs) > MOST or self._oldest().ended_at < leg.ended_at - KEPT_S):
            self._legs.popitem(last=False)

    def get(self, call: str, agent: str | None = None) -> Remembered | None:
        """What became of an agent's leg of a call; without an agent, of its last one."""
        if agent is not None:
            return self._legs.get((call, agent))
        return next((leg for leg in reversed(self._legs.values()) if leg.call == call), None)

    def call_over(self, call: str, ended_at: float, reasons: tuple[str, ...]) -> None:
        """Remember a call by what everybody may know of it: reasons that depend on no leg."""
        self._calls[call] = (ended_at, reasons)
        while len(self._calls) > MOST or next(iter(self._calls.values()))[0] < ended_at - KEPT_S:
            self._calls.popitem(last=False)

    def told_of(self, call: str) -> tuple[str, ...] | None:
        """Those reasons; None: no such call, or it ended more than a day ago."""
        found = self._calls.get(call)
        return found[1] if found is not None else None

    def _oldest(self) -> Remembered:
        return next(iter(self._legs.values()))
