"""Offline proofs (C2SP tlog-proof): that an entry is in a log, with the checkpoint that the log (and witnesses) signed.

The extra data isn't authenticated: it tells where to look, never what to believe.
"""

import base64
import re
from dataclasses import dataclass
from typing import Final, Self

from crypto.checkpoint import Checkpoint, open_checkpoint
from crypto.errors import MerkleError, NoteError, TlogProofError
from crypto.merkle import HASH_BYTES, MAX_PROOF, leaf_hash, verify_inclusion
from crypto.signed_note import MAX_NOTE, from_base64
from crypto.ssh_key import VerifyKey

MAX_EXTRA: Final = 1 << 16
MAX_BYTES: Final = MAX_NOTE + 2 * MAX_EXTRA
_FIRST: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,15})", re.ASCII)


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A proof as it is handed over."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    """The signed note, verbatim."""
    extra: bytes | None = None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a proof. Raises TlogProofError, also for what doesn't print back to the same bytes."""
        head, gap, checkpoint = data.partition(b"\n\n")
        if len(data) > MAX_BYTES or not gap:
            raise TlogProofError("proof is too long, or has no checkpoint")
        try:
            proof = cls._from_lines(head.decode("ascii").split("\n"), checkpoint)
        except (UnicodeDecodeError, NoteError):
            raise TlogProofError("proof's lines aren't ascii and base64") from None
        if bytes(proof) != data:
            raise TlogProofError("proof isn't in its one form")
        return proof

    @classmethod
    def _from_lines(cls, lines: list[str], checkpoint: bytes) -> Self:
        if lines.pop(0) != _FIRST:
            raise TlogProofError("not a tlog proof of version 1")
        extra = from_base64(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else None
        match = _INDEX.fullmatch(lines.pop(0)) if lines else None
        hashes = tuple(from_base64(line) for line in lines[:MAX_PROOF])
        if match is None or any(len(one) != HASH_BYTES for one in hashes):
            raise TlogProofError("proof has no index, or a hash that isn't 32 bytes")
        return cls(int(match[1]), hashes, checkpoint, extra)

    def check(self, entry: bytes, origin: str, key: VerifyKey) -> Checkpoint:
        """The checkpoint of `origin`'s log that `entry` is proven in. Raises NoteError, TlogProofError."""
        checkpoint, _ = open_checkpoint(self.checkpoint, origin, key)
        try:
            verify_inclusion(leaf_hash(entry), self.index, checkpoint.size, self.hashes, checkpoint.root)
        except MerkleError as error:
            raise TlogProofError(str(error)) from None
        return checkpoint

    def __bytes__(self) -> bytes:
        extra = [] if self.extra is None else [f"extra {base64.b64encode(self.extra).decode()}"]
        hashes = [base64.b64encode(one).decode() for one in self.hashes]
        head = "\n".join([_FIRST, *extra, f"index {self.index}", *hashes])
        return f"{head}\n\n".encode() + self.checkpoint
