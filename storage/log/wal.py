"""Entries on their way into the log: rows beside whatever they describe, written in the same transaction.

An entry has its place for good as soon as it is durable here; publication moves the bytes and changes nothing.
Everything takes a connection: call it inside the work of one `Database.write`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from crypto.commitment import commitment, new_salt
from crypto.jcs import canonical
from policy.errors import LogEntryError
from policy.log_block import LogBlock
from policy.log_entry import Access, Entry, Erase, Hold, Key, Quorum, Release, Unhold, Unrelease, encode
from storage.errors import LogClosed
from storage.log.chapters import chapters
from storage.tables import log_openings, log_wal, logs

Committed = (
    type[Key] | type[Release] | type[Unrelease] | type[Erase] | type[Hold] | type[Unhold] | type[Access] | type[Quorum]
)
"""Entries that hold nothing but a commitment."""
AFTER: Final = timedelta(days=15)
"""The shares of a block's last epoch may come up to 14 days after its end; then its log is over."""
MAX_ROWS: Final = 1 << 16
"""Rows that are read at once."""


def open_log(connection: Connection, origin: str) -> bool:
    """Begin a log with the parties' anchors and the acts taken so far; False where it is known already.

    Raises LogClosed for an origin that no block has.
    """
    try:
        LogBlock.parse(origin)
    except LogEntryError as error:
        raise LogClosed(str(error)) from None
    if connection.execute(select(logs.c.id).where(logs.c.origin == origin)).first() is not None:
        return False
    connection.execute(insert(logs).values(origin=origin, size=0, open=True))
    for entry in chain.from_iterable(chapters(connection)):
        append(connection, origin, entry)
    return True


def close_log(connection: Connection, origin: str) -> None:
    """Nothing is appended to this log any more, since another has taken its place; harmless when repeated."""
    connection.execute(update(logs).where(logs.c.origin == origin).values(open=False))


def note_closed(connection: Connection, origin: str) -> None:
    """Know of a log that has files and no rows, and that takes no entries; harmless where it is known."""
    if connection.execute(select(logs.c.id).where(logs.c.origin == origin)).first() is None:
        connection.execute(insert(logs).values(origin=origin, size=0, open=False))


def open_logs(connection: Connection) -> list[str]:
    """The origins that are open, the newest last."""
    return list(connection.execute(select(logs.c.origin).where(logs.c.open).order_by(logs.c.id)).scalars())


def known_logs(connection: Connection) -> dict[str, int]:
    """How many entries each log has, published or not; oldest log first."""
    rows = connection.execute(select(logs.c.origin, logs.c.size).order_by(logs.c.id))
    return {row.origin: row.size for row in rows}


def append(connection: Connection, origin: str, entry: Entry) -> int:
    """Put an entry at the log's end; its index. Raises LogClosed where the log isn't open."""
    leaf = encode(entry)
    longer = update(logs).where(logs.c.origin == origin, logs.c.open).values(size=logs.c.size + 1)
    size = connection.execute(longer.returning(logs.c.size)).scalar_one_or_none()
    if size is None:
        raise LogClosed("log isn't open for entries")
    # INVARIANT: counted and written in one transaction of the one writer, so indices have no gap and no repeat.
    connection.execute(insert(log_wal).values(origin=origin, idx=size - 1, leaf=leaf))
    return int(size) - 1


def append_everywhere(connection: Connection, day: date, entries: Sequence[Entry]) -> None:
    """Put entries about the parties at the end of every open log that isn't over: each is checked on its own."""
    for origin in open_logs(connection):
        if day < LogBlock.parse(origin).days[1] + AFTER:
            for entry in entries:
                append(connection, origin, entry)


@dataclass(frozen=True, slots=True)
class CommittedAt:
    """Where a commitment stands in the log, and what opens it."""

    origin: str
    index: int
    salt: bytes


def append_commitment(connection: Connection, kind: Committed, told: Mapping[str, object]) -> CommittedAt:
    """Put a commitment to what happened at the newest log's end. Raises LogClosed where no log is open."""
    origins = open_logs(connection)
    if not origins:
        raise LogClosed("no log is open")
    salt = new_salt()
    index = append(connection, origins[-1], kind(commitment(kind.t, told, salt).hex()))
    return CommittedAt(origins[-1], index, salt)


def append_committed(connection: Connection, kind: Committed, agent: str, told: Mapping[str, object]) -> None:
    """As `append_commitment`; its opening is kept for `agent` alone."""
    at = append_commitment(connection, kind, told)
    row = {"agent": agent, "origin": at.origin, "idx": at.index, "kind": kind.t, "told": canonical(told)}
    connection.execute(insert(log_openings).values(**row, salt=at.salt))


def waiting(connection: Connection, origin: str, start: int, end: int) -> list[tuple[int, bytes]]:
    """(index, leaf) of the rows from `start` to before `end` that are still here, in order, at most MAX_ROWS."""
    query = select(log_wal.c.idx, log_wal.c.leaf).where(
        log_wal.c.origin == origin, log_wal.c.idx >= start, log_wal.c.idx < end
    )
    rows: Sequence[Any] = connection.execute(query.order_by(log_wal.c.idx).limit(MAX_ROWS)).all()
    return [(row.idx, bytes(row.leaf)) for row in rows]


def drop(connection: Connection, origin: str, size: int) -> None:
    """Forget the rows under a published checkpoint of `size`."""
    connection.execute(delete(log_wal).where(log_wal.c.origin == origin, log_wal.c.idx < size))
