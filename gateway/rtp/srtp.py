"""SRTP and SRTCP of one direction (RFC 3711): an `Opener` for what a party sends, a `Sealer` for what is sent to one.

libsrtp does the work; here is what it leaves to its caller. A packet doesn't carry its roll-over counter, and whoever
begins to listen in the middle of a call can't know it (§3.3.1): the authentication tag tells which of the few possible
ones is right. And a sender that isn't SRTP's may jump in its sequence numbers, which would part the two ends' counters.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator
from typing import Final

from pylibsrtp import Error, Policy, Session

from gateway.rtp.packet import HEADER_BYTES, Buffer, build
from gateway.rtp.sequence import extend

SUITES: Final = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}
"""What can be opened and sealed, by its name in RFC 4568 §6.2."""
KEY_BYTES: Final = 30
"""Master key and master salt of either suite."""
MAX_STREAMS: Final = 64
"""SSRCs of one key that are remembered: a telephone has one at a time."""
MAX_SEALED: Final = 1024
"""SSRCs that are sealed under one key. None is ever forgotten, since its numbers must not begin anew."""
HUNT_EVERY: Final = 8
"""One of so many packets that can't be opened is searched a counter for: forged ones mustn't cost much."""
MAX_DROPOUT: Final = 3000
MAX_MISORDER: Final = 100
"""RFC 3550 appendix A.1: what lies further away is a jump."""
_STRIDE: Final = 0x7000
"""Steps in which a counter is walked on: below half of the numbers' range."""
_SEEN: Final = "replay check failed (bad index)"
_NUMBER: Final = struct.Struct("!2xH4xI")
"""Sequence number and SSRC."""


class Opener:
    """Opens what one party sends, under one key."""

    def __init__(self, suite: str, key: bytes) -> None:
        self.missed = 0
        """Packets in a row that could not be opened; a repeated one doesn't count."""
        self._suite, self._key = suite, key
        self._rtp, self._rtcp = (Session(_policy(suite, key, Policy.SSRC_ANY_INBOUND)) for _ in range(2))
        self._later: dict[int, Session] = {}
        """Streams that were joined when their counter wasn't 0 any more, by SSRC."""
        self._highest: dict[int, int] = {}
        """Index (counter and sequence number) of the highest packet that was opened, by SSRC."""
        self._reporting: set[int] = set()
        self._elsewhere: set[int] = set()
        """Streams that may have gone on under another key since they were heard last."""
        self._all_missed = 0

    def came_back(self) -> None:
        """The party went on under another key meanwhile, and its counters with it (RFC 3711 §3.3.1)."""
        self.missed = 0
        self._elsewhere = set(self._highest)

    def open(self, packet: Buffer, passed: int) -> bytes | None:
        """The RTP packet in an SRTP packet, or None; `passed` is how many packets the party has sent until now."""
        data = bytes(packet)
        if len(data) < HEADER_BYTES or data[0] >> 6 != 2:  # such as STUN
            return None
        seq, ssrc = _NUMBER.unpack_from(data)
        if ssrc in self._elsewhere:  # its number may look like one that was seen
            self._elsewhere.discard(ssrc)
            if (ahead := self._hunt(data, seq, ssrc, passed)) is not None:
                return ahead
        try:
            clear: bytes | None = self._later.get(ssrc, self._rtp).unprotect(data)
        except (Error, ValueError) as error:
            if str(error) == _SEEN:
                return None
            clear = self._hunt(data, seq, ssrc, passed) if self._all_missed % HUNT_EVERY == 0 else None
            if clear is None:
                self.missed += 1
                self._all_missed += 1
                return None
        self.missed = 0
        highest = self._highest.get(ssrc)
        if highest is None:
            self._remember(ssrc, seq)
        else:
            self._highest[ssrc] = max(highest, extend(seq, highest, 16))
        return clear

    def open_rtcp(self, packet: Buffer) -> bytes | None:
        """The RTCP packet in an SRTCP packet, or None."""
        clear = _tried(self._rtcp.unprotect_rtcp, packet)
        if clear is not None:
            self._reporting.add(_sender(packet))
            if len(self._reporting) > MAX_STREAMS:
                self._rtcp = Session(_policy(self._suite, self._key, Policy.SSRC_ANY_INBOUND))
                self._reporting.clear()
        return clear

    def _hunt(self, data: bytes, seq: int, ssrc: int, passed: int) -> bytes | None:
        """Open a packet by a later counter, and keep that one; never by one whose packets may have been seen."""
        highest = self._highest.get(ssrc)
        first = 1 if highest is None else (highest >> 16) + (seq <= highest & 0xFFFF)
        policy = _policy(self._suite, self._key, Policy.SSRC_ANY_INBOUND)
        walked, walker = Session(policy), Session(_policy(self._suite, self._key, Policy.SSRC_ANY_OUTBOUND))
        reached = 0
        for counter in range(max(first, 1), max(first, 1) + (passed >> 16) + 2):
            index = counter << 16 | seq
            for step in _steps(reached, index - 1):
                # what is sealed here never leaves this function
                walked.unprotect(walker.protect(build(0, step, 0, ssrc, b"")))
            reached = index - 1
            try:
                clear: bytes = walked.unprotect(data)
            except (Error, ValueError):
                continue
            self._later[ssrc] = walked
            self._remember(ssrc, index)
            return clear
        return None

    def _remember(self, ssrc: int, index: int) -> None:
        self._highest[ssrc] = index
        if len(self._highest) > MAX_STREAMS:
            oldest = next(iter(self._highest))
            del self._highest[oldest]
            self._later.pop(oldest, None)
            with contextlib.suppress(Error):  # it was joined later
                self._rtp.remove_stream(oldest)


