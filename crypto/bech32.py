"""Bech32 (BIP 173) as age uses it: whole bytes, a checksum of constant 1, one case throughout.

It doesn't know segwit's witness versions, nor Bech32m.
"""

from collections.abc import Iterable
from typing import Final

from crypto.errors import Bech32Error

MAX_LENGTH: Final = 90  # BIP 173; the checksum's guarantees end there
_CHARSET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUE: Final = {char: value for value, char in enumerate(_CHARSET)}
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_CHARS: Final = 6


def encode(hrp: str, data: bytes) -> str:
    """Lower-case Bech32 of `data` under the lower-case prefix `hrp`. Raises Bech32Error when it gets over 90."""
    _check_prefix(hrp)
    values = _regroup(data, 8, 5, pad=True)
    values += _checksum(hrp, values)
    text = hrp + "1" + "".join(_CHARSET[value] for value in values)
    if len(text) > MAX_LENGTH:
        raise Bech32Error("bech32 string is too long")
    return text


def decode(text: str) -> tuple[str, bytes]:
    """Prefix (lower case) and bytes. Raises Bech32Error for mixed case, wrong checksum or non-zero padding."""
    if len(text) > MAX_LENGTH:
        raise Bech32Error("bech32 string is too long")
    if text not in (text.lower(), text.upper()) or not text.isascii():
        raise Bech32Error("bech32 string mixes cases")
    hrp, _, symbols = text.lower().rpartition("1")
    _check_prefix(hrp)
    values = [_VALUE.get(char, -1) for char in symbols]
    if len(values) < _CHECKSUM_CHARS or -1 in values:
        raise Bech32Error("bech32 string has a wrong character or is cut")
    if _polymod([*_expand(hrp), *values]) != 1:
        raise Bech32Error("bech32 checksum doesn't match")
    return hrp, bytes(_regroup(values[:-_CHECKSUM_CHARS], 5, 8, pad=False))


def _check_prefix(hrp: str) -> None:
    if not hrp or hrp != hrp.lower() or any(not 33 <= ord(char) <= 126 for char in hrp):
        raise Bech32Error("bech32 prefix is malformed")


def _regroup(values: Iterable[int], from_bits: int, to_bits: int, *, pad: bool) -> list[int]:
    """Regroup a bit string, most significant bit first; without `pad` a rest must be zero and under one group."""
    accumulator = bits = 0
    out: list[int] = []
    for value in values:
        accumulator = (accumulator << from_bits | value) & 0xFFF
        bits += from_bits
        while bits >= to_bits:
            bits -= to_bits
            out.append(accumulator >> bits & (1 << to_bits) - 1)
    rest = accumulator & (1 << bits) - 1
    if pad and bits:
        out.append(rest << to_bits - bits)
    elif not pad and (bits >= from_bits or rest):
        raise Bech32Error("bech32 padding is wrong")
    return out


def _checksum(hrp: str, values: list[int]) -> list[int]:
    residue = _polymod([*_expand(hrp), *values, *([0] * _CHECKSUM_CHARS)]) ^ 1
    return [residue >> 5 * (_CHECKSUM_CHARS - 1 - i) & 31 for i in range(_CHECKSUM_CHARS)]


def _expand(hrp: str) -> list[int]:
    codes = [ord(char) for char in hrp]
    return [code >> 5 for code in codes] + [0] + [code & 31 for code in codes]


def _polymod(values: Iterable[int]) -> int:
    residue = 1
    for value in values:
        top = residue >> 25
        residue = (residue & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate(_GENERATOR):
            residue ^= generator if top >> i & 1 else 0
    return residue
