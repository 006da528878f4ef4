"""`restore`: a verified backup becomes a data folder again, while nothing serves from it.

Everything is looked at before anything is written. A mark stands in the data folder until the end, and as long as it
does nothing serves; the same command again goes on. The database comes last, after it was brought to what the vault
says (`storage.replay`) and settled as an older state (`storage.restored`).
"""

import asyncio
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from crypto.checkpoint import Checkpoint
from crypto.merkle import tree_hash
from crypto.ssh_key import VerifyKey
from crypto.x25519 import Identity
from gateway.backup import HOUSE, PROTECTED, Tell
from gateway.build import build_digest, build_entry
from gateway.config import Config
from storage import durable, gateway_key
from storage.backup import contents, copying
from storage.backup.contents import SEALED, BackupList
from storage.backup.databases import is_empty, load, sqlite_file, sqlite_path
from storage.blobs import LocalBlobs
from storage.database import Database
from storage.durable import declared
from storage.errors import BackupBroken, BackupRefused, BlobMissing
from storage.lock import WriterLock, restoring_mark
from storage.log.files import CHECKPOINT, LocalLogFiles
from storage.log.publish import Publisher, read_checkpoint
from storage.log.tiles import PublishedTree
from storage.names import SegmentKey
from storage.recordings import Recordings
from storage.replay import headers_missing, replay
from storage.sealing import Sealer
from storage.stamp import Stamp
from storage.vault import LocalVault, Secret

__all__ = ["Asked", "Restored", "restore"]

API_DATABASE: Final = "api.db"
SCRATCH: Final = ".restoring"
SURVIVORS: Final = frozenset({"vault", "log", "run", "restoring", "restoring.tmp", "lost+found"})
"""What a data folder may hold that is restored into."""
SPARE: Final = 64 << 20
"""Bytes that stay free."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to restore, and what was allowed."""

    folder: Path
    identities: Sequence[Identity] = ()
    replace: bool = False
    """Databases that are there are set aside; keys, recordings and logs that are there stay."""
    without_vault: bool = False
    """None of the recordings will ever be opened: they are erased."""
    above: int = 0
    """Logs get numbers over this one, which an earlier restore has used."""
    dry_run: bool = False


@dataclass(slots=True)
class Restored:
    """What a restore came to, or would."""

    site: str
    made: str
    gateway: str
    """Fingerprint."""
    sealed_segments: int = 0
    """Sides and segments that the index knows."""
    without_header: int = 0
    """Of these, those that the vault doesn't open any more: they were erased since, and aren't restored."""
    set_aside: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    """Begun anew."""
    recordings: dict[str, int] | None = None
    """`storage.replay.Replayed`; None where nothing was written."""

    def plain(self) -> dict[str, Any]:
        """As JSON members."""
        return asdict(self)


def restore(config: Config, asked: Asked, at: datetime, tell: Tell) -> Restored:
    """Do it. Raises BackupBroken, BackupRefused, StorageError; then nothing serves, and it may be run again."""
    data_dir = config.site.data_dir.absolute()
    listed, files = contents.read(asked.folder)
    if listed.site != config.site.name:
        raise BackupRefused(f"backup is of site `{listed.site}`, the configuration is of `{config.site.name}`")
    done = 0

    def verified(size: int) -> None:
        nonlocal done
        done += size
        tell("verifying", done, listed.size)

    contents.check(asked.folder, files, verified)
    if contents.DATABASE + SEALED in files and not asked.identities:
        raise BackupRefused("backup is sealed: name the key that opens it with `-i`")
    with declared("make the data folder"):
        data_dir.mkdir(mode=durable.FOLDER_MODE, parents=True, exist_ok=True)
    with WriterLock(data_dir, restoring=True):
        one = _Restoring(config, data_dir, asked, at, listed, files, tell)
        return asyncio.run(one.run())


