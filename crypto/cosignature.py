"""Cosignatures (C2SP tlog-cosignature, `cosignature/v1`): a witness says that it saw a checkpoint, and when.

It says nothing about the entries; and the time is the witness's own.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Final

from crypto.errors import NoteError
from crypto.signed_note import COSIGNATURE_V1, NoteSignature, SignedNote, VerifierKey, verify_raw
from crypto.ssh_key import SigningKey, VerifyKey

MAX_TIME: Final = (1 << 53) - 1
_FORM: Final = struct.Struct(">Q64s")


def cosigner(name: str, key: VerifyKey) -> VerifierKey:
    """The witness's verifier key: the same public key has another id than for plain notes."""
    return VerifierKey(name, key, COSIGNATURE_V1)


def cosign(text: str, name: str, key: SigningKey, at: int) -> NoteSignature:
    """The line that goes under the checkpoint with this text; `at` in whole seconds of POSIX time. Raises NoteError."""
    raw = key.sign_raw(_message(text, at))
    return NoteSignature(name, cosigner(name, key.verify_key).key_id, _FORM.pack(at, raw))


def check_cosignature(text: str, signature: NoteSignature, witness: VerifierKey) -> int:
    """When `witness` cosigned the checkpoint with this text (POSIX seconds). Raises NoteError unless it did."""
    if witness.kind != COSIGNATURE_V1 or not signature.by(witness) or len(signature.raw) != _FORM.size:
        raise NoteError("not a cosignature of the witness that was asked for")
    at, raw = _FORM.unpack(signature.raw)
    verify_raw(witness.key, raw, _message(text, at))
    return int(at)


def find_cosignature(note: SignedNote, witness: VerifierKey) -> tuple[NoteSignature, int]:
    """The witness's latest line under a note, and its time. Raises NoteError: none, or one that doesn't verify."""
    own = [signature for signature in note.signatures if signature.by(witness)]
    if not own:
        raise NoteError("note isn't cosigned by the witness that was asked for")
    dated = [(check_cosignature(note.text, signature, witness), signature) for signature in own]
    at, signature = max(dated, key=lambda pair: pair[0])
    return signature, at


def cosignatures(note: SignedNote, keys: Iterable[VerifyKey]) -> Iterator[tuple[NoteSignature, int | None]]:
    """Every line under a note that says it is one of these keys', and when it was made; None: it doesn't verify."""
    for key in keys:
        for line in note.signatures:
            witness = cosigner(line.name, key)
            if line.by(witness):
                try:
                    yield line, check_cosignature(note.text, line, witness)
                except NoteError:
                    yield line, None


def _message(text: str, at: int) -> bytes:
    if not 0 <= at <= MAX_TIME:
        raise NoteError("cosignature's time is out of range")
    return f"cosignature/v1\ntime {at}\n{text}".encode()
