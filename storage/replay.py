"""After a restore: what the vault doesn't open any more is erased from the index, requests to erase come back.

The vault is outside every backup, so it tells what was erased since one was made: a header that isn't there any more.
What nobody can find or erase any more, since its rows are lost, goes after a while by itself.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from policy.retention import ORPHAN_AFTER
from storage.blobs import recordings_under
from storage.database import Database
from storage.erasures import Erasures
from storage.errors import RecordingUnknown
from storage.names import SegmentKey
from storage.recording import ENDED, GOING, Recording, SegmentState, State
from storage.recordings import Recordings
from storage.recovery import interrupt_open, resume_discards
from storage.tables import recordings as table
from storage.tables import segments
from storage.vault import LocalVault, Secret


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of the recordings that the index knew."""

    kept: int
    """Recordings of which a side opens still."""
    erased: int
    """Sides that were erased after the index was kept."""
    asked: int
    """Requests to erase that came after it."""
    held: int
    """Holds that came after it."""
    unreadable: int
    """Sides and segments that the vault would open, but whose payload isn't there."""
    orphans: int
    """Recordings that came after it: their rows are lost."""


async def headers_missing(database: Database, vault: LocalVault) -> tuple[int, int]:
    """How many sealed sides and segments the index knows, and of how many the vault has no header."""
    query = select(segments.c.recording, segments.c.seg, segments.c.side).where(segments.c.state == "sealed")
    rows = await database.read(lambda connection: connection.execute(query).all())
    keys = [SegmentKey(row.recording, row.seg, row.side) for row in rows]
    return len(keys), await asyncio.to_thread(lambda: sum(not vault.holds(key, Secret.HEADER) for key in keys))


async def replay(recordings: Recordings, at: datetime) -> Replayed:
    """Bring index and files to what the vault says; harmless when repeated. Raises StorageUnavailable."""
    await resume_discards(recordings, at)
    await interrupt_open(recordings, at)
    counted = Counter[str]()
    for one in await _standing(recordings):
        await _side_by_side(recordings, one, counted)
    counted["asked"] = await _ask_again(recordings)
    held = await Erasures(recordings).hold_again(at)
    await asyncio.to_thread(recordings.sealer.vault.erase_releases)  # all have ended, those without a row too
    orphans, _ = await orphaned(recordings)
    kept = len([one for one in await _standing(recordings) if any(part.state == "sealed" for part in one.segments)])
    return Replayed(kept, counted["erased"], counted["asked"], held, counted["unreadable"], len(orphans))


async def orphaned(recordings: Recordings) -> tuple[list[str], list[str]]:
    """Recordings that have files and no row, and those that have both."""
    roots = [recordings.sealer.vault.root, recordings.sealer.blobs.root]
    there = await asyncio.to_thread(lambda: {name for root in roots for name in recordings_under(root)})
    query = select(table.c.id)
    known = await recordings.database.read(lambda connection: set(connection.execute(query).scalars()))
    return sorted(there - known), sorted(there & known)


async def erase_orphans(recordings: Recordings, at: datetime) -> int:
    """Destroy what was noticed to have no row `ORPHAN_AFTER` ago; how many recordings. Raises StorageUnavailable.

    A row is there before the first tap opens, so that nothing that is being recorded is ever meant. The time from the
    first notice on is for whoever put a wrong database there.
    """
    vault = recordings.sealer.vault
    found, known = await orphaned(recordings)

    def sweep() -> int:
        for one in known:
            vault.noticed_no_more(one)
        due = [one for one in found if at - vault.noticed(one, at) >= ORPHAN_AFTER]
        for one in due:
            recordings.sealer.erase_recording(one)
        return len(due)

    return await asyncio.to_thread(sweep)


async def _standing(recordings: Recordings) -> list[Recording]:
    return [one for state in sorted(ENDED - GOING) for one in await recordings.in_state(State(state))]


async def _side_by_side(recordings: Recordings, one: Recording, counted: Counter[str]) -> None:
    sealer = recordings.sealer
    sealed = [part.key for part in one.segments if part.state is SegmentState.SEALED]
    gone = {key.side for key in sealed if not sealer.vault.holds(key, Secret.HEADER)}
    for part in one.segments:
        if part.state is not SegmentState.SEALED:
            await asyncio.to_thread(sealer.erase, part.key)
    for side in sorted(gone):
        await recordings.erase_side(one.id, side)
        counted["erased"] += 1
    left = [key for key in sealed if key.side not in gone]
    counted["unreadable"] += sum(sealer.signed(key) is None for key in left)
    if gone and not left:
        await recordings.erase(one.id)


async def _ask_again(recordings: Recordings) -> int:
    """Requests to erase whose rows are lost, as the vault has them."""
    erasures, count = Erasures(recordings), 0
    for recording, side, requested_at in await asyncio.to_thread(recordings.sealer.vault.asked):
        try:
            known = {one.side for one in await erasures.pending(recording, requested_at)}
            if side not in known:
                await erasures.request(recording, side, requested_at)
                count += 1
        except RecordingUnknown:
            continue  # its rows are lost too, or it is gone
    return count
