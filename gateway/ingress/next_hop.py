"""Where a request goes next: its Route, the side's configured next hops in order, or the contact it names.

Only towards somebody the destination side knows: a configured next hop or an address within its peers, so that nobody
can aim the gateway at a stranger. Names are resolved by the transport.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.config import ConfigError, SideConfig
from gateway.sip.errors import SipSyntaxError
from gateway.sip.headers import comparable_host, parse_uri
from gateway.sip.hop import Hop, Side, Transport
from gateway.sip.proxy_events import Target

__all__ = ["NextHops"]


@dataclass(frozen=True, slots=True)
class NextHops:
    """The next hops of one side."""

    side: Side
    config: SideConfig
    configured: tuple[Target, ...]

    @classmethod
    def of(cls, side: Side, config: SideConfig) -> "NextHops":
        """Read the configuration; raises `ConfigError`."""
        hops = cls(side, config, tuple(_target(text) for text in config.next_hops))
        for target, text in zip(hops.configured, config.next_hops, strict=True):
            if not hops._may_go(target):
                raise ConfigError(
                    f"sip.{side.value}_side.next_hops: `{text}` needs TLS: name a tls: listener on this side"
                )
        return hops

    def candidates(self, target: Target | None, uri: str) -> Iterator[Hop]:
        """The hops to try, in order; none where the request names only strangers."""
        if target is not None:
            if self._knows(target) and self._may_go(target):
                yield self._hop(target)
            return
        for place in self.configured:
            yield self._hop(place)
        if not self.configured:
            named = _uri_target(uri)
            if named is not None and self._knows(named) and self._may_go(named):
                yield self._hop(named)

    def _hop(self, target: Target) -> Hop:
        transport = self._transport(target)
        port = target.port if target.port is not None else 5061 if transport is Transport.TLS else 5060
        return Hop(self.side, transport, target.host, port)

    def _transport(self, target: Target) -> Transport:
        """A transport this side listens on: a URI that names none may still mean a phone behind TCP."""
        offered = self._offered()
        return target.transport if target.transport in offered or not offered else min(offered)

    def _may_go(self, target: Target) -> bool:
        """What asks for TLS never goes in the clear."""
        return target.transport is not Transport.TLS or Transport.TLS in self._offered()

    def _offered(self) -> set[Transport]:
        return {Transport(listener.transport.upper()) for listener in self.config.listeners}

    def _knows(self, target: Target) -> bool:
        if any(place.host == target.host for place in self.configured):
            return True
        try:
            ipaddress.ip_address(target.host)
        except ValueError:
            return False
        return any(peer.admits(target.host, peer.port or 0) for peer in self.config.peer_list)


def _target(text: str) -> Target:
    """`sip:carrier.example`, `sip:192.0.2.7;transport=tcp` or `192.0.2.7:5060`."""
    try:
        uri = parse_uri(text if text.startswith(("sip:", "sips:")) else f"sip:{text}")
        return Target(comparable_host(uri.host), uri.port, Transport(uri.transport))
    except (SipSyntaxError, ValueError):
        raise ConfigError(f"next_hops: `{text}` is not a SIP URI or ADDRESS:PORT") from None


def _uri_target(uri: str) -> Target | None:
    try:
        parsed = parse_uri(uri)
        return Target(comparable_host(parsed.host), parsed.port, Transport(parsed.transport))
    except (SipSyntaxError, ValueError):
        return None
