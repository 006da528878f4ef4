"""Several agreements at once (agreement.md §4): numbers take the minimum, permissions intersect, prohibitions unite.

Decision, rule, caps and retention take all agreements themselves (`evaluate`, `draw_rules`, `retention`); here is the
rest of what a call needs. What no agreement grants isn't granted: none at all gives nothing.
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
from policy.retention import erase_recording_at
from policy.terms import Phase, Purpose, WithdrawalEffect

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a leg under these agreements goes by."""

    agreements: tuple[Agreement, ...]
    """All of them; the first one's digest stands in receipts and rows."""
    ends_at: datetime
    """The first end of theirs."""
    prompts: tuple[Prompt, ...]
    """Named alike by all, in the first one's order: with no other may a caller be asked."""
    channels: frozenset[str]
    ack_max_age_ms: int
    withdrawal_effect: WithdrawalEffect
    pause_triggers: frozenset[str]
    """Any that one names: a pause protects."""
    pause_max: Period
    beep_every_s: int | None
    """Seconds between reminder tones: the shortest that one names; None: no tone is agreed."""

    def keep_until(self, purpose: Purpose, started: datetime) -> datetime:
        """When a recording that starts at `started` must be gone: the shortest period of all."""
        return erase_recording_at(self.agreements, purpose, started)


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
    beeps = [one.indicator.beep_every for one in agreements]
    discards = any(one.consent.withdrawal_effect is WithdrawalEffect.DISCARD_CALL for one in agreements)
    return Terms(
        agreements=tuple(agreements),
        ends_at=min(one.validity.end for one in agreements),
        prompts=tuple(p for p in agreements[0].consent.prompts if all(p in a.consent.prompts for a in agreements)),
        channels=_common(one.consent.caller.channels for one in agreements),
        ack_max_age_ms=min(one.indicator.ack_max_age_ms for one in agreements),
        withdrawal_effect=WithdrawalEffect.DISCARD_CALL if discards else WithdrawalEffect.STOP_ONLY,
        pause_triggers=frozenset(trigger for one in agreements for trigger in one.pause.triggers),
        pause_max=min((one.pause.max for one in agreements), key=lambda period: period.longest_seconds),
        beep_every_s=min((every.longest_seconds for every in beeps if every is not None), default=None),
    )


def epoch_for(agreements: Sequence[Agreement], wallclock: datetime) -> Epoch | None:
    """The epoch that all of them mean by `wallclock`; `None` where they don't agree: then nothing is drawn.

    What has ended still closes its scope, but has no say in how others count.
    """
    live = [one for one in agreements if wallclock < one.validity.end] or agreements
    found = {epoch_of(one, wallclock) for one in live}
    return found.pop() if len(found) == 1 else None


def phase_for(
    agreements: Iterable[Agreement], *, site: str, group: str, since: date | None, wallclock: datetime
) -> Phase:
    """Onboarding, `since` a local day, only while all that concern this group at this site call it so; else regular."""
    if since is None:
        return Phase.REGULAR
    concerned = [one for one in agreements if site in one.scope.sites and group in one.scope.groups]
    epochs = ((one, epoch_of(one, wallclock)) for one in concerned)
    phases = {phase_in_epoch(one, group, Phase.ONBOARDING, since, epoch) for one, epoch in epochs}
    return Phase.ONBOARDING if phases == {Phase.ONBOARDING} else Phase.REGULAR


def _common(sets: Iterable[Iterable[T]]) -> frozenset[T]:
    return reduce(lambda one, other: one & other, (frozenset(items) for items in sets))
