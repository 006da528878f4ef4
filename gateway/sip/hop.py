"""Where a message came from or goes to, as plain values: side, transport, address, connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Side(StrEnum):
    """The two sides of the gateway; each has its own listeners, peers and next hops."""

    CALLER = "caller"
    AGENT = "agent"

    @property
    def other(self) -> Side:
        """The side across."""
        return Side.AGENT if self is Side.CALLER else Side.CALLER


class Transport(StrEnum):
    """Transports as Via spells them."""

    UDP = "UDP"
    TCP = "TCP"
    TLS = "TLS"

    @property
    def reliable(self) -> bool:
        """Whether the transport itself retransmits."""
        return self is not Transport.UDP


@dataclass(frozen=True, slots=True)
class Hop:
    """One neighbour at one side."""

    side: Side
    transport: Transport
    host: str
    """IP literal without brackets, or a host name still to be resolved."""
    port: int
    connection: int = 0
    """Number of the stream connection, or of the UDP listener, to use while it lives; 0: any."""
    name: str = ""
    """The name that `host` was resolved from: what the neighbour's certificate must be for (RFC 5922 §7.1)."""
    free: bool = field(default=False, compare=False)
    """Nobody asked for this very transport, so a message too large for UDP may go by TCP (RFC 3261 §18.1.1)."""

    @property
    def neighbour(self) -> tuple[Side, str, int]:
        """Who it is, by whatever transport."""
        return self.side, self.host, self.port
