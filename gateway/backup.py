"""`backup`: one folder with all that a site needs to go on, made while it serves or not; the vault is never in it.

The database first, then what it names: files are written before their rows, and the log's files only grow. So whatever
happens meanwhile, nothing that the copy speaks of is newer than it. What is erased meanwhile isn't in it.
"""

import asyncio
import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import select

from crypto.checkpoint import open_checkpoint
from crypto.errors import CryptoError
from crypto.ssh_key import SigningKey
from crypto.tlog_tiles import encode_bundle, encode_hashes, tiles_of
from crypto.x25519 import Recipient
from gateway.config import Config
from storage import durable, gateway_key, migrations
from storage.backup import contents, copying
from storage.backup.databases import copy_rows, forget_unsaved, snapshot_file, sqlite_file, sqlite_path
from storage.blobs import Kind, LocalBlobs
from storage.database import Database
from storage.durable import declared
from storage.errors import BackupRefused, BlobMissing, LogBroken, LogEntryUnknown
from storage.log.files import CHECKPOINT, LocalLogFiles
from storage.log.tiles import PublishedTree
from storage.log.wal import known_logs
from storage.names import SegmentKey, folder_of
from storage.recording import GOING, SegmentState
from storage.tables import recordings, segments

__all__ = ["Made", "Tell", "make"]

CONFIG: Final = "fairtap.toml"
HOUSE: Final = ("keys", "announcements")
"""Folders of the site's own small files."""
PROTECTED: Final = "protected.hashes"
UNFINISHED: Final = "unfinished"
_PRIVATE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
Tell = Callable[[str, int, int], None]
"""Hears what is being done, how much of it, of how much."""


@dataclass(slots=True)
class Made:
    """What a backup came to."""

    folder: str
    made: str
    files: int = 0
    bytes: int = 0
    recordings: int = 0
    """Sides and segments."""
    sealed: bool = False
    gone: int = 0
    """Sides and segments that were erased meanwhile."""
    damaged: list[str] = field(default_factory=list)
    """What doesn't lie there as its signed manifest or checkpoint says, and isn't in the backup."""
    gateway: str = ""
    """Fingerprint of the key that signed the list."""


def make(
    config: Config,
    config_file: Path | None,
    out: Path,
    *,
    also: Mapping[str, Path],
    recipients: Sequence[Recipient],
    at: datetime,
    tell: Tell,
) -> Made:
    """Make a backup at `out`, which mustn't be there. Raises BackupRefused, StorageError.

    `also`: files of other processes, by their names in the backup. With `recipients` everything that tells a name, a
    key or a setting is an age file; audio is sealed to its owners anyhow.
    """
    data_dir = config.site.data_dir.absolute()
    out = out.absolute()
    if out.exists():
        raise BackupRefused(f"`{out}` is there already: a backup is never written over")
    if out.is_relative_to(data_dir):
        raise BackupRefused(f"`{out}` lies in the data folder: name a place outside, best on another disk")
    if not out.parent.is_dir():
        raise BackupRefused(f"`{out.parent}` is no folder")
    key = _key(data_dir)
    with _unfinished(out.with_name(f"{out.name}.part")) as part, _scratch(data_dir) as scratch:
        one = _Making(config, data_dir, part, scratch, key, tuple(recipients), tell, Made(str(out), _instant(at)))
        one.run(config_file, also)
        with declared("make the backup durable"):
            os.sync()
            os.rename(part, out)
            durable.sync_folder(out.parent)
    return one.made


