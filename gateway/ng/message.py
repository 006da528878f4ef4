"""One ng message: a cookie, a space, a bencoded dictionary (rtpengine's documentation, "The NG Control Protocol").

Reads what Fairtap acts on; a key that the protocol doesn't have is told as `unknown`, and ignored like all others. The
words of errors are rtpengine's own, since proxies compare them. Reads no SDP.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from gateway.ng import bencode
from gateway.ng.bencode import Value
from gateway.ng.errors import BencodeError, LoadLimit, NgError
from gateway.ng.flags import CODEC_WISHES, spelled_out
from gateway.sdp.session import is_address

__all__ = ["CodecWish", "Datagram", "NgRequest", "error", "metadata", "refusal", "reply", "split_cookie"]

MAX_COOKIE: Final = 255
MAX_REFERENCE: Final = 1_024
"""Of a Call-ID or a tag."""

NO_DICTIONARY: Final = "Could not decode dictionary"
UNKNOWN_CALL: Final = "Unknown call-id"
UNRECOGNIZED: Final = "Unrecognized command"
OUT_OF_PORTS: Final = "Ran out of ports"
INCOMPLETE: Final = "Incomplete SDP specification"
"""It can be read, and says nowhere where media is to go."""
TOO_LONG: Final = "Reply is too long for a datagram: ask over TCP"
NO_ASSOCIATION: Final = "Invalid dialogue association"
REWRITING: Final = "Error rewriting SDP"
LOAD_LIMIT: Final = "Load limit exceeded"
SESSION_LIMIT: Final = "Parallel session limit reached"
"""The older words for it, for a proxy that doesn't know the result `load limit`."""

KNOWN: Final = frozenset({
    "address", "address-family", "all", "blob", "call-id", "code", "codec", "command", "db-id", "delay-buffer",
    "delete delay", "delete-delay", "direction", "DTLS", "DTLS-fingerprint", "DTLS-reverse", "duration", "file",
    "flags", "from-label", "from-tag", "ICE", "ICE-lite", "label", "limit", "media-address", "metadata", "OSRTP",
    "output-destination", "pause", "ptime", "ptime-reverse", "received from", "received-from", "record call",
    "record-call", "recording-file", "repeat-times", "replace", "rtcp-mux", "rtpp-flags", "SDES", "sdp", "sdp-attr",
    "set-label", "start-pos", "supports", "T.38", "to-label", "to-tag", "TOS", "transport protocol",
    "transport-protocol", "via-branch", "volume", "xmlrpc-callback",
})  # fmt: skip
"""Keys of the protocol, whether they mean something here or not."""

ReplyBody = dict[str, Value | str]


@dataclass(frozen=True, slots=True)
class Datagram:
    """A cookie, which the reply repeats, and the bytes behind it."""

    cookie: bytes
    body: bytes


def split_cookie(data: bytes) -> Datagram | None:
    """The parts of a message, or None where it has no cookie to answer under."""
    cookie, space, body = data.partition(b" ")
    if not space or not 0 < len(cookie) <= MAX_COOKIE or not cookie.isascii() or not cookie.decode().isprintable():
        return None
    return Datagram(cookie, body)


def reply(cookie: bytes, body: ReplyBody) -> bytes:
    """The bytes of a reply."""
    return cookie + b" " + bencode.encode({key: _value(item) for key, item in body.items()})


def error(reason: str) -> ReplyBody:
    """The body of a refusal."""
    return {"result": "error", "error-reason": reason}


def refusal(refused: NgError) -> ReplyBody:
    """The same of an error; where we are only busy, in the words that have a proxy try its next node."""
    if isinstance(refused, LoadLimit) and refused.understood:
        return {"result": "load limit", "message": str(refused)}
    return error(str(refused))


@dataclass(frozen=True, slots=True)
class CodecWish:
    """What is to be left of the offered codecs: names in upper case, `ALL` for all, `FULL` likewise."""

    strip: frozenset[str] = frozenset()
    """Also what is to be hidden (mask, consume): without transcoding that is the same."""
    keep: frozenset[str] = frozenset()
    """Left although everything is to go."""
    transcode: frozenset[str] = frozenset()
    """To be there in any case."""


