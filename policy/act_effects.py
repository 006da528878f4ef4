"""What each act does to the state, and whose signatures it takes (agreement.md §3). Pure; refuses with `ActError`.

Signatures were verified before (`chain`): `signed` names the anchored roles whose keys signed these very bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any, Final

from policy.acts import (
    Act,
    ActType,
    Evaluation,
    Narrow,
    NewAgreement,
    NewKey,
    Rates,
    Resolution,
)
from policy.agreement.reader import Report
from policy.agreement.refusals import check_rules
from policy.agreement.schema import Agreement
from policy.draw_rules import epoch_of
from policy.errors import ActError, ActFault, NotPermitted, StaleAct, WrongDocument
from policy.narrowing import COUNCIL, EMPLOYER, PARTIES, Kind, compare, who_may
from policy.state import Anchor, Raise, Replacement, State, Term, rates_of, with_rates
from policy.validity import local_time

LOST_KEY_DELAY: Final = timedelta(days=14)
DPO: Final = "dpo"


def party_of(role: str) -> str:
    """The party that an anchored role signs for: any of the council's keys is the council's."""
    return COUNCIL if role.startswith(COUNCIL) else role


def apply(
    state: State,
    act: Act,
    signed: frozenset[str],
    at: datetime,
    document: Agreement | None = None,
    session: str | None = None,
) -> State:
    """The state after `act`, taken at `at`; raises `StaleAct`, `WrongDocument`, `NotPermitted`.

    `signed` are the roles whose signatures verified. `session` is the party whose session asked for a suspension:
    the one act that needs no key. `document` is the agreement that the act carries.
    """
    if (act.seq, act.prev) != (state.seq + 1, state.digest):
        raise StaleAct(ActFault.STALE, next=str(state.seq + 1))
    if state.changed_at is not None and at < state.changed_at:
        raise StaleAct(ActFault.CLOCK_BACK)
    parties = frozenset(party_of(role) for role in signed)
    if act.type is ActType.SUSPEND and session is not None:
        parties |= {session}
    if not parties:
        raise NotPermitted(ActFault.NOBODY_SIGNED)
    if act.type is not ActType.AGREEMENT and state.terms and not _of(state, act.agreement):
        raise WrongDocument(ActFault.UNKNOWN_AGREEMENT, agreement=act.agreement)
    case = _Case(_settled(state, at), act, signed, parties, at, document)
    return replace(_EFFECTS[act.type](case), seq=act.seq, digest=act.digest, changed_at=at)


def who_signs(state: State, act: Act, at: datetime, document: Agreement | None = None) -> tuple[frozenset[str], ...]:
    """The smallest sets of roles whose signatures would do, were the act taken at `at`; raises as `apply` for none."""
    roles = {EMPLOYER, COUNCIL, DPO} | ({act.body.role} if isinstance(act.body, NewKey) else set())
    anchored = sorted(roles & {anchor.role for anchor in state.anchors_at(at)})
    for count in range(1, len(anchored)):
        sets = (frozenset(some) for some in combinations(anchored, count))
        if enough := tuple(one for one in sets if _would_do(state, act, one, at, document)):
            return enough
    apply(state, act, frozenset(anchored), at, document)
    return (frozenset(anchored),)


def _would_do(state: State, act: Act, signed: frozenset[str], at: datetime, document: Agreement | None) -> bool:
    try:
        apply(state, act, signed, at, document)
    except ActError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Case:
    """One act on its state."""

    state: State
    act: Act
    signed: frozenset[str]
    parties: frozenset[str]
    at: datetime
    document: Agreement | None

    @property
    def body(self) -> Any:
        return self.act.body

    def term(self) -> Term:
        """The document that the act is about: the one in force, else the first ahead."""
        current = self.state.current(self.act.agreement, self.at)
        ahead = [term for term in self.state.ahead(self.at) if term.agreement.id == self.act.agreement]
        found = current or next(iter(ahead), None)
        if found is None:
            raise WrongDocument(ActFault.UNKNOWN_AGREEMENT, agreement=self.act.agreement)
        return found

    def carried(self, digest: str) -> Agreement:
        """The document, if it is the one that was signed and its parties' keys are anchored."""
        document = self.document
        if document is None:
            raise WrongDocument(ActFault.DOCUMENT_MISSING)
        if document.digest != digest or document.id != self.act.agreement:
            raise WrongDocument(ActFault.DOCUMENT_DIFFERS)
        named = document.parties
        anchored = {anchor.role for anchor in self.state.anchors}
        wanted = {EMPLOYER: named.employer.anchor, COUNCIL: named.council.anchor, DPO: named.dpo.anchor}
        for party, role in wanted.items():
            if role not in anchored or party_of(role) != party:
                raise WrongDocument(ActFault.ANCHOR_UNKNOWN, role=role)
        return document

    def must_sign(self, wanted: Iterable[str], fields: Iterable[str] = ()) -> None:
        """Refuse unless each of these parties signed."""
        missing = sorted(set(wanted) - self.parties)
        if missing:
            raise NotPermitted(ActFault.MUST_SIGN_TOO, missing=tuple(missing), fields=tuple(fields))

    def must_be_newer(self, document: Agreement) -> None:
        """Id and version name one document: refuse a version that isn't above all that are known."""
        if any(document.version <= term.agreement.version for term in _of(self.state, document.id)):
            raise NotPermitted(ActFault.VERSION_NOT_NEWER, version=str(document.version))


