"""What descriptions say of recording (RFC 7866): `a=record` towards who understands it, `a=recordpref` from a party.

A proxy sends no description of its own: it can only mark one that passes. Where another recorder has said more than we
would, that stays.
"""

from __future__ import annotations

from typing import Final, Literal

from gateway.sdp.rewrite import line_end
from gateway.sdp.session import Media, Session, parse_session

__all__ = ["RECORD_AWARE", "RecordState", "declines", "with_record"]

RecordState = Literal["off", "paused", "on"]
RECORD_AWARE: Final = "record-aware"
"""Option tag of RFC 7866 §10.2, in Supported."""
_MORE: Final[tuple[RecordState, ...]] = ("off", "paused", "on")


def declines(body: bytes) -> bool:
    """Whether the writer asks not to be recorded, for the session or any m-line."""
    return b"a=recordpref:off" in body.splitlines()


def with_record(body: bytes, state: RecordState) -> bytes:
    """The description with the state at each audio m-line that isn't refused. Raises SdpError."""
    session = parse_session(body)
    parts: list[bytes] = [line.raw for line in session.lines[: session.session_end]]
    for media in session.media:
        parts += _marked(session, media, state)
    end = line_end(session)
    ended = [part if part.endswith((b"\n", b"\r")) else part + end for part in parts]
    return b"".join(ended) + session.tail


def _marked(session: Session, media: Media, state: RecordState) -> list[bytes]:
    own = {index for index, _ in session.attribute_lines(media, "record")}
    lines = [(index, session.lines[index].raw) for index in range(media.start, media.end)]
    said = session.attributes(media, "record") or session.attributes(None, "record")
    more = max((_MORE.index(one) for one in _MORE if one in said), default=-1)
    if not media.is_live_audio or more >= _MORE.index(state):
        return [raw for _, raw in lines]
    mark = b"a=record:" + state.encode() + line_end(session)
    return [*(raw for index, raw in lines if index not in own), mark]
