"""Keeps the site's logs: opens the block of the day and the next one in time, says what runs, publishes."""

from dataclasses import dataclass

import structlog

from gateway.clock import Clock
from gateway.event_bus import EventBus
from gateway.events import Alarm
from policy.log_entry import Build
from storage.database import Database
from storage.errors import LogBroken, StorageError
from storage.log import wal
from storage.log.blocks import keep_open
from storage.log.publish import Publisher
from storage.stamp import Stamp

__all__ = ["LogKeeper"]

log = structlog.get_logger()


@dataclass(slots=True)
class LogKeeper:
    """One for each gateway process."""

    database: Database
    publisher: Publisher
    stamp: Stamp
    site: str
    build: Build
    clock: Clock
    bus: EventBus
    acts_ahead: int = 0
    """See `Publisher.acts_ahead`; known after `begin`."""

    async def begin(self) -> None:
        """Logs stand open and say which build serves, before anything else is written. Raises StorageError.

        Beside an older database that was put back, a log is begun anew: what it was ahead by isn't known here any more.
        """
        try:
            behind, above = await self.stamp.behind(), await self.stamp.restores()
            now = self.clock.wallclock()
            renewed = await self.publisher.renew_restored(self.site, now, told=behind, above=above)
            for origin in renewed:
                log.warning("an older database was put back: the log begins anew", origin=origin)
            if renewed:
                await self.stamp.note_logs(renewed)
            self.acts_ahead = await self.publisher.acts_ahead()
        except LogBroken as error:
            log.error("the log can't be looked through", fault=str(error))
        try:
            await self.stamp.grow()
        except StorageError as error:
            log.error("the vault can't be written: an older database wouldn't be noticed", fault=str(error))
        opened = await self._keep_open()
        earlier = [origin for origin in await self.database.read(wal.open_logs) if origin not in opened]
        await self._say_build(earlier)

    async def publish(self) -> None:
        """Publish what waits; what fails is told and tried again at the next turn."""
        try:
            await self._keep_open()
            await self.publisher.publish_all()
            await self.stamp.grow()
        except LogBroken as error:
            log.error("the log isn't published any more", fault=str(error))
            self.bus.publish(Alarm("log", "the log's files don't fit its entries: nothing is published"))
        except StorageError:
            self.bus.publish(Alarm("log", "the log cannot be published: check the disk"))

    async def _keep_open(self) -> list[str]:
        today = self.clock.wallclock().date()
        opened = await self.database.write(lambda connection: keep_open(connection, self.site, today))
        await self._say_build(opened)
        return opened

    async def _say_build(self, origins: list[str]) -> None:
        await self.database.write(lambda connection: [wal.append(connection, origin, self.build) for origin in origins])
