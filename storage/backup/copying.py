"""Copies files into a backup and out of it, in pieces, hashed on the way; sealed to recipients where there are any.

What is written isn't durable yet: whoever has copied everything syncs once.
"""

import hashlib
import mmap
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from crypto import age
from crypto.errors import AgeError
from crypto.stream import CHUNK_BYTES, PayloadWriter, new_file_key, read_chunks
from crypto.x25519 import Identity, Recipient
from storage import durable
from storage.backup.contents import Progress
from storage.errors import BackupBroken

_PIECE: Final = 1 << 20
Read = Callable[[int], bytes]


def copy(source: Path, target: Path, progress: Progress = lambda _: None) -> tuple[str, int]:
    """Copy a file to `target`; SHA-256 (hex) and bytes. Raises FileNotFoundError, StorageUnavailable."""
    with source.open("rb") as file:
        return write(target, _pieces(file.read), progress)


def seal(source: Path, target: Path, recipients: Sequence[Recipient]) -> tuple[str, int]:
    """The same as an age file that only `recipients` open."""
    with source.open("rb") as file:
        return write(target, _sealed(file.read, recipients))


def unseal(source: Path, target: Path, identities: Sequence[Identity]) -> None:
    """Copy what is in an age file. Raises BackupBroken, also where no identity opens it, StorageUnavailable."""
    with durable.declared("read a backup"), source.open("rb") as file:
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        header, payload = age.split_header(memoryview(view))
        temp = target.with_name(target.name + durable.TEMP_SUFFIX)
        write(temp, read_chunks(age.open_header(bytes(header), identities), payload))
    except AgeError as error:
        raise BackupBroken(f"`{source.name}` can't be opened: {error}") from None
    with durable.declared("write a restored file"):
        os.replace(temp, target)


def put_back(source: Path, target: Path, expected: str, progress: Progress = lambda _: None) -> None:
    """Copy a file out of a backup over whatever an earlier try left; at its name only when it is whole.

    Raises BackupBroken where it isn't the file that was verified, StorageUnavailable.
    """
    temp = target.with_name(target.name + durable.TEMP_SUFFIX)
    try:
        digest, _ = copy(source, temp, progress)
    except FileNotFoundError:
        raise BackupBroken(f"`{source.name}` went away while it was restored") from None
    if digest != expected:
        durable.erase(temp, overwrite=False)
        raise BackupBroken(f"`{source.name}` changed while it was restored")
    with durable.declared("write a restored file"):
        os.replace(temp, target)


def write(target: Path, pieces: Iterable[bytes], progress: Progress = lambda _: None) -> tuple[str, int]:
    """Write a file in pieces; SHA-256 (hex) and bytes. Raises StorageUnavailable."""
    sha256, size = hashlib.sha256(), 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with durable.declared("write a copy"):
        target.parent.mkdir(mode=durable.FOLDER_MODE, parents=True, exist_ok=True)
        descriptor = os.open(target, flags, durable.FILE_MODE)
        try:
            for piece in pieces:
                durable.write_all(descriptor, piece)
                sha256.update(piece)
                size += len(piece)
                progress(len(piece))
        finally:
            os.close(descriptor)
    return sha256.hexdigest(), size


def _pieces(read: Read) -> Iterator[bytes]:
    while piece := read(_PIECE):
        yield piece


def _sealed(read: Read, recipients: Sequence[Recipient]) -> Iterator[bytes]:
    file_key = new_file_key()
    writer = PayloadWriter(file_key)
    yield age.make_header(file_key, recipients) + writer.nonce
    held = read(CHUNK_BYTES)
    while len(held) == CHUNK_BYTES and (more := read(CHUNK_BYTES)):
        yield writer.seal_chunk(held)
        held = more
    yield writer.finish(held)
