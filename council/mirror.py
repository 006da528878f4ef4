"""Keeps the council's copy of a log up to date, from the site or from a folder, and never lets go of what it has seen.

New files are taken only when they continue the last kept checkpoint. When they don't, both histories are kept apart as
evidence: two checkpoints that the log signed and that contradict each other.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from council.errors import Unreachable, about
from council.folder import INCOMING, LogFolder, read_file
from crypto.checkpoint import Checkpoint, open_checkpoint
from crypto.errors import TileError
from crypto.merkle import tree_hash
from crypto.ssh_key import VerifyKey
from crypto.tile_reader import TileReader
from crypto.tlog_tiles import MAX_BUNDLE, tiles_of

Fetch = Callable[[str], bytes | None]
"""What lies at a path of the log (`checkpoint`, `tile/…`), from wherever."""


@dataclass(frozen=True, slots=True)
class Synced:
    """How a copy stands after `sync`."""

    checkpoint: Checkpoint
    fetched: int
    """Files that were new."""
    evidence: Path | None = None
    """Where two histories that contradict each other are kept; the mirror is as before then."""


def from_folder(path: Path) -> Fetch:
    """Reads a log's own folder, or somebody else's mirror."""
    return lambda name: read_file(path / name, MAX_BUNDLE)


def sync(fetch: Fetch, origin: str, key: VerifyKey, mirror: Path, evidence: Path, *, ended: bool = False) -> Synced:
    """Bring the copy in `mirror` up to the newest checkpoint; `evidence` is a folder that doesn't exist yet.

    Where a log `ended` with a restore, the site may have no more of it than the backup had: the copy stays then.
    Raises Unreachable where the log has no checkpoint that `key` signed, or a file of it is missing.
    """
    note = fetch("checkpoint")
    if note is None:
        raise Unreachable(f"log `{origin}` has no checkpoint yet")
    below, above = LogFolder(mirror), LogFolder(mirror.with_name(mirror.name + INCOMING))
    known = below.checkpoint()
    with about(f"your own copy's `{mirror / 'checkpoint'}` is damaged"):
        old = None if known is None else open_checkpoint(known, origin, key)[0]
    with about(f"log `{origin}`", Unreachable):
        new = open_checkpoint(note, origin, key)[0]
    if ended and old is not None and _holds(below.tiles, old.size, new):
        return Synced(old, 0)
    incoming = above.path
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(parents=True)
    rolled_back = old is not None and new.size < old.size  # which the two checkpoints alone show
    fetched = _fetch(fetch, new, mirror, incoming, whole=not rolled_back)
    both = TileReader(lambda tile: above.read(tile) or below.read(tile))
    if not all(_holds(both, new.size, one) for one in (new, old or new)):
        return Synced(old or new, fetched, _keep_both(known, note, incoming, evidence))
    shutil.copytree(incoming, mirror, copy_function=os.replace, dirs_exist_ok=True)
    shutil.rmtree(incoming)
    (mirror / "checkpoint.new").write_bytes(note)
    (mirror / "checkpoint.new").replace(mirror / "checkpoint")
    _drop_partials(mirror, new.size)
    return Synced(new, fetched)


def _fetch(fetch: Fetch, new: Checkpoint, mirror: Path, incoming: Path, *, whole: bool) -> int:
    """Every file of the new tree that the mirror lacks; what there is of them unless it must be `whole`."""
    fetched = 0
    for tile in tiles_of(new.size):
        if (mirror / tile.path).is_file():
            continue
        data = fetch(tile.path)
        if data is None and tile.partial:  # the log has grown since its checkpoint: the full tile stands for it
            tile = tile.full
            data = fetch(tile.path)
        if data is None or len(data) > MAX_BUNDLE:
            if not whole:
                continue
            raise Unreachable(f"log `{new.origin}` lacks `{tile.path}`")
        path = incoming / tile.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        fetched += 1
    return fetched


def _holds(tree: TileReader, size: int, one: Checkpoint) -> bool:
    """Whether a tree of `size` leaves begins with the one that a checkpoint speaks of."""
    try:
        return one.size <= size and tree_hash(one.size, lambda level, n: tree.node(level, n, size)) == one.root
    except TileError:
        return False


def _keep_both(known: bytes | None, note: bytes, incoming: Path, evidence: Path) -> Path:
    """The two checkpoints and the files of the second history."""
    evidence.mkdir(parents=True)
    (evidence / "checkpoint.new").write_bytes(note)
    if known is not None:
        (evidence / "checkpoint.kept").write_bytes(known)
    incoming.rename(evidence / "new")
    return evidence


def _drop_partials(mirror: Path, size: int) -> None:
    """Narrower forms of tiles that have grown since."""
    wanted = {mirror / tile.path for tile in tiles_of(size) if tile.partial}
    for folder in mirror.glob("tile/**/*.p"):
        for path in folder.iterdir():
            if path not in wanted:
                path.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
