"""A published log read through its tiles: the hashes of its subtrees and its entries, at any published size."""

from collections.abc import Callable
from functools import lru_cache

from crypto.errors import TileError
from crypto.tlog_tiles import WIDTH, Tile, fold, parse_bundle, parse_hashes, tile_for
from storage.errors import LogBroken, LogEntryUnknown
from storage.log.files import LogFiles

CACHED: int = 64


class PublishedTree:
    """The tree of one log at one size. Blocking; every verb may raise LogBroken, LogEntryUnknown."""

    def __init__(self, files: LogFiles, origin: str, size: int) -> None:
        self._files = files
        self._origin = origin
        self.size = size
        self._hashes = lru_cache(CACHED)(lambda tile: self._parsed(tile, parse_hashes))

    def node(self, level: int, index: int) -> bytes:
        """The hash of a perfect subtree (`crypto.merkle.ReadNode`)."""
        try:
            tile, first, end = tile_for(level, index, self.size)
        except TileError as error:
            raise LogEntryUnknown(str(error)) from None
        return fold(self._hashes(tile)[first:end])

    def hashes(self, tile: Tile) -> list[bytes]:
        """The hashes of one tile."""
        return list(self._hashes(tile))

    def bundle(self, index: int) -> list[bytes]:
        """The entries of one bundle."""
        width = min(WIDTH, self.size - index * WIDTH)
        if width < 1:
            raise LogEntryUnknown("no such entries in this log")
        return self._parsed(Tile(None, index, width), parse_bundle)

    def entries(self, start: int, end: int) -> list[bytes]:
        """The entries from `start` to before `end`."""
        found: list[bytes] = []
        for index in range(start // WIDTH, -(-end // WIDTH)):
            found += self.bundle(index)
        before = start - start // WIDTH * WIDTH
        return found[before : before + end - start]

    def _parsed(self, tile: Tile, parse: Callable[[bytes, int], list[bytes]]) -> list[bytes]:
        try:
            try:
                return parse(self._files.tile(self._origin, tile), tile.width)
            except LogEntryUnknown:
                if not tile.partial:
                    raise
            # Dropped meanwhile, since the full one stands.
            return parse(self._files.tile(self._origin, tile.full), WIDTH)[: tile.width]
        except TileError as error:
            raise LogBroken(f"log's file `{tile.path}`: {error}") from None
