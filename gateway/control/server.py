"""The gateway's end of the control port: reads commands, has the engine do them, answers, and feeds events.

One connection is one API process; when it breaks, every page that was opened over it counts as closed. A line that
isn't a command ends the connection: the API is ours, so garbage there is a fault and not a dialect.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Protocol

import structlog

from gateway.control.protocol import (
    MAX_LINE,
    Answer,
    Command,
    ControlError,
    PageClosed,
    PageOpened,
    Refusal,
    Request,
    Told,
    Watch,
    decode,
    encode,
)
from gateway.engine.errors import Refused
from gateway.event_bus import EventBus

__all__ = ["ControlServer", "Steward"]

log = structlog.get_logger()


class Steward(Protocol):
    """Whoever does the commands: the engine."""

    async def command(self, command: Command) -> dict[str, Any]:
        """Do it, durable before it returns; raises `Refused`."""
        ...


class ControlServer:
    """Listens on a Unix socket that only this account may open."""

    def __init__(self, path: Path, steward: Steward, bus: EventBus) -> None:
        self._path = path
        self._steward = steward
        self._bus = bus
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Bind; a socket left by a gateway that was killed is replaced."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._accept, str(self._path), limit=MAX_LINE)
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        connection = _Connection(reader, writer, self._steward, self._bus)
        try:
            await connection.run()
        except asyncio.CancelledError:
            pass  # the server closes
        finally:
            self._connections.discard(task)
            await connection.end()


class _Connection:
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, steward: Steward, bus: EventBus
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._steward = steward
        self._bus = bus
        self._pages: set[tuple[str, str]] = set()
        self._feeds: set[asyncio.Task[None]] = set()
        self._work: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        while True:
            try:
                line = await self._reader.readline()
            except (ConnectionError, ValueError):
                return
            if not line.endswith(b"\n"):
                return
            try:
                request = decode(line, "request")
            except ControlError as error:
                log.warning("control line refused", fault=str(error))
                return
            assert isinstance(request, Request)
            if isinstance(request.command, Watch):
                self._begin(self._feed(), self._feeds)
                self._answer(Answer(request.id, ok={}))
            else:
                self._begin(self._do(request), self._work)

    async def end(self) -> None:
        """The API is gone: so are its pages, at once. A command that was begun is done: half of one is worse."""
        for feed in tuple(self._feeds):
            feed.cancel()
        self._writer.close()
        await self._close_pages()
        if self._work:
            await asyncio.wait(self._work)
            await self._close_pages()  # one may just have been opening

    async def _close_pages(self) -> None:
        for agent, page in tuple(self._pages):
            try:
                await self._steward.command(PageClosed(agent, page))
            except Exception:  # the others must be closed all the same
                log.exception("a page could not be closed")

    def _begin(self, work: Awaitable[None], running: set[asyncio.Task[None]]) -> None:
        task = asyncio.ensure_future(work)
        running.add(task)
        task.add_done_callback(running.discard)

    async def _do(self, request: Request) -> None:
        command = request.command
        if isinstance(command, PageOpened):
            self._pages.add((command.agent, command.page))
        elif isinstance(command, PageClosed):
            self._pages.discard((command.agent, command.page))
        try:
            self._answer(Answer(request.id, ok=await self._steward.command(command)))
        except Refused as refused:
            self._answer(Answer(request.id, error=refused.refusal))
        except Exception:
            log.exception("command failed", kind=command.kind)
            self._answer(Answer(request.id, error=Refusal("internal", "the gateway could not do this", 500)))

    async def _feed(self) -> None:
        subscription = self._bus.subscribe()
        try:
            async for event in subscription:
                self._writer.write(encode(Told(event)))
                await self._writer.drain()
            self._writer.close()  # fell behind: the API starts again with snapshots
        except ConnectionError:
            return
        finally:
            self._bus.unsubscribe(subscription)

    def _answer(self, answer: Answer) -> None:
        if not self._writer.is_closing():
            self._writer.write(encode(answer))
