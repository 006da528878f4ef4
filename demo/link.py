"""How a simulated SIP element sends and receives: one address, on UDP and on TCP (RFC 3261 §18).

Only plain transport: no transactions, no retransmissions. `lose` makes a bad network of it for tests.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

from gateway.sip.errors import SipSyntaxError
from gateway.sip.framer import StreamFramer
from gateway.sip.headers import bracketed, parse_uri
from gateway.sip.message import Keepalive, Message, Request, Response, parse_datagram


class Hop(NamedTuple):
    """Where a message goes to or came from."""

    transport: str
    """`udp` or `tcp`."""
    host: str
    port: int

    @classmethod
    def of_uri(cls, uri: str) -> "Hop":
        """The address that a `sip:` URI names; its host has to be an IP literal."""
        parsed = parse_uri(uri)
        return cls(parsed.transport.lower(), *parsed.hostport)


Deliver = Callable[[Request | Response, Hop], None]
Lose = Callable[[bytes], bool]


class Link(asyncio.DatagramProtocol):
    """A UDP socket and a TCP listener on one address; `open` makes one."""

    def __init__(self, deliver: Deliver, lose: Lose | None = None) -> None:
        self.host, self.port = "", 0
        self.malformed = 0
        """Messages that could not be read."""
        self._deliver = deliver
        self._lose = lose
        self._udp: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None
        self._streams: dict[Hop, asyncio.StreamWriter] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        self._reading: set[asyncio.Task[Any]] = set()

    @classmethod
    async def open(cls, bind: tuple[str, int], deliver: Deliver, lose: Lose | None = None) -> "Link":
        """Bind both; port 0 takes one that is free for both."""
        link = cls(deliver, lose)
        loop = asyncio.get_running_loop()
        link._server = await asyncio.start_server(link._accepted, *bind)
        link.host, link.port = link._server.sockets[0].getsockname()[:2]
        try:
            link._udp, _ = await loop.create_datagram_endpoint(lambda: link, local_addr=(link.host, link.port))
        except OSError:
            link._server.close()
            raise
        return link

    async def close(self) -> None:
        """Close every socket at once."""
        if self._server is not None:
            self._server.close()
        if self._udp is not None:
            self._udp.close()
        for stream in self._streams.values():
            stream.close()
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, *self._reading, return_exceptions=True)

    def send(self, message: Message, to: Hop) -> None:
        """Put a message on the wire; over TCP a connection that stands is used, else one is made."""
        data = message.to_bytes()
        if to.transport == "tcp":
            self._send_stream(data, to)
        elif self._udp is not None and not self._udp.is_closing() and not (self._lose and self._lose(data)):
            self._udp.sendto(data, (to.host, to.port))

    def via(self, transport: str, branch: str) -> str:
        """A Via value of this element."""
        return f"SIP/2.0/{transport.upper()} {bracketed(self.host)}:{self.port};branch={branch};rport"

    def uri(self, user: str = "", transport: str = "udp", *params: str) -> str:
        """A URI that leads back here."""
        before = f"{user}@" if user else ""
        after = "".join(f";{param}" for param in ((f"transport={transport}",) if transport != "udp" else ()) + params)
        return f"sip:{before}{bracketed(self.host)}:{self.port}{after}"

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """One UDP datagram from the loop."""
        try:
            self._deliver_item(parse_datagram(data), Hop("udp", addr[0], addr[1]))
        except SipSyntaxError:
            self.malformed += 1

    def _deliver_item(self, item: Request | Response | Keepalive | SipSyntaxError, origin: Hop) -> None:
        if isinstance(item, SipSyntaxError):
            self.malformed += 1
        elif not isinstance(item, Keepalive):
            self._deliver(item, origin)

    def _send_stream(self, data: bytes, to: Hop) -> None:
        stream = self._streams.get(to)
        if stream is not None and not stream.is_closing():
            stream.write(data)
        else:
            task = asyncio.get_running_loop().create_task(self._connect(data, to))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self, data: bytes, to: Hop) -> None:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(to.host, to.port, local_addr=(self.host, 0))
            writer.write(data)
            await self._read(reader, writer, to)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)
        await self._read(reader, writer, Hop("tcp", *writer.get_extra_info("peername")[:2]))

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Hop) -> None:
        framer = StreamFramer()
        self._streams[peer] = writer
        try:
            while not framer.broken and (data := await reader.read(65536)):
                for item in framer.feed(data):
                    self._deliver_item(item, peer)
        except ConnectionError:
            pass
        finally:
            writer.close()
            if self._streams.get(peer) is writer:
                del self._streams[peer]
