"""The vectors of the decision: base = all green, drawn, rate 3 %; each changes what it says and nothing else."""

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from policy.agreement.load import load
from policy.consent import nothing_said
from policy.decision import (
    ASKABLE,
    SITE_STATE,
    CallerAnswer,
    Facts,
    Lane,
    Outcome,
    PerCallAnswer,
    Purpose,
    Reason,
    Rule,
    Side,
    StandingAnswer,
    fold,
    pending,
)
from policy.evaluate import armed, evaluate, evaluate_lane
from tests.unit.policy.green import (
    CALLER_NO,
    NO,
    NOW,
    PROVEN_YES,
    SAMPLE_RULE,
    UNSET,
    YES,
    agreement,
    edited,
    example,
    green,
    per_leg,
)

R = Reason
BOTH = frozenset(Side)
COACHING, DISPUTE = Purpose.COACHING, Purpose.DISPUTE
CAMPAIGN_RULE = Rule(
    Lane.CAMPAIGN, Purpose.PROCESS_QUALITY, 100_000, "campaign/tarifwechsel-april", "tarifwechsel-april"
)
IN_CAMPAIGN = example().lanes.campaigns[0].start


def standing(answer, **more):
    return {**{purpose: StandingAnswer(YES) for purpose in Purpose}, COACHING: StandingAnswer(answer, **more)}


def per_call(answer, purpose=COACHING, *, unprompted=False):
    return {**nothing_said(), purpose: PerCallAnswer(answer, unprompted)}


def caller(answer, purpose=COACHING):
    return {purpose: answer}


def gated(gate, **changes):
    return green(agreements=(agreement(consent__agent__gate=gate),), **changes)


def per_leg_for_dispute():
    sample = per_leg().lanes.sample
    assert sample is not None
    return replace(per_leg(), lanes=replace(per_leg().lanes, sample=replace(sample, purpose=DISPUTE)))


WANTED = {
    "caller_wants_record": True,
    "agent_wants_record": True,
    "agent_per_call": per_call(YES, DISPUTE),
    "caller": caller(PROVEN_YES, DISPUTE),
}

RECORDED = {
    "none changed": (green(), Lane.SAMPLE, COACHING, BOTH),
    "per_leg, announced, caller no, leak ok": (
        green(agreements=(per_leg(),), caller=caller(replace(CALLER_NO, told_one_sided=True))),
        Lane.SAMPLE,
        COACHING,
        {Side.AGENT},
    ),
    "per_leg, caller yes": (green(agreements=(per_leg(),)), Lane.SAMPLE, COACHING, BOTH),
    "standing no, per-call yes unprompted": (
        green(agent_standing=standing(NO), agent_per_call=per_call(YES, unprompted=True)),
        Lane.SAMPLE,
        COACHING,
        BOTH,
    ),
    "both want a record, not drawn, cap reached": (
        green(**WANTED, drawn=False, caps_ok=False, ceiling_ok=False),
        Lane.CUSTOMER_REQUEST,
        DISPUTE,
        BOTH,
    ),
    "both want a record, no rule at all": (green(**WANTED, rule=None), Lane.CUSTOMER_REQUEST, DISPUTE, BOTH),
    "a dark epoch and an unwitnessed log don't close an asked lane": (
        green(**WANTED, epoch_dark=True, log_unwitnessed=True, draw_authority_ready=False),
        Lane.CUSTOMER_REQUEST,
        DISPUTE,
        BOTH,
    ),
    "the agent wants it": (green(agent_request=True, drawn=False), Lane.AGENT_REQUEST, COACHING, BOTH),
    "an asked lane comes before a drawn one": (
        green(agent_request=True),
        Lane.AGENT_REQUEST,
        COACHING,
        BOTH,
    ),
    "a campaign": (green(rule=CAMPAIGN_RULE, wallclock=IN_CAMPAIGN), Lane.CAMPAIGN, Purpose.PROCESS_QUALITY, BOTH),
    "gate per_call": (
        gated("per_call", agent_standing=None, agent_per_call=per_call(YES)),
        Lane.SAMPLE,
        COACHING,
        BOTH,
    ),
    "gate both": (gated("standing_and_per_call", agent_per_call=per_call(YES)), Lane.SAMPLE, COACHING, BOTH),
    "at home, with a yes for home": (
        green(home_office=True, agent_standing=standing(YES, home_office=True)),
        Lane.SAMPLE,
        COACHING,
        BOTH,
    ),
    "light just fresh enough": (green(ack_age_ms=3000), Lane.SAMPLE, COACHING, BOTH),
    "light acknowledged this very moment": (green(ack_age_ms=0), Lane.SAMPLE, COACHING, BOTH),
    "the agent pressed for the caller": (
        green(**{**WANTED, "caller_wants_record": False}, drawn=False),
        Lane.CUSTOMER_REQUEST,
        DISPUTE,
        BOTH,
    ),
    "first instant": (green(wallclock=example().validity.start), Lane.SAMPLE, COACHING, BOTH),
    "last instant": (
        green(wallclock=example().validity.end - timedelta(microseconds=1)),
        Lane.SAMPLE,
        COACHING,
        BOTH,
    ),
    "an ivr the agreement names": (
        green(caller=caller(CallerAnswer(YES, "ivr:front", receipt=True))),
        Lane.SAMPLE,
        COACHING,
        BOTH,
    ),
}

