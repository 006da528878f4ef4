"""The API's end of the control port: commands with answers, and the gateway's events, over one Unix socket.

Nothing is queued: while the gateway is away a command fails at once. Connects again by itself; who listens is told
of each connection made and lost, since all that was known before it is stale then.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from pathlib import Path
from typing import Any, Final, Protocol, Self

import structlog

from api.errors import GatewayAway, GatewaySilent, Refused
from gateway.control.protocol import MAX_LINE, Answer, Command, ControlError, Request, Told, Watch, decode, encode
from gateway.events import Event

__all__ = ["Control", "ControlClient", "ask_once"]

ANSWER_S: Final = 5.0
RETRY_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)
_log = structlog.get_logger("control")


class Control(Protocol):
    """What routes need of the control port."""

    @property
    def connected(self) -> bool:
        """Whether a command would be sent now."""
        ...

    async def request(self, command: Command) -> dict[str, Any]:
        """Do a command; raises `GatewayAway`, `GatewaySilent` or `Refused`."""
        ...


class Listener(Protocol):
    """Who is told what comes from the gateway; all calls are made in the loop and must not block."""

    def connected(self) -> None:
        """A new connection stands; pages have to be opened again."""
        ...

    def lost(self) -> None:
        """The connection broke: nothing that was shown is known any more."""
        ...

    def told(self, event: Event) -> None:
        """One event of the gateway, in its order."""
        ...


class ControlClient:
    """One connection to `run/control.sock`, kept up while the context lasts."""

    def __init__(self, path: Path, listener: Listener | None = None, answer_s: float = ANSWER_S) -> None:
        self._path = path
        self._listener = listener
        self._answer_s = answer_s
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether a command would be sent now."""
        return self._writer is not None

    async def __aenter__(self) -> Self:
        """Connect, and keep connecting."""
        self._task = asyncio.create_task(self._keep_up(), name="control")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let the connection go; waiting commands fail."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def request(self, command: Command) -> dict[str, Any]:
        """Do a command; raises `GatewayAway`, `GatewaySilent` or `Refused`."""
        writer = self._writer
        if writer is None:
            raise GatewayAway
        number = next(self._ids)
        future = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            writer.write(encode(Request(number, command)))
            async with asyncio.timeout(self._answer_s):
                answer = await future
        except TimeoutError:
            raise GatewaySilent from None
        finally:
            self._waiting.pop(number, None)
        return _settled(answer)

    async def _keep_up(self) -> None:
        failures = 0
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(str(self._path), limit=MAX_LINE)
            except OSError:
                await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
                failures += 1
                continue
            failures = 0
            await self._serve(reader, writer)
            await asyncio.sleep(RETRY_S[0])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        if self._listener is not None:
            writer.write(encode(Request(next(self._ids), Watch())))
            self._listener.connected()
        try:
            while line := await reader.readline():
                self._take(line)
        except (OSError, ValueError, ControlError) as error:
            _log.warning("control connection broke", error=type(error).__name__)
        finally:
            self._writer = None
            writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(GatewayAway())
            if self._listener is not None:
                self._listener.lost()

    def _take(self, line: bytes) -> None:
        told = decode(line, "reply")
        if isinstance(told, Told):
            if self._listener is not None:
                self._listener.told(told.event)
        elif isinstance(told, Answer):
            future = self._waiting.get(told.id)
            if future is not None and not future.done():
                future.set_result(told)


async def ask_once(path: Path, command: Command, answer_s: float = ANSWER_S) -> dict[str, Any]:
    """One command on a connection of its own, for the command line; raises as `ControlClient.request`."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=MAX_LINE)
    except OSError:
        raise GatewayAway from None
    try:
        writer.write(encode(Request(1, command)))
        async with asyncio.timeout(answer_s):
            answer = decode(await reader.readline(), "reply")
    except TimeoutError:
        raise GatewaySilent from None
    except (OSError, ValueError, ControlError):
        raise GatewayAway from None
    finally:
        writer.close()
    if not isinstance(answer, Answer):
        raise GatewayAway
    return _settled(answer)


def _settled(answer: Answer) -> dict[str, Any]:
    if answer.error is not None:
        raise Refused(answer.error.code, answer.error.status, answer.error.message)
    return answer.ok or {}