def _of(state: State, agreement: str) -> list[Term]:
    return [term for term in state.terms if term.agreement.id == agreement]


def _settled(state: State, at: datetime) -> State:
    """What the clock has brought by now, written into the state."""
    return replace(
        state,
        anchors=state.anchors_at(at),
        replacements=tuple(one for one in state.replacements if one.since > at),
        terms=tuple(
            replace(term, agreement=term.at(at), raises=tuple(one for one in term.raises if one.since > at))
            for term in state.terms
        ),
    )


def _with(state: State, old: Term, new: Term) -> State:
    return replace(state, terms=tuple(new if term is old else term for term in state.terms))


# -- documents


def _agreement(case: _Case) -> State:
    """A document that both signed: at once where it only narrows the one in force, else at the next epoch's edge."""
    body: NewAgreement = case.body
    document = case.carried(body.digest)
    case.must_sign(PARTIES)
    if document.validity.end <= case.at:
        raise NotPermitted(ActFault.ENDED)
    case.must_be_newer(document)
    since = max(case.at, document.validity.start)
    before = case.state.current(document.id, case.at)
    if before is not None and case.at < before.agreement.validity.end:
        found = compare(before.agreement, document)
        if found.widens:
            wider = tuple(change.field for change in found.changes if change.kind is Kind.WIDER)
            _may_raise(case, before.agreement, document.parties.council.resolution.minutes_sha256, wider)
        if not found.only_narrows:
            since = max(since, epoch_of(before.agreement, case.at).end)
    new = Term(document, case.act.seq, since, document.validity.end)
    kept = (term for term in case.state.terms if term.agreement.id != document.id or term.since < since)
    used = case.state.resolutions | {document.parties.council.resolution.minutes_sha256}
    return replace(case.state, terms=(*kept, new), resolutions=used)


def _narrow(case: _Case) -> State:
    """Another document in the place of one in force or ahead, at once; its own raises go on waiting."""
    body: Narrow = case.body
    document = case.carried(body.digest)
    old = next((term for term in _of(case.state, document.id) if term.agreement.digest == body.narrows), None)
    if old is None or (old.since < case.at and old is not case.state.current(document.id, case.at)):
        raise WrongDocument(ActFault.NARROWS_ANOTHER)
    found = compare(old.agreed, document)
    if not found.changes:
        raise NotPermitted(ActFault.UNCHANGED)
    case.must_be_newer(document)
    if not found.only_narrows:
        others = tuple(change.field for change in found.changes if change.kind is not Kind.NARROWER)
        raise NotPermitted(ActFault.NOT_NARROWER, fields=others)
    _alone_or_both(case, who_may(found, old.agreement.council_powers), tuple(change.field for change in found.changes))
    both = case.parties >= PARTIES
    end = document.validity.end if both else old.agreed_end
    wanted, before = rates_of(document), rates_of(old.agreed)
    state = _with(case.state, old, replace(_waiting(old, wanted, document), agreed_end=end))
    if old is not case.state.current(document.id, case.at):
        return state
    lowered = {rule: ppm for rule, ppm in wanted.items() if rule in before and ppm < before[rule]}
    return _lower_ahead(case, state, lowered, epoch_of(old.agreement, case.at).end)


