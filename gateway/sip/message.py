"""Lossless SIP messages (RFC 3261 §7): start line, header fields as received, body.

Only fields that are set anew are re-made; every other byte prints back as it came: folding, compact forms,
odd case. What a field means is read in `headers.py`, what must be refused in `validate.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple, Self

from gateway.sip.errors import SipSyntaxError

MAX_MESSAGE = 65_536
"""Bytes of a whole message."""
MAX_FIELDS = 256
"""Header fields of a message."""
MAX_LINE = 8_192
"""Bytes of the start line or of one header field with its folds."""

_COMPACT = {
    "a": "accept-contact", "b": "referred-by", "c": "content-type", "d": "request-disposition",
    "e": "content-encoding", "f": "from", "i": "call-id", "j": "reject-contact", "k": "supported",
    "l": "content-length", "m": "contact", "n": "identity-info", "o": "event", "r": "refer-to", "s": "subject",
    "t": "to", "u": "allow-events", "v": "via", "x": "session-expires", "y": "identity",
}  # fmt: skip
_SPELLING = {
    "call-id": "Call-ID",
    "cseq": "CSeq",
    "www-authenticate": "WWW-Authenticate",
    "mime-version": "MIME-Version",
}
_TOKEN = rb"[A-Za-z0-9\-.!%*_+`'~]+"
_REQUEST_LINE = re.compile(
    rb"(" + _TOKEN + rb") ([\x21-\x3b\x3d\x3f-\x7e\x80-\xff]+) SIP/(\d{1,3}\.\d{1,3})", re.IGNORECASE
)
_STATUS_LINE = re.compile(rb"SIP/(\d{1,3}\.\d{1,3}) ([1-6]\d\d)(?: (.*))?", re.IGNORECASE)
_FIELD_NAME = re.compile(rb"(" + _TOKEN + rb")[ \t]*\Z")
_LENGTH = re.compile(r"0*([0-9]{1,9})\Z")
_ANSWER_FIELDS = frozenset({"via", "from", "to", "call-id", "cseq"})


class Field(NamedTuple):
    """One header field."""

    name: str
    """Long form in lower case, for look-ups: `via`, also where the line says `v`."""
    raw: bytes
    """The line as received, with its folds, without the final CRLF."""

    @property
    def value(self) -> str:
        """The unfolded value; bytes that aren't UTF-8 survive as surrogates."""
        value = self.raw.partition(b":")[2]
        if b"\n" in value:
            value = b" ".join(part.strip(b" \t") for part in value.split(b"\r\n"))
        return value.strip(b" \t").decode("utf-8", "surrogateescape")


class Message:
    """What requests and responses share; `fields` is in the order of the wire."""

    __slots__ = ("body", "fields", "start")

    def __init__(self, start: bytes, fields: list[Field], body: bytes = b"") -> None:
        self.start = start
        self.fields = fields
        self.body = body

    def copy(self) -> Self:
        """A message that can be changed without changing this one."""
        return type(self)(self.start, list(self.fields), self.body)

    def to_bytes(self) -> bytes:
        """The message as it goes on the wire."""
        return b"\r\n".join([self.start, *[field.raw for field in self.fields], b"", self.body])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and self.to_bytes() == other.to_bytes()

    __hash__ = None  # type: ignore[assignment]  # mutable, so never a key

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self.fields)} fields, {len(self.body)} bytes of body>"

    def get(self, name: str) -> str | None:
        """Value of the first field called `name` (long form, lower case)."""
        for field in self.fields:
            if field.name == name:
                return field.value
        return None

    def all(self, name: str) -> list[str]:
        """Values of all fields called `name`, one per field, lists not split."""
        return [field.value for field in self.fields if field.name == name]

    def count(self, name: str) -> int:
        """How many fields are called `name`."""
        return sum(field.name == name for field in self.fields)

    def set(self, name: str, value: str) -> None:
        """Replace the value of the first field called `name`, keeping its spelling, or append a new field."""
        for index, field in enumerate(self.fields):
            if field.name == name:
                self.replace_at(index, value)
                return
        self.fields.append(make_field(name, value))

    def replace_at(self, index: int, value: str) -> None:
        """Give the field at `index` a new value under its old spelling."""
        old = self.fields[index]
        spelled = old.raw.partition(b":")[0].strip(b" \t").decode("ascii")
        self.fields[index] = Field(old.name, make_field(spelled, value).raw)

    def insert(self, name: str, value: str) -> None:
        """Put a new field before the first one called `name`, or else below the Vias."""
        below_vias = max((i + 1 for i, field in enumerate(self.fields) if field.name == "via"), default=0)
        at = next((i for i, field in enumerate(self.fields) if field.name == name), below_vias)
        self.fields.insert(at, make_field(name, value))

    def remove(self, name: str) -> None:
        """Drop all fields called `name`."""
        self.fields = [field for field in self.fields if field.name != name]

    def set_body(self, body: bytes) -> None:
        """Replace the body and say its new length."""
        if body != self.body:
            self.body = body
            self.set("content-length", str(len(body)))


