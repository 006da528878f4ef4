"""Line-preserving SDP (RFC 8866): the lines as received, and readers for what the gateway needs of them.

Nothing is normalised: line ends, order, unknown and repeated lines stay, so unread parts of a description survive.
Offer/answer meaning (RFC 3264) beyond one description is `call/negotiation.py`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from gateway.sdp.errors import SdpError

MAX_SDP = 65_536
"""Bytes of a description."""
MAX_LINES = 2_000
"""Lines of a description; a browser's has a few hundred."""
MAX_MEDIA = 32
"""m-lines of a description: each audio one costs ports."""

_LINE = re.compile(rb"([a-z])=([^\r\n\0]*)(\r\n|\n|\r|\Z)")
_M_VALUE = re.compile(r"(\S+)[ \t]+([0-9]{1,5})(?:/([0-9]{1,5}))?[ \t]+(\S+)((?:[ \t]+\S+)*)[ \t]*\Z", re.ASCII)
_C_VALUE = re.compile(r"IN[ \t]+(IP4|IP6)[ \t]+([^\s/]+)(?:/[0-9]{1,5}){0,2}[ \t]*\Z", re.ASCII | re.IGNORECASE)
_RTPMAP = re.compile(r"([0-9]{1,3})\s+([^\s/]+)/([0-9]{1,9})(?:/(\S+))?\s*\Z", re.ASCII)
_RTCP = re.compile(r"([0-9]{1,5})(?:[ \t]+IN[ \t]+IP[46][ \t]+(\S+))?[ \t]*\Z", re.ASCII | re.IGNORECASE)
_STATIC = {
    0: ("PCMU", 8000), 3: ("GSM", 8000), 4: ("G723", 8000), 8: ("PCMA", 8000), 9: ("G722", 8000),
    13: ("CN", 8000), 15: ("G728", 8000), 18: ("G729", 8000),
}  # fmt: skip
"""Static payload types of RFC 3551 §6 that telephones use without rtpmap."""


class Direction(StrEnum):
    """RFC 8866 §6.7, seen from the writer of the description."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"


class Line(NamedTuple):
    """One line."""

    kind: str
    """The letter before `=`."""
    value: str
    """Without the line end; bytes that aren't UTF-8 survive as surrogates."""
    raw: bytes
    """With the line end."""


class Connection(NamedTuple):
    """A c= line's address."""

    address: str
    """IP literal or host name, personal data."""
    ipv6: bool
    line: int
    """Index into `Session.lines`."""


class Codec(NamedTuple):
    """A payload type's meaning."""

    payload_type: int
    name: str
    """Upper case."""
    clock_rate: int
    parameters: str
    """Encoding parameters of rtpmap (channels); empty without."""
    fmtp: str


class Rtcp(NamedTuple):
    """a=rtcp (RFC 3605)."""

    port: int
    address: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Media:
    """One m-line with the lines below it."""

    index: int
    """Place among the m-lines, from 0."""
    start: int
    """Index of the m= line in `Session.lines`."""
    end: int
    """Index after its last line."""
    kind: str
    """audio, video, image, text, application, message or unknown; lower case."""
    port: int
    """0: refused or bundle-only."""
    port_count: int
    proto: str
    """As spelled, such as RTP/AVP."""
    formats: tuple[str, ...]

    @property
    def is_rtp(self) -> bool:
        """Whether the transport is RTP on UDP in any profile."""
        words = self.proto.upper().split("/")
        return words[0] in ("RTP", "UDP") and "RTP" in words and "TCP" not in words

    @property
    def is_srtp(self) -> bool:
        """Whether the profile is a secure one."""
        return "SAVP" in self.proto.upper()

    @property
    def is_audio(self) -> bool:
        """Whether it is audio over RTP on UDP, live or refused."""
        return self.kind == "audio" and self.is_rtp

    @property
    def on_udp(self) -> bool:
        """Whether a relay of datagrams can carry it: RTP, and what says so itself (udptl, UDP/BFCP, UDP/TLS/UDPTL)."""
        return self.is_rtp or self.proto.upper().startswith("UDP")

    @property
    def is_live_audio(self) -> bool:
        """Whether there is audio that could be recorded."""
        return self.is_audio and self.port != 0

    @property
    def is_relayable(self) -> bool:
        """Whether the gateway can relay this m-line: live, on UDP."""
        return self.on_udp and self.port != 0


