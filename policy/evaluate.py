"""The decision about one agent leg (agreement.md §4): pure, total, never raises; a missing input denies.

Every gate is a function that yields the reasons for which it is shut; all gates are asked, whatever the others say.
A leg may be recorded if at least one lane has no reason left. What a stop makes final is the call core's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from policy.agreement.schema import KEEP_AGENT_SIDE, Agreement
from policy.decision import (
    CallerAnswer,
    Decision,
    Facts,
    Outcome,
    PerCallAnswer,
    Reason,
    StandingAnswer,
    in_order,
    pending,
)
from policy.terms import DRAWN_LANES, ConsentState, Gate, Lane, Mode, Purpose, Side

_ERROR = Decision(Outcome.NO, None, None, frozenset(), (Reason.EVALUATION_ERROR,))
_BOTH = frozenset({Side.AGENT, Side.CALLER})


def evaluate(facts: Facts) -> Decision:
    """Decide about a leg: the first lane that is open, else the lane to ask for, else why nothing is recorded."""
    try:
        return _choose(facts, [evaluate_lane(facts, lane) for lane in _candidates(facts)])
    except Exception:  # a bug in here must not cost more than this leg's recording
        return _ERROR


def evaluate_lane(facts: Facts, lane: Lane) -> Decision:
    """Decide about one lane alone; a drawn lane under which the leg doesn't fall is `LANE_NOT_AGREED`."""
    try:
        return _decide(_Case(facts, lane))
    except Exception:  # see `evaluate`
        return _ERROR


def armed(facts: Facts) -> bool:
    """Every gate but caller, notice and light is open for some lane: the caller may be asked."""
    decision = evaluate(facts)
    return decision.outcome is Outcome.RECORD or pending(decision)


def _candidates(facts: Facts) -> tuple[Lane, Lane, Lane]:
    drawn = facts.rule.lane if facts.rule is not None and facts.rule.lane in DRAWN_LANES else Lane.SAMPLE
    return Lane.CUSTOMER_REQUEST, Lane.AGENT_REQUEST, drawn


def _choose(facts: Facts, decisions: list[Decision]) -> Decision:
    for decision in decisions:
        if decision.outcome is Outcome.RECORD:
            return decision
    for decision in decisions:
        if pending(decision):
            return decision
    for decision in decisions[:2]:
        if Reason.NOT_REQUESTED not in decision.reasons:
            return decision
    return _with_missing_wishes(facts, decisions[2])


def _with_missing_wishes(facts: Facts, decision: Decision) -> Decision:
    """Where not even the wishes are known, say so beside the drawn lane's reasons."""
    if None not in (facts.caller_wants_record, facts.agent_wants_record, facts.agent_request):
        return decision
    reasons = in_order((*decision.reasons, Reason.NOT_REQUESTED))
    return Decision(Outcome.NO, decision.lane, decision.purpose, frozenset(), reasons)


class _Case:
    """One lane of one leg: the agreements that concern it and the purpose it would serve."""

    def __init__(self, facts: Facts, lane: Lane) -> None:
        self.facts = facts
        self.lane = lane
        self.drawn = lane in DRAWN_LANES
        self.known = facts.agreements or ()
        in_scope = tuple(agreement for agreement in self.known if _in_scope(agreement, facts))
        self.agreements = in_scope or self.known
        self.out_of_scope = not facts.site or not facts.queue or not facts.group
        self.out_of_scope |= bool(self.known) and (not in_scope or any(_excludes(a, facts) for a in self.known))
        self.purpose = self._purpose()

    def _purpose(self) -> Purpose | None:
        if self.drawn:
            return self.facts.rule.purpose if self.facts.rule is not None else None
        return next((p for a in self.agreements if (p := a.lanes.purpose(self.lane)) is not None), None)


@dataclass(frozen=True, slots=True)
class _Sides:
    """What the caller's answer leaves: the sides that may be kept, or why not."""

    sides: frozenset[Side]
    reasons: tuple[Reason, ...] = ()


def _decide(case: _Case) -> Decision:
    caller = _caller(case)
    gates = (_site, _drawn_site, _leg, _lane_agreed, _wish, _campaign, _draw, _agent, _withdrawn, _media, _last)
    reasons = in_order((*(reason for gate in gates for reason in gate(case)), *caller.reasons))
    if not reasons and (not caller.sides or case.purpose is None):
        reasons = (Reason.EVALUATION_ERROR,)  # INVARIANT: nothing is recorded without a side and a purpose
    if reasons:
        return Decision(Outcome.NO, case.lane, case.purpose, frozenset(), reasons)
    return Decision(Outcome.RECORD, case.lane, case.purpose, caller.sides, ())


def _in_scope(agreement: Agreement, facts: Facts) -> bool:
    scope = agreement.scope
    return (
        facts.site in scope.sites
        and facts.queue in scope.queues
        and facts.queue not in scope.excluded_queues
        and facts.group in scope.groups
    )


def _excludes(agreement: Agreement, facts: Facts) -> bool:
    """Prohibitions unite: a queue that one agreement of the site excludes is excluded."""
    return facts.site in agreement.scope.sites and facts.queue in agreement.scope.excluded_queues


