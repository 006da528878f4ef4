"""The index of recordings and their states; audio and keys are in files, and files are written before their row.

`sealing` writes the files, `recovery` mends what a crash left. A recording is one agent leg's; a segment is one side
between two pauses. Times come in; everything here is durable before it returns.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from weakref import WeakValueDictionary

from sqlalchemy import Connection, Row, and_, delete, exists, func, insert, or_, select, update

from storage.database import Database
from storage.errors import RecordingState, RecordingUnknown
from storage.manifest import End, Manifest, Payload, Private, Side
from storage.names import SegmentKey, check_id
from storage.recording import (
    ENDED,
    GOING,
    NEXT,
    Begin,
    Recording,
    SealFacts,
    Segment,
    SegmentState,
    State,
    recording_of,
    segment_of,
)
from storage.sealing import Sealed, Sealer
from storage.tables import decisions, holds, recordings, segments

__all__ = [
    "ENDED",
    "GOING",
    "NEXT",
    "Begin",
    "Recording",
    "Recordings",
    "SealFacts",
    "Segment",
    "SegmentState",
    "State",
    "put_segment",
]


class Recordings:
    """The index in the database, and the files it speaks of."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self.database: Final = database
        self.sealer: Final = sealer
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # --- while a leg goes on ------------------------------------------------------------------------------------------

    async def begin(self, new: Begin, at: datetime) -> None:
        """Enter a recording, before its first tap opens. Raises BlobNameError, StorageUnavailable."""
        row = {
            "id": check_id(new.recording),
            "agent": new.agent,
            "call_ref": new.call_ref,
            "entry": new.leg.entry,
            "origin": new.origin,
            "epoch": new.leg.epoch,
            "pseudonym": new.leg.pseudonym,
            "n": new.leg.n,
            "lane": new.lane.value,
            "purpose": new.purpose.value,
            "agreement": new.agreement,
            "consents": list(new.consents),
            "recipients": list(new.recipients),
            "ingress": new.ingress,
            "media": new.media,
            "state": State.OPEN.value,
            "erase_at": new.erase_at,
            "begun_at": at,
        }
        await self.database.write(lambda connection: connection.execute(insert(recordings).values(**row)).rowcount)

    async def segment_opened(
        self, recording: str, seg: int, side: Side, *, key_commit: str, stanzas: int, container: str, at: datetime
    ) -> None:
        """Note that a side's first frame was encrypted. Raises RecordingUnknown, RecordingState once it has ended."""
        key = SegmentKey(recording, seg, side)
        values = {"key_commit": key_commit, "stanzas": stanzas, "container": container, "opened_at": at}

        def work(connection: Connection) -> None:
            _expect(connection, recording, State.OPEN)
            if _segment_row(connection, key) is None:
                put_segment(connection, key, SegmentState.OPEN, values)

        await self.database.write(work)

    async def seal(self, recording: str, seg: int, side: Side, facts: SealFacts, end: End) -> Sealed:
        """Make opening, manifest, signature and row of a finished payload; repeated, it answers as the first time.

        Raises RecordingState for a recording that is (being) discarded, whose late payload is destroyed at once;
        RecordingUnknown, BlobStateError, ManifestError, StorageUnavailable.
        """
        key = SegmentKey(recording, seg, side)
        async with self.lock(recording):
            row = await self.database.read(lambda connection: _row(connection, recording))
            if row.state in GOING:
                await asyncio.to_thread(self.sealer.erase, key)
                raise RecordingState("recording is discarded: the segment was destroyed")
            return await self.put_manifest(row, key, facts, end)

    async def failed(self, recording: str, seg: int, side: Side, reason: str, at: datetime) -> None:
        """Note that a side has no file, and destroy what there is of it. A sealed segment stays. RecordingUnknown."""
        async with self.lock(recording):
            await self.fail_segment(SegmentKey(recording, seg, side), reason, at)

    async def close(self, recording: str, at: datetime) -> Recording:
        """End a recording whose leg is over and whose segments are settled: kept, interrupted, or failed when empty.

        One that has ended, or is being discarded, stays as it is. Raises RecordingUnknown, and RecordingState while a
        segment is open.
        """
        await self.database.write(lambda connection: _close(connection, recording, at, crashed=False))
        return await self.get(recording)

    # --- destroying ---------------------------------------------------------------------------------------------------

    async def intend_discard(self, recording: str, at: datetime) -> None:
        """Make the intent to destroy a recording durable; harmless when repeated. Raises RecordingUnknown."""

        def work(connection: Connection) -> None:
            state = State(_row(connection, recording).state)
            if state not in GOING:
                _move(connection, recording, state, State.DISCARDING, at)

        await self.database.write(work)

    async def complete_discard(self, recording: str, at: datetime) -> None:
        """Destroy what opens it, then payloads and manifests, then say so; harmless when repeated.

        Raises RecordingUnknown, and RecordingState without an intent: nothing is destroyed then.
        """
        async with self.lock(recording):
            row = await self.database.read(lambda connection: _row(connection, recording))
            if row.state not in GOING:
                raise RecordingState("no intent to discard stands")
            await asyncio.to_thread(self.sealer.erase_recording, recording)
            await self.database.write(lambda connection: _discarded(connection, recording, at))

    async def due(self, at: datetime) -> list[str]:
        """Recordings that have ended and whose retention is over, unless held, and those whose erasure was begun."""
        held = exists().where(holds.c.recording == recordings.c.id, holds.c.until > at)
        over = and_(recordings.c.erase_at <= at, recordings.c.state.in_([state.value for state in ENDED]), ~held)
        query = select(recordings.c.id).where(or_(over, recordings.c.state == State.ERASING.value))
        return list(await self.database.read(lambda connection: connection.execute(query).scalars().all()))

    async def erase(self, recording: str) -> None:
        """Make the intent durable, destroy the files, then the rows; harmless when repeated. BlobNameError.

        The log isn't told: as many entries as recordings, day after day, would say what was kept (`policy.kept`).
        """
        async with self.lock(check_id(recording)):
            await self.database.write(lambda connection: _going(connection, recording))
            await asyncio.to_thread(self.sealer.erase_recording, recording)

            def work(connection: Connection) -> None:
                connection.execute(delete(decisions).where(decisions.c.recording == recording))
                connection.execute(delete(segments).where(segments.c.recording == recording))
                connection.execute(delete(recordings).where(recordings.c.id == recording))

            await self.database.write(work)

    async def erase_side(self, recording: str, side: str) -> None:
        """Erase one side in all segments, files first; harmless when repeated.

        Raises RecordingUnknown, and RecordingState while its leg goes on.
        """
        async with self.lock(recording):
            found = await self.get(recording)
            if found.state not in (State.KEPT, State.INTERRUPTED):
                raise RecordingState(f"recording is `{found.state}`: no side of it can be erased now")
            for part in found.segments:
                if part.key.side == side:
                    await asyncio.to_thread(self.sealer.erase, part.key)
            where = (segments.c.recording == recording, segments.c.side == side)
            gone = update(segments).where(*where, segments.c.state == SegmentState.SEALED.value)
            gone = gone.values(state=SegmentState.ERASED.value)
            await self.database.write(lambda connection: connection.execute(gone).rowcount)

    async def erase_empty(self, recording: str) -> None:
        """Erase the rest of a recording that has no side left. Raises RecordingUnknown."""
        left = (await self.get(recording)).segments
        if not any(part.state is SegmentState.SEALED for part in left):
            await self.erase(recording)

    # --- looking ------------------------------------------------------------------------------------------------------

    async def get(self, recording: str) -> Recording:
        """One recording. Raises RecordingUnknown."""

        def work(connection: Connection) -> Recording:
            return _recordings(connection, [_row(connection, recording)])[0]

        return await self.database.read(work)

    async def of_agent(self, agent: str) -> list[Recording]:
        """An agent's recordings, newest first, the discarded ones too."""
        query = select(recordings).where(recordings.c.agent == agent).order_by(recordings.c.begun_at.desc())
        return await self.database.read(lambda connection: _recordings(connection, connection.execute(query).all()))

    async def in_state(self, state: State) -> list[Recording]:
        """All recordings in a state, oldest first."""
        query = select(recordings).where(recordings.c.state == state.value).order_by(recordings.c.begun_at)
        return await self.database.read(lambda connection: _recordings(connection, connection.execute(query).all()))

    async def count(self, state: State | None = None) -> int:
        """How many recordings are in a state, or in any."""
        query = select(func.count()).select_from(recordings)
        if state is not None:
            query = query.where(recordings.c.state == state.value)
        return await self.database.read(lambda connection: connection.execute(query).scalar_one())

    # --- for `recovery` -----------------------------------------------------------------------------------------------

    def lock(self, recording: str) -> asyncio.Lock:
        """Held while files of a recording are made or destroyed."""
        return self._locks.setdefault(recording, asyncio.Lock())

    async def put_manifest(self, row: Row[Any], key: SegmentKey, facts: SealFacts, end: End) -> Sealed:
        """Write a segment's files, then its row. Needs the lock, and the recording's `row`."""
        manifest, private = self._manifest(row, key, facts, end)
        sealed = await asyncio.to_thread(self.sealer.seal, manifest, private)
        await self.put_sealed(key, sealed, facts.started, facts.ended)
        return sealed

    async def put_sealed(
        self, key: SegmentKey, sealed: Sealed, started: datetime | None, ended: datetime | None
    ) -> None:
        """Write the row of a segment whose signed manifest stands there."""
        manifest = sealed.manifest
        values = {
            "key_commit": manifest.key_commit,
            "stanzas": manifest.stanzas,
            "container": manifest.container,
            "end": manifest.end,
            "sha256": manifest.payload.sha256,
            "bytes": manifest.payload.bytes,
            "chunks": manifest.payload.chunks,
            "manifest_sha256": sealed.digest,
        }
        if started is not None and ended is not None:
            values |= {"started": started, "ended": ended}
        await self.database.write(lambda connection: put_segment(connection, key, SegmentState.SEALED, values))

    async def fail_segment(self, key: SegmentKey, reason: str, at: datetime) -> None:
        """Destroy what there is of a segment, then say why. Needs the lock."""
        found = await self.database.read(lambda connection: _segment_row(connection, key))
        if found is not None and found.state != SegmentState.OPEN:
            return
        await asyncio.to_thread(self.sealer.erase, key)

        def work(connection: Connection) -> None:
            _row(connection, key.recording)
            put_segment(connection, key, SegmentState.FAILED, {"reason": reason, "ended": at})

        await self.database.write(work)

    async def close_crashed(self, recording: str, at: datetime) -> None:
        """End a recording whose end nobody saw."""
        await self.database.write(lambda connection: _close(connection, recording, at, crashed=True))

    async def row(self, recording: str) -> Row[Any]:
        """The recording's row as it lies there. Raises RecordingUnknown."""
        return await self.database.read(lambda connection: _row(connection, recording))

    def _manifest(self, row: Row[Any], key: SegmentKey, facts: SealFacts, end: End) -> tuple[Manifest, Private]:
        private = Private(
            epoch=row.epoch,
            agent=row.pseudonym,
            n=row.n,
            lane=row.lane,
            purpose=row.purpose,
            agreement=row.agreement,
            started=facts.started,
            ended=facts.ended,
            gaps=facts.gaps,
            consents=tuple(row.consents),
            recipients=tuple(row.recipients),
        )
        manifest = Manifest(
            id=key.recording,
            origin=row.origin,
            side="agent" if key.side == "agent" else "caller",
            seg=key.seg,
            container=facts.container,
            ingress=row.ingress,
            media=row.media,
            payload=Payload(facts.sha256, facts.bytes, facts.chunks),
            key_commit=facts.key_commit,
            stanzas=facts.stanzas,
            quorum=False,
            end=end,
            gateway=self.sealer.gateway,
            build=self.sealer.build,
            private="",
        )
        return manifest, private


