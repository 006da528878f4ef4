"""What opens a recording: `vault/{aa}/{id}/{side}-{seg}.header|.opening|.quorum`, kept outside every backup.

Beside them, while a coach may hear it, `releases/{release}-{side}-{seg}.header`: the file key, wrapped once more.

Shredding a recording is destroying these (crypto.md §1): they are overwritten (best effort) and unlinked before any
payload is touched. Blocking: call from a thread.
"""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from storage import durable
from storage.blobs import erase_folder, files_of, recordings_under
from storage.names import SIDES, SegmentKey, check_id, folder_of


class Secret(StrEnum):
    """What an object is, and its suffix."""

    HEADER = ".header"
    """The age header: the file key, wrapped to the recipients."""
    OPENING = ".opening"
    """The manifest's private part and its salt, encrypted to the owner."""
    QUORUM = ".quorum"
    """The file key for council and data-protection officer together (`crypto.quorum`)."""


ASKED: Final = ".erase"
"""A note that a side is to be erased: it lies here because a backup would forget it."""

HOLD: Final = ".hold"
"""A note of a hold: without it, an older index would let retention destroy what somebody holds."""
ORPHAN: Final = "orphan"
"""A note since when a recording has no row."""


class LocalVault:
    """Headers, openings and quorum objects under `root` (the data folder)."""

    def __init__(self, root: Path) -> None:
        self._base = root
        self.root: Final = root / "vault"

    def path(self, key: SegmentKey, secret: Secret) -> Path:
        """Where an object lies, or would."""
        return self.root / folder_of(key.recording) / (key.stem + secret)

    def put(self, key: SegmentKey, secret: Secret, data: bytes) -> None:
        """Write an object durably, once. Raises BlobExists, StorageUnavailable."""
        durable.put(self.path(key, secret), data, self._base)

    def replace(self, key: SegmentKey, secret: Secret, data: bytes) -> None:
        """Write an object durably over an earlier one: an opening whose manifest was never signed."""
        durable.put(self.path(key, secret), data, self._base, replace=True)

    def read(self, key: SegmentKey, secret: Secret) -> bytes:
        """A whole object. Raises BlobMissing, StorageUnavailable."""
        return durable.read(self.path(key, secret))

    def holds(self, key: SegmentKey, secret: Secret) -> bool:
        """Whether an object is there."""
        return self.path(key, secret).is_file()

    def release_path(self, release: str, key: SegmentKey) -> Path:
        """Where a release's header lies, or would."""
        return self._releases(key.recording) / f"{check_id(release)}-{key.stem}{Secret.HEADER}"

    def put_release(self, release: str, key: SegmentKey, header: bytes) -> None:
        """Write a release's header durably, once. Raises BlobExists, StorageUnavailable."""
        durable.put(self.release_path(release, key), header, self._base)

    def read_release(self, release: str, key: SegmentKey) -> bytes:
        """A release's header. Raises BlobMissing, StorageUnavailable."""
        return durable.read(self.release_path(release, key))

    def erase_release(self, release: str, recording: str) -> None:
        """Destroy all headers of a release; harmless when repeated."""
        self._erase_releases(recording, f"{check_id(release)}-*")

    def erase_releases(self) -> None:
        """Destroy the headers of every release there is; harmless when repeated."""
        for recording in recordings_under(self.root):
            self._erase_releases(recording, "*")

    def erase(self, key: SegmentKey) -> None:
        """Destroy the objects of one side and segment, released or not; harmless when repeated."""
        for secret in Secret:
            durable.erase_with_temp(self.path(key, secret), overwrite=True)
        self._erase_releases(key.recording, f"*-{key.stem}{Secret.HEADER}*")

    def erase_recording(self, recording: str) -> None:
        """Destroy everything that opens any side or segment of a recording, leftovers of unfinished writes too."""
        erase_folder(self.root / folder_of(recording), overwrite=True)

    # --- notes that no backup may forget ---

    def ask(self, recording: str, side: str, at: datetime) -> None:
        """Note that a side is to be erased; the first note counts. Raises StorageUnavailable."""
        path = self._asked(recording, side)
        if not path.exists():
            durable.put(path, f"{at.astimezone(UTC).isoformat()}\n".encode(), self._base, replace=True)

    def asked(self) -> list[tuple[str, str, datetime]]:
        """Every note: recording, side, since when; one that can't be read is as old as its file."""
        found = []
        for recording in recordings_under(self.root):
            for path in files_of(self.root / folder_of(recording)):
                if path.suffix == ASKED and path.stem in SIDES:
                    found.append((recording, path.stem, _since(path)))
        return found

    def asked_no_more(self, recording: str, side: str) -> None:
        """Take the note away; harmless when repeated."""
        durable.erase_with_temp(self._asked(recording, side), overwrite=False)
        durable.drop_empty(self.root / folder_of(recording))

    def note_hold(self, recording: str, by: str, data: bytes) -> None:
        """Note a hold, over an earlier one of the same hand. Raises StorageUnavailable."""
        durable.put(self.root / folder_of(recording) / (by + HOLD), data, self._base, replace=True)

    def held(self) -> list[tuple[str, bytes]]:
        """Every hold that was noted: recording, and what was noted."""
        found = []
        for recording in recordings_under(self.root):
            paths = files_of(self.root / folder_of(recording))
            found += [(recording, durable.read(path)) for path in paths if path.suffix == HOLD]
        return found

    def drop_hold(self, recording: str, by: str) -> None:
        """The hold was lifted; harmless when repeated."""
        durable.erase_with_temp(self.root / folder_of(recording) / (by + HOLD), overwrite=False)

    def noticed(self, recording: str, at: datetime) -> datetime:
        """When a recording was first seen to have no row: now, where it wasn't before. Raises StorageUnavailable."""
        path = self.root / folder_of(recording) / ORPHAN
        if not path.exists():
            durable.put(path, f"{at.astimezone(UTC).isoformat()}\n".encode(), self._base, replace=True)
        return _since(path)

    def noticed_no_more(self, recording: str) -> None:
        """It has a row."""
        path = self.root / folder_of(recording) / ORPHAN
        if path.exists():
            durable.erase(path, overwrite=False)

    def _asked(self, recording: str, side: str) -> Path:
        return self.root / folder_of(recording) / (side + ASKED)

    # --- looking ------------------------------------------------------------------------------------------------------

    def _releases(self, recording: str) -> Path:
        return self.root / folder_of(recording) / "releases"

    def _erase_releases(self, recording: str, names: str) -> None:
        folder = self._releases(recording)
        with durable.declared("list a folder"):
            found = sorted(folder.glob(names))
        for path in found:
            durable.erase(path, overwrite=True)
        durable.drop_empty(folder)

    def inventory(self) -> list[tuple[SegmentKey, Secret]]:
        """Every object that lies here, in the order of names."""
        return [found for recording in recordings_under(self.root) for found in self.of_recording(recording)]

    def of_recording(self, recording: str) -> list[tuple[SegmentKey, Secret]]:
        """The objects of one recording, in the order of names."""
        found = []
        for path in files_of(self.root / folder_of(recording)):
            key = SegmentKey.parse(recording, path.stem)
            if key is not None and path.suffix in list(Secret):
                found.append((key, Secret(path.suffix)))
        return found


def _since(path: Path) -> datetime:
    try:
        found = datetime.fromisoformat(path.read_text(encoding="ascii").strip())
        if found.tzinfo is not None:
            return found
    except (OSError, ValueError):
        pass
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
