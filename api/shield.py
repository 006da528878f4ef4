"""What stands before every route: known host, size and form of the body, security headers, counters.

Pure ASGI, so that a closed connection is still noticed at once by the live feed behind it.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem_response
from crypto.errors import JcsError
from crypto.jcs import parse_json
from gateway.clock import Clock

__all__ = ["MAX_BODY", "RequestCounters", "Shield", "allowed_hosts"]

MAX_BODY: Final = 512 * 1024
UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; media-src 'self' blob:; worker-src 'self'; manifest-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "microphone=(), camera=(), geolocation=()",
}


_PERSONAL: Final = ("/v1/agents/me", "/v1/recordings", "/v1/records", "/v1/calls/{call:path}/consent")


class RequestCounters:
    """Requests by route and status, no address, name or reference; of what agents do and callers say, only faults."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "status")
        self.requests = Counter("fairtap_api_requests_total", "Answered requests", labels, registry=registry)
        self.seconds = Histogram("fairtap_api_request_seconds", "Time to the first byte", ("route",), registry=registry)


def allowed_hosts(listen: str, public_url: str, behind_proxy: bool) -> frozenset[str] | None:
    """Names this server answers to (against DNS rebinding); `None`: any, where only a proxy or the world knows."""
    host = listen.rpartition(":")[0].removeprefix("[").removesuffix("]")
    if public_url:
        return frozenset({(urlsplit(public_url).hostname or "").lower(), host, "localhost", "127.0.0.1", "::1"})
    if behind_proxy or not (host.startswith("127.") or host == "::1"):
        return None
    return frozenset({host, "localhost", "127.0.0.1", "::1"})


class Shield:
    """Wraps the application."""

    def __init__(
        self, app: ASGIApp, *, clock: Clock, counters: RequestCounters, hosts: frozenset[str] | None, secure: bool
    ) -> None:
        self._app = app
        self._clock = clock
        self._counters = counters
        self._hosts = hosts
        self._secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._clock.now()

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._dress(scope, message)
                self._count(scope, message["status"], self._clock.now() - started)
            await send(message)

        refusal = self._refuse_host(scope)
        if refusal is None and scope["method"] in UNSAFE:
            refusal, receive = await _checked_body(scope, receive)
        await (refusal or self._app)(scope, receive, guarded_send)

    def _refuse_host(self, scope: Scope) -> ASGIApp | None:
        if self._hosts is None:
            return None
        name = urlsplit("//" + Headers(scope=scope).get("host", "")).hostname or ""
        return None if name in self._hosts else problem_response("unknown-host", 421, "this server has another name")

    def _dress(self, scope: Scope, message: MutableMapping[str, Any]) -> None:
        headers = MutableHeaders(raw=message.setdefault("headers", []))
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        if self._secure:
            headers.setdefault("strict-transport-security", "max-age=31536000")
        if not scope["path"].startswith("/static/"):
            headers.setdefault("cache-control", "no-store")

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        # the template, never the path: a path holds references
        route = getattr(scope.get("route"), "path", "none")
        if scope["path"].startswith("/v1/") and route != "none" and not route.startswith("/v1/"):
            route = "/v1" + route  # an included router's route may know only its own part
        if route.startswith(_PERSONAL) and status < 500:
            return  # a count that moves would show when an agent is asked, stops, takes back a yes or listens
        self._counters.requests.labels(scope["method"], route, status).inc()
        self._counters.seconds.labels(route).observe(seconds)


async def _checked_body(scope: Scope, receive: Receive) -> tuple[ASGIApp | None, Receive]:
    """Read the whole body within its limits; a refusal, or a `receive` that gives it again."""
    headers = Headers(scope=scope)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            detail = f"the body is over {MAX_BODY} bytes"
            return problem_response("too-large", 413, detail, {"Connection": "close"}), receive
        if not message.get("more_body"):
            break
    if body:
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return problem_response("media-type", 415, "send application/json"), receive
        try:
            parse_json(bytes(body), limit=MAX_BODY)
        except JcsError as error:
            return problem_response("malformed", 400, str(error)), receive
    return None, _replayed(bytes(body), receive)


def _replayed(body: bytes, receive: Receive) -> Receive:
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
