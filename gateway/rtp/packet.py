"""The RTP packet (RFC 3550 §5.1) as bytes: header fields, where the payload lies, and whether it is RTCP instead.

The relay never parses one. `Rtp.parse` is for the few packets that are looked into while something is played or
listened for; `headers` and `payload` serve the recorder, which reads the headers of a whole batch in one go.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gateway.rtp.errors import RtpError

Buffer = bytes | bytearray | memoryview

HEADER_BYTES: Final = 12
MAX_PACKET: Final = 65_535
HEADER: Final = struct.Struct("!BBHII")
"""V/P/X/CC, M/PT, sequence number, timestamp, SSRC."""
HEADER_DTYPE: Final = np.dtype([("flags", "u1"), ("kind", "u1"), ("seq", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")])
PLAIN: Final = 0x80
"""First byte of a packet without padding, extension and CSRCs."""
_VERSION: Final = 0x80
_PADDING: Final = 0x20
_EXTENSION: Final = 0x10
_CSRC: Final = 0x0F
_MARKER: Final = 0x80


@dataclass(frozen=True, slots=True)
class Rtp:
    """One packet's header and the bounds of its payload."""

    payload_type: int
    marker: bool
    seq: int
    timestamp: int
    ssrc: int
    start: int
    """First byte of the payload."""
    end: int
    """One past its last byte, padding left out."""

    @classmethod
    def parse(cls, packet: Buffer) -> "Rtp":
        """Read a header; raises `RtpError`."""
        start, end = payload_bounds(packet)
        _, kind, seq, timestamp, ssrc = HEADER.unpack_from(packet)
        return cls(kind & 0x7F, bool(kind & _MARKER), seq, timestamp, ssrc, start, end)


def build(payload_type: int, seq: int, timestamp: int, ssrc: int, payload: Buffer, *, marker: bool = False) -> bytes:
    """A packet without CSRC, extension or padding; sequence number and timestamp are taken modulo their size."""
    kind = payload_type | (_MARKER if marker else 0)
    return HEADER.pack(_VERSION, kind, seq & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def payload_bounds(packet: Buffer) -> tuple[int, int]:
    """Start and end of the payload after CSRCs and extension, before padding; raises `RtpError`."""
    size = len(packet)
    if size < HEADER_BYTES:
        raise RtpError("packet is shorter than an RTP header")
    flags = packet[0]
    if flags >> 6 != 2:
        raise RtpError("packet isn't RTP version 2")
    start = HEADER_BYTES + 4 * (flags & _CSRC)
    if flags & _EXTENSION:
        if size < start + 4:
            raise RtpError("header extension is cut")
        start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
    end = size
    if flags & _PADDING:
        # a count of 0 would be padding that doesn't include its own count
        padding = packet[size - 1]
        end -= padding or size
    if start > end:
        raise RtpError("packet is shorter than its header says")
    return start, end


def payload(packet: Buffer) -> Buffer:
    """The payload of a packet; empty where the packet isn't RTP."""
    if packet[:1] == b"\x80":
        return packet[HEADER_BYTES:]
    try:
        start, end = payload_bounds(packet)
    except RtpError:
        return b""
    return packet[start:end]


def headers(packets: Sequence[bytes]) -> NDArray[Any]:
    """The fixed headers of a batch as one structured array (`HEADER_DTYPE`); each packet has at least 12 bytes."""
    return np.frombuffer(b"".join([packet[:HEADER_BYTES] for packet in packets]), HEADER_DTYPE)


def in_a_row(packets: Sequence[bytes]) -> NDArray[np.uint8] | None:
    """The payloads of plain packets of one size, type and SSRC, one in each row, if sequence numbers and timestamps (a
    byte a unit) go on from each to the next; None where they don't, or wrap, or one has a marker or CSRCs.
    """
    count, size = len(packets), len(packets[0])
    if size <= HEADER_BYTES or packets[0][0] != _VERSION or len(set(map(len, packets))) > 1:
        return None
    joined = b"".join(packets)
    # flags, type, sequence number and timestamp as one number each: it grows by the same step from packet to packet
    fronts = np.ndarray((count,), ">u8", joined, 0, (size,)).astype(np.uint64)
    streams = np.ndarray((count,), ">u4", joined, 8, (size,))
    step = (1 << 32) + size - HEADER_BYTES
    if (fronts[1:] - fronts[:-1] != step).any() or streams.tobytes() != joined[8:12] * count:
        return None
    if packets[-1][1] != packets[0][1]:
        return None  # a sequence number that wrapped would count one up
    return np.frombuffer(joined, np.uint8).reshape(count, size)[:, HEADER_BYTES:]
