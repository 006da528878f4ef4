"""Coaches: let in by council or officer, seen by agents with what proves their keys. No route tells who released."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.bundles import unbase64
from api.deps import Parts, need
from api.errors import Problem
from api.reads import CoachRow
from api.repeats import keeps_secret
from api.roles import Principal, Role
from api.routes.session import give
from api.schemas.agents import Enrolment
from api.schemas.bodies import HexId, SignedStatement
from api.schemas.draws import ProvenOut
from api.schemas.releases import CoachCode, CoachKeyOut, CoachList, CoachMe, CoachOut, NewCoach
from api.schemas.sign_in import SessionInfo
from gateway.control.protocol import AddCoach, DisableCoach, EnrolCoach, Signed
from policy.key_words import key_words

router = APIRouter(prefix="/coaches", tags=["coaches"])
Admits = Annotated[Principal, Depends(need("coaches:admit"))]
Coach = Annotated[Principal, Depends(need("coach:read"))]


@router.get("", dependencies=[Depends(need("coaches:read"))])
async def list_coaches(parts: Parts) -> CoachList:
    """Whom an agent may release to, each with the log's entry of their key."""
    return CoachList(coaches=[shown for row in await parts.site.coaches() if (shown := _out(row)) is not None])


@router.post("", status_code=201)
async def add_coach(body: NewCoach, request: Request, parts: Parts, who: Admits) -> CoachCode:
    """A coach and their enrolment code, shown only in this answer, to be handed over in person."""
    keeps_secret(request.scope)
    coach = (await parts.control.request(AddCoach(body.name)))["id"]
    code, expires_in = await parts.accounts.admit_coach(coach, who.role)
    return CoachCode(coach=coach, code=code, expires_in=expires_in)


@router.get("/me")
async def me(who: Coach, parts: Parts) -> CoachMe:
    """The coach's own data; the key bundle as it was sealed in the coach's browser."""
    row = await parts.site.coach(who.coach or "")
    if row is None or not row.enabled:
        raise Problem("coach-unknown", 404, "there is no such coach any more")
    bundle = await parts.accounts.bundle(row.id) if who.role is Role.COACH else None
    key = row.key
    return CoachMe(
        id=row.id, name=row.name, role=who.role, session=who.ref,
        recipient=key.recipient if key else None,
        words=key_words(key.recipient) if key else None,
        signing_key=key.signing_key if key else None,
        bundle=None if bundle is None else base64.b64encode(bundle).decode(),
    )  # fmt: skip


@router.post("/me/enrolment", status_code=201)
async def enrol(
    body: Enrolment,
    request: Request,
    response: Response,
    who: Annotated[Principal, Depends(need("coach:enrol"))],
    parts: Parts,
) -> SessionInfo:
    """Bind the coach's new keys. What was released to older ones can't be heard any more."""
    keeps_secret(request.scope)
    coach, bundle = who.coach or "", unbase64(body.bundle) if body.bundle is not None else None
    if not await parts.accounts.login_is_free(body.login, coach):
        raise Problem("login-taken", 409, "this sign-in name is taken; choose another")
    statement = Signed(body.statement.document, body.statement.signature)
    await parts.control.request(EnrolCoach(coach, body.signing_key, statement))
    await parts.accounts.enrol(coach, body.login, body.password, bundle)
    return give(await parts.accounts.open_session(Role.COACH, coach), response, parts)


@router.post("/{coach}/codes", status_code=201)
async def create_code(coach: HexId, request: Request, parts: Parts, who: Admits) -> CoachCode:
    """Another enrolment code, for new keys."""
    keeps_secret(request.scope)
    row = await parts.site.coach(coach)
    if row is None or not row.enabled:
        raise Problem("coach-unknown", 404, "there is no such coach")
    code, expires_in = await parts.accounts.admit_coach(coach, who.role)
    return CoachCode(coach=coach, code=code, expires_in=expires_in)


@router.delete("/{coach}", status_code=204, dependencies=[Depends(need("coaches:admit"))])
async def disable_coach(coach: HexId, parts: Parts) -> None:
    """No sign-in any more, and every release to this coach ends."""
    await parts.control.request(DisableCoach(coach))
    await parts.accounts.disable(coach)


def _out(row: CoachRow) -> CoachOut | None:
    key = row.key
    if key is None:
        return None
    told = {name: None if value is None else str(value) for name, value in key.told.items()}
    statement = SignedStatement(document=key.statement, signature=key.signature)
    shown = CoachKeyOut(
        recipient=key.recipient, words=key_words(key.recipient), signing_key=key.signing_key, statement=statement,
        told=told, salt=key.salt, entry=ProvenOut(**asdict(key.entry)),
    )  # fmt: skip
    return CoachOut(id=row.id, name=row.name, key=shown)
