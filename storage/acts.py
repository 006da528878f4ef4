"""Anchored keys of the parties and the chain of signed acts (agreement.md §3).

An act names its predecessor (`prev`, `seq`); anything that doesn't follow the last one is stale. What an act means, and
whether its signatures hold, is `policy.chain`'s to say, before it is put here and again each time the chain is read.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select

from policy.acts import parse_act
from policy.chain import Posted
from storage.database import Database
from storage.errors import ActError, AnchorsSet, StaleAct
from storage.log.chapters import chapters
from storage.log.wal import append_everywhere
from storage.tables import acts, anchors

MAX_DOCUMENT: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Anchor:
    """A party's public keys as their owner handed them over, before any act."""

    role: str
    """`employer`, `council` (or `council2`, `council3`), `dpo`."""
    key: str
    """`ssh-ed25519 …` line."""
    recipient: str | None = None
    """`age1…` of council and DPO."""


class Acts:
    """Anchors and acts in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set_anchors(self, new: list[Anchor], at: datetime) -> None:
        """Anchor the parties' keys, once in the life of this database. Raises AnchorsSet."""

        def work(connection: Connection) -> None:
            if connection.execute(select(anchors.c.role).limit(1)).first() is not None:
                raise AnchorsSet("anchors are set already: a key is replaced by an act")
            for anchor in new:
                row = {"role": anchor.role, "seq": 1, "key": anchor.key, "rkey": anchor.recipient, "at": at}
                connection.execute(insert(anchors).values(**row))
            append_everywhere(connection, at.date(), chapters(connection)[0])

        await self._database.write(work)

    async def anchors(self) -> list[Anchor]:
        """The anchors as they were first set, in the order of roles; acts may have replaced some."""
        query = select(anchors).order_by(anchors.c.role)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [Anchor(row.role, row.key, row.rkey) for row in rows]

    async def append(self, posted: Posted) -> None:
        """Put an act that the policy took at the end of the chain; durable on return. Raises ActError, StaleAct."""
        if posted.document is not None and len(posted.document) > MAX_DOCUMENT:
            raise ActError(f"agreement is longer than {MAX_DOCUMENT} bytes")
        act = parse_act(posted.act)

        def work(connection: Connection) -> None:
            last = connection.execute(select(acts.c.seq, acts.c.digest).order_by(acts.c.seq.desc()).limit(1)).first()
            if (act.seq, act.prev) != ((1, None) if last is None else (last.seq + 1, last.digest)):
                raise StaleAct("act doesn't follow the last one")
            connection.execute(
                insert(acts).values(
                    seq=act.seq,
                    type=act.type.value,
                    agreement=act.agreement,
                    digest=act.digest,
                    act=posted.act,
                    signatures=dict(posted.signatures),
                    document=posted.document,
                    session=posted.session,
                    at=posted.at,
                )
            )
            append_everywhere(connection, posted.at.date(), chapters(connection)[-1])

        await self._database.write(work)

    async def chain(self) -> list[Posted]:
        """Every act, oldest first."""
        query = select(acts).order_by(acts.c.seq)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [_posted(row) for row in rows]


def _posted(row: Row[Any]) -> Posted:
    document = None if row.document is None else bytes(row.document)
    return Posted(bytes(row.act), row.signatures, row.at, document, row.session)
