"""Find and replace the SDP in a message body, also as a part of multipart bodies (RFC 5621), and there encoded.

All other bytes of the body stay, but for the Content-Length that a part may have. Compressed bodies aren't opened.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace

from gateway.sip.errors import BodyError
from gateway.sip.message import Message
from gateway.sip.transfer_encoding import IDENTITY, TransferEncoding, transfer_encoding

_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_PART_TYPE = re.compile(
    rb"^(?:Content-Type|c)[ \t]*:[ \t]*application/sdp[ \t]*(?:;.*)?$", re.IGNORECASE | re.MULTILINE
)
_PART_MULTIPART = re.compile(
    rb"^(?:Content-Type|c)[ \t]*:[ \t]*multipart/[^\n]*;[ \t]*boundary[ \t]*=[ \t]*"
    rb"(?:\"([^\"\n]{1,70})\"|([^\s;\"]{1,70}))",
    re.IGNORECASE | re.MULTILINE,
)
_PART_TRANSFER = re.compile(rb"^Content-Transfer-Encoding[ \t]*:([^\n]*)", re.IGNORECASE | re.MULTILINE)
_PART_LENGTH = re.compile(
    rb"^(?:Content-Length|l)[ \t]*+:(?:\r?\n[ \t]|[ \t])*+([^ \t\r\n]*+)[ \t]*+\r?([^\n]*+)",
    re.IGNORECASE | re.MULTILINE,
)
"""Its first word, and what else there is; nothing is tried twice, since a line of spaces would take seconds."""
_NUMBER = re.compile(rb"\d{1,7}")
_PART_ENCODED = re.compile(rb"^(?:Content-Encoding|e)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_FOLD = re.compile(rb"\n[ \t]+")
_MAX_PARTS = 32
_MAX_DEPTH = 3
"""Of multipart bodies within each other."""


@dataclass(frozen=True, slots=True)
class PartLength:
    """A part's Content-Length: where its number is in the body, and how long the part really is."""

    start: int
    end: int
    size: int


@dataclass(frozen=True, slots=True)
class SdpPart:
    """Where the SDP is in the body."""

    start: int
    end: int
    data: bytes
    """What it says, its transfer encoding undone."""
    encoding: TransferEncoding = IDENTITY
    lengths: tuple[PartLength, ...] = ()
    """Of the part itself, then of those around it."""


def find_sdp(message: Message) -> SdpPart | None:
    """The first SDP of a message, or None; raises `BodyError` where there may be one that can't be read."""
    content_type = message.get("content-type") or ""
    kind = content_type.partition(";")[0].strip().lower()
    if not message.body or not (kind == "application/sdp" or kind.startswith("multipart/")):
        return None
    if message.get("content-encoding"):
        raise BodyError("a compressed body")
    if kind == "application/sdp":
        return SdpPart(0, len(message.body), message.body)
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise BodyError("parts without a boundary")
    return _find_part(message.body, (boundary[1] or boundary[2]).encode("utf-8", "surrogateescape"))


def replace_sdp(message: Message, part: SdpPart, data: bytes) -> None:
    """Put `data` in place of the SDP that `find_sdp` found in this message."""
    written = part.encoding.encode(data)
    body = message.body[: part.start] + written + message.body[part.end :]
    grown = len(written) - (part.end - part.start)
    for length in part.lengths:  # from the inside out: a number that gets longer makes the parts around it longer
        said = b"%d" % (length.size + grown)
        body = body[: length.start] + said + body[length.end :]
        grown += len(said) - (length.end - length.start)
    message.set_body(body)


def _find_part(body: bytes, boundary: bytes, depth: int = 1) -> SdpPart | None:
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r?\n|\Z)")
    marks = []
    for mark in delimiter.finditer(body):
        marks.append(mark)
        if mark[1] or len(marks) > _MAX_PARTS:
            break
    for opening, closing in itertools.pairwise(marks):
        blank = re.compile(rb"\r?\n\r?\n").search(body, opening.end(), closing.start())
        if blank is None:
            continue
        raw = body[opening.end() : blank.start()]
        head = _FOLD.sub(b" ", raw.replace(b"\r\n", b"\n"))
        found = _read_part(head, body[blank.end() : closing.start()], depth)
        if found is not None:
            content = _moved(found, blank.end())
            ours = _lengths(raw, opening.end(), closing.start() - blank.end())
            return replace(content, lengths=content.lengths + ours)
    if not marks or not marks[-1][1]:
        raise BodyError("parts without an end, or too many")
    return None


def _moved(part: SdpPart, by: int) -> SdpPart:
    """The same within what it is a part of."""
    lengths = (replace(length, start=length.start + by, end=length.end + by) for length in part.lengths)
    return replace(part, start=part.start + by, end=part.end + by, lengths=tuple(lengths))


def _lengths(raw: bytes, at: int, size: int) -> tuple[PartLength, ...]:
    """Of the part whose head stands there in the body; raises `BodyError` where it isn't one number."""
    found = [*_PART_LENGTH.finditer(raw)]
    if len(found) > 1 or any(field[2] or not _NUMBER.fullmatch(field[1]) for field in found):
        raise BodyError("not one length")
    return tuple(PartLength(at + field.start(1), at + field.end(1), size) for field in found)


def _read_part(head: bytes, content: bytes, depth: int) -> SdpPart | None:
    """The SDP in one part, placed within it; raises `BodyError`."""
    within, described = _PART_MULTIPART.search(head), _PART_TYPE.search(head)
    if within is None and described is None:
        return None
    transfers = _PART_TRANSFER.findall(head)
    if _PART_ENCODED.search(head) or len(transfers) > 1:
        raise BodyError("a compressed part, or one of two encodings")
    encoding = transfer_encoding(transfers[0]) if transfers else IDENTITY
    if within is not None:
        if depth == _MAX_DEPTH or encoding is not IDENTITY:  # RFC 2045 §6.4 forbids the latter
            raise BodyError("parts too deep, or encoded as one")
        return _find_part(content, within[1] or within[2], depth + 1)
    return SdpPart(0, len(content), encoding.decode(content), encoding)
