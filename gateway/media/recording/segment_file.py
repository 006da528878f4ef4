"""One side's segment as an age file: what opens it into the vault first, then the payload, chunk by durable chunk.

The file key is made here, known to nobody else, and forgotten at the end. Blocking: everything runs in the writer
thread. A stream is never resumed (crypto.md §1).
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from crypto import quorum
from crypto.age import make_header
from crypto.stream import CHUNK_BYTES, PayloadWriter, new_file_key
from crypto.x25519 import Recipient
from gateway.media.plane import Quorum
from gateway.media.recording.container import container
from gateway.media.recording.timeline import Piece
from gateway.rtp.payload_types import Codec
from storage.errors import StorageError
from storage.names import SegmentKey
from storage.vault import Secret


class Payload(Protocol):
    """What `storage.blobs.PayloadFile` does."""

    def append(self, data: bytes) -> None: ...

    def seal(self) -> tuple[str, int]: ...

    def discard(self) -> None: ...


class Payloads(Protocol):
    """What `storage.blobs.LocalBlobs` does for a worker."""

    def payload(self, recording: str, side: str, seg: int) -> Payload: ...


class Headers(Protocol):
    """What `storage.vault.LocalVault` does for a worker."""

    def put(self, key: SegmentKey, secret: Secret, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Opened:
    """What stands once header and nonce are durable."""

    key_commit: str
    stanzas: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """What the manifest says of the payload object."""

    sha256: str
    size: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Openers:
    """Whom a segment is encrypted to. Raises CryptoError for a recipient that isn't one, StorageError for none."""

    owners: Sequence[Recipient]
    """In the order of the header's stanzas."""
    council: Sequence[Recipient] = ()
    dpo: Recipient | None = None
    """With the council, who opens the quorum object; None: there is none."""

    @classmethod
    def parse(cls, recipients: Sequence[str], together: Quorum | None) -> Self:
        """Read an order's `age1…` recipients."""
        owners = [Recipient.parse(text) for text in recipients]
        if not owners or (together is not None and not together.council):
            raise StorageError("no recipient")
        if together is None:
            return cls(owners)
        return cls(owners, [Recipient.parse(text) for text in together.council], Recipient.parse(together.dpo))


class SegmentFile:
    """Header, quorum object and payload of one side's segment, while they are written."""

    def __init__(self, key: SegmentKey, codec: Codec, openers: Openers, payloads: Payloads, headers: Headers) -> None:
        self._key, self._openers = key, openers
        self._container = container(codec)
        self._headers = headers
        self._payload = payloads.payload(key.recording, key.side, key.seg)
        self._writer: PayloadWriter | None = None
        self._buffer = bytearray()
        self._chunks = 0

    @property
    def container(self) -> str:
        """What the manifest calls the container."""
        return self._container.name

    def open(self) -> Opened:
        """Make the key and what opens it; raises CryptoError and StorageError, as all the others do."""
        file_key = new_file_key()
        writer = PayloadWriter(file_key)
        if self._openers.dpo is not None:
            together = quorum.seal(file_key, self._openers.council, self._openers.dpo)
            self._headers.put(self._key, Secret.QUORUM, together)
        self._headers.put(self._key, Secret.HEADER, make_header(file_key, self._openers.owners))
        self._payload.append(writer.nonce)
        self._writer = writer
        self._buffer += self._container.header()
        return Opened(writer.key_commit.hex(), len(self._openers.owners))

    def add(self, pieces: Sequence[Piece]) -> None:
        """Take audio; every chunk that is full, and isn't the last, is on disk when this returns."""
        for piece in pieces:
            if isinstance(piece, bytes):
                self._buffer += self._container.audio(piece)
                self._write_full_chunks()
            else:
                for silence in self._container.silence(piece):
                    self._buffer += silence
                    self._write_full_chunks()

    def seal(self) -> Sealed:
        """Write the last chunk, end the object, forget the key."""
        writer = self._opened()
        self._buffer += self._container.end()
        self._write_full_chunks()
        self._payload.append(writer.finish(self._buffer))
        self._forget()
        sha256, size = self._payload.seal()
        return Sealed(sha256, size, writer.chunks)

    def abandon(self) -> None:
        """After a failure: forget the key, keep the genuine prefix of whole chunks if there is one."""
        chunks = self._chunks
        self._forget()
        with contextlib.suppress(StorageError):
            if chunks:
                self._payload.seal()
            else:
                self._payload.discard()

    def discard(self) -> None:
        """Forget the key and unlink the payload; the header is the gateway's to erase."""
        self._forget()
        self._payload.discard()

    def _write_full_chunks(self) -> None:
        # a full chunk may still turn out to be the last, so one byte more is waited for
        while len(self._buffer) > CHUNK_BYTES:
            self._payload.append(self._opened().seal_chunk(bytes(self._buffer[:CHUNK_BYTES])))
            self._chunks += 1
            del self._buffer[:CHUNK_BYTES]

    def _opened(self) -> PayloadWriter:
        if self._writer is None:
            raise RuntimeError("segment file isn't open")
        return self._writer

    def _forget(self) -> None:
        if self._writer is not None:
            self._writer.drop()
            self._writer = None
        self._buffer.clear()
