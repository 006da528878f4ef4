"""Bencode (BEP 3) as rtpengine's ng protocol uses it: byte strings, integers, lists, dictionaries with unsorted keys.

Kamailio doesn't sort its keys, so neither order nor canonical form is asked for; a repeated key keeps the first value.
"""

from collections.abc import Iterable
from typing import Final

from gateway.ng.errors import BencodeError

__all__ = ["MAX_BYTES", "Cut", "Value", "decode", "decode_prefix", "encode"]

Value = int | bytes | list["Value"] | dict[str, "Value"]

MAX_BYTES: Final = 65_536
MAX_DEPTH: Final = 8
MAX_ITEMS: Final = 4_096
MAX_DIGITS: Final = 19
"""Of an integer or a length."""


class Cut(BencodeError):
    """More bytes may make it a value: only a stream can wait for them."""


def decode(data: bytes) -> Value:
    """One value and nothing after it; raises `BencodeError`."""
    value, end = decode_prefix(data)
    if end != len(data):
        raise BencodeError("bytes after the value")
    return value


def decode_prefix(data: bytes) -> tuple[Value, int]:
    """The value at the start of `data`, and where it ends; raises `Cut` or `BencodeError`."""
    reader = _Reader(data[: MAX_BYTES + 1])
    try:
        value = reader.value(0)
    except Cut:
        if len(data) > MAX_BYTES:
            raise BencodeError(f"longer than {MAX_BYTES} bytes") from None
        raise
    if reader.at > MAX_BYTES:
        raise BencodeError(f"longer than {MAX_BYTES} bytes")
    return value, reader.at


def encode(value: Value | str) -> bytes:
    """The bytes of a value, keys in the order given; text is written as UTF-8."""
    return b"".join(_parts(value))


def _parts(value: Value | str) -> Iterable[bytes]:
    match value:
        case int():
            yield b"i%de" % value
        case str():
            yield from _parts(value.encode("utf-8", "surrogateescape"))
        case bytes():
            yield b"%d:" % len(value)
            yield value
        case list():
            yield b"l"
            for item in value:
                yield from _parts(item)
            yield b"e"
        case dict():
            yield b"d"
            for key, item in value.items():
                yield from _parts(key)
                yield from _parts(item)
            yield b"e"


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self._items = 0

    def value(self, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise BencodeError(f"nested deeper than {MAX_DEPTH}")
        self._items += 1
        if self._items > MAX_ITEMS:
            raise BencodeError(f"more than {MAX_ITEMS} items")
        kind = self._peek()
        if kind == b"i":
            self.at += 1
            return self._number(b"e", signed=True)
        if kind == b"l":
            return self._list(depth)
        if kind == b"d":
            return self._dictionary(depth)
        return self._string()

    def _peek(self) -> bytes:
        if self.at >= len(self.data):
            raise Cut("the value is cut")
        return self.data[self.at : self.at + 1]

    def _number(self, ending: bytes, *, signed: bool) -> int:
        stop = self.data.find(ending, self.at, self.at + MAX_DIGITS + 2)
        digits = self.data[self.at : stop] if stop >= 0 else self.data[self.at : self.at + MAX_DIGITS + 2]
        bare = digits[1:] if signed and digits.startswith(b"-") else digits
        if (bare and not bare.isdigit()) or len(bare) > MAX_DIGITS:
            raise BencodeError("not a number")
        if stop < 0:
            raise Cut("the value is cut")
        if not bare:
            raise BencodeError("not a number")
        self.at = stop + 1
        return int(digits)

    def _string(self) -> bytes:
        length = self._number(b":", signed=False)
        if length > MAX_BYTES:
            raise BencodeError(f"longer than {MAX_BYTES} bytes")
        end = self.at + length
        if end > len(self.data):
            raise Cut("the value is cut")
        found = self.data[self.at : end]
        self.at = end
        return found

    def _list(self, depth: int) -> list[Value]:
        self.at += 1
        found: list[Value] = []
        while self._peek() != b"e":
            found.append(self.value(depth + 1))
        self.at += 1
        return found

    def _dictionary(self, depth: int) -> dict[str, Value]:
        self.at += 1
        found: dict[str, Value] = {}
        while self._peek() != b"e":
            key = self._string().decode("utf-8", "surrogateescape")
            found.setdefault(key, self.value(depth + 1))
        self.at += 1
        return found
