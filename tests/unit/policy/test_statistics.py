"""What of a month's counts is told: limits, what lies between two figures, parts that stand in no total, months."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from policy.agreement.schema import StatisticsTerms
from policy.draw_rules import rules as drawn_rules
from policy.month import Month, MonthTerms, newest_told, terms_of
from policy.statistics import AnswerCount, Bin, Funnel, LegCount, MonthCounts, publish, rule_name, rule_names
from tests.unit.policy.green import agreement, example

LIMITS = StatisticsTerms(min_agents=5, min_calls=20)
A, NEW, B = "sample/regular/team-a", "sample/onboarding/team-a", "sample/regular/team-b"
PLACES = [("hamburg", "dtmf"), ("hamburg", "ivr:front")]


def counted(rule=A, agents=6, no=100, cap=30, hit=60, yes=38, refused=0, kept=15, channel="dtmf") -> MonthCounts:
    """Legs dealt out evenly, in one epoch."""
    legs = [
        LegCount(rule, "2026-W10", f"{rule}{agent}", out, total // agents + (agent < total % agents))
        for out, total in (("no", no), ("cap", cap), ("hit", hit))
        for agent in range(agents)
    ]
    answers = [AnswerCount(rule, "hamburg", channel, "yes", yes), AnswerCount(rule, "hamburg", channel, "no", refused)]
    return MonthCounts(tuple(one for one in legs if one.total), tuple(answers), {rule: kept})


def together(*all_counts: MonthCounts) -> MonthCounts:
    kept = {rule: total for counts in all_counts for rule, total in counts.kept.items()}
    legs = tuple(leg for counts in all_counts for leg in counts.legs)
    return MonthCounts(legs, tuple(answer for counts in all_counts for answer in counts.answers), kept)


def funnel(counts: MonthCounts) -> Funnel:
    return publish(counts, LIMITS, rules=[A], channels=[]).groups[0].funnel


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        (counted(yes=38, kept=18), Funnel(190, 90, 30, 60, 38, None)),
        (counted(hit=100, yes=60, kept=40), Funnel(230, 130, 30, 100, 60, 40)),
        (counted(hit=100, yes=60, kept=41), Funnel(230, 130, 30, 100, 60, None)),
        (counted(hit=100, yes=81, kept=40), Funnel(230, 130, 30, 100, None, 40)),
        (counted(hit=100, yes=19, kept=19), Funnel(230, 130, 30, 100, None, None)),
        (counted(hit=100, yes=100, kept=100), Funnel(230, 130, 30, 100, None, None)),
        (counted(cap=19, hit=100, yes=60, kept=40), Funnel(219, 119, None, None, 60, 40)),
        (counted(no=19, cap=30, hit=60, yes=40), Funnel(109, None, None, 60, 40, None)),
        (counted(no=20, cap=0, hit=0, yes=0, kept=0), Funnel(20)),
        (counted(no=19, cap=0, hit=0, yes=0, kept=0), Funnel()),
        (counted(agents=4), Funnel()),
        (counted(agents=5, yes=38, kept=18), Funnel(190, 90, 30, 60, 38, None)),
    ],
)
def test_a_figure_is_told_if_it_and_its_distance_from_the_last_reach_the_limits(counts, told):
    assert funnel(counts) == told


def test_a_part_of_a_line_that_few_agents_have_is_withheld():
    some = counted(agents=4, no=0, cap=0, hit=100, yes=60, kept=40)
    others = LegCount(A, "2026-W10", "another", "no", 100)
    more = [replace(others, agent=f"other{number}") for number in range(6)]
    assert funnel(MonthCounts((*some.legs, *more), some.answers, some.kept)) == Funnel(700)


def test_a_difference_that_few_agents_make_is_withheld():
    few = [LegCount(A, "2026-W10", f"{A}{number}", "cap", 10) for number in range(4)]
    counts = counted(cap=0, hit=100, yes=60, kept=40)
    assert funnel(replace(counts, legs=(*counts.legs, *few))) == Funnel(240, 140, None, None, 60, 40)


def test_agents_of_different_epochs_may_be_the_same_ones():
    legs = tuple(LegCount(A, f"2026-W{10 + number // 3}", f"agent{number}", "no", 50) for number in range(9))
    assert funnel(MonthCounts(legs)) == Funnel()
    assert funnel(MonthCounts(tuple(replace(leg, epoch="2026-W10") for leg in legs))) == Funnel(450)


def test_a_rule_that_is_too_small_stands_in_no_total():
    counts = together(counted(A), counted(NEW, agents=2), counted(B))
    group, other = publish(counts, LIMITS, rules=[NEW, A, B], channels=[]).groups
    assert [rule.funnel for rule in group.rules] == [Funnel(), funnel(counted(A))]
    assert group.funnel == Funnel()
    assert other.funnel == other.rules[0].funnel == funnel(counted(A))


def test_a_groups_rules_that_are_too_small_alone_are_told_together():
    small = {"no": 30, "cap": 15, "hit": 30, "yes": 15, "kept": 0, "agents": 4}
    counts = together(counted(A, **small), counted(NEW, **small))
    (group,) = publish(counts, LIMITS, rules=[NEW, A], channels=[]).groups
    assert [rule.funnel for rule in group.rules] == [Funnel(), Funnel()]
    assert group.funnel == Funnel(150, 90, 30, 60, 30, None)


def test_a_groups_figures_are_those_that_each_of_its_rules_tells():
    counts = together(counted(A, hit=100, yes=60, kept=40), counted(NEW, hit=100, yes=60, kept=41))
    (group,) = publish(counts, LIMITS, rules=[NEW, A], channels=[]).groups
    assert group.funnel == Funnel(460, 260, 60, 200, 120, None)


def test_campaigns_have_a_line_of_their_own_and_unknown_rules_none():
    counts = together(counted("campaign/april"), counted(A))
    told = publish(counts, LIMITS, rules=["campaign/april"], channels=[])
    assert told.groups == () and told.campaigns[0].campaign == "april"
    assert told.campaigns[0].funnel == funnel(counted(A))


# --- channels and the histogram ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("yes", "refused", "percent"),
    [(50, 50, 50), (40, 20, 67), (60, 25, 71), (20, 80, 20), (60, 19, None), (19, 60, None), (81, 100, None)],
)
def test_a_channels_rate_is_told_if_each_answer_reaches_the_limit(yes, refused, percent):
    counts = counted(hit=200, yes=yes, refused=refused, kept=0)
    told = publish(counts, LIMITS, rules=[A], channels=PLACES)
    assert [one.yes_percent for one in told.channels] == [percent, None]


def test_a_rate_is_withheld_where_it_would_tell_how_few_legs_were_unanswered():
    for hit, percent in ((120, 60), (119, None)):
        counts = counted(hit=hit, yes=60, refused=40, kept=0)
        assert publish(counts, LIMITS, rules=[A], channels=PLACES[:1]).channels[0].yes_percent == percent


def test_answers_of_rules_that_are_withheld_are_in_no_rate():
    whole = counted(A, hit=200, yes=50, refused=50, kept=0)
    counts = together(whole, counted(B, agents=4, hit=200, yes=150, refused=30))
    assert publish(counts, LIMITS, rules=[A, B], channels=PLACES).channels[0].yes_percent == 50


def test_the_histogram_has_enough_agents_in_each_bin():
    hits = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 5, 5]
    legs = [LegCount(A, "2026-W10", f"{n}", "hit", count) for n, count in enumerate(hits) if count]
    legs += [LegCount(A, "2026-W10", f"{n}", out, 20) for n in range(13) for out in ("no", "cap")]
    told = publish(MonthCounts(tuple(legs)), LIMITS, rules=[A], channels=[])
    assert told.groups[0].funnel.selected is None and told.hits_per_agent == ()
    more = [replace(leg, total=leg.total * 10) for leg in legs]
    told = publish(MonthCounts(tuple(more)), LIMITS, rules=[A], channels=[])
    assert told.groups[0].funnel.selected == 190
    assert told.hits_per_agent == (Bin(0, 0, 5), Bin(10, 50, 8))


def test_few_agents_in_many_epochs_fill_no_bin():
    legs = [LegCount(A, f"W{week}", f"{n}", out, 20) for week in (1, 2) for n in range(9) for out in ("no", "cap")]
    legs += [LegCount(A, f"W{week}", f"{n}", "hit", 10) for week in (1, 2) for n in range(4)]
    legs += [LegCount(A, "W3", f"{n}", "hit", 20) for n in range(6)]
    told = publish(MonthCounts(tuple(legs)), LIMITS, rules=[A], channels=[])
    assert told.hits_per_agent == (Bin(0, 0, 10), Bin(10, 20, 14))


# --- names and months -------------------------------------------------------------------------------------------------


def test_a_rules_name_is_what_it_is_for_and_not_its_place():
    found = example()
    names = rule_names(found)
    assert names == (
        "campaign/tarifwechsel-april", "sample/onboarding/team-a", "sample/regular/team-a", "sample/regular/team-b",
    )  # fmt: skip
    assert [rule_name(rule) for rule in drawn_rules(found)] == list(names)


def test_months_follow_one_another():
    month = Month(date(2026, 12, 1))
    assert (str(month), month.after, str(month.before)) == ("2026-12", date(2027, 1, 1), "2026-11")
    assert str(Month.of(date(2028, 2, 29)).before) == "2028-01"
    assert Month.of(date(2028, 2, 29)).after == date(2028, 3, 1)


@pytest.mark.parametrize(
    ("at", "newest"),
    [("2026-04-02T11:59", "2026-02"), ("2026-04-02T12:00", "2026-03"), ("2026-05-02T11:59", "2026-03")],
)
def test_a_month_is_told_once_it_is_over_for_a_day_everywhere(at, newest):
    wallclock = datetime.fromisoformat(f"{at}+00:00")
    month = newest_told(wallclock)
    assert str(month) == newest
    assert month.told_from <= wallclock < Month.of(month.after).told_from


SIGNED = datetime(2026, 2, 20, tzinfo=UTC)  # the example begins on the 1st of March and ends with August


def test_a_month_lies_under_every_agreement_that_holds_in_it():
    strict = agreement(statistics__min_agents=9, statistics__min_calls=30, version=4)
    lax = agreement(
        statistics__min_agents=6,
        statistics__min_calls=50,
        lanes__sample__rates=[{"group": "team-a", "phase": "regular", "percent": "3"}],
    )
    march = Month(date(2026, 3, 1))
    terms = terms_of(march, [(SIGNED, strict), (SIGNED + timedelta(days=20), lax)])
    assert terms is not None and terms.limits == StatisticsTerms(9, 50)
    assert terms.rules == (
        "campaign/tarifwechsel-april", "sample/regular/team-a", "sample/onboarding/team-a", "sample/regular/team-b",
    )  # fmt: skip
    assert (terms.timezones, terms.channels) == (("Europe/Berlin",), ("dtmf", "ivr:front", "agent_key"))


@pytest.mark.parametrize(
    ("month", "lies"), [("2026-02", False), ("2026-03", True), ("2026-08", True), ("2026-09", False)]
)
def test_a_month_outside_every_agreement_has_no_terms(month, lies):
    assert (terms_of(Month(date.fromisoformat(f"{month}-01")), [(SIGNED, example())]) is not None) == lies


def test_what_was_signed_after_a_month_was_told_changes_nothing_in_it():
    march = Month(date(2026, 3, 1))
    later = agreement(statistics__min_agents=9)

    def told(at: datetime) -> MonthTerms | None:
        return terms_of(march, [(SIGNED, example()), (at, later)])

    assert told(march.told_from) == terms_of(march, [(SIGNED, example())])
    before = told(march.told_from - timedelta(seconds=1))
    assert before is not None and before.limits.min_agents == 9
