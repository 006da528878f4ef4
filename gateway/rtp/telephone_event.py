"""Key presses from telephone-event packets (RFC 4733 §2): each press once, whatever was repeated, lost or came late.

A press is told at its first packet with the end bit; when those are all lost, at the next press or by `expire`.
Only DTMF (events 0 to 15). Redundancy by RFC 2198 isn't read.
"""

import struct
from dataclasses import dataclass
from typing import Final

from gateway.rtp.errors import RtpError
from gateway.rtp.packet import Buffer
from gateway.rtp.sequence import distance

DIGITS: Final = "0123456789*#ABCD"
RATE: Final = 8000
LOST_END_S: Final = 0.5
"""A press without any packet for this long is over: its end packets were lost (updates come every 20 to 60 ms)."""
_EVENT: Final = struct.Struct("!BBH")
_END: Final = 0x80
_LONGEST: Final = 0xFFFF
_LATE_S: Final = 60


@dataclass(frozen=True, slots=True)
class Event:
    """One telephone-event payload."""

    code: int
    end: bool
    volume: int
    """Power below 0 dBm0, in dB."""
    duration: int
    """Timestamp units since the packet's timestamp."""

    @classmethod
    def parse(cls, payload: Buffer) -> "Event":
        """Read the first event of a payload; raises `RtpError`."""
        if len(payload) < _EVENT.size:
            raise RtpError("telephone-event is cut")
        code, flags, duration = _EVENT.unpack_from(payload)
        return cls(code, bool(flags & _END), flags & 0x3F, duration)

    def __bytes__(self) -> bytes:
        return _EVENT.pack(self.code, (_END if self.end else 0) | self.volume, self.duration)


@dataclass(frozen=True, slots=True)
class Press:
    """A key that was pressed and let go."""

    digit: str
    began_at: float
    """Monotonic seconds: arrival of its first packet, less the duration that this packet already told."""
    duration_ms: int


@dataclass(slots=True)
class _Held:
    code: int
    timestamp: int
    began_at: float
    seen_at: float
    duration: int
    earlier: int = 0
    """Duration of the segments before this one (§2.5.1.3), in timestamp units."""


@dataclass(slots=True)
class EventReader:
    """The presses of one party's stream; make a new one when its SSRC changes."""

    rate: int = RATE
    """Timestamp units a second, as negotiated: those of the audio that the events stand for."""
    _held: _Held | None = None
    _ended: int | None = None
    """Timestamp of the press that was told last."""

    def read(self, payload: Buffer, timestamp: int, arrival: float) -> Press | None:
        """Take one packet; the press that it ends, if any. Raises `RtpError`."""
        event = Event.parse(payload)
        held = self._held
        if event.code >= len(DIGITS) or self._told(timestamp):
            return None
        if held is not None and timestamp == held.timestamp:
            held.seen_at = arrival
            held.duration = max(held.duration, event.duration)
            return self._release() if event.end else None
        if held is not None and self._continues(held, event, timestamp):
            held.earlier, held.timestamp = held.earlier + held.duration, timestamp
            held.seen_at, held.duration = arrival, event.duration
            return self._release() if event.end else None
        if held is not None and distance(timestamp, held.timestamp, 32) < 0:
            return None
        return self._begin(event, timestamp, arrival)

    def expire(self, now: float) -> Press | None:
        """The press whose end packets didn't come."""
        if self._held is None or now - self._held.seen_at < LOST_END_S:
            return None
        return self._release()

    @property
    def holding(self) -> bool:
        """Whether a key is down."""
        return self._held is not None

    @property
    def down(self) -> str | None:
        """The key that is down."""
        return DIGITS[self._held.code] if self._held is not None else None

    def _begin(self, event: Event, timestamp: int, arrival: float) -> Press | None:
        before = self._release() if self._held is not None else None
        self._held = _Held(event.code, timestamp, arrival - event.duration / self.rate, arrival, event.duration)
        if event.end and before is None:
            return self._release()
        # the one before is told now; this one, if it ended already, by its repeated end packets or by `expire`
        return before

    def _release(self) -> Press | None:
        held, self._held = self._held, None
        if held is None:
            return None
        self._ended = held.timestamp
        units = held.earlier + held.duration
        return Press(DIGITS[held.code], held.began_at, units * 1000 // self.rate)

    def _told(self, timestamp: int) -> bool:
        """Whether a packet is a repeated or late one of a press that was told, or of one before it."""
        return self._ended is not None and -_LATE_S * self.rate <= distance(timestamp, self._ended, 32) <= 0

    @staticmethod
    def _continues(held: _Held, event: Event, timestamp: int) -> bool:
        """A press longer than 8.2 s goes on as a new event where the full one ended."""
        full = held.duration == _LONGEST
        return full and event.code == held.code and distance(timestamp, held.timestamp, 32) == _LONGEST
