"""LP framing and fixed-size hexadecimal, the two encodings that every commitment is made of.

`LP(x1, …)` is, for each item, its length as big-endian uint16, then its bytes; strings are UTF-8.
"""

import re
from typing import Final

from crypto.errors import FramingError

MAX_ITEM: Final = 0xFFFF
_HEX: Final = re.compile(r"[0-9a-f]*")


def lp(*items: str | bytes) -> bytes:
    """Frame `items` one after the other. Raises FramingError for one over 65535 bytes or a lone surrogate."""
    out = bytearray()
    for item in items:
        raw = _utf8(item) if isinstance(item, str) else item
        if len(raw) > MAX_ITEM:
            raise FramingError("item is longer than 65535 bytes")
        out += len(raw).to_bytes(2, "big")
        out += raw
    return bytes(out)


def uint64be(value: int) -> bytes:
    """Eight bytes, big endian. Raises FramingError outside 0 … 2^64 - 1."""
    if not 0 <= value < 1 << 64:
        raise FramingError("integer is outside uint64")
    return value.to_bytes(8, "big")


def parse_hex(text: str, size: int) -> bytes:
    """`size` bytes written as 2 · `size` lower-case characters (`hexN` of the contract), nothing else."""
    if len(text) != 2 * size or not _HEX.fullmatch(text):
        raise FramingError(f"expected {2 * size} lower-case hexadecimal characters")
    return bytes.fromhex(text)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise FramingError("string isn't valid unicode") from None
