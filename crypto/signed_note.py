"""Signed notes (C2SP signed-note): a text, an empty line, and lines that say who signed the text.

Only Ed25519 (type 0x01) is made and verified here; cosignatures (0x04) are `cosignature.py`'s. Signatures of unknown
keys are carried along and prove nothing.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

from cryptography.exceptions import InvalidSignature

from crypto.errors import NoteError, SshKeyError
from crypto.ssh_key import SigningKey, VerifyKey

ED25519: Final = 0x01
COSIGNATURE_V1: Final = 0x04
MAX_NOTE: Final = 1 << 16
MAX_NAME: Final = 256
MAX_SIGNATURES: Final = 32
KEY_ID_BYTES: Final = 4
_DASH: Final = "— "
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_VKEY: Final = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A name with a public key for one type of signature: `name+hash+base64`. Raises NoteError for a malformed name."""

    name: str
    key: VerifyKey
    kind: int = ED25519

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.kind not in (ED25519, COSIGNATURE_V1):
            raise NoteError("verifier key has an unknown type of signature")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the printed form. Raises NoteError."""
        match = _VKEY.fullmatch(text) if len(text) <= 2 * MAX_NAME else None
        if match is None:
            raise NoteError("not a verifier key of the form `name+hash+base64`")
        public = from_base64(match[3])
        try:
            found = cls(match[1], VerifyKey(public[1:]), public[0] if public else 0)
        except SshKeyError as error:
            raise NoteError(f"verifier key: {error}") from None
        if str(found) != text:
            raise NoteError("verifier key's hash doesn't match")
        return found

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return hashlib.sha256(self.name.encode() + b"\n" + self._public).digest()[:KEY_ID_BYTES]

    @property
    def _public(self) -> bytes:
        return bytes([self.kind]) + self.key.raw

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self._public).decode()}"


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line, proven by nothing yet."""

    name: str
    key_id: bytes
    raw: bytes
    """What follows the key id; its form is the type's."""

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.key_id) != KEY_ID_BYTES or not self.raw:
            raise NoteError("signature has no key id or nothing after it")

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read `— name base64`, without its newline. Raises NoteError."""
        if len(line) > MAX_NOTE or not line.startswith(_DASH):
            raise NoteError("not a signature line")
        name, _, text = line.removeprefix(_DASH).rpartition(" ")
        data = from_base64(text)
        return cls(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])

    def by(self, key: VerifierKey) -> bool:
        """Whether the line says that it is `key`'s."""
        return (self.name, self.key_id) == (key.name, key.key_id)

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.raw).decode()}"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text (ends in a newline) and its signatures."""

    text: str
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a note. Raises NoteError, also for what doesn't print back to the same bytes."""
        if len(data) > MAX_NOTE:
            raise NoteError(f"note is longer than {MAX_NOTE} bytes")
        try:
            text, gap, lines = data.decode().rpartition("\n\n")
        except UnicodeDecodeError:
            raise NoteError("note isn't utf-8") from None
        if not gap:
            raise NoteError("note has no signatures")
        note = cls(text + "\n", parse_signatures(lines))
        _check_text(note.text)
        if bytes(note) != data:
            raise NoteError("note isn't in its one form")
        return note

    def check(self, key: VerifierKey) -> None:
        """Raise NoteError unless `key` (Ed25519) signed the text; a wrong line of this key spoils the note."""
        own = [signature for signature in self.signatures if signature.by(key)]
        if key.kind != ED25519 or not own:
            raise NoteError("note isn't signed by the key that was asked for")
        for signature in own:
            verify_raw(key.key, signature.raw, self.text.encode())

    def __bytes__(self) -> bytes:
        lines = "".join(f"{signature}\n" for signature in self.signatures)
        return f"{self.text}\n{lines}".encode()


def parse_signatures(text: str) -> tuple[NoteSignature, ...]:
    """One or more signature lines, each with its newline, as a witness answers. Raises NoteError."""
    lines = text.split("\n")
    if lines.pop() != "" or not 1 <= len(lines) <= MAX_SIGNATURES:
        raise NoteError("not one or a few whole signature lines")
    return tuple(NoteSignature.parse(line) for line in lines)


def sign(text: str, name: str, key: SigningKey) -> SignedNote:
    """The note of `text` signed by `key` under `name`. Raises NoteError for a text that no note can hold."""
    _check_text(text)
    verifier = VerifierKey(name, key.verify_key)
    return SignedNote(text, (NoteSignature(name, verifier.key_id, key.sign_raw(text.encode())),))


def verify_raw(key: VerifyKey, raw: bytes, message: bytes) -> None:
    """Raise NoteError unless `raw` is `key`'s Ed25519 signature of `message`."""
    try:
        key.public_key().verify(raw, message)
    except InvalidSignature:
        raise NoteError("signature of a note doesn't verify") from None


def from_base64(text: str) -> bytes:
    """Canonical standard base64 (RFC 4648 §4), which prints back alike. Raises NoteError."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("not base64") from None
    if base64.b64encode(data).decode() != text:
        raise NoteError("not canonical base64")
    return data


def _check_name(name: str) -> None:
    odd = "+" in name or any(char.isspace() for char in name) or _CONTROL.search(name) is not None
    if not 0 < len(name) <= MAX_NAME or odd:
        raise NoteError("key name is empty, too long, or holds a space or plus")


def _check_text(text: str) -> None:
    if not text.endswith("\n") or _CONTROL.search(text):
        raise NoteError("note's text has no final newline, or holds a control character")
