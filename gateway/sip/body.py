"""Find and replace the SDP in a message body, also as one part of multipart/mixed (RFC 2046 §5.1, RFC 5621).

All other bytes of the body stay. Encoded bodies aren't opened: such a message has no SDP for us.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from gateway.sip.message import Message

_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_PART_TYPE = re.compile(
    rb"^(?:Content-Type|c)[ \t]*:[ \t]*application/sdp[ \t]*(?:;.*)?$", re.IGNORECASE | re.MULTILINE
)
_PART_ENCODED = re.compile(rb"^(?:Content-Encoding|e)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_FOLD = re.compile(rb"\n[ \t]+")
_MAX_PARTS = 32


@dataclass(frozen=True, slots=True)
class SdpPart:
    """Where the SDP is in the body."""

    start: int
    end: int
    data: bytes


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
    message.set_body(message.body[: part.start] + data + message.body[part.end :])


def _find_part(body: bytes, boundary: bytes) -> SdpPart | None:
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
        if _PART_TYPE.search(head) and not _PART_ENCODED.search(head):
            return SdpPart(blank.end(), closing.start(), body[blank.end() : closing.start()])
    return None
