"""Route, Record-Route and Via work of a two-sided proxy (RFC 3261 §16.4–16.6, RFC 5658 double Record-Route).

A request goes on at the side across from where it arrived. Each Record-Route of ours names its side in a URI parameter,
by which our own entry is known again, also after a restart. Loops are told from spirals by a hash in the branch
(RFC 5393 §4.2).
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.sip.errors import SipSyntaxError
from gateway.sip.headers import (
    SipUri,
    Via,
    address,
    append_last,
    bracketed,
    comparable_host,
    first_value,
    has_option,
    list_values,
    param,
    parse_cseq,
    parse_name_addr,
    parse_uri,
    pop_first,
    pop_last,
    replace_first,
    top_via,
)
from gateway.sip.hop import Hop, Side, Transport
from gateway.sip.message import Request, Response
from gateway.sip.proxy_events import Target

SIDE_PARAM = "fairtap"
_UNROUTED = frozenset({"REGISTER", "ACK", "CANCEL", "MESSAGE", "OPTIONS", "PUBLISH", "BYE", "PRACK", "INFO"})
"""Methods that open no dialog; REGISTER has its Path."""
_FLOW = re.compile(r"(udp|tcp|tls)-((?:[0-9a-f]{8}|[0-9a-f]{32})[0-9a-f]{4})", re.ASCII)


@dataclass(frozen=True, slots=True)
class SideAddresses:
    """What one side calls itself in Via and Record-Route."""

    advertised: Mapping[Transport, tuple[str, int]]
    """Host (IP literal without brackets, or name) and port per transport."""
    aliases: frozenset[tuple[str, int]] = field(default=frozenset())
    """Other addresses that are ours too, such as the bound ones behind NAT."""


@dataclass(frozen=True, slots=True)
class Routed:
    """Where a request goes."""

    to_side: Side
    target: Target | None
    registered: Target | None = None
    """Where the callee's REGISTER came from, as the Path says that we gave it."""


class Routing:
    """Our own names and what follows from them."""

    def __init__(self, sides: Mapping[Side, SideAddresses]) -> None:
        self._sides = sides
        ours = {place for side in sides.values() for place in (*side.advertised.values(), *side.aliases)}
        self._ours = frozenset((comparable_host(host), port) for host, port in ours)

    def is_ours(self, uri: SipUri) -> bool:
        """Whether a URI names one of our listeners."""
        return uri.hostport in self._ours

    def is_our_via(self, via: Via) -> bool:
        """Whether a Via is one that we put on."""
        return via.sent_by in self._ours

    def addressed_to_us(self, request: Request) -> bool:
        """Whether the request-URI is the gateway's and no Route leads on."""
        uri = _sip_uri(request.uri)
        routes = [_route_uri(value) for value in list_values(request, "route")]
        return all(uri is not None and self.is_ours(uri) for uri in (uri, *routes))

    def work_off(self, request: Request, arrived_at: Side, in_dialog: bool) -> Routed:
        """Take our own Routes off `request`, undo and do strict routing, and find the next hop."""
        self._undo_strict(request)
        registered = self._take_own_routes(request)
        # always across, whatever a preloaded Route says: nobody may have us call the carrier in the PBX's name
        to_side = arrived_at.other
        following = _route_uri(first_value(request, "route"))
        if following is not None:
            if not following.loose:
                append_last(request, "route", f"<{request.uri}>")
                request.set_uri(parse_name_addr(pop_first(request, "route")).uri)
            return Routed(to_side, target_of(following))
        uri = _sip_uri(request.uri) if in_dialog or registered is not None else None
        return Routed(to_side, None if uri is None or self.is_ours(uri) else target_of(uri), registered)

    def beyond_us(self, answer: Response) -> list[str]:
        """The Route set from us to whoever answered: what stands before our entry, turned round (RFC 3261 §12.1.2)."""
        recorded = list_values(answer, "record-route")
        own = (number for number, value in enumerate(recorded) if (uri := _route_uri(value)) and self.is_ours(uri))
        return recorded[: next(own, 0)][::-1]

    def record_route(self, request: Request, from_side: Side, came_by: Transport, to_side: Side, by: Transport) -> None:
        """Put both our names into the route set of a dialog that may begin."""
        if request.method in _UNROUTED or address(request, "to").tag is not None:
            return
        secure = request.uri.lower().startswith("sips:")
        request.insert("record-route", self._route_of(from_side, came_by, secure))
        request.insert("record-route", self._route_of(to_side, by, secure))

    def push_path(self, request: Request, source: Hop, to_side: Side, by: Transport) -> None:
        """Have the registrar send calls for this contact back through us (RFC 3327 §5.2), to where it is reached.

        Only for who says that it knows of Path: a registrar refuses one that its client didn't offer.
        """
        if request.method == "REGISTER" and has_option(request, "supported", "path"):
            secure = request.uri.lower().startswith("sips:")
            request.insert("path", self._route_of(to_side, by, secure, _flow(source)))

    def push_via(self, request: Request, side: Side, transport: Transport, branch: str) -> None:
        """Put our Via on top."""
        host, port = self.name(side, transport)
        via = Via(transport.value, host, port, (("rport", None), ("branch", branch)))
        request.insert("via", str(via))

    def name(self, side: Side, transport: Transport) -> tuple[str, int]:
        """What one side calls itself."""
        names = self._sides[side].advertised
        return names[transport] if transport in names else next(iter(names.values()))

    def _route_of(self, side: Side, transport: Transport, secure: bool, user: str = "") -> str:
        """A sips: URI in the request asks for one in its Record-Route (RFC 3261 §16.6), and that says TLS by itself."""
        host, port = self.name(side, transport)
        if secure and transport is Transport.TLS:
            return f"<sips:{user}{bracketed(host)}:{port};lr;{SIDE_PARAM}={side.value}>"
        suffix = "" if transport is Transport.UDP else f";transport={transport.value.lower()}"
        return f"<sip:{user}{bracketed(host)}:{port}{suffix};lr;{SIDE_PARAM}={side.value}>"

    def _undo_strict(self, request: Request) -> None:
        """RFC 3261 §16.4: a strict router put our Record-Route into the request-URI."""
        uri = _sip_uri(request.uri)
        if uri is None or not self.is_ours(uri) or _mark(uri) is None or first_value(request, "route") is None:
            return
        request.set_uri(parse_name_addr(pop_last(request, "route")).uri)

    def _take_own_routes(self, request: Request) -> Target | None:
        registered = None
        while (uri := _route_uri(first_value(request, "route"))) is not None and self.is_ours(uri):
            registered = _registered(uri) or registered
            pop_first(request, "route")
        return registered


