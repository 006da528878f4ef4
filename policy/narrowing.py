"""What a change of an agreement means, field by field, and who may make it alone (agreement.md §3).

One table says how a field compares; a field that isn't in it is incomparable, and then both parties must sign. That a
change narrows doesn't mean that one party may make it: dropping a queue or a group can single people out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from typing import Final

from policy.agreement.leaves import is_texts, leaves
from policy.agreement.schema import Agreement, CouncilPowers
from policy.period import Period

__all__ = ["COUNCIL", "EMPLOYER", "PARTIES", "Business", "Change", "Comparison", "Kind", "compare", "who_may"]

EMPLOYER: Final = "employer"
COUNCIL: Final = "council"
PARTIES: Final = frozenset({EMPLOYER, COUNCIL})


class Kind(StrEnum):
    """Which way a field moved."""

    NARROWER = "narrower"
    WIDER = "wider"
    OTHER = "other"


class Business(StrEnum):
    """Whose business a field is when it gets narrower; everything else is both parties'."""

    RATE = "rate"
    COUNT = "count"
    CAP = "cap"
    VALIDITY = "validity"
    BOTH = "both"


LOWERED: Final = frozenset({Business.RATE, Business.COUNT, Business.CAP})
"""What the council may lower alone."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs; `old` or `new` is `None` where the document doesn't state it."""

    field: str
    kind: Kind
    business: Business = Business.BOTH
    old: object = None
    new: object = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a document differs from an older one."""

    changes: tuple[Change, ...]
    one_factor: bool
    """All rates and counts fell by one common factor."""

    @property
    def only_narrows(self) -> bool:
        """Nothing got wider, and nothing changed that can't be compared."""
        return all(change.kind is Kind.NARROWER for change in self.changes)

    @property
    def widens(self) -> bool:
        """Something got wider: a raise."""
        return any(change.kind is Kind.WIDER for change in self.changes)


# -- how a field compares: `None` where nothing changed that matters, else which way it moved

Compare = Callable[[object, object], Kind | None]


def _by(smaller: bool) -> Kind:
    return Kind.NARROWER if smaller else Kind.WIDER


def _less(old: object, new: object) -> Kind:
    """A smaller number is narrower; no number at all is no limit."""
    if isinstance(old, int) and isinstance(new, int):
        return _by(new < old)
    if old is None or new is None:
        return _by(old is None)
    return Kind.OTHER


def _more(old: object, new: object) -> Kind:
    return _less(new, old)


def _shorter(old: object, new: object) -> Kind:
    if not isinstance(old, Period) or not isinstance(new, Period):
        return Kind.OTHER
    if bool(old.months) is not bool(new.months) or old.longest_seconds == new.longest_seconds:
        return Kind.OTHER  # months and days aren't comparable; the same length in other words is still another text
    return _by(new.longest_seconds < old.longest_seconds)


def _earlier(old: object, new: object) -> Kind:
    return _by(new < old) if isinstance(old, datetime) and isinstance(new, datetime) else Kind.OTHER


def _later(old: object, new: object) -> Kind:
    return _earlier(new, old)


def _subset(old: object, new: object) -> Kind | None:
    """Fewer entries are narrower; the same ones in another order are no change."""
    if not is_texts(old) or not is_texts(new):
        return Kind.OTHER
    before, after = frozenset(old), frozenset(new)
    if before == after:
        return None
    return _by(after < before) if after < before or before < after else Kind.OTHER


def _superset(old: object, new: object) -> Kind | None:
    return _subset(new, old)


def _order(old: object, new: object) -> Kind | None:
    """The lines that both have stand in the same order; lines that came or went show as fields of their own."""
    if not isinstance(old, tuple) or not isinstance(new, tuple):
        return Kind.OTHER
    same = [key for key in old if key in new] == [key for key in new if key in old]
    return None if same else Kind.OTHER


def _newer(old: object, new: object) -> Kind | None:
    """A higher version number changes nothing by itself."""
    return None if isinstance(old, int) and isinstance(new, int) and new > old else Kind.OTHER


