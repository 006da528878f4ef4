"""The rules of one epoch in the order in which the log's `r` counts them, and the ceilings that a leg counts for.

The order follows from the acts in the log alone. First come the documents that may bind in the epoch by the acts before
its `eopen`, then whatever each later act adds; a line keeps its place until the epoch is over, also one that an act has
lowered or dropped. Where documents overlap, a line is one rule of several agreements: a leg under it is drawn at the
lowest of their rates and counts for each of them. A rule is told by its agreement and its name, whichever of the
agreement's documents says the rate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from policy.agreement.schema import Agreement
from policy.decision import Reason, Rule
from policy.draw_rules import campaign_full, caps_ok, ceiling_ok, joined, rule_for, rules
from policy.state import State, rates_of
from policy.terms import Phase

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What one agreement's rule permits."""

    agreement: str
    """Its id, which all of its documents share."""
    rule: str
    ppm: int
    places: frozenset[int]
    """Every `r` under which a leg so far counts for it."""


@dataclass(frozen=True, slots=True)
class Ruled:
    """The rule that holds for a leg, and the agreements that it is a rule of, whose caps and counts hold, too."""

    rule: Rule
    agreements: tuple[Agreement, ...]
    ceilings: tuple[Ceiling, ...]
    """One of each agreement."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one `r` stands for."""

    rule: str
    of: tuple[tuple[str, int], ...]
    """Each agreement, and the number of the act by which both parties signed its document: a narrowing keeps it."""


class EpochRules:
    """See the module. `states`: what the acts have made, act by act; may grow, and those from `first` on count."""

    def __init__(self, span: Span, states: Sequence[State], first: int) -> None:
        self._span = span
        self._states = states
        self._next = first
        self._places: dict[Line, int] = {}
        self._signed: dict[str, int] = {}
        """By digest of a document: the act that both signed for it, or for the one that it narrows."""

    def find(
        self, agreements: Sequence[Agreement], *, queue: str, group: str, phase: Phase, wallclock: datetime
    ) -> tuple[int, Ruled] | None:
        """Place and rule for a leg entered at `wallclock` in the scope of these agreements; None: it isn't drawn."""
        rule = rule_for(agreements, queue=queue, group=group, phase=phase, wallclock=wallclock)
        if rule is None:
            return None
        self._take()
        place = self._places.get(self._line(agreements, rule.name))
        return None if place is None else (place, self._ruled(rule, agreements))

    def listed(self, agreements: Sequence[Agreement]) -> Iterator[tuple[int, Ruled]]:
        """Every line that holds while these agreements are those in force."""
        self._take()
        here = {(one.id, self._signed[one.digest]): one for one in agreements if one.digest in self._signed}
        named = _named(agreements)
        for line, place in self._places.items():
            of = [here[key] for key in line.of if key in here]
            rule = joined([named[one.id].get(line.rule) for one in of]) if len(of) == len(line.of) else None
            if rule is not None:
                yield place, self._ruled(rule, of)

    def _ruled(self, rule: Rule, agreements: Sequence[Agreement]) -> Ruled:
        lines = [(line, place) for line, place in self._places.items() if line.rule == rule.name]
        ceilings = (
            Ceiling(
                agreement=one.id,
                rule=rule.name,
                ppm=rates_of(one)[rule.name],
                places=frozenset(place for line, place in lines if one.id in dict(line.of)),
            )
            for one in agreements
        )
        return Ruled(rule, tuple(agreements), tuple(ceilings))

    def _take(self) -> None:
        for state in self._states[self._next :]:
            self._signed |= {term.agreement.digest: term.seq for term in state.terms}
            for agreements, _ in instants(state, self._span):
                named = _named(agreements)
                for several in (*((one,) for one in agreements), *_together(agreements)):
                    for name in named[several[0].id]:
                        if joined([named[one.id].get(name) for one in several]) is not None:
                            self._places.setdefault(self._line(several, name), len(self._places))
        self._next = len(self._states)

    def _line(self, agreements: Sequence[Agreement], name: str) -> Line:
        return Line(name, tuple((one.id, self._signed.get(one.digest, 0)) for one in agreements))


@dataclass(slots=True)
class Tally:
    """Legs and hits of an epoch in log order, and whether a drawn leg is admitted (agreement.md §4)."""

    campaigns: Counter[tuple[str, str]]
    """Hits by agreement and campaign, in earlier epochs too."""
    legs: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By agreement and its rule; counts the leg in question too."""
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By agreement and its rule; earlier ones only, kept or not."""
    of_agent: Counter[str] = field(default_factory=Counter)
    """Hits by pseudonym: caps are never longer than the epoch, and an epoch never longer than a week."""
    on_day: Counter[tuple[str, int]] = field(default_factory=Counter)

    def leg(self, ruled: Ruled) -> None:
        """Count a leg, drawn or not, for each agreement whose rule it is under."""
        for one in ruled.ceilings:
            self.legs[one.agreement, one.rule] += 1

    def refusal(self, ruled: Ruled, agent: str, day: int) -> Reason | None:
        """Why a drawn leg, which is counted, is no hit."""
        for one in ruled.ceilings:
            rule = (one.agreement, one.rule)
            if not ceiling_ok(one.ppm, legs=self.legs[rule], hits=self.hits[rule]):
                return Reason.CEILING
        today, this_week = self.on_day[agent, day], self.of_agent[agent]
        if not caps_ok(ruled.agreements, hits_today=today, hits_this_week=this_week):
            return Reason.AGENT_CAP
        name = ruled.rule.campaign
        full = name is not None and any(
            campaign_full((agreement,), name, hits=self.campaigns[agreement.id, name]) for agreement in ruled.agreements
        )
        return Reason.CAMPAIGN_FULL if full else None

    def hit(self, ruled: Ruled, agent: str, day: int) -> None:
        """Count a hit."""
        self.hits.update((one.agreement, one.rule) for one in ruled.ceilings)
        self.of_agent[agent] += 1
        self.on_day[agent, day] += 1
        if ruled.rule.campaign is not None:
            self.campaigns.update((one.id, ruled.rule.campaign) for one in ruled.agreements)


def since(states: Sequence[State], acts: int) -> int:
    """Index of the state after this many acts."""
    return max((index for index, state in enumerate(states) if state.seq <= acts), default=0)


def instants(state: State, span: Span) -> Iterator[tuple[tuple[Agreement, ...], datetime]]:
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


def _named(agreements: Sequence[Agreement]) -> dict[str, dict[str, Rule]]:
    """Each agreement's rules by their names, in its order."""
    return {one.id: {rule.name: rule for rule in rules(one)} for one in agreements}


def _together(agreements: Sequence[Agreement]) -> list[tuple[Agreement, ...]]:
    """Each set of two or more whose scopes some leg is in, and in no other's; in the order of their places."""
    scopes = [one.scope for one in agreements]
    every = range(len(scopes))

    def those(names: str) -> dict[str, frozenset[int]]:
        known = {name for scope in scopes for name in getattr(scope, names)}
        return {name: frozenset(i for i in every if name in getattr(scopes[i], names)) for name in known}

    barred = those("excluded_queues")
    queues = {(found, barred.get(queue, frozenset())) for queue, found in those("queues").items()}
    sites, groups = set(those("sites").values()), set(those("groups").values())
    found = {site & queue & group for site in sites for queue, bar in queues for group in groups if not site & bar}
    return [tuple(agreements[i] for i in one) for one in sorted(map(sorted, found)) if len(one) > 1]
