"""Reads a log, published or not: entries by index, the checkpoint, proofs for an entry and between two sizes."""

import asyncio

from crypto.checkpoint import open_checkpoint
from crypto.errors import CryptoError, MerkleError
from crypto.merkle import consistency_proof, inclusion_proof
from crypto.ssh_key import VerifyKey
from crypto.tlog_proof import TlogProof
from storage.database import Database
from storage.errors import LogBroken, LogEntryUnknown
from storage.log import wal
from storage.log.files import LogFiles
from storage.log.tiles import PublishedTree

MAX_ENTRIES = 4096
"""What one question may ask for."""


class LogReader:
    """For every process that may look at the data folder; needs no writer."""

    def __init__(self, database: Database, files: LogFiles, key: VerifyKey) -> None:
        self._database = database
        self._files = files
        self._key = key

    async def sizes(self) -> dict[str, int]:
        """How many entries each log has, published or not; oldest log first."""
        return await self._database.read(wal.known_logs)

    async def checkpoint(self, origin: str) -> bytes:
        """The newest checkpoint, as signed. Raises LogEntryUnknown before the first."""
        return await asyncio.to_thread(self._files.checkpoint, origin)

    async def entries(self, origin: str, start: int, end: int) -> list[bytes]:
        """The leaves from `start` to before `end`, at most MAX_ENTRIES. Raises LogEntryUnknown unless all are there."""
        if not 0 <= start <= end <= start + MAX_ENTRIES:
            raise LogEntryUnknown("no such range of entries")
        # Rows first: whatever is no longer one of them by now is published.
        rows = await self._database.read(lambda connection: wal.waiting(connection, origin, start, end))
        published = rows[0][0] if rows else end
        found: list[bytes] = []
        if start < published:
            found = await asyncio.to_thread(self._published, origin, start, published)
        found += [leaf for _, leaf in rows]
        if len(found) != end - start:
            raise LogEntryUnknown("no such entries in this log")
        return found

    async def proof(self, origin: str, index: int, note: bytes | None = None) -> TlogProof:
        """That the entry is under a checkpoint: the newest one, or the older (perhaps cosigned) one in `note`.

        Raises LogEntryUnknown where the checkpoint doesn't cover it, LogBroken.
        """
        return await asyncio.to_thread(self._proof, origin, index, note)

    async def consistency(self, origin: str, old: int, new: int) -> list[bytes]:
        """The proof between two published sizes. Raises LogEntryUnknown, LogBroken."""
        return await asyncio.to_thread(self._consistency, origin, old, new)

    def _size(self, origin: str, note: bytes) -> int:
        try:
            return open_checkpoint(note, origin, self._key)[0].size
        except CryptoError as error:
            raise LogBroken(f"log's checkpoint: {error}") from None

    def _published(self, origin: str, start: int, end: int) -> list[bytes]:
        size = self._size(origin, self._files.checkpoint(origin))
        if end > size:
            raise LogEntryUnknown("no such entries in this log")
        return PublishedTree(self._files, origin, size).entries(start, end)

    def _proof(self, origin: str, index: int, note: bytes | None) -> TlogProof:
        signed = self._files.checkpoint(origin) if note is None else note
        size = self._size(origin, signed)
        try:
            hashes = inclusion_proof(index, size, PublishedTree(self._files, origin, size).node)
        except MerkleError as error:
            raise LogEntryUnknown(str(error)) from None
        return TlogProof(index, tuple(hashes), signed)

    def _consistency(self, origin: str, old: int, new: int) -> list[bytes]:
        try:
            return consistency_proof(old, new, PublishedTree(self._files, origin, new).node)
        except MerkleError as error:
            raise LogEntryUnknown(str(error)) from None
