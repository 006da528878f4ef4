"""What every flow has, whatever is done with its packets: ports that face one party, and whom they are taken from.

What was queued from others before a socket was connected is read with its address and dropped; before anything is taken
for a stranger's, or for nobody, what was ordered by now is carried out. See performance.md for why this shape.
"""

import ipaddress
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Self

from gateway.media.datapath.base import Latched
from gateway.media.datapath.marking import NOTES_BYTES, class_of, mark
from gateway.media.datapath.party_port import Port, Target
from gateway.media.datapath.ports import Pair
from gateway.media.plane import Address, FlowCount, FlowId, Forward

if TYPE_CHECKING:
    from gateway.media.datapath.userspace import UserspaceDatapath

BURST: Final = 64
"""Packets read in one wake-up of a socket before the others get their turn."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class PartyFlow(ABC):
    """See the module. `read` and `read_rtcp` are the packet path."""

    __slots__ = ("counts", "hosts", "id", "networks", "order", "pair", "path", "peer", "rtcp", "rtp")

    peer: Self | None

    def __init__(self, flow: FlowId, pair: Pair, path: "UserspaceDatapath") -> None:
        self.id: Final = flow
        self.pair: Final = pair
        self.path: Final = path
        self.rtp: Final = Port(pair.rtp, lambda: path.watch_again(self, pair.rtp, self.read))
        self.rtcp: Final = Port(pair.rtcp, lambda: path.watch_again(self, pair.rtcp, self.read_rtcp))
        self.order: Forward | None = None
        self.peer = None
        self.hosts: frozenset[str] = frozenset()
        self.networks: tuple[Network, ...] = ()
        self.counts: Final = Counts()

    @abstractmethod
    def read(self) -> None:
        """Something is there on the first port."""

    @abstractmethod
    def relay_rtcp(self, packet: memoryview) -> None:
        """One packet of the second port's, from the party."""

    def read_rtcp(self) -> None:
        """Something is there on the second port."""
        if not self.rtcp.connected and not self.path.caught_up(self):
            return
        for _ in range(BURST):
            try:
                size = self.receive(self.rtcp)
            except BlockingIOError:
                return
            except OSError:
                self.rtcp.refused()
                continue
            if size >= 0:
                self.relay_rtcp(self.path.view[:size])

    def admits(self, port: Port, source: Target) -> bool:
        """Whether an unlatched port takes a packet from there."""
        if self.order is None or port.is_former(source, self.path.clock.now()):
            return False
        if self.order.any_source or source[0] in self.hosts:
            return True
        return bool(self.networks) and any(ipaddress.ip_address(source[0]) in network for network in self.networks)

    def receive(self, port: Port) -> int:
        """Read one packet into the buffer; its length, or -1 where it may not be used. Raises BlockingIOError."""
        if port.connected and not port.settling:
            return port.sock.recv_into(self.path.buffer)
        try:
            size, notes, _, source = port.sock.recvmsg_into((self.path.buffer,), NOTES_BYTES)
        except BlockingIOError:
            port.settling = False
            raise
        source = source[:2]
        if port.connected:
            if source == port.source:
                return size
        elif self.admits(port, source):
            port.latch(source)
            if self.peer is not None:
                # what the party marks its packets with, ours towards the other one are marked with
                mark((self.peer.rtp if port is self.rtp else self.peer.rtcp).sock, class_of(notes))
            self.path.observer.latched(self.id, self.sources())
            return size
        self.counts.wrong_source += 1
        return -1

    def counted(self) -> FlowCount:
        """Its counters now."""
        return self.counts.read()

    def sources(self) -> Latched:
        """Where the party was found to send from."""
        rtp, rtcp = self.rtp.source, self.rtcp.source
        return Latched(rtp and Address(*rtp), rtcp and Address(*rtcp))

    def close(self) -> None:
        """Let go of what it knows of others: its ports are about to be closed."""
        if self.peer is not None and self.peer.peer is self:
            self.peer.peer = None
        self.peer = None


class Counts:
    """A flow's counters while they count."""

    __slots__ = ("forwarded", "received", "rtcp", "send_failed", "tapped", "unreadable", "wrong_source")

    def __init__(self) -> None:
        self.received = self.forwarded = self.wrong_source = self.send_failed = self.rtcp = self.tapped = 0
        self.unreadable = 0

    def read(self) -> FlowCount:
        """As the seam carries them."""
        return FlowCount(
            *(self.received, self.forwarded, self.wrong_source, self.send_failed, self.rtcp, self.tapped),
            unreadable=self.unreadable,
        )
