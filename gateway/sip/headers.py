"""Header values that a proxy reads and changes (RFC 3261 §20, §25): Via, addresses, URIs, CSeq, lists.

Every reader here raises only SipSyntaxError; a value that isn't changed is never printed anew.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from urllib.parse import unquote

from gateway.sip.errors import SipSyntaxError
from gateway.sip.message import Message

Params = tuple[tuple[str, str | None], ...]
"""Parameters in order: name as spelled, value as spelled or None."""

_TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PARAM = re.compile(rf'\s*;\s*({_TOKEN}|\[[^\s;=\[\]]*\])(?:\s*=\s*({_QUOTED}|[^\s;,"<>]+))?', re.DOTALL | re.ASCII)
_HOST = r"(?:[A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])"
_VIA = re.compile(
    rf"SIP\s*/\s*2\.0\s*/\s*({_TOKEN})\s+(?:({_HOST})(?:\s*:\s*(\d{{1,5}}))?|([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*))(?=\s*(?:;|\Z))",
    re.IGNORECASE | re.ASCII,
)
_SIP_URI = re.compile(
    rf"(sips?):(?:([^@\s<>\"]+)@)?({_HOST})(?::(\d{{1,5}}))?((?:;[^;?@\s]*)*)(\?[^\s]*)?\Z", re.IGNORECASE | re.ASCII
)
_ANY_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>\"]+\Z", re.ASCII)
_CSEQ = re.compile(rf"0*([0-9]{{1,10}})\s+({_TOKEN})\Z", re.ASCII)
_MAGIC = "z9hG4bK"


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value (RFC 3261 §20.42, RFC 3581)."""

    transport: str
    """Upper case: UDP, TCP, TLS, or what the peer made up."""
    host: str
    """sent-by host as spelled; IPv6 with or without brackets."""
    port: int | None
    params: Params = ()

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {bracketed(self.host)}{port}{_print_params(self.params)}"

    @property
    def branch(self) -> str:
        """Empty for a peer of RFC 2543."""
        return param(self.params, "branch") or ""

    @property
    def unique(self) -> bool:
        """Whether the branch names the transaction (RFC 3261 §8.1.1.7); the bare magic cookie doesn't."""
        return self.branch.lower().startswith(_MAGIC.lower()) and len(self.branch) > len(_MAGIC)

    @property
    def sent_by(self) -> tuple[str, int]:
        """Comparable host and port, defaults filled in."""
        return comparable_host(self.host), self.port or (5061 if self.transport == "TLS" else 5060)

    def stamped(self, source_host: str, source_port: int) -> Via:
        """With `received` and `rport` as the receiver of a request must add them (RFC 3261 §18.2.1, RFC 3581 §4)."""
        params = tuple((name, value) for name, value in self.params if name.lower() != "received")
        wants_port = has_param(params, "rport")
        if wants_port:
            params = tuple((n, str(source_port) if n.lower() == "rport" else v) for n, v in params)
        if wants_port or comparable_host(self.host) != comparable_host(source_host):
            params = (*params, ("received", source_host))
        return self if params == self.params else replace(self, params=params)

    @property
    def reply_address(self) -> tuple[str, int]:
        """Where a response goes on an unreliable transport (RFC 3261 §18.2.2, RFC 3581 §4)."""
        rport = param(self.params, "rport") or ""
        port = int(rport) if rport.isascii() and rport.isdigit() and len(rport) < 6 else self.sent_by[1]
        return comparable_host(param(self.params, "received") or self.host), port


@dataclass(frozen=True, slots=True)
class SipUri:
    """A sip: or sips: URI (RFC 3261 §19.1)."""

    scheme: str
    """`sip` or `sips`."""
    user: str | None
    """Userinfo as spelled, escapes kept."""
    host: str
    port: int | None
    params: Params = ()
    headers: str = ""
    """What follows `?`, as spelled."""

    def __str__(self) -> str:
        user = "" if self.user is None else f"{self.user}@"
        port = "" if self.port is None else f":{self.port}"
        query = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{bracketed(self.host)}{port}{_print_params(self.params)}{query}"

    @property
    def said_user(self) -> str | None:
        """Userinfo with its escapes undone: whoever is called is the same (RFC 3261 §19.1.4)."""
        return None if self.user is None else unquote(self.user)

    @property
    def loose(self) -> bool:
        """Whether the element behind this Route is a loose router."""
        return has_param(self.params, "lr")

    @property
    def said_transport(self) -> str:
        """Upper case; empty when not said, TLS for sips."""
        return "TLS" if self.scheme == "sips" else (param(self.params, "transport") or "").upper()

    @property
    def transport(self) -> str:
        """Upper case; UDP when not said, TLS for sips."""
        return self.said_transport or "UDP"

    @property
    def hostport(self) -> tuple[str, int]:
        """Comparable host and port, defaults filled in."""
        return comparable_host(self.host), self.port or (5061 if self.transport == "TLS" else 5060)


