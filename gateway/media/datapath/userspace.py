"""The relay in this process: two connected UDP sockets a flow, `add_reader`, one reused buffer; forward, then tap.

A socket takes packets from its party's address until the first one; then it is connected to where that one came from,
so that the kernel drops all others (it counts them nowhere: `wrong_source` holds those before the latch). What was
queued from others before the connect is read with its address and dropped. See performance.md for why this shape.

A connected socket also learns of ICMP errors: "nobody listens there" fails the next send or read, not the one that it
is about. And libuv stops watching a socket with an error for good, so that after each one it is watched anew.
"""

import asyncio
import contextlib
import ctypes
import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Final

from gateway.clock import Clock
from gateway.media.datapath.base import Divert, Latched, Observer, Outlet, Tap
from gateway.media.datapath.marking import NOTES_BYTES, class_of, mark, watch_class
from gateway.media.datapath.ports import Pair, PortPool
from gateway.media.datapath.reception import Reception
from gateway.media.datapath.secrecy import Secrecy
from gateway.media.errors import OrderRefused, OutOfPorts, UnknownFlow
from gateway.media.plane import Address, FlowCount, FlowId, FlowSpec, FlowState, Forward, Secure, Srtp
from gateway.rtp.packet import HEADER_BYTES

BURST: Final = 64
"""Packets read in one wake-up of a socket before the others get their turn."""
FORMER_S: Final = 2.0
UNREADABLE: Final = 50
"""Packets in a row that can't be decrypted, until that is told: about a second's."""
BUFFER_BYTES: Final = 65_536
LAST_PORT: Final = 65_535
"""None is above it."""
_LIBC: Final = ctypes.CDLL(None, use_errno=True)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Target = tuple[str, int]


class Port:
    """One UDP socket that faces a party: its latch, and where it sends. `refused` is called after an ICMP error."""

    __slots__ = ("connected", "former", "former_until", "named", "refused", "settling", "sock", "source", "target")

    def __init__(self, sock: socket.socket, refused: Callable[[], None]) -> None:
        self.sock: Final = sock
        self.refused: Final = refused
        self.connected = False
        self.settling = False
        """Connected, but packets that were queued before may be others'."""
        self.source: Target | None = None
        self.target: Target | None = None
        """Where the party's SDP says it receives; None: held or not known, nothing is sent."""
        self.named: Target | None = None
        """The last target that wasn't None: only another one undoes the latch."""
        self.former: tuple[Target | None, ...] = ()
        """Where the party sent from before its address changed; still sending for a moment, and not to be latched."""
        self.former_until = 0.0

    def send(self, packet: bytes | bytearray | memoryview) -> bool:
        """To the party; False where its address isn't known or the kernel refused."""
        if self.target is None:
            return False
        try:
            if self.connected:
                self.sock.send(packet)
            else:
                self.sock.sendto(packet, self.target)
        except ConnectionRefusedError:
            self.refused()
            return self._send_again(packet)
        except OSError:
            return False
        return True

    def _send_again(self, packet: bytes | bytearray | memoryview) -> bool:
        """What was refused was an earlier packet: this one hasn't been sent yet."""
        try:
            self.sock.send(packet)
        except OSError:
            return False
        return True

    def aim(self, target: Target | None, now: float) -> None:
        """Take over what the party's SDP says; another address than before undoes the latch."""
        if target is not None and target != self.named:
            if target != self.source:
                # the branch that was named before may speak up only now, and from the same host
                self.former, self.former_until = (self.source, self.named), now + FORMER_S
                self.unlatch()
            self.named = target
        self.target = target

    def latch(self, source: Target) -> None:
        """Take packets from there only, and send there."""
        self.sock.connect(source)
        self.source, self.connected, self.settling = source, True, True
        watch_class(self.sock, False)

    def unlatch(self) -> None:
        """Take packets from anywhere again; the port stays bound."""
        if self.connected:
            # AF_UNSPEC dissolves the association (connect(2)); Python's own connect can't say that
            _LIBC.connect(self.sock.fileno(), bytes(16), 16)
            watch_class(self.sock, True)
        self.source, self.connected, self.settling = None, False, False

    def is_former(self, source: Target, now: float) -> bool:
        """Whether a packet is a late one from before the party's address changed."""
        return source in self.former and source != self.target and now < self.former_until


