"""Releases to coaches: signed by the recording's agent, logged, then their headers written; ended by destroying these.

A row alone lets nobody hear anything: what opens a side is the header, which only the agent's client can make.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from policy.log_entry import Release as LogRelease
from policy.log_entry import Unrelease
from policy.release import EVALUATION_YEAR
from storage.database import Database
from storage.errors import (
    EvalCap,
    RecordingState,
    ReleaseExists,
    ReleaseUnknown,
    StorageError,
    StorageUnavailable,
)
from storage.names import SegmentKey
from storage.record_log import tell
from storage.recording import SegmentState, State
from storage.recordings import Recordings
from storage.tables import evaluations, recordings, release_parts, releases, segments

READY = (State.KEPT.value, State.INTERRUPTED.value)


@dataclass(frozen=True, slots=True)
class Part:
    """One side of one segment, as its agent released it."""

    side: str
    seg: int
    document: str = field(repr=False)
    signature: str = field(repr=False)
    header: bytes = field(repr=False, default=b"")
    """Of what is about to be written; what is read from here has none."""


@dataclass(frozen=True, slots=True)
class StoredRelease:
    """A release with its parts."""

    id: str
    recording: str
    agent: str
    coach: str
    purpose: str
    at: datetime
    until: datetime
    parts: Sequence[Part]
    revoked_at: datetime | None = None

    def stands(self, at: datetime) -> bool:
        """Whether the coach may hear it at this instant, as far as the agent's word goes."""
        return self.revoked_at is None and at < self.until


