"""What one party says on one audio m-line, on its way to the other: forward, then tap, with one reused buffer."""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gateway.media.datapath.base import Divert, Tap
from gateway.media.datapath.party_flow import BURST, PartyFlow
from gateway.media.datapath.ports import Pair
from gateway.media.datapath.reception import Reception
from gateway.media.datapath.secrecy import Secrecy
from gateway.media.plane import FlowCount, FlowId, Srtp
from gateway.rtp.packet import HEADER_BYTES

if TYPE_CHECKING:
    from gateway.media.datapath.userspace import UserspaceDatapath

UNREADABLE: Final = 50
"""Packets in a row that can't be decrypted, until that is told: about a second's."""


class Flow(PartyFlow):
    """See the module."""

    __slots__ = (
        "divert",
        "last_header",
        "passing",
        "reception",
        "secrecy",
        "slow",
        "ssrc",
        "tap",
        "told_unreadable",
        "translated",
    )

    def __init__(self, flow: FlowId, pair: Pair, path: "UserspaceDatapath") -> None:
        super().__init__(flow, pair, path)
        self.divert: Divert | None = None
        self.tap: Tap | None = None
        self.secrecy: Secrecy | None = None
        self.slow = False
        """Somebody records, listens or plays, or a key is needed on the way."""
        self.translated = False
        """One of the two parties speaks SRTP with us, the other one plain RTP."""
        self.passing: memoryview | None = None
        """What a divert may pass on."""
        self.told_unreadable = False
        self.ssrc: bytearray | None = None
        self.last_header: bytes | bytearray = b""
        """Of the last RTP packet that came in."""
        self.reception: Final = Reception()

    def read(self) -> None:
        """RTP is there: send all of it on."""
        path, port, counts, peer = self.path, self.rtp, self.counts, self.peer
        # INVARIANT: no packet gets behind an order to stop that was here first, however late this process is.
        wanting = peer is None or peer.rtp.target is None or not port.connected or self.tap is not None
        if wanting and not path.caught_up(self):
            return
        buffer, view = path.buffer, path.view
        for _ in range(BURST):
            try:
                size = self.receive(port)
            except BlockingIOError:
                return
            except OSError:
                port.refused()
                continue  # the party may come back
            if size < 0:
                continue
            packet = view[:size]
            if 192 <= buffer[1] <= 223 and size > 1:
                self.relay_rtcp(packet)
                continue
            counts.received += 1
            peer = self.peer
            if peer is None:
                continue
            if self.slow:
                self.relay_slowly(packet, peer)
            elif peer.rtp.send(packet):
                counts.forwarded += 1
            else:
                counts.send_failed += 1
            if size >= HEADER_BYTES:
                header = buffer[:HEADER_BYTES]
                self.last_header = header
                if header[8:] != self.ssrc:
                    self.new_ssrc(header)

    def relay_slowly(self, packet: memoryview, peer: "Flow") -> None:
        """Send one packet on, then tap it, where more is to be done than to hand it over."""
        counts, now = self.counts, self.path.clock.now()
        if self.divert is None and not self.translated:
            sent, reached = peer.rtp.send(packet), peer.rtp.target is not None
            clear = self.clear(packet) if self.tap is not None and reached else None
        else:
            clear = self.clear(packet)
            self.passing = clear if self.translated else packet
            if self.divert is not None:
                sent = reached = self.divert(packet if clear is None else clear, now, clear is not None)
            else:
                sent, reached = self.pass_on(), peer.rtp.target is not None
            self.passing = None
        if sent:
            counts.forwarded += 1
        elif self.divert is None:
            counts.send_failed += 1
        if self.tap is not None and reached and clear is not None:
            counts.tapped += 1
            self.tap(now, clear)

    def clear(self, packet: memoryview) -> memoryview | None:
        """What the party said; None where that is encrypted and can't be read."""
        if self.order is None or self.order.srtp is Srtp.NONE:
            return packet
        secrecy = self.secrecy
        opened = secrecy.open(packet, self.counts.received) if secrecy is not None else None
        if opened is not None:
            return memoryview(opened)
        missed = secrecy.missed if secrecy is not None else None
        if self.translated and missed != 0:  # else it came twice
            self.counts.unreadable += 1
        if not self.told_unreadable and (missed is None or missed >= UNREADABLE):
            self.told_unreadable = True
            self.path.observer.unreadable(self.id)
        return None

    def pass_on(self) -> bool:
        """Send the packet that is looked at to the peer's party, as it came."""
        if self.passing is None or self.peer is None:
            return False
        return self.peer.say(self.passing) if self.translated else self.peer.rtp.send(self.passing)

    def say(self, packet: bytes | bytearray | memoryview) -> bool:
        """To the party, encrypted as it expects it."""
        if self.order is None or self.order.srtp is Srtp.NONE:
            return self.rtp.send(packet)
        sealed = self.secrecy.seal(packet) if self.secrecy is not None else None
        return sealed is not None and self.rtp.send(sealed)

    def settle(self) -> None:
        """After a change: whether the fast way does."""
        self.translated = any(
            flow is not None and flow.order is not None and flow.order.srtp is Srtp.ENDED for flow in (self, self.peer)
        )
        self.slow = self.translated or self.divert is not None or self.tap is not None

    def relay_rtcp(self, packet: memoryview) -> None:
        """To the port on which the peer's party expects RTCP; sender reports of a shaped flow are dropped.

        After a play our timestamps differ from those that a sender report names, and it would mislead the receiver.
        """
        self.counts.rtcp += 1
        peer = self.peer
        if peer is None or peer.order is None:
            return
        clear = self.clear_rtcp(packet)
        if clear is not None:
            self.reception.reported(clear, peer.reception, peer.last_header, self.path.clock.now())
        if self.divert is not None and len(packet) > 1 and packet[1] == 200:
            return
        port = peer.rtp if peer.order.rtcp_mux else peer.rtcp
        if not self.translated:
            port.send(packet)
        elif clear is not None and peer.order.srtp is Srtp.NONE:
            port.send(clear)
        elif clear is not None and (sealed := peer.secrecy and peer.secrecy.seal_rtcp(clear)):
            port.send(sealed)

    def clear_rtcp(self, packet: memoryview) -> memoryview | None:
        """The party's RTCP; None where it is encrypted and can't be read."""
        if self.order is None or self.order.srtp is Srtp.NONE:
            return packet
        opened = self.secrecy.open_rtcp(packet) if self.secrecy is not None else None
        return memoryview(opened) if opened is not None else None

    def new_ssrc(self, header: bytearray) -> None:
        """Tell about a stream that wasn't there before."""
        if header[0] >> 6 != 2:
            return
        earlier = None if self.ssrc is None else int.from_bytes(self.ssrc, "big")
        self.ssrc = header[8:]
        ssrc = int.from_bytes(self.ssrc, "big")
        self.path.observer.media_seen(self.id, self.path.clock.now(), ssrc, header[1] & 0x7F, earlier)

    def counted(self) -> FlowCount:
        """Its counters now."""
        self.reception.survey(self.last_header, self.counts.received)
        return replace(self.counts.read(), lost=self.reception.lost, heard=self.reception.heard)

    def close(self) -> None:
        """Let go of everybody who reads or changes its packets, too."""
        self.tap = self.divert = self.secrecy = None
        super().close()
