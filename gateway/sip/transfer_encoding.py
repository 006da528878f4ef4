"""Content-Transfer-Encodings of a MIME part (RFC 2045 §6): what a part says, and how it is written down again.

What has one meaning only is read, also where it was written carelessly; anything else raises `BodyError`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.sip.errors import BodyError

__all__ = ["IDENTITY", "TransferEncoding", "transfer_encoding"]

MAX_LINE: Final = 998
"""Of quoted-printable that is read (RFC 5322 §2.1.1): what has longer lines was never written by an encoder."""
_LINE: Final = 76
"""Of what is written (RFC 2045 §6.7, §6.8)."""
_NAME: Final = re.compile(rb'(")?([A-Za-z0-9-]{0,40})(?(1)")')
"""Quotes aren't in the grammar, but some write them; they mean nothing."""
_LINE_END: Final = re.compile(rb"(\r?\n)")
_QUOTED: Final = re.compile(rb"(?:[\t !-<>-~]|=[0-9A-Fa-f]{2})*")
_OCTET: Final = re.compile(rb"=([0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class TransferEncoding:
    """One way of writing octets down."""

    decode: Callable[[bytes], bytes]
    """Raises `BodyError`."""
    encode: Callable[[bytes], bytes]


def transfer_encoding(value: bytes) -> TransferEncoding:
    """By the value of a part's Content-Transfer-Encoding; raises `BodyError` for one that isn't known."""
    name = _NAME.fullmatch(value.strip())
    found = _KNOWN.get(name[2].lower()) if name is not None else None
    if found is None:
        raise BodyError("a transfer encoding that isn't known")
    return found


def _same(octets: bytes) -> bytes:
    return octets


def _from_base64(text: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except ValueError:
        raise BodyError("not base64") from None


def _to_base64(octets: bytes) -> bytes:
    step = _LINE // 4 * 3
    return b"\r\n".join(base64.b64encode(octets[at : at + step]) for at in range(0, len(octets), step))


def _from_quoted_printable(text: bytes) -> bytes:
    *whole, last = _LINE_END.split(text)
    found = []
    for line, end in zip(whole[::2], whole[1::2], strict=True):
        line = line.rstrip(b" \t")  # padding of a transport: rule 3
        soft = line.endswith(b"=")
        found += [_unquoted(line.removesuffix(b"=")), b"" if soft else end]
    return b"".join([*found, _unquoted(last.rstrip(b" \t"))])


def _unquoted(line: bytes) -> bytes:
    if len(line) > MAX_LINE or not _QUOTED.fullmatch(line):
        raise BodyError("not quoted-printable")
    return _OCTET.sub(lambda octet: bytes.fromhex(octet[1].decode()), line)


def _to_quoted_printable(octets: bytes) -> bytes:
    return b"\r\n".join(b"=\r\n".join(_quoted_lines(line)) for line in octets.split(b"\r\n"))


def _quoted_lines(line: bytes) -> list[bytes]:
    """One line in pieces that fit, each but the last to be followed by a soft line break."""
    found, piece = [], b""
    for place, octet in enumerate(line, 1):
        last = place == len(line)
        plain = (0x20 < octet < 0x7F and octet != 0x3D) or (octet in b" \t" and not last)
        written = bytes([octet]) if plain else b"=%02X" % octet
        if len(piece) + len(written) > _LINE - (not last):
            found.append(piece)
            piece = b""
        # a piece that begins like a boundary could end the part
        piece += b"=2D" if octet == 0x2D and not piece else written
    return [*found, piece]


IDENTITY: Final = TransferEncoding(_same, _same)
_KNOWN: Final = {
    **dict.fromkeys((b"", b"7bit", b"8bit", b"binary"), IDENTITY),
    b"base64": TransferEncoding(_from_base64, _to_base64),
    b"quoted-printable": TransferEncoding(_from_quoted_printable, _to_quoted_printable),
}
