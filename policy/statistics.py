"""The council's statistics of one month: figures by rule and group, none about few calls or agents (agreement.md §6).

What is published is a function of whole, disjoint parts that each reach the limits, and of nothing else: a part that
doesn't enters no total, so there is nothing to subtract it from. Within a part a figure stands only if what lies
between it and the figure before it reaches the limits too. Counts end where the draw ends: how many callers were asked
or agreed, and how many recordings there are, would be the selected legs less those of agents who refuse. Callers'
answers are told as a rounded rate of a whole quarter, what was kept as `policy.kept` has it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from policy.agreement.schema import Agreement, StatisticsTerms
from policy.decision import Rule
from policy.draw_rules import rules
from policy.terms import Lane

__all__ = [
    "AnswerCount",
    "Bin",
    "CampaignFigures",
    "ChannelFigures",
    "Funnel",
    "GroupFigures",
    "LegCount",
    "MonthCounts",
    "QuarterCounts",
    "RuleFigures",
    "Statistics",
    "publish",
    "rule_name",
    "rule_names",
    "strictest",
]


@dataclass(frozen=True, slots=True)
class LegCount:
    """Legs of one agent in one epoch under one rule that had the same `out`."""

    rule: str
    epoch: str
    agent: str
    """The pseudonym, another one in each epoch; nobody turns it into an agent here."""
    out: str
    """`no`, `cap` or `hit`."""
    total: int


@dataclass(frozen=True, slots=True)
class AnswerCount:
    """Callers' answers: `answer` is `yes` or `no`."""

    site: str
    channel: str
    answer: str
    total: int


@dataclass(frozen=True, slots=True)
class MonthCounts:
    """Everything that was counted in a month; not for anybody's eyes."""

    legs: tuple[LegCount, ...] = ()


@dataclass(frozen=True, slots=True)
class QuarterCounts:
    """What was counted in a calendar quarter; not for anybody's eyes either."""

    hits: int = 0
    answers: tuple[AnswerCount, ...] = ()


@dataclass(frozen=True, slots=True)
class Funnel:
    """How many legs came how far; None: withheld."""

    legs: int | None = None
    drawn: int | None = None
    capped: int | None = None
    """Drawn, and not to be recorded because of ceiling or caps."""
    selected: int | None = None
    """Drawn and under ceiling and caps: to be recorded if both sides agree."""


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """One sample rate's."""

    phase: str
    funnel: Funnel


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """One group's, over all its sample rates, and each rate's."""

    group: str
    funnel: Funnel
    rules: tuple[RuleFigures, ...]


@dataclass(frozen=True, slots=True)
class CampaignFigures:
    """One campaign's."""

    campaign: str
    funnel: Funnel


@dataclass(frozen=True, slots=True)
class ChannelFigures:
    """How many of a hundred callers who answered said yes, to the nearest ten; None: withheld."""

    site: str
    channel: str
    yes_percent: int | None


@dataclass(frozen=True, slots=True)
class Bin:
    """So many times an agent had `least` to `most` hits in an epoch."""

    least: int
    most: int
    agents: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """What council, DPO and employer get of a month."""

    groups: tuple[GroupFigures, ...]
    campaigns: tuple[CampaignFigures, ...]
    channels: tuple[ChannelFigures, ...]
    """Of the newest quarter that was over with the month."""
    hits_per_agent: tuple[Bin, ...]
    """By epoch, without names; empty: withheld."""


UNSAID: Final = StatisticsTerms(min_agents=5, min_calls=20)
"""Where no agreement is in force to say it."""


# --- names of rules ---------------------------------------------------------------------------------------------------


def rule_name(rule: Rule) -> str:
    """What the statistics call a rule, the same in every agreement: `campaign/ID` or `sample/PHASE/GROUP`."""
    kind, *parts = rule.name.split("/")
    return "/".join((kind, *reversed(parts)))


def rule_names(agreement: Agreement) -> tuple[str, ...]:
    """Names in the order of `draw_rules.rules`."""
    return tuple(rule_name(rule) for rule in rules(agreement))


def strictest(terms: Iterable[StatisticsTerms]) -> StatisticsTerms:
    """The limits that hold under several agreements."""
    found = list(terms) or [UNSAID]
    return StatisticsTerms(max(one.min_agents for one in found), max(one.min_calls for one in found))


# --- publishing -------------------------------------------------------------------------------------------------------


def publish(
    counts: MonthCounts,
    quarter: QuarterCounts,
    limits: StatisticsTerms,
    *,
    of_quarter: StatisticsTerms,
    rules: Sequence[str],
    channels: Sequence[tuple[str, str]],
) -> Statistics:
    """What may be told within the month's `limits` and those `of_quarter`.

    `rules` (names) and `channels` (site, channel) are listed whether anything was counted or not. Legs under a rule
    that isn't among `rules` stand in no figure.
    """
    parts = {name: _part(counts, (name,)) for name in rules}
    funnels = {name: _funnel(part, limits) for name, part in parts.items()}
    shown = [(part, funnels[name]) for name, part in parts.items() if funnels[name].legs is not None]
    groups = []
    for group, names in _by_group(rules).items():
        funnel = _sum([funnels[name] for name in names])
        if len(names) > 1 and all(funnels[name].legs is None for name in names):
            merged = _part(counts, names)
            funnel = _funnel(merged, limits)
            shown.append((merged, funnel))
        figures = tuple(RuleFigures(_phase(name), funnels[name]) for name in names)
        groups.append(GroupFigures(group, funnel, figures))
    campaigns = tuple(CampaignFigures(_last(name), funnels[name]) for name in rules if _is_campaign(name))
    drawn = [part for part, funnel in shown if funnel.selected is not None]
    return Statistics(tuple(groups), campaigns, _channels(quarter, of_quarter, channels), _histogram(drawn, limits))


