"""P1, P2, P3, P5 over generated agreements and facts: nothing missing, tighter or forgotten ever permits more.

Facts are green but for a few fields, so that a single wrong turn of a gate would show. P4 is `test_leg_machine`'s.
"""

import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.draw import drawn
from policy import draw_rules
from policy.agreement.schema import KEEP_AGENT_SIDE, Agreement, Caps
from policy.decision import (
    CallerAnswer,
    ConsentState,
    Decision,
    Facts,
    Lane,
    Outcome,
    PerCallAnswer,
    Phase,
    Purpose,
    Reason,
    Rule,
    Side,
    StandingAnswer,
    in_order,
    pending,
)
from policy.evaluate import armed, evaluate, evaluate_lane
from policy.terms import Gate, Mode
from tests.unit.policy.green import NOW, SAMPLE_RULE, example, green

CAMPAIGN = example().lanes.campaigns[0]
states = st.sampled_from(ConsentState)
flags = st.sampled_from([True, False, None])
standing = st.dictionaries(st.sampled_from(Purpose), st.builds(StandingAnswer, states, st.booleans()))
per_call = st.dictionaries(st.sampled_from(Purpose), st.builds(PerCallAnswer, states, st.booleans()))
channels = st.sampled_from(["dtmf", "agent_key", "ivr:front", "header", None])
callers = st.dictionaries(st.sampled_from(Purpose), st.builds(CallerAnswer, states, channels, flags, flags))
rules = st.sampled_from(
    [
        SAMPLE_RULE,
        Rule(Lane.CAMPAIGN, Purpose.PROCESS_QUALITY, 100_000, f"campaign/{CAMPAIGN.id}", CAMPAIGN.id),
        Rule(Lane.CUSTOMER_REQUEST, Purpose.DISPUTE, 0, ""),
        None,
    ]
)


@st.composite
def agreements(draw) -> Agreement:
    """Variants of the example along every field that a decision reads."""
    base = example()
    lanes = replace(
        base.lanes,
        sample=draw(st.sampled_from([base.lanes.sample, None])),
        campaigns=draw(st.sampled_from([base.lanes.campaigns, ()])),
        customer_request=draw(st.sampled_from([base.lanes.customer_request, None])),
        agent_request=draw(st.sampled_from([base.lanes.agent_request, None])),
    )
    mode = draw(st.sampled_from(Mode))
    refusal = draw(st.sampled_from(["record_nothing", KEEP_AGENT_SIDE])) if mode is Mode.PER_LEG else "record_nothing"
    caller = replace(
        base.consent.caller,
        channels=draw(st.sampled_from([("dtmf", "agent_key", "ivr:front"), ("dtmf",)])),
        on_refusal=refusal,
    )
    agent = replace(base.consent.agent, gate=draw(st.sampled_from(Gate)), home_office_separate=draw(st.booleans()))
    consent = replace(base.consent, mode=mode, caller=caller, agent=agent)
    age = draw(st.sampled_from([1000, 3000]))
    return replace(base, lanes=lanes, consent=consent, indicator=replace(base.indicator, ack_max_age_ms=age))


VALUES: dict[str, st.SearchStrategy] = {
    "wallclock": st.sampled_from([NOW, CAMPAIGN.start, CAMPAIGN.end, example().validity.end, None]),
    "agreements": st.lists(agreements(), max_size=2).map(tuple) | st.none(),
    "site": st.sampled_from(["hamburg", "bremen", None]),
    "queue": st.sampled_from(["service-strom", "service-gas", "gesundheit", None]),
    "group": st.sampled_from(["team-a", "team-b", "team-z", None]),
    "phase": st.sampled_from([*Phase, None]),
    "group_size": st.sampled_from([7, 8, None]),
    "campaign_agents": st.sampled_from([7, 8, None]),
    "ack_age_ms": st.sampled_from([-1, 0, 1000, 1001, 3000, 3001, None]),
    "rule": rules,
    "agent_standing": standing | st.none(),
    "agent_per_call": per_call | st.none(),
    "caller": callers | st.none(),
}
STRATEGIES = {field.name: VALUES.get(field.name, flags) for field in fields(Facts)}


