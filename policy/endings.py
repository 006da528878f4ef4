"""What ends and when people are warned of it: 60, 30, 14, 7, 3 and 1 days before. Pure; sending is others' business."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final

from policy.agreement.schema import Agreement
from policy.validity import evaluation_due

WARN_DAYS: Final = (60, 30, 14, 7, 3, 1)


class Ends(StrEnum):
    """What comes to its end."""

    AGREEMENT = "agreement"
    EVALUATION = "evaluation"
    """The last day for the parties' evaluation: overdue means suspended."""
    CAMPAIGN = "campaign"


@dataclass(frozen=True, slots=True)
class Ending:
    """One end of an agreement: the first instant after it (UTC)."""

    what: Ends
    name: str
    """Id of the agreement, or of the campaign."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Warned:
    """So many days before an end, at this instant (UTC)."""

    ending: Ending
    days: int
    at: datetime


def endings(agreement: Agreement, signed_off: date | None = None) -> tuple[Ending, ...]:
    """Every end that an agreement has, the nearest first; `signed_off` is its last evaluation."""
    validity = agreement.validity
    overdue = evaluation_due(agreement, signed_off) + timedelta(days=1)
    found = [
        Ending(Ends.AGREEMENT, agreement.id, validity.end),
        Ending(Ends.EVALUATION, agreement.id, datetime.combine(overdue, time(), tzinfo=validity.zone).astimezone(UTC)),
        *(Ending(Ends.CAMPAIGN, one.id, one.end) for one in agreement.lanes.campaigns),
    ]
    return tuple(sorted(found, key=lambda ending: ending.at))


def warnings_between(
    agreement: Agreement, after: datetime, until: datetime, signed_off: date | None = None
) -> tuple[Warned, ...]:
    """The warnings that fall due in `after < at <= until`, in the order of time.

    A day counts by the calendar of the agreement's time zone: the same local time, so many days before.
    """
    found = (one for ending in endings(agreement, signed_off) for one in _warnings(agreement, ending))
    return tuple(sorted((one for one in found if after < one.at <= until), key=lambda one: (one.at, -one.days)))


def ends_soon(agreement: Agreement, now: datetime, signed_off: date | None = None) -> tuple[Warned, ...]:
    """Whatever its first warning was due for and isn't over, the nearest first, with the days that are left."""
    first = timedelta(days=max(WARN_DAYS))
    near = (one for one in endings(agreement, signed_off) if now < one.at <= now + first)
    return tuple(Warned(one, days_left(one, now), now) for one in near)


def days_left(ending: Ending, at: datetime) -> int:
    """Whole days until an end, rounded up; 0 and less: it is over."""
    return -((at - ending.at) // timedelta(days=1))


def _warnings(agreement: Agreement, ending: Ending) -> Iterator[Warned]:
    zone = agreement.validity.zone
    local = ending.at.astimezone(zone).replace(tzinfo=None)
    for days in WARN_DAYS:
        yield Warned(ending, days, (local - timedelta(days=days)).replace(tzinfo=zone).astimezone(UTC))
