"""A log as files (C2SP tlog-tiles): the mirror that `sync` fills, or the gateway's own folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from crypto.errors import TileError
from crypto.merkle import HASH_BYTES
from crypto.signed_note import MAX_NOTE
from crypto.tlog_tiles import MAX_BUNDLE, Tile, fold, parse_bundle, parse_hashes, tile_for

_DEPTH: Final = 3
"""`<site>/fairtap/<block>`."""


class LogFolder:
    """Files of one log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last: tuple[Tile, list[bytes]] | None = None
        """The tile that `node` read last: the next leaf is most often in it."""

    def checkpoint(self) -> bytes | None:
        """The note, or None."""
        return read_file(self.path / "checkpoint", MAX_NOTE)

    def entries(self, tile: Tile) -> list[bytes] | None:
        """The entries of a bundle; None where there is no file. Raises TileError."""
        return self._first(tile, parse_bundle, MAX_BUNDLE)

    def hashes(self, tile: Tile) -> list[bytes] | None:
        """The hashes of a tile; None where there is no file. Raises TileError."""
        return self._first(tile, parse_hashes, tile.full.width * HASH_BYTES)

    def node(self, level: int, index: int, size: int) -> bytes:
        """The hash of a perfect subtree of the tree of `size`. Raises TileError where it can't be read."""
        tile, first, end = tile_for(level, index, size)
        if self._last is None or self._last[0] != tile:
            found = self.hashes(tile)
            if found is None:
                raise TileError("tile is missing")
            self._last = (tile, found)
        return fold(self._last[1][first:end])

    def _first(self, tile: Tile, parse: Callable[[bytes, int], list[bytes]], limit: int) -> list[bytes] | None:
        """As many places as asked for; a full tile stands for each of its partial ones."""
        data = read_file(self.path / tile.path, limit)
        if data is not None:
            return parse(data, tile.width)
        whole = read_file(self.path / tile.full.path, limit) if tile.partial else None
        return None if whole is None else parse(whole, tile.full.width)[: tile.width]


def logs_in(path: Path) -> list[Path]:
    """Folders under `path` that hold a log, in the order of their names; `path` itself where it is one."""
    if (path / "checkpoint").exists() or (path / "tile").exists():
        return [path]
    found: set[Path] = set()
    for depth in range(1, _DEPTH + 1):
        for name in ("checkpoint", "tile"):
            found |= {one.parent for one in path.glob("*/" * depth + name)}
    return sorted(found)


def read_file(path: Path, limit: int) -> bytes | None:
    """What an ordinary file holds, as far as one byte over `limit`; None where there is none that can be read."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            return stream.read(limit + 1)
    except OSError:
        return None
