"""Cut a byte stream into SIP messages (RFC 3261 §18.3, RFC 5626 §3.5.1): Content-Length is mandatory and exact.

Errors are handed out in order with the messages; how long a half message may take is the transport's business.
"""

from __future__ import annotations

from gateway.sip.errors import SipSyntaxError
from gateway.sip.message import (
    MAX_LINE,
    MAX_MESSAGE,
    Keepalive,
    Request,
    Response,
    answerable_part,
    content_length,
    parse_head,
)

type_item = Request | Response | Keepalive | SipSyntaxError


class StreamFramer:
    """One per connection; `feed` takes any cut of the stream."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._broken = False

    @property
    def pending(self) -> int:
        """Bytes of a message that isn't complete yet; a transport closes the stream when they stay too long."""
        return len(self._buffer)

    @property
    def broken(self) -> bool:
        """True after a fatal error: everything that follows is ignored."""
        return self._broken

    def feed(self, data: bytes) -> list[Request | Response | Keepalive | SipSyntaxError]:
        """Everything that became complete with `data`; an error with `fatal` is the last item ever."""
        if self._broken:
            return []
        self._buffer += data
        items: list[Request | Response | Keepalive | SipSyntaxError] = []
        while not self._broken:
            item = self._next()
            if item is None:
                break
            items.append(item)
        return items
