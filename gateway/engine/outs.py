"""The `out` entries of legs that are over, each said a fixed time after its leg's end, in the order of the ends.

What is kept takes time to become durable, a refusal takes none: said as soon as they are known, an `out`'s place in the
log would tell beside call records who refuses. So every `out` waits as long. Only a disk that takes longer still shows.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.engine.ledger import Entered, Ledger, Wished
from policy.decision import CallerAnswer
from storage.errors import StorageError

__all__ = ["LegEnd", "Outs"]

OUT_AFTER_S: Final = 5.0
"""From a leg's end to its `out`: much longer than a healthy disk takes to seal a recording."""


@dataclass(frozen=True, slots=True)
class LegEnd:
    """What an `out` commits to."""

    booked: Entered | Wished
    told_as: str
    reasons: tuple[str, ...]
    manifests: tuple[str, ...] = field(repr=False)
    answer: CallerAnswer | None = field(repr=False)


class Outs:
    """See the module. `failed` hears of what the disk refused, which the ledger says later."""

    def __init__(self, ledger: Ledger, failed: Callable[[StorageError], object]) -> None:
        self._ledger = ledger
        self._failed = failed
        self._waiting: list[tuple[float, int, LegEnd]] = []
        self._numbers = itertools.count()
        self._saying = asyncio.Lock()

    def put(self, ended: float, end: LegEnd) -> None:
        """A leg that ended then (monotonic seconds); what became of it is durable."""
        heapq.heappush(self._waiting, (ended, next(self._numbers), end))

    def due(self, now: float | None) -> bool:
        """Whether something is to be said at `now`, and nobody is at it; None: whether anything waits."""
        if self._saying.locked() or not self._waiting:
            return False
        return now is None or self._waiting[0][0] + OUT_AFTER_S <= now

    async def say(self, now: float | None) -> None:
        """Write what is due at `now`; None: all that waits, since nobody will be here later."""
        async with self._saying:
            while self._waiting and (now is None or self._waiting[0][0] + OUT_AFTER_S <= now):
                end = heapq.heappop(self._waiting)[2]
                try:
                    await self._ledger.leave(end.booked, end.told_as, end.reasons, end.manifests, end.answer)
                except StorageError as error:
                    self._failed(error)
