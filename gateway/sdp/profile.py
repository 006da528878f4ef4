"""The profile of m-lines: told to the other party as another one, with keys of ours or without any (RFC 4568).

Only SRTP with keys in the description can be told as plain RTP, and the other way round; other lines stay.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gateway.sdp.crypto_attribute import CryptoAttribute, parse_crypto
from gateway.sdp.session import Media, Session

_PROTO = re.compile(rb"(m=\S+[ \t]+\S+[ \t]+)\S+")


@dataclass(frozen=True, slots=True)
class Profile:
    """What an m-line is told as."""

    proto: str
    """Such as RTP/SAVP."""
    crypto: tuple[str, ...] = field(default=(), repr=False)
    """Values of `a=crypto`, in place of those that are there."""


def is_secure(proto: str) -> bool:
    """Whether a profile is SRTP's."""
    return "SAVP" in proto.upper()


def is_translatable(proto: str) -> bool:
    """Whether a profile is RTP's or SRTP's with keys from the description: not DTLS, not TCP."""
    return proto.upper() in ("RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF")


def crypto_lines(session: Session, media: Media) -> tuple[CryptoAttribute, ...]:
    """The keys that an m-line names, in the order of preference; one that uses a tag again is left out."""
    found: dict[int, CryptoAttribute] = {}
    for value in session.attributes(media, "crypto"):
        crypto = parse_crypto(value)
        if crypto is not None:
            found.setdefault(crypto.tag, crypto)
    return tuple(found.values())


def with_profiles(session: Session, profiles: Mapping[int, Profile]) -> bytes:
    """The description with the m-lines of `profiles` (by index) told as these."""
    parts = [line.raw for line in session.lines[: session.session_end]]
    for media in session.media:
        profile = profiles.get(media.index)
        lines = session.lines[media.start : media.end]
        parts += [line.raw for line in lines] if profile is None else _told_as(session, media, profile)
    end = _line_end(session)
    return b"".join(part if part.endswith((b"\n", b"\r")) else part + end for part in parts) + session.tail


def _told_as(session: Session, media: Media, profile: Profile) -> Iterator[bytes]:
    keys = {index for index, _ in session.attribute_lines(media, "crypto")}
    proto = profile.proto.encode("ascii")
    for index in range(media.start, media.end):
        if index == media.start:
            yield _PROTO.sub(lambda m: m[1] + proto, session.lines[index].raw, count=1)
        elif index not in keys:
            yield session.lines[index].raw
    if media.port != 0:
        yield from (b"a=crypto:" + value.encode("ascii") + _line_end(session) for value in profile.crypto)


def _line_end(session: Session) -> bytes:
    return b"\r\n" if session.lines[0].raw.endswith(b"\r\n") else b"\n"
