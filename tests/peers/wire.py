"""A SIP element whose every message the test writes itself: for what no well-behaved phone sends or shows."""

import asyncio
import secrets
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from demo import sdp
from demo.dialog import new_request
from demo.line import Line
from demo.link import Hop, Link
from gateway.sip.build import build_response
from gateway.sip.headers import list_values
from gateway.sip.message import Request, Response

Headers = Sequence[tuple[str, str]]
WAIT_S = 5.0


class Wire:
    """On one address, UDP; use it as a context manager."""

    def __init__(self, host: str, port: int = 5060) -> None:
        self._bind = host, port
        self._came: asyncio.Queue[tuple[Request | Response, Hop]] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self.link = await Link.open(self._bind, lambda message, hop: self._came.put_nowait((message, hop)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.link.close()

    @property
    def uri(self) -> str:
        """Its Contact."""
        return self.link.uri("wire")

    async def request(self, method: str) -> tuple[Request, Hop]:
        """The next request with this method, and who sent it; what comes before it is forgotten."""
        async with asyncio.timeout(WAIT_S):
            while True:
                message, hop = await self._came.get()
                if isinstance(message, Request) and message.method == method:
                    return message, hop

    async def response(self, status: int) -> Response:
        """The next response with this status, or with any (0); what comes before it is forgotten."""
        async with asyncio.timeout(WAIT_S):
            while True:
                message, _ = await self._came.get()
                if isinstance(message, Response) and status in (0, message.status):
                    return message

    def ask(self, method: str, uri: str, to: str, headers: Headers = (), body: bytes = b"") -> Request:
        """Send a first request to the gateway at `to`; it is returned as it was sent."""
        fields = [
            ("Via", self.link.via("udp", f"z9hG4bK{secrets.token_hex(8)}")),
            ("Max-Forwards", "70"),
            ("From", f"<sip:outside@{self.link.host}>;tag=from-wire"),
            ("To", f"<{uri}>"),
            ("Call-ID", secrets.token_hex(12)),
            ("CSeq", f"1 {method}"),
            ("Contact", f"<{self.uri}>"),
            *headers,
            *([("Content-Type", "application/sdp")] if body else []),
        ]
        made = new_request(method, uri, fields, body)
        self.link.send(made, Hop("udp", to, 5060))
        return made

    def follow(self, method: str, invite: Request, answer: Response, cseq: int = 1, body: bytes = b"") -> None:
        """Send a request within the dialog that an answer to our INVITE made."""
        routes = tuple(reversed(list_values(answer, "record-route")))
        fields = [
            ("Via", self.link.via("udp", f"z9hG4bK{secrets.token_hex(8)}")),
            ("Max-Forwards", "70"),
            *(("Route", route) for route in routes),
            ("From", invite.get("from") or ""),
            ("To", answer.get("to") or ""),
            ("Call-ID", invite.get("call-id") or ""),
            ("CSeq", f"{cseq} {method}"),
            *([("Contact", f"<{self.uri}>"), ("Content-Type", "application/sdp")] if body else []),
        ]
        target = (answer.get("contact") or "").strip("<>")
        self.link.send(new_request(method, target, fields, body), Hop.of_uri(routes[0].strip("<>")))

    def say(
        self, came: tuple[Request, Hop], status: int, tag: str = "wire", headers: Headers = (), body: bytes = b""
    ) -> None:
        """Answer a request, with Contact and what routing needs."""
        request, hop = came
        extra = [
            ("Contact", f"<{self.uri}>"),
            *(("Record-Route", value) for value in request.all("record-route")),
            *headers,
            *([("Content-Type", "application/sdp")] if body else []),
        ]
        response = build_response(request, status, "Said", to_tag=tag, extra=extra)
        response.set_body(body)
        self.link.send(response, hop)


def describe(line: Line) -> bytes:
    """SDP for a line."""
    return sdp.write(sdp.Terms(*line.address, ("PCMA",), 101, "sendrecv"), 1, 1)


def heed(line: Line, body: bytes) -> sdp.Terms:
    """Send to whom an SDP names, from now on."""
    terms = sdp.read(body)
    assert terms is not None
    line.remote = terms.host, terms.port
    line.start()
    return terms
