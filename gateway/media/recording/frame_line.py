"""The timeline of codecs whose audio comes in frames that can't be cut: Opus and G.729. Bytes in, whole packets out.

Runs, offsets and gaps are those of `Timeline`; the axis is in the same samples. What differs is what leaves: packets in
the order of their places, each as it came. A packet that lies less than `HOLE` from where the one before ended follows
right behind it, so that the place of what is stored may be wrong by as much; a hole that is longer is filled with
silence, and a packet of which less than half is still due comes too late. So a sender's clock that runs slow costs a
short concealment every few minutes, one that runs fast a packet.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.media.recording.timeline import Timeline
from gateway.rtp import opus
from gateway.rtp.g711 import RATE
from gateway.rtp.payload_types import CLOCK, Codec

HOLE: Final = RATE // 100
MOST_WAITING: Final = 6000
"""Packets that may wait for their time: a minute's worth."""


@dataclass(frozen=True, slots=True)
class Framing:
    """What is to be known of a codec in frames."""

    unit: int
    """Samples of the axis in a unit of silence."""
    span: Callable[[bytes], int]
    """Samples of the axis in a packet; 0: isn't one."""
    concealment: Callable[[bytes], bytes] | None
    """A lost frame of `HOLE` in the manner of the packet before; None: silence does that by itself."""


FRAMINGS: Final[dict[Codec, Framing]] = {
    "OPUS": Framing(20, lambda packet: opus.duration(packet) * RATE // opus.RATE, opus.concealment),
    # ten bytes for 10 ms; frames of zeros are taken for lost ones (ITU-T G.729)
    "G729": Framing(80, lambda packet: len(packet) // 10 * 80, None),
}


class FrameLine(Timeline):
    """One side of one segment; pieces are packets, or units of silence."""

    def __init__(self, opened_at: float, codec: Codec, *, longest_gap_s: float = 4 * 3600.0) -> None:
        super().__init__(opened_at, 0, longest_gap_s=longest_gap_s)
        self.ticks = CLOCK[codec] // RATE
        self._framing = FRAMINGS[codec]
        self._waiting: list[tuple[int, int, bytes]] = []
        """Place, order of arrival and packet: a heap."""
        self._arrived = 0
        self._newest = b""
        """The packet that left last."""

    def go_on(
        self, ssrc: int, arrivals: NDArray[np.float64], seq: int, timestamp: int, audio: NDArray[np.uint8]
    ) -> bool:
        """Packets in frames are placed one by one."""
        return False

    def _span(self, payload: bytes) -> int:
        return self._framing.span(payload)

    def _write(self, positions: NDArray[np.int64], payloads: list[bytes]) -> None:
        for position, payload in zip(positions.tolist(), payloads, strict=True):
            # INVARIANT: nothing is placed before what has left, nor so far ahead that it could never leave
            if position + self._span(payload) <= self._base or position > self._base + 64 * RATE:
                continue
            if len(self._waiting) < MOST_WAITING:
                heapq.heappush(self._waiting, (position, self._arrived, payload))
                self._arrived += 1
                self._high = max(self._high, position + self._span(payload))

    def _emit(self, until: int) -> None:
        until = min(until, self._high + self._longest_gap)
        while self._waiting and self._waiting[0][0] < until:
            position, _, packet = heapq.heappop(self._waiting)
            span = self._span(packet)
            if position + span // 2 < self._base:
                continue  # another one is in its place, or what comes behind it has left
            self._conceal(position)
            if position - self._base >= HOLE:
                self._fill(position)
            self._end_gap(self._base)
            self._out.append(packet)
            self._newest = packet
            self._base += span
        # a hole that may be concealed waits for the packet behind it
        if until - self._base >= (2 * HOLE if self._waiting else HOLE):
            self._fill(until)
        self._marks = [mark for mark in self._marks if mark[1] > self._base]

    def _conceal(self, position: int) -> None:
        """Close a hole that comes from following the sender's clock."""
        lost = self._framing.concealment
        if lost is not None and self._newest and self._open_gap is None and HOLE <= position - self._base < 2 * HOLE:
            self._out.append(lost(self._newest))
            self._base += HOLE

    def _fill(self, position: int) -> None:
        """Silence up to a place, as far as whole units go."""
        units = (position - self._base) // self._framing.unit
        if self._open_gap is None:
            self._open_gap = (self._base, self._why(self._base, position))
        self._out.append(units)
        self._base += units * self._framing.unit