def _unless(*checks: tuple[bool, Reason]) -> Iterator[Reason]:
    """The reasons of the checks that don't hold."""
    return (reason for holds, reason in checks if not holds)


def _site(case: _Case) -> Iterable[Reason]:
    facts = case.facts
    wallclock = facts.wallclock
    valid = wallclock is not None and all(a.validity.start <= wallclock < a.validity.end for a in case.agreements)
    return _unless(
        (bool(facts.agreements), Reason.NO_AGREEMENT),
        (facts.signatures_valid is True, Reason.SIGNATURE_INVALID),
        (facts.clock_trusted is True and wallclock is not None, Reason.CLOCK_UNTRUSTED),
        (valid, Reason.OUTSIDE_VALIDITY),
        (facts.evaluation_overdue is False, Reason.EVALUATION_OVERDUE),
        (facts.suspended is False, Reason.SUSPENDED),
        (facts.restored is False, Reason.LOG_UNWITNESSED),
        (facts.storage_available is True, Reason.STORAGE_UNAVAILABLE),
    )


def _drawn_site(case: _Case) -> Iterable[Reason]:
    """A dark epoch and an unwitnessed log close the drawn lanes only."""
    facts = case.facts
    if not case.drawn:
        return ()
    return _unless(
        (facts.epoch_dark is False and facts.draw_authority_ready is True, Reason.EPOCH_DARK),
        (facts.log_unwitnessed is False, Reason.LOG_UNWITNESSED),
    )


def _leg(case: _Case) -> Iterable[Reason]:
    facts = case.facts
    return _unless(
        (not case.out_of_scope, Reason.OUT_OF_SCOPE),
        (facts.protected_party is False, Reason.PROTECTED_PARTY),
        (facts.party_known is True, Reason.PARTY_UNKNOWN),
        (facts.party_internal is False, Reason.PARTY_INTERNAL),
        (facts.seat_bound is True, Reason.LEG_UNBOUND),
        (facts.key_available is True, Reason.KEY_UNAVAILABLE),
        (facts.blackout is False, Reason.BLACKOUT),
        (facts.agent_informed is True, Reason.AGENT_NOT_INFORMED),
    )


def _lane_agreed(case: _Case) -> Iterator[Reason]:
    facts, rule = case.facts, case.facts.rule
    if case.drawn and (rule is None or rule.lane is not case.lane or facts.phase is None):
        yield Reason.LANE_NOT_AGREED
        return
    campaign = rule.campaign if case.drawn and rule is not None else None
    for agreement in case.agreements:
        purpose = agreement.lanes.purpose(case.lane, campaign)
        if purpose is None or purpose is not case.purpose or purpose not in agreement.purposes:
            yield Reason.LANE_NOT_AGREED


def _wish(case: _Case) -> Iterator[Reason]:
    facts = case.facts
    if case.lane is Lane.AGENT_REQUEST and facts.agent_request is not True:
        yield Reason.NOT_REQUESTED
    if case.lane is Lane.CUSTOMER_REQUEST:
        if facts.caller_wants_record is not True and facts.agent_wants_record is not True:
            yield Reason.NOT_REQUESTED
        if facts.wish_caps_ok is not True:
            yield Reason.AGENT_CAP
        if facts.quorum_ready is not True:
            yield Reason.KEY_UNAVAILABLE


def _campaign(case: _Case) -> Iterator[Reason]:
    facts, rule = case.facts, case.facts.rule
    if case.lane is not Lane.CAMPAIGN or rule is None:
        return
    if facts.campaign_full is not False:
        yield Reason.CAMPAIGN_FULL
    for campaign in (c for a in case.agreements for c in a.lanes.campaigns if c.id == rule.campaign):
        wallclock = facts.wallclock
        if facts.queue != campaign.queue or wallclock is None or not campaign.start <= wallclock < campaign.end:
            yield Reason.CAMPAIGN_CLOSED
        if facts.campaign_agents is None or facts.campaign_agents < campaign.min_eligible_agents:
            yield Reason.GROUP_TOO_SMALL


def _draw(case: _Case) -> Iterable[Reason]:
    facts = case.facts
    if not case.drawn:
        return ()
    size, least = facts.group_size, max((a.scope.groups.get(facts.group or "", 0) for a in case.agreements), default=0)
    return _unless(
        (facts.drawn is True, Reason.NOT_DRAWN),
        (size is not None and size >= least, Reason.GROUP_TOO_SMALL),
        (facts.ceiling_ok is True, Reason.CEILING),
        (facts.caps_ok is True, Reason.AGENT_CAP),
    )


def _agent(case: _Case) -> Iterator[Reason]:
    facts, purpose = case.facts, case.purpose
    if purpose is None and facts.agent_standing is not None and facts.agent_per_call is not None:
        return  # no purpose to look answers up for: the lane isn't agreed, which says it all
    standing = facts.agent_standing.get(purpose) if facts.agent_standing and purpose else None
    per_call = facts.agent_per_call.get(purpose) if facts.agent_per_call and purpose else None
    if not case.agreements:
        yield from _agent_missing(standing, per_call, facts.home_office)
    for agreement in case.agreements:
        yield from _agent_gate(agreement, case, standing, per_call)


