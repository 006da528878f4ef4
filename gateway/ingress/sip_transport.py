"""SIP sockets of both sides: UDP, TCP and TLS listeners, connection reuse, and the filter that only peers pass.

Requests count only from a side's configured peers; the rest is dropped and counted, never answered. Responses may come
from a next hop that is no peer, since the transaction's branch vouches for them. Hops are addresses; names
were looked up before (`locator.py`).
"""

import asyncio
import ipaddress
import socket
from collections import Counter
from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any, Protocol

import structlog

from gateway.config import ConfigError, Listener, SideConfig
from gateway.ingress.listening import bound_socket
from gateway.ingress.sip_stream import MESSAGE_TIMEOUT_S, StreamConnection
from gateway.ingress.sip_tls import SideTls
from gateway.ingress.source_limits import SourceLimits
from gateway.sip.errors import SipSyntaxError
from gateway.sip.headers import SipUri, comparable_host, parse_uri, top_via
from gateway.sip.hop import Hop, Side, Transport
from gateway.sip.locating import is_literal
from gateway.sip.message import Keepalive, Request, Response, parse_datagram
from gateway.sip.proxy_events import Transmit
from gateway.sip.routing import SideAddresses

__all__ = ["Receiver", "SipTransport", "advertised_name"]

log = structlog.get_logger()
MAX_CONNECTIONS = 1024
"""Per side."""
MAX_OF_SOURCE = 256
"""Connections of one address: that many phones may be behind one NAT."""
CONNECT_TIMEOUT_S = 3.0
"""TLS and all; less than an INVITE waits for an answer: who can't be reached is known before the next one is tried."""
HANDSHAKE_TIMEOUT_S = 5.0
RENEWAL_S = 30.0
"""How often certificates on disk are looked at."""
DATAGRAMS_PER_WAKE = 64

_Place = tuple[Side, Transport, str, int]
"""A neighbour, as requests name it."""


class Receiver(Protocol):
    """Who gets what comes in."""

    def received(self, message: Request | Response, source: Hop) -> None:
        """A message that passed the peer filter."""
        ...

    def malformed(self, error: SipSyntaxError, source: Hop) -> None:
        """Bytes of a peer that aren't SIP."""
        ...

    def send_failed(self, event: Transmit) -> None:
        """What `send` was given can't be delivered."""
        ...


