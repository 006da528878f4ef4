"""One ng message: a cookie, a space, a bencoded dictionary (rtpengine's documentation, "The NG Control Protocol").

Reads what Fairtap acts on; everything else in a request is ignored. The words of errors are rtpengine's own, since
proxies compare them. Reads no SDP.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway.ng import bencode
from gateway.ng.bencode import Value
from gateway.ng.errors import BencodeError, NgError

__all__ = ["Datagram", "NgRequest", "error", "metadata", "reply", "split_cookie"]

MAX_COOKIE: Final = 255
MAX_REFERENCE: Final = 1_024
"""Of a Call-ID or a tag."""

NO_DICTIONARY: Final = "Could not decode dictionary"
UNKNOWN_CALL: Final = "Unknown call-id"
UNRECOGNIZED: Final = "Unrecognized command"
OUT_OF_PORTS: Final = "Ran out of ports"
LOAD_LIMIT: Final = "Load limit exceeded"

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
        names = [_text(item) or "" for item in _list(found.get("received-from"))]
        return cls(
            command=command,
            call_id=_reference(found, "call-id"),
            from_tag=_reference(found, "from-tag"),
            to_tag=_reference(found, "to-tag"),
            sdp=_bytes(found.get("sdp")),
            direction=tuple(_text(item) or "" for item in _list(found.get("direction"))),
            received_from=names[1] if len(names) == 2 else None,
            replace=frozenset((_text(item) or "").replace(" ", "-") for item in _list(found.get("replace"))),
            transport=_text(found.get("transport-protocol")),
            ice=_text(found.get("ICE")),
            metadata=metadata(_text(found.get("metadata")) or ""),
        )

    def needs(self, *names: str) -> None:
        """Refuse a request without these; raises `NgError`."""
        said = {"call-id": self.call_id, "from-tag": self.from_tag, "to-tag": self.to_tag, "sdp": self.sdp}
        for name in names:
            if not said[name]:
                raise NgError("No SDP body in message" if name == "sdp" else f"No {name} in message")


def metadata(text: str) -> dict[str, str]:
    """`agent:7001|queue:service` as pairs; what isn't a pair is left out."""
    pairs = (part.partition(":") for part in text[:4_096].split("|"))
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon and value.isprintable()}


def _value(item: Value | str) -> Value:
    return item.encode("utf-8", "surrogateescape") if isinstance(item, str) else item


def _text(value: Value | None) -> str | None:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else None


def _bytes(value: Value | None) -> bytes:
    return value if isinstance(value, bytes) else b""


def _list(value: Value | None) -> list[Value]:
    return value if isinstance(value, list) else []


def _reference(found: dict[str, Value], name: str) -> str:
    text = _text(found.get(name)) or ""
    if len(text) > MAX_REFERENCE:
        raise NgError(f"{name} is too long")
    return text
