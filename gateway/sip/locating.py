"""Where a SIP URI leads, from DNS records that somebody else looked up (RFC 3263 §4, RFC 2782, RFC 3403). Sans-IO."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.sip.hop import Transport
from gateway.sip.proxy_events import Target

__all__ = ["PREFIXES", "Naptr", "Srv", "default_port", "in_order", "is_literal", "services"]

PREFIXES = {Transport.UDP: "_sip._udp", Transport.TCP: "_sip._tcp", Transport.TLS: "_sips._tcp"}
"""What RFC 3263 §4.1 asks for where a domain has no NAPTR records."""
_SERVICES = {"SIP+D2U": Transport.UDP, "SIP+D2T": Transport.TCP, "SIPS+D2T": Transport.TLS}


@dataclass(frozen=True, slots=True)
class Naptr:
    """One NAPTR record of a SIP service."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str
    """Name of its SRV records."""


@dataclass(frozen=True, slots=True)
class Srv:
    """One SRV record."""

    priority: int
    weight: int
    port: int
    target: str
    """Host name; `.` where the service is decidedly not offered."""


def services(records: Iterable[Naptr], offered: frozenset[Transport], secure: bool) -> list[tuple[Transport, str]]:
    """The transports that a domain wants, the most wanted first, each with the name of its SRV records."""
    wanted = []
    for record in sorted(records, key=lambda record: (record.order, record.preference)):
        transport = _SERVICES.get(record.service.upper())
        if record.flags.lower() != "s" or transport is None or transport not in offered:
            continue
        if not secure or transport is Transport.TLS:
            wanted.append((transport, record.replacement))
    return wanted


def in_order(records: Iterable[Srv], dice: Callable[[int], int]) -> list[Srv]:
    """Lowest priority first, among equals by weighted lot (RFC 2782); `dice(n)` gives 0 to n - 1."""
    left = sorted(
        (record for record in records if record.target not in ("", ".")), key=lambda r: (r.priority, r.weight)
    )
    ordered: list[Srv] = []
    while left:
        equals = [record for record in left if record.priority == left[0].priority]
        thrown, total = dice(sum(record.weight for record in equals) + 1), 0
        for record in equals:
            total += record.weight
            if total >= thrown:
                ordered.append(record)
                left.remove(record)
                break
    return ordered


def is_literal(host: str) -> bool:
    """Whether a host is an address already."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def default_port(target: Target, transport: Transport) -> int:
    """The port that a URI says or leaves to its transport."""
    return target.port if target.port is not None else 5061 if transport is Transport.TLS else 5060
