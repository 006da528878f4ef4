"""How much of what was drawn is told to be kept: of a log's whole block, in fifths, every agent weighing the same.

A count of kept recordings is the hits less those of whoever refuses. Hits are public, and the council knows whose they
are: a few such counts name the agent. The mean over agents of each one's kept share is the same whichever of them
refuses, so it tells how many do, and roughly; fifths of 13 weeks leave nothing of how much each one had.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from policy.agreement.schema import StatisticsTerms
from policy.log_entry import MOST_FIFTHS

FIFTHS: Final = MOST_FIFTHS + 1
"""All and nearly all are told alike: at least four fifths."""


@dataclass(frozen=True, slots=True)
class Share:
    """One agent's hits in a block, and those of which a recording was there when their epoch was closed."""

    hits: int
    kept: int


@dataclass(frozen=True, slots=True)
class BlockKept:
    """What a log told of its block."""

    log: str
    """Its origin."""
    fifths: int


def kept_fifths(shares: Iterable[Share], limits: StatisticsTerms) -> int | None:
    """At least so many fifths, 0 to MOST_FIFTHS; None where it would be about too few hits or agents."""
    found = [share for share in shares if share.hits]
    if sum(share.hits for share in found) < limits.min_calls or len(found) < max(limits.min_agents, 1):
        return None
    mean = sum((Fraction(share.kept, share.hits) for share in found), Fraction()) / len(found)
    return min(MOST_FIFTHS, int(FIFTHS * mean))
