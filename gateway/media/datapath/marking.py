"""Traffic classes (DSCP, RFC 2474): read from the packet that a port latches onto, set on what the other party gets.

A phone marks its voice alike for a whole call, so one packet tells for all of them, and the others are read faster.
"""

import contextlib
import socket
from collections.abc import Iterable
from typing import Final

NOTES_BYTES: Final = socket.CMSG_SPACE(4)
"""Room for what `class_of` reads."""
_DSCP: Final = 0xFC
"""The rest is congestion's (RFC 3168), which is between neighbours."""


def watch_class(sock: socket.socket, on: bool) -> None:
    """Have the kernel tell the class of each packet that is read with `recvmsg`, or not any more."""
    with contextlib.suppress(OSError):
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, on)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, on)


def class_of(notes: Iterable[tuple[int, int, bytes]]) -> int:
    """The class of a packet, from what came beside it; 0 where nothing was told."""
    for level, kind, data in notes:
        if (level, kind) in ((socket.IPPROTO_IP, socket.IP_TOS), (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)):
            return data[0] & _DSCP if len(data) == 1 else int.from_bytes(data, "little") & _DSCP
    return 0


def mark(sock: socket.socket, traffic_class: int) -> None:
    """Send with that class from now on."""
    with contextlib.suppress(OSError):
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, traffic_class)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, traffic_class)
