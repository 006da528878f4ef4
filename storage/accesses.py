"""Who but its owner fetched something of a recording: written before it is handed out, shown to the agent.

Nobody fetches more than a few recordings in an hour: there is no way to carry off many at once.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Connection, func, insert, select

from crypto.jcs import parse
from policy.access_figures import AccessCount
from policy.log_entry import Access as LogAccess
from policy.log_entry import Quorum
from policy.release import PLAY_WINDOW, PLAYS
from storage.database import Database
from storage.errors import EgressLimit
from storage.log.openings import MAX_TOLD
from storage.record_log import tell
from storage.tables import accesses, coaches, log_openings


@dataclass(frozen=True, slots=True)
class Access:
    """One fetch: by which role, of what."""

    recording: str
    at: datetime
    role: str
    """`coach`, `council`, `dpo`."""
    what: str
    """`quorum`: the wrapped file key; `age`: header and payload."""
    purpose: str
    side: str
    seg: int
    who: str | None = None
    """The coach; council and officer are told by their role."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An access as its agent is shown it."""

    access: Access
    name: str | None
    """The coach's."""


class Accesses:
    """The list in the database; it goes with its recording."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, access: Access) -> None:
        """Write it durably. Raises EgressLimit, StorageUnavailable: then nothing may be handed out."""
        kind = Quorum if access.what == "quorum" else LogAccess
        told: dict[str, str] = {} if access.who is None else {"who": access.who}

        def work(connection: Connection) -> None:
            connection.execute(insert(accesses).values(**asdict(access)))
            if _plays(connection, access) > PLAYS:
                raise EgressLimit(f"no more than {PLAYS} recordings can be fetched in an hour: try again later")
            told["day"] = f"{access.at.astimezone(UTC):%Y-%m-%d}"
            about: dict[str, str | int] = {
                "role": access.role,
                "purpose": access.purpose,
                "side": access.side,
                "seg": access.seg,
            }
            tell(connection, kind, access.recording, **about, **told)

        await self._database.write(work)

    async def within(self, first: date, after: date) -> tuple[AccessCount, ...]:
        """By role and purpose, from day `first` (UTC) to before `after`: read from the agents' own openings of the log,
        since the list itself goes with its recording."""
        query = select(log_openings.c.agent, log_openings.c.told)
        query = query.where(log_openings.c.kind.in_((LogAccess.t, Quorum.t)))
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        opened: dict[tuple[str, str], set[tuple[str, ...]]] = {}
        for row in rows:
            told = parse(bytes(row.told), limit=MAX_TOLD)
            if isinstance(told, dict) and first.isoformat() <= str(told.get("day", "")) < after.isoformat():
                role, purpose, *once = (str(told.get(name)) for name in ("role", "purpose", "recording", "who", "day"))
                opened.setdefault((role, purpose), set()).add((row.agent, *once))
        return tuple(AccessCount(*what, Counter(one[0] for one in times)) for what, times in opened.items())

    async def of(self, recording: str) -> list[Seen]:
        """All of a recording, oldest first."""
        query = select(accesses, coaches.c.name).outerjoin(coaches, coaches.c.id == accesses.c.who)
        query = query.where(accesses.c.recording == recording).order_by(accesses.c.id)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [
            Seen(Access(row.recording, row.at, row.role, row.what, row.purpose, row.side, row.seg, row.who), row.name)
            for row in rows
        ]


def _plays(connection: Connection, access: Access) -> int:
    """How often recordings were played in the last hour: each as often as that object of it that was fetched most."""
    columns = (accesses.c.recording, accesses.c.what, accesses.c.side, accesses.c.seg)
    query = select(accesses.c.recording, func.count().label("times")).where(
        accesses.c.role == access.role, accesses.c.who.is_not_distinct_from(access.who),
        accesses.c.at > access.at - PLAY_WINDOW,
    ).group_by(*columns)  # fmt: skip
    most: dict[str, int] = {}
    for row in connection.execute(query):
        most[row.recording] = max(most.get(row.recording, 0), row.times)
    return sum(most.values())