class Releases:
    """The releases of one site."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings
        self._database: Database = recordings.database

    async def add(self, new: StoredRelease, most: int) -> int:
        """Log it, make it durable, then write its headers; how many of the agent's count in this year, at most `most`.

        Raises RecordingUnknown, RecordingState unless all its parts are sealed, ReleaseExists, EvalCap.
        """
        try:
            async with self._recordings.lock(new.recording):
                counted = await self._database.write(lambda connection: _add(connection, new, most))
                for part in new.parts:
                    key = SegmentKey(new.recording, part.seg, part.side)
                    vault = self._recordings.sealer.vault
                    await asyncio.to_thread(vault.put_release, new.id, key, part.header)
        except StorageUnavailable:
            with contextlib.suppress(StorageError):
                await self.revoke(new.recording, new.id, new.at)
            raise
        return counted

    async def revoke(self, recording: str, release: str, at: datetime) -> StoredRelease:
        """The agent's no: durable and logged, then its headers are destroyed; harmless when repeated.

        Raises ReleaseUnknown, StorageUnavailable.
        """

        def work(connection: Connection) -> StoredRelease:
            where = (releases.c.id == release, releases.c.recording == recording)
            found = _read(connection, *where)
            if not found:
                raise ReleaseUnknown("there is no such release")
            if found[0].stands(at):
                connection.execute(update(releases).where(*where).values(revoked_at=at))
                tell(connection, Unrelease, recording, release=release)
            return found[0]

        found = await self._database.write(work)
        await self._destroy(release, recording)
        return found

    async def end_due(self, at: datetime) -> int:
        """Destroy the headers of what has ended, or was revoked while the disk refused; how many."""
        over = or_(releases.c.until <= at, releases.c.revoked_at.is_not(None))
        query = select(releases.c.id, releases.c.recording).where(releases.c.stored, over)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        for row in rows:
            await self._destroy(row.id, row.recording)
        return len(rows)

    async def end_all_of(self, coach: str, at: datetime) -> None:
        """Every release to a coach ends now; told to the log as such."""
        query = select(releases.c.id, releases.c.recording).where(releases.c.coach == coach, releases.c.stored)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        for row in rows:
            await self.revoke(row.recording, row.id, at)

    async def of_recording(self, recording: str) -> list[StoredRelease]:
        """All of a recording, oldest first, also those that ended."""
        return await self._database.read(lambda connection: _read(connection, releases.c.recording == recording))

    async def of_coach(self, coach: str, at: datetime) -> list[StoredRelease]:
        """What a coach may hear at this instant, newest first."""
        where = (releases.c.coach == coach, releases.c.until > at, releases.c.revoked_at.is_(None))
        found = await self._database.read(lambda connection: _read(connection, *where, ready=True))
        return found[::-1]

    async def _destroy(self, release: str, recording: str) -> None:
        async with self._recordings.lock(recording):
            await asyncio.to_thread(self._recordings.sealer.vault.erase_release, release, recording)
            gone = update(releases).where(releases.c.id == release).values(stored=False)
            await self._database.write(lambda connection: connection.execute(gone).rowcount)


def _add(connection: Connection, new: StoredRelease, most: int) -> int:
    state = connection.execute(select(recordings.c.state).where(recordings.c.id == new.recording)).scalar_one_or_none()
    if state not in READY or not all(_sealed(connection, new.recording, part) for part in new.parts):
        raise RecordingState("only what is kept can be released, once its call is over")
    if connection.execute(select(releases.c.id).where(releases.c.id == new.id)).first() is not None:
        raise ReleaseExists("a release of this id was made before")
    counted = _count(connection, new, most)
    row = {"id": new.id, "recording": new.recording, "coach": new.coach, "purpose": new.purpose}
    connection.execute(insert(releases).values(**row, until=new.until, at=new.at, revoked_at=None, stored=True))
    lines = [
        {"release": new.id, "side": one.side, "seg": one.seg, "document": one.document, "signature": one.signature}
        for one in new.parts
    ]
    connection.execute(insert(release_parts), lines)
    documents = hashlib.sha256("\n".join(sorted(one.document for one in new.parts)).encode()).hexdigest()
    tell(
        connection, LogRelease, new.recording, release=new.id, to=new.coach, purpose=new.purpose,
        until=int(new.until.timestamp()), documents=documents,
    )  # fmt: skip
    return counted


def _sealed(connection: Connection, recording: str, part: Part) -> bool:
    where = (segments.c.recording == recording, segments.c.side == part.side, segments.c.seg == part.seg)
    state = connection.execute(select(segments.c.state).where(*where)).scalar_one_or_none()
    return state == SegmentState.SEALED


def _count(connection: Connection, new: StoredRelease, most: int) -> int:
    """A recording counts once for each coach, whether it is erased meanwhile or the release taken back.

    What is kept for that tells neither recording nor coach.
    """
    since = new.at - EVALUATION_YEAR
    connection.execute(delete(evaluations).where(evaluations.c.at <= since))
    pair = hashlib.sha256(f"{new.recording} {new.coach}".encode()).hexdigest()
    mine = evaluations.c.agent == new.agent
    counted = connection.execute(select(func.count()).select_from(evaluations).where(mine)).scalar_one()
    if connection.execute(select(evaluations.c.id).where(mine, evaluations.c.pair == pair)).first() is not None:
        return counted
    if counted >= most:
        raise EvalCap(f"the agreement permits {most} released recordings in a year, and these were released")
    connection.execute(insert(evaluations).values(agent=new.agent, pair=pair, at=new.at))
    return counted + 1


def _read(connection: Connection, *where: Any, ready: bool = False) -> list[StoredRelease]:
    query = select(releases, recordings.c.agent).join(recordings, recordings.c.id == releases.c.recording)
    if ready:
        query = query.where(recordings.c.state.in_(READY))
    rows = connection.execute(query.where(*where).order_by(releases.c.at, releases.c.id)).all()
    ids = [row.id for row in rows]
    listed = select(release_parts).where(release_parts.c.release.in_(ids))
    parts: dict[str, list[Part]] = {one: [] for one in ids}
    for one in connection.execute(listed.order_by(release_parts.c.seg, release_parts.c.side)):
        parts[one.release].append(Part(one.side, one.seg, one.document, one.signature))
    return [_release(row, parts[row.id]) for row in rows]


def _release(row: Row[Any], parts: list[Part]) -> StoredRelease:
    return StoredRelease(
        row.id, row.recording, row.agent, row.coach, row.purpose, row.at, row.until, tuple(parts), row.revoked_at
    )
