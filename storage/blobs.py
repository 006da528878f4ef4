"""Immutable objects of recordings on the local disk, `recordings/{aa}/{id}/{side}-{seg}` + `Kind`.

A payload grows as `.payload.part`, each append durable before it returns, and is renamed once complete. What opens a
payload lies apart (`vault`). Blocking: call from a thread. Any number of processes may write different segments.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from storage import durable
from storage.errors import BlobExists, BlobMissing, BlobStateError, StorageUnavailable
from storage.names import SegmentKey, folder_of, is_id

_COPY_BYTES: Final = 1 << 20


class Kind(StrEnum):
    """What an object is, and its suffix."""

    PAYLOAD = ".payload"
    PART = ".payload.part"
    """A payload whose writer hasn't sealed it."""
    MANIFEST = ".manifest.json"
    SIGNATURE = ".manifest.sig"


@dataclass(frozen=True, slots=True)
class Stored:
    """One object of the inventory."""

    key: SegmentKey
    kind: Kind
    size: int


class PayloadFile:
    """The payload of one side and segment while it is written. One thread at a time."""

    __slots__ = ("_descriptor", "_final", "_hash", "_over", "_part", "_root", "size")

    def __init__(self, part: Path, final: Path, root: Path) -> None:
        self._part, self._final, self._root = part, final, root
        self._descriptor: int | None = None
        self._hash = hashlib.sha256()
        self._over = False
        self.size = 0
        """Bytes acknowledged so far."""

    def append(self, data: bytes) -> None:
        """Write and fdatasync; the first call makes the file. Raises BlobExists, BlobStateError, StorageUnavailable.

        After a failure nothing more is taken, but `seal` still ends the file after the last acknowledged append.
        """
        if self._over:
            raise BlobStateError("payload takes no more")
        try:
            with durable.declared("write a payload"):
                descriptor = self._opened()
                durable.write_all(descriptor, data)
                os.fdatasync(descriptor)
        except StorageUnavailable:
            self._over = True
            raise
        self._hash.update(data)
        self.size += len(data)

    def seal(self) -> tuple[str, int]:
        """Fsync, rename to `.payload`, fsync the folder: (SHA-256 hex, bytes). BlobStateError, StorageUnavailable."""
        if self._descriptor is None or not self.size:
            raise BlobStateError("payload holds nothing to seal")
        self._over = True
        with durable.declared("seal a payload"):
            os.ftruncate(self._descriptor, self.size)  # a failed append may have left a part of itself
            os.fsync(self._descriptor)
            self._close()
            _rename_new(self._part, self._final)
        return self._hash.hexdigest(), self.size

    def discard(self) -> None:
        """Unlink what was written; harmless when repeated."""
        self._over = True
        with durable.declared("discard a payload"):
            self._close()
        durable.erase(self._part, overwrite=False)

    def _opened(self) -> int:
        if self._descriptor is None:
            durable.make_folder(self._part.parent, self._root)
            if self._final.exists():
                raise BlobExists("payload is there already")
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                self._descriptor = os.open(self._part, flags, durable.FILE_MODE)
            except FileExistsError:
                raise BlobExists("payload was begun already") from None
            os.fchmod(self._descriptor, durable.FILE_MODE)
            durable.sync_folder(self._part.parent)
        return self._descriptor

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class LocalBlobs:
    """Recordings' objects under `root` (the data folder), apart from the vault."""

    def __init__(self, root: Path) -> None:
        self._base = root
        self.root: Final = root / "recordings"

    def payload(self, recording: str, side: str, seg: int) -> PayloadFile:
        """A writer for a new payload; touches nothing before the first append. Raises BlobNameError."""
        key = SegmentKey(recording, seg, side)
        return PayloadFile(self.path(key, Kind.PART), self.path(key, Kind.PAYLOAD), self._base)

    def path(self, key: SegmentKey, kind: Kind) -> Path:
        """Where an object lies, or would."""
        return self.root / folder_of(key.recording) / (key.stem + kind)

    def put(self, key: SegmentKey, kind: Kind, data: bytes) -> None:
        """Write an object durably, once; the same bytes again are welcome. Raises BlobExists, StorageUnavailable."""
        durable.put(self.path(key, kind), data, self._base)

    def replace(self, key: SegmentKey, kind: Kind, data: bytes) -> None:
        """Write an object durably over an earlier one: a manifest that was never signed. Raises StorageUnavailable."""
        durable.put(self.path(key, kind), data, self._base, replace=True)

    def read(self, key: SegmentKey, kind: Kind) -> bytes:
        """A whole object. Raises BlobMissing, StorageUnavailable."""
        return durable.read(self.path(key, kind))

    def size(self, key: SegmentKey, kind: Kind) -> int | None:
        """Bytes of an object, None where there is none."""
        with durable.declared("look at a blob"):
            try:
                return self.path(key, kind).stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None

    def digest(self, key: SegmentKey) -> tuple[str, int]:
        """SHA-256 (hex) and size of a sealed payload, read in pieces. Raises BlobMissing, StorageUnavailable."""
        sha256 = hashlib.sha256()
        size = 0
        with durable.declared("read a payload"):
            try:
                with self.path(key, Kind.PAYLOAD).open("rb") as file:
                    while piece := file.read(_COPY_BYTES):
                        sha256.update(piece)
                        size += len(piece)
            except FileNotFoundError:
                raise BlobMissing("no such blob, or it was erased") from None
        return sha256.hexdigest(), size

    def salvage(self, key: SegmentKey, size: int) -> None:
        """Cut an abandoned `.payload.part` to `size` bytes and seal it. BlobMissing, BlobExists, StorageUnavailable."""
        part = self.path(key, Kind.PART)
        with durable.declared("salvage a payload"):
            try:
                descriptor = os.open(part, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                raise BlobMissing("no payload was begun") from None
            try:
                os.ftruncate(descriptor, size)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            _rename_new(part, self.path(key, Kind.PAYLOAD))

    def erase(self, key: SegmentKey) -> None:
        """Unlink all objects of one side and segment, payload first; harmless when repeated."""
        for kind in (Kind.PART, Kind.PAYLOAD, Kind.MANIFEST, Kind.SIGNATURE):
            durable.erase_with_temp(self.path(key, kind), overwrite=False)

    def erase_recording(self, recording: str) -> None:
        """Unlink everything of a recording, leftovers of unfinished writes too, and its folder."""
        erase_folder(self.root / folder_of(recording), overwrite=False)

    def inventory(self) -> Iterator[Stored]:
        """Every object that lies here, in the order of names; temporary and strangers' files are passed over."""
        for recording in recordings_under(self.root):
            yield from self.of_recording(recording)

    def of_recording(self, recording: str) -> list[Stored]:
        """The objects of one recording, in the order of names."""
        found = []
        for path in files_of(self.root / folder_of(recording)):
            stem, dot, suffix = path.name.partition(".")
            key = SegmentKey.parse(recording, stem)
            if key is not None and dot + suffix in list(Kind):
                with contextlib.suppress(FileNotFoundError):
                    found.append(Stored(key, Kind(dot + suffix), path.stat().st_size))
        return found


def recordings_under(root: Path) -> list[str]:
    """Ids of the recordings that have a folder below `root/{aa}`."""
    with durable.declared("list recordings"):
        return sorted(path.name for path in root.glob("[0-9a-f][0-9a-f]/*") if is_id(path.name) and path.is_dir())


def files_of(folder: Path) -> list[Path]:
    """The files of a folder in the order of names; none where there is no folder."""
    with durable.declared("list a folder"):
        return sorted(folder.iterdir()) if folder.is_dir() else []


def erase_folder(folder: Path, *, overwrite: bool) -> None:
    """Erase all files of a recording's folder and of those in it, then the folders."""
    for path in files_of(folder):
        if path.is_dir() and not path.is_symlink():
            erase_folder(path, overwrite=overwrite)
        else:
            durable.erase(path, overwrite=overwrite)
    durable.drop_empty(folder)


def _rename_new(part: Path, final: Path) -> None:
    if final.exists():
        raise BlobExists("payload is there already")
    os.rename(part, final)
    durable.sync_folder(final.parent)
