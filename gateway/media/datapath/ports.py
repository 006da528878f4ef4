"""Pairs of UDP ports (even RTP, odd RTCP): this worker's share of the range, oldest first, left alone while they cool.

A stale packet of an old call on a port that serves a new one would be a privacy breach, so a freed pair waits.
"""

import secrets
import socket
from collections import deque
from dataclasses import dataclass
from typing import Final

from gateway.media.datapath.marking import watch_class
from gateway.media.errors import OutOfPorts

SPARED: Final = 10
"""Of so many pairs one is kept for voices."""
_TRIES: Final = 64
"""Pairs that another program may hold, before the range counts as used up."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two bound, non-blocking sockets."""

    rtp: socket.socket
    rtcp: socket.socket
    host: str
    port: int

    def close(self) -> None:
        """Close both."""
        self.rtp.close()
        self.rtcp.close()


def share(ports: tuple[int, int], workers: int, index: int) -> list[int]:
    """The even ports of worker `index` of `workers`: an equal, contiguous part of the range."""
    low, high = ports
    even = range(low + low % 2, high, 2)
    size = len(even) // workers
    return list(even[index * size : (index + 1) * size])


class PortPool:
    """Free pairs by local address; a pair is free on each address by itself."""

    def __init__(self, even_ports: list[int], cooldown_s: float) -> None:
        self._even_ports = even_ports
        self._cooldown_s = cooldown_s
        self._free: dict[str, deque[tuple[int, float]]] = {}

    def bind(self, host: str, now: float, *, sparing: bool = False) -> Pair:
        """The pair that was free longest, bound; `sparing` leaves the last tenth to others. Raises OutOfPorts."""
        free = self._on(host)
        if sparing and len(free) <= len(self._even_ports) // SPARED:
            raise OutOfPorts("Ran out of ports")
        for _ in range(min(_TRIES, len(free))):
            port, ready_at = free[0]
            if ready_at > now:
                break
            free.popleft()
            pair = _bind_pair(host, port)
            if pair is not None:
                return pair
            free.append((port, now))
        raise OutOfPorts("Ran out of ports")

    def bind_again(self, host: str, port: int) -> Pair:
        """A certain pair, as journaled. Raises OutOfPorts where another program took it."""
        free = self._on(host)
        pair = _bind_pair(host, port)
        if pair is None:
            raise OutOfPorts("a journaled port is taken")
        self._free[host] = deque(entry for entry in free if entry[0] != port)
        return pair

    def release(self, pair: Pair, now: float) -> None:
        """Close a pair; it is used again once it has cooled down."""
        pair.close()
        if pair.port in self._even_ports:
            self._on(pair.host).append((pair.port, now + self._cooldown_s))

    def give_back(self, pair: Pair) -> None:
        """Close a pair that nobody was told: nothing can come late on it, so it needn't cool down once more."""
        pair.close()
        self._on(pair.host).appendleft((pair.port, float("-inf")))

    def _on(self, host: str) -> deque[tuple[int, float]]:
        if host not in self._free:
            # in no order that a stranger could guess the next port by
            ports = list(self._even_ports)
            secrets.SystemRandom().shuffle(ports)
            self._free[host] = deque((port, float("-inf")) for port in ports)
        return self._free[host]


def _bind_pair(host: str, port: int) -> Pair | None:
    rtp = _bind(host, port)
    rtcp = _bind(host, port + 1) if rtp is not None else None
    if rtp is None or rtcp is None:
        if rtp is not None:
            rtp.close()
        return None
    return Pair(rtp, rtcp, host, port)


def _bind(host: str, port: int) -> socket.socket | None:
    try:
        bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    except OSError:  # no file descriptor is left
        return None
    try:
        bound.setblocking(False)
        watch_class(bound, True)
        bound.bind((host, port))
    except OSError:
        bound.close()
        return None
    return bound
