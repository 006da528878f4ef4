"""Edges of the decision that only a changed line of it would show: one input missing, odd rules, out of scope."""

from dataclasses import replace

import pytest

from policy.decision import (
    CallerAnswer,
    ConsentState,
    Facts,
    Lane,
    Outcome,
    PerCallAnswer,
    Purpose,
    Reason,
    Rule,
    Side,
    StandingAnswer,
)
from policy.evaluate import evaluate, evaluate_lane
from tests.unit.policy.green import agreement, example, green, per_leg


@pytest.mark.parametrize("missing", ["site", "queue", "group"])
def test_without_an_agreement_a_place_that_is_missing_is_still_told(missing):
    known = {"site": "hamburg", "queue": "service-strom", "group": "team-a", missing: None}
    assert Reason.OUT_OF_SCOPE in evaluate(green(agreements=(), **known)).reasons
    assert Reason.OUT_OF_SCOPE not in evaluate(green(agreements=())).reasons


@pytest.mark.parametrize("missing", ["caller_wants_record", "agent_wants_record", "agent_request"])
def test_a_wish_that_is_missing_is_told_beside_the_drawn_lanes_reasons(missing):
    shut = green(drawn=False, agent_per_call=None)
    assert Reason.NOT_REQUESTED not in evaluate(shut).reasons
    assert Reason.NOT_REQUESTED in evaluate(replace(shut, **{missing: None})).reasons


def test_a_rule_of_an_asked_lane_draws_nothing():
    decision = evaluate(green(rule=Rule(Lane.CUSTOMER_REQUEST, Purpose.DISPUTE, 0, "")))
    assert decision.outcome is Outcome.NO and decision.lane is Lane.SAMPLE
    assert Reason.LANE_NOT_AGREED in decision.reasons


def test_a_leg_out_of_scope_is_told_the_sites_other_reasons_too():
    ended = green(queue="elsewhere", wallclock=example().validity.end)
    assert {Reason.OUT_OF_SCOPE, Reason.OUTSIDE_VALIDITY} <= set(evaluate(ended).reasons)
    assert Reason.AGENT_NO_OR_UNSET in evaluate(green(queue="elsewhere", agent_standing={})).reasons


def test_of_two_agreements_only_those_in_scope_count():
    gas = agreement(id="gas", scope__queues=["service-gas"], lanes__campaigns=[], indicator__ack_max_age_ms=100)
    assert evaluate(green(agreements=(example(), gas))).outcome is Outcome.RECORD
    assert evaluate(green(agreements=(example(), gas), queue="service-gas")).reasons == (Reason.INDICATOR_STALE,)
    assert evaluate(Facts(agreements=(gas,))).outcome is Outcome.NO


def test_an_agreement_of_another_site_excludes_nothing_here():
    bremen = agreement(id="bremen", scope__sites=["bremen"], scope__excluded_queues=["service-strom"])
    assert evaluate(green(agreements=(example(), bremen))).outcome is Outcome.RECORD
    here = agreement(id="here", scope__excluded_queues=["service-strom"])
    assert evaluate(green(agreements=(example(), here))).reasons == (Reason.OUT_OF_SCOPE,)


@pytest.mark.parametrize(
    ("missing", "reason"),
    [("agent_standing", Reason.AGENT_NO_OR_UNSET), ("agent_per_call", Reason.AGENT_PER_CALL_MISSING)],
)
def test_without_a_purpose_an_answer_that_is_missing_is_still_told(missing, reason):
    assert reason in evaluate(green(rule=None, **{missing: None})).reasons
    assert reason not in evaluate(green(rule=None)).reasons


def test_without_a_wall_clock_no_clock_is_trusted():
    assert {Reason.CLOCK_UNTRUSTED, Reason.OUTSIDE_VALIDITY} <= set(evaluate(green(wallclock=None)).reasons)


@pytest.mark.parametrize("who", ["caller_wants_record", "agent_wants_record"])
def test_either_ones_wish_is_a_request(who):
    agreed = {Purpose.DISPUTE: PerCallAnswer(ConsentState.YES, unprompted=True)}
    assert evaluate_lane(green(agent_per_call=agreed), Lane.CUSTOMER_REQUEST).reasons == (Reason.NOT_REQUESTED,)
    assert evaluate_lane(green(agent_per_call=agreed, **{who: True}), Lane.CUSTOMER_REQUEST).outcome is Outcome.RECORD


@pytest.mark.parametrize("ready", [None, False])
def test_a_record_that_council_and_officer_could_not_open_is_not_made(ready):
    agreed = {Purpose.DISPUTE: PerCallAnswer(ConsentState.YES, unprompted=True)}
    wish = green(caller_wants_record=True, agent_per_call=agreed, quorum_ready=ready)
    assert evaluate_lane(wish, Lane.CUSTOMER_REQUEST).reasons == (Reason.KEY_UNAVAILABLE,)


def test_a_leg_of_one_drawn_lane_is_not_of_the_other():
    assert Reason.LANE_NOT_AGREED in evaluate_lane(green(), Lane.CAMPAIGN).reasons
    same = agreement(lanes__campaigns__0__purpose="coaching")
    drawn = Rule(Lane.CAMPAIGN, Purpose.COACHING, 100_000, "campaign/tarifwechsel-april", "tarifwechsel-april")
    assert Reason.LANE_NOT_AGREED in evaluate_lane(green(agreements=(same,), rule=drawn), Lane.SAMPLE).reasons
    assert evaluate_lane(green(), Lane.SAMPLE).outcome is Outcome.RECORD


