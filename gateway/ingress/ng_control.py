"""The ng control port: datagrams and streams in, one reply for each cookie (rtpengine's protocol, over UDP and TCP).

A proxy's process waits for every reply and gives the node up for a minute where none comes: so whatever has a cookie is
answered, also what can't be read. A retransmission gets the first reply again and does nothing anew. Logs no content.
"""

import asyncio
import re
import socket
from collections import Counter, OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import structlog

from gateway.clock import Clock
from gateway.config import Config, ConfigError, Listener
from gateway.engine.engine import Engine
from gateway.ingress.listening import bound_socket
from gateway.ingress.ng_calls import NgCalls
from gateway.ng import message
from gateway.ng.bencode import MAX_BYTES, Cut, decode_prefix
from gateway.ng.errors import BencodeError, NgError
from gateway.ng.message import NgRequest, ReplyBody, split_cookie

__all__ = ["NgControl"]

log = structlog.get_logger()
REMEMBERED_S = 30.0
"""How long a reply is kept for retransmissions: longer than any proxy asks again."""
REMEMBERED = 16_384
MAX_CONNECTIONS = 64
IDLE_S = 120.0
"""A stream that says nothing for so long, or doesn't read what it asked for, is closed."""
DATAGRAMS_PER_WAKE = 32
MAX_DATAGRAM = 65_507
"""What IPv4 carries."""
KEY = re.compile(r"[A-Za-z][A-Za-z0-9 .-]{0,31}")
"""What may stand in a log: what else is written in a key's place could be anything."""
MOST_WARNINGS = 64

Place = tuple[str, int]
Key = tuple[Place, bytes]


@dataclass(slots=True)
class _Asked:
    at: float
    reply: bytes | None = None
    """None while the first asking is being worked on: its reply serves both."""


