"""Running calls and why one was (not) recorded, each as far as the asker may know it; what PBX and IVR say of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from api.deps import Parts, need
from api.roles import Principal, Role
from api.schemas.agreements import RunningCall, RunningCallList
from api.schemas.bodies import CallName, CallRef, Done
from api.schemas.machines import CallerAnswer, OnCall
from gateway.control.protocol import AgentOnCall, CallerAnswered, Explain, PauseCall, RunningCalls

router = APIRouter(prefix="/calls", tags=["calls"])
Pauser = Annotated[Principal, Depends(need("calls:pause"))]


@router.get("", dependencies=[Depends(need("calls:read"))])
async def running_calls(parts: Parts) -> RunningCallList:
    """Calls that run now: no numbers, no agents, no recording state."""
    answer = await parts.control.request(RunningCalls())
    items = [RunningCall(call=one["call"], since=one["since"], queue=one.get("queue")) for one in answer["calls"]]
    return RunningCallList(items=items)


@router.get("/{call}/explain")
async def explain(call: CallRef, parts: Parts, who: Annotated[Principal, Depends(need("calls:explain"))]) -> Done:
    """The reasons; what depends on a person is told to that agent alone."""
    return Done(**await parts.control.request(Explain(call, who.agent)))


@router.post("/{call:path}/agent", dependencies=[Depends(need("calls:place"))])
async def agent_on_call(call: CallName, body: OnCall, parts: Parts) -> Done:
    """The PBX says who is on the call, again and again: where it hides transfers, a leg lasts only as long as this."""
    return Done(**await parts.control.request(AgentOnCall(call, body.extension, body.ttl_s, body.queue)))


@router.post("/{call:path}/consent")
async def caller_answered(
    call: CallName, body: CallerAnswer, parts: Parts, who: Annotated[Principal, Depends(need("calls:answer"))]
) -> Done:
    """What the caller answered an IVR, also before anybody picked up. A no is final for its purpose in this call."""
    said = CallerAnswered(call=call, ivr=who.name or "", **body.model_dump())
    return Done(**await parts.control.request(said))


@router.post("/{call:path}/pause")
async def pause(call: CallName, parts: Parts, who: Pauser) -> Done:
    """Pause the recording, as for card data; the call goes on."""
    return Done(**await parts.control.request(PauseCall(call, _by(who), True)))


@router.post("/{call:path}/resume")
async def resume(call: CallName, parts: Parts, who: Pauser) -> Done:
    """Go on after a pause, in a new segment, once every gate is open again."""
    return Done(**await parts.control.request(PauseCall(call, _by(who), False)))


def _by(who: Principal) -> str:
    return f"agent:{who.agent}" if who.role is Role.AGENT else "pbx"