@st.composite
def almost_green(draw) -> Facts:
    changed = draw(st.sets(st.sampled_from(sorted(STRATEGIES)), max_size=5))
    kept = {"agreements": (draw(agreements()),), "agent_per_call": draw(per_call), "caller": draw(callers)}
    facts = green(**draw(st.sampled_from([{}, kept, {"agreements": kept["agreements"]}])))
    return replace(facts, **{name: draw(STRATEGIES[name]) for name in sorted(changed)})


any_facts = st.builds(Facts, **STRATEGIES) | almost_green()


def less(facts: Facts) -> list[Facts]:
    """The same facts with one input missing: a field, or one purpose's answer."""
    fewer = [replace(facts, **{field.name: None}) for field in fields(Facts)]
    for name in ("agent_standing", "agent_per_call", "caller"):
        answers = getattr(facts, name) or {}
        for purpose in answers:
            left = {key: value for key, value in answers.items() if key is not purpose}
            changes: dict[str, Any] = {name: left}
            fewer.append(replace(facts, **changes))
    for purpose, answer in (facts.caller or {}).items():
        for one in (replace(answer, channel=None), replace(answer, receipt=None), replace(answer, told_one_sided=None)):
            fewer.append(replace(facts, caller={**(facts.caller or {}), purpose: one}))
    return fewer


class Cases:
    """Counts the decisions that a property really compared."""

    def __init__(self) -> None:
        self.count = 0

    def never_permits(self, before: Decision, after: Facts) -> None:
        """Where it was NO it stays NO."""
        self.count += 1
        if before.outcome is Outcome.NO:
            decision = evaluate(after)
            assert decision.outcome is Outcome.NO, (before, decision)


def enough(cases: Cases, least: int) -> None:
    """In every run of the checks; together the properties compare more than 100,000 decisions."""
    assert cases.count >= least, f"{cases.count} cases, {least} wanted"


def test_p1_removing_an_input_never_permits() -> None:
    cases = Cases()

    @settings(max_examples=900)
    @given(any_facts)
    def removed(facts: Facts) -> None:
        before = evaluate(facts)
        for fewer in less(facts):
            cases.never_permits(before, fewer)

    removed()
    enough(cases, 40_000)


IN_MEMORY = ("caller", "agent_per_call", "caller_notice_played", "ack_age_ms", "seat_bound", "clock_trusted")
"""What a process forgets: a call that it adopts has neither answers nor notice nor light, and no seat yet."""
READ_ANEW = ("storage_available", "protected_party", "leak_ok", "drawn", "rule", "agent_standing", "agreements")


def test_p5_a_restart_at_any_point_never_widens() -> None:
    cases = Cases()

    @settings(max_examples=600)
    @given(any_facts)
    def restarted(facts: Facts) -> None:
        before = evaluate(facts)
        forgotten: dict[str, Any] = dict.fromkeys(IN_MEMORY)
        at_once = replace(facts, **forgotten)
        assert evaluate(at_once).outcome is Outcome.NO  # whatever it was: an adopted call isn't recorded
        for name in IN_MEMORY:  # some of it is known again, some isn't yet
            change: dict[str, Any] = {name: None}
            cases.never_permits(before, replace(facts, **change))
            for other in READ_ANEW:
                cases.never_permits(before, replace(facts, **change, **{other: None}))

    restarted()
    enough(cases, 25_000)


PERSONAL = {"agent", "agent_id", "name", "extension", "pseudonym", "session", "seat", "recipient", "number"}


def test_p2_no_input_says_who_the_agent_is() -> None:
    assert not PERSONAL & {field.name for field in fields(Facts)}
    for rule in (draw_rules.rule_for, draw_rules.ceiling_ok, draw_rules.caps_ok, draw_rules.phase_in_epoch):
        assert not PERSONAL & set(inspect.signature(rule).parameters)


def test_p2_the_same_facts_give_the_same_decision() -> None:
    """However often and in whatever order it is asked, and whatever else was decided in between."""
    cases = Cases()

    @settings(max_examples=500)
    @given(st.lists(any_facts, min_size=2, max_size=4))
    def asked(many: list[Facts]) -> None:
        first = [evaluate(facts) for facts in many]
        for _ in range(3):
            assert [evaluate(replace(facts)) for facts in reversed(many)] == first[::-1]
            cases.count += len(many)

    asked()
    enough(cases, 3_000)


def tighten_lanes(**changes: Any) -> Callable[[Agreement], Agreement]:
    return lambda agreement: replace(agreement, lanes=replace(agreement.lanes, **changes))