REFUSED = {
    "no agreement": (green(agreements=None), {R.NO_AGREEMENT}),
    "an empty list of agreements": (green(agreements=()), {R.NO_AGREEMENT}),
    "now = end": (green(wallclock=example().validity.end), {R.OUTSIDE_VALIDITY}),
    "before the start": (green(wallclock=example().validity.start - timedelta(microseconds=1)), {R.OUTSIDE_VALIDITY}),
    "not drawn": (green(drawn=False), {R.NOT_DRAWN}),
    "caller unset": (green(caller=caller(CallerAnswer(UNSET))), {R.CALLER_UNSET}),
    "caller never asked": (green(caller={}), {R.CALLER_UNSET}),
    "caller no": (green(caller=caller(CALLER_NO)), {R.CALLER_REFUSED}),
    "caller no, all_party, told": (
        green(caller=caller(replace(CALLER_NO, told_one_sided=True))),
        {R.CALLER_REFUSED},
    ),
    "per_leg, not announced": (green(agreements=(per_leg(),), caller=caller(CALLER_NO)), {R.CALLER_REFUSED}),
    "per_leg, leak": (
        green(agreements=(per_leg(),), caller=caller(replace(CALLER_NO, told_one_sided=True)), leak_ok=False),
        {R.LEG_LEAK},
    ),
    "per_leg, caller unset": (green(agreements=(per_leg(),), caller={}), {R.CALLER_UNSET}),
    "per_leg, not drawn": (
        green(agreements=(per_leg(),), caller=caller(replace(CALLER_NO, told_one_sided=True)), drawn=False),
        {R.NOT_DRAWN},
    ),
    "one side alone is no evidence": (
        green(
            **{**WANTED, "caller": caller(replace(CALLER_NO, told_one_sided=True), DISPUTE)},
            agreements=(per_leg(),),
            drawn=False,
        ),
        {R.CALLER_REFUSED},
    ),
    "per_leg, but nothing after a refusal": (
        green(
            agreements=(agreement(consent__mode="per_leg", legal__per_leg_opinion="G-1"),),
            caller=caller(replace(CALLER_NO, told_one_sided=True)),
        ),
        {R.CALLER_REFUSED},
    ),
    "per_leg in one of two agreements": (
        green(agreements=(per_leg(), example()), caller=caller(replace(CALLER_NO, told_one_sided=True))),
        {R.CALLER_REFUSED},
    ),
    "per_leg, one side alone for the agent's own request": (
        green(
            agreements=(per_leg(),),
            agent_request=True,
            drawn=False,
            caller=caller(replace(CALLER_NO, told_one_sided=True)),
        ),
        {R.CALLER_REFUSED},
    ),
    "per_leg, one side alone of a leg drawn for dispute": (
        green(
            agreements=(per_leg_for_dispute(),),
            rule=replace(SAMPLE_RULE, purpose=DISPUTE),
            caller=caller(replace(CALLER_NO, told_one_sided=True), DISPUTE),
        ),
        {R.CALLER_REFUSED},
    ),
    "standing unset": (green(agent_standing=standing(UNSET)), {R.AGENT_NO_OR_UNSET}),
    "standing no": (green(agent_standing=standing(NO)), {R.AGENT_NO_OR_UNSET}),
    "standing unset, per-call yes because somebody asked": (
        green(agent_standing=standing(UNSET), agent_per_call=per_call(YES)),
        {R.AGENT_NO_OR_UNSET},
    ),
    "standing yes, per-call no": (green(agent_per_call=per_call(NO)), {R.AGENT_NO_OR_UNSET}),
    "gate per_call, unset": (gated("per_call"), {R.AGENT_PER_CALL_MISSING}),
    "gate per_call, no": (gated("per_call", agent_per_call=per_call(NO)), {R.AGENT_NO_OR_UNSET}),
    "gate both, standing alone": (gated("standing_and_per_call"), {R.AGENT_PER_CALL_MISSING}),
    "gate both, per-call alone": (
        gated("standing_and_per_call", agent_standing=standing(NO), agent_per_call=per_call(YES, unprompted=True)),
        {R.AGENT_NO_OR_UNSET},
    ),
    "a missing per-call answer could be a no": (green(agent_per_call={}), {R.AGENT_PER_CALL_MISSING}),
    "at home, with a yes for the office": (green(home_office=True), {R.AGENT_SCOPE}),
    "ack too old": (green(ack_age_ms=3001), {R.INDICATOR_STALE}),
    "no ack": (green(ack_age_ms=None), {R.INDICATOR_STALE}),
    "ack from the future": (green(ack_age_ms=-1), {R.INDICATOR_STALE}),
    "suspended": (green(suspended=True), {R.SUSPENDED}),
    "protected unknown": (green(protected_party=None), {R.PROTECTED_PARTY}),
    "protected": (green(protected_party=True), {R.PROTECTED_PARTY}),
    "third party": (green(party_known=False), {R.PARTY_UNKNOWN}),
    "card pause": (green(paused=True), {R.PAUSED}),
    "pause beats a wish": (green(**WANTED, paused=True), {R.PAUSED}),
    "two failures": (green(drawn=False, caller=caller(CALLER_NO)), {R.NOT_DRAWN, R.CALLER_REFUSED}),
    "caller's yes only for dispute, drawn for coaching": (
        green(caller=caller(PROVEN_YES, DISPUTE)),
        {R.CALLER_UNSET},
    ),
    "signature": (green(signatures_valid=False), {R.SIGNATURE_INVALID}),
    "clock": (green(clock_trusted=False), {R.CLOCK_UNTRUSTED}),
    "evaluation": (green(evaluation_overdue=True), {R.EVALUATION_OVERDUE}),
    "dark epoch": (green(epoch_dark=True), {R.EPOCH_DARK}),
    "no draw authority": (green(draw_authority_ready=False), {R.EPOCH_DARK}),
    "log not cosigned": (green(log_unwitnessed=True), {R.LOG_UNWITNESSED}),
    "an older state was put back": (green(restored=True), {R.LOG_UNWITNESSED}),
    "an older state was put back, both want a record": (green(**WANTED, restored=True), {R.LOG_UNWITNESSED}),
    "storage": (green(storage_available=False), {R.STORAGE_UNAVAILABLE}),
    "media unsupported": (green(media_supported=False), {R.MEDIA_UNSUPPORTED}),
    "media encrypted": (green(media_encrypted=True), {R.MEDIA_ENCRYPTED}),
    "no media": (green(no_media=True), {R.NO_MEDIA}),
    "no key": (green(key_available=False), {R.KEY_UNAVAILABLE}),
    "another site": (green(site="bremen"), {R.OUT_OF_SCOPE}),
    "another queue": (green(queue="vertrieb"), {R.OUT_OF_SCOPE}),
    "an excluded queue": (green(queue="gesundheit"), {R.OUT_OF_SCOPE}),
    "another group": (green(group="team-z"), {R.OUT_OF_SCOPE}),
    "group too small": (green(group_size=7), {R.GROUP_TOO_SMALL}),
    "internal": (green(party_internal=True), {R.PARTY_INTERNAL}),
    "seat not claimed": (green(seat_bound=False), {R.LEG_UNBOUND}),
    "blackout": (green(blackout=True), {R.BLACKOUT}),
    "agent not informed": (green(agent_informed=False), {R.AGENT_NOT_INFORMED}),
    "no notice": (green(caller_notice_played=False), {R.CALLER_NOTICE_MISSING}),
    "ceiling": (green(ceiling_ok=False), {R.CEILING}),
    "cap": (green(caps_ok=False), {R.AGENT_CAP}),
    "yes without a receipt": (green(caller=caller(CallerAnswer(YES, "dtmf"))), {R.CONSENT_UNPROVEN}),
    "yes by a bare header": (
        green(caller=caller(CallerAnswer(YES, "header", receipt=True))),
        {R.CONSENT_UNPROVEN},
    ),
    "yes by an ivr nobody named": (
        green(caller=caller(CallerAnswer(YES, "ivr:other", receipt=True))),
        {R.CONSENT_UNPROVEN},
    ),
    "withdrawn by the agent": (green(withdrawn_by_agent=True), {R.WITHDRAWN_BY_AGENT}),
    "withdrawn by the caller": (green(withdrawn_by_caller=True), {R.WITHDRAWN_BY_CALLER}),
    "a withdrawal beats a wish": (green(**WANTED, withdrawn_by_agent=True), {R.WITHDRAWN_BY_AGENT}),
    "campaign over": (
        green(rule=CAMPAIGN_RULE, wallclock=example().lanes.campaigns[0].end),
        {R.CAMPAIGN_CLOSED},
    ),
    "campaign of another queue": (
        green(rule=CAMPAIGN_RULE, wallclock=IN_CAMPAIGN, queue="service-gas"),
        {R.CAMPAIGN_CLOSED},
    ),
    "campaign full": (green(rule=CAMPAIGN_RULE, wallclock=IN_CAMPAIGN, campaign_full=True), {R.CAMPAIGN_FULL}),
    "campaign with too few agents": (
        green(rule=CAMPAIGN_RULE, wallclock=IN_CAMPAIGN, campaign_agents=7),
        {R.GROUP_TOO_SMALL},
    ),
    "campaign that isn't agreed": (
        green(rule=replace(CAMPAIGN_RULE, campaign="other"), wallclock=IN_CAMPAIGN),
        {R.LANE_NOT_AGREED},
    ),
    "drawn for a purpose that isn't the lane's": (
        green(rule=replace(SAMPLE_RULE, purpose=Purpose.PROCESS_QUALITY)),
        {R.LANE_NOT_AGREED},
    ),
    "wish that isn't agreed": (
        green(
            agreements=(replace(example(), lanes=replace(example().lanes, customer_request=None)),),
            **WANTED,
            drawn=False,
        ),
        {R.LANE_NOT_AGREED},
    ),
    "wish beyond the week's count": (green(**WANTED, drawn=False, wish_caps_ok=False), {R.AGENT_CAP}),
    "wish without the agent's yes in this call": (
        green(**{**WANTED, "agent_per_call": nothing_said()}, drawn=False),
        {R.AGENT_PER_CALL_MISSING},
    ),
    "wish against the agent's no in this call": (
        green(**{**WANTED, "agent_per_call": per_call(NO, DISPUTE)}, drawn=False),
        {R.AGENT_NO_OR_UNSET},
    ),
    "wish on an internal call": (green(**WANTED, party_internal=True), {R.PARTY_INTERNAL}),
    "a bug": (green(wallclock=NOW.replace(tzinfo=None)), {R.EVALUATION_ERROR}),
    "nonsense for an agreement": (green(agreements=("no agreement",)), {R.EVALUATION_ERROR}),
}