@dataclass(frozen=True, slots=True)
class _Part:
    """The counts of some rules together."""

    legs: tuple[LegCount, ...]

    def total(self, outs: Collection[str]) -> int:
        return sum(one.total for one in self.legs if one.out in outs)

    def agents(self, outs: Collection[str]) -> int:
        return _agents((one.epoch, one.agent) for one in self.legs if one.out in outs)


_ALL, _DRAWN, _HIT = frozenset({"no", "cap", "hit"}), frozenset({"cap", "hit"}), frozenset({"hit"})


def _part(counts: MonthCounts, rules: Collection[str]) -> _Part:
    return _Part(tuple(one for one in counts.legs if one.rule in rules))


def _agents(seen: Iterable[tuple[str, str]]) -> int:
    """At least so many agents: the most pseudonyms in one epoch, since those of two epochs can't be compared."""
    by_epoch: dict[str, set[str]] = {}
    for epoch, agent in seen:
        by_epoch.setdefault(epoch, set()).add(agent)
    return max((len(agents) for agents in by_epoch.values()), default=0)


def _funnel(part: _Part, limits: StatisticsTerms) -> Funnel:
    """Each figure that reaches the limits, and whose distance from the last one told does too."""
    steps = (
        ("legs", part.total(_ALL), _ALL),
        ("drawn", part.total(_DRAWN), _DRAWN),
        ("selected", part.total(_HIT), _HIT),
    )
    told: dict[str, int] = {}
    last, outs_of_last = 0, _ALL
    for name, total, outs in steps:
        enough = total >= limits.min_calls and part.agents(outs) >= limits.min_agents
        if told:
            enough = enough and last - total >= limits.min_calls
            enough = enough and part.agents(outs_of_last - outs) >= limits.min_agents
        elif name != "legs":
            return Funnel()
        if enough:
            told[name], last, outs_of_last = total, total, outs
    if "selected" in told and "drawn" in told:
        told["capped"] = told["drawn"] - told["selected"]
    return Funnel(**told)


def _sum(funnels: Sequence[Funnel]) -> Funnel:
    """Each figure that all of them tell."""
    names = ("legs", "drawn", "capped", "selected")
    told = {name: [getattr(funnel, name) for funnel in funnels] for name in names}
    return Funnel(**{name: None if None in figures else sum(figures) for name, figures in told.items()})


def _channels(
    quarter: QuarterCounts, limits: StatisticsTerms, places: Sequence[tuple[str, str]]
) -> tuple[ChannelFigures, ...]:
    # That too few answered is told as well: only where there were hits enough to expect more, whoever refuses.
    expected = quarter.hits >= 2 * limits.min_calls
    found = []
    for place in places:
        here = [one for one in quarter.answers if (one.site, one.channel) == place]
        total = sum(one.total for one in here)
        yes = sum(one.total for one in here if one.answer == "yes")
        enough = expected and total >= limits.min_calls
        found.append(ChannelFigures(*place, 10 * ((20 * yes + total) // (2 * total)) if enough else None))
    return tuple(found)


def _histogram(parts: Sequence[_Part], limits: StatisticsTerms) -> tuple[Bin, ...]:
    """Agents by hits in an epoch; neighbouring numbers share a bin until each bin has enough agents."""
    hits: dict[tuple[str, str], int] = {}
    for one in (one for part in parts for one in part.legs):
        who = (one.epoch, one.agent)
        hits[who] = hits.get(who, 0) + (one.total if one.out in _HIT else 0)
    bins: list[Bin] = []
    waiting: list[tuple[str, str]] = []
    least = 0
    for number in sorted(set(hits.values())):
        least = number if not waiting else least
        waiting += [who for who, of in hits.items() if of == number]
        if _agents(waiting) >= limits.min_agents:
            bins.append(Bin(least, number, len(waiting)))
            waiting = []
    if waiting and bins:
        last = bins.pop()
        bins.append(Bin(last.least, max(hits.values()), last.agents + len(waiting)))
    return tuple(bins)


def _is_campaign(name: str) -> bool:
    return name.startswith(f"{Lane.CAMPAIGN.value}/")


def _by_group(rules: Sequence[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in rules:
        if not _is_campaign(name):
            groups.setdefault(_last(name), []).append(name)
    return groups


def _phase(name: str) -> str:
    return name.split("/")[1]


def _last(name: str) -> str:
    return name.rpartition("/")[2]
