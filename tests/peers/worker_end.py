"""A media worker's end of its socket: takes orders, reports what a test tells it to."""

import asyncio
from pathlib import Path
from typing import TypeVar

from gateway.media.plane import Hello, Order, Report, decode_order, encode

T = TypeVar("T")


class WorkerEnd:
    """Listens between `start` and `stop`; says `hello` on every connection unless it is None."""

    def __init__(self, path: Path, hello: Hello | None) -> None:
        self.path, self.hello = path, hello
        self.orders: asyncio.Queue[Order] = asyncio.Queue()
        self.connections = 0
        self._connected = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.hang_up()
        await asyncio.gather(*self._serving)
        self.path.unlink(missing_ok=True)

    async def connected(self) -> None:
        """Until a gateway was here."""
        async with asyncio.timeout(5):
            await self._connected.wait()

    def hang_up(self) -> None:
        """Break the connection there is."""
        for writer in self._writers:
            writer.close()

    def write(self, line: bytes) -> None:
        for writer in self._writers:
            writer.write(line)

    def report(self, *reports: Report) -> None:
        for report in reports:
            self.write(encode(report))

    async def order(self, kind: type[T]) -> T:
        """The next order, which must be of this kind."""
        async with asyncio.timeout(5):
            found = await self.orders.get()
        assert isinstance(found, kind), found
        return found

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        self.connections += 1
        self._connected.set()
        self._writers.add(writer)
        if self.hello is not None:
            writer.write(encode(self.hello))
        while line := await reader.readline():
            self.orders.put_nowait(decode_order(line))
        self._writers.discard(writer)
        writer.close()
