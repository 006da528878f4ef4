"""V1 and V2: the checkpoint's signature, its cosignatures, and the whole tree (`crypto.tree_walk`) as findings."""

from collections.abc import Sequence
from dataclasses import dataclass

from council.codes import Code
from council.finding import Findings
from council.folder import LogFolder
from crypto.checkpoint import Checkpoint, claimed_origin, open_checkpoint
from crypto.cosignature import cosignatures
from crypto.errors import CryptoError
from crypto.ssh_key import VerifyKey
from crypto.tree_walk import TreeFault, TreeWalk


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint that the council saw and kept."""

    checkpoint: Checkpoint
    at: int | None
    """When the council cosigned it (POSIX seconds); None: seen only."""


def read_checkpoint(
    data: bytes | None, origin: str, key: VerifyKey, council: Sequence[VerifyKey], place: str, findings: Findings
) -> Kept | None:
    """A checkpoint that `key` signed (V1). A line under it that says it is a council key's must be."""
    try:
        checkpoint, note = open_checkpoint(data or b"", origin, key)
    except CryptoError:
        code = Code.CHECKPOINT_SIGNATURE if claimed_origin(data or b"") is not None else Code.CHECKPOINT_UNREADABLE
        findings.add(code, place)
        return None
    times = [at for _, at in cosignatures(note, council)]
    if None in times:
        findings.add(Code.COSIGNATURE, place)
    return Kept(checkpoint, max((at for at in times if at is not None), default=None))


def tree_walk(folder: LogFolder, checkpoint: Checkpoint, kept: Sequence[Kept], findings: Findings) -> TreeWalk:
    """The walk through the log's entries; what is wrong with the tree goes to `findings` (V1, V2)."""

    def tell(one: TreeFault) -> None:
        findings.add(Code[one.fault.name], one.place, size=one.size, kept=one.seen)

    return TreeWalk(folder.tiles, checkpoint, [one.checkpoint for one in kept], tell)
