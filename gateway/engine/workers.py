"""The gateway's connections to its media workers: orders out, reports in, ports reserved.

A worker that isn't connected gets no new call and no order: what it carries it goes on forwarding by itself. On every
connection it first tells what it carries (`Hello`), so that a restarted gateway finds its calls again.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path

import structlog

from gateway.errors import GatewayError
from gateway.media.plane import (
    MAX_REPORT,
    Address,
    CallRef,
    FlowId,
    FlowSpec,
    Hello,
    Order,
    PlaneError,
    Report,
    Reserve,
    Reserved,
    ReserveFailed,
    decode_report,
    encode,
)

__all__ = ["NoPorts", "WorkerAway", "Workers"]

log = structlog.get_logger()
RECONNECT_S = 0.1
RESERVE_TIMEOUT_S = 1.0


class WorkerAway(GatewayError):
    """No media worker can be reached now: the call goes on without us."""


class NoPorts(GatewayError):
    """The worker has no ports left; the message is ng's (`Ran out of ports`)."""


class _Worker:
    """One worker's connection, made again whenever it breaks."""

    def __init__(
        self, index: int, path: Path, told: Callable[[int, Report], None], lost: Callable[[int], None]
    ) -> None:
        self.index = index
        self.load = 0
        self._path = path
        self._told = told
        self._lost = lost
        self._writer: asyncio.StreamWriter | None = None

    @property
    def connected(self) -> bool:
        return self._writer is not None

    def send(self, order: Order) -> bool:
        if self._writer is None:
            return False
        self._writer.write(encode(order))
        return True

    async def run(self) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(str(self._path), limit=MAX_REPORT)
            except OSError:
                await asyncio.sleep(RECONNECT_S)
                continue
            try:
                await self._read(reader, writer)
            except (ConnectionError, ValueError, PlaneError) as error:
                log.warning("media worker connection broke", worker=self.index, fault=type(error).__name__)
            finally:
                was, self._writer = self._writer, None
                writer.close()
                if was is not None:
                    self._lost(self.index)
            await asyncio.sleep(RECONNECT_S)

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            report = decode_report(line)
            if isinstance(report, Hello):
                self._writer = writer
            try:
                self._told(self.index, report)
            except Exception:  # a bug of ours in one report must not cost this worker's calls their recorder
                log.exception("a worker's report could not be taken", worker=self.index, kind=report.kind)


class Workers:
    """All media workers of this gateway."""

    def __init__(
        self, run_dir: Path, count: int, told: Callable[[int, Report], None], lost: Callable[[int], None]
    ) -> None:
        self._told = told
        self._lost = lost
        self._workers = [
            _Worker(index, run_dir / f"worker-{index}.sock", self._report, self._gone) for index in range(count)
        ]
        self._waiting: dict[tuple[int, CallRef], deque[asyncio.Future[dict[FlowId, Address]]]] = {}
        """By worker and call, in the order of the orders: a worker answers in that order."""
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to connect, and never stop trying."""
        self._tasks = [asyncio.create_task(worker.run()) for worker in self._workers]

    async def close(self) -> None:
        """End all connections; the workers forward on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def connected(self) -> tuple[int, ...]:
        """Indexes of the workers that can take orders."""
        return tuple(worker.index for worker in self._workers if worker.connected)

    def choose(self) -> int:
        """The connected worker with the fewest calls; raises `WorkerAway`."""
        ready = [worker for worker in self._workers if worker.connected]
        if not ready:
            raise WorkerAway("no media worker is connected")
        return min(ready, key=lambda worker: worker.load).index

    def send(self, worker: int, order: Order) -> bool:
        """Hand an order over; False when the worker is away (and has closed all taps by itself)."""
        return self._workers[worker].send(order)

    def note_load(self, worker: int, change: int) -> None:
        """A call began (+1) or ended (-1) on a worker."""
        self._workers[worker].load += change

    async def reserve(self, worker: int, call: CallRef, flows: tuple[FlowSpec, ...]) -> dict[FlowId, Address]:
        """Ports for the flows of a call; raises `WorkerAway`, `NoPorts`."""
        future: asyncio.Future[dict[FlowId, Address]] = asyncio.get_running_loop().create_future()
        if not self.send(worker, Reserve(call, flows)):
            raise WorkerAway("the call's media worker is away")
        waiting = self._waiting.setdefault((worker, call), deque())
        waiting.append(future)
        try:
            return await asyncio.wait_for(future, RESERVE_TIMEOUT_S)
        except TimeoutError:
            raise WorkerAway("the call's media worker doesn't answer") from None
        finally:
            if future in waiting:
                waiting.remove(future)
            if not waiting:
                self._waiting.pop((worker, call), None)

    def _report(self, worker: int, report: Report) -> None:
        if isinstance(report, Reserved | ReserveFailed):
            waiting = self._waiting.get((worker, report.call))
            future = waiting.popleft() if waiting else None
            if future is not None and not future.done():
                if isinstance(report, Reserved):
                    future.set_result(report.ports)
                else:
                    future.set_exception(NoPorts(report.reason))
            return
        self._told(worker, report)

    def _gone(self, worker: int) -> None:
        """A connection broke: who waits for ports over it needn't wait any longer."""
        for (asked, _), waiting in self._waiting.items():
            for future in waiting if asked == worker else ():
                if not future.done():
                    future.set_exception(WorkerAway("the call's media worker went away"))
        self._lost(worker)
