"""Periods, evaluation dates, retention."""

from datetime import UTC, date, datetime

import pytest

from policy.errors import PeriodError, WallclockError
from policy.period import parse_period
from policy.retention import erase_receipt_at, erase_recording_at
from policy.terms import Purpose
from policy.validity import evaluation_due, evaluation_overdue, in_validity
from tests.unit.policy.green import NOW, agreement, example


@pytest.mark.parametrize(
    ("text", "months", "seconds"),
    [
        ("P1D", 0, 86_400),
        ("P2W", 0, 1_209_600),
        ("P3M", 3, 0),
        ("P3Y", 36, 0),
        ("PT10M", 0, 600),
        ("PT2H", 0, 7_200),
        ("PT30S", 0, 30),
    ],
)
def test_period(text, months, seconds):
    period = parse_period(text)
    assert (period.months, period.seconds, str(period)) == (months, seconds, text)


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "1D", "P0D", "P01D", "P-1D", "P1.5D", "P1DT1H", "P1H", "PT1D", "p1d", "P1D ", "P٣D", "P999999D"],
)
def test_no_period(text):
    with pytest.raises(PeriodError):
        parse_period(text)


@pytest.mark.parametrize(
    ("start", "text", "end"),
    [
        ("2026-01-31", "P1M", "2026-02-28"),
        ("2027-12-31", "P2M", "2028-02-29"),
        ("2024-02-29", "P1Y", "2025-02-28"),
        ("2026-12-01", "P1M", "2027-01-01"),
        ("2026-03-28", "P2D", "2026-03-30"),
    ],
)
def test_a_period_after_a_day(start, text, end):
    assert parse_period(text).after_day(date.fromisoformat(start)) == date.fromisoformat(end)


def test_lengths_can_be_compared():
    longest = [parse_period(text).longest_seconds for text in ("P1D", "P1W", "P1M", "P32D", "P1Y", "P367D")]
    assert longest == sorted(longest)
    assert parse_period("P12M").longest_seconds == parse_period("P1Y").longest_seconds


def test_the_due_day_itself_is_in_time_in_local_time():
    last, over = datetime(2026, 6, 1, 21, 59, 59, tzinfo=UTC), datetime(2026, 6, 1, 22, tzinfo=UTC)
    assert not evaluation_overdue(example(), last)
    assert evaluation_overdue(example(), over)


def test_a_sign_off_moves_the_due_day():
    assert evaluation_due(example(), None) == date(2026, 6, 1)
    assert evaluation_due(example(), date(2026, 5, 20)) == date(2026, 8, 20)
    assert not evaluation_overdue(example(), datetime(2026, 8, 1, tzinfo=UTC), date(2026, 5, 20))


def test_overdue_needs_a_zone():
    with pytest.raises(WallclockError):
        evaluation_overdue(example(), NOW.replace(tzinfo=None))


def test_validity_is_half_open():
    validity = example().validity
    assert in_validity(example(), validity.start)
    assert not in_validity(example(), validity.end)


class TestRetention:
    def test_each_purpose_has_its_own(self):
        assert erase_recording_at([example()], Purpose.COACHING, NOW) == datetime(2026, 3, 18, 9, 30, tzinfo=UTC)
        assert erase_recording_at([example()], Purpose.DISPUTE, NOW) == datetime(2026, 6, 2, 9, 30, tzinfo=UTC)

    def test_the_shortest_of_several_agreements(self):
        other = agreement(retention__coaching="P3D")
        assert erase_recording_at([example(), other], Purpose.COACHING, NOW) == datetime(2026, 3, 7, 9, 30, tzinfo=UTC)

    def test_nothing_stated_nothing_kept(self):
        assert erase_recording_at([], Purpose.COACHING, NOW) == NOW
        assert erase_receipt_at([], NOW) == NOW

    def test_receipts_outlive_the_recording(self):
        assert erase_receipt_at([example()], NOW) == datetime(2029, 3, 4, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/Argentina/Buenos_Aires", "Atlantic/Faroe", "UTC"])
def test_a_time_zone_is_a_places(name):
    assert agreement(validity__timezone=name).validity.timezone == name
