"""What the log says of an agent's own legs, sealed to that agent alone: at rest nobody else learns how a leg ended.

Each is an age file for the agent's recipient, made in the transaction that writes the entry, of a size that tells
nothing (agreement.md §6: why a leg wasn't kept is nobody else's). Without a recipient nothing is kept.
"""

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from crypto.age import encrypt
from crypto.x25519 import Recipient
from policy.opening import CallOpening, OutOpening, pad_line
from storage.tables import leg_openings

MAX_FORGOTTEN: Final = 1000
"""Rows that one transaction takes away."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who alone may open a leg's entries, and until when."""

    agent: str
    recipient: str
    """`age1…`, which the agent's own signature was verified for."""
    keep_until: datetime


@dataclass(frozen=True, slots=True)
class Owned:
    """The opening of a `call` or `wish` entry, for its owner."""

    owner: Owner
    told: CallOpening


@dataclass(frozen=True, slots=True)
class SealedOpening:
    """One row: which entry, and the age file."""

    id: int
    origin: str
    index: int
    kind: str
    sealed: bytes


def keep_call(connection: Connection, origin: str, index: int, kind: str, owned: Owned) -> None:
    """Keep the opening of the entry that now stands at `index`."""
    _keep(connection, owned.owner, origin, index, kind, replace(owned.told, entry=index))


def keep_out(
    connection: Connection, origin: str, of: int | None, index: int, told: OutOpening, owner: Owner | None
) -> None:
    """Keep the opening of the `out` at `index`; where its owner isn't known any more, whoever holds that of `of`."""
    if owner is not None:
        _keep(connection, owner, origin, index, "out", replace(told, entry=index))
        return
    query = select(leg_openings).where(leg_openings.c.origin == origin, leg_openings.c.idx == of)
    row = connection.execute(query).one_or_none()
    if row is not None:
        earlier = Owner(row.agent, row.recipient, row.keep_until)
        _keep(connection, earlier, origin, index, "out", replace(told, entry=index))


def sealed_openings(connection: Connection, agent: str, after: int, limit: int) -> list[SealedOpening]:
    """An agent's, oldest first, from behind the id `after`."""
    query = select(leg_openings).where(leg_openings.c.agent == agent, leg_openings.c.id > after)
    rows = connection.execute(query.order_by(leg_openings.c.id).limit(limit)).all()
    return [SealedOpening(row.id, row.origin, row.idx, row.kind, bytes(row.sealed)) for row in rows]


def forget_due(connection: Connection, at: datetime) -> int:
    """Destroy those whose time is over, at most MAX_FORGOTTEN; how many."""
    due = select(leg_openings.c.id).where(leg_openings.c.keep_until <= at).limit(MAX_FORGOTTEN)
    return connection.execute(delete(leg_openings).where(leg_openings.c.id.in_(due))).rowcount


def _keep(
    connection: Connection, owner: Owner, origin: str, index: int, kind: str, told: CallOpening | OutOpening
) -> None:
    sealed = encrypt(pad_line(told.line()), [Recipient.parse(owner.recipient)])
    row = {"origin": origin, "idx": index, "kind": kind, "sealed": sealed}
    connection.execute(insert(leg_openings).values(row | asdict(owner)))
