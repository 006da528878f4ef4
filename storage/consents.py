"""Standing consents of agents, by purpose, and receipts of callers' answers (agreement.md §4, §5).

A yes stands here only with the agent's own signed statement, which the engine verified. The history is the agent's;
who may see what is the API's matter. A caller's refusal is never written.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from policy.terms import ConsentState, Purpose
from storage.database import Database
from storage.errors import AgentUnknown, ReceiptExists, StaleConsent, StatementMissing
from storage.tables import agents, consents, receipts


@dataclass(frozen=True, slots=True)
class Statement:
    """The agent's signed yes, with the text it was given to."""

    document: str
    """Canonical JSON, as signed."""
    signature: str
    """Armoured SSHSIG."""
    text_sha256: str
    """Of the text that was shown; another text makes the consent unset."""
    language: str
    seq: int
    """Grows with each statement of this agent on this purpose."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the document: what a manifest's `consents` lists."""
        return hashlib.sha256(self.document.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class StandingConsent:
    """An agent's standing answer for one purpose."""

    purpose: Purpose
    answer: ConsentState
    seq: int
    """0: never answered."""
    home_office: bool = False
    """The yes holds at the agent's home too."""
    statement: Statement | None = None
    at: datetime | None = None


class ReceiptOutcome(StrEnum):
    """A receipt is written for these two only."""

    YES = "yes"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A caller's yes, or its withdrawal, signed by the gateway."""

    jti: str
    call_ref: str
    recording: str | None
    outcome: ReceiptOutcome
    document: bytes = field(repr=False)
    """Canonical JSON (agreement.md §5)."""
    signature: str = field(repr=False)
    at: datetime
    keep_until: datetime

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the document: what a manifest's `consents` lists."""
        return hashlib.sha256(self.document).hexdigest()


class Consents:
    """Standing consents and receipts in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def standing(self, agent: str) -> dict[Purpose, StandingConsent]:
        """The answer in force for every purpose there is; never answered is `UNSET`."""
        return {row.purpose: row for row in await self._database.read(lambda connection: _standing(connection, agent))}

    async def history(self, agent: str) -> list[StandingConsent]:
        """Every answer ever given, oldest first; for the agent alone."""
        query = select(consents).where(consents.c.agent == agent).order_by(consents.c.id)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [_consent(row) for row in rows]

    async def set(
        self,
        agent: str,
        purpose: Purpose,
        answer: ConsentState,
        at: datetime,
        *,
        statement: Statement | None = None,
        home_office: bool = False,
    ) -> StandingConsent:
        """Set an answer: a yes needs its statement, a no or unset needs none.

        A no whose statement's number didn't grow counts as one without a statement. Raises AgentUnknown,
        StatementMissing, and StaleConsent for a yes whose number didn't grow.
        """
        if answer is ConsentState.YES and statement is None:
            raise StatementMissing("a yes needs the agent's signed statement")

        def work(connection: Connection) -> StandingConsent:
            if connection.execute(select(agents.c.id).where(agents.c.id == agent)).first() is None:
                raise AgentUnknown("no such agent on the roster")
            last = _last_seq(connection, agent, purpose)
            yes, fresh = answer is ConsentState.YES, statement is not None and statement.seq > last
            if yes and not fresh:
                raise StaleConsent(f"consent statement's number isn't over {last}")
            said = statement if fresh else None
            seq = said.seq if said is not None else last + 1
            new = StandingConsent(purpose, answer, seq, yes and home_office, said, at)
            _insert(connection, agent, new)
            return new

        return await self._database.write(work)

    async def add_receipt(self, receipt: Receipt) -> None:
        """Write a receipt durably. Raises ReceiptExists for a `jti` that was used."""

        def work(connection: Connection) -> None:
            if connection.execute(select(receipts.c.id).where(receipts.c.jti == receipt.jti)).first() is not None:
                raise ReceiptExists("receipt with this `jti` is written already")
            connection.execute(
                insert(receipts).values(
                    jti=receipt.jti,
                    call_ref=receipt.call_ref,
                    recording=receipt.recording,
                    outcome=receipt.outcome.value,
                    receipt=receipt.document,
                    signature=receipt.signature,
                    at=receipt.at,
                    keep_until=receipt.keep_until,
                )
            )

        await self._database.write(work)

    async def receipts(self, *, call_ref: str | None = None, recording: str | None = None) -> list[Receipt]:
        """Receipts of a call or of a recording, oldest first; withdrawals are those whose outcome says so."""
        query = select(receipts).order_by(receipts.c.id)
        if call_ref is not None:
            query = query.where(receipts.c.call_ref == call_ref)
        if recording is not None:
            query = query.where(receipts.c.recording == recording)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [_receipt(row) for row in rows]

    async def erase_due(self, at: datetime) -> int:
        """Erase the receipts whose time is over; how many."""
        return await self._database.write(
            lambda connection: connection.execute(delete(receipts).where(receipts.c.keep_until <= at)).rowcount
        )


def reset(connection: Connection, agent: str, at: datetime) -> None:
    """Set every answer that isn't unset to unset: part of a new enrolment's transaction."""
    for row in _standing(connection, agent):
        if row.answer is not ConsentState.UNSET:
            _insert(connection, agent, StandingConsent(row.purpose, ConsentState.UNSET, row.seq + 1, at=at))


def end_all(connection: Connection, agent: str, at: datetime, leap: int) -> None:
    """Set every answer to unset, those never given too, and leave `leap` numbers out after each."""
    for row in _standing(connection, agent):
        _insert(connection, agent, StandingConsent(row.purpose, ConsentState.UNSET, row.seq + leap, at=at))


def _standing(connection: Connection, agent: str) -> list[StandingConsent]:
    newest = select(func.max(consents.c.id)).where(consents.c.agent == agent).group_by(consents.c.purpose)
    rows = connection.execute(select(consents).where(consents.c.id.in_(newest))).all()
    found = {row.purpose: _consent(row) for row in rows}
    return [found.get(purpose, StandingConsent(purpose, ConsentState.UNSET, 0)) for purpose in Purpose]


def _last_seq(connection: Connection, agent: str, purpose: Purpose) -> int:
    query = select(func.max(consents.c.seq)).where(consents.c.agent == agent, consents.c.purpose == purpose.value)
    return connection.execute(query).scalar_one() or 0


def _insert(connection: Connection, agent: str, new: StandingConsent) -> None:
    said = new.statement
    connection.execute(
        insert(consents).values(
            agent=agent,
            purpose=new.purpose.value,
            seq=new.seq,
            answer=new.answer.value,
            home_office=new.home_office,
            text_sha256=said and said.text_sha256,
            language=said and said.language,
            statement=said and said.document,
            signature=said and said.signature,
            at=new.at,
        )
    )


def _consent(row: Row[Any]) -> StandingConsent:
    said = None
    if row.statement is not None:
        said = Statement(row.statement, row.signature, row.text_sha256, row.language, row.seq)
    return StandingConsent(Purpose(row.purpose), ConsentState(row.answer), row.seq, row.home_office, said, row.at)


def _receipt(row: Row[Any]) -> Receipt:
    return Receipt(
        jti=row.jti,
        call_ref=row.call_ref,
        recording=row.recording,
        outcome=ReceiptOutcome(row.outcome),
        document=bytes(row.receipt),
        signature=row.signature,
        at=row.at,
        keep_until=row.keep_until,
    )
