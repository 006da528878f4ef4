"""What an older state of a site goes through before anything serves: what it can't know any more counts as no.

Somebody may have withdrawn a yes or a release, left a seat or closed an epoch after the state was kept. So every
standing yes, release and seat ends, epochs under way are dark, and the logs are begun anew; until the council has
cosigned one of them, which it does only where no act is missing, nothing is recorded (`Epochs.restored`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, select, update

from storage import consents
from storage.legs import end_untold
from storage.log.blocks import begin_anew
from storage.tables import agents, releases, seats

LEAP: Final = 1000
"""Numbers that are passed over, so that no statement signed after the older state was kept counts again."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """A log that ends, and the number of the one that takes its place."""

    origin: str
    restores: int
    passed: tuple[int, ...]
    """Numbers of this block's logs that have files, known or not."""
    revealed: Mapping[str, int]
    """Epochs whose reveal its files have and its rows haven't, and where."""


def settle(connection: Connection, renewals: Sequence[Renewal], at: datetime) -> list[str]:
    """All of it, in the caller's transaction; the origins of the fresh logs."""
    for agent in connection.execute(select(agents.c.id)).scalars().all():
        consents.end_all(connection, agent, at, LEAP)
    end_untold(connection)
    connection.execute(delete(seats))
    connection.execute(update(releases).where(releases.c.revoked_at.is_(None)).values(revoked_at=at))
    connection.execute(update(agents).values(seat_seq=agents.c.seat_seq + LEAP))
    return [begin_anew(connection, one.origin, one.restores, one.passed, at, one.revealed) for one in renewals]
