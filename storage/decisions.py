"""Decision rows: durable before a tap opens, and after it closed (architecture.md, "Order is the safety").

Only decisions that opened a tap and those that ended one are written; who was never recorded leaves no row.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, select

from policy.decision import Outcome, Reason
from policy.terms import Lane, Purpose, Side
from storage.database import Database
from storage.tables import decisions


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One decision that took, or is about to take, effect."""

    call_ref: str
    entry: int | None
    """The leg's entry."""
    recording: str | None
    seg: int | None
    outcome: Outcome
    lane: Lane | None
    purpose: Purpose | None
    sides: frozenset[Side]
    reasons: tuple[Reason, ...]
    agreement: str | None
    """Digest (hex) of the agreement in force."""
    at: datetime


class Decisions:
    """Decision rows in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, row: DecisionRow) -> int:
        """Write a decision durably; its number. Raises StorageUnavailable: then the tap stays closed."""
        values = {
            "call_ref": row.call_ref,
            "entry": row.entry,
            "recording": row.recording,
            "seg": row.seg,
            "outcome": row.outcome.value,
            "lane": row.lane and row.lane.value,
            "purpose": row.purpose and row.purpose.value,
            "sides": sorted(row.sides),
            "reasons": list(row.reasons),
            "agreement": row.agreement,
            "at": row.at,
        }
        statement = insert(decisions).values(**values).returning(decisions.c.id)
        return await self._database.write(lambda connection: int(connection.execute(statement).scalar_one()))

    async def newest(self) -> datetime | None:
        """When the last decision was written, by the wall clock of then: an earlier clock isn't to be trusted."""
        query = select(func.max(decisions.c.at))
        return await self._database.read(lambda connection: connection.execute(query).scalar_one())

    async def of_recording(self, recording: str) -> list[DecisionRow]:
        """The decisions behind a recording, oldest first."""
        query = select(decisions).where(decisions.c.recording == recording).order_by(decisions.c.id)
        return [_decision(row) for row in await self._database.read(lambda connection: connection.execute(query).all())]


def _decision(row: Row[Any]) -> DecisionRow:
    return DecisionRow(
        call_ref=row.call_ref,
        entry=row.entry,
        recording=row.recording,
        seg=row.seg,
        outcome=Outcome(row.outcome),
        lane=None if row.lane is None else Lane(row.lane),
        purpose=None if row.purpose is None else Purpose(row.purpose),
        sides=frozenset(Side(side) for side in row.sides),
        reasons=tuple(Reason(reason) for reason in row.reasons),
        agreement=row.agreement,
        at=row.at,
    )
