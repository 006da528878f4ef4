"""Whether the draw looks fair: exact tails of drawn legs per pseudonym, Holm's correction, Wilcoxon's rank sum.

Pure arithmetic of the standard library. Says how unlikely a figure is under a fair draw, never who did what.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

MILLION: Final = 1_000_000
ALARM: Final = 0.001
"""A corrected probability below this is a finding: once in a thousand fair logs."""
_EXACT_PLACES: Final = 40
"""Up to so many values without ties the rank sum's distribution is counted out."""
_NEGLIGIBLE: Final = 1e-18


@dataclass(slots=True)
class Share:
    """One pseudonym's part of one epoch."""

    epoch: str
    agent: str
    legs: Counter[int] = field(default_factory=Counter)
    """Rate (ppm) → legs under it."""
    drawn: int = 0
    hits: int = 0

    @property
    def expected(self) -> float:
        """Drawn legs that a fair draw brings on average."""
        return sum(ppm * legs for ppm, legs in self.legs.items()) / MILLION


@dataclass(frozen=True, slots=True)
class Judged:
    """A share with its two-sided exact probability, alone and corrected for how many were tested."""

    share: Share
    p: float
    corrected: float


def judge(shares: Sequence[Share]) -> list[Judged]:
    """Every share, the least likely first."""
    alone = [two_sided(distribution(share.legs), share.drawn) for share in shares]
    found = [Judged(share, p, q) for share, p, q in zip(shares, alone, holm(alone), strict=True)]
    return sorted(found, key=lambda one: (one.corrected, one.p, one.share.epoch, one.share.agent))


def distribution(legs: Mapping[int, int]) -> list[float]:
    """P(k drawn) for k = 0, 1, …: one binomial for each rate, convolved. The far tail below 1e-18 is left out."""
    found = [1.0]
    for ppm, count in legs.items():
        found = _convolved(found, binomial(count, ppm / MILLION))
    return found


def binomial(n: int, p: float) -> list[float]:
    """P(k) of n independent draws with probability p, k = 0 … n, without the negligible far tail."""
    if p <= 0 or n == 0:
        return [1.0]
    if p >= 1:
        return [0.0] * n + [1.0]
    log_p, log_q = math.log(p), math.log1p(-p)
    values = []
    for k in range(n + 1):
        log_choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        values.append(math.exp(log_choose + k * log_p + (n - k) * log_q))
        if k > n * p and values[-1] < _NEGLIGIBLE:
            break
    return values


def _convolved(left: list[float], right: list[float]) -> list[float]:
    out = [0.0] * (len(left) + len(right) - 1)
    for i, a in enumerate(left):
        if a > _NEGLIGIBLE:
            for j, b in enumerate(right):
                out[i + j] += a * b
    return out


def two_sided(values: Sequence[float], observed: int) -> float:
    """Probability of an outcome as unlikely as `observed` or less likely still."""
    here = values[observed] if observed < len(values) else 0.0
    limit = here * (1 + 1e-9)
    return min(1.0, math.fsum(value for value in values if value <= limit))


def holm(values: Sequence[float]) -> list[float]:
    """Holm's step-down: what each probability is worth among all that were tested, in the order given."""
    order = sorted(range(len(values)), key=values.__getitem__)
    out, worst = [0.0] * len(values), 0.0
    for place, index in enumerate(order):
        worst = max(worst, min(1.0, values[index] * (len(values) - place)))
        out[index] = worst
    return out


def rank_sum(chosen: Iterable[float], others: Iterable[float]) -> float:
    """Two-sided probability that `chosen` and `others` come from one population; 1.0 where one of them is empty."""
    mine, theirs = list(chosen), list(others)
    if not mine or not theirs:
        return 1.0
    pooled = sorted([(value, True) for value in mine] + [(value, False) for value in theirs])
    total, ties, before = 0.0, 0, 0
    for _, group in groupby(pooled, key=lambda one: one[0]):
        flags = [flag for _, flag in group]
        total += sum(flags) * (before + (len(flags) + 1) / 2)
        ties += len(flags) ** 3 - len(flags)
        before += len(flags)
    if not ties and before <= _EXACT_PLACES:
        return _exact_rank_sum(len(mine), len(theirs), round(total))
    return _normal_rank_sum(len(mine), len(theirs), total, ties)


def _exact_rank_sum(m: int, n: int, total: int) -> float:
    """Counted out: ways to choose m of m + n ranks with each sum."""
    ways: list[dict[int, int]] = [{0: 1}] + [{} for _ in range(m)]
    for rank in range(1, m + n + 1):
        for taken in range(min(m, rank), 0, -1):
            for value, count in ways[taken - 1].items():
                ways[taken][value + rank] = ways[taken].get(value + rank, 0) + count
    distance = abs(2 * total - m * (m + n + 1))
    extreme = sum(count for value, count in ways[m].items() if abs(2 * value - m * (m + n + 1)) >= distance)
    return extreme / math.comb(m + n, m)


def _normal_rank_sum(m: int, n: int, total: float, ties: int) -> float:
    """Normal approximation with the correction for ties and for continuity."""
    size = m + n
    variance = m * n / 12 * (size + 1 - ties / (size * (size - 1)))
    if variance <= 0:
        return 1.0
    distance = max(0.0, abs(total - m * (size + 1) / 2) - 0.5)
    return math.erfc(distance / math.sqrt(2 * variance))
