"""The textual header of an age v1 file: stanzas and their MAC (C2SP age.md, "Header"). Parses only what it would print.

It knows no recipient type; armour isn't read.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NewType

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crypto.errors import AgeHeaderError, AgeKeyError

FileKey = NewType("FileKey", bytes)
FILE_KEY_BYTES: Final = 16
VERSION_LINE: Final = b"age-encryption.org/v1\n"
MAX_HEADER: Final = 1 << 16
MAX_STANZAS: Final = 128
_COLUMNS: Final = 64
_ARGUMENT: Final = re.compile(r"[!-~]+")
_MAC_LINE: Final = re.compile(rb"--- ([A-Za-z0-9+/]{43})\n")


@dataclass(frozen=True, slots=True)
class Stanza:
    """The file key as wrapped to one recipient."""

    kind: str
    "First argument, e.g. `X25519`."
    args: tuple[str, ...]
    "The other arguments, printable ASCII without spaces."
    body: bytes

    def __bytes__(self) -> bytes:
        """The stanza's lines. Raises AgeHeaderError for an argument that can't stand in a header."""
        words = (self.kind, *self.args)
        if not all(_ARGUMENT.fullmatch(word) for word in words):
            raise AgeHeaderError("stanza argument isn't printable ascii")
        text = b64(self.body)
        # The last line is the first one under 64 characters, so a full last line is followed by an empty one.
        lines = [text[i : i + _COLUMNS] for i in range(0, len(text) + 1, _COLUMNS)]
        return "\n".join(("-> " + " ".join(words), *lines, "")).encode()


@dataclass(frozen=True, slots=True)
class Header:
    """A parsed header; its MAC is not verified before `verify`."""

    stanzas: tuple[Stanza, ...]
    mac: bytes

    def __bytes__(self) -> bytes:
        return _unauthenticated(self.stanzas) + b" " + b64(self.mac).encode() + b"\n"

    def verify(self, file_key: FileKey) -> None:
        """Raises AgeHeaderError unless `file_key` made this header."""
        if not hmac.compare_digest(self.mac, _mac(file_key, self.stanzas)):
            raise AgeHeaderError("header mac doesn't match")


def seal(file_key: FileKey, stanzas: Sequence[Stanza]) -> Header:
    """A header with its MAC. Raises AgeHeaderError for none or too many stanzas, AgeKeyError for a wrong size."""
    if len(file_key) != FILE_KEY_BYTES:
        raise AgeKeyError("file key isn't 16 bytes")
    if not 0 < len(stanzas) <= MAX_STANZAS:
        raise AgeHeaderError(f"header needs 1 to {MAX_STANZAS} stanzas")
    return Header(tuple(stanzas), _mac(file_key, stanzas))


def parse(data: bytes | memoryview) -> tuple[Header, int]:
    """Header at the start of `data` and its length in bytes. Raises AgeHeaderError."""
    head = bytes(data[:MAX_HEADER])
    if not head.startswith(VERSION_LINE):
        raise AgeHeaderError("not an age v1 file")
    position = len(VERSION_LINE)
    stanzas: list[Stanza] = []
    while head.startswith(b"-> ", position):
        if len(stanzas) == MAX_STANZAS:
            raise AgeHeaderError(f"header has over {MAX_STANZAS} stanzas")
        stanza, position = _parse_stanza(head, position)
        stanzas.append(stanza)
    end = _MAC_LINE.match(head, position)
    if end is None or not stanzas:
        raise AgeHeaderError("header is cut or malformed")
    return Header(tuple(stanzas), unb64(end[1].decode())), end.end()


def b64(raw: bytes) -> str:
    """Standard base64 without padding."""
    return base64.b64encode(raw).decode().rstrip("=")


def unb64(text: str) -> bytes:
    """Inverse of `b64`. Raises AgeHeaderError for padding, foreign characters or unused bits that are set."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise AgeHeaderError("base64 is malformed") from None
    if b64(raw) != text:
        raise AgeHeaderError("base64 isn't canonical")
    return raw


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """32 bytes of HKDF-SHA256 (RFC 5869), the only key derivation of the format."""
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(secret)


def _parse_stanza(head: bytes, position: int) -> tuple[Stanza, int]:
    opening, position = _line(head, position)
    kind, *args = opening[3:].split(" ")
    if not all(_ARGUMENT.fullmatch(word) for word in (kind, *args)):
        raise AgeHeaderError("stanza argument isn't printable ascii")
    body: list[str] = []
    while True:
        text, position = _line(head, position)
        if len(text) > _COLUMNS:
            raise AgeHeaderError("stanza line is longer than 64 characters")
        body.append(text)
        if len(text) < _COLUMNS:
            return Stanza(kind, tuple(args), unb64("".join(body))), position


def _line(head: bytes, position: int) -> tuple[str, int]:
    end = head.find(b"\n", position)
    if end < 0:
        raise AgeHeaderError("header is cut or too long")
    try:
        return head[position:end].decode("ascii"), end + 1
    except UnicodeDecodeError:
        raise AgeHeaderError("header isn't ascii") from None


def _unauthenticated(stanzas: Sequence[Stanza]) -> bytes:
    """What the MAC covers: everything up to and including the three dashes."""
    return VERSION_LINE + b"".join(bytes(stanza) for stanza in stanzas) + b"---"


def _mac(file_key: FileKey, stanzas: Sequence[Stanza]) -> bytes:
    return hmac.digest(hkdf(file_key, b"", b"header"), _unauthenticated(stanzas), "sha256")
