"""Sides of recordings that somebody in them wants gone: kept for a day, then erased, unless a hold stood earlier.

One table for whoever may ask: an agent for the agent's side, a caller by record code for the caller's. Holds stop
erasure and retention until they end, and let nobody listen (crypto.md §2).
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from crypto.errors import CryptoError
from crypto.jcs import canonical, parse
from policy.log_entry import Erase as LogErase
from policy.log_entry import Hold as LogHold
from policy.log_entry import Unhold
from policy.retention import ERASE_SIDE_AFTER, MAX_HOLD
from storage.database import Database
from storage.errors import HoldError, RecordingState, RecordingUnknown
from storage.record_log import tell
from storage.recording import GOING
from storage.recordings import Recordings
from storage.tables import erasures, holds, recordings

MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class Erasure:
    """A side that is to be erased."""

    recording: str
    side: str
    requested_at: datetime
    due_at: datetime
    held_until: datetime | None = None
    """A hold that stood before the request and still stands: nothing is erased before its end."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a recording mustn't be erased, on whose word (`agent` or `dpo`), and for how long."""

    recording: str
    by: str
    reason: str
    set_at: datetime
    until: datetime


class Erasures:
    """Requests to erase, and the holds that delay them."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings
        self._database: Database = recordings.database

    async def request(self, recording: str, side: str, at: datetime) -> Erasure:
        """Note that a side's own person wants it gone; asked again, the first request counts. RecordingUnknown.

        The log has it from now on: whether a hold stood earlier is seen there.
        """

        # before the row, and where no backup forgets it
        await self._database.read(lambda connection: _expect(connection, recording))
        await asyncio.to_thread(self._recordings.sealer.vault.ask, recording, side, at)

        def work(connection: Connection) -> Erasure:
            _expect(connection, recording)
            asked = select(erasures).where(*_of(recording, side))
            if connection.execute(asked).first() is None:
                row = {"recording": recording, "side": side, "requested_at": at, "due_at": at + ERASE_SIDE_AFTER}
                connection.execute(insert(erasures).values(**row))
                tell(connection, LogErase, recording, side=side)
            return _erasure(connection, connection.execute(asked).one(), at)

        return await self._database.write(work)

    async def pending(self, recording: str, at: datetime) -> list[Erasure]:
        """What is asked for and not done yet, by side."""

        def work(connection: Connection) -> list[Erasure]:
            query = select(erasures).where(erasures.c.recording == recording).order_by(erasures.c.side)
            return [_erasure(connection, row, at) for row in connection.execute(query).all()]

        return await self._database.read(work)

    async def due(self, at: datetime) -> list[Erasure]:
        """What is to be erased at `at`."""

        def work(connection: Connection) -> list[Erasure]:
            query = select(erasures).where(erasures.c.due_at <= at).order_by(erasures.c.due_at)
            found = [_erasure(connection, row, at) for row in connection.execute(query).all()]
            return [one for one in found if one.held_until is None]

        return await self._database.read(work)

    async def execute(self, erasure: Erasure) -> bool:
        """Erase a side, and the request with it; False: its call goes on, so it waits. Repeatable after a crash."""
        try:
            await self._recordings.erase_side(erasure.recording, erasure.side)
        except RecordingState:
            return False
        except RecordingUnknown:
            return True  # gone as a whole meanwhile, and the request with it

        gone = delete(erasures).where(*_of(erasure.recording, erasure.side))
        await self._database.write(lambda connection: connection.execute(gone).rowcount)
        await asyncio.to_thread(self._recordings.sealer.vault.asked_no_more, erasure.recording, erasure.side)
        await self._recordings.erase_empty(erasure.recording)
        return True

    # --- holds --------------------------------------------------------------------------------------------------------

    async def hold(self, new: Hold) -> None:
        """Put a hold, or change one's own that stands. Raises HoldError without reason or near end, RecordingUnknown.

        An agent's ends 90 days after the retention at the latest, however often it is renewed: the other side is a
        caller's.
        """
        if not 0 < len(new.reason.strip()) <= MAX_REASON or not new.set_at < new.until <= new.set_at + MAX_HOLD:
            terms = f"a reason of 1 to {MAX_REASON} characters, and its end within {MAX_HOLD.days} days"
            raise HoldError(f"a hold needs {terms}")

        def work(connection: Connection) -> None:
            _expect(connection, new.recording)
            last = select(recordings.c.erase_at).where(recordings.c.id == new.recording)
            if new.by == "agent" and new.until > connection.execute(last).scalar_one() + MAX_HOLD:
                raise HoldError(f"an agent's hold ends {MAX_HOLD.days} days after the retention at the latest")
            where = (holds.c.recording == new.recording, holds.c.by == new.by)
            standing = select(holds.c.set_at).where(*where, holds.c.until > new.set_at)
            since = connection.execute(standing).scalar_one_or_none()
            connection.execute(delete(holds).where(*where))
            row = {"recording": new.recording, "by": new.by, "reason": new.reason.strip(), "until": new.until}
            connection.execute(insert(holds).values(**row, set_at=since or new.set_at))
            tell(connection, LogHold, new.recording, by=new.by, until=int(new.until.timestamp()))

        await self._database.write(work)
        times = {"set_at": new.set_at.isoformat(), "until": new.until.isoformat()}
        told = canonical({"by": new.by, "reason": new.reason.strip(), **times})
        await asyncio.to_thread(self._recordings.sealer.vault.note_hold, new.recording, new.by, told)

    async def lift(self, recording: str, by: str) -> bool:
        """End one's own hold; False: there was none."""

        def work(connection: Connection) -> bool:
            gone = delete(holds).where(holds.c.recording == recording, holds.c.by == by)
            found = connection.execute(gone).rowcount > 0
            if found:
                tell(connection, Unhold, recording, by=by)
            return found

        lifted = await self._database.write(work)
        await asyncio.to_thread(self._recordings.sealer.vault.drop_hold, recording, by)
        return lifted

    async def hold_again(self, at: datetime) -> int:
        """Holds that the vault has noted and an older index lacks; how many that still stand at `at`."""
        count = 0
        for recording, data in await asyncio.to_thread(self._recordings.sealer.vault.held):
            noted = _noted(recording, data)
            if noted is None or noted.until <= at or noted in await self.holds(recording, noted.set_at):
                continue
            row = {"recording": recording, "by": noted.by, "reason": noted.reason}

            def work(connection: Connection, noted: Hold = noted, row: dict[str, str] = row) -> int:
                known = select(recordings.c.id).where(recordings.c.id == noted.recording)
                if connection.execute(known).first() is None:
                    return 0
                connection.execute(delete(holds).where(holds.c.recording == noted.recording, holds.c.by == noted.by))
                return connection.execute(insert(holds).values(**row, set_at=noted.set_at, until=noted.until)).rowcount

            count += await self._database.write(work)
        return count

    async def holds(self, recording: str, at: datetime) -> list[Hold]:
        """The holds that stand."""
        query = select(holds).where(holds.c.recording == recording, holds.c.until > at).order_by(holds.c.set_at)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [Hold(row.recording, row.by, row.reason, row.set_at, row.until) for row in rows]


def _noted(recording: str, data: bytes) -> Hold | None:
    try:
        told = parse(data)
        if not isinstance(told, dict):
            return None
        times = [datetime.fromisoformat(str(told[name])) for name in ("set_at", "until")]
        return Hold(recording, str(told["by"]), str(told["reason"]), *times)
    except (CryptoError, KeyError, ValueError):
        return None  # a torn or foreign file holds nothing


def _of(recording: str, side: str) -> tuple[Any, Any]:
    return erasures.c.recording == recording, erasures.c.side == side


def _expect(connection: Connection, recording: str) -> None:
    query = select(recordings.c.state).where(recordings.c.id == recording)
    state = connection.execute(query).scalar_one_or_none()
    if state is None or state in GOING:
        raise RecordingUnknown("no such recording, or it was erased")


def _erasure(connection: Connection, row: Row[Any], at: datetime) -> Erasure:
    earlier = select(func.max(holds.c.until)).where(
        holds.c.recording == row.recording, holds.c.set_at <= row.requested_at, holds.c.until > at
    )
    held = connection.execute(earlier).scalar_one_or_none()
    return Erasure(row.recording, row.side, row.requested_at, row.due_at, held)
