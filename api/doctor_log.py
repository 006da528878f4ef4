"""Whether the site's logs still hash to their checkpoints: what the council would find, found here first."""

from __future__ import annotations

from pathlib import Path

from crypto.checkpoint import open_checkpoint
from crypto.errors import CryptoError
from crypto.tile_reader import TileReader
from crypto.tlog_tiles import Tile
from crypto.tree_walk import TreeFault, TreeWalk
from policy.log_block import is_origin
from storage.errors import LogEntryUnknown, StorageError
from storage.gateway_key import load_public
from storage.log.files import CHECKPOINT, LocalLogFiles

__all__ = ["log_fault"]


def log_fault(data_dir: Path) -> tuple[int, str | None]:
    """How many entries all logs have, and the first place that doesn't fit, None where all do. Reads everything."""
    entries = 0
    folder = data_dir / "log"
    for path in sorted(folder.glob(f"*/*/*/{CHECKPOINT}")):
        origin = path.parent.relative_to(folder).as_posix()
        if is_origin(origin):
            # a running gateway may take narrower tiles away while they are read: what seems wrong is looked at again
            size, fault = _walk(data_dir, origin)
            size, fault = (size, fault) if fault is None else _walk(data_dir, origin)
            entries += size
            if fault is not None:
                return entries, f"{origin}: {fault}"
    return entries, None


def _walk(data_dir: Path, origin: str) -> tuple[int, str | None]:
    files = LocalLogFiles(data_dir)

    def read(tile: Tile) -> bytes | None:
        try:
            return files.tile(origin, tile)
        except LogEntryUnknown:
            return None

    try:
        checkpoint, _ = open_checkpoint(files.checkpoint(origin), origin, load_public(data_dir))
    except (CryptoError, StorageError):
        return 0, "the checkpoint isn't signed by this gateway's key"
    faults: list[TreeFault] = []
    size = sum(1 for _ in TreeWalk(TileReader(read), checkpoint, (), faults.append).entries())
    return size, f"{faults[0].fault.value} at {faults[0].place}" if faults else None
