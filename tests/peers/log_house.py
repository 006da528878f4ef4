"""One site's log over an open data folder: writer, reader, and a way to let it grow fast."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, insert, update

from policy.log_entry import Day, Entry, encode
from storage import gateway_key
from storage.database import Database
from storage.log import wal
from storage.log.files import LocalLogFiles
from storage.log.publish import Publisher
from storage.log.reader import MAX_ENTRIES, LogReader
from storage.tables import log_wal, logs
from tests.peers.log_check import whole_log
from tests.peers.stored import EPOCH, ORIGIN, Folder


class LogHouse:
    """The log `ORIGIN` of a folder, which `open_folder` has opened."""

    def __init__(self, folder: Folder) -> None:
        self.database, self.root, self.key = folder.database, folder.root, folder.key
        self.files = LocalLogFiles(folder.root)
        self.publisher = Publisher(folder.database, self.files, folder.key)
        self.reader = LogReader(folder.database, self.files, folder.key.verify_key)

    @property
    def folder(self) -> Path:
        """Where the published files lie."""
        return self.root / "log" / ORIGIN

    async def grow(self, to: int, leaves: Sequence[bytes] = ()) -> None:
        """Entries (days, or these) up to this index, put in at once, past the one-by-one verb."""
        await self.database.write(lambda connection: _grow(connection, to, leaves))

    async def append(self, entry: Entry) -> int:
        """One entry, as the product appends it."""
        return await self.database.write(lambda connection: wal.append(connection, ORIGIN, entry))

    def whole(self) -> list[bytes]:
        """Everything that is published, checked."""
        return whole_log(self.folder, ORIGIN, self.key.verify_key)


def _grow(connection: Connection, to: int, leaves: Sequence[bytes]) -> None:
    size = wal.known_logs(connection)[ORIGIN]
    rows = [
        {"origin": ORIGIN, "idx": i, "leaf": leaves[i] if leaves else encode(Day(EPOCH, i))} for i in range(size, to)
    ]
    if rows:
        connection.execute(insert(log_wal), rows)
        connection.execute(update(logs).where(logs.c.origin == ORIGIN).values(size=to))


async def every_leaf(root: Path) -> list[bytes]:
    """What all logs of a data folder hold, published or not; another process may write it meanwhile."""
    database = await Database.open(f"sqlite:///{root}/fairtap.db", read_only=True)
    reader = LogReader(database, LocalLogFiles(root), gateway_key.load(root).verify_key)
    found: list[bytes] = []
    for origin, size in (await reader.sizes()).items():
        for start in range(0, size, MAX_ENTRIES):
            found += await reader.entries(origin, start, min(size, start + MAX_ENTRIES))
    await database.close()
    return found