def tighten_campaign(**changes: Any) -> Callable[[Agreement], Agreement]:
    def tightened(agreement: Agreement) -> Agreement:
        campaigns = tuple(replace(campaign, **changes) for campaign in agreement.lanes.campaigns)
        return replace(agreement, lanes=replace(agreement.lanes, campaigns=campaigns))

    return tightened


def tighten_consent(part: str, **changes: Any) -> Callable[[Agreement], Agreement]:
    def tightened(agreement: Agreement) -> Agreement:
        section = replace(getattr(agreement.consent, part), **changes)
        return replace(agreement, consent=replace(agreement.consent, **{part: section}))

    return tightened


def fewer_channels(agreement: Agreement) -> Agreement:
    return tighten_consent("caller", channels=agreement.consent.caller.channels[:1])(agreement)


def without_purpose(purpose: Purpose) -> Callable[[Agreement], Agreement]:
    return lambda a: replace(a, purposes={key: value for key, value in a.purposes.items() if key is not purpose})


def tighten_scope(**changes: Any) -> Callable[[Agreement], Agreement]:
    return lambda agreement: replace(agreement, scope=replace(agreement.scope, **changes))


def tighten_validity(**changes: Any) -> Callable[[Agreement], Agreement]:
    return lambda agreement: replace(agreement, validity=replace(agreement.validity, **changes))


TIGHTER_FACTS: dict[str, Any] = {
    **dict.fromkeys(("clock_trusted", "signatures_valid", "storage_available", "draw_authority_ready"), False),
    **dict.fromkeys(("suspended", "evaluation_overdue", "epoch_dark", "log_unwitnessed", "blackout", "paused"), True),
    **dict.fromkeys(("seat_bound", "key_available", "agent_informed", "party_known", "media_supported"), False),
    **dict.fromkeys(("protected_party", "party_internal", "media_encrypted", "no_media", "campaign_full"), True),
    **dict.fromkeys(
        ("ceiling_ok", "caps_ok", "wish_caps_ok", "drawn", "caller_notice_played", "leak_ok", "quorum_ready"), False
    ),
    **dict.fromkeys(("withdrawn_by_agent", "withdrawn_by_caller"), True),
    "agreements": (),
    "group_size": 0,
    "ack_age_ms": 5_001,
    "caller": dict.fromkeys(Purpose, CallerAnswer(ConsentState.UNSET)),
    "agent_per_call": dict.fromkeys(Purpose, PerCallAnswer(ConsentState.NO)),
}
TIGHTER = {
    "earlier end": tighten_validity(end=NOW),
    "later start": tighten_validity(start=NOW + timedelta(seconds=1)),
    "larger groups": tighten_scope(groups={"team-a": 9, "team-b": 9}),
    "fewer groups": tighten_scope(groups={"team-b": 8}),
    "fewer queues": tighten_scope(queues=("service-gas",)),
    "more excluded queues": tighten_scope(excluded_queues=("service-strom", "gesundheit")),
    "fewer sites": tighten_scope(sites=("home-office",)),
    "no sample": tighten_lanes(sample=None),
    "no campaigns": tighten_lanes(campaigns=()),
    "no customer request": tighten_lanes(customer_request=None),
    "no agent request": tighten_lanes(agent_request=None),
    "shorter campaign": tighten_campaign(end=CAMPAIGN.start),
    "larger campaign": tighten_campaign(min_eligible_agents=9),
    "all parties": lambda a: replace(a, consent=replace(a.consent, mode=Mode.ALL_PARTY)),
    "nothing after a refusal": tighten_consent("caller", on_refusal="record_nothing"),
    "fewer channels": fewer_channels,
    "both gates": tighten_consent("agent", gate=Gate.STANDING_AND_PER_CALL),
    "home apart": tighten_consent("agent", home_office_separate=True),
    "shorter light": lambda a: replace(a, indicator=replace(a.indicator, ack_max_age_ms=500)),
    **{f"no {purpose}": without_purpose(purpose) for purpose in Purpose},
}


