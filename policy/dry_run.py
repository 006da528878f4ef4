"""What an agreement would come to: each drawn rule's effective rate, and which ceiling, cap or count takes how much.

Simulated, so that ceiling and caps are the very functions that admit a leg (`draw_rules`): whole working weeks, the
legs of all agents in turn, spread evenly over five days of eight hours, drawn from a fixed stream of bytes, so that the
same question has the same answer. Each rule is simulated by itself; what a real agent's other lane takes of a cap
isn't in it, nor another agreement about the same legs, nor anybody's no.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from crypto.draw import drawn_below
from policy.agreement.schema import Agreement, Campaign
from policy.draw_rules import MILLION, caps_ok, ceiling_ok
from policy.epochs import LEGS_TO_COUNT
from policy.errors import DryRunError
from policy.state import rates_of
from policy.statistics import Statistics

__all__ = ["EVERYBODY", "Limit", "Load", "RuleEffect", "Simulation", "dry_run", "loads_of", "month_legs"]

EVERYBODY: Final = "*"
"""Name of the figure that holds where none is given for the rule or its group."""
MOST_AGENTS: Final = 10_000
MOST_LEGS: Final = 2_000
"""Of one agent in a week."""
MOST_WEEKLY: Final = 400_000
"""Legs of all rules together in a week."""
DRAWS: Final = 1_500_000
"""All rules' simulated legs together, about."""
MOST_WEEKS: Final = 400
_DAYS, _DAY_MINUTES = 5, 480


class Limit(StrEnum):
    """What keeps a drawn leg from being recorded."""

    CEILING = "ceiling"
    P1D = "P1D"
    P1W = "P1W"


@dataclass(frozen=True, slots=True)
class Load:
    """Agents under a rule, and how many legs each of them has in a week."""

    agents: int
    legs: int


@dataclass(frozen=True, slots=True)
class Simulation:
    """What came of all simulated weeks together."""

    weeks: int
    legs: int
    drawn: int
    hits: int
    taken: Mapping[Limit, int]
    """Drawn legs that a limit took: the first of them that did."""


