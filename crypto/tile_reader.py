"""Reads a log through its tiles (C2SP tlog-tiles), wherever they lie: entries, hashes, the hash of any subtree."""

from collections.abc import Callable

from crypto.errors import TileError
from crypto.tlog_tiles import Tile, fold, parse_bundle, parse_hashes, tile_for

ReadTile = Callable[[Tile], bytes | None]
"""The bytes of exactly this tile; None where it isn't."""


class TileReader:
    """One log. A partial tile is read from the full one where the log has grown since."""

    def __init__(self, read: ReadTile) -> None:
        self._read = read
        self._last: tuple[Tile, list[bytes]] | None = None
        """The tile that `node` read last: the next leaf is most often in it."""

    def entries(self, tile: Tile) -> list[bytes]:
        """The entries of a bundle. Raises TileError."""
        return self._first(tile, parse_bundle)

    def hashes(self, tile: Tile) -> list[bytes]:
        """The hashes of a tile. Raises TileError."""
        return self._first(tile, parse_hashes)

    def node(self, level: int, index: int, size: int) -> bytes:
        """The hash of a perfect subtree of the tree of `size`. Raises TileError."""
        tile, first, end = tile_for(level, index, size)
        if self._last is None or self._last[0] != tile:
            self._last = (tile, self.hashes(tile))
        return fold(self._last[1][first:end])

    def _first(self, tile: Tile, parse: Callable[[bytes, int], list[bytes]]) -> list[bytes]:
        data = self._read(tile)
        if data is not None:
            return parse(data, tile.width)
        whole = self._read(tile.full) if tile.partial else None
        if whole is None:
            raise TileError("tile is missing")
        return parse(whole, tile.full.width)[: tile.width]