def put_segment(connection: Connection, key: SegmentKey, state: SegmentState, values: Mapping[str, Any]) -> None:
    """Insert or update the row of one side and segment."""
    where = (segments.c.recording == key.recording, segments.c.seg == key.seg, segments.c.side == key.side)
    changed = connection.execute(update(segments).where(*where).values(state=state.value, **values))
    if changed.rowcount == 0:
        row = {"recording": key.recording, "seg": key.seg, "side": key.side, "state": state.value, **values}
        connection.execute(insert(segments).values(**row))


def _row(connection: Connection, recording: str) -> Row[Any]:
    row = connection.execute(select(recordings).where(recordings.c.id == recording)).one_or_none()
    if row is None:
        raise RecordingUnknown("no such recording, or it was erased")
    return row


def _segment_row(connection: Connection, key: SegmentKey) -> Row[Any] | None:
    query = select(segments).where(
        segments.c.recording == key.recording, segments.c.seg == key.seg, segments.c.side == key.side
    )
    return connection.execute(query).one_or_none()


def _going(connection: Connection, recording: str) -> int:
    going = update(recordings).where(recordings.c.id == recording).values(state=State.ERASING.value)
    return connection.execute(going).rowcount


def _expect(connection: Connection, recording: str, state: State) -> None:
    found = _row(connection, recording).state
    if found != state:
        raise RecordingState(f"recording is `{found}`, not `{state}`")


