"""Under which rule a leg is drawn, and whether a drawn leg is admitted (agreement.md §4, crypto.md §4).

Pure functions over counters that the log's writer keeps; the draw's arithmetic itself is `crypto.draw`.
Numbers of several agreements take the minimum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from policy.agreement.schema import Agreement, Campaign, CustomerRequestLane
from policy.decision import Rule
from policy.state import campaign_rule, sample_rule
from policy.terms import Lane, Phase
from policy.validity import local_time

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch, half-open, in UTC. The name is `2026-03-01`, `2026-W10` or `2026-03-01T1005Z-PT5M`."""

    name: str
    start: datetime
    end: datetime


def epoch_of(agreement: Agreement, wallclock: datetime) -> Epoch:
    """The epoch that holds `wallclock`: a local day, a local ISO week, or whole minutes of UTC (demo)."""
    length = agreement.draw.epoch
    local = local_time(agreement, wallclock)
    if length.text == "P1D":
        return Epoch(local.date().isoformat(), *_days(agreement, local.date(), 1))
    if length.text == "P1W":
        year, week, weekday = local.isocalendar()
        monday = local.date() - timedelta(days=weekday - 1)
        return Epoch(f"{year}-W{week:02}", *_days(agreement, monday, 7))
    start = _floor(wallclock.astimezone(UTC), length.seconds)
    return Epoch(f"{start:%Y-%m-%dT%H%MZ}-{length.text}", start, start + timedelta(seconds=length.seconds))


def _days(agreement: Agreement, first: date, count: int) -> tuple[datetime, datetime]:
    return _midnight(agreement, first), _midnight(agreement, first + timedelta(days=count))


def _midnight(agreement: Agreement, day: date) -> datetime:
    # With fold 0 a midnight that the clocks skip becomes the instant of the change, one that repeats its first pass.
    return datetime.combine(day, time(), tzinfo=agreement.validity.zone).astimezone(UTC)


def _floor(instant: datetime, seconds: int) -> datetime:
    since = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return instant - since % timedelta(seconds=seconds)


def phase_in_epoch(agreement: Agreement, group: str, phase: Phase, since: date, epoch: Epoch) -> Phase:
    """The phase an agent has for a whole epoch: onboarding ends before the epoch that holds day `max_days` + 1.

    `since` is the first day of onboarding (local), which counts as day 1.
    """
    if phase is Phase.REGULAR:
        return phase
    sample = agreement.lanes.sample
    rates = sample.rates if sample is not None else ()
    most = next((r.max_days for r in rates if r.group == group and r.phase is phase), None)
    last = local_time(agreement, epoch.end - timedelta(microseconds=1)).date()
    return phase if most is not None and (last - since).days + 1 <= most else Phase.REGULAR


def rules(agreement: Agreement) -> tuple[Rule, ...]:
    """All drawn rules: campaigns, then sample rates, as the document lists them."""
    lanes = agreement.lanes
    drawn = [Rule(Lane.CAMPAIGN, one.purpose, one.ppm, campaign_rule(one.id), one.id) for one in lanes.campaigns]
    if lanes.sample is not None:
        lines = ((rate, sample_rule(rate.group, rate.phase)) for rate in lanes.sample.rates)
        drawn += [Rule(Lane.SAMPLE, lanes.sample.purpose, rate.ppm, name) for rate, name in lines]
    return tuple(drawn)


def rule_for(
    agreements: Sequence[Agreement], *, queue: str, group: str, phase: Phase, wallclock: datetime
) -> Rule | None:
    """The one rule for a leg entered at `wallclock`, or `None` where the agreements have none or don't agree.

    `agreements` are those whose scope contains the leg.
    """
    return joined([_rule(agreement, queue, group, phase, wallclock) for agreement in agreements])


def joined(found: Sequence[Rule | None]) -> Rule | None:
    """One rule of several agreements, at the lowest rate; None where one has none or they don't agree."""
    known = [rule for rule in found if rule is not None]
    if not known or len(known) != len(found):
        return None
    if len({(rule.lane, rule.purpose, rule.campaign) for rule in known}) > 1:
        return None  # one leg, one lane, one purpose
    return replace(known[0], ppm=min(rule.ppm for rule in known))


def _rule(agreement: Agreement, queue: str, group: str, phase: Phase, wallclock: datetime) -> Rule | None:
    running = (one for one in agreement.lanes.campaigns if one.queue == queue and one.start <= wallclock < one.end)
    campaign = next(running, None)
    name = campaign_rule(campaign.id) if campaign is not None else sample_rule(group, phase)
    return next((rule for rule in rules(agreement) if rule.name == name), None)


def ceiling(ppm: int, legs: int) -> int:
    """The most hits that a rule may have after `legs` legs: ceil(ppm · legs / 10^6)."""
    return -(-ppm * legs // MILLION)


def ceiling_ok(ppm: int, *, legs: int, hits: int) -> bool:
    """One hit more stays under the ceiling; `legs` counts this leg too, `hits` only earlier ones of the epoch."""
    return hits + 1 <= ceiling(ppm, legs)


def caps_ok(agreements: Iterable[Agreement], *, hits_today: int, hits_this_week: int) -> bool:
    """One hit more stays within the agent's caps; hits count over all drawn lanes, kept or not."""
    caps = [agreement.lanes.sample.caps for agreement in agreements if agreement.lanes.sample is not None]
    per_day = [cap.per_day for cap in caps if cap.per_day is not None]
    per_week = [cap.per_week for cap in caps if cap.per_week is not None]
    return all(hits_today < cap for cap in per_day) and all(hits_this_week < cap for cap in per_week)


def campaign_full(agreements: Iterable[Agreement], campaign: str, *, hits: int) -> bool:
    """The campaign's `max_recordings` hits, kept or not, are used up; an unknown campaign is full."""
    found: list[Campaign] = [c for a in agreements for c in a.lanes.campaigns if c.id == campaign]
    return not found or any(hits >= one.max_recordings for one in found)


def wish_caps_ok(agreements: Iterable[Agreement], *, wishes_this_week: int) -> bool:
    """One customer request more stays within the agent's weekly count."""
    lanes: list[CustomerRequestLane | None] = [agreement.lanes.customer_request for agreement in agreements]
    caps = [lane.per_week for lane in lanes if lane is not None and lane.per_week is not None]
    return all(wishes_this_week < cap for cap in caps)
