"""Blocks of 13 ISO weeks: every day of forty years lies in exactly one, and an epoch's name says which."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.errors import LogEntryError
from policy.log_block import LogBlock, ends_block, first_day


def origin(epoch):
    return str(LogBlock.of_epoch("hamburg", epoch))


def test_the_first_weeks():
    assert origin("2026-W01") == "hamburg/fairtap/2026-01"
    assert origin("2026-W13") == "hamburg/fairtap/2026-01"
    assert origin("2026-W14") == "hamburg/fairtap/2026-14"
    assert origin("2026-W27") == "hamburg/fairtap/2026-27"
    assert origin("2026-W40") == "hamburg/fairtap/2026-40"
    assert str(LogBlock.of_epoch("hamburg", "2026-W40", 2)) == "hamburg/fairtap/2026-40-r2"


def test_week_53_belongs_to_the_fourth_block():
    assert origin("2026-W53") == "hamburg/fairtap/2026-40"
    assert LogBlock("hamburg", 2026, 40).days == (date(2026, 9, 28), date(2027, 1, 4))
    assert origin("2027-01-03") == "hamburg/fairtap/2026-40"  # a Sunday of that week 53
    assert origin("2027-01-04") == "hamburg/fairtap/2027-01"


def test_the_iso_year_is_not_the_calendars():
    assert origin("2024-12-30") == "hamburg/fairtap/2025-01"
    assert origin("2024-12-30T2355Z-PT5M") == "hamburg/fairtap/2025-01"


def test_blocks_follow_one_another_without_gap():
    blocks: list[LogBlock] = []
    day = date(2020, 1, 1)
    while day < date(2060, 1, 1):
        block = LogBlock.of_day("s", day)
        start, end = block.days
        assert start <= day < end
        assert (end - start).days in (91, 98)
        if not blocks or blocks[-1] != block:
            assert not blocks or blocks[-1].days[1] == start
            blocks.append(block)
        day += timedelta(days=1)
    assert len(set(blocks)) == len(blocks)


@pytest.mark.parametrize(
    ("epoch", "ends"),
    [
        ("2026-W26", True), ("2026-W25", False), ("2026-W27", False), ("2026-06-28", True), ("2026-06-27", False),
        ("2026-06-29", False), ("2026-W53", True), ("2026-W52", False), ("2027-01-03", True),
        ("2026-06-28T2355Z-PT5M", False),
    ],
)  # fmt: skip
def test_a_block_ends_with_its_last_day_or_week(epoch, ends):
    assert ends_block(origin(epoch), epoch) is ends
    assert ends_block(f"{origin(epoch)}-r1", epoch) is ends
    assert not ends_block("hamburg/fairtap/2026-01", epoch) and not ends_block("elsewhere", epoch)


@given(st.dates(date(1, 1, 8), date(9998, 12, 1)), st.integers(0, 999))
@settings(max_examples=60)
def test_origins_print_back(day, restores):
    block = LogBlock.of_day("a-1", day, restores)
    assert LogBlock.parse(str(block)) == block


@pytest.mark.parametrize(
    "text",
    ["", "s/fairtap/2026-02", "s/fairtap/2026-40-r0", "s/fairtap/2026-40-r01", "S/fairtap/2026-40", "s/fairtap/0000-01",
     "-s/fairtap/2026-40", "s/fairtap/2026-40/", "s/fairtap/2026-40\n", "../fairtap/2026-40"],
)  # fmt: skip
def test_what_is_not_an_origin_is_refused(text):
    with pytest.raises(LogEntryError):
        LogBlock.parse(text)


@pytest.mark.parametrize("epoch", ["", "2026-W54", "2026-W00", "2026-02-30", "2026-2-3", "2026-02-03x", "week"])
def test_what_is_not_an_epoch_is_refused(epoch):
    with pytest.raises(LogEntryError):
        first_day(epoch)


def test_a_site_that_no_folder_could_be_named_after_is_refused():
    for site in ("", "..", "a/b", "A"):
        with pytest.raises(LogEntryError):
            LogBlock.of_day(site, date(2026, 1, 5))
