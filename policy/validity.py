"""An agreement in time: its local calendar, and the date by which both parties must have evaluated it."""

from __future__ import annotations

from datetime import date, datetime

from policy.agreement.schema import Agreement
from policy.errors import WallclockError


def local_time(agreement: Agreement, wallclock: datetime) -> datetime:
    """`wallclock` in the agreement's time zone; a naive one is a `WallclockError`."""
    if wallclock.tzinfo is None:
        raise WallclockError("wall clock without a time zone")
    return wallclock.astimezone(agreement.validity.zone)


def in_validity(agreement: Agreement, wallclock: datetime) -> bool:
    """The half-open interval: the end is the first instant without recording."""
    return agreement.validity.start <= wallclock < agreement.validity.end


def evaluation_due(agreement: Agreement, signed_off: date | None) -> date:
    """The last day on which the next evaluation is in time, given the last one that both parties signed off."""
    terms = agreement.validity.evaluation
    return terms.next_due if signed_off is None else terms.every.after_day(signed_off)


def evaluation_overdue(agreement: Agreement, wallclock: datetime, signed_off: date | None = None) -> bool:
    """The due day is over in the agreement's time zone."""
    return local_time(agreement, wallclock).date() > evaluation_due(agreement, signed_off)
