"""Anchored keys of the parties and the chain of signed acts (agreement.md §3).

An act names its predecessor (`prev`, `seq`); anything that doesn't follow the act in force is stale. Signatures are
verified by the caller before an act is put here, and again, by the verifier it passes in, each time one is loaded.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select

from crypto import jcs
from crypto.errors import JcsError
from storage.database import Database
from storage.errors import ActError, AnchorsSet, StaleAct
from storage.tables import acts, anchors

AGREEMENT: Final = "agreement"
"""Type of the act that puts an agreement into force."""
MAX_DOCUMENT: Final = 256 * 1024
_FIELDS: Final = {"v", "type", "agreement", "seq", "prev", "body"}


@dataclass(frozen=True, slots=True)
class Anchor:
    """A party's public keys as their owner handed them over."""

    role: str
    """`employer`, `council` (or `council2`, `council3`), `dpo`."""
    key: str
    """`ssh-ed25519 …` line."""
    recipient: str | None = None
    """`age1…` of council and DPO."""
    seq: int = 1
    prev: str | None = None
    """Fingerprint of the key it replaced."""


@dataclass(frozen=True, slots=True)
class Act:
    """One signed act of the chain."""

    seq: int
    type: str
    agreement: str
    """What the act itself says under `agreement`."""
    digest: str
    """SHA-256 (hex) of the act's bytes: the next act's `prev`."""
    act: bytes = field(repr=False)
    """Canonical JSON, as signed."""
    signatures: Mapping[str, str] = field(repr=False)
    """Anchor role to armoured SSHSIG."""
    document: bytes | None = field(repr=False)
    """The agreement's YAML, where the act carries one."""
    at: datetime


Verifier = Callable[[Act, list[Anchor]], None]
"""Raises, whatever it likes, unless the act's signatures hold under these anchors."""


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
                connection.execute(
                    insert(anchors).values(
                        role=anchor.role,
                        seq=anchor.seq,
                        key=anchor.key,
                        rkey=anchor.recipient,
                        prev=anchor.prev,
                        at=at,
                    )
                )

        await self._database.write(work)

    async def anchors(self) -> list[Anchor]:
        """The anchors in force, one for each role, in the order of roles."""
        query = select(anchors).order_by(anchors.c.role, anchors.c.seq)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        newest = {row.role: Anchor(row.role, row.key, row.rkey, row.seq, row.prev) for row in rows}
        return list(newest.values())

    async def head(self) -> tuple[int, str | None]:
        """`seq` and `prev` that the next act must carry; (1, None) for the first."""
        return await self._database.read(_next)

    async def activate(self, *, document: bytes, act: bytes, signatures: Mapping[str, str], at: datetime) -> Act:
        """Put an agreement into force by its act; the caller verified the signatures. Raises ActError, StaleAct."""
        if len(document) > MAX_DOCUMENT:
            raise ActError(f"agreement is longer than {MAX_DOCUMENT} bytes")
        new = read_act(act, signatures, document, at)
        if new.type != AGREEMENT:
            raise ActError(f"act isn't of type `{AGREEMENT}`")
        await self._database.write(lambda connection: _append(connection, new))
        return new

    async def in_force(self, verify: Verifier) -> Act | None:
        """The last act that put an agreement into force, after `verify` accepted it; what that raises goes through."""
        query = select(acts).where(acts.c.type == AGREEMENT).order_by(acts.c.seq.desc()).limit(1)
        row = await self._database.read(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            return None
        found = _act(row)
        verify(found, await self.anchors())
        return found

    async def history(self) -> list[Act]:
        """Every act, oldest first."""
        rows = await self._database.read(lambda connection: connection.execute(select(acts).order_by(acts.c.seq)).all())
        return [_act(row) for row in rows]


def read_act(act: bytes, signatures: Mapping[str, str], document: bytes | None, at: datetime) -> Act:
    """The act behind canonical JSON bytes `{v,type,agreement,seq,prev,body}`. Raises ActError."""
    try:
        parsed = jcs.parse(act)
    except JcsError as error:
        raise ActError(f"act: {error}") from None
    if not isinstance(parsed, dict) or set(parsed) != _FIELDS or parsed["v"] != 1 or parsed["v"] is True:
        raise ActError("act isn't `{v,type,agreement,seq,prev,body}` of version 1")
    kind, agreement, seq = parsed["type"], parsed["agreement"], parsed["seq"]
    if not isinstance(kind, str) or not isinstance(agreement, str) or type(seq) is not int:
        raise ActError("act's `type`, `agreement` or `seq` is of another kind")
    return Act(seq, kind, agreement, hashlib.sha256(act).hexdigest(), act, dict(signatures), document, at)


def _append(connection: Connection, new: Act) -> None:
    prev: Any = jcs.parse(new.act)
    if (new.seq, prev["prev"]) != _next(connection):
        raise StaleAct("act doesn't follow the act in force")
    connection.execute(
        insert(acts).values(
            seq=new.seq,
            type=new.type,
            agreement=new.agreement,
            digest=new.digest,
            act=new.act,
            signatures=dict(new.signatures),
            document=new.document,
            at=new.at,
        )
    )


def _next(connection: Connection) -> tuple[int, str | None]:
    last = connection.execute(select(acts.c.seq, acts.c.digest).order_by(acts.c.seq.desc()).limit(1)).first()
    return (1, None) if last is None else (last.seq + 1, last.digest)


def _act(row: Row[Any]) -> Act:
    document = None if row.document is None else bytes(row.document)
    return Act(row.seq, row.type, row.agreement, row.digest, bytes(row.act), row.signatures, document, row.at)
