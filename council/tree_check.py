"""V1 and V2: the checkpoint's signature and consistency with those kept before, and the root rebuilt from the entries.

Streams: one bundle at a time, each tile of hashes compared once with what its entries give.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from council.finding import Code, Findings
from council.folder import LogFolder
from crypto.checkpoint import Checkpoint, open_checkpoint
from crypto.cosignature import check_cosignature, cosigner
from crypto.errors import CryptoError, NoteError, TileError
from crypto.merkle import Frontier, leaf_hash
from crypto.signed_note import NoteSignature, SignedNote
from crypto.ssh_key import VerifyKey
from crypto.tlog_tiles import HEIGHT, MAX_LEVEL, WIDTH, Tile, fold


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint that the council saw and kept."""

    checkpoint: Checkpoint
    at: int | None
    """When the council cosigned it (POSIX seconds); None: seen only."""


def read_checkpoint(
    data: bytes | None, origin: str, key: VerifyKey, council: Sequence[VerifyKey], findings: Findings
) -> Checkpoint | None:
    """The log's checkpoint, if `key` signed it (V1). A line that says it is a council key's must be."""
    if data is None:
        findings.add(Code.CHECKPOINT_UNREADABLE, "checkpoint")
        return None
    try:
        checkpoint, note = open_checkpoint(data, origin, key)
    except CryptoError:
        code = Code.CHECKPOINT_SIGNATURE if is_checkpoint(data) else Code.CHECKPOINT_UNREADABLE
        findings.add(code, "checkpoint")
        return None
    if any(claimed and at is None for claimed, at in _cosignatures(note, council)):
        findings.add(Code.COSIGNATURE, "checkpoint")
    return checkpoint


def read_kept(
    data: bytes, origin: str, key: VerifyKey, council: Sequence[VerifyKey], place: str, findings: Findings
) -> Kept | None:
    """A note from the council's own folder; whatever is wrong with it is a finding."""
    checkpoint = read_checkpoint(data, origin, key, council, Findings())
    if checkpoint is None:
        findings.add(Code.COSIGNATURE, place)
        return None
    times = [at for claimed, at in _cosignatures(SignedNote.parse(data), council) if claimed]
    if None in times:
        findings.add(Code.COSIGNATURE, place)
    return Kept(checkpoint, max((at for at in times if at is not None), default=None))


def is_checkpoint(data: bytes) -> bool:
    """Whether the bytes are a checkpoint of any log, signed by anybody."""
    try:
        Checkpoint.parse(SignedNote.parse(data).text)
    except CryptoError:
        return False
    return True


def _cosignatures(note: SignedNote, council: Sequence[VerifyKey]) -> Iterator[tuple[bool, int | None]]:
    """For each line: whether it names a key of the council, and when it cosigned (None: it doesn't hold)."""
    for line in note.signatures:
        for key in council:
            witness = cosigner(line.name, key)
            if line.by(witness):
                try:
                    yield True, check_cosignature(note.text, line, witness)
                except NoteError:
                    yield True, None


class TreeCheck:
    """Walks a log once. After the last entry `finish` judges the root and what was kept."""

    def __init__(self, folder: LogFolder, checkpoint: Checkpoint, kept: Sequence[Kept], findings: Findings) -> None:
        self._folder = folder
        self._checkpoint = checkpoint
        self._findings = findings
        self._frontier = Frontier()
        self._above: list[list[bytes]] = [[] for _ in range(MAX_LEVEL + 2)]
        """By level of tiles: hashes that are still to be compared with a tile."""
        self._sizes: dict[int, set[bytes]] = {}
        for one in kept:
            self._sizes.setdefault(one.checkpoint.size, set()).add(one.checkpoint.root)
        self._broken = False

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Every entry that can be read, with its index."""
        size = self._checkpoint.size
        self._compare_kept()
        for number in range(-(-size // WIDTH)):
            width = min(WIDTH, size - number * WIDTH)
            try:
                found = self._folder.entries(Tile(None, number, width))
            except TileError:
                found = None
            if found is None:
                self._findings.add(Code.BUNDLE, Tile(None, number, width).path)
                self._broken = True
                return
            leaves = [leaf_hash(entry) for entry in found]
            for leaf in leaves:
                self._frontier.append(leaf)
                if self._frontier.size in self._sizes:
                    self._compare_kept()
            self._compare(0, number, leaves)
            yield from enumerate(found, number * WIDTH)

    def finish(self) -> None:
        """The upper tiles that are not full, the root, and checkpoints that the log has fallen back behind."""
        for level, rest in enumerate(self._above):
            if rest and not self._broken:
                self._compare(level, self._checkpoint.size >> HEIGHT * (level + 1), rest)
        if not self._broken and self._frontier.root() != self._checkpoint.root:
            self._findings.add(Code.ROOT, "checkpoint", size=self._checkpoint.size)
        for size in sorted(size for size in self._sizes if size > self._checkpoint.size):
            self._findings.add(Code.ROLLED_BACK, "checkpoint", size=self._checkpoint.size, kept=size)

    def _compare_kept(self) -> None:
        size = self._frontier.size
        roots = self._sizes.get(size, set())
        if roots and (len(roots) > 1 or self._frontier.root() not in roots):
            self._findings.add(Code.FORKED, f"checkpoint {size}", size=size)

    def _compare(self, level: int, number: int, wanted: list[bytes]) -> None:
        """One tile against what it must hold; a full one hands its hash up."""
        tile = Tile(level, number, len(wanted))
        try:
            found = self._folder.hashes(tile)
        except TileError:
            found = None
        if found is None:
            self._findings.add(Code.TILE, tile.path)
        elif found != wanted:
            place = next(place for place, pair in enumerate(zip(found, wanted, strict=True)) if pair[0] != pair[1])
            where = f"entry {number * WIDTH + place}" if level == 0 else tile.path
            self._findings.add(Code.TILE, where)
        if len(wanted) == WIDTH and level < MAX_LEVEL:
            upper = self._above[level + 1]
            upper.append(fold(wanted))
            if len(upper) == WIDTH:
                self._above[level + 1] = []
                self._compare(level + 1, number // WIDTH, upper)


def cosigned_size(
    folder: LogFolder, origin: str, line: str, council: Sequence[VerifyKey], first: int, last: int, size: int
) -> tuple[int, int] | None:
    """Size and time of the checkpoint, with `first` to `last` entries, that a cosignature line belongs to (V3).

    The line doesn't name its checkpoint: each size is tried, from the smallest, which is where it usually is.
    """
    said = NoteSignature.parse(line)
    witnesses = [one for key in council if said.by(one := cosigner(said.name, key))]
    if not witnesses or first > last:
        return None
    frontier = Frontier.load(first, lambda level, index: folder.node(level, index, size))
    while True:
        text = str(Checkpoint(origin, frontier.size, frontier.root()))
        for witness in witnesses:
            try:
                return frontier.size, check_cosignature(text, said, witness)
            except NoteError:
                continue
        if frontier.size >= last:
            return None
        frontier.append(folder.node(0, frontier.size, size))
