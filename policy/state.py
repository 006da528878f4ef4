"""What the chain of acts has made of the agreements: which are in force, at which rates, suspended by whom.

A value: acts make a new one (`act_effects.apply`), the clock alone changes nothing in it. Every question takes the
instant it is asked for, and `next_change` says when an answer will differ without any act.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from policy.acts import Act, Body, type_of
from policy.agreement.schema import Agreement
from policy.terms import Phase
from policy.validity import evaluation_due, evaluation_overdue

RESTRICTIONS_ONLY = "restrictions_only"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A party's public keys as anchored."""

    role: str
    """One of `acts.ROLES`."""
    key: str
    """`ssh-ed25519 …`."""
    recipient: str | None = None
    """`age1…` of council and DPO."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """An anchor that takes the place of a lost one's; nothing is recorded until then."""

    anchor: Anchor
    since: datetime


@dataclass(frozen=True, slots=True)
class Raise:
    """A higher rate that waits for the next epoch."""

    rule: str
    ppm: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Term:
    """One signed document and what later acts made of it."""

    agreement: Agreement
    """Narrowed and lowered; `digest` stays that of the document."""
    seq: int
    """Of the act that both parties signed for it."""
    since: datetime
    """Takes over from its predecessor, if there is one."""
    agreed_end: datetime
    """The end that both parties signed, whatever one of them shortened it to."""
    raises: tuple[Raise, ...] = ()
    evaluated: date | None = None
    """The last evaluation that both parties signed off."""

    def at(self, instant: datetime) -> Agreement:
        """The document as it holds at an instant: raises whose epoch has begun are in it."""
        due = {one.rule: one.ppm for one in self.raises if one.since <= instant}
        return with_rates(self.agreement, due)

    @property
    def agreed(self) -> Agreement:
        """The document with every raise that was signed, also those that still wait."""
        return with_rates(self.agreement, {one.rule: one.ppm for one in self.raises})


@dataclass(frozen=True, slots=True)
class State:
    """The fold of a chain of acts; the empty one has anchors only."""

    anchors: tuple[Anchor, ...]
    seq: int = 0
    """Of the last act."""
    digest: str | None = None
    """Of the last act: the next one's `prev`."""
    changed_at: datetime | None = None
    terms: tuple[Term, ...] = ()
    """Of each agreement in the order of `since`, all of them in the order in which they were signed."""
    suspended_by: frozenset[str] = frozenset()
    """`employer`, `council`."""
    replacements: tuple[Replacement, ...] = ()
    resolutions: frozenset[str] = frozenset()
    """Minutes (SHA-256) that an act rested on: a raise needs new ones."""

    def draft(self, agreement: str, body: Body) -> bytes:
        """The bytes to sign for an act that follows this state."""
        return Act(type_of(body), agreement, self.seq + 1, self.digest, body).canonical()

    def anchors_at(self, instant: datetime) -> tuple[Anchor, ...]:
        """The keys that verify signatures at an instant."""
        due = {one.anchor.role: one.anchor for one in self.replacements if one.since <= instant}
        return tuple(due.get(anchor.role, anchor) for anchor in self.anchors)

    def suspended(self, instant: datetime) -> bool:
        """Nothing is recorded: a party suspended, or a lost key is being replaced."""
        return bool(self.suspended_by) or any(instant < one.since for one in self.replacements)

    def current(self, agreement: str, instant: datetime) -> Term | None:
        """The document of an agreement that has taken over; it may have ended."""
        started = [term for term in self.terms if term.agreement.id == agreement and term.since <= instant]
        return started[-1] if started else None

    def ahead(self, instant: datetime) -> tuple[Term, ...]:
        """What was signed ahead and hasn't taken over yet, in the order of time."""
        return tuple(sorted((term for term in self.terms if term.since > instant), key=lambda term: term.since))

    def terms_in_force(self, instant: datetime) -> tuple[Term, ...]:
        """The documents that bind at an instant.

        One that has ended still binds, which closes its scope, until it is replaced: by its own successor, or after the
        agreed end by any later agreement of an overlapping scope, or with `after_effect: none` by any other at all.
        Where nothing has taken over yet, the first that will, so that people are told why nothing is recorded.
        """
        ids = dict.fromkeys(term.agreement.id for term in self.terms)
        bound = [term for name in ids if (term := self.current(name, instant)) is not None]
        live = [term for term in bound if instant < term.agreement.validity.end]
        kept = tuple(term for term in bound if term in live or not _replaced(term, live, instant))
        return kept or self.ahead(instant)[:1]

    def in_force(self, instant: datetime) -> tuple[Agreement, ...]:
        """The agreements that bind at an instant, at the rates of that instant."""
        return tuple(term.at(instant) for term in self.terms_in_force(instant))

    def overdue(self, instant: datetime) -> bool:
        """Both parties should have evaluated one of the agreements in force by now; what has ended needs it no more."""
        live = (one for one in self.terms_in_force(instant) if instant < one.agreement.validity.end)
        return any(evaluation_overdue(one.agreement, instant, one.evaluated) for one in live)

    def next_change(self, instant: datetime) -> datetime | None:
        """The next instant at which an answer changes by the clock alone."""
        later = (found for found in self._edges() if found > instant)
        return min(later, default=None)

    def _edges(self) -> Iterable[datetime]:
        for term in self.terms:
            validity = term.agreement.validity
            yield from (term.since, validity.start, validity.end, term.agreed_end)
            yield from (one.since for one in term.raises)
            due = evaluation_due(term.agreement, term.evaluated) + timedelta(days=1)
            yield datetime.combine(due, time(), tzinfo=validity.zone)
        yield from (one.since for one in self.replacements)


