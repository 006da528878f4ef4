"""Checkpoints (C2SP tlog-checkpoint): a log's origin, size and root as a note that the log signed under its origin.

Extension lines, which nobody could audit, are refused.
"""

import base64
import re
from dataclasses import dataclass
from typing import Final, Self

from crypto.errors import NoteError
from crypto.merkle import HASH_BYTES, MAX_SIZE
from crypto.signed_note import SignedNote, VerifierKey, from_base64, sign
from crypto.ssh_key import SigningKey, VerifyKey

_TEXT: Final = re.compile(r"([^\s+]{1,256})\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head; prints as the note's text."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE or len(self.root) != HASH_BYTES:
            raise NoteError("checkpoint's size or root is malformed")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a note's text. Raises NoteError."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise NoteError("not a checkpoint of origin, size and root")
        return cls(match[1], int(match[2]), from_base64(match[3]))

    def signed(self, key: SigningKey) -> SignedNote:
        """The log's own note; key name is the origin."""
        return sign(str(self), self.origin, key)

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def claimed_origin(data: bytes) -> str | None:
    """The log that a checkpoint says it is of, whoever signed it; None for what is no checkpoint."""
    try:
        return Checkpoint.parse(SignedNote.parse(data).text).origin
    except NoteError:
        return None


def open_checkpoint(data: bytes, origin: str, key: VerifyKey) -> tuple[Checkpoint, SignedNote]:
    """The checkpoint that `origin`'s log signed with `key`, and its note. Raises NoteError."""
    note = SignedNote.parse(data)
    note.check(VerifierKey(origin, key))
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != origin:
        raise NoteError("checkpoint is another log's")
    return checkpoint, note
