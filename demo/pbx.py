"""A simulated PBX between trunk and gateway: registrar (RFC 3261 §10, Path of RFC 3327) and Record-Route proxy.

It takes the trunk's call to a service number, picks an extension, names extension and queue in `X-Fairtap-*` headers
and sends the call to the phone by way of the gateway. No media, no voicemail; not a model of any product.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from demo.link import Hop, Link, Lose
from gateway.sip.build import build_response, strip_private_headers
from gateway.sip.errors import SipError
from gateway.sip.headers import (
    address,
    has_param,
    list_values,
    parse_name_addr,
    parse_uri,
    pop_first,
    replace_first,
    top_via,
)
from gateway.sip.message import Request, Response


@dataclass(frozen=True, slots=True)
class Placed:
    """To whom the PBX gives a call."""

    extension: str
    queue: str | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a registered phone is."""

    contact: str
    """URI of its Contact."""
    path: tuple[str, ...]
    """Route values towards it, ours not among them."""


@dataclass(frozen=True, slots=True)
class _Forwarded:
    """What was done with a request, so that its repeats, its CANCEL and its ACK go the same way."""

    branch: str
    uri: str
    hop: Hop
    routes: tuple[str, ...]
    headers: tuple[tuple[str, str], ...] = ()
    """What the PBX says about the call in an INVITE."""


Place = Callable[[str, Request], Placed | None]
"""Called with the dialled number and the INVITE; None: busy."""


