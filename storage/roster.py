"""The roster: agents, their keys and their seats (agreement.md §3). Statements come in verified by the engine.

A seat binds an extension to an agent by that agent's own claim, for 12 hours; nothing else can. Names and extensions
leave this file as values only, never in an error.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update

from crypto.commitment import new_salt
from policy.log_entry import Key
from storage import consents
from storage.database import Database
from storage.errors import AgentUnknown, RosterValueError, SeatConflict, StaleClaim
from storage.log.wal import append_committed
from storage.manifest import format_time
from storage.names import AgentId
from storage.tables import agent_keys, agents, seats

SEAT_HOURS: Final = 12
MAX_FIELD: Final = 200


@dataclass(frozen=True, slots=True)
class NewAgent:
    """What an admin may enter; it grants nothing."""

    name: str = field(repr=False)
    group: str
    site: str
    onboarding_from: date | None = None
    home_office: bool = False


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent as the roster has it now."""

    id: AgentId
    name: str = field(repr=False)
    group: str
    site: str
    onboarding_from: date | None
    home_office: bool
    """Works at home."""
    salt: bytes = field(repr=False)
    """32 bytes; makes the epoch's pseudonym."""
    disabled: bool
    blackout: bool
    seat_seq: int
    """Number of the last seat claim; 0: none yet."""
    key_seq: int
    """How often enrolled; 0: not yet, so nothing can be recorded."""
    recipient: str | None
    """`age1…`, None until enrolled."""
    signing_key: str | None
    """`ssh-ed25519 …`, None until enrolled."""
    enrolled_from: datetime | None


@dataclass(frozen=True, slots=True)
class AgentKey:
    """One enrolment, as the agent's own client lists them."""

    seq: int
    recipient: str
    signing_key: str
    statement: str
    signature: str
    enrolled_from: datetime


@dataclass(frozen=True, slots=True)
class Seat:
    """Who sits where, until when."""

    agent: AgentId
    extension: str = field(repr=False)
    session: str = field(repr=False)
    seq: int
    claimed_at: datetime
    expires_at: datetime
    statement: str = field(repr=False)
    """The agent's claim: canonical JSON, as signed."""
    signature: str = field(repr=False)


class Roster:
    """Agents, keys and seats in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: NewAgent, at: datetime) -> AgentId:
        """Put an agent on the roster under a fresh random id. Raises RosterValueError, StorageUnavailable."""
        return (await self.add_all([new], at))[0]

    async def add_all(self, new: Sequence[NewAgent], at: datetime) -> tuple[AgentId, ...]:
        """All of them or, when one is refused, none; ids in the order given."""
        for agent in new:
            _check(agent)
        rows = [_new_row(agent, at) for agent in new]
        if rows:
            await self._database.write(lambda connection: connection.execute(insert(agents), rows).rowcount)
        return tuple(AgentId(row["id"]) for row in rows)

    async def list(self) -> tuple[Agent, ...]:
        """Everybody, also the disabled, in the order of names."""
        rows = await self._database.read(lambda connection: connection.execute(_SELECT.order_by(agents.c.name)).all())
        return tuple(_agent(row) for row in rows)

    async def get(self, agent: str) -> Agent:
        """One agent, also a disabled one. Raises AgentUnknown."""
        return await self._database.read(lambda connection: _agent(_row(connection, agent)))

    async def keys(self, agent: str) -> tuple[AgentKey, ...]:
        """Every enrolment of an agent, oldest first."""
        query = select(agent_keys).where(agent_keys.c.agent == agent).order_by(agent_keys.c.seq)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return tuple(_key(row) for row in rows)

    async def disable(self, agent: str) -> None:
        """Take an agent off: seat released, nothing recorded; recordings stay theirs. Raises AgentUnknown."""

        def work(connection: Connection) -> None:
            _row(connection, agent)
            connection.execute(update(agents).where(agents.c.id == agent).values(disabled=True))
            connection.execute(delete(seats).where(seats.c.agent == agent))

        await self._database.write(work)

    async def set_blackout(self, agent: str, on: bool) -> None:
        """No call of this agent is recorded while it is on; no reason is stored. Raises AgentUnknown."""

        def work(connection: Connection) -> None:
            _active(connection, agent)
            connection.execute(update(agents).where(agents.c.id == agent).values(blackout=on))

        await self._database.write(work)

    async def enrol(
        self, agent: str, *, recipient: str, signing_key: str, statement: str, signature: str, at: datetime
    ) -> int:
        """Bind new keys; every consent becomes unset, the seat is released. The key's number. Raises AgentUnknown."""

        def work(connection: Connection) -> int:
            seq = int(_active(connection, agent).key_seq) + 1
            connection.execute(
                insert(agent_keys).values(
                    agent=agent,
                    seq=seq,
                    recipient=recipient,
                    signing_key=signing_key,
                    statement=statement,
                    signature=signature,
                    enrolled_from=at,
                )
            )
            connection.execute(update(agents).where(agents.c.id == agent).values(key_seq=seq))
            connection.execute(delete(seats).where(seats.c.agent == agent))
            consents.reset(connection, agent, at)
            told = {"who": agent, "recipient": recipient, "from": format_time(at), "to": None}
            append_committed(connection, Key, agent, told)
            return seq

        return await self._database.write(work)

    async def members(self, group: str) -> int:
        """Agents of a group that aren't disabled."""
        query = select(func.count()).where(agents.c.group == group, agents.c.disabled.is_(False))
        return await self._database.read(lambda connection: connection.execute(query).scalar_one())

    async def claim(
        self, agent: str, *, extension: str, session: str, seq: int, statement: str, signature: str, at: datetime
    ) -> Seat:
        """Seat an agent for 12 hours, in place of the seat they had.

        Raises AgentUnknown, StaleClaim unless `seq` grew, SeatConflict while the extension is another agent's seat.
        """
        expires = at + timedelta(hours=SEAT_HOURS)
        row = {
            "agent": agent,
            "extension": extension,
            "session": session,
            "seq": seq,
            "statement": statement,
            "signature": signature,
            "claimed_at": at,
            "expires_at": expires,
        }
        await self._database.write(lambda connection: _claim(connection, row, at))
        return Seat(AgentId(agent), extension, session, seq, at, expires, statement, signature)

    async def release(self, agent: str) -> None:
        """The agent leaves the seat; harmless without one."""
        statement = delete(seats).where(seats.c.agent == agent)
        await self._database.write(lambda connection: connection.execute(statement).rowcount)

    async def holder(self, extension: str, at: datetime) -> AgentId | None:
        """Whose seat an extension is at this instant."""
        query = select(seats.c.agent).where(seats.c.extension == extension, seats.c.expires_at > at)
        found = await self._database.read(lambda connection: connection.execute(query).scalar_one_or_none())
        return None if found is None else AgentId(found)

    async def seat(self, agent: str, at: datetime) -> Seat | None:
        """Where an agent sits at this instant."""
        query = select(seats).where(seats.c.agent == agent, seats.c.expires_at > at)
        row = await self._database.read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else _seat(row)

    async def seats(self, at: datetime) -> tuple[Seat, ...]:
        """All seats that are taken at this instant, for a gateway that starts."""
        query = select(seats).where(seats.c.expires_at > at)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return tuple(_seat(row) for row in rows)


