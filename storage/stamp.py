"""A number that grows in the database and, after it, in a file of the vault: an older database is behind the file.

The log shows only what it has entries for; this shows any database that is some minutes old, also one that was put back
together with the log's files, as long as the vault stayed where it was.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, insert, select, update

from policy.log_block import LogBlock
from storage import durable
from storage.database import Database
from storage.errors import BlobMissing
from storage.tables import stamps

_DIGITS: Final = 18


class Stamp:
    """The one of a data folder."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = root
        self._path = root / "vault" / "stamp"
        self._restores = root / "vault" / "restores"

    async def behind(self) -> bool:
        """Whether the database is older than the file. Raises StorageUnavailable."""
        return await self._database.read(_number) < await asyncio.to_thread(_read, self._path)

    async def grow(self) -> None:
        """One more, in both; over the file's where the database was behind. Raises StorageUnavailable."""
        beside = await asyncio.to_thread(_read, self._path)
        number = await self._database.write(lambda connection: _grow(connection, beside))
        await asyncio.to_thread(durable.put, self._path, b"%d\n" % number, self._root, replace=True)

    async def restores(self) -> int:
        """The highest number that a log was begun with after a restore; 0: none was. Raises StorageUnavailable."""
        return await asyncio.to_thread(_read, self._restores)

    async def note_logs(self, origins: Sequence[str]) -> None:
        """Keep the highest number of these logs, so that none is given twice. Raises StorageUnavailable."""
        number = max([await self.restores(), *(LogBlock.parse(origin).restores for origin in origins)])
        await asyncio.to_thread(durable.put, self._restores, b"%d\n" % number, self._root, replace=True)


def _read(path: Path) -> int:
    try:
        text = durable.read(path)[: _DIGITS + 1].strip()
    except BlobMissing:
        return 0
    return int(text) if text.isdigit() and len(text) <= _DIGITS else 0


def _number(connection: Connection) -> int:
    return connection.execute(select(stamps.c.number)).scalar_one_or_none() or 0


def _grow(connection: Connection, beside: int) -> int:
    number = max(_number(connection), beside) + 1
    if not connection.execute(update(stamps).values(number=number)).rowcount:
        connection.execute(insert(stamps).values(id=1, number=number))
    return number
