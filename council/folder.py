"""A log as files (C2SP tlog-tiles): the mirror that `sync` fills, or the gateway's own folder."""

from pathlib import Path
from typing import Final

from crypto.signed_note import MAX_NOTE
from crypto.tile_reader import TileReader
from crypto.tlog_tiles import MAX_BUNDLE, Tile

INCOMING: Final = ".incoming"
"""Ends the name of a folder beside a copy: what `sync` is fetching, or was when it was broken off."""
_DEPTH: Final = 3
"""`<site>/fairtap/<block>`."""


class LogFolder:
    """Files of one log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tiles = TileReader(self.read)

    def checkpoint(self) -> bytes | None:
        """The note, or None."""
        return read_file(self.path / "checkpoint", MAX_NOTE)

    def read(self, tile: Tile) -> bytes | None:
        """The bytes of a tile or bundle, or None."""
        return read_file(self.path / tile.path, MAX_BUNDLE)


def logs_in(path: Path) -> list[Path]:
    """Folders under `path` that hold a log, in the order of their names; `path` itself where it is one."""
    if (path / "checkpoint").exists() or (path / "tile").exists():
        return [path]
    found: set[Path] = set()
    for depth in range(1, _DEPTH + 1):
        for name in ("checkpoint", "tile"):
            found |= {one.parent for one in path.glob("*/" * depth + name)}
    return sorted(one for one in found if not one.name.endswith(INCOMING))


def read_file(path: Path, limit: int) -> bytes | None:
    """What an ordinary file holds, as far as one byte over `limit`; None where there is none that can be read."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            return stream.read(limit + 1)
    except OSError:
        return None


def printable(value: object) -> str:
    """As text for a terminal: a file's name may be from whoever handed its folder over."""
    return "".join(char if char.isprintable() else "?" for char in str(value))
