"""Anchor m-lines at the gateway: change addresses and ports of a description, keep every other line (RFC 8866, 3605).

o= stays, for a proxy's change of address is no new version. ICE lines of anchored m-lines go, since candidates would
lead around the gateway (RFC 8839 §4.2.5). m-lines that aren't anchored keep their own address and run directly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.sdp.session import Connection, Media, Session, is_null_address

_ICE_MEDIA = frozenset({
    "candidate", "remote-candidates", "end-of-candidates", "ice-ufrag", "ice-pwd", "ice-options", "ice-mismatch",
    "ice-pacing",
})  # fmt: skip
_ICE_SESSION = frozenset({"ice-ufrag", "ice-pwd", "ice-options", "ice-lite", "ice-pacing"})
_ADDRESS = re.compile(rb"(IN[ \t]+)IP[46]([ \t]+)[^\s]+", re.IGNORECASE)
_PORT = re.compile(rb"(m=\S+[ \t]+)[0-9]+(?:/[0-9]+)?")
_RTCP_PORT = re.compile(rb"(:[ \t]*)[0-9]+")


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where the gateway receives for one m-line."""

    address: str
    """IP literal; IPv6 without brackets."""
    rtp_port: int
    rtcp_port: int | None = None
    """None: the same as `rtp_port` (rtcp-mux)."""


def anchor(session: Session, anchors: Mapping[int, Anchor]) -> bytes:
    """The description with the m-lines of `anchors` (by index) led through the gateway; refused ones stay refused."""
    live = {m.index: anchors[m.index] for m in session.media if m.index in anchors and m.port != 0}
    if not live:
        return session.to_bytes()
    common = next(iter(live.values())).address
    shared = session.session_connection()
    replaces = shared is not None and not is_null_address(shared.address) and _inherits(session, live)
    whole = all(m.index in live for m in session.media if m.port != 0)
    parts = list(_session_lines(session, shared if replaces else None, common, whole))
    for media in session.media:
        inherited = common if replaces else None
        if media.index in live:
            parts += _anchored_lines(session, media, live[media.index], inherited)
        else:
            parts += _direct_lines(session, media, shared if replaces else None)
    end = line_end(session)
    ended = [part if part.endswith((b"\n", b"\r")) else part + end for part in parts[:-1]]
    return b"".join([*ended, parts[-1]]) + session.tail


def _inherits(session: Session, live: Mapping[int, Anchor]) -> bool:
    return any(session.own_connection(session.media[index]) is None for index in live)


def _session_lines(session: Session, shared: Connection | None, address: str, whole: bool) -> Iterator[bytes]:
    for index in range(session.session_end):
        line = session.lines[index]
        if shared is not None and index == shared.line:
            yield with_address(line.raw, address)
        elif not (whole and line.kind == "a" and _attribute(line.value) in _ICE_SESSION):
            yield line.raw


def _anchored_lines(session: Session, media: Media, place: Anchor, inherited: str | None) -> Iterator[bytes]:
    own = {connection.line: connection for connection in session.connections(media)}
    rtcp = session.rtcp(media)
    needs_connection = not own and place.address != inherited and not _held_by_session(session)
    said_rtcp = False
    for index in range(media.start, media.end):
        line = session.lines[index]
        if index == media.start:
            yield _PORT.sub(lambda m: m[1] + str(place.rtp_port).encode(), line.raw, count=1)
        elif index in own:
            yield line.raw if is_null_address(own[index].address) else with_address(line.raw, place.address)
        elif rtcp is not None and index == rtcp.line:
            said_rtcp = True
            yield _with_rtcp(line.raw, place)
        elif not (line.kind == "a" and _attribute(line.value) in _ICE_MEDIA):
            yield line.raw
        if needs_connection and _connection_fits_after(session, media, index):
            needs_connection = False
            yield _connection_line(session, place.address)
    if not said_rtcp and place.rtcp_port not in (None, place.rtp_port, place.rtp_port + 1):
        yield b"a=rtcp:" + str(place.rtcp_port).encode() + line_end(session)


def _direct_lines(session: Session, media: Media, replaced: Connection | None) -> Iterator[bytes]:
    """Lines of an m-line that isn't anchored; it gets the session's old c= line where it relied on it."""
    needs_connection = replaced is not None and media.port != 0 and session.own_connection(media) is None
    for index in range(media.start, media.end):
        yield session.lines[index].raw
        if replaced is not None and needs_connection and _connection_fits_after(session, media, index):
            needs_connection = False
            yield session.lines[replaced.line].raw


def _connection_fits_after(session: Session, media: Media, index: int) -> bool:
    """c= comes after m= and an i= line, if there is one (RFC 8866 §9)."""
    return index + 1 == media.end or session.lines[index + 1].kind != "i"


def _held_by_session(session: Session) -> bool:
    shared = session.session_connection()
    return shared is not None and is_null_address(shared.address)


def with_address(raw: bytes, address: str) -> bytes:
    """An o= or c= line with another address."""
    family = b"IP6" if ":" in address else b"IP4"
    return _ADDRESS.sub(lambda m: m[1] + family + m[2] + address.encode("ascii"), raw, count=1)


def _with_rtcp(raw: bytes, place: Anchor) -> bytes:
    port = place.rtp_port if place.rtcp_port is None else place.rtcp_port
    return with_address(_RTCP_PORT.sub(lambda m: m[1] + str(port).encode(), raw, count=1), place.address)


def _connection_line(session: Session, address: str) -> bytes:
    family = b"IP6" if ":" in address else b"IP4"
    return b"c=IN " + family + b" " + address.encode("ascii") + line_end(session)


def line_end(session: Session) -> bytes:
    """How the writer ends lines."""
    return b"\r\n" if session.lines[0].raw.endswith(b"\r\n") or len(session.lines) == 1 else session.lines[0].raw[-1:]


def _attribute(value: str) -> str:
    return value.partition(":")[0].strip().lower()