class Flow:
    """What one party sends on one m-line; `read` and `read_rtcp` are the packet path."""

    __slots__ = (
        "counts",
        "divert",
        "hosts",
        "id",
        "last_header",
        "networks",
        "order",
        "pair",
        "passing",
        "path",
        "peer",
        "reception",
        "rtcp",
        "rtp",
        "secrecy",
        "slow",
        "ssrc",
        "tap",
        "told_unreadable",
        "translated",
    )

    def __init__(self, flow: FlowId, pair: Pair, path: "UserspaceDatapath") -> None:
        self.id: Final = flow
        self.pair: Final = pair
        self.path: Final = path
        self.rtp: Final = Port(pair.rtp, lambda: path.watch_again(self, pair.rtp, self.read))
        self.rtcp: Final = Port(pair.rtcp, lambda: path.watch_again(self, pair.rtcp, self.read_rtcp))
        self.order: Forward | None = None
        self.peer: Flow | None = None
        self.hosts: frozenset[str] = frozenset()
        self.networks: tuple[Network, ...] = ()
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
        self.counts: Final = Counts()
        self.reception: Final = Reception()

    def admits(self, port: Port, source: Target) -> bool:
        """Whether an unlatched port takes a packet from there."""
        if self.order is None or port.is_former(source, self.path.clock.now()):
            return False
        if self.order.any_source or source[0] in self.hosts:
            return True
        return bool(self.networks) and any(_address(source[0]) in network for network in self.networks)

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

    def read(self) -> None:
        """RTP is there: send all of it on."""
        path, port, counts = self.path, self.rtp, self.counts
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

    def read_rtcp(self) -> None:
        """RTCP is there on its own port."""
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
        return self.counts.read(self.reception)

    def sources(self) -> Latched:
        """Where the party was found to send from."""
        rtp, rtcp = self.rtp.source, self.rtcp.source
        return Latched(rtp and Address(*rtp), rtcp and Address(*rtcp))


class Counts:
    """A flow's counters while they count."""

    __slots__ = ("forwarded", "received", "rtcp", "send_failed", "tapped", "unreadable", "wrong_source")

    def __init__(self) -> None:
        self.received = self.forwarded = self.wrong_source = self.send_failed = self.rtcp = self.tapped = 0
        self.unreadable = 0

    def read(self, reception: Reception) -> FlowCount:
        """As the seam carries them."""
        return FlowCount(
            *(self.received, self.forwarded, self.wrong_source, self.send_failed, self.rtcp, self.tapped),
            lost=reception.lost,
            heard=reception.heard,
            unreadable=self.unreadable,
        )


class _Outlet:
    """Towards the party of `flow`, from its peer's packets or a play."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def send(self, packet: bytes | bytearray | memoryview) -> bool:
        """Encrypted as the party expects it; False where that can't be, or the packet could not be sent."""
        return self._flow.say(packet)

    def pass_on(self) -> bool:
        """Send the packet that is being diverted, as it came."""
        return self._flow.peer is not None and self._flow.peer.pass_on()

    @property
    def own_ssrc(self) -> bool:
        """Whether a play must be a stream of its own: the key is the other party's."""
        return self._flow.order is not None and self._flow.order.srtp is Srtp.THROUGH

    @property
    def last_header(self) -> bytes:
        """First 12 bytes of what came for the party last."""
        peer = self._flow.peer
        return bytes(peer.last_header) if peer is not None else b""


