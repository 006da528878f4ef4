"""The dry run beside two reckonings of its own: every outcome of a few legs counted out, and dice thrown for many."""

import random
from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest

from policy.dry_run import EVERYBODY, Limit, Load, dry_run, loads_of, month_legs
from policy.dry_run_words import sentences
from policy.errors import DryRunError
from policy.period import parse_period
from policy.statistics import CampaignFigures, Funnel, GroupFigures, Statistics
from tests.unit.policy.green import DELETED, agreement, example

RULE = "sample/team-a/regular"


def one_rule(percent, caps=None, **edits):
    """An agreement with one rate and the caps given."""
    rates = [{"group": "team-a", "phase": "regular", "percent": percent}]
    lanes = {
        "lanes__sample__rates": rates,
        "lanes__sample__caps__per_agent": caps or {"P1W": 20},
        "lanes__campaigns": [],
    }
    return agreement(**lanes, **edits)


def effect(of, agents, legs):
    (found,) = dry_run(of, {RULE: Load(agents, legs)})
    return found


def counted_out(p, legs):
    """The expected hits of one epoch under the ceiling alone, over all 2^legs outcomes."""
    expected = Fraction(0)
    for outcome in product((False, True), repeat=legs):
        hits = 0
        for number, drawn in enumerate(outcome, 1):
            if drawn and hits + 1 <= -(-p.numerator * number // p.denominator):
                hits += 1
        expected += hits * p ** sum(outcome) * (1 - p) ** (legs - sum(outcome))
    return float(expected)


def thrown(p, agents, legs, per_day, per_week, weeks, days_of_epoch=5):
    """Hits by dice: nothing of the project but the rule as the agreement states it."""
    dice = random.Random("a dry run of its own")
    hits_of_all = 0
    for _ in range(weeks):
        week, number, hits, epoch = [0] * agents, 0, 0, 0
        day_hits: dict[tuple[int, int], int] = {}
        for turn in range(legs):
            for agent in range(agents):
                day = (turn * agents + agent) * 5 // (legs * agents)
                if day // days_of_epoch != epoch:
                    epoch, number, hits = day // days_of_epoch, 0, 0
                number += 1
                under = hits < -(-number * p // 1_000_000)
                capped = day_hits.get((agent, day), 0) >= per_day or week[agent] >= per_week
                if dice.randrange(1_000_000) < p and under and not capped:
                    hits += 1
                    week[agent] += 1
                    day_hits[agent, day] = day_hits.get((agent, day), 0) + 1
        hits_of_all += hits if days_of_epoch == 5 else sum(week)
    return hits_of_all / weeks


@pytest.mark.parametrize("percent", ["20", "10", "5"])
def test_the_ceiling_alone_is_as_counted_out(percent):
    found = effect(one_rule(percent, scope__groups={"team-a": {"min_agents": 5}}), 5, 2)
    exact = counted_out(Fraction(int(percent), 100), 10)
    assert found.weekly_hits == pytest.approx(exact, abs=4 * (exact / found.simulation.weeks) ** 0.5)
    assert 0 < found.share(Limit.CEILING) < 1


@pytest.mark.parametrize(
    ("percent", "agents", "legs", "caps"),
    [
        ("3", 8, 60, {"P1D": 2, "P1W": 5}),
        ("20", 8, 60, {"P1D": 2, "P1W": 5}),
        ("20", 10, 50, {"P1W": 3}),
        ("20", 10, 50, {"P1D": 1}),
    ],
)
def test_ceiling_and_caps_together_are_as_thrown(percent, agents, legs, caps):
    found = effect(one_rule(percent, caps), agents, legs)
    ppm = int(percent) * 10_000
    by_dice = thrown(ppm, agents, legs, caps.get("P1D", 10**6), caps.get("P1W", 10**6), weeks=300)
    assert found.weekly_hits == pytest.approx(by_dice, rel=0.05)
    assert found.effective_ppm <= ppm + 1_000_000 // (agents * legs)


def test_daily_epochs_begin_anew_each_day():
    daily = one_rule("5", {"P1D": 2}, draw__epoch="P1D")
    by_dice = thrown(50_000, 8, 60, 2, 10**6, weeks=300, days_of_epoch=1)
    assert effect(daily, 8, 60).weekly_hits == pytest.approx(by_dice, rel=0.05)


def test_epochs_of_minutes_hold_a_few_legs_each():
    shortened = replace(one_rule("5"), draw=replace(example().draw, epoch=parse_period("PT5M")))
    found = effect(shortened, 8, 60)  # one leg in each epoch: its ceiling is one
    assert found.simulation.taken[Limit.CEILING] == 0 and found.effective_ppm == pytest.approx(50_000, rel=0.05)


@pytest.mark.parametrize("legs", range(40, 70, 3))
def test_no_rule_comes_to_more_than_was_agreed(legs):
    """A ceiling of single legs takes nothing, and dice may throw more than on the average."""
    minutes = agreement(demo="yes", lanes__campaigns=[], draw__epoch="PT1M", lanes__sample__caps={"per_agent": {}})
    for found in dry_run(minutes, loads_of(minutes, {EVERYBODY: legs}, {})):
        assert found.effective_ppm <= found.ppm
        assert found.weekly_hits <= found.ppm / 1_000_000 * found.load.agents * legs


def test_five_percent_are_realised_at_about_four_fifths():
    found = effect(one_rule("5"), 8, 60)
    assert 0.75 < found.effective_ppm / 50_000 < 0.9
    taken = found.simulation.taken
    assert taken[Limit.P1D] == taken[Limit.P1W] == 0
    assert found.simulation.drawn == found.simulation.hits + taken[Limit.CEILING]


def test_the_same_question_has_the_same_answer():
    loads = loads_of(example(), {"*": 60}, {})
    assert dry_run(example(), loads) == dry_run(example(), loads)


def test_too_small_a_group_draws_nothing():
    found = effect(one_rule("3"), 7, 60)
    assert found.too_small and found.simulation.drawn == 0 and found.weekly_hits == 0


def test_a_campaign_says_when_its_count_is_used_up():
    loads = loads_of(example(), {"*": 60}, {"campaign/tarifwechsel-april": 40})
    campaign = dry_run(example(), loads)[0]
    assert campaign.rule == "campaign/tarifwechsel-april" and campaign.load == Load(40, 60)
    days = campaign.count_reached_after_days
    assert days is not None and days == pytest.approx(60 / campaign.weekly_hits * 7)
    few = dry_run(example(), loads_of(example(), {"*": 5}, {}))[0]
    assert few.count_reached_after_days is None


def test_figures_are_taken_by_rule_then_group_then_for_all():
    loads = loads_of(example(), {"*": 10, "team-a": 20, RULE: 30}, {"team-b": 12, "*": 9})
    assert loads[RULE] == Load(9, 30) and loads["sample/team-a/onboarding"] == Load(9, 20)
    assert loads["sample/team-b/regular"] == Load(12, 10) and loads["campaign/tarifwechsel-april"] == Load(9, 10)
    assert loads_of(example(), {"*": 1}, {})[RULE] == Load(8, 1)


@pytest.mark.parametrize(
    ("legs", "agents", "said"),
    [
        ({}, {}, "isn't known"),
        ({"*": 5, "team-z": 3}, {}, "`team-z` is neither"),
        ({"*": 0}, {}, "can have 1 to"),
        ({"*": 5}, {"*": 10_001}, "can have 1 to"),
        ({"*": 1000}, {"*": 1000}, "can't be simulated"),
    ],
)
def test_figures_that_are_missing_unknown_or_too_large_are_refused(legs, agents, said):
    with pytest.raises(DryRunError, match=said):
        loads_of(example(), legs, agents)


def test_last_months_figures_give_the_legs_of_the_groups_that_are_told():
    groups = (GroupFigures("team-a", Funnel(legs=2480), ()), GroupFigures("team-b", Funnel(), ()))
    told = Statistics(groups, (CampaignFigures("tarifwechsel-april", Funnel()),), (), ())
    assert month_legs(example(), told, 31, {"team-a": 10}) == ({"team-a": 56}, 56)
    assert month_legs(example(), told, 31, {}) == ({"team-a": 70}, 70)
    assert month_legs(example(), replace(told, groups=groups[1:]), 31, {}) == ({}, 0)


def test_it_is_said_in_each_language():
    loads = loads_of(example(), {"*": 60}, {"team-b": 7})
    effects = dry_run(example(), loads)
    for language, words in {
        "de": ("wirksam werden", "Die Obergrenze greift", "ausgelost wird nichts", "Wer nicht zustimmt"),
        "en": ("takes effect", "The ceiling binds", "nothing is drawn", "Whoever doesn't agree"),
        "nb": ("virksomt blir", "Taket slår inn", "ingenting trekkes", "Den som ikke samtykker"),
    }.items():
        said = sentences(example(), effects, language)
        assert len(said) == len(effects) + 1
        for word in words:
            assert any(word in one for one in said), (language, word)
        assert not any("{" in one or "None" in one for one in said)
    assert "3 %" in sentences(example(), effects, "de")[2] and "," in sentences(example(), effects, "de")[2]


def test_an_agreement_without_drawn_lanes_says_so():
    asked_only = agreement(lanes__sample=DELETED, lanes__campaigns=[])
    assert dry_run(asked_only, {}) == () and sentences(asked_only, (), "de") == (
        "Nach dieser Vereinbarung werden keine Gespräche ausgelost.",
    )


@pytest.mark.parametrize(
    ("epoch", "legs", "idle"), [("P1W", 20, False), ("P1W", 19, True), ("P1D", 100, False), ("P1D", 99, True)]
)
def test_it_says_where_nobody_would_have_the_legs_that_count_towards_the_group(epoch, legs, idle):
    found = effect(one_rule("5", {"P1D": 2}, draw__epoch=epoch), 8, legs)
    assert found.idle is idle
    for language, words in (("de", "zählt"), ("en", "count towards"), ("nb", "telle med")):
        said = sentences(one_rule("5"), [found], language)[0]
        assert (words in said and "20" in said) is idle
