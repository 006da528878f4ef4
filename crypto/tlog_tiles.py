"""Tiles (C2SP tlog-tiles): where a log's hashes and entries lie, and how they are written there.

A tile holds 256 hashes of one level (every eighth of the tree's), the rightmost one fewer; entries lie in bundles of
the same width. This says what must be where; reading and writing is the storage's.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from crypto.errors import TileError
from crypto.merkle import HASH_BYTES, MAX_SIZE, node_hash

WIDTH: Final = 256
HEIGHT: Final = 8
"""Levels of the tree in one tile."""
MAX_ENTRY: Final = 0xFFFF
MAX_BUNDLE: Final = WIDTH * (MAX_ENTRY + 2)
MAX_LEVEL: Final = 6
"""256^7 leaves are more than a tree may have."""
_PATH: Final = re.compile(r"tile/(entries|[0-6])/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Tile:
    """One resource of a log. Raises TileError for a place that no tree has."""

    level: int | None
    """0 for leaf hashes and so on; None for the entries themselves."""
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if not 0 <= (self.level or 0) <= MAX_LEVEL or not 1 <= self.width <= WIDTH:
            raise TileError("tile's level or width is out of range")
        if not 0 <= self.index <= MAX_SIZE // WIDTH:
            raise TileError("tile's index is out of range")

    @classmethod
    def parse(cls, path: str) -> Self:
        """Read `tile/<level or entries>/<index>[.p/<width>]`. Raises TileError for any other spelling."""
        match = _PATH.fullmatch(path)
        if match is None:
            raise TileError("not a tile's path")
        level = None if match[1] == "entries" else int(match[1])
        tile = cls(level, int(match[2].replace("/", "").replace("x", "")), int(match[3] or WIDTH))
        if tile.path != path:
            raise TileError("tile's path isn't in its one form")
        return tile

    @property
    def full(self) -> Self:
        """The same tile with all its 256 places."""
        return type(self)(self.level, self.index)

    @property
    def partial(self) -> bool:
        """Whether places are free."""
        return self.width < WIDTH

    @property
    def path(self) -> str:
        """Relative to the log, with `/`."""
        digits = str(self.index)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        level = "entries" if self.level is None else str(self.level)
        return f"tile/{level}/{number}" + (f".p/{self.width}" if self.partial else "")


def tiles_of(size: int, since: int = 0) -> Iterator[Tile]:
    """What a tree of `size` leaves has to have and one of `since` lacked: bundles, then levels bottom up."""
    if not 0 <= since <= size <= MAX_SIZE:
        raise TileError("a tree doesn't shrink")
    for level in (None, *range(MAX_LEVEL + 1)):
        shift = HEIGHT * (level or 0)
        before, now = since >> shift, size >> shift
        if before == now:
            continue
        for index in range(before // WIDTH, -(-now // WIDTH)):
            yield Tile(level, index, min(WIDTH, now - index * WIDTH))


def tile_for(level: int, index: int, size: int) -> tuple[Tile, int, int]:
    """Where the perfect subtree `index` of `level` is read in a tree of `size`: tile, first place, end.

    Its hash is `fold` of these places. Raises TileError where the tree doesn't have it.
    """
    tile_level, rest = divmod(level, HEIGHT)
    first = index << rest
    there = size >> HEIGHT * tile_level
    end = first + (1 << rest)
    if index < 0 or level < 0 or end > there:
        raise TileError("no such subtree in this tree")
    number = first // WIDTH
    tile = Tile(tile_level, number, min(WIDTH, there - number * WIDTH))
    return tile, first - number * WIDTH, end - number * WIDTH


def fold(hashes: Sequence[bytes]) -> bytes:
    """The hash of a perfect subtree over 1, 2, 4, … hashes."""
    while len(hashes) > 1:
        hashes = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]


def encode_hashes(hashes: Sequence[bytes]) -> bytes:
    """A tile's content."""
    return b"".join(hashes)


def parse_hashes(data: bytes, width: int) -> list[bytes]:
    """Exactly `width` hashes. Raises TileError."""
    if len(data) != width * HASH_BYTES:
        raise TileError("tile doesn't have as many hashes as its path says")
    return [data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Entries, each after its length in two bytes. Raises TileError for one over 65535 bytes."""
    if any(len(entry) > MAX_ENTRY for entry in entries):
        raise TileError("entry is longer than 65535 bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def parse_bundle(data: bytes, width: int) -> list[bytes]:
    """Exactly `width` entries and nothing after them. Raises TileError."""
    entries, at = [], 0
    for _ in range(width):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise TileError("bundle is cut")
        entries.append(data[at + 2 : end])
        at = end
    if at != len(data):
        raise TileError("bundle is followed by something else")
    return entries
