"""Executes what has become due: recordings and receipts past their time, sides whose person wants them gone, releases.

The periods are policy's (`retention`).
"""

import contextlib
from dataclasses import dataclass
from datetime import datetime

from storage.consents import Consents
from storage.erasures import Erasures
from storage.errors import StorageUnavailable
from storage.recordings import Recordings
from storage.releases import Releases


@dataclass(frozen=True, slots=True)
class Erased:
    """One run's result."""

    recordings: tuple[str, ...]
    left: tuple[str, ...]
    """Due, but the disk refused: tried again by the next run, and worth an alarm."""
    receipts: int
    sides: tuple[tuple[str, str], ...] = ()
    """Recording and side."""


async def erase_due(recordings: Recordings, consents: Consents, at: datetime) -> Erased:
    """Erase everything whose time is over at `at`; one that fails doesn't hold up the others."""
    done, left = [], []
    for recording in await recordings.due(at):
        try:
            await recordings.erase(recording)
            done.append(recording)
        except StorageUnavailable:
            left.append(recording)
    sides, erasures = [], Erasures(recordings)
    for erasure in await erasures.due(at):
        try:
            if await erasures.execute(erasure):
                sides.append((erasure.recording, erasure.side))
        except StorageUnavailable:
            left.append(erasure.recording)
    await end_releases(recordings, at)
    return Erased(tuple(done), tuple(left), await consents.erase_due(at), tuple(sides))


async def end_releases(recordings: Recordings, at: datetime) -> None:
    """Destroy the headers of releases that are over; a disk that refuses is asked again by the next run."""
    with contextlib.suppress(StorageUnavailable):
        await Releases(recordings).end_due(at)
