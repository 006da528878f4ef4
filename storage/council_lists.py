"""What the council gets of an epoch for a while: the names on its roster, and its legs' openings, sealed to it.

An opening says which call a `call` entry stands for (crypto.md §3), never what became of it. It is an age file for the
council's anchored recipients, made in the transaction that writes the entry: at rest nobody else learns whose entry a
call is. Both lists are handed out by epoch, and destroyed when an epoch has been over for `policy.retention` says how
long. No backup holds them (`UNSAVED`), so that destroyed means destroyed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Table, delete, insert, select, tuple_

from crypto.age import encrypt
from crypto.x25519 import Recipient
from policy.opening import CallOpening
from policy.retention import COUNCIL_LISTS
from storage.tables import council_openings, epoch_names, epochs

UNSAVED: Final[tuple[Table, ...]] = (epoch_names, council_openings)
"""Tables whose rows stay out of every backup."""
MAX_FORGOTTEN: Final = 1000
"""Openings that one transaction takes away."""


@dataclass(frozen=True, slots=True)
class ForCouncil:
    """The opening of a `call` entry, and the recipients (`age1…`) who may open it: none where none is anchored."""

    told: CallOpening
    recipients: Sequence[str]


def keep_opening(connection: Connection, epoch: str, index: int, shown: ForCouncil) -> None:
    """Keep the opening of the `call` entry that now stands at `index` of the epoch's log."""
    if not shown.recipients:
        return
    line = replace(shown.told, entry=index).line()
    sealed = encrypt(line, [Recipient.parse(one) for one in shown.recipients])
    connection.execute(insert(council_openings).values(e=epoch, idx=index, sealed=sealed))


def keep_names(connection: Connection, epoch: str, names: Sequence[str]) -> None:
    """Keep the names on an epoch's roster, in their own order."""
    connection.execute(insert(epoch_names).values(e=epoch, names=sorted(names)))


def names_of(connection: Connection, epoch: str) -> tuple[str, ...]:
    """The names on an epoch's roster; empty once their time is over."""
    found = connection.execute(select(epoch_names.c.names).where(epoch_names.c.e == epoch)).scalar_one_or_none()
    return tuple(found or ())


def openings_of(connection: Connection, epoch: str, after: int, limit: int) -> list[tuple[int, bytes]] | None:
    """(index, age file) from behind the index `after`, in order; None before the epoch is closed."""
    closed = select(epochs.c.name).where(epochs.c.name == epoch, epochs.c.closed_at.is_not(None))
    if connection.execute(closed).first() is None:
        return None
    query = select(council_openings).where(council_openings.c.e == epoch, council_openings.c.idx > after)
    rows = connection.execute(query.order_by(council_openings.c.idx).limit(limit)).all()
    return [(row.idx, bytes(row.sealed)) for row in rows]


def forget_due(connection: Connection, at: datetime) -> int:
    """Destroy both lists of epochs whose time is over, at most MAX_FORGOTTEN openings; how many rows went."""
    over = select(epochs.c.name).where(epochs.c.ends_at <= at - COUNCIL_LISTS)
    gone = connection.execute(delete(epoch_names).where(epoch_names.c.e.in_(over))).rowcount
    key = (council_openings.c.e, council_openings.c.idx)
    due = select(*key).where(council_openings.c.e.in_(over)).limit(MAX_FORGOTTEN)
    return gone + connection.execute(delete(council_openings).where(tuple_(*key).in_(due))).rowcount