CAMPAIGN = example().lanes.campaigns[0]
CAMPAIGN_RULE = Rule(Lane.CAMPAIGN, Purpose.PROCESS_QUALITY, 100_000, f"campaign/{CAMPAIGN.id}", CAMPAIGN.id)


def test_a_campaigns_count_is_none_of_a_samples_business():
    assert evaluate(green(campaign_full=None, campaign_agents=None)).outcome is Outcome.RECORD
    assert evaluate(green(campaign_full=True)).outcome is Outcome.RECORD


def test_a_campaign_without_a_rule_is_not_agreed_and_no_error():
    reasons = evaluate_lane(green(rule=None), Lane.CAMPAIGN).reasons
    assert Reason.LANE_NOT_AGREED in reasons and Reason.EVALUATION_ERROR not in reasons


def test_a_campaign_says_what_is_missing():
    within = green(rule=CAMPAIGN_RULE, wallclock=CAMPAIGN.start)
    assert evaluate(within).outcome is Outcome.RECORD
    assert evaluate(replace(within, campaign_agents=None)).reasons == (Reason.GROUP_TOO_SMALL,)
    assert Reason.CAMPAIGN_CLOSED in evaluate(replace(within, wallclock=None)).reasons


@pytest.mark.parametrize("changes", [{"group": "elsewhere"}, {"agreements": ()}])
def test_a_group_of_no_agreement_has_no_least_size(changes):
    assert Reason.GROUP_TOO_SMALL not in evaluate(green(group_size=0, **changes)).reasons


def said(answer: ConsentState, unprompted: bool = True) -> dict[Purpose, PerCallAnswer]:
    return {purpose: PerCallAnswer(answer, unprompted) for purpose in Purpose}


def standing(answer: ConsentState, home_office: bool = False) -> dict[Purpose, StandingAnswer]:
    return {purpose: StandingAnswer(answer, home_office) for purpose in Purpose}


def test_where_both_yeses_are_agreed_a_record_on_request_needs_both():
    both = agreement(consent__agent__gate="standing_and_per_call")
    wish = green(agreements=(both,), caller_wants_record=True, agent_per_call=said(ConsentState.YES))
    assert evaluate_lane(wish, Lane.CUSTOMER_REQUEST).outcome is Outcome.RECORD
    refused = replace(wish, agent_standing=standing(ConsentState.NO))
    assert evaluate_lane(refused, Lane.CUSTOMER_REQUEST).reasons == (Reason.AGENT_NO_OR_UNSET,)


@pytest.mark.parametrize("missing", [None, {}])
def test_a_yes_in_the_call_doesnt_stand_for_a_standing_answer_that_is_missing(missing):
    known = green(agent_standing=standing(ConsentState.UNSET), agent_per_call=said(ConsentState.YES))
    assert evaluate(known).outcome is Outcome.RECORD
    assert evaluate(replace(known, agent_standing=missing)).reasons == (Reason.AGENT_NO_OR_UNSET,)


def test_only_an_unprompted_yes_in_the_call_outweighs_a_standing_no():
    no = green(agent_standing=standing(ConsentState.NO))
    assert evaluate(replace(no, agent_per_call=said(ConsentState.YES))).outcome is Outcome.RECORD
    for other in (said(ConsentState.UNSET), said(ConsentState.YES, unprompted=False)):
        assert evaluate(replace(no, agent_per_call=other)).reasons == (Reason.AGENT_NO_OR_UNSET,)


def test_home_is_a_place_of_its_own_where_it_is_agreed():
    at_home = green(home_office=True)
    assert evaluate(at_home).reasons == (Reason.AGENT_SCOPE,)
    assert (
        evaluate(replace(at_home, agent_standing=standing(ConsentState.YES, home_office=True))).outcome
        is Outcome.RECORD
    )
    nowhere = replace(at_home, home_office=None, agent_standing=standing(ConsentState.YES, home_office=True))
    assert evaluate(nowhere).reasons == (Reason.AGENT_SCOPE,)
    assert evaluate(replace(at_home, agent_standing={})).reasons == (Reason.AGENT_NO_OR_UNSET,)
    anywhere = agreement(consent__agent__home_office_separate="no")
    assert evaluate(replace(at_home, agreements=(anywhere,))).outcome is Outcome.RECORD


def test_a_yes_that_came_by_no_way_is_unproven_under_no_agreement_either():
    callers = dict.fromkeys(Purpose, CallerAnswer(ConsentState.YES, None, receipt=True))
    assert Reason.CONSENT_UNPROVEN in evaluate(green(agreements=(), caller=callers)).reasons


def test_one_side_is_kept_only_where_every_agreement_has_it_twice_over():
    """Mode and effect of a refusal: the loader refuses one without the other, and the decision doesn't rely on that."""
    alone, both = per_leg(), example()
    refused = dict.fromkeys(Purpose, CallerAnswer(ConsentState.NO, "dtmf", told_one_sided=True))
    nothing_kept = replace(alone.consent.caller, on_refusal=both.consent.caller.on_refusal)
    other_mode = replace(alone, consent=replace(alone.consent, mode=both.consent.mode))
    other_effect = replace(alone, consent=replace(alone.consent, caller=nothing_kept))
    assert evaluate(green(agreements=(alone,), caller=refused)).sides == {Side.AGENT}
    for odd in (other_mode, other_effect):
        for several in [(odd,), (alone, odd), (odd, alone)]:
            assert evaluate(green(agreements=several, caller=refused)).reasons == (Reason.CALLER_REFUSED,)
    assert Reason.CALLER_REFUSED in evaluate(green(agreements=(), caller=refused)).reasons