TABLE: Final[tuple[tuple[re.Pattern[str], Compare, Business], ...]] = tuple(
    (re.compile(re.escape(path).replace(r"\*", r"[^\]]*")), comparing, business)
    for path, comparing, business in (
        ("lanes.sample.rates[*].percent", _less, Business.RATE),
        ("lanes.campaigns[*].percent", _less, Business.RATE),
        ("lanes.campaigns[*].max_recordings", _less, Business.COUNT),
        ("lanes.sample.caps.per_agent.P1D", _less, Business.CAP),
        ("lanes.sample.caps.per_agent.P1W", _less, Business.CAP),
        ("lanes.customer_request.per_agent.P1W", _less, Business.CAP),
        ("evaluations.per_agent_per_year", _less, Business.CAP),
        ("validity.start", _later, Business.VALIDITY),
        ("validity.end", _earlier, Business.VALIDITY),
        ("version", _newer, Business.BOTH),
        ("lanes.sample.rates.order", _order, Business.BOTH),
        ("lanes.campaigns.order", _order, Business.BOTH),
        ("consent.prompts.order", _order, Business.BOTH),
        ("access.order", _order, Business.BOTH),
        ("scope.sites", _subset, Business.BOTH),
        ("scope.queues", _subset, Business.BOTH),
        ("scope.excluded_queues", _superset, Business.BOTH),
        ("scope.groups.*.min_agents", _more, Business.BOTH),
        ("prohibited", _superset, Business.BOTH),
        ("lanes.campaigns[*].min_eligible_agents", _more, Business.BOTH),
        ("consent.caller.channels", _subset, Business.BOTH),
        ("indicator.ack_max_age_ms", _less, Business.BOTH),
        ("pause.max", _shorter, Business.BOTH),
        ("access[*].purposes", _subset, Business.BOTH),
        ("access[*].ttl", _shorter, Business.BOTH),
        ("retention.*", _shorter, Business.BOTH),
        ("storage.regions", _subset, Business.BOTH),
        ("statistics.min_agents", _more, Business.BOTH),
        ("statistics.min_calls", _more, Business.BOTH),
    )
)
"""Field → how it compares and whose business a narrowing of it is.

Windows and queues of campaigns are left out on purpose: a leg that leaves a campaign falls under its group's rate.
"""

_GONE_IS_NARROWER: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"lanes\.(?:sample|customer_request|agent_request)\.[^\[]*",
        r"lanes\.sample\.rates\[.*",
        r"scope\.groups\..*",
        r"purposes\..*",
        r"access\[.*",
    )
)
"""Lines without which nothing more is recorded, seen or kept. A campaign isn't one of them, see `TABLE`."""


def compare(old: Agreement, new: Agreement) -> Comparison:
    """Every field in which `new` differs from `old`, in the document's order."""
    before, after = leaves(old), leaves(new)
    paths = [*before, *(path for path in after if path not in before)]
    found = tuple(change for path in paths if (change := _change(path, before, after)) is not None)
    return Comparison(found, _one_factor(before, after))


def who_may(found: Comparison, powers: CouncilPowers | None) -> frozenset[str]:
    """The parties of which each alone may make these changes; none: both must sign. `powers` are the old document's."""
    if not found.changes or not found.only_narrows:
        return frozenset()
    businesses = {change.business for change in found.changes}
    alone = set()
    if powers is not None and powers.lower and businesses <= LOWERED:
        alone.add(COUNCIL)
    if businesses == {Business.VALIDITY} or (found.one_factor and Business.BOTH not in businesses):
        alone.add(EMPLOYER)
    return frozenset(alone)


def _change(path: str, before: dict[str, object], after: dict[str, object]) -> Change | None:
    if path not in after:
        gone = any(pattern.fullmatch(path) for pattern in _GONE_IS_NARROWER)
        return Change(path, Kind.NARROWER if gone else Kind.OTHER, Business.BOTH, before[path], None)
    if path not in before:
        return Change(path, Kind.WIDER, Business.BOTH, None, after[path])
    old, new = before[path], after[path]
    if old == new:
        return None
    comparing, business = _rule(path)
    kind = comparing(old, new)
    return Change(path, kind, business, old, new) if kind is not None else None


def _rule(path: str) -> tuple[Compare, Business]:
    found = ((comparing, business) for pattern, comparing, business in TABLE if pattern.fullmatch(path))
    return next(found, (lambda old, new: Kind.OTHER, Business.BOTH))


def _one_factor(before: dict[str, object], after: dict[str, object]) -> bool:
    """One factor under 1 takes every rate (to a ppm) and count (rounded down) of the old document to the new one's.

    A cap may follow by the same factor or stay. Counts and caps stop at 1: rounded to nothing, a line would be dropped.
    """
    pairs = [
        (business, old, new)
        for path, old in before.items()
        if (business := _rule(path)[1]) in LOWERED
        and isinstance(old, int)
        and isinstance(new := after.get(path), int)
        and old
        and not (business is Business.CAP and old == new)
    ]
    fallen = [new < old or (business is Business.COUNT and old == 1) for business, old, new in pairs]
    numbers = [new for _, _, new in pairs]
    concerned = any(business is not Business.CAP for business, _, _ in pairs)
    if not concerned or not all(fallen) or (0 in numbers and any(numbers)):
        return False
    low = max(_least(business, old, new) for business, old, new in pairs)
    high = min(Fraction(new + 1, old) for _, old, new in pairs)
    return low < high and low < 1


def _least(business: Business, old: int, new: int) -> Fraction:
    """What the factor must be above, or at: see `_one_factor`."""
    if business is Business.RATE:
        return Fraction(new - 1, old)
    return Fraction(0 if new == 1 else new, old)
