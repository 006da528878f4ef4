"""One SIP connection over a stream (RFC 3261 §18, RFC 5626 §3.5.1): framing, keep-alive, limits.

A message that takes too long, a reader that doesn't read and a stream that can't be framed cost the connection and
nothing else. Who may connect and which connection is used for what, `sip_transport.py` decides.
"""

import asyncio
from collections import Counter
from typing import Protocol, cast

import structlog

from gateway.sip.errors import SipSyntaxError
from gateway.sip.framer import StreamFramer
from gateway.sip.hop import Hop
from gateway.sip.message import Keepalive, Request, Response

__all__ = ["MESSAGE_TIMEOUT_S", "StreamConnection", "StreamOwner"]

log = structlog.get_logger()
MESSAGE_TIMEOUT_S = 10.0
"""How long a message may stay half received."""
FIRST_MESSAGES = 3
"""A new connection that brings nothing whole within so many times that is closed."""
MAX_UNSENT = 1_048_576
"""Bytes that may wait for a peer that doesn't read."""


class StreamOwner(Protocol):
    """What a connection needs of the transport that keeps it."""

    counters: Counter[str]
    message_timeout_s: float

    def stream_opened(self, connection: "StreamConnection") -> bool:
        """Whether the connection may stay."""
        ...

    def stream_message(self, message: Request | Response, source: Hop) -> None:
        """A complete message."""
        ...

    def stream_pause(self, messages: int, source: Hop) -> float:
        """For how many seconds nothing more is read after so many messages."""
        ...

    def stream_slow(self, source: Hop) -> None:
        """It is being closed, for nothing whole came for too long."""
        ...

    def stream_malformed(self, error: SipSyntaxError, source: Hop) -> None:
        """Bytes that aren't one; an answer goes out before the connection closes."""
        ...

    def stream_closed(self, connection: "StreamConnection") -> None:
        """It is gone."""
        ...


class StreamConnection(asyncio.Protocol):
    """`template` tells side, transport and connection number; the peer's address is filled in when connected."""

    def __init__(self, owner: StreamOwner, template: Hop, *, accepted: bool) -> None:
        self.accepted = accepted
        self.hop = template
        self._owner = owner
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self._slow: asyncio.TimerHandle | None = None
        self._mute: asyncio.TimerHandle | None = None
        self._kept = False

    @property
    def usable(self) -> bool:
        """Whether something can still be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who is there and ask whether it may stay."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if peer is None:
            self._transport.abort()
            return
        self.hop = Hop(self.hop.side, self.hop.transport, peer[0], peer[1], self.hop.connection)
        self._kept = self._owner.stream_opened(self)
        if not self._kept:
            self._transport.abort()
        elif self.accepted:
            patience = FIRST_MESSAGES * self._owner.message_timeout_s
            self._mute = asyncio.get_running_loop().call_later(patience, self._too_slow)

    def data_received(self, data: bytes) -> None:
        """Hand on what became complete."""
        items = self._framer.feed(data)
        if items and self._mute is not None:
            self._mute.cancel()
        for item in items:
            try:
                self._hand_on(item)
            except Exception:  # one message's fault must not cost the other calls on this trunk
                self._owner.counters["faults"] += 1
                log.exception("a message could not be handled")
        if self._framer.broken:
            self._owner.counters["stream_broken"] += 1
            self.close()
        self._watch_half_message(restart=False)
        self._rest(self._owner.stream_pause(len(items), self.hop))

    def _rest(self, seconds: float) -> None:
        """Leave the rest in the stream for a while: what is dropped there would never come again."""
        if seconds > 0.0 and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        for timer in (self._slow, self._mute):
            if timer is not None:
                timer.cancel()
        self._transport = None
        if self._kept:
            self._owner.stream_closed(self)

    def send(self, data: bytes) -> bool:
        """Queue bytes; False when the connection can't take them, then it is closed too."""
        if self._transport is None or self._transport.is_closing():
            return False
        if self._transport.get_write_buffer_size() + len(data) > MAX_UNSENT:
            self._owner.counters["stream_unread"] += 1
            self._transport.abort()
            return False
        self._transport.write(data)
        return True

    def close(self) -> None:
        """Close after what is queued has gone out."""
        if self._transport is not None:
            self._transport.close()

    def _hand_on(self, item: Request | Response | Keepalive | SipSyntaxError) -> None:
        self._watch_half_message(restart=True)
        if isinstance(item, Keepalive):
            self.send(b"\r\n")
        elif isinstance(item, SipSyntaxError):
            self._owner.stream_malformed(item, self.hop)
        else:
            self._owner.stream_message(item, self.hop)

    def _watch_half_message(self, *, restart: bool) -> None:
        """The time counts from a message's first byte, however slowly the others follow."""
        if self._slow is not None and (restart or not self._framer.pending):
            self._slow.cancel()
            self._slow = None
        if self._slow is None and self._framer.pending and self.usable:
            self._slow = asyncio.get_running_loop().call_later(self._owner.message_timeout_s, self._too_slow)

    def _too_slow(self) -> None:
        self._owner.stream_slow(self.hop)
        self.close()
