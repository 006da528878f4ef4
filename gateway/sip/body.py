"""Find and replace the SDP in a message body, also as a part of multipart bodies (RFC 5621), and there in base64.

All other bytes of the body stay. Compressed bodies aren't opened: such a message has no SDP for us.
"""

from __future__ import annotations

import base64
import itertools
import re
from dataclasses import dataclass, replace

from gateway.sip.message import Message

_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_PART_TYPE = re.compile(
    rb"^(?:Content-Type|c)[ \t]*:[ \t]*application/sdp[ \t]*(?:;.*)?$", re.IGNORECASE | re.MULTILINE
)
_PART_MULTIPART = re.compile(
    rb"^(?:Content-Type|c)[ \t]*:[ \t]*multipart/[^\n]*;[ \t]*boundary[ \t]*=[ \t]*"
    rb"(?:\"([^\"\n]{1,70})\"|([^\s;\"]{1,70}))",
    re.IGNORECASE | re.MULTILINE,
)
_PART_TRANSFER = re.compile(rb"^Content-Transfer-Encoding[ \t]*:[ \t]*([^\s;]*)", re.IGNORECASE | re.MULTILINE)
_UNCHANGED = frozenset({b"", b"7bit", b"8bit", b"binary"})
"""Transfer encodings that are none."""
_PART_ENCODED = re.compile(rb"^(?:Content-Encoding|e)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_FOLD = re.compile(rb"\n[ \t]+")
_MAX_PARTS = 32
_MAX_DEPTH = 3
"""Of multipart bodies within each other."""
_LINE = 57
"""Bytes in a line of base64 (RFC 2045 §6.8)."""


@dataclass(frozen=True, slots=True)
class SdpPart:
    """Where the SDP is in the body."""

    start: int
    end: int
    data: bytes
    base64: bool = False
    """It is so in the body; `data` is what it says."""


def find_sdp(message: Message) -> SdpPart | None:
    """The first SDP of a message; None when there is none that could be read."""
    content_type = message.get("content-type") or ""
    kind = content_type.partition(";")[0].strip().lower()
    if not message.body or message.get("content-encoding"):
        return None
    if kind == "application/sdp":
        return SdpPart(0, len(message.body), message.body)
    boundary = _BOUNDARY.search(content_type) if kind.startswith("multipart/") else None
    if boundary is None:
        return None
    return _find_part(message.body, (boundary[1] or boundary[2]).encode("utf-8", "surrogateescape"))


def replace_sdp(message: Message, part: SdpPart, data: bytes) -> None:
    """Put `data` in place of the SDP that `find_sdp` found in this message."""
    if part.base64:
        lines = (base64.b64encode(data[at : at + _LINE]) for at in range(0, len(data), _LINE))
        data = b"\r\n".join(lines)
    message.set_body(message.body[: part.start] + data + message.body[part.end :])


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
        head = _FOLD.sub(b" ", body[opening.end() : blank.start()].replace(b"\r\n", b"\n"))
        found = None if _PART_ENCODED.search(head) else _read_part(head, body[blank.end() : closing.start()], depth)
        if found is not None:
            return replace(found, start=found.start + blank.end(), end=found.end + blank.end())
    return None


def _read_part(head: bytes, content: bytes, depth: int) -> SdpPart | None:
    """The SDP in one part, placed within it."""
    within = _PART_MULTIPART.search(head)
    if within is not None:
        return _find_part(content, within[1] or within[2], depth + 1) if depth < _MAX_DEPTH else None
    if not _PART_TYPE.search(head):
        return None
    transfer = _PART_TRANSFER.search(head)
    if transfer is None or transfer[1].lower() in _UNCHANGED:
        return SdpPart(0, len(content), content)
    if transfer[1].lower() != b"base64":
        return None
    try:
        return SdpPart(0, len(content), base64.b64decode(b"".join(content.split()), validate=True), base64=True)
    except ValueError:
        return None
