"""A party of a call as the media plane meets it: RTP and RTCP sockets on loopback that send and collect packets."""

import asyncio
import socket

from gateway.media.plane import Address
from gateway.rtp.packet import Rtp, build


class RtpParty:
    """Sends numbered packets; `heard` and `reports` hold what came, in order, with its source."""

    def __init__(
        self, host: str, ssrc: int = 0x11223344, payload_type: int = 8, at: tuple[str, int] | None = None
    ) -> None:
        self.ssrc, self.payload_type = ssrc, payload_type
        self.seq, self.timestamp = 65530, 2**32 - 800
        self.heard: list[bytes] = []
        self.sources: list[tuple[str, int]] = []
        self.reports: list[bytes] = []
        self._came = asyncio.Event()
        self.rtp, self.rtcp = self._bound(*(at or (host, 0))), self._bound(host, 0)
        loop = asyncio.get_running_loop()
        loop.add_reader(self.rtp, self._read, self.rtp, self.heard)
        loop.add_reader(self.rtcp, self._read, self.rtcp, self.reports)

    @staticmethod
    def _bound(host: str, port: int) -> socket.socket:
        bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        bound.setblocking(False)
        bound.bind((host, port))
        return bound

    @property
    def address(self) -> Address:
        return Address(*self.rtp.getsockname()[:2])

    @property
    def rtcp_address(self) -> Address:
        return Address(*self.rtcp.getsockname()[:2])

    def packet(self, payload: bytes, *, payload_type: int | None = None, marker: bool = False) -> bytes:
        """The next packet of this party's stream."""
        kind = self.payload_type if payload_type is None else payload_type
        made = build(kind, self.seq, self.timestamp, self.ssrc, payload, marker=marker)
        self.seq, self.timestamp = self.seq + 1, self.timestamp + len(payload)
        return made

    def say(self, to: Address, payload: bytes = b"\x55" * 160, **kind) -> bytes:
        """Send the next packet."""
        packet = self.packet(payload, **kind)
        self.rtp.sendto(packet, (to.host, to.port))
        return packet

    def send(self, to: Address, packet: bytes) -> bytes:
        """Send any bytes from the RTP socket."""
        self.rtp.sendto(packet, (to.host, to.port))
        return packet

    async def until(self, condition, timeout: float = 5.0) -> None:
        """Wait until packets that came make `condition()` true."""
        async with asyncio.timeout(timeout):
            while not condition():
                self._came.clear()
                await self._came.wait()

    async def hears(self, count: int) -> list[bytes]:
        """Wait for so many packets in all."""
        await self.until(lambda: len(self.heard) >= count)
        return self.heard[:count]

    @property
    def payloads(self) -> list[bytes]:
        """Payloads of all that came."""
        return [packet[Rtp.parse(packet).start :] for packet in self.heard]

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        for bound in (self.rtp, self.rtcp):
            loop.remove_reader(bound)
            bound.close()

    def _read(self, bound: socket.socket, into: list[bytes]) -> None:
        try:
            while True:
                packet, source = bound.recvfrom(65536)
                into.append(packet)
                self.sources.append(source[:2])
        except OSError:
            pass
        self._came.set()
