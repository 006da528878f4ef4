"""What a gateway does to the index before it serves again: discards first, then what nobody ended (crypto.md §1).

A recording that was being discarded is destroyed; a segment without an end keeps its whole chunks under an
`interrupted` manifest. Run again after a crash of its own, each step finds its place.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from storage.errors import RecordingUnknown, StorageError
from storage.names import SegmentKey
from storage.recordings import GOING, Recording, Recordings, SealFacts, Segment, SegmentState, State
from storage.sealing import Found

NO_CHUNK: Final = "interrupted_no_chunk"
UNREGISTERED: Final = "interrupted_unregistered"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What `rebuild` found."""

    restored: tuple[SegmentKey, ...]
    """Segments whose row was missing or unfinished beside a signed manifest."""
    orphans: tuple[str, ...]
    """Recordings with files and no row: their owner can't be told from the files, so they are left alone."""
    missing: tuple[SegmentKey, ...]
    """Sealed segments whose payload, manifest or signature isn't there as the row says."""


async def resume_discards(recordings: Recordings, at: datetime) -> list[str]:
    """Complete every discard and erasure that was intended; the recordings concerned."""
    discards = [recording.id for recording in await recordings.in_state(State.DISCARDING)]
    for recording in discards:
        await recordings.complete_discard(recording, at)
    erasures = [recording.id for recording in await recordings.in_state(State.ERASING)]
    for recording in erasures:
        await recordings.erase(recording)
    return discards + erasures


async def interrupt_open(
    recordings: Recordings, at: datetime, *, carried: Collection[SegmentKey] = frozenset()
) -> list[str]:
    """End every recording that nobody ended, after `resume_discards`; the recordings that are ended now.

    `carried` segments are left to their worker, which is alive and will still report them; their recordings stay open.
    """
    held = {key.recording for key in carried}
    ended = []
    for recording in await recordings.in_state(State.OPEN):
        async with recordings.lock(recording.id):
            for key in await _open_segments(recordings, recording):
                if key not in carried:
                    await _interrupt(recordings, recording, key, at)
            if recording.id not in held:
                await recordings.close_crashed(recording.id, at)
                ended.append(recording.id)
    return ended


async def rebuild(recordings: Recordings) -> Rebuilt:
    """Restore the rows of segments from the signed manifests, and say what doesn't fit."""
    sealer = recordings.sealer
    stored = await asyncio.to_thread(lambda: {item.key for item in sealer.blobs.inventory()})
    restored, missing, orphans = [], [], set()
    for key in sorted(stored):
        try:
            recording = await recordings.get(key.recording)
        except RecordingUnknown:
            orphans.add(key.recording)
            continue
        if recording.state in GOING:
            continue
        signed = await asyncio.to_thread(sealer.signed, key)
        known = _part(recording, key)
        if signed is not None and (known is None or known.manifest_sha256 != signed.digest):
            await recordings.put_sealed(key, signed, None, None)
            restored.append(key)
        elif signed is None and known is not None and known.state is SegmentState.SEALED:
            missing.append(key)
    for state in (State.OPEN, State.KEPT, State.INTERRUPTED):
        for recording in await recordings.in_state(state):
            sealed = [part.key for part in recording.segments if part.state is SegmentState.SEALED]
            missing += [key for key in sealed if key not in stored]
    return Rebuilt(tuple(restored), tuple(sorted(orphans)), tuple(missing))


async def _open_segments(recordings: Recordings, recording: Recording) -> list[SegmentKey]:
    """Segments without an end: those of the index, and those whose opening the gateway never heard of."""
    sealer = recordings.sealer
    settled = {part.key for part in recording.segments if part.state is not SegmentState.OPEN}
    known = {part.key for part in recording.segments}
    files = await asyncio.to_thread(sealer.blobs.of_recording, recording.id)
    secrets = await asyncio.to_thread(sealer.vault.of_recording, recording.id)
    return sorted((known | {item.key for item in files} | {key for key, _ in secrets}) - settled)


async def _interrupt(recordings: Recordings, recording: Recording, key: SegmentKey, at: datetime) -> None:
    sealer = recordings.sealer
    signed = await asyncio.to_thread(sealer.signed, key)
    if signed is not None:  # only the row was missing
        await recordings.put_sealed(key, signed, None, None)
        return
    part = _part(recording, key)
    found = await asyncio.to_thread(sealer.found, key)
    if part is None or part.key_commit is None or not found.size:
        await recordings.fail_segment(key, UNREGISTERED if part is None else NO_CHUNK, at)
        return
    if not found.finished:
        await asyncio.to_thread(sealer.blobs.salvage, key, found.size)
    sha256, size = await asyncio.to_thread(sealer.blobs.digest, key)
    facts = _facts(part, found, sha256, size, at)
    await recordings.put_manifest(await recordings.row(recording.id), key, facts, "interrupted")


def _facts(part: Segment, found: Found, sha256: str, size: int, at: datetime) -> SealFacts:
    if part.key_commit is None or part.stanzas is None or part.container is None or part.opened_at is None:
        raise StorageError("segment was opened without its facts")
    return SealFacts(
        sha256=sha256,
        bytes=size,
        chunks=found.chunks,
        key_commit=part.key_commit,
        stanzas=part.stanzas,
        container=part.container,
        started=part.opened_at,
        ended=min(max(at, part.opened_at), part.opened_at + timedelta(seconds=found.seconds)),
    )


def _part(recording: Recording, key: SegmentKey) -> Segment | None:
    return next((part for part in recording.segments if part.key == key), None)
