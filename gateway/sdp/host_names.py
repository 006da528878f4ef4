"""Hosts that a description names instead of giving their addresses (RFC 8866 §5.7 allows it), for live audio."""

from collections.abc import Iterator, Mapping

from gateway.sdp.rewrite import with_address
from gateway.sdp.session import Connection, Session, is_address, is_null_address

MOST_NAMES = 4
"""Of one description: more are no telephone's, and each may cost a question to a name server."""


def host_names(session: Session) -> tuple[str, ...]:
    """The names at which audio is to be received; none where there are too many."""
    names = tuple(dict.fromkeys(connection.address for connection in _named(session)))
    return names if len(names) <= MOST_NAMES else ()


def with_addresses(session: Session, found: Mapping[str, str]) -> bytes:
    """The description with the addresses of names in their place; every other line stays."""
    raw = [line.raw for line in session.lines]
    for connection in _named(session):
        if connection.address in found:
            raw[connection.line] = with_address(raw[connection.line], found[connection.address])
    return b"".join(raw) + session.tail


def _named(session: Session) -> Iterator[Connection]:
    for media in session.media:
        connection = session.connection(media) if media.anchorable else None
        if connection is not None and not is_address(connection.address) and not is_null_address(connection.address):
            yield connection
