"""What runs by the clock: timers of legs, heartbeats, retention, and the probe that trusts a disk again, the log."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from gateway.engine.engine import Engine
from gateway.engine.epoch_steps import EpochSteps
from gateway.engine.log_keeper import LogKeeper
from gateway.events import Alarm
from policy.endings import warnings_between
from policy.messages import say_warning
from storage import durable
from storage.consents import Consents
from storage.errors import StorageError
from storage.replay import erase_orphans
from storage.retention import erase_due

__all__ = ["Jobs"]

log = structlog.get_logger()
TICK_S = 0.05
BEAT_S = 1.0
RETENTION_S = 600.0
ORPHANS_S = 86_400.0
PROBE_S = 2.0
WARNINGS_S = 3600.0
SURVEY_S = 30.0
EPOCHS_S = 0.5
LOOK_S = 2.0
WORKERS_REPORT_S = 3.0
"""How long workers of an earlier run get to tell what they sealed."""


class Jobs:
    """All jobs of one gateway."""

    def __init__(
        self,
        engine: Engine,
        consents: Consents,
        run_dir: Path,
        epochs: EpochSteps,
        logs: LogKeeper,
        publish_s: float,
    ) -> None:
        self._engine = engine
        self._epochs = epochs
        self._consents = consents
        self._logs = logs
        self._publish_s = publish_s
        self._probe_file = run_dir / "probe"
        self._warned_until: datetime | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; a job that fails says so and goes on."""
        jobs: tuple[tuple[float, Callable[[], Coroutine[Any, Any, None]]], ...] = (
            (TICK_S, self._tick),
            (BEAT_S, self._beat),
            (RETENTION_S, self._retention),
            (ORPHANS_S, self._orphans),
            (PROBE_S, self._probe),
            (WARNINGS_S, self._warn),
            (SURVEY_S, self._survey),
            (self._publish_s, self._logs.publish),
            (EPOCHS_S, self._turn_epochs),
            (LOOK_S, self._look_at_announcements),
        )
        self._tasks = [asyncio.create_task(self._every(period, job)) for period, job in jobs]
        self._tasks.append(asyncio.create_task(self._leftovers()))

    async def close(self) -> None:
        """Stop all jobs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _every(self, period: float, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await job()
            except Exception:
                log.exception("a job failed")
            await asyncio.sleep(period)

    async def _tick(self) -> None:
        self._engine.tick()

    async def _beat(self) -> None:
        self._engine.beat()

    async def _survey(self) -> None:
        self._engine.reports.survey()
        await asyncio.to_thread(self._engine.pass_through.save)

    async def _turn_epochs(self) -> None:
        with contextlib.suppress(StorageError):  # asked again at once
            await self._epochs.turn()

    async def _look_at_announcements(self) -> None:
        """One that was altered or is gone asks nobody any more; one that came is known without a restart."""
        site = self._engine.site
        before = site.unplayable()
        if not await asyncio.to_thread(site.announcements.look):
            return
        for fault in site.unplayable():
            if fault not in before:
                log.warning("an announcement can't be played", fault=fault)
                self._engine.bus.publish(Alarm("announcements", fault))
        self._engine.reconsider_all()

    async def _retention(self) -> None:
        with contextlib.suppress(StorageError):
            erased = await erase_due(self._engine.custody.recordings, self._consents, self._engine.clock.wallclock())
            await self._engine.ledger.forget_openings(self._engine.clock.wallclock())
            if erased.left:
                self._engine.bus.publish(Alarm("retention", "recordings are due but can't be erased: check the disk"))

    async def _orphans(self) -> None:
        """What an older database that was put back doesn't know: nobody could erase it any more."""
        with contextlib.suppress(StorageError):
            gone = await erase_orphans(self._engine.custody.recordings, self._engine.clock.wallclock())
            if gone:
                log.warning("recordings without an entry in the index were destroyed", count=gone)

    async def _warn(self) -> None:
        """Agreement, evaluation or campaign end soon: said 60, 30, 14, 7, 3 and 1 days before."""
        now = self._engine.clock.wallclock()
        since, self._warned_until = self._warned_until or now - timedelta(days=1), now
        for term in self._engine.site.state.terms_in_force(now):
            for warned in warnings_between(term.agreement, since, now, term.evaluated):
                log.warning("something ends soon", what=warned.ending.what, days=warned.days)
                self._engine.bus.publish(Alarm("ends_soon", say_warning(warned, "en")))

    async def _probe(self) -> None:
        """A disk that failed is asked again; nothing is recorded before it answered."""
        site = self._engine.site
        if site.storage_available:
            return
        try:
            root = self._probe_file.parents[1]
            await asyncio.to_thread(durable.put, self._probe_file, b"probe", root, replace=True)
            wallclock = self._engine.clock.wallclock()
            await self._consents.erase_due(wallclock)
            await self._engine.ledger.close_failed()
        except StorageError:
            self._engine.bus.publish(Alarm("storage", "the database cannot be written: nothing is recorded"))
            return
        site.storage_available = True
        self._engine.reconsider_all()

    async def _leftovers(self) -> None:
        """Segments of an earlier run that no worker told of in time are interrupted; legs after its own wait for it."""
        left, wait = None, WORKERS_REPORT_S
        while left is None:
            await asyncio.sleep(wait)
            wait = PROBE_S
            try:
                await self._engine.custody.interrupt_leftovers()
                left = await self._engine.ledger.close_leftovers()
            except StorageError as error:
                fault = type(error).__name__
                log.error("what an earlier run left open could not be closed, trying again", fault=fault)
        if left:
            log.warning("entries of an earlier run were closed", count=left)