class Request(Message):
    """A SIP request."""

    __slots__ = ()

    @property
    def method(self) -> str:
        """Case-sensitive method."""
        return self.start.split(b" ", 1)[0].decode("utf-8", "surrogateescape")

    @property
    def uri(self) -> str:
        """Request-URI as received."""
        parts = self.start.split(b" ", 2)
        return parts[1].decode("utf-8", "surrogateescape") if len(parts) > 1 else ""

    @property
    def version(self) -> str:
        """SIP version without `SIP/`."""
        return self.start.rpartition(b"/")[2].decode("utf-8", "surrogateescape")

    def set_uri(self, uri: str) -> None:
        """Replace the request-URI."""
        method, _, rest = self.start.partition(b" ")
        self.start = b" ".join((method, _encode(uri), rest.partition(b" ")[2]))


class Response(Message):
    """A SIP response."""

    __slots__ = ()

    @property
    def status(self) -> int:
        """100 to 699."""
        return int(self.start.split(b" ", 2)[1])

    @property
    def reason(self) -> str:
        """Reason phrase; may be empty."""
        parts = self.start.split(b" ", 2)
        return parts[2].decode("utf-8", "surrogateescape") if len(parts) > 2 else ""

    @property
    def version(self) -> str:
        """SIP version without `SIP/`."""
        return self.start[4:].partition(b" ")[0].decode("ascii")


class Keepalive(NamedTuple):
    """Nothing but line ends or NULs; `ping` is the double CRLF that wants a CRLF back (RFC 5626 §4.4.1)."""

    ping: bool


def make_field(name: str, value: str) -> Field:
    """A new field line; `name` in any spelling."""
    key = canonical_name(name)
    spelled = name if name != key else _SPELLING.get(key) or "-".join(map(str.capitalize, key.split("-")))
    return Field(key, _encode(f"{spelled}: {value}"))


def canonical_name(name: str) -> str:
    """Long form in lower case."""
    lower = name.lower()
    return _COMPACT.get(lower, lower)


def new_message(start: str, fields: Iterable[tuple[str, str]], body: bytes = b"") -> Request | Response:
    """Build a message of our own; Content-Length is added."""
    made = [make_field(name, value) for name, value in fields]
    made.append(make_field("content-length", str(len(body))))
    kind = Response if start.startswith("SIP/") else Request
    return kind(_encode(start), made, body)


def parse_datagram(data: bytes) -> Request | Response | Keepalive:
    """Read one UDP datagram; Content-Length cuts off what follows, too long a one is an error (RFC 3261 §18.3)."""
    if not data.strip(b"\r\n\0"):
        return Keepalive(ping=data == b"\r\n\r\n")
    data = data.lstrip(b"\r\n")
    if len(data) > MAX_MESSAGE:
        raise SipSyntaxError("message is larger than 64 KiB", status=513, request=answerable_part(data[:MAX_LINE]))
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        raise SipSyntaxError("no end of headers", request=answerable_part(head))
    message = parse_head(head)
    length = content_length(message, head)
    if length is None:
        length = len(body)
    if length > len(body):
        raise SipSyntaxError("body is shorter than its `Content-Length`", request=answerable_part(head))
    message.body = body[:length]
    return message


def parse_head(head: bytes) -> Request | Response:
    """Read start line and header fields, without the empty line that ends them."""
    try:
        return _parse_head(head)
    except SipSyntaxError as error:
        raise SipSyntaxError(str(error), status=error.status, request=answerable_part(head)) from None


