"""What routes ask for: the services, the principal behind the request, a scope, the agent whose session it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Final, cast
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPBearer

from api.errors import Problem
from api.reads import AgentRow
from api.roles import Principal, Role
from api.services import Services
from api.shield import UNSAFE

__all__ = ["COOKIE", "AgentId", "Enroller", "Parts", "Who", "check_origin", "need", "optional_principal"]

COOKIE: Final = "fairtap_session"
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, scheme_name="session")
_bearer = HTTPBearer(auto_error=False, scheme_name="token")


def services(request: Request) -> Services:
    """The parts of this API."""
    return cast(Services, request.app.state.services)


Parts = Annotated[Services, Depends(services)]


def client_address(request: Request) -> str:
    """Where the request came from, for rate limits only."""
    return request.client.host if request.client is not None else ""


def check_origin(request: Request) -> None:
    """Refuse a request that another site's page may have sent (cookies travel by themselves)."""
    if request.headers.get("origin") != own_origin(request):
        raise Problem("foreign-origin", 403, "this request has to come from our own pages: send our own Origin")


def own_origin(request: Request) -> str:
    """`scheme://host[:port]` under which pages of this API are loaded."""
    public_url = services(request).config.api.public_url
    parts = urlsplit(public_url) if public_url else urlsplit(str(request.base_url))
    return f"{parts.scheme}://{parts.netloc}"


async def optional_principal(request: Request, parts: Parts) -> Principal | None:
    """Who sent this, or `None`; raises `Problem` for a bearer token that isn't valid."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme:
        found = await parts.accounts.by_token(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            await parts.rates.spend("anonymous", client_address(request))
            raise Problem("token-invalid", 401, "this token isn't valid", {"WWW-Authenticate": "Bearer"})
        return found
    secret = request.cookies.get(COOKIE)
    return await parts.accounts.by_session(secret) if secret else None


async def principal(
    request: Request,
    parts: Parts,
    found: Annotated[Principal | None, Depends(optional_principal)],
    _cookie: Annotated[str | None, Security(_cookie)],
    _token: Annotated[object, Security(_bearer)],
) -> Principal:
    """Who sent this; raises `Problem` for nobody, for a foreign page, and for one request too many."""
    if found is None:
        await parts.rates.spend("anonymous", client_address(request))
        raise Problem("sign-in-needed", 401, "sign in first", {"WWW-Authenticate": "Bearer"})
    if found.by_cookie and request.method in UNSAFE:
        check_origin(request)
    kind = "machine" if found.role in (Role.PBX, Role.IVR) else "known"
    await parts.rates.spend("ack" if request.url.path.endswith("/live/ack") else kind, found.ref)
    return found


Who = Annotated[Principal, Depends(principal)]


def need(*scopes: str) -> Callable[[Principal], Awaitable[Principal]]:
    """A dependency that lets only holders of one of `scopes` pass."""

    async def checked(who: Who) -> Principal:
        if who.scopes.isdisjoint(scopes):
            raise Problem("not-permitted", 403, f"this needs `{'` or `'.join(scopes)}`")
        return who

    return checked


async def own_agent(who: Annotated[Principal, Depends(need("me:act"))]) -> str:
    """The agent whose own, enrolled session this is; nothing else acts for an agent."""
    if who.agent is None or who.role is not Role.AGENT:
        raise Problem("not-permitted", 403, "only the agent's own session does this")
    return who.agent


AgentId = Annotated[str, Depends(own_agent)]


async def enroller(who: Annotated[Principal, Depends(need("me:enrol"))]) -> Principal:
    """The session of a spent enrolment code."""
    return who


Enroller = Annotated[Principal, Depends(enroller)]


async def own_row(who: Annotated[Principal, Depends(need("me:read"))], parts: Parts) -> AgentRow:
    """The roster line of the agent whose session this is."""
    row = await parts.site.agent(who.agent) if who.agent is not None else None
    if row is None or not row.enabled:
        raise Problem("agent-unknown", 404, "this agent isn't on the roster")
    return row


OwnRow = Annotated[AgentRow, Depends(own_row)]