def _waiting(old: Term, wanted: dict[str, int], document: Agreement) -> Term:
    """`document` at `wanted` rates; what is above today's rate waits as long as the raise it comes from."""
    today, since = rates_of(old.agreement), {one.rule: one.since for one in old.raises}
    waiting = {rule: ppm for rule, ppm in wanted.items() if rule in since and ppm > today[rule]}
    raises = tuple(Raise(rule, ppm, since[rule]) for rule, ppm in waiting.items())
    now = {rule: today[rule] if rule in waiting else ppm for rule, ppm in wanted.items()}
    return replace(old, agreement=with_rates(document, now), raises=raises)


# -- rates


def _rates(case: _Case) -> State:
    """Lower rates hold at once, higher ones from the next epoch's edge."""
    body: Rates = case.body
    term = case.term()
    agreed = rates_of(term.agreed)
    for rule in body.rates:
        if rule not in agreed:
            raise NotPermitted(ActFault.UNKNOWN_RULE, rule=rule)
    patched = with_rates(term.agreed, body.rates)
    found = compare(term.agreed, patched)
    if not found.changes:
        raise NotPermitted(ActFault.UNCHANGED)
    if found.only_narrows:
        fields = tuple(change.field for change in found.changes)
        _alone_or_both(case, who_may(found, term.agreement.council_powers), fields)
    else:
        _check_raise(case, term, patched, body)
    state = _with_rates(case, term, body)
    used = {body.resolution.minutes_sha256} if body.resolution is not None else set()
    return replace(state, resolutions=state.resolutions | used)


def _with_rates(case: _Case, target: Term, body: Rates) -> State:
    edge = epoch_of(target.agreement, case.at).end
    state = _with(case.state, target, _set(target, dict(body.rates), edge))
    return _lower_ahead(case, state, body.rates, edge)


def _lower_ahead(case: _Case, state: State, rates: Mapping[str, int], edge: datetime) -> State:
    """What the council lowered stays lowered in what was signed ahead, too."""
    terms = []
    for term in state.terms:
        powers = term.agreement.council_powers
        may = case.parties >= PARTIES or (COUNCIL in case.parties and powers is not None and powers.lower)
        if may and term.agreement.id == case.act.agreement and term.since > case.at:
            known = rates_of(term.agreed)
            term = _set(term, {rule: ppm for rule, ppm in rates.items() if rule in known and ppm < known[rule]}, edge)
        terms.append(term)
    return replace(state, terms=tuple(terms))


def _set(term: Term, rates: dict[str, int], edge: datetime) -> Term:
    """New rates: the lower ones now, the higher ones from `edge`; a raise that was waiting gives way."""
    today = rates_of(term.agreement)
    since = {one.rule: one.since for one in term.raises}
    lower = {rule: ppm for rule, ppm in rates.items() if ppm <= today[rule]}
    higher = (Raise(rule, ppm, since.get(rule, edge)) for rule, ppm in rates.items() if ppm > today[rule])
    kept = (one for one in term.raises if one.rule not in rates)
    return replace(term, agreement=with_rates(term.agreement, lower), raises=(*kept, *higher))


def _check_raise(case: _Case, term: Term, patched: Agreement, body: Rates) -> None:
    agreed = rates_of(term.agreed)
    higher = tuple(rule for rule, ppm in body.rates.items() if ppm > agreed[rule])
    minutes = body.resolution.minutes_sha256 if body.resolution is not None else None
    _may_raise(case, term.agreement, minutes, higher)
    if "dpo_opinion" in term.agreement.change.needs and body.opinion_ref is None:
        raise NotPermitted(ActFault.OPINION_MISSING, fields=higher)
    report = Report()
    check_rules(patched, report)
    if report.faults:
        raise NotPermitted(ActFault.RATE_REFUSED, fields=tuple(dict.fromkeys(one.field for one in report.faults)))


# -- who signs


def _alone_or_both(case: _Case, alone: frozenset[str], fields: tuple[str, ...]) -> None:
    if not (case.parties & alone or case.parties >= PARTIES):
        case.must_sign(PARTIES, fields)


def _may_raise(case: _Case, old: Agreement, minutes_sha256: str | None, fields: tuple[str, ...]) -> None:
    """A raise takes every signature that the agreement in force asks for, and a new resolution."""
    case.must_sign({*PARTIES, *old.change.signatures}, fields)
    _new_resolution(case.state, minutes_sha256, fields)


def _new_resolution(state: State, minutes: str | None, fields: tuple[str, ...]) -> None:
    if minutes is None:
        raise NotPermitted(ActFault.RESOLUTION_MISSING, fields=fields)
    if minutes in state.resolutions:
        raise NotPermitted(ActFault.RESOLUTION_OLD, fields=fields)


