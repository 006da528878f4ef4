"""Ogg (RFC 3533) around Opus packets (RFC 7845), page by page: no page is ever touched again, so a cut file plays.

A page holds a second or less. The last one only says that nothing follows.
"""

import struct
import zlib
from collections.abc import Iterable
from typing import Final

from gateway.rtp.opus import GRAIN, RATE, duration, silence

PRE_SKIP: Final = 312
"""Samples that a decoder drops at the beginning: what libopus delays by."""
_PAGE: Final = struct.Struct("<4sBBqIIIB")
_CRC_AT: Final = 22
_BEGIN, _END = 0x02, 0x04
_MOST_SEGMENTS: Final = 255
_PAGE_S: Final = 1
_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class OggOpus:
    """One mono stream. `silence` counts in grains of 2.5 ms."""

    name: Final = "ogg/opus"

    def __init__(self, serial: int) -> None:
        self._serial = serial
        self._pages = 0
        self._granule = 0
        self._waiting: list[bytes] = []
        self._segments = 0
        self._since_page = 0

    def header(self) -> bytes:
        """Both header pages (RFC 7845 §5)."""
        head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, PRE_SKIP, RATE, 0, 0)
        tags = struct.pack("<8sI7sI", b"OpusTags", 7, b"fairtap", 0)
        return self._page([head], _BEGIN) + self._page([tags], 0)

    def audio(self, packet: bytes) -> bytes:
        """One packet; the page that it filled, if any."""
        segments = len(packet) // 255 + 1
        full = self._segments + segments > _MOST_SEGMENTS or self._since_page >= _PAGE_S * RATE
        page = self._flush() if full else b""
        self._waiting.append(packet)
        self._segments += segments
        self._since_page += duration(packet)
        self._granule += duration(packet)
        return page

    def silence(self, grains: int) -> Iterable[bytes]:
        """Pages of so much silence."""
        while grains:
            some = min(grains, RATE // GRAIN)
            grains -= some
            yield b"".join(map(self.audio, silence(some * GRAIN)))

    def end(self) -> bytes:
        """What waits, and the page that ends the stream."""
        return self._flush() + self._page([], _END)

    def _flush(self) -> bytes:
        if not self._waiting:
            return b""
        # a page's position is the end of its last packet, which is in it
        page = self._page(self._waiting, 0)
        self._waiting, self._segments, self._since_page = [], 0, 0
        return page

    def _page(self, packets: list[bytes], flags: int) -> bytes:
        lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,)) for packet in packets)
        head = _PAGE.pack(b"OggS", 0, flags, self._granule, self._serial, self._pages, 0, len(lacing))
        self._pages += 1
        page = bytearray(b"".join((head, lacing, *packets)))
        page[_CRC_AT : _CRC_AT + 4] = _checksum(page).to_bytes(4, "little")
        return bytes(page)


def _checksum(page: bytearray) -> int:
    """The unreflected CRC-32 that begins with 0 (RFC 3533 §6), by the reflected one of zlib over bytes turned round."""
    found = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(found.to_bytes(4, "big").translate(_REVERSED)[::-1], "big")
