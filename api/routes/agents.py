"""The roster as others see it: names, no consent, no seat, no call. Codes are made here by council and DPO only."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from api.deps import Parts, need
from api.errors import Problem
from api.reads import AgentRow
from api.repeats import keeps_secret
from api.roles import Principal, Role
from api.schemas.agents import AgentLine, AgentPage, Code, NewAgents
from api.schemas.bodies import Done, HexId
from gateway.control.protocol import AddAgents, DisableAgent, NewAgent

router = APIRouter(prefix="/agents", tags=["agents"])


@router.get("")
async def list_agents(
    parts: Parts,
    who: Annotated[Principal, Depends(need("agents:read"))],
    cursor: Annotated[str, Query(pattern=r"^([0-9a-f]{32})?$")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> AgentPage:
    """Names as entered, in no telling order."""
    rows = await parts.site.agents(cursor, limit + 1)
    counted = who.role is not Role.ADMIN
    items = [_line(row, counted) for row in rows[:limit]]
    return AgentPage(items=items, next=items[-1].id if len(rows) > limit else None)


@router.post("", status_code=201, dependencies=[Depends(need("agents:create"))])
async def add_agents(body: NewAgents, parts: Parts) -> Done:
    """Names into the roster; their ids, in the same order. Grants nothing: no account, no code, no consent."""
    lines = tuple(NewAgent(**line.model_dump()) for line in body.agents)
    added = await parts.control.request(AddAgents(lines))
    # without the names: an answer may be kept for repeats, and the roster is the only place for names
    return Done.model_validate({"agents": [{"id": one["id"]} for one in added["agents"]]})


@router.delete("/{agent}", status_code=204, dependencies=[Depends(need("agents:create"))])
async def disable_agent(agent: HexId, parts: Parts) -> None:
    """Off the roster: no sign-in, seat released, nothing recorded any more. Recordings stay the agent's."""
    await parts.control.request(DisableAgent(agent))
    await parts.accounts.disable(agent)
    parts.hub.end_agent(agent)


@router.post("/{agent}/codes", status_code=201)
async def create_code(
    agent: HexId, request: Request, parts: Parts, who: Annotated[Principal, Depends(need("codes:create"))]
) -> Code:
    """A one-time enrolment code, shown only in this answer, to be handed over in person."""
    keeps_secret(request.scope)
    row = await parts.site.agent(agent)
    if row is None or not row.enabled:
        raise Problem("agent-unknown", 404, "this agent isn't on the roster")
    code, expires_in = await parts.accounts.create_code(agent, who.role)
    return Code(agent=agent, code=code, expires_in=expires_in)


def _line(row: AgentRow, counted: bool) -> AgentLine:
    return AgentLine(
        id=row.id,
        name=row.name,
        group=row.group,
        site=row.site,
        enabled=row.enabled,
        enrolled=row.recipient is not None,
        enrolments=row.enrolments if counted else None,
    )
