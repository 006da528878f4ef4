"""What PBX and IVR may have the engine do to a running call: say who is on it, tell an answer, pause, find it.

A call goes by our own reference or by its SIP Call-ID. What was refused to whom isn't told apart: the answers carry
nothing about agents, seats, or whether anything is recorded.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from gateway.call.model import SipCallId
from gateway.control import protocol as p
from gateway.engine.engine import Engine
from gateway.engine.errors import Refused
from gateway.engine.hearsay import Spoken
from gateway.engine.leg_figures import spoken, told_of
from gateway.engine.live_call import LiveCall
from gateway.media.plane import CallRef
from policy.decision import Purpose
from policy.intersection import combined

__all__ = ["machine_commands"]

Answer = dict[str, Any]


def machine_commands(engine: Engine) -> dict[type, Callable[[Any], Awaitable[Answer]]]:
    """The part of the table of commands that is about calls, not about persons."""
    these = _MachineCommands(engine)
    return {
        p.AgentOnCall: these.agent_on_call,
        p.CallerAnswered: these.caller_answered,
        p.PauseCall: these.pause,
        p.FindCall: these.find_call,
        p.CallLadder: these.ladder,
    }


class _MachineCommands:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def agent_on_call(self, command: p.AgentOnCall) -> Answer:
        live = self._call(command.call)
        self._engine.hearsay.lease(live, command.extension, command.ttl_s, command.queue)
        return {"call": live.call.ref}

    async def caller_answered(self, command: p.CallerAnswered) -> Answer:
        live, hearsay = self._call(command.call), self._engine.hearsay
        try:
            purpose = Purpose(command.purpose)
        except ValueError:
            raise Refused("purpose_unknown", "no such purpose", 422) from None
        if command.answer == "no":
            hearsay.ivr_refused(live, command.ivr, purpose)
        elif command.answer == "silence":
            hearsay.ivr_heard_nothing(live, purpose)
        else:
            hearsay.ivr_agreed(live, command.ivr, purpose, _spoken(command))
            await live.worked()
            if purpose not in live.call.said.proven and not live.call.said.refused(purpose):
                raise Refused("storage_unavailable", "the receipt could not be written", 503)
        return {"call": live.call.ref}

    async def pause(self, command: p.PauseCall) -> Answer:
        live = self._call(command.call)
        leg = live.call.leg
        if leg is None or (command.by != "pbx" and command.by != f"agent:{leg.agent}"):
            raise Refused("call_unknown", "no such running call", 404)
        agreements = self._engine.site.about(leg.agent, live.call.new.queue)
        if command.on and agreements and "api" not in combined(agreements).pause_triggers:
            raise Refused("pause_not_agreed", "the agreement names no pause by API", 409)
        return {"paused": self._engine.pause(live, command.by, command.on)}

    async def find_call(self, command: p.FindCall) -> Answer:
        live = self._engine.calls.get(SipCallId(command.call_id))
        return {"call": live.call.ref if live is not None else None}

    async def ladder(self, command: p.CallLadder) -> Answer:
        found = self._engine.ladder.rungs(command.call)
        if found is None:
            raise Refused("call_unknown", "no call of the last 24 hours has this reference", 404)
        rungs, missed = found
        told = [{"after_s": rung.after_s, "by": rung.by.value, "said": rung.said} for rung in rungs]
        live = self._engine.by_ref.get(CallRef(command.call))
        counts = await self._engine.reports.counts(live) if live is not None else {}
        media = {flow.split("/", 1)[1]: _rounded(told_of(count)) for flow, count in spoken(counts).items()}
        return {"rungs": told, "missed": missed, "media": media}

    def _call(self, name: str) -> LiveCall:
        live = self._engine.by_ref.get(CallRef(name)) or self._engine.calls.get(SipCallId(name))
        if live is None:
            raise Refused("call_unknown", "no such running call", 404)
        return live


def _spoken(command: p.CallerAnswered) -> Spoken | None:
    """None where something is missing: then the yes proves nothing."""
    if command.prompt_sha256 is None or command.prompt_end is None or command.answered_at is None:
        return None
    ended, answered = _instant(command.prompt_end), _instant(command.answered_at)
    return Spoken(command.prompt_sha256, ended, answered) if ended is not None and answered is not None else None


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.utcoffset() is not None else None


def _rounded(measures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in measures.items()}