@dataclass(slots=True)
class _Making:
    config: Config
    data_dir: Path
    part: Path
    scratch: Path
    key: SigningKey
    recipients: tuple[Recipient, ...]
    tell: Tell
    made: Made
    files: dict[str, str] = field(default_factory=dict)
    """Name in the backup → SHA-256."""

    def run(self, config_file: Path | None, also: Mapping[str, Path]) -> None:
        database = self.scratch / contents.DATABASE
        self._database(database)
        with sqlite_file(database) as connection:
            schema = migrations.revision(connection) or ""
            origins = list(known_logs(connection))
            query = select(segments.c.recording, segments.c.seg, segments.c.side, segments.c.sha256)
            query = query.join(recordings, recordings.c.id == segments.c.recording).where(
                segments.c.state == SegmentState.SEALED.value, recordings.c.state.not_in([one.value for one in GOING])
            )
            sealed = [(SegmentKey(row.recording, row.seg, row.side), row.sha256) for row in connection.execute(query)]
        self._private(contents.DATABASE, database)
        for name, path in also.items():
            self._private(name, path)
        if config_file is not None:
            self._private(CONFIG, config_file)
        for path in [path for folder in HOUSE for path in sorted((self.data_dir / folder).glob("*"))]:
            if path.is_file() and _PRIVATE.fullmatch(path.name) and path.suffix != durable.TEMP_SUFFIX:
                self._private(f"{path.parent.name}/{path.name}", path)
        if (self.data_dir / PROTECTED).is_file():
            self._private(PROTECTED, self.data_dir / PROTECTED)
        for origin in origins:
            self._log(origin)
        for done, (key, sha256) in enumerate(sorted(sealed)):
            self._segment(key, sha256)
            self.tell("recordings", done + 1, len(sealed))
        self.made.files, self.made.sealed = len(self.files), bool(self.recipients)
        self.made.gateway = self.key.verify_key.fingerprint()
        said = {
            "site": self.config.site.name,
            "made": self.made.made,
            "gateway": gateway_key.vkey(f"{self.config.site.name}/fairtap", self.key.verify_key),
            "schema": schema,
        }
        contents.write(self.part, self.files, self.made.bytes, self.key, **said)
        durable.erase(self.part / UNFINISHED, overwrite=False)

    def _database(self, target: Path) -> None:
        source = sqlite_path(self.config.database_url)
        if source is not None:
            if not source.is_file():
                raise BackupRefused(f"there is no database at `{source}`: run `fairtap init` first")
            snapshot_file(source, target, told=lambda done, total: self.tell("database", done, total))
        else:
            asyncio.run(self._rows(target))
        with sqlite_file(target) as connection:
            if migrations.steps(connection):
                raise BackupRefused("database is of an older revision than this version: run `fairtap migrate` first")
        forget_unsaved(target)

    async def _rows(self, target: Path) -> None:
        database = await Database.open(self.config.database_url, read_only=True)
        try:
            if await database.read(migrations.steps):
                raise BackupRefused("database is of an older revision than this version: run `fairtap migrate` first")
            with sqlite_file(target, new=True) as connection:
                told = lambda done, total: self.tell("database", done, total)  # noqa: E731 - a name for one line
                await database.read(lambda source: copy_rows(source, connection, told))
        finally:
            await database.close()

    def _private(self, name: str, source: Path) -> None:
        try:
            if self.recipients:
                name += contents.SEALED
                self._listed(name, *copying.seal(source, self.part / name, self.recipients))
            else:
                self._listed(name, *copying.copy(source, self.part / name))
        except FileNotFoundError:
            raise BackupRefused(f"`{source}` went away while it was copied") from None

    def _log(self, origin: str) -> None:
        files = LocalLogFiles(self.data_dir)
        try:
            note = files.checkpoint(origin)
        except LogEntryUnknown:
            return  # nothing of it is published
        try:
            checkpoint = open_checkpoint(note, origin, self.key.verify_key)[0]
            tree = PublishedTree(files, origin, checkpoint.size)
            for tile in tiles_of(checkpoint.size):
                whole = (
                    encode_bundle(tree.bundle(tile.index)) if tile.level is None else encode_hashes(tree.hashes(tile))
                )
                self._listed(
                    f"log/{origin}/{tile.path}", *copying.write(self.part / "log" / origin / tile.path, [whole])
                )
                self.tell("log", len(self.files), len(self.files))
        except (CryptoError, LogBroken, LogEntryUnknown):
            self.made.damaged.append(f"log/{origin}")
            return
        self._listed(f"log/{origin}/{CHECKPOINT}", *copying.write(self.part / "log" / origin / CHECKPOINT, [note]))

    def _segment(self, key: SegmentKey, sha256: str) -> None:
        blobs = LocalBlobs(self.data_dir)
        copied: dict[str, tuple[str, int]] = {}
        try:
            for kind in (Kind.PAYLOAD, Kind.MANIFEST, Kind.SIGNATURE):
                name = f"recordings/{folder_of(key.recording)}/{key.stem}{kind}"
                copied[name] = copying.copy(blobs.path(key, kind), self.part / name)
        except FileNotFoundError:
            self.made.gone += 1
            self._drop(copied)
            return
        payload = next(iter(copied.values()))[0]
        if payload != sha256:
            self.made.damaged.append(next(iter(copied)))
            self._drop(copied)
            return
        for name, (digest, size) in copied.items():
            self._listed(name, digest, size)
        self.made.recordings += 1

    def _drop(self, names: Mapping[str, object]) -> None:
        for name in names:
            durable.erase(self.part / name, overwrite=False)

    def _listed(self, name: str, digest: str, size: int) -> None:
        self.files[name] = digest
        self.made.bytes += size


def _key(data_dir: Path) -> SigningKey:
    try:
        return gateway_key.load(data_dir)
    except BlobMissing:
        raise BackupRefused(f"`{data_dir}` isn't set up: there is nothing to back up") from None


@contextlib.contextmanager
def _unfinished(part: Path) -> Iterator[Path]:
    """The folder that becomes the backup; what a killed run left of it goes first, and so does what failed."""
    with declared("make the backup's folder"):
        if part.exists():
            left = {path.name for path in part.iterdir()}
            if left and not left & {UNFINISHED, contents.LIST}:
                raise BackupRefused(f"`{part}` is in the way, and isn't what an earlier backup left")
            (part / UNFINISHED).touch(mode=durable.FILE_MODE)
            with _held(part / UNFINISHED):
                _sweep(part)
        part.mkdir(mode=durable.FOLDER_MODE)
        (part / UNFINISHED).touch(mode=durable.FILE_MODE)
    try:
        with _held(part / UNFINISHED):
            yield part
    except BaseException:
        with contextlib.suppress(OSError):
            _sweep(part)
        raise


def _sweep(part: Path) -> None:
    """Remove what isn't a backup yet; the mark goes last, so that whoever is killed in here may try again."""
    for path in part.iterdir():
        if path.name != UNFINISHED:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (part / UNFINISHED).unlink(missing_ok=True)
    part.rmdir()


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupRefused("another backup is being written there") from None
        yield


@contextlib.contextmanager
def _scratch(data_dir: Path) -> Iterator[Path]:
    """Where copies lie in the open before they are sealed: under the same roof as what they are copies of."""
    with declared("make a scratch folder"):
        durable.make_folder(data_dir / "run", data_dir)
        folder = Path(tempfile.mkdtemp(prefix="backup-", dir=data_dir / "run"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
