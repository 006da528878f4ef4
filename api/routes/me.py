"""The agent's own room: enrolment, consents, seat, blackout, the live light and its acknowledgements, Stop.

Every act here needs the agent's own session; a *yes* carries the agent's signature, which the gateway verifies.
"""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from api.bundles import unbase64
from api.deps import AgentId, Enroller, OwnRow, Parts, Who, need
from api.errors import Problem
from api.live import LiveResponse
from api.reads import DrawRow
from api.repeats import keeps_secret
from api.roles import Principal, Role
from api.routes.session import give
from api.schemas.agents import (
    Ack,
    Blackout,
    CallerYes,
    ConsentAnswer,
    Enrolment,
    InCallAnswer,
    Me,
    RecordRequest,
    SeatClaim,
)
from api.schemas.bodies import CallRef, Done, PurposeName, SignedStatement
from api.schemas.draws import DrawnEpochOut, OwnDraw, OwnDrawPage, OwnEntry, OwnEntryPage, ProvenOut
from api.schemas.sign_in import SessionInfo
from gateway.control.protocol import (
    Acknowledge,
    CallerAgreed,
    CallerRefused,
    ClaimSeat,
    ConsentInCall,
    Enrol,
    ReadCode,
    ReleaseSeat,
    RequestRecord,
    SetBlackout,
    SetConsent,
    Signed,
    StopRecording,
)

router = APIRouter(prefix="/agents/me", tags=["agent"])


@router.get("")
async def me(row: OwnRow, who: Who, parts: Parts) -> Me:
    """The agent's own data; the key bundle as it was sealed in the agent's browser."""
    bundle = await parts.accounts.bundle(row.id) if who.role is Role.AGENT else None
    return Me(
        id=row.id, name=row.name, group=row.group, site=row.site, role=who.role, session=who.ref,
        recipient=row.recipient, signing_key=row.signing_key, extension=row.extension, seat_seq=row.seat_seq,
        blackout=row.blackout, consents=dict(row.consents), consent_seqs=dict(row.consent_seqs),
        ask_again_at=dict(row.ask_again_at), enrolments=row.enrolments, enrolled_from=row.enrolled_from,
        bundle=None if bundle is None else base64.b64encode(bundle).decode(),
    )  # fmt: skip