@pytest.mark.parametrize("name", RECORDED)
def test_recorded(name):
    facts, lane, purpose, sides = RECORDED[name]
    decision = evaluate(facts)
    assert (decision.outcome, decision.lane, decision.purpose, decision.sides, decision.reasons) == (
        Outcome.RECORD,
        lane,
        purpose,
        frozenset(sides),
        (),
    )


@pytest.mark.parametrize("name", REFUSED)
def test_not_recorded(name):
    facts, reasons = REFUSED[name]
    decision = evaluate(facts)
    assert decision.outcome is Outcome.NO
    assert set(decision.reasons) == reasons
    assert decision.sides == frozenset()


def test_every_input_missing_lists_every_reason_that_a_missing_input_can_have():
    decision = evaluate(Facts())
    conditional = {
        R.CAMPAIGN_CLOSED,
        R.CAMPAIGN_FULL,
        R.CALLER_REFUSED,
        R.LEG_LEAK,
        R.EVALUATION_ERROR,
        R.NOT_SELECTED_OR_NOT_PERMITTED,
    }
    assert decision.outcome is Outcome.NO
    assert set(decision.reasons) == set(Reason) - conditional


NOT_NEEDED = {"campaign_agents", "campaign_full", "leak_ok"}
"""Inputs that a sample leg with both yeses has no use for."""
WISHES = {"caller_wants_record", "agent_wants_record", "agent_request", "wish_caps_ok", "quorum_ready"}


