"""The dry run of an agreement, for the route and the command line: figures asked for, or last month's as published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from api.reads import MonthStatistics
from policy.agreement.schema import Agreement
from policy.draw_rules import MILLION
from policy.dry_run import Limit, RuleEffect, dry_run, loads_of, month_legs
from policy.dry_run_words import sentences
from policy.month import Month
from policy.percent import percent_text

__all__ = ["DryRun", "RuleFigure", "legs_of_month", "run_dry"]


@dataclass(frozen=True, slots=True)
class RuleFigure:
    """One rule's effect, as JSON tells it."""

    rule: str
    agents: int
    legs: int
    """Of one agent in a week."""
    percent: str
    """As agreed: never exceeded."""
    effective_percent: float
    drawn_per_week: float
    hits_per_week: float
    taken: Mapping[str, float]
    """Which part of the drawn legs each limit takes, 0 to 1: `ceiling`, `P1D`, `P1W`."""
    binds: tuple[str, ...]
    """The limits that take anything, and `max_recordings` where a campaign's count is used up before its end."""
    too_small: bool
    weeks: int
    """Simulated ones."""


@dataclass(frozen=True, slots=True)
class DryRun:
    """All of it."""

    digest: str
    rules: tuple[RuleFigure, ...]
    said: tuple[str, ...]


def run_dry(agreement: Agreement, legs: Mapping[str, int], agents: Mapping[str, int], language: str) -> DryRun:
    """Simulate the agreement; raises `DryRunError` where the figures don't do."""
    effects = dry_run(agreement, loads_of(agreement, legs, agents))
    return DryRun(agreement.digest, tuple(map(_figure, effects)), sentences(agreement, effects, language))


def legs_of_month(agreement: Agreement, month: MonthStatistics, agents: Mapping[str, int]) -> dict[str, int]:
    """Legs per agent and week as a published month tells them, by group, and their average for campaigns."""
    found = Month(date.fromisoformat(f"{month.month}-01"))
    by_group, average = month_legs(agreement, month.figures, (found.after - found.first).days, agents)
    campaigns = {f"campaign/{one.id}": average for one in agreement.lanes.campaigns}
    return by_group | campaigns if average else {}


def _figure(effect: RuleEffect) -> RuleFigure:
    found = effect.simulation
    binding = [limit.value for limit in Limit if found.taken[limit]]
    if effect.count_reached_after_days is not None:
        binding.append("max_recordings")
    return RuleFigure(
        rule=effect.rule,
        agents=effect.load.agents,
        legs=effect.load.legs,
        percent=percent_text(effect.ppm),
        effective_percent=round(effect.effective_ppm * 100 / MILLION, 3),
        drawn_per_week=round(found.drawn / found.weeks, 2),
        hits_per_week=round(effect.weekly_hits, 2),
        taken={limit.value: round(effect.share(limit), 4) for limit in Limit},
        binds=tuple(binding),
        too_small=effect.too_small,
        weeks=found.weeks,
    )
