"""A description as rtpengine would hand it on, beyond its addresses: people and scripts compare the two.

o= and the session's c= where the request asks to replace them, rtpmap for static payload types (RFC 3551 §6), the
direction and a=rtcp (RFC 3605) spelled out for every live audio m-line. Nothing is taken away.
"""

from collections.abc import Iterator

from gateway.ng.errors import NgError
from gateway.ng.message import NgRequest
from gateway.sdp.rewrite import with_address
from gateway.sdp.session import Direction, Media, Session, is_null_address, parse_session

__all__ = ["as_rtpengine", "refuse_unsupported"]


def refuse_unsupported(request: NgRequest) -> None:
    """Refuse what this relay can't do, so that the proxy fails over; raises `NgError`, `SdpError`.

    A profile other than the description's own would need encryption or decryption, forced ICE an agent of ours.
    """
    if request.ice == "force":
        raise NgError("ICE is not supported")
    asked = (request.transport or "").upper()
    session = parse_session(request.sdp)
    spoken = {media.proto.upper() for media in session.media if media.kind == "audio" and media.port != 0}
    if asked and any(_family(proto) != _family(asked) for proto in spoken):
        raise NgError("Transport protocol can't be changed")


def as_rtpengine(body: bytes, replace: frozenset[str]) -> bytes:
    """The anchored description with rtpengine's additions; raises `SdpError`."""
    session = parse_session(body)
    host = _our_host(session)
    parts = [*_session_lines(session, host, replace)]
    for media in session.media:
        parts += [session.lines[index].raw for index in range(media.start, media.end)]
        if media.anchorable:
            parts += _additions(session, media)
    end = _line_end(session)
    return b"".join(part if part.endswith((b"\n", b"\r")) else part + end for part in parts)


def _family(proto: str) -> str:
    """Feedback profiles differ in RTCP only, which is relayed as it is (RFC 4585)."""
    return proto.removesuffix("F")


def _our_host(session: Session) -> str | None:
    live = next((media for media in session.media if media.anchorable), None)
    connection = session.connection(live) if live is not None else None
    return None if connection is None or is_null_address(connection.address) else connection.address


def _session_lines(session: Session, host: str | None, replace: frozenset[str]) -> Iterator[bytes]:
    kinds = {"o": "origin", "c": "session-connection"}
    for line in session.lines[: session.session_end]:
        wanted = host is not None and kinds.get(line.kind) in replace
        held = line.kind == "c" and any(is_null_address(word) for word in line.value.split())
        yield with_address(line.raw, host) if wanted and host is not None and not held else line.raw


def _additions(session: Session, media: Media) -> Iterator[bytes]:
    end = _line_end(session)
    mapped = {value.split(" ", 1)[0] for value in session.attributes(media, "rtpmap")}
    for codec in session.codecs(media):
        if str(codec.payload_type) not in mapped:
            yield f"a=rtpmap:{codec.payload_type} {codec.name}/{codec.clock_rate}".encode() + end
    if not any(session.attributes(level, one.value) for level in (media, None) for one in Direction):
        yield b"a=sendrecv" + end
    if session.rtcp(media) is None and not session.rtcp_mux(media):
        yield f"a=rtcp:{media.port + 1}".encode() + end


def _line_end(session: Session) -> bytes:
    return b"\r\n" if session.lines[0].raw.endswith(b"\r\n") else b"\n"