@router.get("/entries")
async def entries(
    agent: AgentId,
    parts: Parts,
    cursor: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> OwnEntryPage:
    """What the log says of the agent, opened for nobody else: enrolments, holds, erasures, accesses; with proofs."""
    rows = await parts.site.own_entries(agent, cursor, limit + 1)
    items = [OwnEntry.model_validate(asdict(row)) for row in rows[:limit]]
    return OwnEntryPage(items=items, next=items[-1].id if len(rows) > limit else None)


@router.get("/draws")
async def draws(
    agent: AgentId,
    parts: Parts,
    cursor: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> OwnDrawPage:
    """The agent's own legs in the log, sealed to the agent's key, with proofs and what the draw is recomputed from."""
    found = await parts.site.own_draws(agent, cursor, limit + 1)
    items = [_own_draw(row) for row in found.items[:limit]]
    epochs = [DrawnEpochOut.model_validate(asdict(one)) for one in found.epochs]
    return OwnDrawPage(items=items, epochs=epochs, next=items[-1].id if len(found.items) > limit else None)


def _own_draw(row: DrawRow) -> OwnDraw:
    sealed = base64.b64encode(row.sealed).decode()
    return OwnDraw(id=row.id, kind=row.kind, sealed=sealed, entry=ProvenOut(**asdict(row.entry)))


@router.post("/enrolment", status_code=201)
async def enrol(body: Enrolment, request: Request, response: Response, who: Enroller, parts: Parts) -> SessionInfo:
    """Bind the agent's new keys. Resets all consents; a code is spent for it, so a stolen password can't do it."""
    keeps_secret(request.scope)
    agent = who.agent or ""
    bundle = unbase64(body.bundle) if body.bundle is not None else None
    if not await parts.accounts.login_is_free(body.login, agent):
        raise Problem("login-taken", 409, "this sign-in name is taken; choose another")
    await parts.control.request(Enrol(agent, body.signing_key, _signed(body.statement)))
    await parts.accounts.enrol(agent, body.login, body.password, bundle)
    return give(await parts.accounts.open_session(Role.AGENT, agent), response, parts)


@router.put("/consents/{purpose}")
async def set_consent(purpose: PurposeName, body: ConsentAnswer, agent: AgentId, parts: Parts) -> Done:
    """A standing answer. A yes is signed by the agent's key; a no works at once without."""
    if body.answer == "yes" and body.statement is None:
        raise Problem("statement-needed", 422, "a yes has to be signed with your own key")
    statement = _signed(body.statement) if body.statement is not None and body.answer == "yes" else None
    return Done(**await parts.control.request(SetConsent(agent, purpose, body.answer, statement)))


@router.put("/seat")
async def claim_seat(body: SeatClaim, agent: AgentId, parts: Parts) -> Done:
    """Take a seat: the agent's own signed claim of an extension."""
    return Done(**await parts.control.request(ClaimSeat(agent, _signed(body.statement))))


@router.delete("/seat", status_code=204)
async def release_seat(agent: AgentId, parts: Parts) -> None:
    """Leave the seat; needs no key."""
    await parts.control.request(ReleaseSeat(agent))


@router.put("/blackout")
async def set_blackout(body: Blackout, agent: AgentId, parts: Parts) -> Done:
    """No call of mine is recorded until further notice; no reason is asked or stored."""
    return Done(**await parts.control.request(SetBlackout(agent, body.on)))


# --- the light ------------------------------------------------------------------------------------------------------


@router.get("/live", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
async def live(who: Annotated[Principal, Depends(need("me:act"))], agent: AgentId, parts: Parts) -> Response:
    """Server-sent events: `snapshot` first, then `leg`, `heartbeat`, `recordings`, `unknown`, `alive`."""
    lasts = (who.expires or 0) - parts.clock.wallclock().timestamp()
    return LiveResponse(parts.hub, agent, who.ref, lasts, parts.alive_s)


@router.post("/live/ack", status_code=204)
async def acknowledge(body: Ack, who: Who, agent: AgentId, parts: Parts) -> None:
    """This very event was shown. Without a fresh one of the call's own event nothing is recorded."""
    page = parts.hub.page_of(agent, who.ref, body.page)
    await parts.control.request(Acknowledge(agent, page, body.call, body.seq, body.nonce, body.state, body.shown))


# --- in the call ----------------------------------------------------------------------------------------------------


@router.post("/calls/{call}/stop")
async def stop(call: CallRef, agent: AgentId, parts: Parts) -> Done:
    """Stop recording this call: final."""
    return Done(**await parts.control.request(StopRecording(agent, call)))


@router.post("/calls/{call}/caller-refused")
async def caller_refused(call: CallRef, agent: AgentId, parts: Parts) -> Done:
    """The caller says no: stop, and destroy what this call's recording holds."""
    return Done(**await parts.control.request(CallerRefused(agent, call)))


@router.post("/calls/{call}/request-record")
async def request_record(call: CallRef, body: RecordRequest, agent: AgentId, parts: Parts) -> Done:
    """Record this call for the caller, or for oneself: entered, then the caller is asked. The press is a signed yes."""
    return Done(**await parts.control.request(RequestRecord(agent, call, body.lane, _signed(body.statement))))


@router.post("/calls/{call}/caller-agreed")
async def caller_agreed(call: CallRef, body: CallerYes, agent: AgentId, parts: Parts) -> Done:
    """The caller told the agent yes: signed by the agent's key, where the agreement takes that."""
    said = CallerAgreed(agent, call, body.purpose, _signed(body.statement))
    return Done(**await parts.control.request(said))


@router.post("/calls/{call}/consent")
async def consent_in_call(call: CallRef, body: InCallAnswer, agent: AgentId, parts: Parts) -> Done:
    """The agent's own answer for this call; a yes is signed by the agent's key."""
    if body.answer == "yes" and body.statement is None:
        raise Problem("statement-needed", 422, "a yes has to be signed with your own key")
    statement = _signed(body.statement) if body.statement is not None and body.answer == "yes" else None
    return Done(**await parts.control.request(ConsentInCall(agent, call, body.purpose, body.answer, statement)))


@router.post("/calls/{call}/read-code")
async def read_code(call: CallRef, agent: AgentId, parts: Parts) -> Done:
    """Read the record code to the caller, digit by digit, twice."""
    return Done(**await parts.control.request(ReadCode(agent, call)))


@router.delete("/calls/{call}/read-code", status_code=204)
async def stop_reading(call: CallRef, agent: AgentId, parts: Parts) -> None:
    """Stop reading it: the caller hears the agent again."""
    await parts.control.request(ReadCode(agent, call, on=False))


def _signed(statement: SignedStatement) -> Signed:
    return Signed(statement.document, statement.signature)