def content_length(message: Message, head: bytes) -> int | None:
    """The body's length as stated, None when it isn't; `head` only serves the error."""
    values = message.all("content-length")
    if not values:
        return None
    match = _LENGTH.match(values[0])
    if len(values) > 1 or match is None:
        raise SipSyntaxError("`Content-Length` is not one number", request=answerable_part(head))
    return int(match[1])


def lenient_content_length(head: bytes) -> int | None:
    """Where a broken message on a stream ends, if it says so unmistakably; None: the stream can't be read on."""
    if _has_bare_break(head):
        return None
    found = re.findall(
        rb"\r\n(?:Content-Length|l)[ \t]*:[ \t]*0*([0-9]{1,9})[ \t]*(?=\r\n[^ \t]|\Z)", head, re.IGNORECASE
    )
    return int(found[0]) if len(found) == 1 else None


def answerable_part(head: bytes) -> Request | None:
    """What an answer to a broken request can copy, read leniently; None when it isn't a request at all."""
    start, _, rest = head.partition(b"\r\n")
    method = start.lstrip().partition(b" ")[0]
    if start[:4].upper() == b"SIP/" or re.fullmatch(_TOKEN, method) is None or b":" not in rest:
        return None
    fields = []
    for raw in _logical_lines(rest.split(b"\r\n")[:MAX_FIELDS]):
        if raw.startswith((b" ", b"\t")):
            continue
        name = canonical_name(raw.partition(b":")[0].strip(b" \t").decode("latin-1"))
        if name in _ANSWER_FIELDS and b":" in raw and len(raw) <= MAX_LINE and not _has_bare_break(raw):
            fields.append(Field(name, raw))
    return Request(method + b" sip:invalid.invalid SIP/2.0", fields) if fields else None


def _parse_head(head: bytes) -> Request | Response:
    if _has_bare_break(head):
        raise SipSyntaxError("bare CR or LF in the headers")
    start, _, rest = head.partition(b"\r\n")
    if len(start) > MAX_LINE:
        raise SipSyntaxError("start line is longer than 8 KiB", status=414)
    fields = _parse_fields(rest.split(b"\r\n")) if rest else []
    if start[:4].upper() == b"SIP/":
        if _STATUS_LINE.fullmatch(start) is None:
            raise SipSyntaxError("malformed status line")
        return Response(start, fields)
    if _REQUEST_LINE.fullmatch(start) is None:
        raise SipSyntaxError("malformed request line")
    return Request(start, fields)


def _parse_fields(lines: list[bytes]) -> list[Field]:
    if lines[0].startswith((b" ", b"\t")):
        raise SipSyntaxError("the first header is a continuation line")
    fields = []
    for raw in _logical_lines(lines):
        if len(raw) > MAX_LINE:
            raise SipSyntaxError("a header is longer than 8 KiB")
        name, colon, _ = raw.partition(b":")
        known = _name_of(name) if colon else None
        if known is None:
            raise SipSyntaxError("malformed header line")
        fields.append(Field(known, raw))
        if len(fields) > MAX_FIELDS:
            raise SipSyntaxError("more than 256 headers")
    return fields


@lru_cache(maxsize=512)
def _name_of(spelled: bytes) -> str | None:
    """Canonical name of what stands before the colon, None when it's no token; the same few come again and again."""
    match = _FIELD_NAME.match(spelled)
    return canonical_name(match[1].decode("ascii")) if match else None


def _has_bare_break(data: bytes) -> bool:
    """Whether a CR or LF stands alone: what some readers take for a line end and others don't."""
    pairs = data.count(b"\r\n")
    return data.count(b"\r") != pairs or data.count(b"\n") != pairs


def _logical_lines(lines: list[bytes]) -> Iterator[bytes]:
    pending: list[bytes] = []
    for line in lines:
        if pending and line[:1] in (b" ", b"\t"):
            pending.append(line)
            continue
        if pending:
            yield b"\r\n".join(pending)
        pending = [line]
    if pending:
        yield b"\r\n".join(pending)


def _encode(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape")
    if b"\r" in raw or b"\n" in raw:
        raise ValueError("line break in a header value")
    return raw