# -- suspension and evaluation


def _suspend(case: _Case) -> State:
    powers = case.term().agreement.council_powers
    able = {EMPLOYER} | ({COUNCIL} if powers is not None and powers.suspend else set())
    by = case.parties & able or (case.parties & PARTIES if case.parties >= PARTIES else frozenset())
    if not by:
        raise NotPermitted(ActFault.NOT_ALONE, missing=tuple(sorted(able)))
    return replace(case.state, suspended_by=case.state.suspended_by | by)


def _resume(case: _Case) -> State:
    """Whoever suspended resumes; the council always may."""
    suspended = case.state.suspended_by
    if not suspended:
        raise NotPermitted(ActFault.NOT_SUSPENDED)
    lifted = suspended if COUNCIL in case.parties else suspended & case.parties
    if not lifted:
        raise NotPermitted(ActFault.SUSPENDED_BY_OTHERS, missing=tuple(sorted(suspended | {COUNCIL})))
    return replace(case.state, suspended_by=suspended - lifted)


def _evaluation(case: _Case) -> State:
    body: Evaluation = case.body
    case.must_sign(PARTIES)
    term = case.term()
    if body.day > local_time(term.agreement, case.at).date():
        raise NotPermitted(ActFault.DAY_AHEAD, day=body.day.isoformat())
    if term.evaluated is not None and body.day <= term.evaluated:
        raise NotPermitted(ActFault.DAY_NOT_NEWER, day=term.evaluated.isoformat())
    return _with(case.state, term, replace(term, evaluated=body.day))


# -- anchors


def _key(case: _Case) -> State:
    """A new key under the old one's signature at once; in a lost one's place after 14 days without recording."""
    body: NewKey = case.body
    state, anchor = case.state, Anchor(body.role, body.key, body.recipient)
    old = next((one for one in state.anchors if one.role == body.role), None)
    waiting = [one for one in state.replacements if one.anchor.role == body.role]
    others = [one for one in state.anchors if one.role != body.role]
    others += [one.anchor for one in state.replacements if one.anchor.role != body.role]
    if any(one.key == body.key or (body.recipient and one.recipient == body.recipient) for one in others):
        raise NotPermitted(ActFault.KEY_KNOWN, role=body.role)
    if body.role in (COUNCIL, DPO) and body.recipient is None:
        raise NotPermitted(ActFault.KEY_NEEDS_RECIPIENT, role=body.role)
    if old is None and body.role not in ("council2", "council3"):
        raise NotPermitted(ActFault.KEY_UNKNOWN_ROLE, role=body.role)
    if anchor == old and not waiting:
        raise NotPermitted(ActFault.UNCHANGED)
    rest = tuple(one for one in state.replacements if one.anchor.role != body.role)
    if body.resolution is not None:
        found = _in_place_of_lost(case, anchor, body.resolution)
        used = state.resolutions | {body.resolution.minutes_sha256}
        return replace(state, replacements=(*rest, found), resolutions=used)
    if old is None:
        case.must_sign({COUNCIL})
        return replace(state, anchors=(*state.anchors, anchor))
    if body.role not in case.signed:
        raise NotPermitted(ActFault.MUST_SIGN_TOO, missing=(body.role,), fields=(body.role,))
    anchors = tuple(anchor if one.role == body.role else one for one in state.anchors)
    return replace(state, anchors=anchors, replacements=rest)


def _in_place_of_lost(case: _Case, anchor: Anchor, resolution: Resolution) -> Replacement:
    lost = party_of(anchor.role)
    if anchor.role not in {one.role for one in case.state.anchors}:
        raise NotPermitted(ActFault.KEY_UNKNOWN_ROLE, role=anchor.role)
    case.must_sign((PARTIES | {DPO}) - {lost}, (anchor.role,))
    _new_resolution(case.state, resolution.minutes_sha256, (anchor.role,))
    return Replacement(anchor, case.at + LOST_KEY_DELAY)


_EFFECTS: Final[dict[ActType, Callable[[_Case], State]]] = {
    ActType.AGREEMENT: _agreement,
    ActType.NARROW: _narrow,
    ActType.RATES: _rates,
    ActType.SUSPEND: _suspend,
    ActType.RESUME: _resume,
    ActType.EVALUATION: _evaluation,
    ActType.KEY: _key,
}
