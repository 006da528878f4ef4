"""Where a request goes next: its Route, the side's configured next hops in order, or the contact it names.

Only towards somebody the destination side knows: a configured next hop, what its name leads to, or an address within
the side's peers, so that nobody can aim the gateway at a stranger. Names lead where RFC 3263 says.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from gateway.config import ConfigError, SideConfig
from gateway.sip.errors import SipSyntaxError
from gateway.sip.headers import comparable_host, parse_uri
from gateway.sip.hop import Hop, Side, Transport
from gateway.sip.locating import default_port, is_literal
from gateway.sip.proxy_events import Target

__all__ = ["LARGEST_DATAGRAM", "Locates", "NextHops", "configured_hops"]

LARGEST_DATAGRAM = 1300
"""Bytes of a request where the path's MTU isn't known (RFC 3261 §18.1.1)."""
ADDED = 350
"""About what our Via and our two Record-Routes add to a request."""
NO_TCP_S = 600.0
"""How long a neighbour that took no TCP isn't asked for it again."""
MOST_PLACES = 256


class Locates(Protocol):
    """Who finds the addresses behind a name."""

    async def places(self, target: Target, offered: frozenset[Transport]) -> Sequence[tuple[Transport, str, int]]:
        """Transport, address and port to try, in order; none where the name leads nowhere."""
        ...


@dataclass(slots=True)
class NextHops:
    """The next hops of one side."""

    side: Side
    config: SideConfig
    locator: Locates
    configured: tuple[Target, ...]
    _led_to: dict[str, None] = field(default_factory=dict)
    """Addresses behind the configured names, as far as they were asked for."""
    _no_tcp: dict[tuple[str, int], float] = field(default_factory=dict)
    """Until when (monotonic) a neighbour counts as one without TCP."""

    @classmethod
    def of(cls, side: Side, config: SideConfig, locator: Locates) -> "NextHops":
        """Read the configuration; raises `ConfigError`."""
        return cls(side, config, locator, configured_hops(side, config))

    async def candidates(self, target: Target | None, uri: str) -> list[Hop]:
        """The hops to try, in order; none where the request names only strangers."""
        if target is not None:
            return await self._known(target)
        if self.configured:
            return await self.standing()
        named = _uri_target(uri)
        return [] if named is None else await self._known(named)

    async def standing(self) -> list[Hop]:
        """The configured hops, in order, each with all the addresses that its name leads to."""
        found = [hop for target in self.configured for hop in await self._hops(target)]
        for hop in found:
            self._led_to[hop.host] = None
        while len(self._led_to) > MOST_PLACES:
            del self._led_to[next(iter(self._led_to))]
        return list(dict.fromkeys(found))

    def fitting(self, hops: Iterable[Hop], size: int, now: float) -> list[Hop]:
        """For a request that came with `size` bytes: where it is too large for UDP, TCP goes first, if it may."""
        large = size + ADDED > LARGEST_DATAGRAM and Transport.TCP in self._offered()
        chosen: list[Hop] = []
        for hop in hops:
            no_tcp = self._no_tcp.get((hop.host, hop.port), now) > now
            if large and hop.free and hop.transport is Transport.UDP and not no_tcp:
                chosen.append(replace(hop, transport=Transport.TCP))
            chosen.append(hop)
        return list(dict.fromkeys(chosen))

    def failed(self, hop: Hop, now: float) -> None:
        """It can't be reached, or said nothing; where that was TCP by our own choice, UDP it is for a while."""
        if hop.free and hop.transport is Transport.TCP:
            self._no_tcp[hop.host, hop.port] = now + NO_TCP_S
            if len(self._no_tcp) > MOST_PLACES:
                del self._no_tcp[next(iter(self._no_tcp))]

    async def _known(self, target: Target) -> list[Hop]:
        """What somebody else's URI leads to, without the strangers in it."""
        if not self._may_go(target):
            return []
        hops = await self._hops(target)
        if any(place.host == target.host for place in self.configured):
            return hops
        return [hop for hop in hops if hop.host in self._led_to or self._is_peer(hop.host)]

    async def _hops(self, target: Target) -> list[Hop]:
        transport, free = self._transport(target), target.transport is None
        if is_literal(target.host):
            return [Hop(self.side, transport, target.host, default_port(target, transport), free=free)]
        asked = target if free else replace(target, transport=transport)
        found = await self.locator.places(asked, self._offered())
        return [Hop(self.side, by, host, port, name=target.host, free=free) for by, host, port in found]

    def _transport(self, target: Target) -> Transport:
        """A transport this side listens on: a URI that names none may still mean a phone behind TCP."""
        offered, wanted = self._offered(), target.transport or Transport.UDP
        return wanted if wanted in offered or not offered else min(offered)

    def _may_go(self, target: Target) -> bool:
        """What asks for TLS never goes in the clear."""
        return target.transport is not Transport.TLS or Transport.TLS in self._offered()

    def _offered(self) -> frozenset[Transport]:
        return _spoken(self.config)

    def _is_peer(self, host: str) -> bool:
        return any(peer.admits(host, peer.port or 0) for peer in self.config.peer_list)


def configured_hops(side: Side, config: SideConfig) -> tuple[Target, ...]:
    """A side's `next_hops`, each `sip:carrier.example`, `sip:192.0.2.7;transport=tcp` or `192.0.2.7:5060`.

    Raises `ConfigError`.
    """
    key, found = f"sip.{side.value}_side.next_hops", []
    for text in config.next_hops:
        target = _uri_target(text if text.startswith(("sip:", "sips:")) else f"sip:{text}")
        if target is None:
            raise ConfigError(f"{key}: `{text}` is not a SIP URI or ADDRESS:PORT")
        if target.transport is Transport.TLS and Transport.TLS not in _spoken(config):
            raise ConfigError(f"{key}: `{text}` needs TLS: name a tls: listener on this side")
        found.append(target)
    return tuple(found)


def _spoken(config: SideConfig) -> frozenset[Transport]:
    return frozenset(Transport(listener.transport.upper()) for listener in config.listeners)


def _uri_target(uri: str) -> Target | None:
    try:
        parsed = parse_uri(uri)
        said = Transport(parsed.said_transport) if parsed.said_transport else None
        return Target(comparable_host(parsed.host), parsed.port, said)
    except (SipSyntaxError, ValueError):
        return None
