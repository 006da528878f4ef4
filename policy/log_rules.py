"""Which rules may hold for a leg at its place in the log, where days and epochs are all that is known of time.

A leg's rule is judged within its day: a campaign that begins at noon may have begun or not. For whoever checks a log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import product
from typing import Final

from policy.agreement.schema import Agreement
from policy.draw_rules import epoch_of
from policy.epoch_rules import EpochRules, Ruled, Span, instants
from policy.epochs import RosterLeaf
from policy.errors import LogEntryError
from policy.intersection import covering
from policy.log_block import first_day
from policy.state import State
from policy.terms import OTHER_QUEUES, Phase

_SECONDS: Final = {"H": 3600, "M": 60, "S": 1}


@dataclass(slots=True)
class LogTerms:
    """What the names of epochs and days in a log mean under the acts so far. None: no act is known."""

    state: State | None = None
    _states: list[State] = field(default_factory=list)
    _rules: dict[str, EpochRules] = field(default_factory=dict)
    """By epoch."""
    _known: dict[tuple[object, ...], dict[int, Ruled]] = field(default_factory=dict)

    def become(self, state: State) -> None:
        """One more act has been taken."""
        self.state = state
        self._states.append(state)
        self._known.clear()

    def begin(self, epoch: str) -> None:
        """The epoch's rules are counted from the acts so far on; once, the first time."""
        span = self.span(epoch)
        if self.state is not None and span is not None and epoch not in self._rules:
            self._rules[epoch] = EpochRules(span, self._states, len(self._states) - 1)

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
        """By the log's `r`: the rules that may hold for a leg on this day; for `member` None all that there are."""
        key = (epoch, day, queue, member and (member.group, member.phase))
        if key in self._known:
            return self._known[key]
        self.begin(epoch)
        span, rules = self.span(epoch, day), self._rules.get(epoch)
        if self.state is not None and span is not None and rules is not None:
            held = may_hold(rules, self.state, span, queue, member.group, member.phase) if member is not None else None
            self._known[key] = listed(rules, self.state, span) if held is None else held
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


def may_hold(rules: EpochRules, state: State, span: Span, queue: str, group: str, phase: Phase) -> dict[int, Ruled]:
    """By place among the epoch's `rules`: those that may hold within `span` for a leg of this queue and roster entry.

    At whatever site: that isn't in the log; and in whatever queue where it isn't named there.
    """
    found: dict[int, Ruled] = {}
    for agreements, at in instants(state, span):
        sites = sorted({site for one in agreements for site in one.scope.sites})
        queues = sorted({name for one in agreements for name in one.scope.queues}) if queue == OTHER_QUEUES else [queue]
        for site, name in product(sites, queues):
            scoped = covering(agreements, site=site, queue=name, group=group)
            one = rules.find(scoped, queue=name, group=group, phase=phase, wallclock=at)
            if one is not None:
                found.setdefault(*one)
    return found


def queue_code(agreements: Sequence[Agreement], queue: str, working: Mapping[str, int] | None) -> str:
    """What the log calls a queue: its name only where enough agents work in it, so that it tells nobody apart.

    `working`: how many agents had enough legs from each queue in the last closed epoch to count; None before there was
    one. A demo is too short for it.
    """
    naming = [one for one in agreements if queue in one.scope.queues]
    least = max((one.statistics.min_agents for one in naming), default=0)
    enough = any(one.demo for one in naming) or (working is not None and working.get(queue, 0) >= least)
    return queue if naming and enough else OTHER_QUEUES


def listed(rules: EpochRules, state: State, span: Span) -> dict[int, Ruled]:
    """By place: every rule in force within `span`, where no roster says group and phase."""
    found: dict[int, Ruled] = {}
    for agreements, _ in instants(state, span):
        for place, ruled in rules.listed(agreements):
            found.setdefault(place, ruled)
    return found