class UserspaceDatapath:
    """All flows of a worker; needs a running loop with `add_reader`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, ports: PortPool, observer: Observer) -> None:
        self.clock, self.observer = clock, observer
        self.buffer = bytearray(BUFFER_BYTES)
        self.view = memoryview(self.buffer)
        self._loop, self._ports = loop, ports
        self._flows: dict[FlowId, Flow] = {}
        self._unwatched: set[socket.socket] = set()
        """Sockets that had an error in this turn of the loop."""

    def reserve(self, flows: Sequence[FlowSpec]) -> dict[FlowId, Address]:
        """Bind an even and an odd port for each flow; one that has ports keeps them. Raises OutOfPorts."""
        new: list[FlowId] = []
        try:
            for spec in flows:
                if spec.flow not in self._flows:
                    self._open(spec.flow, self._ports.bind(spec.local_host, self.clock.now()))
                    new.append(spec.flow)
        except OutOfPorts:
            self.remove(new)
            raise
        return {spec.flow: self._local(self._flows[spec.flow]) for spec in flows}

    def restore(self, flow: FlowId, local: Address) -> None:
        """Bind the ports that a flow had before this worker was started again. Raises OutOfPorts."""
        self._open(flow, self._ports.bind_again(local.host, local.port))

    def relatch(self, flow: FlowId, sources: Latched) -> None:
        """Connect a restored flow to the sources that it knew. Raises UnknownFlow."""
        found = self._flow(flow)
        for port, source in ((found.rtp, sources.rtp), (found.rtcp, sources.rtcp)):
            if source is not None:
                with contextlib.suppress(OSError):  # it latches anew then
                    port.latch((source.host, source.port))

    def forward(self, order: Forward) -> None:
        """Relay a flow to its peer, or change how. Raises UnknownFlow, OrderRefused."""
        flow, peer = self._flow(order.flow), self._flow(order.to)
        if order == flow.order:
            return
        hosts, networks = _admitted(order)
        before = flow.sources()
        flow.order, flow.peer, flow.hosts, flow.networks = order, peer, hosts, networks
        if order.srtp is Srtp.NONE:
            flow.secrecy = None
        flow.settle()
        peer.settle()
        for port, target in ((flow.rtp, order.remote), (flow.rtcp, _rtcp_target(order))):
            port.aim((target.host, target.port) if target is not None and target.port else None, self.clock.now())
        if flow.sources() != before:
            self.observer.latched(flow.id, flow.sources())

    def secure(self, order: Secure) -> None:
        """Take over the keys of a flow. Raises UnknownFlow, OrderRefused."""
        flow = self._flow(order.flow)
        secrecy = flow.secrecy or Secrecy()
        secrecy.change(order.opens, order.seals)
        flow.secrecy, flow.told_unreadable = secrecy, False

    def divert(self, flow: FlowId, divert: Divert | None) -> Outlet:
        """Hand what comes in on a flow to `divert`; its peer's outlet. Raises UnknownFlow."""
        found = self._flow(flow)
        if found.peer is None:
            raise UnknownFlow("flow has no peer yet")
        found.divert = divert
        found.settle()
        return _Outlet(found.peer)

    def tap(self, flow: FlowId, tap: Tap | None) -> None:
        """Copy what is sent on from now, or stop. Raises UnknownFlow."""
        found = self._flow(flow)
        if tap is not None:
            # INVARIANT: what the kernel received before this is sent on first, untapped.
            found.read()
        found.tap = tap
        found.settle()

    def remove(self, flows: Sequence[FlowId]) -> dict[FlowId, FlowCount]:
        """Close the flows' ports and let them cool down; their last counters."""
        gone = [self._flows.pop(flow) for flow in flows if flow in self._flows]
        for flow in gone:
            if flow.peer is not None and flow.peer.peer is flow:
                flow.peer.peer = None
            flow.tap = flow.divert = flow.peer = flow.secrecy = None
            self._loop.remove_reader(flow.pair.rtp)
            self._loop.remove_reader(flow.pair.rtcp)
            self._ports.release(flow.pair, self.clock.now())
        return {flow.id: flow.counted() for flow in gone}

    def count(self, flow: FlowId) -> FlowCount:
        """Counters of a flow. Raises UnknownFlow."""
        return self._flow(flow).counted()

    def state(self, flow: FlowId) -> FlowState:
        """Ports and target of a flow. Raises UnknownFlow."""
        found = self._flow(flow)
        if found.order is None:
            return FlowState(flow, self._local(found), None, None)
        return FlowState(flow, self._local(found), found.order.to, found.order.remote)

    def close(self) -> None:
        """Close every socket."""
        self.remove(list(self._flows))

    def watch_again(self, flow: Flow, sock: socket.socket, read: Callable[[], None]) -> None:
        """Watch a socket anew that had an error, once this turn of the loop is over: until then libuv may end it."""
        if sock not in self._unwatched:
            self._unwatched.add(sock)
            self._loop.call_soon(self._rewatch, flow, sock, read)

    def _rewatch(self, flow: Flow, sock: socket.socket, read: Callable[[], None]) -> None:
        self._unwatched.discard(sock)
        if self._flows.get(flow.id) is flow:
            self._loop.remove_reader(sock)
            self._loop.add_reader(sock, read)

    def _open(self, flow: FlowId, pair: Pair) -> None:
        opened = self._flows[flow] = Flow(flow, pair, self)
        self._loop.add_reader(pair.rtp, opened.read)
        self._loop.add_reader(pair.rtcp, opened.read_rtcp)

    def _flow(self, flow: FlowId) -> Flow:
        try:
            return self._flows[flow]
        except KeyError:
            raise UnknownFlow("no such flow here") from None

    @staticmethod
    def _local(flow: Flow) -> Address:
        return Address(flow.pair.host, flow.pair.port)


def _admitted(order: Forward) -> tuple[frozenset[str], tuple[Network, ...]]:
    """Whom an unlatched flow takes packets from. Raises OrderRefused for what isn't an address or a network."""
    try:
        targets = [target for target in (order.remote, order.remote_rtcp) if target is not None]
        hosts = frozenset(str(_address(target.host)) for target in targets)
        return hosts, tuple(ipaddress.ip_network(text) for text in order.nat_networks)
    except ValueError:
        raise OrderRefused("a target isn't an IP literal, or a network isn't one") from None


def _rtcp_target(order: Forward) -> Address | None:
    """RFC 3550 §11: the port above, unless `a=rtcp` (RFC 3605) says otherwise."""
    if order.remote_rtcp is not None or order.remote is None or order.remote.port in (0, LAST_PORT):
        return order.remote_rtcp
    return Address(order.remote.host, order.remote.port + 1)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(host)