@dataclass(frozen=True, slots=True)
class NameAddr:
    """From, To, Contact, Route and the like: an address with header parameters (RFC 3261 §20.10)."""

    display: str
    """Display name as spelled, quotes kept; personal data."""
    uri: str
    """Any scheme; personal data."""
    params: Params = ()

    @property
    def tag(self) -> str | None:
        """The tag parameter, None without one."""
        return param(self.params, "tag")


@dataclass(frozen=True, slots=True)
class Replaces:
    """The dialog that an INVITE takes over (RFC 3891 §6.1)."""

    call_id: str
    tags: frozenset[str]
    """Both ends'. Which is whose only the one that is asked knows; empty where one isn't said."""


def parse_via(value: str) -> Via:
    """Read one Via value."""
    match = _VIA.match(value.strip())
    if match is None:
        raise SipSyntaxError("malformed `Via`")
    host = match[2] or match[4]
    if match[4] or host.startswith("["):
        _require_ipv6(host)
    port = _port(match[3], "Via")
    return Via(match[1].upper(), host, port, _parse_params(value.strip(), match.end(), "Via"))


def parse_uri(value: str) -> SipUri:
    """Read a sip: or sips: URI; other schemes are refused."""
    match = _SIP_URI.match(value)
    if match is None or "@" in (match[6] or ""):
        raise SipSyntaxError("malformed SIP URI")
    if match[3].startswith("[") and not _is_ipv6(match[3]):
        raise SipSyntaxError("malformed IPv6 reference in a URI")
    pairs = (item.partition("=") for item in match[5].split(";") if item)
    params = tuple((name, text if equals else None) for name, equals, text in pairs)
    return SipUri(match[1].lower(), match[2], match[3], _port(match[4], "URI"), params, (match[6] or "")[1:])


def uri_scheme(value: str) -> str:
    """Scheme in lower case; empty when there is none."""
    return value.partition(":")[0].lower() if _ANY_URI.match(value) else ""


def parse_name_addr(value: str, name: str = "address") -> NameAddr:
    """Read one address in either form; `name` only serves the error text."""
    text = value.strip()
    quoted = re.match(_QUOTED, text, re.DOTALL)
    opening = text.find("<", quoted.end() if quoted else 0)
    if opening < 0:
        if quoted or any(char in text.partition(";")[0] for char in '",'):
            raise SipSyntaxError(f"malformed `{name}`")
        uri, end = text.partition(";")[0].rstrip(), text.find(";")
        end = len(text) if end < 0 else end
        display = ""
    else:
        closing = text.find(">", opening)
        display = text[:opening].strip()
        uri, end = text[opening + 1 : closing], closing + 1
        if closing < 0 or (quoted and display != quoted[0]) or (not quoted and '"' in display):
            raise SipSyntaxError(f"malformed `{name}`")
    if not _ANY_URI.match(uri):
        raise SipSyntaxError(f"malformed URI in `{name}`")
    return NameAddr(display, uri, _parse_params(text, end, name))


def parse_cseq(value: str) -> tuple[int, str]:
    """Number (at most 10 digits) and method."""
    match = _CSEQ.match(value)
    if match is None:
        raise SipSyntaxError("malformed `CSeq`")
    return int(match[1]), match[2]


def parse_number(value: str, name: str, limit: int) -> int:
    """A non-negative integer up to `limit`; leading zeros are fine."""
    digits = value.lstrip("0") or "0"
    if not (value.isascii() and value.isdigit()) or len(digits) > 10 or int(digits) > limit:
        raise SipSyntaxError(f"`{name}` is not a number up to {limit}")
    return int(digits)


def split_list(value: str) -> list[str]:
    """Split at commas outside quotes and angle brackets; empty elements are an error."""
    if "," not in value:
        return [value]
    parts, start, quoted, angle, skip = [], 0, False, False, False
    for index, char in enumerate(value):
        if skip:
            skip = False
        elif quoted:
            skip, quoted = char == "\\", char != '"'
        elif char == '"' and not angle:
            quoted = True
        elif char in "<>":
            angle = char == "<"
        elif char == "," and not angle:
            parts.append(value[start:index].strip())
            start = index + 1
    parts.append(value[start:].strip())
    if quoted or angle or not all(parts):
        raise SipSyntaxError("malformed list in a header")
    return parts


