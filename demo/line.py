"""The voice of a simulated phone: RTP over a UDP socket (RFC 3550, RFC 3551), speech at 20 ms without drift, and digits
as RFC 4733 events. What comes in is placed on a timeline by its RTP timestamps; arrival times are kept.
"""

import asyncio
import contextlib
import itertools
import secrets
import socket
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from demo.correlate import find
from demo.g711 import RATE, Codec, Samples, decode, encode
from demo.sdp import PAYLOAD_TYPES
from demo.tones import dtmf

FRAME = 160
"""Samples of a packet: 20 ms."""
PTIME = FRAME / RATE
LONGEST = 3 * 3600 * RATE
"""Samples after which nothing more is kept."""
DIGITS = "0123456789*#ABCD"
_HEADER = struct.Struct("!BBHII")
_EVENT = struct.Struct("!BBH")


class Arrival(NamedTuple):
    """One RTP packet as it came in."""

    at: float
    """The loop's time."""
    ssrc: int
    sequence: int
    timestamp: int
    payload_type: int
    marker: bool
    payload: bytes


class PressedDigit(NamedTuple):
    """A key press that was heard as an RFC 4733 event."""

    digit: str
    duration_ms: int
    at: float
    """The loop's time of its end."""


@dataclass(slots=True, eq=False)
class Playing:
    """Speech that is waiting, being sent, or sent."""

    samples: Samples
    began_at: float | None = None
    """The loop's time at which the first frame was sent."""
    position: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Press:
    digit: str
    packets: int
    """How many 20 ms steps the key is held."""
    sent: int = 0