@dataclass(frozen=True, slots=True)
class Session:
    """A parsed description; `b"".join(line.raw for line in lines)` is what was parsed."""

    lines: tuple[Line, ...]
    media: tuple[Media, ...]
    tail: bytes = b""
    """Empty lines that followed the last one."""

    def to_bytes(self) -> bytes:
        """The bytes as received."""
        return b"".join([line.raw for line in self.lines]) + self.tail

    @property
    def session_end(self) -> int:
        """Index after the last session-level line."""
        return self.media[0].start if self.media else len(self.lines)

    @property
    def origin(self) -> str | None:
        """Value of o=; its change tells a new version (RFC 3264 §8)."""
        return next((line.value for line in self.lines if line.kind == "o"), None)

    def session_connection(self) -> Connection | None:
        """The session-level c= line."""
        return next(self.connections(None), None)

    def own_connection(self, media: Media) -> Connection | None:
        """The c= line below the m-line itself."""
        return next(self.connections(media), None)

    def connection(self, media: Media) -> Connection | None:
        """The address in effect for an m-line (RFC 8866 §5.7)."""
        return self.own_connection(media) or self.session_connection()

    def connections(self, media: Media | None) -> Iterator[Connection]:
        """All c= lines of an m-line, or of the session level; several are legal for multicast only."""
        for index in range(self.session_end) if media is None else range(media.start, media.end):
            match = _C_VALUE.match(self.lines[index].value) if self.lines[index].kind == "c" else None
            if match:
                yield Connection(match[2], match[1].upper() == "IP6", index)

    def attributes(self, media: Media | None, name: str) -> list[str]:
        """Values of `a=name` lines of an m-line, or of the session level; flags give empty strings."""
        return [value for _, value in self.attribute_lines(media, name)]

    def attribute_lines(self, media: Media | None, name: str) -> list[tuple[int, str]]:
        """Line index and value of `a=name` lines."""
        span = range(self.session_end) if media is None else range(media.start, media.end)
        found = []
        for index in span:
            line = self.lines[index]
            if line.kind == "a" and line.value.partition(":")[0].strip().lower() == name:
                found.append((index, line.value.partition(":")[2].strip()))
        return found

    def direction(self, media: Media) -> Direction:
        """Of the m-line, else of the session, else sendrecv."""
        for level in (media, None):
            for direction in Direction:
                if self.attributes(level, direction.value):
                    return direction
        return Direction.SENDRECV

    def codecs(self, media: Media) -> list[Codec]:
        """The formats in order of preference, static payload types filled in; unknown ones are left out."""
        mapped = {m[1]: m for value in self.attributes(media, "rtpmap") if (m := _RTPMAP.match(value))}
        fmtp = dict(_split_fmtp(self.attributes(media, "fmtp")))
        found = []
        for text in media.formats:
            number = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else -1
            if text in mapped:
                match = mapped[text]
                codec = Codec(number, match[2].upper(), int(match[3]), match[4] or "", fmtp.get(text, ""))
                found.append(codec)
            elif number in _STATIC:
                name, rate = _STATIC[number]
                found.append(Codec(number, name, rate, "", fmtp.get(text, "")))
        return [codec for codec in found if 0 <= codec.payload_type < 128]

    def ptime(self, media: Media) -> int | None:
        """Milliseconds of a packet as the writer wishes to receive them."""
        for value in self.attributes(media, "ptime"):
            if value.isascii() and value.isdigit() and 0 < len(value) < 5 and int(value) > 0:
                return int(value)
        return None

    def rtcp(self, media: Media) -> Rtcp | None:
        """The a=rtcp line, if it is well formed."""
        for index, value in self.attribute_lines(media, "rtcp"):
            match = _RTCP.match(value)
            if match and int(match[1]) < 65536:
                return Rtcp(int(match[1]), match[2], index)
        return None

    def rtcp_port(self, media: Media) -> int:
        """Where the writer receives RTCP without multiplexing: a=rtcp, or the next port (RFC 3550 §11)."""
        rtcp = self.rtcp(media)
        return rtcp.port if rtcp is not None else media.port + 1

    def rtcp_mux(self, media: Media) -> bool:
        """Whether RTP and RTCP share the port (RFC 5761)."""
        return bool(self.attributes(media, "rtcp-mux"))

    def has_crypto(self, media: Media) -> bool:
        """SDES keys (RFC 4568)."""
        return bool(self.attributes(media, "crypto"))

    def has_fingerprint(self, media: Media) -> bool:
        """A DTLS certificate's fingerprint (RFC 8122), at either level."""
        return bool(self.attributes(media, "fingerprint") or self.attributes(None, "fingerprint"))


def parse_session(data: bytes) -> Session:
    """Read a description; raises only SdpError."""
    if len(data) > MAX_SDP:
        raise SdpError("SDP is larger than 64 KiB")
    body = data.rstrip(b"\r\n")
    ends = data[len(body) :]
    first_end = b"\r\n" if ends.startswith(b"\r\n") else ends[:1]
    lines = _parse_lines(body + first_end)
    if not lines or lines[0].kind != "v" or lines[0].value.strip() != "0":
        raise SdpError("SDP doesn't begin with `v=0`")
    return Session(lines, _parse_media(lines), ends[len(first_end) :])


def is_address(text: str) -> bool:
    """Whether it is an IP literal, and no host name or what some write instead of one (`010.000.000.005`)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_null_address(address: str) -> bool:
    """The hold of RFC 2543."""
    return address in ("0.0.0.0", "::") or address.lower().endswith(".invalid")


def _parse_lines(data: bytes) -> tuple[Line, ...]:
    lines, position = [], 0
    while position < len(data):
        match = _LINE.match(data, position)
        if match is None:
            raise SdpError("malformed SDP line")
        lines.append(Line(match[1].decode("ascii"), match[2].decode("utf-8", "surrogateescape"), match[0]))
        if len(lines) > MAX_LINES:
            raise SdpError("SDP has more than 2,000 lines")
        position = match.end()
    return tuple(lines)


def _parse_media(lines: tuple[Line, ...]) -> tuple[Media, ...]:
    starts = [index for index, line in enumerate(lines) if line.kind == "m"]
    if len(starts) > MAX_MEDIA:
        raise SdpError("SDP has more than 32 m-lines")
    spans = enumerate(pairwise([*starts, len(lines)]))
    return tuple(_parse_m_line(lines, index, start, end) for index, (start, end) in spans)


def _parse_m_line(lines: tuple[Line, ...], index: int, start: int, end: int) -> Media:
    match = _M_VALUE.match(lines[start].value)
    if match is None or int(match[2]) > 65535:
        raise SdpError("malformed `m=` line")
    formats = tuple(match[5].split())
    return Media(index, start, end, match[1].lower(), int(match[2]), int(match[3] or 1), match[4], formats)


def _split_fmtp(values: Iterable[str]) -> Iterable[tuple[str, str]]:
    for value in values:
        payload_type, _, parameters = value.partition(" ")
        yield payload_type, parameters.strip()
