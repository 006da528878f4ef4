"""ISO 8601 durations of one unit (`P14D`, `P1W`, `P3M`, `P3Y`, `PT10M`), as agreements write them.

Calendar months and years are added by the calendar in UTC, with the day cut to the month's length.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from policy.errors import PeriodError

_PERIOD = re.compile(r"P(?:([1-9][0-9]{0,4})([YMWD])|T([1-9][0-9]{0,4})([HMS]))", re.ASCII)
_SECONDS = {"W": 604_800, "D": 86_400, "TH": 3_600, "TM": 60, "TS": 1}
_MONTHS = {"Y": 12, "M": 1}


@dataclass(frozen=True, slots=True)
class Period:
    """A duration: whole calendar months, or seconds; the other one is 0."""

    months: int
    seconds: int
    text: str

    @property
    def longest_seconds(self) -> int:
        """The longest this can last: a year counts 366 days, a single month 31."""
        years, months = divmod(self.months, 12)
        return self.seconds + (years * 366 + months * 31) * 86_400

    def after(self, start: datetime) -> datetime:
        """`start` (aware) plus this period."""
        if not self.months:
            return start + timedelta(seconds=self.seconds)
        months = start.year * 12 + start.month - 1 + self.months
        year, month = divmod(months, 12)
        day = min(start.day, calendar.monthrange(year, month + 1)[1])
        return start.replace(year=year, month=month + 1, day=day)

    def after_day(self, day: date) -> date:
        """The day that lies this period after `day`."""
        return self.after(datetime.combine(day, datetime.min.time())).date()

    def __str__(self) -> str:
        return self.text


def parse_period(text: str) -> Period:
    """Read one ISO 8601 duration of one unit; `PeriodError` for anything else."""
    match = _PERIOD.fullmatch(text) if len(text) <= 16 else None
    if match is None:
        raise PeriodError(f"not a duration such as `P14D` or `PT10M`: `{text[:20]}`")
    count, unit = int(match[1] or match[3]), match[2] or "T" + match[4]
    if unit in _MONTHS:
        return Period(count * _MONTHS[unit], 0, text)
    return Period(0, count * _SECONDS[unit], text)
