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
    lenient_content_length,
    parse_head,
)

StreamItem = Request | Response | Keepalive | SipSyntaxError


class StreamFramer:
    """One per connection; `feed` takes any cut of the stream."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._head: Request | Response | SipSyntaxError | None = None
        self._need = 0
        self._broken = False

    @property
    def pending(self) -> int:
        """Bytes of a message that isn't complete yet; a transport closes the stream when they stay too long.

        A line end alone is none: some keep a connection alive with it (RFC 3261 §7.5 has it ignored).
        """
        return 0 if b"\r\n\r\n".startswith(self._buffer) else len(self._buffer)

    @property
    def broken(self) -> bool:
        """True after a fatal error: everything that follows is ignored."""
        return self._broken

    def feed(self, data: bytes) -> list[StreamItem]:
        """Everything that became complete with `data`; an error with `fatal` is the last item ever."""
        items: list[StreamItem] = []
        if not self._broken:
            self._buffer += data
        while not self._broken:
            item = self._next()
            if item is None:
                break
            items.append(item)
        return items

    def _next(self) -> StreamItem | None:
        if self._head is None:
            while self._buffer.startswith((b"\r", b"\n")):
                if self._buffer.startswith(b"\r\n\r\n"):
                    self._drop(4)
                    return Keepalive(ping=True)
                if b"\r\n\r\n".startswith(self._buffer):
                    return None
                self._drop(1)
            error = self._read_head()
            if error is not None:
                return self._break(error)
        if self._head is None or len(self._buffer) < self._need:
            return None
        return self._complete(self._head)

    def _read_head(self) -> SipSyntaxError | None:
        """Look for the end of the headers and learn the body's length; an error here ends the stream."""
        end = self._buffer.find(b"\r\n\r\n", self._searched)
        endless = len(self._buffer) > MAX_LINE and self._buffer.find(b"\r\n", 0, MAX_LINE + 2) < 0
        if endless or (end < 0 and len(self._buffer) > MAX_MESSAGE):
            head = bytes(self._buffer[:MAX_LINE])
            return SipSyntaxError("headers are too long", status=513, request=answerable_part(head))
        if end < 0:
            self._searched = max(0, len(self._buffer) - 3)
            return None
        head = bytes(self._buffer[:end])
        if len(head) > MAX_MESSAGE:
            return SipSyntaxError("message is larger than 64 KiB", status=513, request=answerable_part(head))
        parsed: Request | Response | SipSyntaxError
        try:
            parsed = message = parse_head(head)
            length = content_length(message, head)
        except SipSyntaxError as error:
            parsed, length = error, lenient_content_length(head)
            if length is None:
                return error
        if length is None:
            return SipSyntaxError("no `Content-Length` on a stream", request=answerable_part(head))
        self._head, self._need = parsed, end + 4 + length
        if self._need > MAX_MESSAGE:
            return SipSyntaxError("message is larger than 64 KiB", status=513, request=answerable_part(head))
        return None

    def _complete(self, head: Request | Response | SipSyntaxError) -> StreamItem:
        if not isinstance(head, SipSyntaxError):
            start = self._buffer.find(b"\r\n\r\n") + 4
            head.body = bytes(self._buffer[start : self._need])
        self._drop(self._need)
        self._head = None
        return head

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._searched = 0

    def _break(self, error: SipSyntaxError) -> SipSyntaxError:
        self._broken = True
        self._head = None
        self._buffer.clear()
        error.fatal = True
        return error
