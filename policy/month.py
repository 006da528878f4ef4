"""A calendar month of the statistics: its days, under which agreements it lies, and from when on its figures are told.

Always whole months in the agreement's time zone, told once they are over for a day and under terms that were in force
by then: what is told of a month never changes, so there are no two answers to subtract.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar

from policy.access_figures import named_accesses
from policy.agreement.schema import Agreement, StatisticsTerms
from policy.statistics import rule_names, strictest
from policy.validity import local_time

__all__ = ["Month", "MonthTerms", "newest_told", "quarter_limits", "quarter_name", "terms_of"]

T = TypeVar("T")
SETTLING = timedelta(hours=36)
"""After the month's end in UTC: it is over for a day in every time zone, and its last calls have ended."""


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """The month that begins on the day `first`."""

    first: date

    @classmethod
    def of(cls, day: date) -> Month:
        """The month that a day lies in."""
        return cls(day.replace(day=1))

    @property
    def after(self) -> date:
        """The first day that isn't in it any more."""
        return (self.first + timedelta(days=31)).replace(day=1)

    @property
    def told_from(self) -> datetime:
        """When its figures come out (UTC), if no call of it goes on."""
        return datetime.combine(self.after, time(), tzinfo=UTC) + SETTLING

    @property
    def before(self) -> Month:
        """The previous month."""
        return Month.of(self.first - timedelta(days=1))

    @property
    def quarter(self) -> tuple[Month, Month, Month]:
        """The newest calendar quarter that is over with it."""
        last = self
        while last.first.month % 3:
            last = last.before
        return last.before.before, last.before, last

    def __str__(self) -> str:
        return f"{self.first:%Y-%m}"


def quarter_name(month: Month) -> str:
    """Of the newest quarter that is over with a month, such as `2026-Q1`."""
    last = month.quarter[-1].first
    return f"{last.year}-Q{last.month // 3}"


@dataclass(frozen=True, slots=True)
class MonthTerms:
    """What the agreements of a month say about its statistics."""

    timezones: tuple[str, ...]
    limits: StatisticsTerms
    """The strictest of each."""
    rules: tuple[str, ...]
    """Names (`statistics.rule_names`), the newest agreement's first."""
    channels: tuple[str, ...]
    epochs: tuple[str, ...]
    """Lengths, such as `P1W`."""
    accesses: tuple[tuple[str, str], ...]
    """Role and purpose of everybody but the agent who may open recordings."""


def terms_of(month: Month, enacted: Iterable[tuple[datetime, Agreement]]) -> MonthTerms | None:
    """The terms for a month, from the agreements and when each was put into force; None where none lies in it."""
    found = [agreement for at, agreement in enacted if _lies_in(month, agreement) and at < month.told_from]
    if not found:
        return None
    found.reverse()
    return MonthTerms(
        timezones=_unique(one.validity.timezone for one in found),
        limits=strictest(one.statistics for one in found),
        rules=_unique(name for one in found for name in rule_names(one)),
        channels=_unique(channel for one in found for channel in one.consent.caller.channels),
        epochs=_unique(one.draw.epoch.text for one in found),
        accesses=_unique(access for one in found for access in named_accesses(one)),
    )


def quarter_limits(month: Month, enacted: Sequence[tuple[datetime, Agreement]]) -> StatisticsTerms:
    """The strictest that its quarter's own months have: terms that come later tell no more of it."""
    found = (terms_of(one, enacted) for one in month.quarter)
    return strictest(terms.limits for terms in found if terms is not None)


def newest_told(wallclock: datetime) -> Month:
    """The newest month whose figures can be out at `wallclock` (aware)."""
    return Month.of((wallclock.astimezone(UTC) - SETTLING).date()).before


def _lies_in(month: Month, agreement: Agreement) -> bool:
    last = local_time(agreement, agreement.validity.end - timedelta(microseconds=1)).date()
    return local_time(agreement, agreement.validity.start).date() < month.after and month.first <= last


def _unique(names: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(names))
