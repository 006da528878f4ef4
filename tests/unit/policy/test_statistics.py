"""What of a month's counts is told: limits, what lies between two figures, parts that stand in no total, months."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from policy.agreement.schema import StatisticsTerms
from policy.draw_rules import rules as drawn_rules
from policy.month import Month, MonthTerms, newest_told, quarter_name, terms_of
from policy.statistics import (
    AnswerCount,
    Bin,
    Funnel,
    LegCount,
    MonthCounts,
    QuarterCounts,
    Statistics,
    publish,
    rule_name,
    rule_names,
)
from tests.unit.policy.green import agreement, example

LIMITS = StatisticsTerms(min_agents=5, min_calls=20)
A, NEW, B = "sample/regular/team-a", "sample/onboarding/team-a", "sample/regular/team-b"
PLACES = [("hamburg", "dtmf"), ("hamburg", "ivr:front")]


def counted(rule=A, agents=6, no=100, cap=30, hit=60) -> MonthCounts:
    """Legs dealt out evenly, in one epoch."""
    legs = [
        LegCount(rule, "2026-W10", f"{rule}{agent}", out, total // agents + (agent < total % agents))
        for out, total in (("no", no), ("cap", cap), ("hit", hit))
        for agent in range(agents)
    ]
    return MonthCounts(tuple(one for one in legs if one.total))


def together(*all_counts: MonthCounts) -> MonthCounts:
    return MonthCounts(tuple(leg for counts in all_counts for leg in counts.legs))


def told_of(counts: MonthCounts, rules: list[str]) -> Statistics:
    return publish(counts, QuarterCounts(), LIMITS, of_quarter=LIMITS, rules=rules, channels=[])


def funnel(counts: MonthCounts) -> Funnel:
    return told_of(counts, [A]).groups[0].funnel


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        (counted(), Funnel(190, 90, 30, 60)),
        (counted(cap=19, hit=100), Funnel(219, 119, None, None)),
        (counted(no=19, cap=30, hit=60), Funnel(109, None, None, 60)),
        (counted(no=20, cap=0, hit=0), Funnel(20)),
        (counted(no=19, cap=0, hit=0), Funnel()),
        (counted(agents=4), Funnel()),
        (counted(agents=5), Funnel(190, 90, 30, 60)),
    ],
)
def test_a_figure_is_told_if_it_and_its_distance_from_the_last_reach_the_limits(counts, told):
    assert funnel(counts) == told


def test_a_part_of_a_line_that_few_agents_have_is_withheld():
    some = counted(agents=4, no=0, cap=0, hit=100)
    others = LegCount(A, "2026-W10", "another", "no", 100)
    more = [replace(others, agent=f"other{number}") for number in range(6)]
    assert funnel(MonthCounts((*some.legs, *more))) == Funnel(700)


def test_a_difference_that_few_agents_make_is_withheld():
    few = [LegCount(A, "2026-W10", f"{A}{number}", "cap", 10) for number in range(4)]
    counts = counted(cap=0, hit=100)
    assert funnel(replace(counts, legs=(*counts.legs, *few))) == Funnel(240, 140, None, None)


def test_agents_of_different_epochs_may_be_the_same_ones():
    legs = tuple(LegCount(A, f"2026-W{10 + number // 3}", f"agent{number}", "no", 50) for number in range(9))
    assert funnel(MonthCounts(legs)) == Funnel()
    assert funnel(MonthCounts(tuple(replace(leg, epoch="2026-W10") for leg in legs))) == Funnel(450)


def test_a_rule_that_is_too_small_stands_in_no_total():
    counts = together(counted(A), counted(NEW, agents=2), counted(B))
    group, other = told_of(counts, [NEW, A, B]).groups
    assert [rule.funnel for rule in group.rules] == [Funnel(), funnel(counted(A))]
    assert group.funnel == Funnel()
    assert other.funnel == other.rules[0].funnel == funnel(counted(A))


def test_a_groups_rules_that_are_too_small_alone_are_told_together():
    small = {"no": 30, "cap": 15, "hit": 30, "agents": 4}
    counts = together(counted(A, **small), counted(NEW, **small))
    (group,) = told_of(counts, [NEW, A]).groups
    assert [rule.funnel for rule in group.rules] == [Funnel(), Funnel()]
    assert group.funnel == Funnel(150, 90, 30, 60)


def test_a_groups_figures_are_those_that_each_of_its_rules_tells():
    counts = together(counted(A, hit=100), counted(NEW, cap=10, hit=100))
    (group,) = told_of(counts, [NEW, A]).groups
    assert group.funnel == Funnel(440, 240, None, None)


def test_campaigns_have_a_line_of_their_own_and_unknown_rules_none():
    counts = together(counted("campaign/april"), counted(A))
    told = told_of(counts, ["campaign/april"])
    assert told.groups == () and told.campaigns[0].campaign == "april"
    assert told.campaigns[0].funnel == funnel(counted(A))


# --- channels and the histogram ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("yes", "refused", "percent"),
    [(50, 50, 50), (40, 20, 70), (60, 25, 70), (20, 80, 20), (200, 0, 100), (0, 20, 0), (19, 0, None), (64, 36, 60),
     (65, 35, 70)],
)  # fmt: skip
def test_a_channels_rate_is_told_in_tens_if_enough_answered(yes, refused, percent):
    assert rates(yes, refused, hits=200) == [percent, None]


@pytest.mark.parametrize(("hits", "percent"), [(40, 100), (39, None)])
def test_that_few_answered_is_told_only_where_more_could_have(hits, percent):
    assert rates(20, 0, hits=hits) == [percent, None]


def rates(yes, refused, *, hits):
    answers = [AnswerCount("hamburg", "dtmf", "yes", yes), AnswerCount("hamburg", "dtmf", "no", refused)]
    told = publish(
        MonthCounts(), QuarterCounts(hits, tuple(answers)), LIMITS, of_quarter=LIMITS, rules=[A], channels=PLACES
    )
    return [one.yes_percent for one in told.channels]


def test_the_histogram_has_enough_agents_in_each_bin():
    hits = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 5, 5]
    legs = [LegCount(A, "2026-W10", f"{n}", "hit", count) for n, count in enumerate(hits) if count]
    legs += [LegCount(A, "2026-W10", f"{n}", out, 20) for n in range(13) for out in ("no", "cap")]
    told = told_of(MonthCounts(tuple(legs)), [A])
    assert told.groups[0].funnel.selected is None and told.hits_per_agent == ()
    more = [replace(leg, total=leg.total * 10) for leg in legs]
    told = told_of(MonthCounts(tuple(more)), [A])
    assert told.groups[0].funnel.selected == 190
    assert told.hits_per_agent == (Bin(0, 0, 5), Bin(10, 50, 8))


def test_few_agents_in_many_epochs_fill_no_bin():
    legs = [LegCount(A, f"W{week}", f"{n}", out, 20) for week in (1, 2) for n in range(9) for out in ("no", "cap")]
    legs += [LegCount(A, f"W{week}", f"{n}", "hit", 10) for week in (1, 2) for n in range(4)]
    legs += [LegCount(A, "W3", f"{n}", "hit", 20) for n in range(6)]
    told = told_of(MonthCounts(tuple(legs)), [A])
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
    ("month", "quarter"),
    [("2026-03", "2026-Q1"), ("2026-05", "2026-Q1"), ("2026-06", "2026-Q2"), ("2026-02", "2025-Q4")],
)
def test_a_quarter_is_told_of_with_the_month_that_ends_it_and_until_the_next(month, quarter):
    found = Month(date.fromisoformat(f"{month}-01"))
    assert quarter_name(found) == quarter
    assert [one.first.month % 3 for one in found.quarter] == [1, 2, 0]


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