@dataclass(frozen=True, slots=True)
class RuleEffect:
    """One drawn rule in effect."""

    rule: str
    """`sample/GROUP/PHASE` or `campaign/ID`."""
    ppm: int
    load: Load
    least: int
    """Agents that the rule needs."""
    simulation: Simulation
    campaign: Campaign | None = None
    idle: bool = False
    """So few legs that no agent counts towards the group's `min_agents` once the first epoch is over."""

    @property
    def too_small(self) -> bool:
        """Too few agents: nothing is drawn at all."""
        return self.load.agents < self.least

    @property
    def effective_ppm(self) -> int:
        """Hits per million legs, on the average: never more than agreed, whatever dice the simulation threw."""
        return min(self.ppm, self.simulation.hits * MILLION // self.simulation.legs)

    @property
    def weekly_hits(self) -> float:
        """Hits of all agents in a week, on the average."""
        most = self.ppm / MILLION * self.simulation.legs
        return min(most, self.simulation.hits) / self.simulation.weeks

    def share(self, limit: Limit) -> float:
        """Which part of the drawn legs a limit takes; 0 where it doesn't bind."""
        return self.simulation.taken[limit] / self.simulation.drawn if self.simulation.drawn else 0.0

    @property
    def count_reached_after_days(self) -> float | None:
        """When a campaign's count is used up, if that is before its end; `None`: never, or no campaign."""
        if self.campaign is None or not self.simulation.hits:
            return None
        days = self.campaign.max_recordings / self.weekly_hits * 7
        return days if days < (self.campaign.end - self.campaign.start).total_seconds() / 86_400 else None


def dry_run(agreement: Agreement, loads: Mapping[str, Load]) -> tuple[RuleEffect, ...]:
    """Every drawn rule of the agreement under `loads` (by rule, see `loads_of`), in the document's order."""
    rates = rates_of(agreement)
    campaigns = {f"campaign/{one.id}": one for one in agreement.lanes.campaigns}
    effects = []
    for rule, ppm in rates.items():
        load, campaign = loads[rule], campaigns.get(rule)
        least = campaign.min_eligible_agents if campaign else agreement.scope.groups.get(rule.split("/")[1], 0)
        weeks = max(1, min(MOST_WEEKS, DRAWS // len(rates) // (load.agents * load.legs)))
        found = _simulate(agreement, rule, ppm if load.agents >= least else 0, load, weeks)
        idle = campaign is None and _legs_in_epoch(agreement, load) < LEGS_TO_COUNT
        effects.append(RuleEffect(rule, ppm, load, least, found, campaign, idle))
    return tuple(effects)


def loads_of(agreement: Agreement, legs: Mapping[str, int], agents: Mapping[str, int]) -> dict[str, Load]:
    """The load of each rule, from figures by rule, by group, or `EVERYBODY`'s, the first that is there.

    Agents not given are the fewest that the rule needs. Raises `DryRunError` where legs are missing, a name is unknown
    or a figure too large.
    """
    rates = rates_of(agreement)
    known = {EVERYBODY, *rates, *agreement.scope.groups}
    for name in (*legs, *agents):
        if name not in known:
            raise DryRunError(f"`{name}` is neither a group nor a rule of this agreement")
    loads = {}
    for rule in rates:
        parts = rule.split("/")
        names = (rule, parts[1], EVERYBODY) if parts[0] == "sample" else (rule, EVERYBODY)
        weekly = next((legs[name] for name in names if name in legs), None)
        if weekly is None:
            raise DryRunError(f"how many legs an agent has in a week isn't known for `{rule}`: say it")
        count = next((agents[name] for name in names if name in agents), _fewest(agreement, rule))
        if not 1 <= count <= MOST_AGENTS or not 1 <= weekly <= MOST_LEGS:
            raise DryRunError(f"`{rule}` can have 1 to {MOST_AGENTS} agents, each 1 to {MOST_LEGS} legs in a week")
        loads[rule] = Load(count, weekly)
    if sum(load.agents * load.legs for load in loads.values()) > MOST_WEEKLY:
        raise DryRunError(f"more than {MOST_WEEKLY} legs in a week can't be simulated here")
    return loads


def month_legs(
    agreement: Agreement, told: Statistics, days: int, agents: Mapping[str, int]
) -> tuple[dict[str, int], int]:
    """Legs per agent and week by group, from a month's published figures; and the average, for campaigns.

    Groups whose figures are withheld are left out. The agents of a group count as `loads_of` counts them.
    """
    counted = {one.group: one.funnel.legs for one in told.groups if one.group in agreement.scope.groups}
    found = {}
    for group, legs in counted.items():
        if legs:
            count = agents.get(group, agents.get(EVERYBODY, agreement.scope.groups[group]))
            found[group] = max(1, round(legs * 7 / days / count))
    return found, max(1, round(sum(found.values()) / len(found))) if found else 0


def _fewest(agreement: Agreement, rule: str) -> int:
    kind, name = rule.split("/")[:2]
    if kind == "sample":
        return agreement.scope.groups.get(name, 1)
    return next(one.min_eligible_agents for one in agreement.lanes.campaigns if one.id == name)


def _simulate(agreement: Agreement, rule: str, ppm: int, load: Load, weeks: int) -> Simulation:
    total, hits, drawn = load.agents * load.legs, 0, 0
    taken = dict.fromkeys(Limit, 0)
    for week in range(weeks):
        found = list(_week(agreement, ppm, load, _drawn_legs(f"{rule} {week}", ppm, total)))
        drawn += len(found)
        hits += found.count(None)
        for limit in Limit:
            taken[limit] += found.count(limit)
    return Simulation(weeks, weeks * total, drawn, hits, taken)


def _drawn_legs(seed: str, ppm: int, total: int) -> list[int]:
    """Which of a week's legs are drawn, in log order."""
    stream = hashlib.shake_256(f"fairtap dry run {seed}".encode()).digest(8 * total)
    below = drawn_below(ppm)
    return [leg for leg, u in enumerate(struct.unpack(f">{total}Q", stream)) if u < below]


def _week(agreement: Agreement, ppm: int, load: Load, drawn: list[int]) -> Iterator[Limit | None]:
    """What takes each drawn leg, `None` where it is a hit."""
    total = load.agents * load.legs
    epoch, begin, hits = -1, 0, 0
    today: dict[tuple[int, int], int] = {}
    this_week: dict[int, int] = {}
    for leg in drawn:
        minute = leg * _DAYS * _DAY_MINUTES // total
        of_epoch, first = _epoch(agreement, minute, total)
        if of_epoch != epoch:
            epoch, begin, hits = of_epoch, first, 0
        agent, day = leg % load.agents, minute // _DAY_MINUTES
        by_day, by_week = today.get((agent, day), 0), this_week.get(agent, 0)
        if not ceiling_ok(ppm, legs=leg - begin + 1, hits=hits):
            yield Limit.CEILING
        elif not caps_ok((agreement,), hits_today=by_day, hits_this_week=by_week):
            yield Limit.P1W if caps_ok((agreement,), hits_today=by_day, hits_this_week=0) else Limit.P1D
        else:
            hits += 1
            today[agent, day], this_week[agent] = by_day + 1, by_week + 1
            yield None


def _legs_in_epoch(agreement: Agreement, load: Load) -> float:
    """Of one agent; a demo's epochs don't count legs."""
    if agreement.demo:
        return math.inf
    return load.legs / (_DAYS if agreement.draw.epoch.text == "P1D" else 1)


def _epoch(agreement: Agreement, minute: int, total: int) -> tuple[int, int]:
    """Number of the epoch that a working minute of the week lies in, and the first leg of it."""
    length = agreement.draw.epoch
    minutes = {"P1W": _DAYS * _DAY_MINUTES, "P1D": _DAY_MINUTES}.get(length.text, length.seconds // 60)
    number = minute // minutes
    return number, -(-number * minutes * total // (_DAYS * _DAY_MINUTES))
