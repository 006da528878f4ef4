"""The API's own database: accounts, sign-ins, tokens, enrolment codes, sign-in attempts, idempotency keys.

Secrets lie in it as hashes only, times as whole seconds since 1970. It holds nothing that permits a recording.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import Boolean, Column, Integer, LargeBinary, MetaData, String, Table, event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from api.errors import ApiError

__all__ = [
    "PASSING",
    "Database",
    "DatabaseError",
    "accounts",
    "answers",
    "challenges",
    "coaches",
    "codes",
    "sessions",
    "tokens",
]

SCHEMA_VERSION: Final = 1
_METADATA = MetaData()

accounts = Table(
    "accounts",
    _METADATA,
    Column("agent", String(32), primary_key=True),
    Column("login", String(64), nullable=False, unique=True),
    Column("password", String(256), nullable=False),
    Column("bundle", LargeBinary, nullable=True),
    Column("failures", Integer, nullable=False, default=0),
    Column("blocked_until", Integer, nullable=False, default=0),
    Column("disabled", Boolean, nullable=False, default=False),
)
coaches = Table(
    "coaches",
    _METADATA,
    # of the ids that stand as `agent` in the other tables, those that are coaches'
    Column("person", String(32), primary_key=True),
)
sessions = Table(
    "sessions",
    _METADATA,
    Column("secret", String(64), primary_key=True),
    Column("ref", String(32), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("agent", String(32), nullable=True, index=True),
    Column("created", Integer, nullable=False),
    Column("expires", Integer, nullable=False, index=True),
)
tokens = Table(
    "tokens",
    _METADATA,
    Column("secret", String(64), primary_key=True),
    Column("ref", String(32), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("label", String(64), nullable=False),
    Column("scopes", String(1024), nullable=False),
    Column("created", Integer, nullable=False),
    Column("expires", Integer, nullable=True),
    Column("revoked", Boolean, nullable=False, default=False),
)
codes = Table(
    "codes",
    _METADATA,
    Column("secret", String(64), primary_key=True),
    Column("agent", String(32), nullable=False, index=True),
    Column("made_by", String(16), nullable=False),
    Column("expires", Integer, nullable=False),
)
challenges = Table(
    "challenges",
    _METADATA,
    Column("nonce", String(64), primary_key=True),
    Column("expires", Integer, nullable=False),
)
answers = Table(
    "answers",
    _METADATA,
    Column("key", String(64), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("status", Integer, nullable=True),
    Column("media_type", String(64), nullable=True),
    Column("body", LargeBinary, nullable=True),
    Column("expires", Integer, nullable=False, index=True),
)
PASSING: Final = (sessions, challenges, codes, answers, tokens)
"""What a backup doesn't keep: nobody knows after a restore which of them were ended since."""


class DatabaseError(ApiError):
    """The API's database can't be used."""


class Database:
    """Connections to `api.db`; SQLite in WAL mode, each change durable when it returns."""

    def __init__(self, path: Path | None) -> None:
        """`None`: in memory, for tests."""
        self._path = path
        self._engine = _engine(path)

    async def __aenter__(self) -> Self:
        """Make the tables where they are missing; raises `DatabaseError` for another schema."""
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch(mode=0o600)
        async with self._engine.begin() as connection:
            version = (await connection.execute(text("PRAGMA user_version"))).scalar_one()
            if version not in (0, SCHEMA_VERSION):
                raise DatabaseError(f"api.db has schema {version}, this version knows {SCHEMA_VERSION}")
            await connection.run_sync(_METADATA.create_all)
            await connection.execute(text(f"PRAGMA user_version = {SCHEMA_VERSION}"))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let go of the file."""
        await self._engine.dispose()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """One transaction, committed at its end."""
        async with self._engine.begin() as connection:
            yield connection


def _engine(path: Path | None) -> AsyncEngine:
    if path is None:
        return create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    event.listen(engine.sync_engine, "connect", _tune)
    return engine


def _tune(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 5000", "secure_delete = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