_SELECT = select(agents, agent_keys.c.recipient, agent_keys.c.signing_key, agent_keys.c.enrolled_from).outerjoin(
    agent_keys, and_(agent_keys.c.agent == agents.c.id, agent_keys.c.seq == agents.c.key_seq)
)


def _check(new: NewAgent) -> None:
    for text in (new.name, new.group, new.site):
        if not 1 <= len(text) <= MAX_FIELD or not text.isprintable() or text != text.strip():
            raise RosterValueError(f"name, group and site need 1 to {MAX_FIELD} printable characters")


def _new_row(new: NewAgent, at: datetime) -> dict[str, Any]:
    return {
        "id": secrets.token_hex(16),
        "name": new.name,
        "group": new.group,
        "site": new.site,
        "onboarding_from": new.onboarding_from,
        "home_office": new.home_office,
        "salt": new_salt(),
        "disabled": False,
        "blackout": False,
        "seat_seq": 0,
        "key_seq": 0,
        "added_at": at,
    }


def _claim(connection: Connection, row: dict[str, Any], at: datetime) -> None:
    agent = _active(connection, row["agent"])
    if row["seq"] <= agent.seat_seq:
        raise StaleClaim(f"seat claim's number isn't over {agent.seat_seq}")
    connection.execute(delete(seats).where((seats.c.agent == row["agent"]) | (seats.c.expires_at <= at)))
    taken = select(seats.c.agent).where(seats.c.extension == row["extension"])
    if connection.execute(taken).first() is not None:
        raise SeatConflict("extension is another agent's seat")
    connection.execute(update(agents).where(agents.c.id == row["agent"]).values(seat_seq=row["seq"]))
    connection.execute(insert(seats).values(**row))


def _row(connection: Connection, agent: str) -> Row[Any]:
    row = connection.execute(_SELECT.where(agents.c.id == agent)).one_or_none()
    if row is None:
        raise AgentUnknown("no such agent on the roster")
    return row


def _active(connection: Connection, agent: str) -> Row[Any]:
    row = _row(connection, agent)
    if row.disabled:
        raise AgentUnknown("agent is disabled")
    return row


def _agent(row: Row[Any]) -> Agent:
    return Agent(
        id=AgentId(row.id),
        name=row.name,
        group=row.group,
        site=row.site,
        onboarding_from=row.onboarding_from,
        home_office=row.home_office,
        salt=bytes(row.salt),
        disabled=row.disabled,
        blackout=row.blackout,
        seat_seq=row.seat_seq,
        key_seq=row.key_seq,
        recipient=row.recipient,
        signing_key=row.signing_key,
        enrolled_from=row.enrolled_from,
    )


def _key(row: Row[Any]) -> AgentKey:
    return AgentKey(row.seq, row.recipient, row.signing_key, row.statement, row.signature, row.enrolled_from)


def _seat(row: Row[Any]) -> Seat:
    return Seat(
        agent=AgentId(row.agent),
        extension=row.extension,
        session=row.session,
        seq=row.seq,
        claimed_at=row.claimed_at,
        expires_at=row.expires_at,
        statement=row.statement,
        signature=row.signature,
    )