def list_values(message: Message, name: str) -> list[str]:
    """All values of a list header, over several fields and commas."""
    return [value for text in message.all(name) for value in split_list(text)]


def first_value(message: Message, name: str) -> str | None:
    """The topmost value of a list header."""
    text = message.get(name)
    return None if text is None else split_list(text)[0]


def replace_first(message: Message, name: str, value: str) -> None:
    """Change the topmost value; the other values of the same line stay."""
    index = _index(message, name)
    rest = split_list(message.fields[index].value)[1:]
    message.replace_at(index, ", ".join([value, *rest]))


def pop_first(message: Message, name: str) -> str:
    """Take the topmost value away and return it."""
    index = _index(message, name)
    first, *rest = split_list(message.fields[index].value)
    if rest:
        message.replace_at(index, ", ".join(rest))
    else:
        del message.fields[index]
    return first


def pop_last(message: Message, name: str) -> str:
    """Take the last value away and return it."""
    index = max(i for i, field in enumerate(message.fields) if field.name == name)
    *rest, last = split_list(message.fields[index].value)
    if rest:
        message.replace_at(index, ", ".join(rest))
    else:
        del message.fields[index]
    return last


def append_last(message: Message, name: str, value: str) -> None:
    """Add a value after all others, as a field of its own."""
    places = [i for i, field in enumerate(message.fields) if field.name == name]
    holder = Message(b"", [])
    holder.set(name, value)
    message.fields.insert(places[-1] + 1 if places else len(message.fields), holder.fields[0])


def option_tags(message: Message, name: str) -> list[str]:
    """Tokens of Require, Proxy-Require or Supported, lower case; an empty header has none."""
    return [tag.lower() for text in message.all(name) if text for tag in split_list(text)]


def has_option(message: Message, name: str, tag: str) -> bool:
    """Whether a header of option tags has this one; a malformed header, which isn't ours to refuse, has none."""
    try:
        return tag in option_tags(message, name)
    except SipSyntaxError:
        return False


def session_expires(message: Message) -> int | None:
    """Seconds until a session is over that nobody refreshes (RFC 4028 §4); None where there is no such timer."""
    value = (message.get("session-expires") or "").partition(";")[0].strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None


def replaces(message: Message) -> list[Replaces]:
    """The dialogs that an INVITE means to take over; a malformed header, which isn't ours to refuse, means none."""
    found = []
    for value in message.all("replaces"):
        call_id, _, _ = value.partition(";")
        try:
            params = _parse_params(value, len(call_id), "Replaces")
        except SipSyntaxError:
            continue
        tags = [param(params, name) for name in ("to-tag", "from-tag")]
        found.append(Replaces(call_id.strip(), frozenset(tag for tag in tags if tag) if all(tags) else frozenset()))
    return found


def top_via(message: Message) -> Via:
    """The topmost Via."""
    value = first_value(message, "via")
    if value is None:
        raise SipSyntaxError("no `Via`")
    return parse_via(value)


def address(message: Message, name: str) -> NameAddr:
    """The first From, To or Contact."""
    return parse_name_addr(message.get(name) or "", name)


def param(params: Params, name: str) -> str | None:
    """Value of a parameter, case-insensitive name; None when absent or without value."""
    return next((value for key, value in params if key.lower() == name), None)


def has_param(params: Params, name: str) -> bool:
    """Whether a parameter is there, with or without value."""
    return any(key.lower() == name for key, _ in params)


def comparable_host(host: str) -> str:
    """Lower case, IPv6 without brackets and in its short form."""
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" not in bare:
        return bare.lower()
    try:
        return str(ipaddress.IPv6Address(bare))
    except ValueError:
        return bare.lower()


def bracketed(host: str) -> str:
    """The host as URIs and sent-by want it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _parse_params(text: str, position: int, name: str) -> Params:
    params = []
    while match := _PARAM.match(text, position):
        params.append((match[1], match[2]))
        position = match.end()
    if text[position:].strip():
        raise SipSyntaxError(f"malformed parameters in `{name}`")
    return tuple(params)


def _print_params(params: Params) -> str:
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in params)


def _port(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    if not 0 < int(text) < 65536:
        raise SipSyntaxError(f"port out of range in `{name}`")
    return int(text)


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _require_ipv6(host: str) -> None:
    if not _is_ipv6(host):
        raise SipSyntaxError("malformed IPv6 address in `Via`")


def _index(message: Message, name: str) -> int:
    return next(i for i, field in enumerate(message.fields) if field.name == name)