class Sealer:
    """Seals what is sent to one party, under one key; no part of the key stream is ever used twice.

    `streams` are what sealers of one party share: under a new key a stream's counter goes on (RFC 3711 §3.3.1).
    """

    def __init__(self, suite: str, key: bytes, streams: Streams | None = None) -> None:
        self._rtp, self._rtcp = (Session(_policy(suite, key, Policy.SSRC_ANY_OUTBOUND)) for _ in range(2))
        self._streams: Streams = {} if streams is None else streams
        self._reached: dict[int, int] = {}
        """The highest index under this key, by SSRC."""
        self._reporting: set[int] = set()

    def seal(self, packet: Buffer) -> bytes | None:
        """The SRTP packet of an RTP packet; None for a repeated one, or one that is no RTP."""
        if len(packet) < HEADER_BYTES or packet[0] >> 6 != 2:
            return None
        seq, ssrc = _NUMBER.unpack_from(packet)
        numbers = self._streams.get(ssrc)
        if numbers is None:
            if len(self._streams) >= MAX_SEALED:
                return None
            numbers = self._streams[ssrc] = Numbers(seq)
        index = numbers.following(seq)
        if index is None:
            return None
        number = index & 0xFFFF
        if number != seq:
            moved = bytearray(packet)
            moved[2:4] = number.to_bytes(2, "big")
            packet = moved
        self._go_on(ssrc, index)
        return _tried(self._rtp.protect, packet)

    def _go_on(self, ssrc: int, index: int) -> None:
        """Have libsrtp count on to an index that another key was used up to."""
        reached = self._reached.get(ssrc)
        if index > 0xFFFF if reached is None else index - reached > _STRIDE:
            for step in _steps(reached or 0, index - MAX_MISORDER):
                # what is sealed here never leaves this function
                self._rtp.protect(build(0, step, 0, ssrc, b""))
        self._reached[ssrc] = max(index, reached or 0)

    def seal_rtcp(self, packet: Buffer) -> bytes | None:
        """The SRTCP packet of an RTCP packet, or None."""
        if len(self._reporting) >= MAX_SEALED and _sender(packet) not in self._reporting:
            return None
        self._reporting.add(_sender(packet))
        return _tried(self._rtcp.protect_rtcp, packet)


class Numbers:
    """One stream's numbers, without a jump: counter and sequence number in one."""

    __slots__ = ("highest", "shift", "suspect")

    def __init__(self, seq: int) -> None:
        self.highest, self.shift = seq, 0
        self.suspect: int | None = None

    def following(self, seq: int) -> int | None:
        """The index to send under; None where the packet may be a stray, since only a second one shows a jump."""
        index = extend(seq + self.shift, self.highest, 16)
        if not -MAX_MISORDER < index - self.highest < MAX_DROPOUT:
            if seq != self.suspect:
                self.suspect = (seq + 1) & 0xFFFF
                return None
            index = self.highest + 1
            self.shift = index - seq
        if index > self.highest:
            self.highest = index
            self.suspect = None
        return index if index >= 0 else None


Streams = dict[int, Numbers]
"""By SSRC."""


def _policy(suite: str, key: bytes, streams: int) -> Policy:
    return Policy(key=key, ssrc_type=streams, srtp_profile=SUITES[suite])


def _sender(report: Buffer) -> int:
    """The SSRC in an RTCP packet, which stays readable."""
    return int.from_bytes(report[4:8], "big")


def _steps(start: int, end: int) -> Iterator[int]:
    """From one index to a later one, each step within what the other end can follow."""
    while start < end:
        start = min(start + _STRIDE, end)
        yield start


def _tried(work: Callable[[bytes], bytes], packet: Buffer) -> bytes | None:
    try:
        return work(bytes(packet))
    except (Error, ValueError):
        return None
