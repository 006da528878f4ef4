"""Coaches: whom agents may release recordings to. A name that council or officer entered, and keys of their own.

Each enrolment has its `key` entry in the log; its opening is kept here for the agents, who check a coach's key against
it before they release anything. Statements come in verified by the engine.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, select, update

from policy.log_entry import Key
from storage.database import Database
from storage.errors import CoachUnknown, RosterValueError
from storage.log.wal import append_commitment
from storage.manifest import format_time
from storage.roster import MAX_FIELD
from storage.tables import coach_keys, coaches


@dataclass(frozen=True, slots=True)
class CoachKey:
    """One enrolment, and where the log holds it."""

    seq: int
    recipient: str
    """`age1…`."""
    signing_key: str
    """`ssh-ed25519 …`."""
    statement: str = field(repr=False)
    """The coach's enrolment: canonical JSON, as signed."""
    signature: str = field(repr=False)
    enrolled_from: datetime
    origin: str
    index: int
    salt: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Coach:
    """One coach with the newest enrolment; None: not enrolled yet."""

    id: str
    name: str = field(repr=False)
    disabled: bool
    key: CoachKey | None


def told_of(coach: str, key: CoachKey) -> dict[str, object]:
    """What the `key` entry commits to."""
    return _told(coach, key.recipient, key.enrolled_from)


class Coaches:
    """Coaches in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: str, at: datetime) -> str:
        """A coach under a fresh random id. Raises RosterValueError, StorageUnavailable."""
        if not 1 <= len(name) <= MAX_FIELD or not name.isprintable() or name != name.strip():
            raise RosterValueError(f"a name needs 1 to {MAX_FIELD} printable characters")
        row = {"id": secrets.token_hex(16), "name": name, "disabled": False, "key_seq": 0, "added_at": at}
        await self._database.write(lambda connection: connection.execute(insert(coaches).values(**row)).rowcount)
        return str(row["id"])

    async def get(self, coach: str) -> Coach:
        """One coach, also a disabled one. Raises CoachUnknown."""
        return await self._database.read(lambda connection: _coach(_row(connection, coach)))

    async def list(self) -> Sequence[Coach]:
        """Those who can be released to: enrolled and not disabled, by name."""
        query = _SELECT.where(coaches.c.disabled.is_(False), coaches.c.key_seq > 0).order_by(coaches.c.name)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return tuple(_coach(row) for row in rows)

    async def enrol(
        self, coach: str, *, recipient: str, signing_key: str, statement: str, signature: str, at: datetime
    ) -> int:
        """Bind new keys, told to the log in the same transaction. The key's number. Raises CoachUnknown."""

        def work(connection: Connection) -> int:
            row = _row(connection, coach)
            if row.disabled:
                raise CoachUnknown("coach is disabled")
            seq = int(row.key_seq) + 1
            logged = append_commitment(connection, Key, _told(coach, recipient, at))
            values = {"recipient": recipient, "signing_key": signing_key, "statement": statement}
            values |= {"signature": signature, "origin": logged.origin}
            connection.execute(
                insert(coach_keys).values(
                    coach=coach, seq=seq, enrolled_from=at, idx=logged.index, salt=logged.salt, **values
                )
            )
            connection.execute(update(coaches).where(coaches.c.id == coach).values(key_seq=seq))
            return seq

        return await self._database.write(work)

    async def disable(self, coach: str) -> None:
        """Nothing can be released to this coach, nor fetched by them, any more. Raises CoachUnknown."""

        def work(connection: Connection) -> None:
            _row(connection, coach)
            connection.execute(update(coaches).where(coaches.c.id == coach).values(disabled=True))

        await self._database.write(work)


_SELECT = select(coaches, *(column for column in coach_keys.c if column.name not in ("coach", "seq"))).outerjoin(
    coach_keys, and_(coach_keys.c.coach == coaches.c.id, coach_keys.c.seq == coaches.c.key_seq)
)


def _told(coach: str, recipient: str, at: datetime) -> dict[str, object]:
    return {"who": coach, "recipient": recipient, "from": format_time(at), "to": None}


def _row(connection: Connection, coach: str) -> Row[Any]:
    row = connection.execute(_SELECT.where(coaches.c.id == coach)).one_or_none()
    if row is None:
        raise CoachUnknown("no such coach")
    return row


def _coach(row: Row[Any]) -> Coach:
    key = None
    if row.key_seq:
        key = CoachKey(
            row.key_seq, row.recipient, row.signing_key, row.statement, row.signature, row.enrolled_from,
            row.origin, row.idx, bytes(row.salt),
        )  # fmt: skip
    return Coach(row.id, row.name, row.disabled, key)
