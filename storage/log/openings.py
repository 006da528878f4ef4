"""What the log says of an agent, opened for that agent alone: the object and salt behind each commitment."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from crypto.jcs import Json, parse
from storage.tables import log_openings

MAX_TOLD: Final = 4096


@dataclass(frozen=True, slots=True)
class OwnOpening:
    """The opening of one entry's commitment, of the kind that the entry's type names."""

    id: int
    origin: str
    index: int
    kind: str
    told: Json
    salt: bytes


def own_openings(connection: Connection, agent: str, after: int, limit: int) -> list[OwnOpening]:
    """An agent's, oldest first, from behind the id `after`."""
    query = select(log_openings).where(log_openings.c.agent == agent, log_openings.c.id > after)
    rows = connection.execute(query.order_by(log_openings.c.id).limit(limit)).all()
    return [_opening(row) for row in rows]


def _opening(row: Row[Any]) -> OwnOpening:
    return OwnOpening(row.id, row.origin, row.idx, row.kind, parse(bytes(row.told), limit=MAX_TOLD), bytes(row.salt))
