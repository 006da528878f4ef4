"""A description as rtpengine would hand it on, beyond its addresses: people and scripts compare the two.

o= and the session's c= where the request asks to replace them, rtpmap for static payload types (RFC 3551 §6), the
direction spelled out for every live m-line that is relayed, a=rtcp (RFC 3605) for those of RTP. Only what the request
names is taken away.
"""

from collections.abc import Iterator

from gateway.ng.codecs import wished_codecs
from gateway.ng.errors import NgError
from gateway.ng.message import NgRequest
from gateway.sdp.profile import crypto_lines, is_secure, is_translatable
from gateway.sdp.rewrite import with_address
from gateway.sdp.session import Direction, Media, Session, is_null_address, parse_session

__all__ = ["as_rtpengine", "refuse_other_profile", "refuse_unsupported", "understood"]

NO_MUX = frozenset({"demux", "reject"})
NO_RTCP = frozenset({"no-rtcp-attribute", "no-rtcp-attr"})


def refuse_unsupported(request: NgRequest) -> None:
    """Refuse what this relay can't do, so that the proxy fails over; raises `NgError`, `SdpError`.

    DTLS, where the description doesn't have it, would need a handshake of ours, ICE (forced, or with DTLS, where the
    other end wouldn't do without) an agent.
    """
    session = parse_session(request.sdp)
    relayed = [media for media in session.media if media.is_relayable]
    if (request.ice or "").startswith("force") or any(_needs_ice(session, media) for media in relayed):
        raise NgError("ICE is not supported")
    for media in [media for media in session.media if media.kind == "audio" and media.port != 0]:
        if not _is_asked(request, media):
            if not (is_translatable(request.transport or "") and is_translatable(media.proto)):
                raise NgError("Transport protocol can't be changed")
            if is_secure(media.proto) and all(crypto.fault for crypto in crypto_lines(session, media)):
                raise NgError("No SRTP key that can be used")


def refuse_other_profile(request: NgRequest, body: bytes) -> None:
    """Refuse an answer that was to be changed into a profile, and goes back in another: the offer's. As above."""
    for asked, told in zip(parse_session(request.sdp).media, parse_session(body).media, strict=False):
        if told.is_live_audio and not _is_asked(request, asked) and not _is_asked(request, told):
            raise NgError("Transport protocol can't be changed")


def understood(request: NgRequest) -> bytes:
    """The description as the request says that it is meant; the body itself where it says nothing. As above."""
    body = wished_codecs(request.sdp, request.codecs) if request.command == "offer" else request.sdp
    if "sip-source-address" in request.flags and request.received_from is not None:
        body = _from_source(body, request.received_from)
    return body


def as_rtpengine(body: bytes, request: NgRequest) -> bytes:
    """The anchored description with rtpengine's additions; raises `SdpError`."""
    session = parse_session(body)
    host = _our_host(session)
    parts = [*_session_lines(session, host, request.replace)]
    for media in session.media:
        lines = session.lines[media.start : media.end]
        if not media.is_relayable:
            parts += [line.raw for line in lines]
            continue
        unwanted = _unwanted(request)
        parts += [line.raw for line in lines if line.kind != "a" or line.value.partition(":")[0] not in unwanted]
        parts += _additions(session, media, unwanted)
    end = _line_end(session)
    return b"".join(part if part.endswith((b"\n", b"\r")) else part + end for part in parts)


def _is_asked(request: NgRequest, media: Media) -> bool:
    return request.transport is None or _family(media.proto.upper()) == _family(request.transport.upper())


def _family(proto: str) -> str:
    """Feedback profiles differ in RTCP only, which is relayed as it is (RFC 4585)."""
    return proto.removesuffix("F")


def _needs_ice(session: Session, media: Media) -> bool:
    """Whether it is an offer of a browser's: DTLS over ICE, which takes no media from elsewhere (RFC 8842)."""
    ice = any(session.attributes(level, "ice-ufrag") for level in (media, None))
    return ice and session.has_fingerprint(media)


def _from_source(body: bytes, address: str) -> bytes:
    session = parse_session(body)
    lines = (
        with_address(line.raw, address) if line.kind == "c" and not _held(line.value) else line.raw
        for line in session.lines
    )
    return b"".join(lines) + session.tail


def _held(connection: str) -> bool:
    return any(is_null_address(word) for word in connection.split())


def _unwanted(request: NgRequest) -> frozenset[str]:
    """Names of attributes that the request doesn't want to see."""
    mux = frozenset({"rtcp-mux", "rtcp-mux-only"}) if request.rtcp_mux & NO_MUX else frozenset()
    return mux | (frozenset({"rtcp"}) if request.flags & NO_RTCP else frozenset())


def _our_host(session: Session) -> str | None:
    relayed = sorted((media for media in session.media if media.is_relayable), key=lambda media: not media.is_audio)
    live = next(iter(relayed), None)
    connection = session.connection(live) if live is not None else None
    return None if connection is None or is_null_address(connection.address) else connection.address


def _session_lines(session: Session, host: str | None, replace: frozenset[str]) -> Iterator[bytes]:
    kinds = {"o": "origin", "c": "session-connection"}
    for line in session.lines[: session.session_end]:
        wanted = host is not None and kinds.get(line.kind) in replace
        held = line.kind == "c" and _held(line.value)
        yield with_address(line.raw, host) if wanted and host is not None and not held else line.raw


def _additions(session: Session, media: Media, unwanted: frozenset[str]) -> Iterator[bytes]:
    end = _line_end(session)
    mapped = {value.split(" ", 1)[0] for value in session.attributes(media, "rtpmap")}
    for codec in session.codecs(media):
        if str(codec.payload_type) not in mapped:
            yield f"a=rtpmap:{codec.payload_type} {codec.name}/{codec.clock_rate}".encode() + end
    if not any(session.attributes(level, one.value) for level in (media, None) for one in Direction):
        yield b"a=sendrecv" + end
    if not media.is_rtp:
        return
    muxed = session.rtcp_mux(media) and "rtcp-mux" not in unwanted
    if session.rtcp(media) is None and not muxed and "rtcp" not in unwanted:
        yield f"a=rtcp:{media.port + 1}".encode() + end


def _line_end(session: Session) -> bytes:
    return b"\r\n" if session.lines[0].raw.endswith(b"\r\n") else b"\n"
