"""A worker's Unix socket for its gateway, at most one at a time: orders in, reports out, JSON lines as `plane` encodes
them. A new connection replaces the old one.

Plain sockets instead of streams, so that orders can be read at once when packets come that no order covers yet
(`Observer.catch_up`): a gateway orders first and lets the parties know then, so whoever sends because of an answer
finds that the order is here already, however late this process is.
"""

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import Final

from gateway.media.plane import MAX_LINE, PlaneError, Report, decode_order, encode
from gateway.media.worker import Worker

__all__ = ["GatewayLine"]

MAX_UNSENT: Final = 8 << 20
"""Bytes of reports that a gateway may leave unread before its connection is dropped."""
CHUNK: Final = 65_536
CHUNKS: Final = 64
"""Of orders taken in one go: more than a socket holds, so that a gateway that never stops doesn't stop the media."""
ACCEPT_AGAIN_S: Final = 0.5
"""After the system refused a connection, for want of file descriptors for instance."""


class GatewayLine:
    """The socket at `path`, from `serve` to `close`; needs a running loop with `add_reader`."""

    def __init__(self, worker: Worker, path: Path) -> None:
        self._worker: Final = worker
        self._path: Final = path
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._gateway: _Connection | None = None

    def serve(self) -> None:
        """Listen for gateways. Raises OSError."""
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        self._path.unlink(missing_ok=True)
        self._listener.bind(str(self._path))
        self._listener.listen()
        self._accepting = asyncio.create_task(self._accept(self._listener))

    async def close(self) -> None:
        """Listen no more, and end the connection there is, as if the gateway had gone."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()
        self._drop()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError:
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            self._drop()
            self._gateway = _Connection(self, self._worker, sock, loop)
            for report in self._worker.hello():
                self._gateway.send(report)
            self._worker.send, self._worker.orders = self._gateway.send, self._gateway.read
            self._gateway.begin()

    def ended(self, connection: "_Connection") -> None:
        """A connection is over by itself."""
        if self._gateway is connection:
            self._drop()

    def _drop(self) -> None:
        connection, self._gateway = self._gateway, None
        if connection is not None:
            # what a gateway that hangs has left unread isn't waited for
            connection.close()
            self._worker.gateway_lost()


class _Connection:
    """One gateway's."""

    def __init__(self, line: GatewayLine, worker: Worker, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._line, self._worker, self._sock, self._loop = line, worker, sock, loop
        self._come = bytearray()
        self._unsent = bytearray()
        self._open = True
        self._reading = False

    def begin(self) -> None:
        """Take orders."""
        if self._open:
            self._loop.add_reader(self._sock, self.read)

    def close(self) -> None:
        """At once, whatever is left to send."""
        self._open = False
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()

    def read(self) -> None:
        """Carry out all orders that are here; nothing where one is just being carried out."""
        if self._reading:
            return
        self._reading = True
        try:
            self._take_all()
        except (PlaneError, OSError):
            # a malformed or overlong line: a gateway that speaks otherwise can't be trusted with the next one
            self._worker.faults["connection"] += 1
            self._line.ended(self)
        finally:
            self._reading = False

    def _take_all(self) -> None:
        for _ in range(CHUNKS):
            try:
                chunk = self._sock.recv(CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                self._line.ended(self)
                return
            *lines, rest = (self._come + chunk).split(b"\n")
            self._come = rest
            if max(map(len, (*lines, rest))) > MAX_LINE:
                raise PlaneError("a line is too long")
            for line in lines:
                self._worker.carry_out(decode_order(bytes(line)))
                if not self._open:
                    return

    def send(self, report: Report) -> None:
        """Tell the gateway, at once where it reads."""
        if not self._open:
            return
        waiting = bool(self._unsent)
        self._unsent += encode(report)
        if not waiting:
            self._write()
        if len(self._unsent) > MAX_UNSENT:
            self._worker.faults["unread_reports"] += 1
            self._give_up()

    def _write(self) -> None:
        try:
            with contextlib.suppress(BlockingIOError):
                del self._unsent[: self._sock.send(self._unsent)]
        except OSError:
            self._give_up()
            return
        if self._unsent:
            self._loop.add_writer(self._sock, self._write)
        else:
            self._loop.remove_writer(self._sock)

    def _give_up(self) -> None:
        """End soon, but not within what reports, which goes on as if the gateway listened."""
        self._open = False
        self._loop.call_soon(self._line.ended, self)
