"""The database: SQLite (WAL, synchronous FULL) or PostgreSQL behind SQLAlchemy, written by one process only.

Writes of many tasks share one commit: each gets a savepoint of its own and returns only when the commit is durable.
Work is a plain function of a connection, so that nothing else can be awaited inside a transaction.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar, cast

from sqlalchemy import URL, Connection, event, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from storage import durable, migrations
from storage.errors import StorageError, StorageUnavailable, StorageUrlError

T = TypeVar("T")
Work = Callable[[Connection], T]
MAX_BATCH: Final = 256
_BUSY_MS: Final = 5_000


@dataclass(slots=True)
class _Job:
    work: Work[Any]
    done: asyncio.Future[Any]


@dataclass(slots=True)
class _Result:
    value: Any = None
    error: Exception | None = None


class Database:
    """One open database. Made by `open`; use `write` and `read`."""

    def __init__(self, writer: AsyncEngine | None, reader: AsyncEngine) -> None:
        self._writer = writer
        self._reader = reader
        self._jobs: list[_Job] = []
        self._draining: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: str, *, read_only: bool = False) -> Self:
        """Open `sqlite:////abs/path.db` or `postgresql+asyncpg://…`. Raises StorageUrlError, StorageUnavailable.

        `read_only` is for the process that only looks while another one writes; it makes no file and no table.
        """
        parsed = _parse(url)
        sqlite = parsed.get_backend_name() == "sqlite"
        if sqlite:
            _prepare_file(Path(parsed.database or ""), read_only)
        try:
            writer = None if read_only else _engine(parsed, sqlite, read_only=False)
            database = cls(writer, _engine(parsed, sqlite, read_only=True))
        except ImportError:
            raise StorageUrlError(f"driver of `{parsed.drivername}` isn't installed") from None
        await database._probe()
        return database

    async def migrate(self) -> None:
        """Bring the tables up to this version's; harmless when they are. Raises StorageUnavailable.

        What a version took out of its rows is in no page of the file then.
        """
        if await self._transact(migrations.upgrade) and self._writer is not None:
            await self._empty_log(self._writer)

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction; when this returns, its effects survive a power cut.

        A StorageError that `work` raises undoes this work alone. Raises StorageUnavailable when nothing can be written.
        A caller who is cancelled meanwhile doesn't know: the work is done or not.
        """
        if self._writer is None:
            raise StorageUnavailable("database was opened for reading only")
        job = _Job(work, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain(), name="database writer")
        return cast(T, await job.done)

    async def read(self, work: Work[T]) -> T:
        """Run `work` on a snapshot of what is committed. Raises StorageUnavailable, and what `work` raises."""
        try:
            async with self._reader.connect() as connection:
                return await connection.run_sync(work)
        except (SQLAlchemyError, OSError) as error:
            raise _unavailable("read", error) from None

    async def close(self) -> None:
        """Finish the writes that wait, empty the write-ahead log, then close every connection."""
        if self._draining is not None:
            await self._draining
        if self._writer is not None:
            await self._empty_log(self._writer)
            await self._writer.dispose()
        await self._reader.dispose()

    @staticmethod
    async def _empty_log(writer: AsyncEngine) -> None:
        """Leave no old pages behind: SQLite does it by itself only where no other process reads."""
        if writer.dialect.name == "sqlite":
            with contextlib.suppress(sqlite3.Error, SQLAlchemyError, OSError):
                async with writer.connect() as connection:
                    await connection.run_sync(_truncate_log)

    async def _drain(self) -> None:
        try:
            while self._jobs:
                batch, self._jobs = self._jobs[:MAX_BATCH], self._jobs[MAX_BATCH:]
                await self._commit(batch)
        finally:
            self._draining = None

    async def _commit(self, batch: list[_Job]) -> None:
        try:
            if len(batch) == 1:  # the transaction is its savepoint
                results = [_Result(await self._transact(batch[0].work))]
            else:
                results = await self._transact(lambda connection: [_savepoint(connection, job.work) for job in batch])
        except BaseException as error:
            for job in batch:
                _settle(job.done, _Result(error=_for_waiter(error)))
            if not isinstance(error, Exception):
                raise
            return
        for job, result in zip(batch, results, strict=True):
            _settle(job.done, result)

    async def _transact(self, work: Work[T]) -> T:
        if self._writer is None:
            raise StorageUnavailable("database was opened for reading only")
        try:
            async with self._writer.begin() as connection:
                return await connection.run_sync(work)
        except (SQLAlchemyError, OSError) as error:
            raise _unavailable("written", error) from None

    async def _probe(self) -> None:
        try:
            await self.read(lambda connection: connection.execute(text("SELECT 1")))
        except BaseException:
            await self.close()
            raise


