"""Moves entries from their rows into bundles and tiles, then signs the checkpoint that covers them (C2SP tlog-tiles).

Bundles, then tiles bottom up, each durable before the next; then the checkpoint, by one rename: the commit point; then
the rows go, then narrower tiles. After a crash anywhere the same is done again with the same bytes.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count

from crypto.checkpoint import Checkpoint, open_checkpoint
from crypto.errors import CryptoError
from crypto.merkle import Frontier, leaf_hash
from crypto.ssh_key import SigningKey, VerifyKey
from crypto.tlog_tiles import HEIGHT, WIDTH, Tile, encode_bundle, encode_hashes, fold, tiles_of
from policy.errors import LogEntryError
from policy.log_block import MAX_RESTORES, LogBlock
from policy.log_entry import Act, Entry, Reveal, parse
from storage.database import Database
from storage.errors import BlobExists, LogBroken, LogClosed, LogEntryUnknown
from storage.log import wal
from storage.log.blocks import unknown_logs
from storage.log.files import LogFiles
from storage.log.tiles import PublishedTree
from storage.restored import Renewal, settle


class Publisher:
    """The one writer of the logs' files."""

    def __init__(self, database: Database, files: LogFiles, key: SigningKey) -> None:
        self._database = database
        self._files = files
        self._key = key
        self._turn = asyncio.Lock()
        self._swept: set[str] = set()

    async def publish_all(self) -> None:
        """Publish what waits in any log. Raises as `publish`, for the first that fails, once all were tried."""
        failed, standing = None, await self._database.read(wal.open_logs)
        for origin, size in (await self._database.read(wal.known_logs)).items():
            try:
                published = await asyncio.to_thread(self._published, origin)
                if origin not in standing and published is not None and published.size >= size:
                    continue  # nothing comes to it; another may have taken its place, with less than its files have
                await self.publish(origin)
            except LogBroken as error:
                failed = failed or error
        if failed is not None:
            raise failed

    async def renew_restored(self, site: str, at: datetime, *, told: bool = False, above: int = 0) -> list[str]:
        """Where an open log's files are ahead of its rows, an older database was put back: `restored.settle` it.

        The logs of this day and of the days after it begin anew too where they aren't known: they may have been begun
        after the older database was kept. `told`: somebody says that it is an older database; no log gets a number up
        to `above`. To be called before anything is appended; the origins of the fresh logs. Raises LogBroken,
        StorageUnavailable.
        """
        ahead = await self._ahead()
        origins = await self._database.read(wal.open_logs)
        if not told and not any(origin in ahead for origin in origins):
            return []
        unknown = await self._database.read(lambda connection: unknown_logs(connection, site, at.date()))
        renewals = []
        for origin in [*origins, *unknown]:
            passed = await asyncio.to_thread(self._passed, origin, above)
            start, entries = ahead.get(origin, (0, []))
            revealed = {one.e: start + i for i, one in enumerate(entries) if isinstance(one, Reveal)}
            renewals.append(
                Renewal(origin, max([above, LogBlock.parse(origin).restores, *passed]) + 1, passed, revealed)
            )
        return await self._database.write(lambda connection: settle(connection, renewals, at))

    async def acts_ahead(self) -> int:
        """The number of the newest act that a log's files have beyond its rows, which an older database lacks; else 0.

        Raises LogBroken, StorageUnavailable.
        """
        found = [one.seq for _, entries in (await self._ahead()).values() for one in entries if isinstance(one, Act)]
        return max(found, default=0)

    async def _ahead(self) -> dict[str, tuple[int, list[Entry]]]:
        """By origin: where a log's rows end and its files go on, and the entries from there."""
        found = {}
        for origin, size in (await self._database.read(wal.known_logs)).items():
            published = await asyncio.to_thread(self._published, origin)
            if published is not None and published.size > size:
                found[origin] = size, await asyncio.to_thread(self._entries, origin, size, published.size)
        return found

    def _entries(self, origin: str, start: int, end: int) -> list[Entry]:
        try:
            return [parse(leaf) for leaf in PublishedTree(self._files, origin, end).entries(start, end)]
        except (LogEntryError, LogEntryUnknown) as error:
            raise LogBroken(f"log's files can't be read beyond its rows: {error}") from None

    def _passed(self, origin: str, above: int) -> tuple[int, ...]:
        """The numbers from this log's own on under which something was published: the database may not know of them."""
        block, found = LogBlock.parse(origin), list[int]()
        for number in range(block.restores, MAX_RESTORES):
            if self._published(str(replace(block, restores=number))) is not None:
                found.append(number)
            elif number > max(above, block.restores):
                return tuple(found)
        raise LogBroken("log was restored too often")

    async def publish(self, origin: str) -> Checkpoint:
        """Publish every entry that is durable by now; the checkpoint that covers them.

        Raises LogClosed for an unknown log, StorageUnavailable, and LogBroken where files and rows contradict.
        """
        # A caller who is cancelled must not let the next publication in while a thread still writes for this one.
        return await asyncio.shield(asyncio.create_task(self._publish(origin)))

    async def _publish(self, origin: str) -> Checkpoint:
        async with self._turn:
            await self._sweep(origin)
            published = await asyncio.to_thread(self._published, origin)
            while True:
                start = 0 if published is None else published.size
                leaves = await self._waiting(origin, start)
                if published is not None and not leaves:
                    return published
                published = await asyncio.to_thread(self._extend, origin, published, leaves)
                await self._tidy(origin, start, published.size)

    async def _waiting(self, origin: str, start: int) -> list[bytes]:
        sizes, rows = await self._database.read(
            lambda connection: (
                wal.known_logs(connection),
                wal.waiting(connection, origin, start, start + wal.MAX_ROWS),
            )
        )
        if origin not in sizes:
            raise LogClosed("no such log")
        indices = [index for index, _ in rows]
        # INVARIANT: what has a place but is nowhere must never be signed over.
        if sizes[origin] < start or indices != list(range(start, min(sizes[origin], start + wal.MAX_ROWS))):
            raise LogBroken("log's rows don't follow its checkpoint: was an older database put back?")
        return [leaf for _, leaf in rows]

    def _published(self, origin: str) -> Checkpoint | None:
        return read_checkpoint(self._files, origin, self._key.verify_key)

    def _extend(self, origin: str, published: Checkpoint | None, leaves: Sequence[bytes]) -> Checkpoint:
        """Write the files of a longer tree, the checkpoint last."""
        size = 0 if published is None else published.size
        tree = PublishedTree(self._files, origin, size)
        try:
            frontier = Frontier.load(size, tree.node)
            if published is not None and frontier.root() != published.root:
                raise LogBroken("log's tiles don't hash to its checkpoint")
            hashes = [leaf_hash(leaf) for leaf in leaves]
            self._write_entries(tree, origin, leaves)
            self._write_hashes(tree, origin, hashes)
        except (LogEntryUnknown, BlobExists) as error:
            raise LogBroken(f"log's files don't fit its checkpoint: {error}") from None
        for leaf in hashes:
            frontier.append(leaf)
        longer = Checkpoint(origin, frontier.size, frontier.root())
        self._files.commit(origin, bytes(longer.signed(self._key)))
        return longer

    def _write_entries(self, tree: PublishedTree, origin: str, leaves: Sequence[bytes]) -> None:
        number, width = divmod(tree.size, WIDTH)
        older = tree.bundle(number) if width else []
        if older and [leaf_hash(leaf) for leaf in older] != tree.hashes(Tile(0, number, width)):
            raise LogBroken("log's entries don't hash to its tiles")
        for place, bundle in _chunks([*older, *leaves]):
            self._files.put(origin, Tile(None, number + place, len(bundle)), encode_bundle(bundle))

    def _write_hashes(self, tree: PublishedTree, origin: str, hashes: Sequence[bytes]) -> None:
        for level in count():
            if not hashes:
                return
            number, width = divmod(tree.size >> HEIGHT * level, WIDTH)
            older = tree.hashes(Tile(level, number, width)) if width else []
            tiles = list(_chunks([*older, *hashes]))
            for place, tile in tiles:
                self._files.put(origin, Tile(level, number + place, len(tile)), encode_hashes(tile))
            hashes = [fold(tile) for _, tile in tiles if len(tile) == WIDTH]

    async def _tidy(self, origin: str, start: int, size: int) -> None:
        await self._database.write(lambda connection: wal.drop(connection, origin, size))
        await asyncio.to_thread(self._drop_partials, origin, start, size)

    def _drop_partials(self, origin: str, start: int, size: int) -> None:
        # INVARIANT: only under a checkpoint of `size`; an older one still needs its partial tiles.
        for tile in tiles_of(size, start):
            if not tile.partial:
                self._files.drop_partials(origin, tile)

    async def _sweep(self, origin: str) -> None:
        """Once for each log and process: what a crash left behind its commit point."""
        if origin in self._swept:
            return
        published = await asyncio.to_thread(self._published, origin)
        if published is not None:
            await self._database.write(lambda connection: wal.drop(connection, origin, published.size))
            await asyncio.to_thread(self._drop_partials, origin, 0, published.size)
        self._swept.add(origin)


def read_checkpoint(files: LogFiles, origin: str, key: VerifyKey) -> Checkpoint | None:
    """The newest checkpoint, None before the first. Raises LogBroken for one that isn't ours."""
    try:
        return open_checkpoint(files.checkpoint(origin), origin, key)[0]
    except LogEntryUnknown:
        return None
    except CryptoError as error:
        raise LogBroken(f"log's checkpoint: {error}") from None


def _chunks(items: Sequence[bytes]) -> list[tuple[int, Sequence[bytes]]]:
    return [(start // WIDTH, items[start : start + WIDTH]) for start in range(0, len(items), WIDTH)]
