"""What the council's statistics are made of: legs by rule and epoch, counters of answers, and what `eclose`s told.

A counter holds month, site, rule and channel: no agent, no call, no time. A caller's silence and an agent's refusal
leave the same here, namely nothing: a leg that was to be recorded, and no answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, exists, func, insert, or_, select, update

from policy.kept import BlockKept
from policy.log_block import LogBlock
from policy.month import Month
from policy.statistics import AnswerCount, LegCount, MonthCounts, QuarterCounts
from storage.database import Database
from storage.tables import epochs, figures, legs, recordings

_OF_A_BLOCK: Final = 100
"""More epochs than a block of 14 weeks has days."""


class What(StrEnum):
    """What a counter counts."""

    YES = "yes"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Answered:
    """A caller's answer, as it is counted: `what` is yes or no, `origin` that of the leg's log."""

    origin: str
    channel: str
    what: What


def count_answer(connection: Connection, leg: Row[Any], answered: Answered) -> None:
    """Count the answer to a leg of `legs`, in the transaction of its `out`."""
    if leg.rule is None:
        return  # nothing was drawn
    place = {"site": answered.origin.partition("/")[0], "channel": answered.channel}
    key = {"month": f"{leg.day:%Y-%m}", "rule": leg.rule, "what": answered.what.value, **place}
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
            return _counts(connection, within)

        return await self._database.read(work)

    async def of_quarter(self, months: Sequence[Month]) -> QuarterCounts:
        """What these months have together."""

        def work(connection: Connection) -> QuarterCounts:
            within = and_(legs.c.kind == "call", legs.c.day >= months[0].first, legs.c.day < months[-1].after)
            hits = select(func.count()).where(within, legs.c.o == "hit", legs.c.rule.is_not(None))
            keys = (figures.c.site, figures.c.channel, figures.c.what)
            answers = select(*keys, func.sum(figures.c.total).label("total")).group_by(*keys)
            answers = answers.where(
                figures.c.month.in_([str(month) for month in months]), figures.c.what.in_(list(What))
            )
            rows = connection.execute(answers).all()
            found = tuple(AnswerCount(row.site, row.channel, row.what, int(row.total)) for row in rows)
            return QuarterCounts(connection.execute(hits).scalar_one(), found)

        return await self._database.read(work)

    async def kept_by(self, after: date) -> BlockKept | None:
        """What the newest block of the log that was over before this day told of what was kept."""
        query = select(epochs.c.origin, epochs.c.figures, epochs.c.first_day).where(epochs.c.figures.is_not(None))
        query = query.where(epochs.c.first_day < after).order_by(epochs.c.ends_at.desc()).limit(_OF_A_BLOCK)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        over = (row for row in rows if LogBlock.parse(row.origin).days[1] <= after)
        found = next((row for row in over if row.figures.get("kept") is not None), None)
        return None if found is None else BlockKept(found.origin, found.figures["kept"])


def _counts(connection: Connection, within: Any) -> MonthCounts:
    keys = (legs.c.rule, legs.c.e, legs.c.a, legs.c.o)
    query = select(*keys, func.count().label("total")).where(within, legs.c.rule.is_not(None)).group_by(*keys)
    return MonthCounts(tuple(LegCount(row.rule, row.e, row.a, row.o, row.total) for row in connection.execute(query)))
