"""The procedure of RFC 3263: transport, port and addresses for a name, in the order in which to try them."""

import asyncio
import ipaddress
import secrets
from collections.abc import Callable, Sequence

from gateway.ingress.names import KnownNames
from gateway.sip.hop import Transport
from gateway.sip.locating import PREFIXES, default_port, in_order, is_literal, services
from gateway.sip.proxy_events import Target

__all__ = ["Locator"]

Place = tuple[Transport, str, int]
_MOST_PLACES = 16
"""Of one name: whoever has more is tried as far as this."""


class Locator:
    """For one side, whose listeners are of these IP versions; `dice(n)` gives 0 to n - 1."""

    def __init__(
        self, names: KnownNames, versions: frozenset[int], dice: Callable[[int], int] = secrets.randbelow
    ) -> None:
        self._names = names
        self._versions = versions
        self._dice = dice

    async def places(self, target: Target, offered: frozenset[Transport]) -> Sequence[Place]:
        """Where to go for a target that is a name, RFC 3263 §4; nowhere where nobody knows it."""
        if target.port is not None or not _may_have_services(target.host):
            transport = target.transport or _plain(offered)
            found = await self._addresses(transport, target.host, default_port(target, transport))
        else:
            found = await self._by_services(target, offered)
        return found[:_MOST_PLACES]

    async def _by_services(self, target: Target, offered: frozenset[Transport]) -> list[Place]:
        secure = target.transport is Transport.TLS
        if target.transport is None:
            wanted = services(await self._names.services(target.host), offered, secure)
        else:
            wanted = []
        if not wanted:
            asked = [target.transport] if target.transport is not None else _preferred(offered)
            wanted = [(transport, f"{PREFIXES[transport]}.{target.host}") for transport in asked]
        servers = await asyncio.gather(*(self._names.servers(name) for _, name in wanted))
        found: list[Place] = []
        for (transport, _), records in zip(wanted, servers, strict=True):
            for server in in_order(records, self._dice):
                found += await self._addresses(transport, server.target, server.port)
        if found or any(servers):
            return found
        transport = target.transport or _plain(offered)
        return await self._addresses(transport, target.host, default_port(target, transport))

    async def _addresses(self, transport: Transport, name: str, port: int) -> list[Place]:
        hosts = (name,) if is_literal(name) else await self._names.hosts(name)
        # a scoped link-local address is no place that another message could name
        usable = [host for host in hosts if is_literal(host) and "%" not in host]
        return [(transport, host, port) for host in usable if ipaddress.ip_address(host).version in self._versions]


def _may_have_services(name: str) -> bool:
    """A name without a dot is one of the house, known to the system alone."""
    return "." in name.strip(".") and not name.lower().rstrip(".").endswith((".local", ".localhost"))


def _plain(offered: frozenset[Transport]) -> Transport:
    return Transport.UDP if Transport.UDP in offered or not offered else min(offered)


def _preferred(offered: frozenset[Transport]) -> list[Transport]:
    """Without anybody's wish: UDP, then TCP; TLS only where it is asked for, or nothing else is there."""
    return [transport for transport in (Transport.UDP, Transport.TCP) if transport in offered] or sorted(offered)
