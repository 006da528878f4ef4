"""The codecs of a description, cut down as a proxy's script wishes (`codec-strip-…`). Nothing is ever transcoded.

A codec that is to be there although nobody offered it would need that, and is refused.
"""

import re
from collections.abc import Iterator
from typing import Final

from gateway.ng.errors import NgError
from gateway.ng.message import CodecWish
from gateway.sdp.session import Media, Session, parse_session

__all__ = ["wished_codecs"]

_FORMATS: Final = re.compile(rb"(m=\S+[ \t]+\S+[ \t]+\S+)((?:[ \t]+\S+)+)")
_OF_FORMAT: Final = frozenset({"rtpmap", "fmtp", "rtcp-fb"})
ALL: Final = frozenset({"ALL", "FULL"})


def wished_codecs(body: bytes, wish: CodecWish) -> bytes:
    """The description without what is to be stripped; raises `NgError`, `SdpError`."""
    if wish == CodecWish():
        return body
    session = parse_session(body)
    gone = {media.index: _gone(session, media, wish) for media in session.media if media.is_live_audio}
    if not any(gone.values()):
        return body
    parts = [line.raw for line in session.lines[: session.session_end]]
    for media in session.media:
        parts += _lines(session, media, gone.get(media.index, frozenset()))
    return b"".join(parts) + session.tail


def _gone(session: Session, media: Media, wish: CodecWish) -> frozenset[str]:
    """Payload types to be taken away."""
    names = {str(codec.payload_type): codec.name for codec in session.codecs(media)}
    if not wish.transcode <= {*names.values()}:
        raise NgError("Transcoding is not supported")
    kept = wish.keep | wish.transcode
    everything = bool(wish.strip & ALL)
    stripped = {name for name in names.values() if (everything or name in wish.strip) and name not in kept}
    gone = frozenset(number for number, name in names.items() if name in stripped)
    if gone >= {*media.formats}:
        raise NgError("No codec is left of those that were offered")
    return gone


def _lines(session: Session, media: Media, gone: frozenset[str]) -> Iterator[bytes]:
    yield _FORMATS.sub(lambda match: match[1] + _left(match[2], gone), session.lines[media.start].raw, count=1)
    for line in session.lines[media.start + 1 : media.end]:
        name, _, value = line.value.partition(":")
        if line.kind == "a" and name in _OF_FORMAT and value.strip().split(" ", 1)[0] in gone:
            continue
        yield line.raw


def _left(formats: bytes, gone: frozenset[str]) -> bytes:
    return b"".join(b" " + one for one in formats.split() if one.decode("utf-8", "replace") not in gone)