class Line(asyncio.DatagramProtocol):
    """One RTP socket pair with its voice and its ear."""

    def __init__(self) -> None:
        self.codec: Codec = "PCMA"
        self.telephone_event: int | None = None
        self.remote: tuple[str, int] | None = None
        self.speaking = True
        """False while the phone may not send, as on hold."""
        self.sent = 0
        """RTP packets sent."""
        self.arrivals: list[Arrival] = []
        self.digits: list[PressedDigit] = []
        self.heard_from: float | None = None
        """The loop's time of the first sample of `heard`."""
        self._ssrc = secrets.randbits(32)
        self._sequence = secrets.randbits(15)
        self._timestamp = secrets.randbits(31)
        self._voice: deque[Playing] = deque()
        self._keys: deque[_Press] = deque()
        self._rest = 0
        self._buffer = np.zeros(RATE * 10, np.int16)
        self._length = 0
        self._runs: dict[int, tuple[int, int]] = {}
        self._ended_event: tuple[int, int] | None = None
        self._sockets: list[asyncio.DatagramTransport] = []
        self._sender: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()
        self._pressed = asyncio.Event()

    @classmethod
    async def open(cls, host: str) -> "Line":
        """Bind an even RTP port and the odd one after it; sending starts with `start`."""
        line = cls()
        loop = asyncio.get_running_loop()
        rtp, rtcp = _bind_pair(host)
        line._sockets.append((await loop.create_datagram_endpoint(lambda: line, sock=rtp))[0])
        # RTCP is taken in and ignored: without a socket there, the sender would get ICMP errors
        line._sockets.append((await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=rtcp))[0])
        return line

    @property
    def address(self) -> tuple[str, int]:
        """Where this phone receives RTP."""
        host, port = self._sockets[0].get_extra_info("sockname")[:2]
        return host, port

    @property
    def heard(self) -> Samples:
        """Everything heard since the first packet; silence where nothing came."""
        return self._buffer[: self._length].copy()

    def start(self) -> None:
        """Send from now on, silence where nothing plays."""
        if self._sender is None:
            self._sender = asyncio.get_running_loop().create_task(self._send_in_time())

    async def close(self) -> None:
        """Stop and close the sockets."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        for end in self._sockets:
            end.close()

    def play(self, samples: Samples) -> Playing:
        """Speech after what is already waiting."""
        playing = Playing(samples)
        self._voice.append(playing)
        return playing

    def hush(self) -> None:
        """Stop what is being said and forget what is waiting."""
        while self._voice:
            self._voice.popleft().done.set()

    def press(self, keys: str, ms: int = 100) -> None:
        """Press keys one after another, each for `ms`, 60 ms apart; in-band where events weren't negotiated."""
        if self.telephone_event is None:
            self.play(np.concatenate([np.concatenate((dtmf(key, ms), np.zeros(480, np.int16))) for key in keys]))
            return
        self._keys.extend(_Press(key, max(1, round(ms / 20))) for key in keys)

    async def hears(self, sound: Samples, strength: float = 0.7) -> float:
        """Wait until `sound` was heard as a whole; the loop's time of its end. Give a second or two, not minutes."""
        begin = self._length
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            match = find(sound, self._buffer[max(0, begin - len(sound)) : self._length])
            if match.strength >= strength and self.heard_from is not None:
                end = max(0, begin - len(sound)) + match.lag + len(sound)
                return self.heard_from + end / RATE
            begin = max(0, self._length - FRAME)
            # rarely enough to cost nothing beside the calls, often enough for a caller
            await asyncio.sleep(0.2)

    async def hears_keys(self, keys: str) -> None:
        """Wait until the last keys of the other end were these."""
        while not "".join(pressed.digit for pressed in self.digits).endswith(keys):
            self._pressed.clear()
            await self._pressed.wait()

    def gaps(self, longer_than: float = 0.04) -> list[tuple[float, float]]:
        """Begin and length of every wait between two packets that was longer, in seconds of the loop's time."""
        times = [arrival.at for arrival in self.arrivals]
        pairs = itertools.pairwise(times)
        return [(earlier, later - earlier) for earlier, later in pairs if later - earlier > longer_than]

    # --- sending ----------------------------------------------------------------------------------------------------

    async def _send_in_time(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._send_frame(loop.time())
            due += PTIME
            await asyncio.sleep(due - loop.time())

    def _send_frame(self, now: float) -> None:
        if not self.speaking or self.remote is None:
            self._timestamp += FRAME
        elif self._keys and self._rest == 0 and self.telephone_event is not None:
            self._send_event(self._keys[0], self.telephone_event)
        else:
            self._rest = max(0, self._rest - 1)
            self._send(PAYLOAD_TYPES[self.codec], encode(self.codec, self._next_speech(now)))
            self._timestamp += FRAME

    def _next_speech(self, now: float) -> Samples:
        frame = np.zeros(FRAME, np.int16)
        if self._voice:
            playing = self._voice[0]
            if playing.began_at is None:
                playing.began_at = now
            part = playing.samples[playing.position : playing.position + FRAME]
            frame[: len(part)] = part
            playing.position += FRAME
            if playing.position >= len(playing.samples):
                self._voice.popleft().done.set()
        return frame

    def _send_event(self, press: _Press, payload_type: int) -> None:
        press.sent += 1
        ended = press.sent > press.packets
        event = _EVENT.pack(DIGITS.index(press.digit), 0x8A if ended else 0x0A, min(press.sent, press.packets) * FRAME)
        # RFC 4733 §2.5.1.4: the last packet three times, against loss
        for _ in range(3 if ended else 1):
            self._send(payload_type, event, marker=press.sent == 1)
        if ended:
            self._keys.popleft()
            self._rest = 3
            self._timestamp += FRAME * press.sent

    def _send(self, payload_type: int, payload: bytes, marker: bool = False) -> None:
        second = payload_type | (0x80 if marker or self.sent == 0 else 0)
        head = _HEADER.pack(0x80, second, self._sequence & 0xFFFF, self._timestamp & 0xFFFFFFFF, self._ssrc)
        with contextlib.suppress(OSError):
            self._sockets[0].sendto(head + payload, self.remote)
        self._sequence += 1
        self.sent += 1

    # --- hearing ----------------------------------------------------------------------------------------------------

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """One RTP packet from the loop."""
        if len(data) < _HEADER.size or data[0] >> 6 != 2:
            return
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        payload = data[_HEADER.size + 4 * (first & 15) :]
        now = asyncio.get_running_loop().time()
        payload_type = second & 0x7F
        self.arrivals.append(Arrival(now, ssrc, sequence, timestamp, payload_type, second > 127, payload))
        if payload_type == self.telephone_event:
            self._hear_event(ssrc, timestamp, payload, now)
            return
        codec = next((name for name, number in PAYLOAD_TYPES.items() if number == payload_type), None)
        if codec is not None:
            self._place(decode(codec, payload), ssrc, timestamp, now)

    def _place(self, samples: Samples, ssrc: int, timestamp: int, now: float) -> None:
        if self.heard_from is None:
            self.heard_from = now
        begin, at = self._runs.setdefault(ssrc, (timestamp, round((now - self.heard_from) * RATE)))
        index = at + ((timestamp - begin + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        end = index + len(samples)
        if index < 0 or end > LONGEST:
            return
        if end > len(self._buffer):
            self._buffer = np.concatenate((self._buffer, np.zeros(max(end, len(self._buffer)), np.int16)))
        self._buffer[index:end] = samples
        self._length = max(self._length, end)
        self._arrived.set()

    def _hear_event(self, ssrc: int, timestamp: int, payload: bytes, now: float) -> None:
        if len(payload) < _EVENT.size:
            return
        code, flags, duration = _EVENT.unpack_from(payload)
        if flags & 0x80 and self._ended_event != (ssrc, timestamp) and code < len(DIGITS):
            self._ended_event = ssrc, timestamp
            self.digits.append(PressedDigit(DIGITS[code], duration * 1000 // RATE, now))
            self._pressed.set()


def _bind_pair(host: str) -> tuple[socket.socket, socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(200):
        rtp, rtcp = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
        try:
            rtp.bind((host, 20000 + 2 * secrets.randbelow(5000)))
            rtcp.bind((host, rtp.getsockname()[1] + 1))
        except OSError:
            rtp.close()
            rtcp.close()
            continue
        return rtp, rtcp
    raise OSError(f"no free pair of RTP ports on `{host}`")