@pytest.mark.parametrize("name", [f.name for f in fields(Facts) if f.name not in NOT_NEEDED | WISHES])
def test_one_missing_input_denies(name):
    assert evaluate(replace(green(), **{name: None})).outcome is Outcome.NO


@pytest.mark.parametrize("lane", Lane)
def test_no_lane_is_open_without_input(lane):
    assert evaluate_lane(Facts(), lane).outcome is Outcome.NO


def test_every_reason_is_seen_in_a_vector():
    seen = {reason for _, reasons in REFUSED.values() for reason in reasons}
    only_without_input = {R.NOT_REQUESTED}
    assert seen == set(Reason) - only_without_input - {R.NOT_SELECTED_OR_NOT_PERMITTED}


def test_reasons_come_in_one_order():
    decision = evaluate(green(paused=True, drawn=False, suspended=True, caller={}))
    assert decision.reasons == (R.SUSPENDED, R.NOT_DRAWN, R.CALLER_UNSET, R.PAUSED)


@pytest.mark.parametrize("agent", [YES, NO, UNSET])
@pytest.mark.parametrize("answer", [YES, NO, UNSET])
@pytest.mark.parametrize("mode", ["all_party", "per_leg"])
def test_the_table_of_both_consents(agent, answer, mode):
    spoken = {YES: PROVEN_YES, NO: replace(CALLER_NO, told_one_sided=True), UNSET: CallerAnswer(UNSET)}[answer]
    document = per_leg() if mode == "per_leg" else example()
    decision = evaluate(green(agreements=(document,), agent_standing=standing(agent), caller=caller(spoken)))
    expected: frozenset[Side] = frozenset()
    if agent is YES and answer is YES:
        expected = BOTH
    elif agent is YES and answer is NO and mode == "per_leg":
        expected = frozenset({Side.AGENT})
    assert decision.sides == expected
    assert (decision.outcome is Outcome.RECORD) == bool(expected)


