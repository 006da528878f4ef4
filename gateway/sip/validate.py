"""What must be refused although it is framed well (RFC 3261 §8.2, §16.3; every RFC 4475 message has its verdict).

`validate_request` and `validate_response` look at syntax and at single-value headers; `validate_forwarding` holds the
checks of a proxy that is about to pass a request on. The body and headers of end points aren't looked at.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import TypeVar

from gateway.sip.errors import SipRefused, SipSyntaxError
from gateway.sip.headers import (
    Via,
    address,
    comparable_host,
    list_values,
    option_tags,
    parse_cseq,
    parse_name_addr,
    parse_number,
    parse_uri,
    parse_via,
    uri_scheme,
)
from gateway.sip.message import Message, Request, Response

T = TypeVar("T")
MAX_CSEQ = 2**31 - 1
FORWARDED_SCHEMES = frozenset({"sip", "sips", "tel", "urn"})
"""tel: and urn: (RFC 5031, emergency services) have no host of their own and go to the configured next hop."""
_CALL_ID = re.compile(r"[^\s\x00-\x1f]+\Z", re.ASCII)


def validate_request(request: Request) -> list[Via]:
    """Refuse with 505 or 400 what isn't one well-formed request; returns its Vias, topmost first."""
    if request.version != "2.0":
        raise SipRefused(505, "unsupported SIP version")
    vias = _validate_common(request)
    if parse_cseq(request.get("cseq") or "")[1] != request.method:
        raise SipRefused(400, "method and `CSeq` differ")
    if request.count("max-forwards") > 1:
        raise SipRefused(400, "more than one `Max-Forwards`")
    if request.count("max-forwards"):
        _refusing(lambda: parse_number(request.get("max-forwards") or "", "Max-Forwards", 255))
    scheme = request.uri.partition(":")[0].lower()
    if scheme in ("sip", "sips") and _refusing(lambda: parse_uri(request.uri)).headers:
        raise SipRefused(400, "headers in the request URI")
    _refusing(lambda: [parse_name_addr(value, "Route") for value in list_values(request, "route")])
    return vias


def validate_response(response: Response) -> list[Via]:
    """Refuse (that is: drop) what isn't one well-formed response; returns its Vias, topmost first."""
    if response.version != "2.0":
        raise SipRefused(505, "unsupported SIP version")
    vias = _validate_common(response)
    if any(_is_everyone(via.host) for via in vias[1:]):
        raise SipRefused(400, "a `Via` names a broadcast or multicast address")
    return vias


def validate_forwarding(request: Request, supported: frozenset[str], looped: bool) -> None:
    """The proxy's own checks in the RFC's order: 416, 483, 482, 420 (RFC 3261 §16.3)."""
    if uri_scheme(request.uri) not in FORWARDED_SCHEMES:
        raise SipRefused(416, "unknown scheme of the request URI")
    if request.get("max-forwards") is not None and int(request.get("max-forwards") or "0") == 0:
        raise SipRefused(483, "`Max-Forwards` is used up")
    if looped:
        raise SipRefused(482, "the request was here before, unchanged")
    unknown = [tag for tag in _refusing(lambda: option_tags(request, "proxy-require")) if tag not in supported]
    if unknown:
        spelled = [tag for tag in list_values(request, "proxy-require") if tag.lower() in unknown]
        raise SipRefused(420, "unknown option in `Proxy-Require`", (("Unsupported", ", ".join(spelled)),))


def _validate_common(message: Message) -> list[Via]:
    for name in ("from", "to", "call-id", "cseq"):
        if message.count(name) != 1:
            raise SipRefused(400, f"not exactly one `{name}`")
    _refusing(lambda: address(message, "from"))
    _refusing(lambda: address(message, "to"))
    if not _CALL_ID.match(message.get("call-id") or ""):
        raise SipRefused(400, "malformed `call-id`")
    if _refusing(lambda: parse_cseq(message.get("cseq") or ""))[0] > MAX_CSEQ:
        raise SipRefused(400, "`CSeq` is 2**31 or more")
    vias = _refusing(lambda: [parse_via(value) for value in list_values(message, "via")])
    if not vias:
        raise SipRefused(400, "no `via`")
    return vias


def _refusing(read: Callable[[], T]) -> T:
    try:
        return read()
    except SipSyntaxError as error:
        raise SipRefused(400, str(error)) from None


def _is_everyone(host: str) -> bool:
    try:
        ip = ipaddress.ip_address(comparable_host(host))
    except ValueError:
        return False
    return ip.is_multicast or ip.is_unspecified or ip == ipaddress.IPv4Address("255.255.255.255")
