"""How often others than their agents opened recordings, by role and purpose, in a whole quarter (agreement.md §6).

Only what an agent releases, or has recorded for a caller, can be opened: a count tells of consents. So it is told as a
number of whole `min_calls` alone, and only where as much would be left without the agent it is most about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from policy.agreement.schema import Agreement, StatisticsTerms

__all__ = ["AccessCount", "AccessFigures", "named_accesses", "tell_accesses"]

COACH = "coach"


@dataclass(frozen=True, slots=True)
class AccessCount:
    """What a role opened for a purpose; not for anybody's eyes."""

    role: str
    purpose: str
    agents: Mapping[str, int] = field(repr=False)
    """Agent → how often one of the agent's recordings was opened: each counts once a day and person."""


@dataclass(frozen=True, slots=True)
class AccessFigures:
    """At least so many times; None: withheld."""

    role: str
    purpose: str
    at_least: int | None


def named_accesses(agreement: Agreement) -> Iterable[tuple[str, str]]:
    """Role and purpose of everybody but the agent who may open recordings."""
    for line in agreement.access:
        roles = (line.role,) if line.role == COACH else line.members
        yield from ((role, purpose.value) for role in roles for purpose in line.purposes)


def tell_accesses(
    counts: Iterable[AccessCount], limits: StatisticsTerms, named: Sequence[tuple[str, str]]
) -> tuple[AccessFigures, ...]:
    """What may be told; everybody who is `named` is listed, whether anything was opened or not."""
    found = {(one.role, one.purpose): one.agents for one in counts}
    return tuple(AccessFigures(*one, _at_least(found.get(one, {}), limits)) for one in named)


def _at_least(agents: Mapping[str, int], limits: StatisticsTerms) -> int | None:
    total = sum(agents.values())
    if len(agents) < limits.min_agents or total - max(agents.values()) < limits.min_calls:
        return None
    return total - total % limits.min_calls
