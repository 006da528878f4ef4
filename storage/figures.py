"""What the council's statistics are made of: legs by rule and epoch, and counters of answers and kept recordings.

A counter holds month, site, rule and channel: no agent, no call, no time. A caller's silence and an agent's refusal
leave the same here, namely nothing: a leg that was to be recorded, and no answer.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, func, insert, or_, select, update

from policy.statistics import AnswerCount, LegCount, MonthCounts
from storage.database import Database
from storage.tables import figures, legs, recordings


class What(StrEnum):
    """What a counter counts."""

    YES = "yes"
    NO = "no"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Answered:
    """A caller's answer, as it is counted: `what` is yes or no, `origin` that of the leg's log."""

    origin: str
    channel: str
    what: What


def count_answer(connection: Connection, leg: Row[Any], answered: Answered) -> None:
    """Count the answer to a leg of `legs`, in the transaction of its `out`."""
    _count(connection, leg, answered.origin, answered.channel, answered.what)


def count_kept(connection: Connection, recording: Row[Any]) -> None:
    """Count a row of `recordings`, in the transaction in which it becomes kept."""
    leg = connection.execute(select(legs).where(legs.c.id == recording.entry)).one_or_none()
    if leg is not None:
        _count(connection, leg, recording.origin, "", What.KEPT)


def _count(connection: Connection, leg: Row[Any], origin: str, channel: str, what: What) -> None:
    if leg.rule is None:
        return  # nothing was drawn
    site = origin.partition("/")[0]
    key = {"month": f"{leg.day:%Y-%m}", "site": site, "rule": leg.rule, "channel": channel, "what": what.value}
    where = and_(*(figures.c[name] == value for name, value in key.items()))
    counted = update(figures).where(where).values(total=figures.c.total + 1)
    if connection.execute(counted).rowcount == 0:
        connection.execute(insert(figures).values(total=1, **key))


class Figures:
    """Counts by calendar month, for suppression before anybody sees them (`policy.statistics`)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, first: date, after: date) -> MonthCounts | None:
        """The month from day `first` to before day `after`; None while a leg or recording of it is still open."""

        def work(connection: Connection) -> MonthCounts | None:
            within = and_(legs.c.kind == "call", legs.c.day >= first, legs.c.day < after)
            recording = exists().where(recordings.c.entry == legs.c.id, recordings.c.state == "open")
            still = select(legs.c.id).where(within, or_(legs.c.o.is_(None), recording)).limit(1)
            if connection.execute(still).first() is not None:
                return None
            return _counts(connection, within, f"{first:%Y-%m}")

        return await self._database.read(work)


def _counts(connection: Connection, within: Any, month: str) -> MonthCounts:
    keys = (legs.c.rule, legs.c.e, legs.c.a, legs.c.o)
    query = select(*keys, func.count().label("total")).where(within, legs.c.rule.is_not(None)).group_by(*keys)
    counted = [LegCount(row.rule, row.e, row.a, row.o, row.total) for row in connection.execute(query)]
    rows = connection.execute(select(figures).where(figures.c.month == month)).all()
    answers = [row for row in rows if row.what != What.KEPT]
    kept: dict[str, int] = {}
    for row in rows:
        if row.what == What.KEPT:
            kept[row.rule] = kept.get(row.rule, 0) + row.total
    return MonthCounts(
        legs=tuple(counted),
        answers=tuple(AnswerCount(row.rule, row.site, row.channel, row.what, row.total) for row in answers),
        kept=kept,
    )
