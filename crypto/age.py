"""age v1 files (C2SP age.md) as a whole: header for recipients, file key by identities, small files in memory.

A recording is written with `make_header` and `stream.PayloadWriter` instead, header and payload in two objects.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from crypto import header as age_header
from crypto import scrypt
from crypto.errors import AgeHeaderError, AgeNoMatch, AgePayloadError
from crypto.header import FileKey, Header, Stanza
from crypto.stream import Buffer, encrypt_payload, new_file_key, read_chunks

SMALL_FILE: Final = 16 << 20


class Recipient(Protocol):
    """Somebody a file key can be wrapped to: `x25519.Recipient`, `scrypt.Passphrase`."""

    def wrap(self, file_key: FileKey) -> Stanza: ...


class Identity(Protocol):
    """Somebody who may unwrap a stanza: `x25519.Identity`, `scrypt.Passphrase`."""

    def unwrap(self, stanza: Stanza) -> FileKey | None: ...


def make_header(file_key: FileKey, recipients: Sequence[Recipient]) -> bytes:
    """The header object: one stanza per recipient, in order, and none besides. Raises AgeHeaderError for none."""
    header = age_header.seal(file_key, [recipient.wrap(file_key) for recipient in recipients])
    _check_scrypt_alone(header)
    return bytes(header)


def open_header(header: bytes, identities: Sequence[Identity]) -> FileKey:
    """The file key in a header object that holds nothing else. Raises AgeHeaderError, AgeNoMatch."""
    parsed, size = age_header.parse(header)
    if size != len(header):
        raise AgeHeaderError("header is followed by something else")
    return _unlock(parsed, identities)


def split_header(data: Buffer) -> tuple[memoryview, memoryview]:
    """Header and payload of an age file, as views into `data`. Raises AgeHeaderError."""
    view = memoryview(data).cast("B")
    _, size = age_header.parse(view)
    return view[:size], view[size:]


def count_stanzas(header: bytes) -> int:
    """Stanzas of a header, to compare with a manifest: over it means somebody else can open it."""
    return len(age_header.parse(header)[0].stanzas)


def encrypt(plaintext: Buffer, recipients: Sequence[Recipient]) -> bytes:
    """A whole age file of a small plaintext, under a fresh file key."""
    file_key = new_file_key()
    return make_header(file_key, recipients) + encrypt_payload(file_key, plaintext)


def decrypt(data: Buffer, identities: Sequence[Identity], *, limit: int = SMALL_FILE) -> bytes:
    """The whole plaintext of an age file of at most `limit` bytes, or an AgeError; never a part of it."""
    if memoryview(data).nbytes > limit:
        raise AgePayloadError(f"age file is longer than {limit} bytes")
    header, payload = split_header(data)
    return b"".join(read_chunks(open_header(bytes(header), identities), payload))


def _unlock(header: Header, identities: Sequence[Identity]) -> FileKey:
    _check_scrypt_alone(header)
    for identity in identities:
        for stanza in header.stanzas:
            file_key = identity.unwrap(stanza)
            if file_key is not None:
                header.verify(file_key)
                return file_key
    raise AgeNoMatch("no identity opens this file")


def _check_scrypt_alone(header: Header) -> None:
    # A passphrase authenticates the file only while nobody else could have written it.
    if len(header.stanzas) > 1 and any(stanza.kind == scrypt.KIND for stanza in header.stanzas):
        raise AgeHeaderError("scrypt stanza isn't alone")
