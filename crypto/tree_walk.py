"""Walks a whole log through its tiles: its entries in order, and every place where tiles, roots and entries contradict.

Streams: one bundle at a time, each tile of hashes compared once with what its entries give.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from crypto.checkpoint import Checkpoint
from crypto.cosignature import check_cosignature, cosigner
from crypto.errors import NoteError, TileError
from crypto.merkle import Frontier, leaf_hash
from crypto.signed_note import NoteSignature
from crypto.ssh_key import VerifyKey
from crypto.tile_reader import TileReader
from crypto.tlog_tiles import HEIGHT, MAX_LEVEL, WIDTH, Tile, fold


class Fault(Enum):
    """What can be wrong with a tree."""

    BUNDLE = "bundle"
    """Entries are missing or can't be read: the walk ends here."""
    TILE = "tile"
    """A tile of hashes is missing, or isn't what its entries give."""
    ROOT = "root"
    """The entries don't hash to the checkpoint."""
    FORKED = "forked"
    """A checkpoint seen before has another root at its size."""
    ROLLED_BACK = "rolled back"
    """A checkpoint seen before is longer."""


@dataclass(frozen=True, slots=True)
class TreeFault:
    """One fault."""

    fault: Fault
    place: str
    """`checkpoint`, `checkpoint SIZE`, `entry INDEX`, or a tile's path."""
    size: int
    """Of the checkpoint that is spoken of."""
    seen: int = 0
    """Of the longer one that was seen before."""


class TreeWalk:
    """The log under one checkpoint, compared with others that were `seen` before; `tell` hears each fault."""

    def __init__(
        self,
        reader: TileReader,
        checkpoint: Checkpoint,
        seen: Iterable[Checkpoint],
        tell: Callable[[TreeFault], None],
    ) -> None:
        self._reader = reader
        self._checkpoint = checkpoint
        self._tell = tell
        self._frontier = Frontier()
        self._above: list[list[bytes]] = [[] for _ in range(MAX_LEVEL + 2)]
        """By level of tiles: hashes that are still to be compared with a tile."""
        self._seen: dict[int, set[bytes]] = {}
        for one in seen:
            self._seen.setdefault(one.size, set()).add(one.root)

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Every entry that can be read, with its index."""
        size = self._checkpoint.size
        self._compare_seen()
        for number in range(-(-size // WIDTH)):
            bundle = Tile(None, number, min(WIDTH, size - number * WIDTH))
            try:
                found = self._reader.entries(bundle)
            except TileError:
                self._say(Fault.BUNDLE, bundle.path)
                break
            leaves = [leaf_hash(entry) for entry in found]
            for leaf in leaves:
                self._frontier.append(leaf)
                self._compare_seen()
            self._compare(0, number, leaves)
            yield from enumerate(found, number * WIDTH)
        else:
            self._finish()
        for longer in sorted(one for one in self._seen if one > size):
            self._tell(TreeFault(Fault.ROLLED_BACK, "checkpoint", size, longer))

    def _finish(self) -> None:
        """The upper tiles that are not full, and the root."""
        for level, rest in enumerate(self._above):
            if rest:
                self._compare(level, self._checkpoint.size >> HEIGHT * (level + 1), rest)
        if self._frontier.root() != self._checkpoint.root:
            self._say(Fault.ROOT, "checkpoint")

    def _compare_seen(self) -> None:
        size = self._frontier.size
        if size in self._seen and self._seen[size] != {self._frontier.root()}:
            self._tell(TreeFault(Fault.FORKED, f"checkpoint {size}", size))

    def _compare(self, level: int, number: int, wanted: list[bytes]) -> None:
        """One tile against what it must hold; a full one hands its hash up."""
        tile = Tile(level, number, len(wanted))
        try:
            found = self._reader.hashes(tile)
        except TileError:
            self._say(Fault.TILE, tile.path)
        else:
            wrong = next((place for place in range(len(wanted)) if found[place] != wanted[place]), None)
            if wrong is not None:
                self._say(Fault.TILE, tile.path if level else f"entry {number * WIDTH + wrong}")
        if len(wanted) == WIDTH and level < MAX_LEVEL:
            upper = self._above[level + 1]
            upper.append(fold(wanted))
            if len(upper) == WIDTH:
                self._above[level + 1] = []
                self._compare(level + 1, number // WIDTH, upper)

    def _say(self, fault: Fault, place: str) -> None:
        self._tell(TreeFault(fault, place, self._checkpoint.size))


def cosigned_size(
    reader: TileReader, origin: str, line: str, keys: Sequence[VerifyKey], sizes: Iterable[int], size: int
) -> tuple[int, int] | None:
    """Size and time of the checkpoint that a cosignature line of one of `keys` belongs to: the line doesn't name it.

    `sizes` are tried, of the tree of `size`. Raises NoteError for what is no line, TileError.
    """
    said = NoteSignature.parse(line)
    witnesses = [one for key in keys if said.by(one := cosigner(said.name, key))]
    frontier = Frontier()
    for tried in sizes if witnesses else ():
        if tried == frontier.size + 1:
            frontier.append(reader.node(0, frontier.size, size))
        else:
            frontier = Frontier.load(tried, lambda level, index: reader.node(level, index, size))
        text = str(Checkpoint(origin, frontier.size, frontier.root()))
        for witness in witnesses:
            with contextlib.suppress(NoteError):
                return tried, check_cosignature(text, said, witness)
    return None
