"""Where a log's published files lie: `log/{origin}/checkpoint` and `log/{origin}/tile/…`, on the local disk.

`LogFiles` is the seam another kind of storage stands behind. Whatever returns here is durable. Blocking: call from a
thread.
"""

import contextlib
from pathlib import Path
from typing import Protocol

from crypto.tlog_tiles import Tile
from policy.errors import LogEntryError
from policy.log_block import LogBlock
from storage import durable
from storage.errors import BlobMissing, LogEntryUnknown

CHECKPOINT = "checkpoint"
PARTIALS = ".p"


class LogFiles(Protocol):
    """What publisher and reader need of a storage. Every verb may raise StorageUnavailable."""

    def checkpoint(self, origin: str) -> bytes:
        """The log's newest checkpoint. Raises LogEntryUnknown."""

    def tile(self, origin: str, tile: Tile) -> bytes:
        """One tile or bundle, exactly this wide. Raises LogEntryUnknown."""

    def put(self, origin: str, tile: Tile, data: bytes) -> None:
        """Write a tile or bundle; the same bytes again are harmless. Raises BlobExists for other ones."""

    def commit(self, origin: str, data: bytes) -> None:
        """Put the newest checkpoint in the older one's place: the commit point of a publication."""

    def drop_partials(self, origin: str, tile: Tile) -> None:
        """Remove the narrower forms of a tile that is full by now; harmless when repeated."""


class LocalLogFiles:
    """Logs' files under `root`, the data folder; a copy of the logs lies in no `folder` of its own."""

    def __init__(self, root: Path, folder: str = "log") -> None:
        self._base = root
        self._root = root / folder

    def path(self, origin: str, name: str) -> Path:
        """Where a file lies, or would. Raises LogEntryUnknown for an origin that no log has."""
        try:
            return self._root / str(LogBlock.parse(origin)) / name
        except LogEntryError:
            raise LogEntryUnknown("no such log") from None

    def checkpoint(self, origin: str) -> bytes:
        """See LogFiles."""
        return self._read(origin, CHECKPOINT)

    def tile(self, origin: str, tile: Tile) -> bytes:
        """See LogFiles."""
        return self._read(origin, tile.path)

    def put(self, origin: str, tile: Tile, data: bytes) -> None:
        """See LogFiles."""
        durable.put(self.path(origin, tile.path), data, self._base)

    def commit(self, origin: str, data: bytes) -> None:
        """See LogFiles."""
        durable.put(self.path(origin, CHECKPOINT), data, self._base, replace=True)

    def drop_partials(self, origin: str, tile: Tile) -> None:
        """See LogFiles."""
        path = self.path(origin, tile.path)
        folder = path.with_name(path.name + PARTIALS)
        # Not durably: a power cut brings them back, and the next start drops them again.
        with durable.declared("remove partial tiles"), contextlib.suppress(FileNotFoundError):
            for partial in list(folder.iterdir()):
                partial.unlink()
            folder.rmdir()

    def _read(self, origin: str, name: str) -> bytes:
        try:
            return durable.read(self.path(origin, name))
        except BlobMissing:
            raise LogEntryUnknown("no such checkpoint or tile") from None