def _move(connection: Connection, recording: str, old: State, new: State, at: datetime) -> None:
    if new not in NEXT[old]:
        raise RecordingState(f"recording is `{old}` and can't become `{new}`")
    where = (recordings.c.id == recording, recordings.c.state == old.value)
    connection.execute(update(recordings).where(*where).values(state=new.value, ended_at=at))


def _close(connection: Connection, recording: str, at: datetime, *, crashed: bool) -> None:
    row = _row(connection, recording)
    if row.state != State.OPEN:
        return
    found = connection.execute(select(segments).where(segments.c.recording == recording)).all()
    if any(segment.state == SegmentState.OPEN for segment in found):
        raise RecordingState("a segment is open")
    sealed = [segment for segment in found if segment.state == SegmentState.SEALED]
    cut = crashed or any(segment.end == "interrupted" for segment in sealed)
    kept = State.INTERRUPTED if cut else State.KEPT
    _move(connection, recording, State.OPEN, kept if sealed else State.FAILED, at)


def _discarded(connection: Connection, recording: str, at: datetime) -> None:
    state = State(_row(connection, recording).state)
    if state is not State.DISCARDING:
        return
    connection.execute(delete(segments).where(segments.c.recording == recording))
    connection.execute(update(recordings).where(recordings.c.id == recording).values(consents=[], recipients=[]))
    _move(connection, recording, state, State.DISCARDED, at)


def _recordings(connection: Connection, rows: Any) -> list[Recording]:
    ids = [row.id for row in rows]
    query = select(segments).where(segments.c.recording.in_(ids)).order_by(segments.c.seg, segments.c.side)
    parts: dict[str, list[Segment]] = {recording: [] for recording in ids}
    for segment in connection.execute(query):
        parts[segment.recording].append(segment_of(segment))
    return [recording_of(row, tuple(parts[row.id])) for row in rows]
