"""Sign-in and out: an agent by name and password or by a one-time code, a party by its anchored key."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.accounts import CHALLENGE_S, NewSession
from api.deps import COOKIE, Parts, Who, check_origin, client_address, optional_principal
from api.errors import Problem
from api.repeats import keeps_secret
from api.roles import Principal, Role
from api.schemas.sign_in import Challenge, CodeSignIn, KeySignIn, PasswordSignIn, SessionInfo
from crypto.errors import CryptoError
from crypto.jcs import canonical
from crypto.ssh_key import VerifyKey
from crypto.sshsig import verify

router = APIRouter(prefix="/session", tags=["sign-in"])
NAMESPACE = "fairtap-session@v1"


@router.get("/challenge")
async def new_challenge(request: Request, parts: Parts) -> Challenge:
    """A nonce for council, employer or DPO to sign with their anchored key; good once, for five minutes."""
    await parts.rates.spend("sign-in", client_address(request))
    nonce = await parts.accounts.new_challenge()
    return Challenge(challenge=nonce, site=parts.config.site.name, namespace=NAMESPACE, expires_in=CHALLENGE_S)


@router.post("", status_code=201)
async def sign_in(
    body: PasswordSignIn | CodeSignIn | KeySignIn, request: Request, response: Response, parts: Parts
) -> SessionInfo:
    """A session. It shows pages; a *yes* still needs the person's own key."""
    if "origin" in request.headers:
        check_origin(request)
    keeps_secret(request.scope)
    await parts.rates.spend("sign-in", client_address(request))
    if isinstance(body, PasswordSignIn):
        await parts.rates.spend("name", body.login)
        session = await parts.accounts.sign_in(body.login, body.password)
    elif isinstance(body, CodeSignIn):
        session = await parts.accounts.redeem_code(body.code)
    else:
        session = await _by_key(body, parts)
    return give(session, response, parts)


@router.get("")
async def current(who: Who, parts: Parts) -> SessionInfo:
    """Whose session or token this is."""
    lasts = 0 if who.expires is None else who.expires - int(parts.clock.wallclock().timestamp())
    return _told(who, lasts)


@router.delete("", status_code=204)
async def sign_out(
    request: Request, response: Response, parts: Parts, who: Annotated[Principal | None, Depends(optional_principal)]
) -> None:
    """End the session; its pages go dark. An agent leaves the seat first, by `DELETE /agents/me/seat`."""
    check_origin(request)
    if who is not None and who.by_cookie:
        await parts.accounts.close_session(who.ref)
        parts.hub.end_session(who.ref)
    response.delete_cookie(COOKIE, path="/", secure=parts.secure, httponly=True, samesite="lax")


def give(session: NewSession, response: Response, parts: Parts) -> SessionInfo:
    """Hand a session to its owner's browser."""
    response.set_cookie(
        COOKIE, session.secret, max_age=session.expires_in, path="/", secure=parts.secure, httponly=True, samesite="lax"
    )
    who = session.principal
    return _told(who, session.expires_in)


def _told(who: Principal, expires_in: int) -> SessionInfo:
    return SessionInfo(
        role=who.role, agent=who.agent, coach=who.coach, scopes=sorted(who.scopes), expires_in=expires_in
    )


async def _by_key(body: KeySignIn, parts: Parts) -> NewSession:
    message = canonical({"challenge": body.challenge, "role": body.role, "site": parts.config.site.name})
    keys = await parts.site.anchors(body.role)
    if not await parts.accounts.spend_challenge(body.challenge) or not _signed_by_one(keys, message, body.signature):
        raise Problem("signature-invalid", 401, "this challenge isn't signed by the role's anchored key, or is spent")
    return await parts.accounts.open_session(Role(body.role))


def _signed_by_one(keys: tuple[str, ...] | list[str] | object, message: bytes, signature: str) -> bool:
    for line in keys if isinstance(keys, list | tuple) else ():
        try:
            verify(VerifyKey.parse(line), NAMESPACE, message, signature)
            return True
        except CryptoError:
            continue
    return False
