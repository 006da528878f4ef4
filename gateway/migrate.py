"""`migrate`: brings the database's tables up to this version's, or moves all of it into another, empty database.

A move is one transaction of the new database; the old one is left as it was, and isn't used any more once the
configuration names the new one (served again by mistake, it is seen to be older).
"""

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import make_url

from gateway.backup import Tell
from gateway.config import Config
from storage import durable, migrations
from storage.backup.databases import Told, copy_rows, is_empty, load, sqlite_file, sqlite_path
from storage.database import Database
from storage.errors import BackupRefused
from storage.lock import WriterLock

__all__ = ["Migrated", "migrate"]


@dataclass(slots=True)
class Migrated:
    """What was done, or would be."""

    revision: str
    """Of the database before."""
    newest: str
    steps: list[str] = field(default_factory=list)
    """What each step is about, oldest first."""
    moved_to: str | None = None
    rows: int = 0


def migrate(config: Config, *, to: str | None, dry_run: bool, tell: Tell) -> Migrated:
    """Do it, or say what would be done. Raises StorageError (SchemaNewer, BackupRefused …)."""
    with WriterLock(config.site.data_dir.absolute()):
        return asyncio.run(_migrate(config, to, dry_run, tell))


async def _migrate(config: Config, to: str | None, dry_run: bool, tell: Tell) -> Migrated:
    database = await Database.open(config.database_url)
    try:
        before = await database.read(migrations.revision)
        if before is None:
            raise BackupRefused("database has no tables yet: run `fairtap init` first")
        said = [f"{revision}: {about}" for revision, about in await database.read(migrations.steps)]
        done = Migrated(before, migrations.newest(), said)
        if to is not None:
            await _check_target(config.database_url, to)
        if dry_run:
            return done
        await database.migrate()
        if to is not None:
            done.rows = await _move(database, config.database_url, to, lambda n, total: tell("rows", n, total))
            done.moved_to = make_url(to).render_as_string()
        return done
    finally:
        await database.close()


async def _check_target(url: str, to: str) -> None:
    if make_url(to) == make_url(url):
        raise BackupRefused("`--to` names the database that is used already")
    path = sqlite_path(to)
    if path is None and sqlite_path(url) is None:
        raise BackupRefused("from one PostgreSQL to another `pg_dump` does it: `--to` is for changing the kind")
    if path is not None:
        if not path.is_absolute() or path.exists():
            raise BackupRefused(f"`--to`: `{path}` must be an absolute path where nothing is yet")
        return
    target = await Database.open(to)
    try:
        if not await target.read(is_empty):
            raise BackupRefused("database named by `--to` isn't empty")
    finally:
        await target.close()


async def _move(database: Database, url: str, to: str, told: Told) -> int:
    """One transaction of the new database, or one rename of its file."""
    source, path = sqlite_path(url), sqlite_path(to)
    if path is not None:
        temp = path.with_name(path.name + durable.TEMP_SUFFIX)
        durable.erase(temp, overwrite=False)
        with sqlite_file(temp, new=True) as rows:
            count = await database.read(lambda connection: copy_rows(connection, rows, told))
        with durable.declared("put the database in its place"):
            os.sync()
            os.rename(temp, path)
            durable.sync_folder(path.parent)
        return count
    target = await Database.open(to)
    try:
        with sqlite_file(source or Path()) as rows:
            return await target.write(lambda connection: load(rows, connection, told))
    finally:
        await target.close()
