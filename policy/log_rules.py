"""Which rules may hold for a leg at its place in the log, where days and epochs are all that is known of time.

A leg's rule is judged within its day: a campaign that begins at noon may have begun or not. For whoever checks a log.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

from policy.agreement.schema import Agreement
from policy.decision import Reason, Rule
from policy.draw_rules import campaign_full, caps_ok, ceiling_ok, rule_for, rules
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

    def refusal(self, *, legs: int, hits: int, today: int, this_week: int, of_campaign: int) -> Reason | None:
        """Why a drawn leg is no hit; `legs` counts it, the hits only earlier ones."""
        if not ceiling_ok(self.rule.ppm, legs=legs, hits=hits):
            return Reason.CEILING
        if not caps_ok(self.agreements, hits_today=today, hits_this_week=this_week):
            return Reason.AGENT_CAP
        campaign = self.rule.campaign
        if campaign is not None and campaign_full(self.agreements, campaign, hits=of_campaign):
            return Reason.CAMPAIGN_FULL
        return None


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