def _truncate_log(connection: Connection) -> None:
    # past SQLAlchemy, which would begin a transaction: in one there are no checkpoints
    connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _savepoint(connection: Connection, work: Work[Any]) -> _Result:
    """Run one work so that its failure undoes it alone; where even that can't be undone, the whole batch fails."""
    savepoint = connection.begin_nested()
    try:
        value = work(connection)
    except Exception as error:  # a refusal, or a bug: it goes to the caller whose work this is
        savepoint.rollback()
        return _Result(error=_unavailable("written", error) if isinstance(error, SQLAlchemyError) else error)
    savepoint.commit()
    return _Result(value)


def _settle(done: asyncio.Future[Any], result: _Result) -> None:
    if done.done():
        return  # its waiter was cancelled
    if result.error is None:
        done.set_result(result.value)
    else:
        done.set_exception(result.error)


def _for_waiter(error: BaseException) -> Exception:
    if isinstance(error, StorageError):
        return type(error)(*error.args)  # one exception object mustn't be raised in several tasks
    return StorageUnavailable("database writer was stopped") if not isinstance(error, Exception) else error


def _unavailable(what: str, error: Exception) -> StorageUnavailable:
    # INVARIANT: the driver's own text may hold values of the row; only the class is told.
    return StorageUnavailable(f"database can't be {what}: {type(error).__name__}")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # its words may name what was taken for a port: a part of the password
        raise StorageUrlError("database url can't be read") from None
    if parsed.drivername in ("sqlite", "sqlite+aiosqlite"):
        if not Path(parsed.database or "").is_absolute():
            raise StorageUrlError("sqlite url needs an absolute path: `sqlite:////path/to/file.db`")
        return parsed.set(drivername="sqlite+aiosqlite")
    if parsed.drivername != "postgresql+asyncpg":
        raise StorageUrlError("database url is neither `sqlite:///…` nor `postgresql+asyncpg://…`")
    return parsed


def _prepare_file(path: Path, read_only: bool) -> None:
    """Make the file with mode 0600 (its -wal and -shm inherit it), or see that it is there."""
    with durable.declared("open the database file"):
        if read_only:
            os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            return
        durable.make_folder(path.parent, path.parent)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, durable.FILE_MODE))


def _engine(url: URL, sqlite: bool, *, read_only: bool) -> AsyncEngine:
    options: dict[str, Any] = {"hide_parameters": True, "poolclass": AsyncAdaptedQueuePool}
    # INVARIANT: one writing connection, so that transactions of this process follow one another in log order.
    options |= {"pool_size": 4, "max_overflow": 4} if read_only else {"pool_size": 1, "max_overflow": 0}
    if not sqlite:
        options |= {"pool_pre_ping": True}
        if read_only:
            options["execution_options"] = {"postgresql_readonly": True}
        return create_async_engine(url, **options)
    engine = create_async_engine(url, **options)
    _tune_sqlite(engine, read_only)
    return engine


def _tune_sqlite(engine: AsyncEngine, read_only: bool) -> None:
    pragmas = [f"busy_timeout = {_BUSY_MS}", "foreign_keys = ON"]
    if read_only:
        pragmas.append("query_only = ON")
    else:
        pragmas += ["journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"]

    @event.listens_for(engine.sync_engine, "connect")
    def tune(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver would begin transactions too late, by its own guess
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
