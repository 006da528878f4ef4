"""Running calls and why one was (not) recorded, each as far as the asker may know it; pause and resume."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from api.deps import Parts, need
from api.roles import Principal, Role
from api.schemas import CallRef, Done, RunningCall, RunningCallList
from gateway.control.protocol import Explain, PauseCall, RunningCalls

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


@router.post("/{call}/pause")
async def pause(call: CallRef, parts: Parts, who: Pauser) -> Done:
    """Pause the recording, as for card data; the call goes on."""
    return Done(**await parts.control.request(PauseCall(call, _by(who), True)))


@router.post("/{call}/resume")
async def resume(call: CallRef, parts: Parts, who: Pauser) -> Done:
    """Go on after a pause, in a new segment, once every gate is open again."""
    return Done(**await parts.control.request(PauseCall(call, _by(who), False)))


def _by(who: Principal) -> str:
    return f"agent:{who.agent}" if who.role is Role.AGENT else "pbx"
