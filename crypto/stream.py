"""The payload of an age v1 file: a 16-byte nonce, then STREAM chunks of 64 KiB (C2SP age.md, "Payload").

Writing is incremental and never resumed: one writer has one fresh nonce, hence one fresh key. Reading takes the whole
payload in a buffer (a memory map will do) and yields each chunk as soon as it is authenticated.
"""

import secrets
from collections.abc import Iterator
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from crypto.errors import AgeKeyError, AgePayloadError, AgeTruncated, AgeWriterError
from crypto.header import FILE_KEY_BYTES, FileKey, hkdf

Buffer = bytes | bytearray | memoryview

CHUNK_BYTES: Final = 64 * 1024
"Plaintext of every chunk but the last, which has 1 to 65536 bytes (0 only when it is the first)."
TAG_BYTES: Final = 16
SEALED_CHUNK_BYTES: Final = CHUNK_BYTES + TAG_BYTES
NONCE_BYTES: Final = 16
_COUNTER_BYTES: Final = 11
_MORE: Final = b"\x00"
_LAST: Final = b"\x01"


def new_file_key() -> FileKey:
    """16 fresh random bytes: one per file, hence one per segment."""
    return FileKey(secrets.token_bytes(FILE_KEY_BYTES))


def key_commit(file_key: FileKey, nonce: bytes) -> bytes:
    """32 bytes that fix the file key, which the AEAD alone doesn't: HKDF(file key, nonce, "fairtap/v1/key-commit")."""
    return hkdf(_checked_key(file_key), _checked_nonce(nonce), b"fairtap/v1/key-commit")


class PayloadWriter:
    """Seals one payload, chunk by chunk; what is returned goes to storage in order, after `nonce`.

    A chunk's flag says whether it is the last, so a full chunk may be sealed only once a further byte is there:
    `while len(buffered) > CHUNK_BYTES: seal_chunk(…)`, and `finish` takes the rest.
    """

    __slots__ = ("_aead", "_index", "key_commit", "nonce")

    def __init__(self, file_key: FileKey) -> None:
        self.nonce: Final = secrets.token_bytes(NONCE_BYTES)
        "First 16 bytes of the payload object."
        self.key_commit: Final = key_commit(file_key, self.nonce)
        self._aead: ChaCha20Poly1305 | None = _payload_aead(file_key, self.nonce)
        self._index = 0

    @property
    def chunks(self) -> int:
        """Chunks sealed so far."""
        return self._index

    def seal_chunk(self, plaintext: Buffer) -> bytes:
        """Seal exactly 64 KiB that aren't the end: 65552 bytes. Reads the buffer in place, copies nothing."""
        aead, view = self._live_aead(), memoryview(plaintext).cast("B")
        if len(view) != CHUNK_BYTES:
            raise AgeWriterError("chunk isn't 65536 bytes")
        return aead.encrypt(self._next_nonce(_MORE), view, None)

    def finish(self, rest: Buffer = b"") -> bytes:
        """Seal the last chunk, 1 to 65536 bytes (or none of a payload without any), and drop the key."""
        aead, view = self._live_aead(), memoryview(rest).cast("B")
        if len(view) > CHUNK_BYTES or (not view and self._index):
            raise AgeWriterError("last chunk isn't 1 to 65536 bytes")
        sealed = aead.encrypt(self._next_nonce(_LAST), view, None)
        self._aead = None
        return sealed

    def drop(self) -> None:
        """Forget the key without a last chunk: what is stored stays a genuine, cut payload. Harmless when repeated."""
        self._aead = None

    def _live_aead(self) -> ChaCha20Poly1305:
        if self._aead is None:
            raise AgeWriterError("payload is already finished")
        return self._aead

    def _next_nonce(self, flag: bytes) -> bytes:
        # INVARIANT: counted before it is used, so that a failing encryption can't lead to a second use of the nonce.
        index = self._index
        self._index += 1
        return index.to_bytes(_COUNTER_BYTES, "big") + flag


def read_chunks(file_key: FileKey, payload: Buffer) -> Iterator[bytes]:
    """Yield the plaintext of each authenticated chunk; at a fault, after the genuine prefix, raise AgePayloadError.

    A payload that ends at a chunk's edge without the last flag raises AgeTruncated, after all its chunks.
    """
    view = memoryview(payload).cast("B")
    if len(view) < NONCE_BYTES:
        raise AgeTruncated("payload ends within its nonce")
    aead = _payload_aead(file_key, bytes(view[:NONCE_BYTES]))
    sealed = view[NONCE_BYTES:]
    index = 0
    while len(sealed) > SEALED_CHUNK_BYTES:
        yield _open(aead, index, _MORE, sealed[:SEALED_CHUNK_BYTES])
        sealed = sealed[SEALED_CHUNK_BYTES:]
        index += 1
    yield from _open_end(aead, index, sealed)


def encrypt_payload(file_key: FileKey, plaintext: Buffer) -> bytes:
    """A whole payload, nonce first, of a plaintext in memory."""
    writer = PayloadWriter(file_key)
    view = memoryview(plaintext).cast("B")
    parts = [writer.nonce]
    while len(view) > CHUNK_BYTES:
        parts.append(writer.seal_chunk(view[:CHUNK_BYTES]))
        view = view[CHUNK_BYTES:]
    parts.append(writer.finish(view))
    return b"".join(parts)


def _open_end(aead: ChaCha20Poly1305, index: int, sealed: memoryview) -> Iterator[bytes]:
    """The last chunk; when it isn't flagged as the last, it may still be a genuine chunk of a cut payload."""
    try:
        last = _open(aead, index, _LAST, sealed)
    except AgePayloadError:
        if len(sealed) == SEALED_CHUNK_BYTES:
            yield _open(aead, index, _MORE, sealed)
            raise AgeTruncated("payload ends before its last chunk") from None
        raise
    if index and not last:
        raise AgePayloadError("last chunk is empty")
    yield last


def _open(aead: ChaCha20Poly1305, index: int, flag: bytes, sealed: memoryview) -> bytes:
    try:
        return aead.decrypt(index.to_bytes(_COUNTER_BYTES, "big") + flag, sealed, None)
    except InvalidTag:
        raise AgePayloadError(f"chunk {index} was altered or cut") from None


def _payload_aead(file_key: FileKey, nonce: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(hkdf(_checked_key(file_key), _checked_nonce(nonce), b"payload"))


def _checked_key(file_key: FileKey) -> FileKey:
    if len(file_key) != FILE_KEY_BYTES:
        raise AgeKeyError("file key isn't 16 bytes")
    return file_key


def _checked_nonce(nonce: bytes) -> bytes:
    if len(nonce) != NONCE_BYTES:
        raise AgeKeyError("payload nonce isn't 16 bytes")
    return nonce
