"""The relay in this process: two connected UDP sockets a flow, `add_reader`, one reused buffer; forward, then tap.

libuv stops watching a socket with an error for good, so that after each one it is watched anew.
"""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Final

from gateway.clock import Clock
from gateway.media.datapath.base import Divert, Latched, Observer, Outlet, Tap
from gateway.media.datapath.flow import Flow
from gateway.media.datapath.party_flow import Network, PartyFlow
from gateway.media.datapath.ports import Pair, PortPool
from gateway.media.datapath.relay import Relay
from gateway.media.datapath.secrecy import Secrecy
from gateway.media.errors import OrderRefused, OutOfPorts, UnknownFlow
from gateway.media.plane import Address, FlowCount, FlowId, FlowSpec, FlowState, Forward, Secure, Srtp, is_relay

BUFFER_BYTES: Final = 65_536
BACKLOG_BURSTS: Final = 64
"""More than a socket's buffer holds, so that one who sends without end doesn't stop the others."""
LAST_PORT: Final = 65_535
"""None is above it."""


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
        self._flows: dict[FlowId, Flow | Relay] = {}
        self._unwatched: set[socket.socket] = set()
        """Sockets that had an error in this turn of the loop."""

    def reserve(self, flows: Sequence[FlowSpec]) -> dict[FlowId, Address]:
        """Bind an even and an odd port for each flow; one that has ports keeps them. Raises OutOfPorts."""
        new: list[FlowId] = []
        try:
            for spec in flows:
                if spec.flow not in self._flows:
                    # a video must not cost another call its voice
                    pair = self._ports.bind(spec.local_host, self.clock.now(), sparing=is_relay(spec.flow))
                    self._open(spec.flow, pair)
                    new.append(spec.flow)
        except OutOfPorts:
            for flow in new:
                # nobody was told these: to let them cool would cost the voices that are asked for next their ports
                self._ports.give_back(self._shut(self._flows.pop(flow)))
            raise
        return {spec.flow: self._local(self._flows[spec.flow]) for spec in flows}

    def restore(self, flow: FlowId, local: Address) -> None:
        """Bind the ports that a flow had before this worker was started again. Raises OutOfPorts."""
        self._open(flow, self._ports.bind_again(local.host, local.port))

    def relatch(self, flow: FlowId, sources: Latched) -> None:
        """Connect a restored flow to the sources that it knew. Raises UnknownFlow."""
        found = self._any(flow)
        for port, source in ((found.rtp, sources.rtp), (found.rtcp, sources.rtcp)):
            if source is not None:
                with contextlib.suppress(OSError):  # it latches anew then
                    port.latch((source.host, source.port))

    def forward(self, order: Forward) -> None:
        """Relay a flow to its peer, or change how. Raises UnknownFlow, OrderRefused."""
        if is_relay(order.flow):
            relay, towards = self._relay(order.flow), self._relay(order.to)
            if order.srtp is Srtp.ENDED:
                raise OrderRefused("what is only relayed can't be decrypted on its way")
            self._aim(relay, order)
            relay.peer = towards
            return
        flow, peer = self._flow(order.flow), self._flow(order.to)
        if order == flow.order:
            return
        self._aim(flow, order)
        flow.peer = peer
        if order.srtp is Srtp.NONE and flow.secrecy is not None:
            flow.secrecy.change(None, None)  # it remembers what the keys were used for
        flow.settle()
        peer.settle()

    def _aim(self, flow: PartyFlow, order: Forward) -> None:
        """Take packets from where the order says, and send there. Raises OrderRefused."""
        hosts, networks = _admitted(order)
        before = flow.sources()
        flow.order, flow.hosts, flow.networks = order, hosts, networks
        second = None if order.rtcp_mux and is_relay(order.flow) else _rtcp_target(order)
        for port, target in ((flow.rtp, order.remote), (flow.rtcp, second)):
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
        """Hand what comes in on a flow to `divert`; its peer's outlet. Raises UnknownFlow, OrderRefused."""
        found = self._flow(flow)
        if found.peer is None:
            raise UnknownFlow("flow has no peer yet")
        found.divert = divert
        found.settle()
        return _Outlet(found.peer)

    def tap(self, flow: FlowId, tap: Tap | None) -> None:
        """Copy what is sent on from now, or stop. Raises UnknownFlow, OrderRefused."""
        found = self._flow(flow)
        if tap is not None:
            # INVARIANT: what the kernel received before this is sent on first, untapped.
            for _ in range(BACKLOG_BURSTS):
                found.read()
                if not found.rtp.waits():
                    break
        found.tap = tap
        found.settle()

    def remove(self, flows: Sequence[FlowId]) -> dict[FlowId, FlowCount]:
        """Close the flows' ports and let them cool down; their last counters."""
        gone = [self._flows.pop(flow) for flow in flows if flow in self._flows]
        for flow in gone:
            self._ports.release(self._shut(flow), self.clock.now())
        return {flow.id: flow.counted() for flow in gone}

    def count(self, flow: FlowId) -> FlowCount:
        """Counters of a flow. Raises UnknownFlow."""
        return self._any(flow).counted()

    def state(self, flow: FlowId) -> FlowState:
        """Ports and target of a flow. Raises UnknownFlow."""
        found = self._any(flow)
        if found.order is None:
            return FlowState(flow, self._local(found), None, None)
        return FlowState(flow, self._local(found), found.order.to, found.order.remote)

    def close(self) -> None:
        """Close every socket."""
        self.remove(list(self._flows))

    def caught_up(self, flow: PartyFlow) -> bool:
        """What was ordered by now is done; False where the flow is gone thereby."""
        self.observer.catch_up()
        return self._flows.get(flow.id) is flow

    def watch_again(self, flow: PartyFlow, sock: socket.socket, read: Callable[[], None]) -> None:
        """Watch a socket anew that had an error, once this turn of the loop is over: until then libuv may end it."""
        if sock not in self._unwatched:
            self._unwatched.add(sock)
            self._loop.call_soon(self._rewatch, flow, sock, read)

    def _rewatch(self, flow: PartyFlow, sock: socket.socket, read: Callable[[], None]) -> None:
        self._unwatched.discard(sock)
        if self._flows.get(flow.id) is flow:
            self._loop.remove_reader(sock)
            self._loop.add_reader(sock, read)

    def _open(self, flow: FlowId, pair: Pair) -> None:
        opened = self._flows[flow] = (Relay if is_relay(flow) else Flow)(flow, pair, self)
        self._loop.add_reader(pair.rtp, opened.read)
        self._loop.add_reader(pair.rtcp, opened.read_rtcp)

    def _shut(self, flow: Flow | Relay) -> Pair:
        """Its ports, which nobody watches any more."""
        flow.close()
        self._loop.remove_reader(flow.pair.rtp)
        self._loop.remove_reader(flow.pair.rtcp)
        return flow.pair

    def _any(self, flow: FlowId) -> Flow | Relay:
        try:
            return self._flows[flow]
        except KeyError:
            raise UnknownFlow("no such flow here") from None

    def _flow(self, flow: FlowId) -> Flow:
        found = self._any(flow)
        if not isinstance(found, Flow):
            raise OrderRefused("that flow is only relayed")
        return found

    def _relay(self, flow: FlowId) -> Relay:
        found = self._any(flow)
        if not isinstance(found, Relay):
            raise OrderRefused("what is only relayed goes to what is only relayed")
        return found

    @staticmethod
    def _local(flow: PartyFlow) -> Address:
        return Address(flow.pair.host, flow.pair.port)


def _admitted(order: Forward) -> tuple[frozenset[str], tuple[Network, ...]]:
    """Whom an unlatched flow takes packets from. Raises OrderRefused for what isn't an address or a network."""
    try:
        targets = [target for target in (order.remote, order.remote_rtcp) if target is not None]
        hosts = frozenset(str(ipaddress.ip_address(target.host)) for target in targets)
        return hosts, tuple(ipaddress.ip_network(text) for text in order.nat_networks)
    except ValueError:
        raise OrderRefused("a target isn't an IP literal, or a network isn't one") from None


def _rtcp_target(order: Forward) -> Address | None:
    """RFC 3550 §11: the port above, unless `a=rtcp` (RFC 3605) says otherwise."""
    if order.remote_rtcp is not None or order.remote is None or order.remote.port in (0, LAST_PORT):
        return order.remote_rtcp
    return Address(order.remote.host, order.remote.port + 1)
