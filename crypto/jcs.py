"""JSON Canonicalization Scheme (RFC 8785) for JSON whose only numbers are integers of at most 2^53 - 1.

Floats, NaN, duplicate keys, lone surrogates and deep nesting are refused both ways.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from crypto.errors import JcsError

# A recursive alias can't be a `type` statement before Python 3.12.
Json = None | bool | int | str | list["Json"] | dict[str, "Json"]

DEFAULT_LIMIT: Final = 1 << 20
MAX_DEPTH: Final = 32
MAX_INTEGER: Final = (1 << 53) - 1


def canonical(obj: object) -> bytes:
    """The one serialisation of `obj` (None, bool, int, str, list, tuple, mapping with string keys). Raises JcsError."""
    ordered = _ordered(obj, MAX_DEPTH)
    try:
        return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise JcsError("string isn't valid unicode") from None


def parse(data: bytes, *, limit: int = DEFAULT_LIMIT) -> Json:
    """Read canonical JSON of at most `limit` bytes: what doesn't print back to the same bytes is a JcsError."""
    obj, printed = _read(data, limit)
    if printed != data:
        raise JcsError("json isn't in canonical form")
    return obj


def parse_json(data: bytes, *, limit: int = DEFAULT_LIMIT) -> Json:
    """Read strict JSON of at most `limit` bytes in any layout: same refusals as `parse`, save for the form."""
    return _read(data, limit)[0]


def _read(data: bytes, limit: int) -> tuple[Json, bytes]:
    if len(data) > limit:
        raise JcsError(f"json is longer than {limit} bytes")
    try:
        obj: Json = _DECODER.decode(data.decode())
    except UnicodeDecodeError:
        raise JcsError("json isn't utf-8") from None
    except RecursionError:
        raise JcsError("json is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise JcsError(f"json is malformed at character {error.pos}") from None
    return obj, canonical(obj)  # printing also checks depth and unicode


def _ordered(obj: object, depth: int) -> object:
    """A copy whose mappings are in canonical order, so that the C encoder can print it; checks every value."""
    if depth < 0:
        raise JcsError("json is nested too deeply")
    if obj is None or isinstance(obj, bool | str):
        return obj
    if isinstance(obj, int):
        return _checked_integer(obj)
    if isinstance(obj, list | tuple):
        return [_ordered(item, depth - 1) for item in obj]
    if isinstance(obj, Mapping):
        return {key: _ordered(obj[key], depth - 1) for key in sorted(obj, key=_utf16)}
    raise JcsError(f"`{type(obj).__name__}` has no place in canonical json")


def _utf16(key: object) -> bytes:
    # RFC 8785 §3.2.3 orders by UTF-16 code unit, which differs from code point order above U+FFFF.
    if not isinstance(key, str):
        raise JcsError("member name isn't a string")
    return key.encode("utf-16-be", "surrogatepass")


def _checked_integer(value: int) -> int:
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise JcsError("integer is outside what every json reader keeps exact")
    return value


def _integer(text: str) -> int:
    if len(text) > 17:  # sign and 16 digits; int() of a very long string is slow
        raise JcsError("integer is outside what every json reader keeps exact")
    return _checked_integer(int(text))


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JcsError("duplicate member name")
    return members


def _no_float(_: str) -> NoReturn:
    raise JcsError("number isn't an integer")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_no_float, parse_constant=_no_float
)