@dataclass(frozen=True, slots=True)
class NgRequest:
    """One request. Texts keep bytes that aren't UTF-8 as surrogates, so that tags come back as they were."""

    command: str
    call_id: str
    from_tag: str
    to_tag: str
    sdp: bytes
    direction: tuple[str, ...]
    """Names of interfaces: where it comes from, where it goes."""
    received_from: str | None
    """The address of the SIP message's sender, as the proxy saw it."""
    replace: frozenset[str]
    transport: str | None
    """The profile asked for towards the other party."""
    ice: str | None
    metadata: dict[str, str] = field(repr=False)
    flags: frozenset[str] = frozenset()
    """Bare words, in lower case."""
    supports: frozenset[str] = frozenset()
    label: str | None = None
    """The proxy's own name for the sender."""
    via_branch: str | None = None
    """Tells the branches of a forked call apart before any of them has a tag."""
    record_call: bool | None = None
    rtcp_mux: frozenset[str] = frozenset()
    address: str | None = None
    """Names a party by where it receives."""
    address_family: str | None = None
    codecs: CodecWish = CodecWish()
    file: str | None = field(default=None, repr=False)
    repeat_times: int = 1
    unknown: tuple[str, ...] = ()
    """Keys that the protocol doesn't have."""

    @classmethod
    def parse(cls, body: bytes) -> NgRequest:
        """Read the dictionary; raises `NgError` with the words of the reply."""
        try:
            found = bencode.decode(body)
        except BencodeError:
            raise NgError(NO_DICTIONARY) from None
        if not isinstance(found, dict):
            raise NgError(NO_DICTIONARY)
        command = _text(found.get("command"))
        if command is None:
            raise NgError('Dictionary contains no key "command"')
        unknown = tuple(key for key in found if key not in KNOWN)
        found = spelled_out(found)
        names = _words(found, "received-from") or _words(found, "received from")
        record = (_text(found.get("record-call")) or _text(found.get("record call")) or "").lower()
        return cls(
            command=command,
            call_id=_reference(found, "call-id"),
            from_tag=_reference(found, "from-tag"),
            to_tag=_reference(found, "to-tag"),
            sdp=_bytes(found.get("sdp")),
            direction=tuple(_words(found, "direction")),
            received_from=names[1] if len(names) == 2 and is_address(names[1]) else None,
            replace=frozenset(word.replace(" ", "-") for word in _words(found, "replace")),
            transport=_text(found.get("transport-protocol")) or _text(found.get("transport protocol")),
            ice=_text(found.get("ICE")),
            metadata=metadata(_text(found.get("metadata")) or ""),
            flags=frozenset(word.replace(" ", "-").lower() for word in _words(found, "flags")),
            supports=frozenset(_words(found, "supports")),
            label=_text(found.get("label")) or _text(found.get("from-label")),
            via_branch=_text(found.get("via-branch")),
            record_call=record in ("yes", "on") if record in ("yes", "on", "no", "off") else None,
            rtcp_mux=frozenset(_words(found, "rtcp-mux")),
            address=_text(found.get("address")),
            address_family=_text(found.get("address-family")),
            codecs=_codec_wish(found.get("codec")),
            file=_text(found.get("file")),
            repeat_times=_number(found.get("repeat-times"), 1),
            unknown=unknown,
        )

    def needs(self, *names: str) -> None:
        """Refuse a request without these; raises `NgError`."""
        said = {"call-id": self.call_id, "from-tag": self.from_tag, "to-tag": self.to_tag, "sdp": self.sdp}
        for name in names:
            if not said[name]:
                raise NgError("No SDP body in message" if name == "sdp" else f"No {name} in message")


def metadata(text: str) -> dict[str, str]:
    """`agent:7001|queue:service` as pairs; what isn't a pair is left out, and so is a name that comes twice.

    A script puts a caller's own name in here, and that may have a `|agent:` in it: nobody can tell which one was meant.
    """
    parts = (part.partition(":") for part in text[:4_096].split("|"))
    pairs = [(name.strip().lower(), value.strip()) for name, colon, value in parts if colon]
    names = Counter(name for name, _ in pairs)
    return {name: value for name, value in pairs if names[name] == 1 and value.isprintable()}


def _value(item: Value | str) -> Value:
    return item.encode("utf-8", "surrogateescape") if isinstance(item, str) else item


def _text(value: Value | None) -> str | None:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else None


def _number(value: Value | None, absent: int) -> int:
    """An integer, also where it is written as text."""
    if isinstance(value, bytes) and value.isdigit() and len(value) < 7:
        return int(value)
    return value if isinstance(value, int) else absent


def _bytes(value: Value | None) -> bytes:
    return value if isinstance(value, bytes) else b""


def _words(found: dict[str, Value], name: str) -> list[str]:
    value = found.get(name)
    return [_text(item) or "" for item in value] if isinstance(value, list) else []


def _codec_wish(value: Value | None) -> CodecWish:
    if not isinstance(value, dict):
        return CodecWish()
    # `PCMA/8000/1` names what `PCMA` does: telephones have it at one rate only
    said = {name: {word.partition("/")[0].upper() for word in _words(value, name)} for name in CODEC_WISHES}
    return CodecWish(
        strip=frozenset(said["strip"] | said["mask"] | said["consume"]),
        keep=frozenset(said["offer"] | said["except"]),
        transcode=frozenset(said["transcode"]),
    )


def _reference(found: dict[str, Value], name: str) -> str:
    text = _text(found.get(name)) or ""
    if len(text) > MAX_REFERENCE:
        raise NgError(f"{name} is too long")
    return text