def _agent_missing(
    standing: StandingAnswer | None, per_call: PerCallAnswer | None, home: bool | None
) -> Iterator[Reason]:
    """Without an agreement there is no gate to ask; a missing answer still is one more reason."""
    return _unless(
        (standing is not None, Reason.AGENT_NO_OR_UNSET),
        (per_call is not None, Reason.AGENT_PER_CALL_MISSING),
        (home is not None, Reason.AGENT_SCOPE),
    )


def _agent_gate(
    agreement: Agreement, case: _Case, standing: StandingAnswer | None, per_call: PerCallAnswer | None
) -> Iterator[Reason]:
    """One agreement's veto of the agent for the case's purpose."""
    gate = agreement.consent.agent.gate
    if gate is Gate.STANDING and case.lane is Lane.CUSTOMER_REQUEST:
        gate = Gate.PER_CALL  # this lane needs the agent's yes in this very call, whatever was said before
    needs_standing, needs_per_call = gate is not Gate.PER_CALL, gate is not Gate.STANDING
    if per_call is None or (needs_per_call and per_call.answer is ConsentState.UNSET):
        yield Reason.AGENT_PER_CALL_MISSING
    elif per_call.answer is ConsentState.NO:
        yield Reason.AGENT_NO_OR_UNSET
    elif not needs_per_call and standing is not None and _unprompted_yes(per_call):
        return
    if needs_standing:
        yield from _standing(agreement, standing, case.facts.home_office)


def _unprompted_yes(per_call: PerCallAnswer) -> bool:
    return per_call.answer is ConsentState.YES and per_call.unprompted


def _standing(agreement: Agreement, standing: StandingAnswer | None, home_office: bool | None) -> Iterator[Reason]:
    if standing is None or standing.answer is not ConsentState.YES:
        yield Reason.AGENT_NO_OR_UNSET
    if not agreement.consent.agent.home_office_separate or home_office is False:
        return
    if home_office is None or (standing is not None and not standing.home_office):
        yield Reason.AGENT_SCOPE


def _caller(case: _Case) -> _Sides:
    facts, purpose = case.facts, case.purpose
    if facts.caller is None:  # a missing input isn't `unset`: nobody may be asked on its account
        return _Sides(frozenset(), (Reason.CALLER_UNSET, Reason.CONSENT_UNPROVEN))
    if purpose is None:
        return _Sides(frozenset())
    answer = facts.caller.get(purpose, CallerAnswer(ConsentState.UNSET))
    if answer.answer is ConsentState.YES:
        return _Sides(_BOTH) if _proven(case, answer) else _Sides(frozenset(), (Reason.CONSENT_UNPROVEN,))
    if answer.answer is ConsentState.NO:
        return _one_sided(case, answer)
    return _Sides(frozenset(), (Reason.CALLER_UNSET,))


def _proven(case: _Case, answer: CallerAnswer) -> bool:
    agreed = all(answer.channel in a.consent.caller.channels for a in case.agreements)
    return answer.receipt is True and answer.channel is not None and agreed


def _one_sided(case: _Case, answer: CallerAnswer) -> _Sides:
    """After a no the agent's side may be kept alone: if agreed, drawn, said in the prompt, and no voice leaks."""
    agreed = bool(case.agreements) and all(a.consent.mode is Mode.PER_LEG for a in case.agreements)
    agreed = agreed and all(a.consent.caller.on_refusal == KEEP_AGENT_SIDE for a in case.agreements)
    barred = not case.drawn or case.purpose is Purpose.DISPUTE
    if barred or not agreed or answer.told_one_sided is not True:
        return _Sides(frozenset(), (Reason.CALLER_REFUSED,))
    if case.facts.leak_ok is not True:
        return _Sides(frozenset(), (Reason.LEG_LEAK,))
    return _Sides(frozenset({Side.AGENT}))


def _withdrawn(case: _Case) -> Iterable[Reason]:
    return _unless(
        (case.facts.withdrawn_by_agent is False, Reason.WITHDRAWN_BY_AGENT),
        (case.facts.withdrawn_by_caller is False, Reason.WITHDRAWN_BY_CALLER),
    )


def _media(case: _Case) -> Iterable[Reason]:
    return _unless(
        (case.facts.media_supported is True, Reason.MEDIA_UNSUPPORTED),
        (case.facts.media_encrypted is False, Reason.MEDIA_ENCRYPTED),
        (case.facts.no_media is False, Reason.NO_MEDIA),
    )


def _last(case: _Case) -> Iterable[Reason]:
    """What closes and opens while a call runs: pause, notice, light."""
    age = case.facts.ack_age_ms
    fresh = age is not None and age >= 0 and all(age <= a.indicator.ack_max_age_ms for a in case.agreements)
    return _unless(
        (case.facts.paused is False, Reason.PAUSED),
        (case.facts.caller_notice_played is True, Reason.CALLER_NOTICE_MISSING),
        (fresh, Reason.INDICATOR_STALE),
    )
