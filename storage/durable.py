"""Writing and erasing files so that an acknowledgement survives a power cut: temp, fdatasync, rename, fsync folder.

Every OSError becomes one declared StorageUnavailable. Modes are 0600 and 0700 whatever the umask. Blocking.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from storage.errors import BlobExists, BlobMissing, StorageUnavailable

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
TEMP_SUFFIX: Final = ".tmp"
_OVERWRITE_BYTES: Final = 1 << 20


@contextlib.contextmanager
def declared(doing: str) -> Iterator[None]:
    """Turn an OSError into StorageUnavailable: `doing` says what failed, the cause is its errno's name only."""
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"can't {doing}: {os.strerror(error.errno or 0).lower()}") from None


def make_folder(folder: Path, root: Path) -> None:
    """`folder` and those between it and `root`, each entry durable; cheap when it is there."""
    if folder.is_dir():
        return
    if folder != root:
        make_folder(folder.parent, root)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, FOLDER_MODE)
    os.chmod(folder, FOLDER_MODE)
    if folder.parent.is_dir():
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and unlinks in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write every byte; a short write goes on where it ended."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def put(path: Path, data: bytes, root: Path, *, replace: bool = False) -> None:
    """Write a whole file durably. Raises BlobExists (unless the same bytes stand there), StorageUnavailable."""
    with declared("write a file"):
        make_folder(path.parent, root)
        if not replace and path.exists():
            if path.read_bytes() == data:
                sync_folder(path.parent)  # whoever wrote it may have died before its name was durable
                return
            raise BlobExists("blob is there already with other content")
        temp = path.with_name(path.name + TEMP_SUFFIX)
        try:
            _write_temp(temp, data)
            os.rename(temp, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temp)
            raise
        sync_folder(path.parent)


def read(path: Path) -> bytes:
    """A whole file. Raises BlobMissing, StorageUnavailable."""
    with declared("read a file"):
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise BlobMissing("no such blob, or it was erased") from None


def erase(path: Path, *, overwrite: bool) -> bool:
    """Unlink durably; `overwrite` first is best effort, since disks and file systems copy. False: it wasn't there.

    Repeated after a crash it makes durable what the first time may not have come to.
    """
    with declared("erase a file"):
        if not path.parent.is_dir():
            return False
        if overwrite:
            with contextlib.suppress(OSError):
                _overwrite(path)
        try:
            os.unlink(path)
            there = True
        except FileNotFoundError:
            there = False
        sync_folder(path.parent)
        return there


def erase_with_temp(path: Path, *, overwrite: bool) -> None:
    """Erase a file and what an unfinished `put` of it may have left."""
    erase(path.with_name(path.name + TEMP_SUFFIX), overwrite=overwrite)
    erase(path, overwrite=overwrite)


def drop_empty(folder: Path) -> None:
    """Remove a folder that holds nothing any more; leave it where something does."""
    with contextlib.suppress(OSError):
        os.rmdir(folder)
        sync_folder(folder.parent)


def _write_temp(temp: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temp, flags, FILE_MODE)
    try:
        os.fchmod(descriptor, FILE_MODE)
        write_all(descriptor, data)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _overwrite(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        left = os.fstat(descriptor).st_size
        while left > 0:
            left -= os.write(descriptor, bytes(min(left, _OVERWRITE_BYTES)))
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
