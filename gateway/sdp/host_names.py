"""Hosts that a description names instead of giving their addresses (RFC 8866 §5.7 allows it), of what is relayed."""

from collections.abc import Iterator, Mapping

from gateway.sdp.rewrite import with_address
from gateway.sdp.session import Connection, Media, Session, is_address, is_null_address

MOST_NAMES = 4
"""Of one description: more are no telephone's, and each may cost a question to a name server."""


def host_names(session: Session) -> tuple[str, ...]:
    """The names at which media is to be received: those of audio alone where all are too many, none where these are."""
    heard, further = (
        [connection.address for media, connection in _named(session) if media.is_audio is audio]
        for audio in (True, False)
    )
    ways = (tuple(dict.fromkeys(names)) for names in ([*heard, *further], heard))
    return next((names for names in ways if len(names) <= MOST_NAMES), ())


def with_addresses(session: Session, found: Mapping[str, str]) -> bytes:
    """The description with the addresses of names in their place; every other line stays."""
    raw = [line.raw for line in session.lines]
    for _, connection in _named(session):
        if connection.address in found:
            raw[connection.line] = with_address(raw[connection.line], found[connection.address])
    return b"".join(raw) + session.tail


def _named(session: Session) -> Iterator[tuple[Media, Connection]]:
    for media in session.media:
        connection = session.connection(media) if media.is_relayable else None
        if connection is not None and not is_address(connection.address) and not is_null_address(connection.address):
            yield media, connection