def _replaced(ended: Term, live: list[Term], instant: datetime) -> bool:
    if instant < ended.agreed_end:
        return False  # whoever shortened it alone doesn't get rid of its restrictions
    if ended.agreement.legal.after_effect != RESTRICTIONS_ONLY:
        return bool(live)
    return any(term.seq > ended.seq and _overlap(term.agreement, ended.agreement) for term in live)


def _overlap(one: Agreement, other: Agreement) -> bool:
    """Some leg can be in both scopes."""
    first, second = one.scope, other.scope
    pairs = ((first.sites, second.sites), (first.queues, second.queues), (first.groups, second.groups))
    return all(set(mine) & set(yours) for mine, yours in pairs)


# -- rates by the name of their rule, `sample/GROUP/PHASE` or `campaign/ID`


def rates_of(agreement: Agreement) -> dict[str, int]:
    """Every drawn rule and its rate (ppm), campaigns first, as `draw_rules.rules` lists them."""
    lanes = agreement.lanes
    found = {campaign_rule(one.id): one.ppm for one in lanes.campaigns}
    rates = lanes.sample.rates if lanes.sample is not None else ()
    return found | {sample_rule(rate.group, rate.phase): rate.ppm for rate in rates}


def campaign_rule(campaign: str) -> str:
    """The name of a campaign's rate."""
    return f"campaign/{campaign}"


def sample_rule(group: str, phase: Phase) -> str:
    """The name of a line of the sample lane."""
    return f"sample/{group}/{phase.value}"


def with_rates(agreement: Agreement, rates: Mapping[str, int]) -> Agreement:
    """The agreement with other rates for the rules named; rules that it doesn't have are left out."""
    if not rates:
        return agreement
    lanes, sample = agreement.lanes, agreement.lanes.sample
    if sample is not None:
        lines = tuple(replace(one, ppm=rates.get(sample_rule(one.group, one.phase), one.ppm)) for one in sample.rates)
        sample = replace(sample, rates=lines)
    campaigns = tuple(replace(one, ppm=rates.get(campaign_rule(one.id), one.ppm)) for one in lanes.campaigns)
    return replace(agreement, lanes=replace(lanes, sample=sample, campaigns=campaigns))
