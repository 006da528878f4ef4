"""RTCP reports as they pass (RFC 3550 §6.4): what a party says of the stream that it hears. Nothing is changed."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.rtp.packet import Buffer

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
MAX_PACKETS: Final = 16
"""Of one compound that are looked at."""
_HEADER: Final = struct.Struct("!BBH")
_SENDER: Final = struct.Struct("!IQIII")
_BLOCK: Final = struct.Struct("!IIIIII")


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What is said of one stream."""

    ssrc: int
    loss: float
    """Share of the packets since the report before, 0 to 1."""
    jitter: int
    """Timestamp units."""
    last_report: int
    """Middle 32 bits of the NTP time of the last sender report that came; 0: none."""
    delay_s: float
    """Since that one came."""


@dataclass(frozen=True, slots=True)
class Report:
    """A sender's or receiver's report."""

    sent: int | None
    """Middle 32 bits of a sender report's NTP time; None for a receiver's."""
    blocks: tuple[ReportBlock, ...]


def reports(compound: Buffer) -> Iterator[Report]:
    """All reports of a compound packet; what is cut or isn't RTCP ends it."""
    position = 0
    for _ in range(MAX_PACKETS):
        if position + _HEADER.size > len(compound):
            return
        flags, kind, words = _HEADER.unpack_from(compound, position)
        end = position + 4 * (words + 1)
        if flags >> 6 != 2 or end > len(compound):
            return
        body = _body(compound[position + _HEADER.size : end], kind, flags & 0x1F)
        if body is not None:
            yield body
        position = end


def _body(body: Buffer, kind: int, count: int) -> Report | None:
    start = {SENDER_REPORT: _SENDER.size, RECEIVER_REPORT: 4}.get(kind)
    if start is None or len(body) < start + count * _BLOCK.size:
        return None
    sent = (_SENDER.unpack_from(body)[1] >> 16) & 0xFFFFFFFF if kind == SENDER_REPORT else None
    found = (_BLOCK.unpack_from(body, start + at * _BLOCK.size) for at in range(count))
    blocks = tuple(
        ReportBlock(ssrc, (lost >> 24) / 256, jitter, last, delay / 65536)
        for ssrc, lost, _, jitter, last, delay in found
    )
    return Report(sent, blocks)