def loop_hash(request: Request, arrived_at: Side) -> str:
    """Equal when a request comes back unchanged (RFC 5393 §4.2): everything that routing looks at."""
    number, _ = parse_cseq(request.get("cseq") or "")
    parts = [
        arrived_at.value,
        request.uri,
        address(request, "from").tag or "",
        address(request, "to").tag or "",
        request.get("call-id") or "",
        str(number),
        *request.all("route"),
        *request.all("proxy-require"),
        *request.all("proxy-authorization"),
    ]
    data = "\0".join(parts).encode("utf-8", "surrogateescape")
    return hashlib.blake2s(data, digest_size=6).hexdigest()


def target_of(uri: SipUri) -> Target:
    """The next hop that a URI names; `maddr` is ignored on purpose, it would let a peer aim us elsewhere."""
    try:
        transport = Transport(uri.said_transport) if uri.said_transport else None
    except ValueError:
        transport = None
    return Target(comparable_host(uri.host), uri.port, transport)


def _flow(source: Hop) -> str:
    """Address, port and transport of a contact as the user part of a URI; no secret, and trusted no further."""
    packed = ipaddress.ip_address(source.host).packed + source.port.to_bytes(2)
    return f"{source.transport.value.lower()}-{packed.hex()}@"


def _registered(uri: SipUri) -> Target | None:
    match = _FLOW.fullmatch(uri.user or "")
    if match is None:
        return None
    packed = bytes.fromhex(match[2])
    return Target(str(ipaddress.ip_address(packed[:-2])), int.from_bytes(packed[-2:]), Transport(match[1].upper()))


def _mark(uri: SipUri) -> Side | None:
    value = param(uri.params, SIDE_PARAM)
    return Side(value) if value in set(Side) else None


def _sip_uri(text: str) -> SipUri | None:
    try:
        return parse_uri(text)
    except SipSyntaxError:
        return None


def _route_uri(value: str | None) -> SipUri | None:
    return None if value is None else _sip_uri(parse_name_addr(value, "Route").uri)


def stamp(request: Request, source: Hop) -> tuple[Request, Hop]:
    """A copy with `received` and `rport` in its top Via, and where its responses go; a broken Via stays as it is."""
    request = request.copy()
    try:
        via = top_via(request).stamped(source.host, source.port)
    except SipSyntaxError:
        return request, source
    if str(via) != str(top_via(request)):
        replace_first(request, "via", str(via))
    host, port = via.reply_address if source.transport is Transport.UDP else (source.host, via.sent_by[1])
    return request, Hop(source.side, source.transport, host, port, source.connection)


def state_length(message: Request | Response, hop: Hop) -> None:
    """On a stream a message without a body says so, too (RFC 3261 §18.3)."""
    if hop.transport.reliable and message.get("content-length") is None:
        message.set("content-length", str(len(message.body)))
