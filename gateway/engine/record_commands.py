"""Commands around a record that somebody asked for: by its code, by council and officer together, erased or held.

A code is in no log and in no refusal; what a caller is told is what lies there, never who the agent is.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, tzinfo
from typing import Any

from gateway.call.code_reading import hush, reading
from gateway.call.stage import Stage
from gateway.control import protocol as p
from gateway.engine.engine import Engine, format_time
from gateway.engine.errors import Refused
from gateway.media.plane import CallRef
from policy.agreement.schema import Agreement
from policy.terms import Purpose, Side
from storage.accesses import Access, Accesses
from storage.erasures import Erasure, Erasures, Hold
from storage.errors import HoldError, RecordingUnknown
from storage.names import SIDES, SegmentKey
from storage.recordings import GOING, Recording, SegmentState

__all__ = ["RecordCommands"]

Answer = dict[str, Any]
UNKNOWN = "no record has this code; perhaps it was erased"
_SHOWN = {SegmentState.OPEN: "recording", SegmentState.SEALED: "kept", SegmentState.ERASED: "erased"}


class RecordCommands:
    """See the module: the part of the command table that deals with kept records."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._recordings = engine.custody.recordings
        self._codes = engine.custody.codes
        self._erasures = Erasures(self._recordings)
        self._accesses = Accesses(self._recordings.database)
        self.table: dict[type, Callable[[Any], Awaitable[Answer]]] = {
            p.ReadCode: self._read_code,
            p.FindRecord: self._find,
            p.EraseByCode: self._erase_by_code,
            p.EraseOwnSide: self._erase_own,
            p.FetchTogether: self._fetch_together,
            p.RecordingAccesses: self._seen,
            p.HoldRecording: self._hold,
            p.LiftHold: self._lift,
        }

    # --- in the call --------------------------------------------------------------------------------------------------

    async def _read_code(self, command: p.ReadCode) -> Answer:
        live = self._engine.by_ref.get(CallRef(command.call))
        leg = live.call.leg if live is not None else None
        if live is None or leg is None or leg.agent != command.agent:
            raise Refused("call_unknown", "no such running call of yours", 404)
        line = live.call.negotiation.line()
        if not command.on:
            for stop in hush(line) if line is not None else ():
                self._engine.order(live, stop)
            return {}
        if live.record_code is None or leg.stage is not Stage.OPEN:
            raise Refused("no_record_code", "this call has no record code to read", 409)
        decision = leg.decision
        asked = live.call.said.proven.get(decision.purpose) if decision is not None and decision.purpose else None
        if line is None or not line.flowing or asked is None:
            raise Refused("not_heard", "the caller can't hear anything now (hold, or no media)", 409)
        for play in reading(line, live.record_code, asked.language):  # as the caller was asked
            self._engine.order(live, play)
        return {}

    # --- by code ------------------------------------------------------------------------------------------------------

    async def _find(self, command: p.FindRecord) -> Answer:
        recording = await self._by_code(command.code)
        wallclock, zone = self._engine.clock.wallclock(), self._engine.site.zone(recording.agreement)
        pending = {one.side: one for one in await self._erasures.pending(recording.id, wallclock)}
        holds = await self._erasures.holds(recording.id, wallclock)
        return {
            "recording": recording.id,
            "day": _day(recording.begun_at, zone),
            "purpose": recording.purpose.value,
            "keep_until": _day(recording.erase_at, zone),
            "held_until": _day(max(hold.until for hold in holds), zone) if holds else None,
            "sides": [_side(recording, side, pending.get(side.value)) for side in sorted(Side)],
        }

    async def _erase_by_code(self, command: p.EraseByCode) -> Answer:
        recording = await self._by_code(command.code)
        if not any(part.key.side == Side.CALLER and part.state in _SHOWN for part in recording.segments):
            raise Refused("side_empty", "nothing was kept of this side", 409)
        asked = await self._erasures.request(recording.id, Side.CALLER.value, self._engine.clock.wallclock())
        return {"erase_at": _erase_at(asked)}

    async def _erase_own(self, command: p.EraseOwnSide) -> Answer:
        await self._own(command.recording, command.agent)
        asked = await self._erasures.request(command.recording, Side.AGENT.value, self._engine.clock.wallclock())
        return {"erase_at": _erase_at(asked)}

    async def _by_code(self, code: str) -> Recording:
        found = await self._codes.find(code)
        if found is None:
            raise Refused("record_unknown", UNKNOWN, 404)
        try:
            return await self._recordings.get(found)
        except RecordingUnknown:  # erased between the two looks
            raise Refused("record_unknown", UNKNOWN, 404) from None

    # --- council and officer ------------------------------------------------------------------------------------------

    async def _fetch_together(self, command: p.FetchTogether) -> Answer:
        recording = await self._standing(command.recording)
        key = SegmentKey(recording.id, command.seg, command.side)
        if not any(part.key == key and part.state is SegmentState.SEALED for part in recording.segments):
            raise Refused("recording_unknown", "there is no such segment, or it was erased", 404)
        if not _together(self._engine.site.agreements, recording.purpose):
            raise Refused("role_not_named", "the agreement lets nobody but the agent open this recording", 403)
        if {part.key.side for part in recording.segments if part.state is SegmentState.SEALED} != set(SIDES):
            raise Refused("one_sided_not_evidence", "one side alone proves nothing: only the agent opens it", 403)
        access = Access(
            recording=recording.id, at=self._engine.clock.wallclock(), role=command.role, what=command.what,
            purpose=recording.purpose.value, side=command.side, seg=command.seg,
        )  # fmt: skip
        await self._accesses.add(access)
        self._engine.custody.changed(recording.agent, recording.id)
        return {}

    async def _seen(self, command: p.RecordingAccesses) -> Answer:
        await self._own(command.recording, command.agent)
        seen = await self._accesses.of(command.recording)
        return {
            "accesses": [
                {
                    "at": format_time(one.access.at), "role": one.access.role, "what": one.access.what,
                    "purpose": one.access.purpose, "side": one.access.side, "seg": one.access.seg, "name": one.name,
                }
                for one in seen
            ]
        }  # fmt: skip

    # --- holds --------------------------------------------------------------------------------------------------------

    async def _hold(self, command: p.HoldRecording) -> Answer:
        recording = await self._holdable(command.recording, command.agent)
        wallclock = self._engine.clock.wallclock()
        try:
            until = datetime.fromisoformat(command.until)
            hold = Hold(recording.id, command.by, command.reason, wallclock, until)
            await self._erasures.hold(hold)
        except (HoldError, ValueError, TypeError) as error:
            said = str(error) if isinstance(error, HoldError) else "no instant such as 2026-03-01T12:00:00Z"
            raise Refused("hold_invalid", said, 422) from None
        return {"until": format_time(until)}

    async def _lift(self, command: p.LiftHold) -> Answer:
        recording = await self._holdable(command.recording, command.agent)
        if not await self._erasures.lift(recording.id, command.by):
            raise Refused("no_hold", "no hold of yours stands", 404)
        return {}

    async def _holdable(self, recording: str, agent: str | None) -> Recording:
        return await (self._standing(recording) if agent is None else self._own(recording, agent))

    async def _own(self, recording: str, agent: str) -> Recording:
        found = await self._standing(recording)
        if found.agent != agent:
            raise Refused("recording_unknown", "no such recording of yours", 404)
        return found

    async def _standing(self, recording: str) -> Recording:
        try:
            found = await self._recordings.get(recording)
        except RecordingUnknown as error:
            raise Refused("recording_unknown", str(error), 404) from None
        if found.state in GOING:
            raise Refused("recording_unknown", "no such recording, or it was erased", 404)
        return found


def _together(agreements: tuple[Agreement, ...], purpose: Purpose) -> bool:
    """Whether every agreement in force lets council and officer open recordings of a purpose together."""
    named = (any(line.role == "quorum" and purpose in line.purposes for line in one.access) for one in agreements)
    return bool(agreements) and all(named)


def _side(recording: Recording, side: Side, asked: Erasure | None) -> Answer:
    parts = [part for part in recording.segments if part.key.side == side and part.state in _SHOWN]
    lengths = [(part.ended - part.started).total_seconds() for part in parts if part.started and part.ended]
    return {
        "side": side.value,
        "state": _SHOWN[parts[-1].state] if parts else "none",
        "seconds": round(sum(lengths)),
        "segments": [part.key.seg for part in parts if part.state is SegmentState.SEALED],
        "erase_at": _erase_at(asked) if asked is not None else None,
    }


def _day(at: datetime, zone: tzinfo) -> str:
    return at.astimezone(zone).date().isoformat()


def _erase_at(asked: Erasure) -> str:
    return format_time(max(asked.due_at, asked.held_until or asked.due_at))