class SipTransport:
    """`bind`, then read `addresses` to make the core, then `serve`; nothing is read before that, nor lost."""

    def __init__(
        self, sides: Mapping[Side, SideConfig], limits: SourceLimits, message_timeout_s: float = MESSAGE_TIMEOUT_S
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.limits = limits
        self.message_timeout_s = message_timeout_s
        self._sides = sides
        self._peers = {side: config.peer_list for side, config in sides.items()}
        self._receiver: Receiver | None = None
        self._udp: dict[int, tuple[Side, socket.socket]] = {}
        self._streams: dict[int, tuple[Side, Transport, socket.socket]] = {}
        self._tls: dict[Side, SideTls] = {}
        self._servers: list[asyncio.Server] = []
        self._connections: dict[int, StreamConnection] = {}
        self._aliases: dict[_Place, int] = {}
        """What neighbours call themselves in Via, by the connection that they opened (as RFC 5923 has it)."""
        self._opening: dict[_Place, list[Transmit]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = 0

    def bind(self) -> None:
        """Open and bind all listeners; raises `ConfigError`, with nothing left open."""
        try:
            for side, config in self._sides.items():
                if any(listener.transport == "tls" for listener in config.listeners):
                    self._tls[side] = SideTls(f"{side.value}_side", config)
                for listener in config.listeners:
                    bound = _bound(side, listener)
                    if listener.transport == "udp":
                        self._udp[self._number()] = (side, bound)
                    else:
                        self._streams[self._number()] = (side, Transport(listener.transport.upper()), bound)
        except ConfigError:
            self._close_sockets()
            raise

    def addresses(self) -> dict[Side, SideAddresses]:
        """What each side calls itself: `advertised`, else the bound address, else (wildcard) the media address.

        Raises `ConfigError` where `advertised` is no host.
        """
        return {side: self._addresses(side, config) for side, config in self._sides.items()}

    def bound(self, side: Side, transport: Transport) -> list[tuple[str, int]]:
        """The bound addresses of one side."""
        if transport is Transport.UDP:
            return [sock.getsockname()[:2] for place, sock in self._udp.values() if place is side]
        streams = self._streams.values()
        return [sock.getsockname()[:2] for place, spoken, sock in streams if (place, spoken) == (side, transport)]

    async def serve(self, receiver: Receiver) -> None:
        """Start to read."""
        self._receiver = receiver
        loop = asyncio.get_running_loop()
        for number, (side, sock) in self._udp.items():
            loop.add_reader(sock.fileno(), self._read_datagrams, number, side, sock)
        for side, transport, sock in self._streams.values():
            secured: dict[str, Any] = {}
            if transport is Transport.TLS:
                secured = {"ssl": self._tls[side].server, "ssl_handshake_timeout": HANDSHAKE_TIMEOUT_S}
            accepted = partial(self._accepted, side, transport)
            self._servers.append(await loop.create_server(accepted, sock=sock, **secured))
        if self._tls:
            self._spawn(self._renew())

    async def close(self) -> None:
        """Stop reading, close everything."""
        loop = asyncio.get_running_loop()
        for _, sock in self._udp.values():
            loop.remove_reader(sock.fileno())
        for server in self._servers:
            server.close()
        for connection in tuple(self._connections.values()):
            connection.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._close_sockets()

    def send(self, event: Transmit) -> None:
        """Send or queue; a failure is told later by `Receiver.send_failed`, never from within this call."""
        hop = event.hop
        if not is_literal(hop.host):
            self._fail(event)  # a socket would look it up, and everybody would wait
        elif hop.transport is Transport.UDP:
            self._send_datagram(event, hop)
        else:
            self._send_on_stream(event, hop)

    # --- UDP ---------------------------------------------------------------------------------------------------------

    def _read_datagrams(self, number: int, side: Side, sock: socket.socket) -> None:
        for _ in range(DATAGRAMS_PER_WAKE):
            try:
                data, address = sock.recvfrom(65_536)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.counters["receive_errors"] += 1
                return
            try:
                self._take_datagram(data, Hop(side, Transport.UDP, address[0], address[1], number))
            except Exception:  # one message's fault must not cost the others
                self.counters["faults"] += 1
                log.exception("a message could not be handled")

    def _take_datagram(self, data: bytes, source: Hop) -> None:
        peer = self._is_peer(source)
        if not peer and data[:4].upper() != b"SIP/":
            self._refused("no_peer", source)
            return
        if not self.limits.takes(data, source):
            return
        try:
            message = parse_datagram(data)
        except SipSyntaxError as error:
            if peer:
                self._hand_on(error, source)
            else:
                self._refused("no_peer", source)
            return
        if not isinstance(message, Keepalive):
            self._hand_on(message, source)

    def _send_datagram(self, event: Transmit, hop: Hop) -> None:
        sock = self._udp_socket(hop)
        try:
            if sock is None:
                raise OSError("no UDP listener of this address family")
            sock.sendto(event.data, (hop.host, hop.port))
        except BlockingIOError:
            self.counters["send_queue_full"] += 1  # as lost as on the wire: retransmissions mend it
        except OSError:
            self._fail(event)

    def _udp_socket(self, hop: Hop) -> socket.socket | None:
        if hop.connection in self._udp:
            return self._udp[hop.connection][1]
        family = socket.AF_INET6 if ":" in hop.host else socket.AF_INET
        fitting = (sock for side, sock in self._udp.values() if side is hop.side and sock.family == family)
        return next(fitting, None)

    # --- TCP ---------------------------------------------------------------------------------------------------------

    def stream_opened(self, connection: StreamConnection) -> bool:
        """Keep peers' connections, and those we opened, up to the limit."""
        side = connection.hop.side
        if connection.accepted and not self._is_peer(connection.hop):
            self._refused("no_peer", connection.hop)
            return False
        there = [other.hop.host for other in self._connections.values() if other.hop.side is side]
        if len(there) >= MAX_CONNECTIONS or there.count(connection.hop.host) >= MAX_OF_SOURCE:
            self._refused("too_many_connections", connection.hop)
            return False
        self._connections[connection.hop.connection] = connection
        return True

    def stream_message(self, message: Request | Response, source: Hop) -> None:
        """From a connection that passed the filter when it was opened."""
        if isinstance(message, Request):
            self._learn_alias(message, source)
        self._hand_on(message, source)

    def _learn_alias(self, request: Request, source: Hop) -> None:
        """Requests to that name may go back over the connection; only for a name that is the source's own address."""
        connection = self._connections.get(source.connection)
        if connection is None or not connection.accepted:
            return
        try:
            host, port = top_via(request).sent_by
        except SipSyntaxError:
            return
        if host == comparable_host(source.host):
            self._aliases[source.side, source.transport, host, port] = source.connection

    def stream_pause(self, messages: int, source: Hop) -> float:
        """For how many seconds a stream isn't read after so many messages."""
        return self.limits.pause(messages, source)

    def stream_slow(self, source: Hop) -> None:
        """Nothing whole came of it for too long."""
        self._refused("stream_slow", source)

    def stream_malformed(self, error: SipSyntaxError, source: Hop) -> None:
        """The answer, if there is one, is sent on the same connection."""
        self._hand_on(error, source)

    def stream_closed(self, connection: StreamConnection) -> None:
        """Forget a connection; whoever needs one opens another."""
        self._connections.pop(connection.hop.connection, None)
        for name in [name for name, number in self._aliases.items() if number == connection.hop.connection]:
            del self._aliases[name]

    def _accepted(self, side: Side, transport: Transport) -> StreamConnection:
        return StreamConnection(self, Hop(side, transport, "", 0, self._number()), accepted=True)

    def _send_on_stream(self, event: Transmit, hop: Hop) -> None:
        connection = self._connection_for(hop)
        if connection is not None:
            if not connection.send(event.data):
                self._fail(event)
            return
        key = (hop.side, hop.transport, hop.host, hop.port)
        if key in self._opening:
            self._opening[key].append(event)
            return
        self._opening[key] = [event]
        self._spawn(self._open(key, hop))

    def _connection_for(self, hop: Hop) -> StreamConnection | None:
        """The very connection, or any other with that neighbour (RFC 3261 §18.1.1, §18.2.2)."""
        place = (hop.side, hop.transport, comparable_host(hop.host), hop.port)
        for number in (hop.connection, self._aliases.get(place, 0)):
            chosen = self._connections.get(number)
            if chosen is not None and chosen.usable:
                return chosen
        for connection in self._connections.values():
            other = connection.hop
            if connection.usable and (other.side, other.transport, comparable_host(other.host), other.port) == place:
                return connection
        return None

    async def _open(self, key: _Place, hop: Hop) -> None:
        loop = asyncio.get_running_loop()
        template = Hop(hop.side, hop.transport, "", 0, self._number())
        secured: dict[str, Any] = {}
        if hop.transport is Transport.TLS and hop.side in self._tls:
            secured = {"ssl": self._tls[hop.side].client, "server_hostname": hop.name or hop.host}
        connection = StreamConnection(self, template, accepted=False)
        try:
            if hop.transport is Transport.TLS and not secured:
                raise OSError("the side has no certificate")
            local = self._source_address(hop)
            opening = loop.create_connection(lambda: connection, hop.host, hop.port, local_addr=local, **secured)
            await asyncio.wait_for(opening, CONNECT_TIMEOUT_S)
        except (OSError, TimeoutError):  # also a certificate that isn't the neighbour's
            self.counters["connect_failed"] += 1
        finally:
            waiting = self._opening.pop(key)
        for event in waiting:
            if not connection.send(event.data):
                self._fail(event)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_S)
            for side in self._tls.values():
                if not side.refresh():
                    self.counters["certificate_faults"] += 1

    def _source_address(self, hop: Hop) -> tuple[str, int] | None:
        """From the side's own address, so that the neighbour knows who calls."""
        family = socket.AF_INET6 if ":" in hop.host else socket.AF_INET
        for side, _, sock in self._streams.values():
            host = sock.getsockname()[0]
            if side is hop.side and sock.family == family and not ipaddress.ip_address(host).is_unspecified:
                return host, 0
        return None

    # --- both --------------------------------------------------------------------------------------------------------

    def _refused(self, what: str, source: Hop) -> None:
        self.counters[what] += 1
        self.limits.tell(what, source)

    def _is_peer(self, source: Hop) -> bool:
        """A stream's source port is a passing one, so only the network counts there."""
        reliable = source.transport.reliable
        return any(
            peer.admits(source.host, (peer.port or 0) if reliable else source.port) for peer in self._peers[source.side]
        )

    def _hand_on(self, item: Request | Response | SipSyntaxError, source: Hop) -> None:
        if self._receiver is None:
            return
        if isinstance(item, SipSyntaxError):
            self.limits.tell("malformed", source)
            self._receiver.malformed(item, source)
        elif isinstance(item, Request) and not self._is_peer_or_ours(source):
            self._refused("no_peer", source)
        else:
            self._receiver.received(item, source)

    def _is_peer_or_ours(self, source: Hop) -> bool:
        return source.connection in self._connections or self._is_peer(source)

    def _fail(self, event: Transmit) -> None:
        """Later, for the proxy that is just acting must not be called again from within."""
        if self._receiver is not None:
            asyncio.get_running_loop().call_soon(self._receiver.send_failed, event)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _addresses(self, side: Side, config: SideConfig) -> SideAddresses:
        said = advertised_name(side, config.advertised)
        advertised: dict[Transport, tuple[str, int]] = {}
        aliases = set()
        for transport in Transport:
            for host, port in self.bound(side, transport):
                reachable = config.media_address if ipaddress.ip_address(host).is_unspecified else host
                aliases.add((reachable, port))
                name = (said.host, said.port or port) if said is not None else (reachable, port)
                advertised.setdefault(transport, name)
        return SideAddresses(advertised, frozenset(aliases))

    def _close_sockets(self) -> None:
        for sock in [*(sock for _, sock in self._udp.values()), *(sock for _, _, sock in self._streams.values())]:
            sock.close()
        self._udp.clear()
        self._streams.clear()


def _bound(side: Side, listener: Listener) -> socket.socket:
    try:
        return bound_socket(listener)
    except OSError as error:
        said = f"`{listener.transport}:{listener.host}:{listener.port}` can't be bound"
        why = (error.strerror or str(error)).lower()
        raise ConfigError(f"sip.{side.value}_side.listen: {said}: {why}") from None


def advertised_name(side: Side, text: str) -> SipUri | None:
    """What a side is to call itself, if that is said; raises `ConfigError`."""
    try:
        return parse_uri(f"sip:{text}") if text else None
    except SipSyntaxError:
        raise ConfigError(f"sip.{side.value}_side.advertised: `{text}` is not HOST or HOST:PORT") from None
