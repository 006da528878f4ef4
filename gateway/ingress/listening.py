"""Sockets that listen, made from the configuration; raises OSError where an address can't be bound."""

import socket

from gateway.config import Listener

__all__ = ["bound_socket"]

RECEIVE_BUFFER = 4_194_304
BACKLOG = 256


def bound_socket(listener: Listener) -> socket.socket:
    """A non-blocking socket, bound, and listening where it is for streams; IPv6 means IPv6 alone."""
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    udp = listener.transport == "udp"
    sock = socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if udp:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((listener.host, listener.port))
        if not udp:
            sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
