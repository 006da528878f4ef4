"""Several agreements at once (agreement.md §4): numbers take the minimum, permissions intersect, prohibitions unite.

Decision, rule, caps and retention take all agreements themselves (`evaluate`, `draw_rules`, `retention`); here is the
rest of what a call, a page or a statistic needs. What no agreement grants isn't granted: none at all gives nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from typing import TypeVar

from policy.agreement.schema import Agreement, Prompt
from policy.draw_rules import Epoch, epoch_of, phase_in_epoch
from policy.period import Period
from policy.terms import Phase, Purpose, WithdrawalEffect

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a leg under these agreements goes by."""

    prompts: tuple[Prompt, ...]
    """Named alike by all, in the first one's order."""
    channels: frozenset[str]
    ack_max_age_ms: int
    beep_every: Period | None
    """The shortest one asked for."""
    withdrawal_effect: WithdrawalEffect
    pause_triggers: frozenset[str]
    """Any that one names: a pause protects."""
    pause_max: Period
    access: frozenset[tuple[str, Purpose]]
    """Role and purpose that all grant."""
    coach_ttl: Period | None
    quorum: frozenset[str]
    """Who must open together: whoever one of them names."""
    evaluations_per_year: int
    regions: frozenset[str]
    min_agents: int
    min_calls: int
    prohibited: frozenset[str]


def covering(agreements: Iterable[Agreement], *, site: str, queue: str, group: str) -> tuple[Agreement, ...]:
    """The agreements whose scope contains a leg; none where one of the site excludes the queue."""
    known = tuple(agreements)
    if any(site in one.scope.sites and queue in one.scope.excluded_queues for one in known):
        return ()
    return tuple(
        one for one in known if site in one.scope.sites and queue in one.scope.queues and group in one.scope.groups
    )


def combined(agreements: Sequence[Agreement]) -> Terms:
    """What all of them together leave; raises `ValueError` without any."""
    if not agreements:
        raise ValueError("no agreement: nothing is granted")
    beeps = [one.indicator.beep_every for one in agreements if one.indicator.beep_every is not None]
    ttls = [line.ttl for one in agreements for line in one.access if line.ttl is not None]
    discards = any(one.consent.withdrawal_effect is WithdrawalEffect.DISCARD_CALL for one in agreements)
    return Terms(
        prompts=tuple(p for p in agreements[0].consent.prompts if all(p in a.consent.prompts for a in agreements)),
        channels=_common(one.consent.caller.channels for one in agreements),
        ack_max_age_ms=min(one.indicator.ack_max_age_ms for one in agreements),
        beep_every=_shortest(beeps),
        withdrawal_effect=WithdrawalEffect.DISCARD_CALL if discards else WithdrawalEffect.STOP_ONLY,
        pause_triggers=frozenset(trigger for one in agreements for trigger in one.pause.triggers),
        pause_max=min((one.pause.max for one in agreements), key=_seconds),
        access=_common(_granted(one) for one in agreements),
        coach_ttl=_shortest(ttls),
        quorum=frozenset(member for one in agreements for line in one.access for member in line.members),
        evaluations_per_year=min(one.evaluations_per_year for one in agreements),
        regions=_common(one.storage_regions for one in agreements),
        min_agents=max(one.statistics.min_agents for one in agreements),
        min_calls=max(one.statistics.min_calls for one in agreements),
        prohibited=frozenset(item for one in agreements for item in one.prohibited),
    )


def epoch_for(agreements: Sequence[Agreement], wallclock: datetime) -> Epoch | None:
    """The epoch that all of them mean by `wallclock`; `None` where they don't agree: then nothing is drawn."""
    found = {epoch_of(one, wallclock) for one in agreements}
    return found.pop() if len(found) == 1 else None


def phase_for(agreements: Sequence[Agreement], group: str, phase: Phase, since: date, epoch: Epoch) -> Phase:
    """Onboarding only while all of them call it so."""
    phases = {phase_in_epoch(one, group, phase, since, epoch) for one in agreements}
    return Phase.ONBOARDING if phases == {Phase.ONBOARDING} else Phase.REGULAR


def _granted(agreement: Agreement) -> frozenset[tuple[str, Purpose]]:
    return frozenset((line.role, purpose) for line in agreement.access for purpose in line.purposes)


def _common(sets: Iterable[Iterable[T]]) -> frozenset[T]:
    return reduce(lambda one, other: one & other, (frozenset(items) for items in sets))


def _shortest(periods: Sequence[Period]) -> Period | None:
    return min(periods, key=_seconds, default=None)


def _seconds(period: Period) -> int:
    return period.longest_seconds
