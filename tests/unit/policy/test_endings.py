"""Warnings 60, 30, 14, 7, 3 and 1 days before each end, by the calendar of the agreement."""

from datetime import UTC, date, datetime, timedelta

from policy.endings import WARN_DAYS, Ending, Ends, days_left, endings, ends_soon, warnings_between
from tests.unit.policy.green import NOW, example

END = example().validity.end
SECOND = timedelta(seconds=1)


def test_the_ends_of_the_example():
    found = endings(example())
    assert [(one.what, one.name) for one in found] == [
        (Ends.CAMPAIGN, "tarifwechsel-april"),
        (Ends.EVALUATION, "bv-aufzeichnung-nord"),
        (Ends.AGREEMENT, "bv-aufzeichnung-nord"),
    ]
    assert found[1].at == datetime(2026, 6, 1, 22, 0, tzinfo=UTC)  # the due day is over, in Berlin
    assert found[2].at == END


def test_a_signed_off_evaluation_moves_its_warnings():
    later = endings(example(), date(2026, 7, 1))
    assert later[-1] == Ending(Ends.EVALUATION, "bv-aufzeichnung-nord", datetime(2026, 10, 1, 22, 0, tzinfo=UTC))


def test_each_end_is_warned_of_six_times():
    found = warnings_between(example(), datetime(2025, 1, 1, tzinfo=UTC), END)
    for what in Ends:
        assert [one.days for one in found if one.ending.what is what] == list(WARN_DAYS)
    assert list(found) == sorted(found, key=lambda one: one.at)


def test_a_warning_is_due_once():
    (one,) = warnings_between(example(), END - timedelta(days=2), END)
    assert one.days == 1 and days_left(one.ending, one.at) == 1
    assert warnings_between(example(), one.at - SECOND, one.at) == (one,)
    assert warnings_between(example(), one.at, END) == ()
    assert warnings_between(example(), one.at - SECOND, one.at - SECOND / 2) == ()


def test_what_ends_soon_is_told_from_its_first_warning_to_its_end():
    agreement, gap = example(), timedelta(days=60)
    assert ends_soon(agreement, END - gap - SECOND, date(2026, 8, 1)) == ()
    for now, days in ((END - gap, 60), (END - SECOND, 1)):
        (one,) = ends_soon(agreement, now, date(2026, 8, 1))
        assert one.ending.what is Ends.AGREEMENT and days_left(one.ending, one.at) == days
    assert ends_soon(agreement, END, date(2026, 8, 1)) == ()
    assert [one.ending.what for one in ends_soon(agreement, NOW)] == [Ends.CAMPAIGN]


def test_days_count_by_the_calendar_across_the_change_of_clocks():
    campaign = next(one for one in endings(example()) if one.what is Ends.CAMPAIGN)
    at = {
        one.days: one.at for one in warnings_between(example(), NOW - timedelta(days=60), END) if one.ending == campaign
    }
    assert at[14] == datetime(2026, 4, 3, 22, 0, tzinfo=UTC)
    assert at[30] == datetime(2026, 3, 18, 23, 0, tzinfo=UTC)  # still winter time: local midnight is an hour later


def test_days_left_round_up():
    ending = endings(example())[-1]
    assert [days_left(ending, END - gap) for gap in (timedelta(days=3), SECOND, timedelta(), -SECOND)] == [3, 1, 0, 0]
    assert days_left(ending, END + timedelta(days=1)) == -1