class NgControl:
    """All ng sockets of this gateway. Without listeners it does nothing."""

    def __init__(self, config: Config, engine: Engine, clock: Clock) -> None:
        self._listeners = tuple(Listener.parse(text) for text in config.ng.listen)
        self._calls = NgCalls(config, engine, clock)
        self._clock = clock
        self._counters: Counter[str] = engine.counters
        self._asked: OrderedDict[Key, _Asked] = OrderedDict()
        self._warned: set[str] = set()
        self._udp: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._streams: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Bind and serve; raises `ConfigError` where an address can't be bound."""
        loop = asyncio.get_running_loop()
        try:
            for listener in self._listeners:
                bound = bound_socket(listener)
                if listener.transport == "udp":
                    self._udp.append(bound)
                    loop.add_reader(bound.fileno(), self._read, bound)
                else:
                    server = await asyncio.start_server(self._serve_stream, sock=bound)
                    self._servers.append(server)
        except OSError as error:
            await self.close()
            raise ConfigError(f"ng.listen: can't be bound: {(error.strerror or str(error)).lower()}") from None

    def bound(self) -> list[Place]:
        """The addresses in use, datagrams first."""
        sockets = [*self._udp, *(sock for server in self._servers for sock in server.sockets)]
        return [sock.getsockname()[:2] for sock in sockets]

    def drain(self) -> None:
        """Take no new calls: the proxy uses its other nodes."""
        self._calls.draining = True

    async def close(self) -> None:
        """Close every socket."""
        for bound in self._udp:
            asyncio.get_running_loop().remove_reader(bound.fileno())
            bound.close()
        self._udp.clear()
        for server in self._servers:
            server.close()
        for task in (*self._tasks, *self._streams):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._streams, return_exceptions=True)

    # --- datagrams ---------------------------------------------------------------------------------------------------

    def _read(self, sock: socket.socket) -> None:
        for _ in range(DATAGRAMS_PER_WAKE):
            try:
                data, address = sock.recvfrom(MAX_BYTES + message.MAX_COOKIE + 2)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._counters["ng_receive_errors"] += 1
                return
            self._take(sock, data, (address[0], address[1]))

    def _take(self, sock: socket.socket, data: bytes, place: Place) -> None:
        parts = split_cookie(data)
        if parts is None:
            self._counters["ng_without_cookie"] += 1
            return
        now = self._clock.now()
        self._forget(now)
        asked = self._asked.get((place, parts.cookie))
        if asked is None:
            asked = self._asked[place, parts.cookie] = _Asked(now)
            self._spawn(self._reply_to_datagram(sock, place, parts.cookie, parts.body, asked))
        elif asked.reply is not None:
            self._counters["ng_retransmissions"] += 1
            self._send(sock, asked.reply, place)

    async def _reply_to_datagram(
        self, sock: socket.socket, place: Place, cookie: bytes, body: bytes, asked: _Asked
    ) -> None:
        reply = message.reply(cookie, await self._answer(body, place[0]))
        if len(reply) > MAX_DATAGRAM:  # unanswered, the whole node would be given up
            self._counters["ng_errors"] += 1
            reply = message.reply(cookie, message.error(message.TOO_LONG))
        asked.reply = reply
        self._send(sock, asked.reply, place)

    def _send(self, sock: socket.socket, reply: bytes, place: Place) -> None:
        try:
            sock.sendto(reply, place)
        except OSError:  # also a full buffer: the proxy asks again
            self._counters["ng_send_failed"] += 1

    def _forget(self, now: float) -> None:
        while self._asked:
            oldest = next(iter(self._asked.values()))
            if now - oldest.at <= REMEMBERED_S and len(self._asked) < REMEMBERED:
                return
            self._asked.popitem(last=False)

    # --- streams -----------------------------------------------------------------------------------------------------

    async def _serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._streams) >= MAX_CONNECTIONS:
            self._counters["ng_too_many_connections"] += 1
            writer.close()
            return
        self._streams.add(task)
        try:
            await self._converse(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            writer.transport.abort()  # the proxy went away, fell silent or doesn't read: nothing is left to be flushed
        finally:
            self._streams.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Messages follow one another without a separator: each ends where its dictionary ends."""
        buffered, host = b"", writer.get_extra_info("peername")[0]
        while True:
            chunk = await asyncio.wait_for(reader.read(65_536), IDLE_S)
            if not chunk:
                return
            buffered += chunk
            while (parts := split_cookie(buffered)) is not None:
                try:
                    _, end = decode_prefix(parts.body)
                except Cut:
                    break
                except BencodeError:
                    # what follows can't be found in here any more
                    writer.write(message.reply(parts.cookie, message.error(message.NO_DICTIONARY)))
                    await asyncio.wait_for(writer.drain(), IDLE_S)
                    return
                writer.write(message.reply(parts.cookie, await self._answer(parts.body[:end], host)))
                await asyncio.wait_for(writer.drain(), IDLE_S)
                buffered = parts.body[end:].lstrip(b"\r\n")
            if parts is None and (b" " in buffered or len(buffered) > message.MAX_COOKIE):  # no cookie will come of it
                self._counters["ng_without_cookie"] += 1
                return

    # --- both --------------------------------------------------------------------------------------------------------

    async def _answer(self, body: bytes, host: str) -> ReplyBody:
        try:
            request = NgRequest.parse(body)
            self._warn(request.unknown)
            return await self._calls.handle(request, host)
        except NgError as refused:
            self._counters["ng_errors"] += 1
            return message.refusal(refused)
        except Exception:  # our fault: the proxy lets the call run without us
            self._counters["faults"] += 1
            log.exception("an ng request could not be handled")
            return message.error("Internal error")

    def _warn(self, unknown: tuple[str, ...]) -> None:
        """A key that the protocol doesn't have is ignored, and said once: it may be a fault of a script."""
        for key in unknown:
            self._counters["ng_unknown_keys"] += 1
            if KEY.fullmatch(key) and key not in self._warned and len(self._warned) < MOST_WARNINGS:
                self._warned.add(key)
                log.warning("an ng key isn't known and was ignored", key=key)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
