"""Which rules may hold for a leg at its place in the log, where days and epochs are all that is known of time.

A leg's rule is judged within its day: a campaign that begins at noon may have begun or not. For whoever checks a log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

from policy.agreement.schema import Agreement
from policy.decision import Reason, Rule
from policy.draw_rules import campaign_full, caps_ok, ceiling_ok, epoch_of, rule_for, rules
from policy.epochs import RosterLeaf
from policy.errors import LogEntryError
from policy.intersection import covering
from policy.log_block import first_day
from policy.state import State
from policy.terms import Phase

OTHER: Final = "other"
"""The queue code of a queue that the first agreement doesn't name."""
Span = tuple[datetime, datetime]
_SECONDS: Final = {"H": 3600, "M": 60, "S": 1}


@dataclass(frozen=True, slots=True)
class Ruled:
    """A rule that may hold for a leg, and the agreements whose caps count."""

    rule: Rule
    agreements: tuple[Agreement, ...]


@dataclass(slots=True)
class Tally:
    """Legs and hits of an epoch in log order, and whether a drawn leg is admitted (agreement.md §4)."""

    campaigns: Counter[str]
    """Hits of each campaign, in earlier epochs too."""
    legs: Counter[int] = field(default_factory=Counter)
    """By index of the rule; counts the leg in question too."""
    hits: Counter[int] = field(default_factory=Counter)
    """By index of the rule; earlier ones only, kept or not."""
    of_agent: Counter[str] = field(default_factory=Counter)
    """Hits by pseudonym: caps are never longer than the epoch, and an epoch never longer than a week."""
    on_day: Counter[tuple[str, int]] = field(default_factory=Counter)

    def refusal(self, ruled: Ruled, agent: str, day: int) -> Reason | None:
        """Why a drawn leg is no hit."""
        rule = ruled.rule
        if not ceiling_ok(rule.ppm, legs=self.legs[rule.index], hits=self.hits[rule.index]):
            return Reason.CEILING
        today, this_week = self.on_day[agent, day], self.of_agent[agent]
        if not caps_ok(ruled.agreements, hits_today=today, hits_this_week=this_week):
            return Reason.AGENT_CAP
        if rule.campaign is not None and campaign_full(
            ruled.agreements, rule.campaign, hits=self.campaigns[rule.campaign]
        ):
            return Reason.CAMPAIGN_FULL
        return None

    def hit(self, ruled: Ruled, agent: str, day: int) -> None:
        """Count a hit."""
        self.hits[ruled.rule.index] += 1
        self.of_agent[agent] += 1
        self.on_day[agent, day] += 1
        if ruled.rule.campaign is not None:
            self.campaigns[ruled.rule.campaign] += 1


@dataclass(slots=True)
class LogTerms:
    """What the names of epochs and days in a log mean under the acts so far. None: no act is known."""

    state: State | None = None
    _known: dict[tuple[object, ...], dict[int, Ruled]] = field(default_factory=dict)

    def become(self, state: State) -> None:
        """One more act has been taken."""
        self.state = state
        self._known.clear()

    def zone(self) -> tzinfo:
        """The site's time zone; UTC where no agreement says it."""
        terms = self.state.terms if self.state is not None else ()
        return terms[0].agreement.validity.zone if terms else UTC

    def span(self, epoch: str, day: int | None = None) -> Span | None:
        """An epoch, or its `day`-th local day, as instants; None for a name that no calendar has."""
        return span_of(epoch, self.zone(), day)

    def epoch_fits(self, epoch: str) -> bool:
        """Whether an agreement in force in it counts epochs of this length."""
        span = self.span(epoch)
        if self.state is None or span is None:
            return span is not None
        middle = span[0] + (span[1] - span[0]) / 2
        return any(epoch_of(one, middle).name == epoch for one in self.state.in_force(middle))

    def min_calls(self) -> int | None:
        """How many hits `eclose` must be about to tell what was kept; None where no agreement says it."""
        terms = self.state.terms if self.state is not None else ()
        return max((one.agreement.statistics.min_calls for one in terms), default=None)

    def ruled(self, epoch: str, day: int | None, queue: str, member: RosterLeaf | None) -> dict[int, Ruled]:
        """By index: the rules that may hold for a leg on this day; for `member` None all that there are."""
        key = (epoch, day, queue, member and (member.group, member.phase))
        span = self.span(epoch, day) if key not in self._known else None
        if self.state is not None and span is not None:
            held = may_hold(self.state, span, queue, member.group, member.phase) if member is not None else None
            self._known[key] = listed(self.state, span) if held is None else held
        return self._known.get(key, {})


def span_of(epoch: str, zone: tzinfo, day: int | None = None) -> Span | None:
    """An epoch, or its `day`-th local day, as instants; None for a name that no calendar has."""
    try:
        first = first_day(epoch)
        if "T" in epoch:
            return _minutes(epoch)
        start = datetime.combine(first, time(), tzinfo=zone)
        if day is None:
            return start, start + timedelta(days=7 if "W" in epoch else 1)
        return start + timedelta(days=day), start + timedelta(days=day + 1)
    except (LogEntryError, ValueError, OverflowError):
        return None


def _minutes(epoch: str) -> Span:
    start, _, length = epoch.partition("-PT")
    begin = datetime.strptime(start, "%Y-%m-%dT%H%MZ").replace(tzinfo=UTC)
    return begin, begin + timedelta(seconds=int(length[:-1]) * _SECONDS[length[-1]])


def may_hold(state: State, span: Span, queue: str, group: str, phase: Phase) -> dict[int, Ruled]:
    """By index: the rules that may hold for a leg of this queue and roster entry within `span`, at whatever site."""
    found: dict[int, Ruled] = {}
    for agreements, at in _instants(state, span):
        queues = {name for one in agreements for name in one.scope.queues}
        told = {queue} if queue != OTHER else queues - set(agreements[0].scope.queues)
        for site in sorted({site for one in agreements for site in one.scope.sites}):
            for name in sorted(told):
                scoped = covering(agreements, site=site, queue=name, group=group)
                rule = rule_for(scoped, queue=name, group=group, phase=phase, wallclock=at)
                if rule is not None:
                    found.setdefault(rule.index, Ruled(rule, scoped))
    return found


def listed(state: State, span: Span) -> dict[int, Ruled]:
    """By index: every rule of the first agreement, where no roster says group and phase."""
    found: dict[int, Ruled] = {}
    for agreements, _ in _instants(state, span):
        for rule in rules(agreements[0]):
            found.setdefault(rule.index, Ruled(rule, agreements))
    return found


def _instants(state: State, span: Span) -> Iterator[tuple[tuple[Agreement, ...], datetime]]:
    """The agreements in force at the start of a span, or at the last act in it, and wherever a rule may change."""
    start, end = span
    if state.changed_at is not None and state.changed_at < end:
        start = max(start, state.changed_at)
    edges = {start}
    for term in state.terms:
        for campaign in term.agreement.lanes.campaigns:
            edges |= {campaign.start, campaign.end}
    at: datetime | None = start
    while at is not None and (at := state.next_change(at)) is not None and at < end:
        edges.add(at)
    for edge in sorted(edges):
        if start <= edge < end and (agreements := state.in_force(edge)):
            yield agreements, edge
