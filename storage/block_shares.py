"""Each agent's hits and kept ones in a block of the log that isn't over, sealed: no row says who keeps less.

Neither recordings nor pseudonyms last for a block, so shares are added up from epoch to epoch. A sum without names
would name somebody all the same: two copies of the database have an epoch's part between them, hits are public, and
where whoever refuses had no hit, the part is whole. So each log has one age file, as long as there are agents with
hits. Its key lies in `vault/shares/`, outside the database and every backup; each closing makes another one and
destroys the last, so that what opens today's file opens no earlier one. Only what a block's end tells is ever told.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from crypto.age import decrypt, encrypt
from crypto.errors import AgeError
from crypto.x25519 import Identity
from policy.kept import Share
from policy.log_block import LogBlock
from storage import durable
from storage.blobs import files_of
from storage.database import Database
from storage.errors import StorageUnavailable
from storage.log.wal import AFTER, open_logs
from storage.tables import block_shares

BYTES_OF_AN_AGENT: Final = 64
"""An id and two numbers of up to ten digits; what is over is filled up, since a number's length would tell."""
_NO_KEY: Final = ""
"""The key of a block of which nothing more is told: its end was, or what was before is lost."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys by name: those that are there, and a fresh one."""

    keys: Mapping[str, Identity]
    fresh: str


class BlockShares:
    """The shares of a site, and their keys under `root` (the data folder)."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._base = root
        self._folder = root / "vault" / "shares"
        self._alone = asyncio.Lock()
        """A key is there before the row that names it."""

    async def under_fresh_key(self, work: Callable[[Connection, Keyring], bool]) -> bool:
        """Do a work that seals shares anew, then destroy what opened those before. Raises StorageUnavailable."""
        async with self._alone:
            ring = await asyncio.to_thread(self._ring)
            done, in_use = await self._database.write(
                lambda connection: (work(connection, ring), _keys_in_use(connection))
            )
            with contextlib.suppress(StorageUnavailable):  # the work is durable; `forget_due` tries again
                await asyncio.to_thread(self._keep, in_use)
        return done

    async def forget_due(self, at: datetime) -> None:
        """Keep nothing of logs that are over or that another has taken the place of, whether their end was told or not.

        Keys that nothing needs, left by a crash, go as well. Raises StorageUnavailable.
        """

        def work(connection: Connection) -> frozenset[str]:
            standing = {one for one in open_logs(connection) if at.date() < LogBlock.parse(one).days[1] + AFTER}
            connection.execute(delete(block_shares).where(block_shares.c.origin.not_in(standing)))
            return _keys_in_use(connection)

        async with self._alone:
            await asyncio.to_thread(self._keep, await self._database.write(work))

    def _ring(self) -> Keyring:
        fresh = token_hex(16)
        durable.put(self._folder / fresh, Identity.generate().secret_text().encode(), self._base)
        found = {}
        for path in files_of(self._folder):
            with contextlib.suppress(AgeError, UnicodeDecodeError):  # as one that is lost
                found[path.name] = Identity.parse(durable.read(path).decode("ascii"))
        return Keyring(found, fresh)

    def _keep(self, names: Collection[str]) -> None:
        for path in files_of(self._folder):
            if path.name not in names:
                durable.erase(path, overwrite=True)


def add_up(
    connection: Connection, origin: str, found: Mapping[str, Share], ring: Keyring
) -> Mapping[str, Share] | None:
    """What agents (ids) have in this log so far with what they were found to have now; sealed to the fresh key.

    None: what was before can't be opened any more, or the block's end was told. Then nothing is ever told of the rest.
    """
    row = connection.execute(select(block_shares).where(block_shares.c.origin == origin)).one_or_none()
    earlier = {} if row is None else _opened(bytes(row.sealed), ring.keys.get(row.key))
    if earlier is None:
        return None
    total = {agent: _sum(earlier.get(agent), found.get(agent)) for agent in sorted({*earlier, *found})}
    told = json.dumps({agent: [share.hits, share.kept] for agent, share in total.items()}, separators=(",", ":"))
    plain = told.encode().ljust(BYTES_OF_AN_AGENT * (len(total) + 1))
    _put(connection, origin, ring.fresh, encrypt(plain, [ring.keys[ring.fresh].recipient]))
    return total


def end(connection: Connection, origin: str) -> None:
    """Keep nothing of a block whose end is told."""
    _put(connection, origin, _NO_KEY, b"")


def _keys_in_use(connection: Connection) -> frozenset[str]:
    """Names of the keys that open what is kept."""
    return frozenset(connection.execute(select(block_shares.c.key)).scalars())


def _opened(sealed: bytes, key: Identity | None) -> dict[str, Share] | None:
    if key is None:
        return None
    try:
        return {agent: Share(*share) for agent, share in json.loads(decrypt(sealed, [key])).items()}
    except AgeError:
        return None


def _sum(one: Share | None, other: Share | None) -> Share:
    found = [share for share in (one, other) if share is not None]
    return Share(sum(share.hits for share in found), sum(share.kept for share in found))


def _put(connection: Connection, origin: str, key: str, sealed: bytes) -> None:
    connection.execute(delete(block_shares).where(block_shares.c.origin == origin))
    connection.execute(insert(block_shares).values(origin=origin, key=key, sealed=sealed))