@dataclass(slots=True)
class _Restoring:
    config: Config
    data_dir: Path
    asked: Asked
    at: datetime
    listed: BackupList
    files: dict[str, str]
    tell: Tell

    async def run(self) -> Restored:
        mark = restoring_mark(self.data_dir)
        begun = mark.read_text(encoding="ascii", errors="replace").strip() if mark.exists() else None
        if begun not in (None, self.listed.digest):
            raise BackupRefused("a restore of another backup isn't finished here: finish that one, or empty the folder")
        await self._check_place(begun is not None)
        if begun is not None and await self._loaded():
            durable.erase(mark, overwrite=False)
            return self._result()
        self._bring_database()
        database = await Database.open(f"sqlite:///{self._scratch}")
        try:
            await database.migrate()
            vault, result = LocalVault(self.data_dir), self._result()
            result.sealed_segments, result.without_header = await headers_missing(database, vault)
            self._check_vault(result)
            self._check_room()
            if self.asked.dry_run:
                return result
            # INVARIANT: from here on the scratch database is there until it is in its place (`_loaded`)
            durable.put(mark, f"{self.listed.digest}\n".encode(), self.data_dir, replace=True)
            result.set_aside = self._set_aside() if self.asked.replace or begun is not None else []
            self._bring_files(vault)
            await self._settle(database, vault, result)
        finally:
            await database.close()
            if not mark.exists():  # a dry run, or refused
                _drop_side_files(self._scratch)
                durable.erase(self._scratch, overwrite=False)
        await self._place()
        durable.erase(mark, overwrite=False)
        return result

    @property
    def _scratch(self) -> Path:
        """Where the database is made ready: beside its place, so that one rename brings it there."""
        path = sqlite_path(self.config.database_url)
        return self.data_dir / SCRATCH if path is None else path.with_name(path.name + SCRATCH)

    # --- looked at before anything is written ---

    def _result(self) -> Restored:
        return Restored(self.listed.site, self.listed.made, self.listed.key.fingerprint())

    async def _check_place(self, begun: bool) -> None:
        try:
            key: VerifyKey | None = gateway_key.load(self.data_dir).verify_key
        except BlobMissing:
            key = None
        if key not in (None, self.listed.key):
            raise BackupRefused("another gateway's key lies in `keys`: this backup isn't of this data folder")
        if begun:
            return
        if sqlite_path(self.config.database_url) is None and not await self._server_is_empty():
            raise BackupRefused(
                "database on the server isn't empty: make an empty one, and name it in `storage.database`"
            )
        if self.asked.replace:
            return
        names = (path.name for path in self.data_dir.iterdir() if not path.name.startswith(self._scratch.name))
        there = sorted(name for name in names if name not in SURVIVORS)
        path = sqlite_path(self.config.database_url)
        found = there[:1] or ([str(path)] if path is not None and path.exists() else [])
        if found:
            raise BackupRefused(
                f"data folder isn't empty (`{found[0]}`): name an empty one, or say `--replace`, which sets databases"
                " aside"
            )

    def _check_vault(self, result: Restored) -> None:
        if result.sealed_segments and result.without_header == result.sealed_segments and not self.asked.without_vault:
            raise BackupRefused(
                f"`{self.data_dir / 'vault'}` opens none of {result.sealed_segments} recorded sides: put the vault"
                " there, or say `--without-vault`, and they are erased for good"
            )

    def _check_room(self) -> None:
        need = sum(self._size(name) for name in self.files if not (self.data_dir / name).is_file()) + SPARE
        with declared("look at the disk"):
            free = shutil.disk_usage(self.data_dir).free
        if free < need:
            raise BackupRefused(f"disk is too full: {need >> 20} MiB are needed, {free >> 20} MiB are free")

    def _size(self, name: str) -> int:
        with declared("look at a backup"):
            return (self.asked.folder / name).stat().st_size

    def _there(self, name: str) -> bool:
        target = self.data_dir / name
        there = target.is_file() and target.stat().st_size == self._size(name)
        return there and contents.sha256_of(target) == self.files.get(name)

    # --- files ---

    def _bring_database(self) -> None:
        _drop_side_files(self._scratch)
        self._bring(contents.DATABASE, self._scratch)

    def _bring(self, name: str, target: Path) -> None:
        if name in self.files:
            copying.put_back(self.asked.folder / name, target, self.files[name])
        elif name + SEALED in self.files:
            copying.unseal(self.asked.folder / (name + SEALED), target, self.asked.identities)
        else:
            raise BackupBroken(f"backup has no `{name}`")

    def _set_aside(self) -> list[str]:
        """Databases that are in the way, each beside itself under a name that says since when."""
        path, done = sqlite_path(self.config.database_url), list[str]()
        stamp = self.at.strftime("%Y%m%dT%H%M%SZ")
        for one in (one for one in (path, self.data_dir / API_DATABASE) if one is not None):
            for ending in ("", "-wal", "-shm"):
                old = one.with_name(one.name + ending)
                if old.exists():
                    new = one.with_name(f"{one.name}.before-{stamp}{ending}")
                    with declared("set a database aside"):
                        os.rename(old, new)
                    done += [str(new)] if not ending else []
        return done

    def _bring_files(self, vault: LocalVault) -> None:
        for name in [name.removesuffix(SEALED) for name in self.files if name.partition("/")[0] in HOUSE]:
            if not (self.data_dir / name).exists():
                self._bring(name, self.data_dir / name)
        self._protected()
        if API_DATABASE in self.files or API_DATABASE + SEALED in self.files:
            self._bring(API_DATABASE, self.data_dir / API_DATABASE)
        audio = sorted(name for name in self.files if name.startswith("recordings/"))
        for done, name in enumerate(audio):
            _, _, recording, file = name.split("/", 3)
            key = SegmentKey.parse(recording, file.partition(".")[0])
            # what was erased since isn't even copied
            if key is not None and vault.holds(key, Secret.HEADER) and not self._there(name):
                copying.put_back(self.asked.folder / name, self.data_dir / name, self.files[name])
            self.tell("recordings", done + 1, len(audio))
        for origin in sorted(
            {name.removeprefix("log/").rpartition("/")[0] for name in self.files if _is_checkpoint(name)}
        ):
            self._bring_log(origin)
        with declared("make the restored files durable"):
            os.sync()

    def _protected(self) -> None:
        """Numbers never recorded: those of the backup, and those that are there already."""
        target = self.data_dir / PROTECTED
        if PROTECTED not in self.files and PROTECTED + SEALED not in self.files:
            return
        before = target.read_bytes().split() if target.exists() else []
        self._bring(PROTECTED, target)
        both = sorted({*before, *target.read_bytes().split()})
        durable.put(target, b"\n".join(both) + b"\n", self.data_dir, replace=True)

    def _bring_log(self, origin: str) -> None:
        """The longer of two histories of a log; files that are there stay where they go on from the backup's."""
        ours, theirs, key = LocalLogFiles(self.data_dir), LocalLogFiles(self.asked.folder), self.listed.key
        kept, there = read_checkpoint(theirs, origin, key), read_checkpoint(ours, origin, key)
        if kept is None:
            raise BackupBroken(f"`log/{origin}` has no checkpoint")
        if there is not None and there.size >= kept.size:
            self._same_history(ours, origin, there, kept)
            return
        mine = [name for name in self.files if name.startswith(f"log/{origin}/tile/")]
        for name in [*sorted(mine), f"log/{origin}/{CHECKPOINT}"]:
            copying.put_back(self.asked.folder / name, self.data_dir / name, self.files[name])

    @staticmethod
    def _same_history(files: LocalLogFiles, origin: str, there: Checkpoint, kept: Checkpoint) -> None:
        if tree_hash(kept.size, PublishedTree(files, origin, there.size).node) != kept.root:
            raise BackupRefused(
                f"log `{origin}` in the data folder contradicts the backup's: keep both, ask the council"
            )

    # --- the database ---

    async def _settle(self, database: Database, vault: LocalVault, result: Restored) -> None:
        key = gateway_key.load(self.data_dir)
        publisher = Publisher(database, LocalLogFiles(self.data_dir), key)
        stamp = Stamp(database, self.data_dir)
        above = max(self.asked.above, await stamp.restores())
        result.logs = await publisher.renew_restored(self.config.site.name, self.at, told=True, above=above)
        await stamp.note_logs(result.logs)
        await stamp.grow()
        result.recordings = asdict(await replay(Recordings(database, self._sealer(vault)), self.at))

    def _sealer(self, vault: LocalVault) -> Sealer:
        key = gateway_key.load(self.data_dir)
        gateway = gateway_key.vkey(f"{self.config.site.name}/fairtap", key.verify_key)
        build = build_digest(build_entry(self.config))
        return Sealer(LocalBlobs(self.data_dir), vault, key, gateway=gateway, build=build)

    async def _loaded(self) -> bool:
        """Whether an earlier try came as far as the database."""
        path = sqlite_path(self.config.database_url)
        if path is not None:
            return path.exists() and not self._scratch.exists()
        return not await self._server_is_empty()

    async def _server_is_empty(self) -> bool:
        database = await Database.open(self.config.database_url)
        try:
            return await database.read(is_empty)
        finally:
            await database.close()

    async def _place(self) -> None:
        """The last step: one rename, or one transaction."""
        path = sqlite_path(self.config.database_url)
        if path is not None:
            with declared("put the database in its place"):
                path.parent.mkdir(mode=durable.FOLDER_MODE, parents=True, exist_ok=True)
                _drop_side_files(self._scratch)
                _drop_side_files(path)
                os.sync()
                os.replace(self._scratch, path)
                durable.sync_folder(path.parent)
            return
        database = await Database.open(self.config.database_url)
        try:
            with sqlite_file(self._scratch) as source:
                await database.write(
                    lambda target: load(source, target, lambda n, total: self.tell("database", n, total))
                )
        finally:
            await database.close()
        durable.erase(self._scratch, overwrite=False)


def _drop_side_files(path: Path) -> None:
    """A write-ahead log of another database under the same name would be taken for this one's."""
    for ending in ("-wal", "-shm"):
        durable.erase(path.with_name(path.name + ending), overwrite=False)


def _is_checkpoint(name: str) -> bool:
    return name.startswith("log/") and name.endswith(f"/{CHECKPOINT}")