class Pbx:
    """The element; use it as a context manager."""

    def __init__(
        self,
        bind: tuple[str, int],
        place: Place,
        *,
        gateway: Hop | None = None,
        trunk: Hop | None = None,
        lose: Lose | None = None,
    ) -> None:
        self.gateway = gateway
        """Caller side of the gateway; None: phones are called directly."""
        self.trunk = trunk
        """Where calls of phones to the outside go."""
        self.bindings: dict[str, Binding] = {}
        self._bind = bind
        self._place = place
        self._lose = lose
        self._link: Link | None = None
        self._forwarded: dict[tuple[str, str], _Forwarded] = {}
        self._origins: dict[str, Hop] = {}

    async def __aenter__(self) -> Self:
        self._link = await Link.open(self._bind, self._deliver, self._lose)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.link.close()

    @property
    def link(self) -> Link:
        """Its sockets."""
        if self._link is None:
            raise RuntimeError("the PBX isn't plugged in: use `async with`")
        return self._link

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens for SIP."""
        return self.link.host, self.link.port

    def _deliver(self, message: Request | Response, origin: Hop) -> None:
        try:
            if isinstance(message, Response):
                self._send_back(message)
            else:
                self._take_request(message, origin)
        except SipError:
            self.link.malformed += 1

    def _send_back(self, response: Response) -> None:
        ours = top_via(response)
        pop_first(response, "via")
        origin = self._origins.get(ours.branch)
        if origin is not None and response.get("via"):
            self.link.send(response, origin)

    def _take_request(self, request: Request, origin: Hop) -> None:
        stamped = top_via(request).stamped(origin.host, origin.port)
        replace_first(request, "via", str(stamped))
        reply_to = origin if origin.transport == "tcp" else Hop("udp", *stamped.reply_address)
        known = self._forwarded.get((stamped.branch, origin.host))
        if request.method == "REGISTER":
            self._register(request, reply_to)
        elif known is not None:
            self._send_on(request, known, reply_to)
        elif address(request, "to").tag is not None:
            self._send_within_dialog(request, reply_to)
        elif request.method == "INVITE":
            self._place_call(request, reply_to)
        elif request.method != "ACK":
            status = {"OPTIONS": 200, "CANCEL": 481}.get(request.method, 405)
            self.link.send(build_response(request, status, to_tag=secrets.token_hex(4)), reply_to)

    def _register(self, request: Request, reply_to: Hop) -> None:
        contact = address(request, "contact")
        user = parse_uri(address(request, "to").uri).user or ""
        path = tuple(list_values(request, "path"))
        self.bindings[user] = Binding(contact.uri, path)
        extra = [("Contact", f"<{contact.uri}>;expires=3600"), *(("Path", value) for value in path)]
        self.link.send(build_response(request, 200, to_tag=secrets.token_hex(4), extra=extra), reply_to)

    def _place_call(self, invite: Request, reply_to: Hop) -> None:
        number = parse_uri(invite.uri).user or ""
        if self.gateway is not None and (reply_to.host, reply_to.port) == (self.gateway.host, self.gateway.port):
            self._call_out(invite, number, reply_to)
            return
        placed = self._place(number, invite)
        binding = self.bindings.get(placed.extension) if placed is not None else None
        if placed is None or binding is None:
            status, reason = (486, "Busy Here") if placed is None else (404, "Not Found")
            self.link.send(build_response(invite, status, reason, secrets.token_hex(4)), reply_to)
            return
        headers = [("X-Fairtap-Extension", placed.extension)]
        if placed.queue is not None:
            headers.append(("X-Fairtap-Queue", placed.queue))
        hop = self.gateway or Hop.of_uri(binding.contact)
        self._send_first(invite, _Forwarded(_branch(), binding.contact, hop, binding.path, tuple(headers)), reply_to)

    def _call_out(self, invite: Request, number: str, reply_to: Hop) -> None:
        if self.trunk is None:
            self.link.send(build_response(invite, 404, "Not Found", secrets.token_hex(4)), reply_to)
            return
        self._drop_own_routes(invite)
        uri = f"sip:{number}@{self.trunk.host}:{self.trunk.port}"
        self._send_first(invite, _Forwarded(_branch(), uri, self.trunk, ()), reply_to)

    def _send_first(self, invite: Request, way: _Forwarded, reply_to: Hop) -> None:
        self._remember(invite, way, reply_to)
        self._send_on(invite, way, reply_to)

    def _send_within_dialog(self, request: Request, reply_to: Hop) -> None:
        self._drop_own_routes(request)
        routes = list_values(request, "route")
        towards = parse_name_addr(routes[0]).uri if routes else request.uri
        way = _Forwarded(_branch(), request.uri, Hop.of_uri(towards), tuple(routes))
        self._remember(request, way, reply_to)
        self._send_on(request, way, reply_to)

    def _remember(self, request: Request, way: _Forwarded, reply_to: Hop) -> None:
        self._forwarded[top_via(request).branch, reply_to.host] = way

    def _send_on(self, request: Request, way: _Forwarded, reply_to: Hop) -> None:
        self._origins[way.branch] = reply_to
        request.remove("route")
        for route in reversed(way.routes):
            request.insert("Route", route)
        request.set_uri(way.uri)
        if request.method == "INVITE":
            strip_private_headers(request)
            for name, value in way.headers:
                request.insert(name, value)
            self._record_route(request, reply_to.transport, way.hop.transport)
        hops = int(request.get("max-forwards") or 70)
        request.set("max-forwards", str(hops - 1))
        request.insert("via", self.link.via(way.hop.transport, way.branch))
        self.link.send(request, way.hop)

    def _record_route(self, request: Request, incoming: str, outgoing: str) -> None:
        # RFC 5658: one value for each transport, so that either end finds its own
        for transport in (incoming, outgoing) if incoming != outgoing else (outgoing,):
            request.insert("Record-Route", f"<{self.link.uri('', transport, 'lr')}>")

    def _drop_own_routes(self, request: Request) -> None:
        while request.get("route") is not None:
            uri = parse_uri(parse_name_addr(list_values(request, "route")[0]).uri)
            if uri.hostport != self.address or not has_param(uri.params, "lr"):
                return
            pop_first(request, "route")


def _branch() -> str:
    return f"z9hG4bK{secrets.token_hex(8)}"