ASKING = {"caller": {}, "caller_notice_played": False, "ack_age_ms": None}


class TestAsking:
    def test_a_drawn_leg_may_be_asked_and_says_for_what(self):
        decision = evaluate(green(**ASKING))
        assert set(decision.reasons) == ASKABLE
        assert pending(decision)
        assert (decision.lane, decision.purpose) == (Lane.SAMPLE, COACHING)
        assert armed(green(**ASKING))

    def test_nobody_is_asked_in_vain(self):
        for vain in ({"drawn": False}, {"agent_standing": standing(NO)}, {"paused": True}, {"ceiling_ok": False}):
            assert not armed(green(**ASKING, **vain))

    def test_an_unknown_answer_is_no_reason_to_ask(self):
        assert not armed(green(**{**ASKING, "caller": None}))

    def test_a_refusal_is_not_asked_again(self):
        assert not armed(green(**{**ASKING, "caller": caller(CALLER_NO)}))

    def test_a_wish_is_asked_for_its_own_purpose(self):
        wish = {**WANTED, "caller": caller(PROVEN_YES)}
        decision = evaluate(green(**wish, drawn=False))
        assert pending(decision)
        assert (decision.lane, decision.purpose) == (Lane.CUSTOMER_REQUEST, DISPUTE)

    def test_a_recorded_leg_is_armed_too_but_not_pending(self):
        assert armed(green())
        assert not pending(evaluate(green()))