def test_p3_a_tighter_agreement_never_permits() -> None:
    """One agreement: with several, leaving one's scope also leaves its veto, which needs both parties."""
    cases = Cases()

    @settings(max_examples=900)
    @given(any_facts, st.lists(st.sampled_from(sorted(TIGHTER)), min_size=2, max_size=4))
    def tightened(facts: Facts, names: list[str]) -> None:
        facts = replace(facts, agreements=facts.agreements[:1] if facts.agreements else facts.agreements)
        before, more = evaluate(facts), facts
        for tighter in TIGHTER.values():
            once = tuple(tighter(a) for a in facts.agreements or ())
            cases.never_permits(before, replace(facts, agreements=once))
        for name in names:  # one after the other
            more = replace(more, agreements=tuple(TIGHTER[name](a) for a in more.agreements or ()))
            cases.never_permits(before, more)

    tightened()
    enough(cases, 20_000)


def test_p3_a_tighter_site_or_leg_never_permits() -> None:
    """Each flag that stands for a restriction, and each answer, set to its tighter value."""
    cases = Cases()

    @settings(max_examples=500)
    @given(any_facts)
    def tightened(facts: Facts) -> None:
        before = evaluate(facts)
        for name, value in TIGHTER_FACTS.items():
            change: dict[str, Any] = {name: value}
            cases.never_permits(before, replace(facts, **change))

    tightened()
    enough(cases, 12_000)


@given(any_facts, agreements())
def test_p3_one_more_agreement_for_the_same_leg_never_permits(facts: Facts, more: Agreement) -> None:
    if evaluate(facts).outcome is Outcome.NO and facts.agreements:
        both = replace(facts, agreements=(*facts.agreements, more))
        in_scope = facts.queue in more.scope.queues and facts.group in more.scope.groups
        in_scope = in_scope and any(facts.queue in a.scope.queues for a in facts.agreements)
        if in_scope and Reason.OUT_OF_SCOPE not in evaluate(facts).reasons:
            assert evaluate(both).outcome is Outcome.NO


@given(st.integers(0, 2**64 - 1), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**4), st.data())
def test_p3_a_lower_rate_draws_and_admits_no_more(u: int, ppm: int, other: int, legs: int, data: st.DataObject) -> None:
    low, high = sorted((ppm, other))
    hits = data.draw(st.integers(0, legs))
    assert drawn(u, high) or not drawn(u, low)
    assert draw_rules.ceiling_ok(high, legs=legs, hits=hits) or not draw_rules.ceiling_ok(low, legs=legs, hits=hits)


caps = st.builds(Caps, st.integers(0, 5) | st.none(), st.integers(0, 5) | st.none())


@given(caps, caps, st.integers(0, 6), st.integers(0, 6))
def test_p3_another_cap_admits_no_more(one: Caps, other: Caps, today: int, week: int) -> None:
    sample = example().lanes.sample
    assert sample is not None
    with_cap = [
        replace(example(), lanes=replace(example().lanes, sample=replace(sample, caps=cap))) for cap in (one, other)
    ]
    alone = draw_rules.caps_ok(with_cap[:1], hits_today=today, hits_this_week=week)
    assert alone or not draw_rules.caps_ok(with_cap, hits_today=today, hits_this_week=week)


def well_formed(decision: Decision) -> bool:
    if decision.reasons != in_order(decision.reasons):
        return False
    if decision.outcome is Outcome.RECORD:
        named = decision.lane is not None and decision.purpose is not None
        return not decision.reasons and Side.AGENT in decision.sides and named
    return bool(decision.reasons) and not decision.sides


@given(any_facts)
def test_a_decision_always_has_its_form(facts: Facts) -> None:
    decisions = [evaluate(facts), *(evaluate_lane(facts, lane) for lane in Lane)]
    assert all(well_formed(decision) for decision in decisions)
    assert Reason.EVALUATION_ERROR not in decisions[0].reasons
    assert armed(facts) == (decisions[0].outcome is Outcome.RECORD or pending(decisions[0]))


@given(any_facts)
def test_the_decision_is_that_of_its_lane(facts: Facts) -> None:
    decision = evaluate(facts)
    if decision.outcome is Outcome.RECORD:
        assert decision.lane is not None
        assert evaluate_lane(facts, decision.lane) == decision


junk = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)


@given(st.dictionaries(st.sampled_from(sorted(STRATEGIES)), junk))
def test_junk_in_the_facts_never_raises_and_never_permits_by_itself(changes: dict[str, object]) -> None:
    decision = evaluate(Facts(**changes))  # type: ignore[arg-type]  # what a bug in the caller would pass
    assert decision.outcome is Outcome.NO
    evaluate(green(**changes))
