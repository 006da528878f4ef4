"""Consistent copies of databases: a SQLite file by SQLite's own backup, rows from one kind of database to the other.

The copy in a backup is always SQLite. The secrets of the draw don't go with it,
since its epochs are dark after a restore.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Connection,
    Table,
    bindparam,
    create_engine,
    delete,
    func,
    insert,
    inspect,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy import table as lightweight_table
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from storage import durable, migrations
from storage.council_lists import UNSAVED
from storage.errors import BackupRefused, StorageUnavailable, StorageUrlError
from storage.tables import block_shares, epochs, metadata

PAGES: Final = 4096
"""Copied at once, between two looks at the progress."""
_ROWS: Final = 1000
_BUSY_S: Final = 30.0
Told = Callable[[int, int], None]
"""Hears what is done of how much."""


def snapshot_file(source: Path, target: Path, empty: Sequence[str] = (), told: Told = lambda done, total: None) -> None:
    """Copy a SQLite database that others may be writing to; of the tables `empty` no row comes along.

    Raises StorageUnavailable.
    """
    with _declared("be copied"), durable.declared("copy the database"):
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, durable.FILE_MODE))
        # read and write, since a reader of a write-ahead log may have to make its index
        with _opened(f"{source.absolute().as_uri()}?mode=rw") as there, _opened(target.absolute().as_uri()) as here:
            # INVARIANT: within one read transaction the copy is of one instant, and needn't begin again
            there.execute("BEGIN")
            there.execute("SELECT count(*) FROM sqlite_master").fetchone()
            there.backup(here, pages=PAGES, progress=lambda _, left, total: told(total - left, total))
            here.execute("PRAGMA journal_mode = DELETE")
    with sqlite_file(target) as connection:
        for name in empty:
            connection.execute(delete(lightweight_table(name)))
    _compact(target)


def forget_unsaved(path: Path) -> None:
    """Take out of a copy what no backup holds: secrets of the draw, the council's lists, agents' shares of a block.

    Raises StorageUnavailable.
    """
    with sqlite_file(path) as connection:
        connection.execute(update(epochs).values(host_secret=None, council_secret=None))
        for one in (*UNSAVED, block_shares):
            connection.execute(delete(one))
    _compact(path)


@contextlib.contextmanager
def sqlite_file(path: Path, *, new: bool = False) -> Iterator[Connection]:
    """A connection to a copy, in a transaction; `new`: made with its tables. Raises StorageUnavailable."""
    if new:
        with durable.declared("copy the database"):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, durable.FILE_MODE))
    engine = create_engine(f"sqlite:///{path}", hide_parameters=True)
    try:
        with _declared("be copied"), engine.begin() as connection:
            if new:
                migrations.upgrade(connection)
            yield connection
    finally:
        engine.dispose()


def is_empty(connection: Connection) -> bool:
    """No table is there."""
    return not inspect(connection).get_table_names()


def copy_rows(source: Connection, target: Connection, told: Told = lambda done, total: None) -> int:
    """Copy every row of every table into empty tables of the same revision; how many rows.

    Numbers go on where they were, so that none is given twice.
    """
    if source.dialect.name == "postgresql":
        source.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    sizes = {table: source.execute(select(func.count()).select_from(table)).scalar_one() for table in _tables()}
    total, done = sum(sizes.values()), 0
    for table in _tables():
        statement = _insert(table)
        for rows in source.execute(select(table)).partitions(_ROWS):
            target.execute(statement, [{f"b_{name}": value for name, value in row._mapping.items()} for row in rows])
            done += len(rows)
            told(done, total)
        if _numbered(table):
            _go_on(target, table, _last(source, table))
    return done


def load(source: Connection, target: Connection, told: Told = lambda done, total: None) -> int:
    """Make the tables in an empty database and copy every row there; how many rows. Raises BackupRefused."""
    if not is_empty(target):
        raise BackupRefused("database isn't empty: name an empty one")
    migrations.upgrade(target)
    return copy_rows(source, target, told)


def sqlite_path(url: str) -> Path | None:
    """Where a SQLite database lies; None for a server's. Raises StorageUrlError."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StorageUrlError("database url can't be read") from None
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None


def _tables() -> list[Table]:
    return list(metadata.sorted_tables)


def _insert(table: Table) -> Any:
    """No value of a JSON column is NULL, not JSON's null."""
    kinds = {
        column.name: JSON(none_as_null=True) if isinstance(column.type, JSON) else column.type for column in table.c
    }
    return insert(table).values({name: bindparam(f"b_{name}", type_=kind) for name, kind in kinds.items()})


def _numbered(table: Table) -> bool:
    return bool(table.dialect_options["sqlite"]["autoincrement"])


def _last(connection: Connection, table: Table) -> int:
    """The last number that was given."""
    if connection.dialect.name == "postgresql":
        query = text("SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(:name, 'id') AS regclass))")
    else:
        query = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
    return int(connection.execute(query, {"name": table.name}).scalar_one_or_none() or 0)


def _go_on(connection: Connection, table: Table, last: int) -> None:
    if not last:
        return
    values = {"name": table.name, "last": last}
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :last)"), values)
        return
    if not connection.execute(text("UPDATE sqlite_sequence SET seq = :last WHERE name = :name"), values).rowcount:
        connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), values)


def _compact(path: Path) -> None:
    """Write the copy anew, so that nothing of what was taken out is left in it."""
    with _declared("be copied"), _opened(path.absolute().as_uri()) as here:
        here.execute("VACUUM")


@contextlib.contextmanager
def _opened(uri: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def _declared(doing: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, SQLAlchemyError) as error:
        # INVARIANT: the driver's own text may hold values of the row; only the class is told.
        raise StorageUnavailable(f"database can't {doing}: {type(error).__name__}") from None