class TestSeveralAgreements:
    other = agreement(id="gbv", indicator__ack_max_age_ms=1000, scope__excluded_queues=["service-gas", "gesundheit"],
                      scope__queues=["service-strom"])  # fmt: skip

    def both(self, **changes):
        return green(agreements=(example(), self.other), **changes)

    def test_all_must_allow(self):
        assert evaluate(self.both()).outcome is Outcome.RECORD
        stricter = replace(self.other, lanes=replace(self.other.lanes, sample=None))
        assert R.LANE_NOT_AGREED in evaluate(green(agreements=(example(), stricter))).reasons

    def test_numbers_take_the_minimum(self):
        assert evaluate(self.both(ack_age_ms=1001)).reasons == (R.INDICATOR_STALE,)

    @pytest.mark.parametrize("order", [1, -1])
    def test_the_strictest_group_size_counts(self, order):
        larger = load(edited({"scope/groups/team-a/min_agents": 9}))
        facts = green(agreements=(example(), larger)[::order], group_size=8)
        assert evaluate(facts).reasons == (R.GROUP_TOO_SMALL,)
        assert evaluate(replace(facts, group_size=9)).outcome is Outcome.RECORD

    def test_prohibitions_unite(self):
        assert evaluate(green(queue="service-gas")).outcome is Outcome.RECORD
        assert evaluate(self.both(queue="service-gas")).reasons == (R.OUT_OF_SCOPE,)

    def test_one_whose_scope_lies_elsewhere_has_no_say(self):
        elsewhere = agreement(id="gbv", scope__sites=["bremen"], indicator__ack_max_age_ms=100)
        assert evaluate(green(agreements=(example(), elsewhere))).outcome is Outcome.RECORD


class TestWhatOthersSee:
    def test_a_person_s_reasons_fold_into_one(self):
        agent_says_no = evaluate(green(agent_standing=standing(NO)))
        caller_silent = evaluate(green(caller={}))
        assert fold(agent_says_no.reasons) == fold(caller_silent.reasons) == (R.NOT_SELECTED_OR_NOT_PERMITTED,)

    def test_the_site_s_state_is_shown_and_hides_the_rest(self):
        assert fold([R.SUSPENDED, R.AGENT_NO_OR_UNSET]) == fold([R.SUSPENDED]) == (R.SUSPENDED,)

    def test_nothing_to_say_about_a_recorded_leg(self):
        assert fold(()) == ()

    def test_site_states_are_those_of_the_contract(self):
        names = """NO_AGREEMENT SIGNATURE_INVALID CLOCK_UNTRUSTED OUTSIDE_VALIDITY EVALUATION_OVERDUE SUSPENDED
        EPOCH_DARK LOG_UNWITNESSED STORAGE_UNAVAILABLE MEDIA_UNSUPPORTED MEDIA_ENCRYPTED"""
        assert {reason.value for reason in SITE_STATE} == set(names.split())
