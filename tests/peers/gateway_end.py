"""The gateway's end of a media worker's socket: sends orders, waits for reports."""

import asyncio
import contextlib
from pathlib import Path

from gateway.media.plane import Report, decode_report, encode


class GatewayEnd:
    """One connection; `reports` holds everything that came, in order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reports: list[Report] = []
        self._reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, path: Path, timeout: float = 10.0) -> "GatewayEnd":
        """Connect as soon as the worker listens."""
        async with asyncio.timeout(timeout):
            while True:
                try:
                    return cls(*await asyncio.open_unix_connection(str(path), limit=1 << 20))
                except (FileNotFoundError, ConnectionRefusedError):
                    await asyncio.sleep(0.01)

    def order(self, *orders) -> None:
        """Send orders."""
        for order in orders:
            self.writer.write(encode(order))

    async def report(self, kind, timeout: float = 8.0, **fields):
        """The next report of a type (and with these values), those already here included."""
        seen = 0
        async with asyncio.timeout(timeout):
            while True:
                for report in self.reports[seen:]:
                    if isinstance(report, kind) and all(getattr(report, key) == value for key, value in fields.items()):
                        self.reports.remove(report)
                        return report
                seen = len(self.reports)
                line = await self._reader.readline()
                if not line:
                    raise ConnectionError("worker closed the connection")
                self.reports.append(decode_report(line))

    async def closed(self, timeout: float = 5.0) -> None:
        """Wait until the worker ends the connection."""
        async with asyncio.timeout(timeout):
            with contextlib.suppress(ConnectionResetError):
                while line := await self._reader.readline():
                    self.reports.append(decode_report(line))

    def close(self) -> None:
        self.writer.close()
