"""The signalling of calls as steps: who said which method or status when, for 24 hours, in memory only.

No header, number, address or text of a message: what is never kept can't leak.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from policy.decision import Side

__all__ = ["Ladder", "Rung", "method_word"]

KEPT_S = 24 * 3600.0
MOST_CALLS = 10_000
METHODS = frozenset({
    "ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "PUBLISH", "REFER", "REGISTER",
    "SUBSCRIBE", "UPDATE",
})  # fmt: skip
"""Any other is told as `other`: a peer may write what it likes where a method stands."""
MOST_RUNGS = 200
"""Of one call: re-INVITEs of a session timer for a whole day are fewer."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One message on its way."""

    after_s: float
    """Since the call's first."""
    by: Side
    said: str
    """`INVITE`, `183 INVITE`, `ng offer`; with ` SDP` where it carried a description."""


def method_word(method: str) -> str:
    """What the ladder keeps of a method."""
    return method if method in METHODS else "other"


@dataclass(slots=True)
class _Call:
    began_at: float
    rungs: list[Rung] = field(default_factory=list)
    missed: int = 0


class Ladder:
    """By call reference, oldest first. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, _Call] = OrderedDict()

    def note(self, call: str, by: Side, said: str, now: float, *, described: bool = False) -> None:
        """One message passed; what is older than a day goes."""
        while self._calls and (len(self._calls) > MOST_CALLS or now - self._oldest().began_at > KEPT_S):
            self._calls.popitem(last=False)
        kept = self._calls.setdefault(call, _Call(now))
        if len(kept.rungs) >= MOST_RUNGS:
            kept.missed += 1
            return
        kept.rungs.append(Rung(round(now - kept.began_at, 3), by, f"{said} SDP" if described else said))

    def rungs(self, call: str) -> tuple[tuple[Rung, ...], int] | None:
        """A call's messages, and how many more there were; None for a call that isn't known any more."""
        kept = self._calls.get(call)
        return (tuple(kept.rungs), kept.missed) if kept is not None else None

    def _oldest(self) -> _Call:
        return next(iter(self._calls.values()))
