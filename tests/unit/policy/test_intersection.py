"""Several agreements at once: numbers take the minimum, permissions intersect, prohibitions unite."""

from dataclasses import asdict, replace
from datetime import date, timedelta

import pytest

from policy.draw_rules import epoch_of
from policy.evaluate import evaluate
from policy.intersection import combined, covering, epoch_for, phase_for
from policy.terms import Phase, Purpose, WithdrawalEffect
from tests.unit.policy.green import NOW, agreement, example, green

PROMPT = {"id": "ask-en-2", "language": "en", "sha256": "0" * 64, "consent_key": "1", "refuse_key": "9"}


def other(**edits):
    return agreement(
        id="bv-konzern",
        **{
            "consent__caller__channels": ["dtmf", "ivr:back"],
            "consent__prompts": [{**PROMPT, "withdraw_code": "*9"}],
            "indicator__ack_max_age_ms": 2000,
            "consent__withdrawal_effect": "stop_only",
            "pause__triggers": ["api"],
            "pause__max": "PT5M",
            "retention__coaching": "P7D",
            "validity__end": "2026-08-01T00:00:00",
            **edits,
        },
    )


def test_what_two_agreements_leave():
    both = combined((example(), other()))
    assert replace(both, agreements=()) == replace(combined((other(), example())), agreements=())
    assert both.channels == {"dtmf"} and both.prompts == ()
    assert both.ack_max_age_ms == 2000 and both.ends_at == other().validity.end < example().validity.end
    assert both.withdrawal_effect is WithdrawalEffect.DISCARD_CALL
    assert both.pause_triggers == {"dtmf", "api"} and both.pause_max.text == "PT5M"
    assert both.keep_until(Purpose.COACHING, NOW) == NOW + timedelta(days=7)
    assert both.keep_until(Purpose.PROCESS_QUALITY, NOW) == NOW + timedelta(days=14)


def test_what_both_name_alike_may_be_asked_with():
    named = asdict(example().consent.prompts[0])
    assert combined((other(consent__prompts=[named]), example())).prompts == example().consent.prompts[:1]
    assert combined((other(consent__prompts=[{**named, "refuse_key": "8"}]), example())).prompts == ()


def test_audio_stays_after_a_withdrawal_only_if_all_say_so():
    stays = [other(), other(validity__timezone="Europe/London")]
    assert combined(stays).withdrawal_effect is WithdrawalEffect.STOP_ONLY


def test_one_agreement_leaves_what_it_says_and_none_leaves_nothing():
    alone = combined((example(),))
    assert alone.prompts == example().consent.prompts and alone.agreements == (example(),)
    with pytest.raises(ValueError, match="no agreement"):
        combined(())


def test_a_leg_is_covered_by_every_agreement_of_its_scope():
    wide = other(scope__sites=["hamburg", "bremen"], scope__queues=["service-strom"], lanes__campaigns=[])
    leg = {"site": "hamburg", "queue": "service-strom", "group": "team-a"}
    assert covering((example(), wide), **leg) == (example(), wide)
    assert covering((example(), wide), **{**leg, "queue": "service-gas"}) == (example(),)
    assert covering((example(), wide), **{**leg, "site": "bremen"}) == (wide,)
    assert covering((example(), wide), **{**leg, "group": "team-z"}) == ()
    excluding = other(scope__excluded_queues=["service-gas"], scope__queues=["service-strom"], lanes__campaigns=[])
    assert covering((example(), excluding), **{**leg, "queue": "service-gas"}) == ()


def test_the_decision_agrees_with_the_cover():
    wide = other(scope__queues=["service-strom"], lanes__campaigns=[], indicator__ack_max_age_ms=100)
    for agreements in ((example(), wide), (example(),)):
        for queue in ("service-strom", "service-gas", "gesundheit"):
            covered = covering(agreements, site="hamburg", queue=queue, group="team-a")
            together = evaluate(green(agreements=agreements, queue=queue))
            if covered:
                assert together == evaluate(green(agreements=covered, queue=queue))
            else:
                assert together.sides == frozenset()


def test_agreements_with_different_epochs_draw_nothing_together():
    daily = other(draw__epoch="P1D", lanes__sample__caps__per_agent={"P1D": 2})
    assert epoch_for((example(),), NOW) == epoch_for((example(), other()), NOW) == epoch_of(example(), NOW)
    assert epoch_for((example(), daily), NOW) is None and epoch_for((), NOW) is None
    assert epoch_for((example(), other(validity__timezone="Europe/London")), NOW) is None


def test_onboarding_only_while_all_call_it_so():
    shorter = other(lanes__sample__rates__0__max_days=20)
    elsewhere = other(scope__sites=["bremen"], lanes__sample__rates__0__max_days=20)

    def phase(*agreements, since: date | None, group="team-a"):
        return phase_for(agreements, site="hamburg", group=group, since=since, wallclock=NOW)

    for since, together in ((date(2026, 2, 26), Phase.ONBOARDING), (date(2026, 2, 10), Phase.REGULAR)):
        assert phase(example(), shorter, since=since) is together
        assert phase(example(), since=since) is phase(example(), elsewhere, since=since) is Phase.ONBOARDING
    assert phase(since=date(2026, 2, 26)) is phase(example(), since=None) is Phase.REGULAR
    assert phase(example(), since=date(2026, 2, 26), group="team-b") is Phase.REGULAR
