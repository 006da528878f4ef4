"""Executes what has become due: recordings and receipts past their time. The periods are policy's (`retention`)."""

from dataclasses import dataclass
from datetime import datetime

from storage.consents import Consents
from storage.errors import StorageUnavailable
from storage.recordings import Recordings


@dataclass(frozen=True, slots=True)
class Erased:
    """One run's result."""

    recordings: tuple[str, ...]
    left: tuple[str, ...]
    """Due, but the disk refused: tried again by the next run, and worth an alarm."""
    receipts: int


async def erase_due(recordings: Recordings, consents: Consents, at: datetime) -> Erased:
    """Erase everything whose time is over at `at`; one that fails doesn't hold up the others."""
    done, left = [], []
    for recording in await recordings.due(at):
        try:
            await recordings.erase(recording)
            done.append(recording)
        except StorageUnavailable:
            left.append(recording)
    return Erased(tuple(done), tuple(left), await consents.erase_due(at))
