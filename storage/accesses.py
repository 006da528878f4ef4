"""Who but its owner fetched something of a recording: written before it is handed out, shown to the agent."""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from policy.log_entry import Access as LogAccess
from policy.log_entry import Quorum
from storage.database import Database
from storage.record_log import tell
from storage.tables import accesses


@dataclass(frozen=True, slots=True)
class Access:
    """One fetch: by which role, of what."""

    recording: str
    at: datetime
    role: str
    """`council`, `dpo`."""
    what: str
    """`quorum`: the wrapped file key; `age`: header and payload."""
    purpose: str
    side: str
    seg: int


class Accesses:
    """The list in the database; it goes with its recording."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, access: Access) -> None:
        """Write it durably. Raises StorageUnavailable: then nothing may be handed out."""
        kind = Quorum if access.what == "quorum" else LogAccess

        def work(connection: Connection) -> None:
            connection.execute(insert(accesses).values(**asdict(access)))
            tell(connection, kind, access.recording, role=access.role, side=access.side, seg=access.seg)

        await self._database.write(work)

    async def of(self, recording: str) -> list[Access]:
        """All of a recording, oldest first."""
        query = select(accesses).where(accesses.c.recording == recording).order_by(accesses.c.id)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [Access(row.recording, row.at, row.role, row.what, row.purpose, row.side, row.seg) for row in rows]
