"""What the control port may have the engine do: one function a command, durable before it answers.

A *yes* is verified here against the agent's own enrolled key, whatever session carried it; a *no*, a stop or a
withdrawal needs none. What an asker may not know is folded before it leaves (agreement.md §4, §6).
"""

import base64
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

from pydantic import TypeAdapter

from crypto.errors import CryptoError
from crypto.ssh_key import VerifyKey
from crypto.sshsig import verify
from gateway.call.leg import Leg
from gateway.call.stage import Stage
from gateway.control import protocol as p
from gateway.engine.act_commands import ActCommands
from gateway.engine.call_facts import HINDRANCES
from gateway.engine.engine import Engine, format_time
from gateway.engine.epoch_commands import EpochCommands
from gateway.engine.errors import Refused, code_of
from gateway.engine.live_call import LiveCall, SignedYes
from gateway.engine.machine_commands import machine_commands
from gateway.engine.record_commands import RecordCommands
from gateway.engine.release_commands import ReleaseCommands
from gateway.engine.signed import own_statement, signed_by_agent
from gateway.events import Snapshot
from gateway.media.plane import CallRef
from policy.decision import ConsentState, Purpose
from policy.errors import PolicyError
from policy.statements import (
    CALL_CONSENT_NAMESPACE,
    CALLER_CONSENT_NAMESPACE,
    CONSENT_NAMESPACE,
    ENROLMENT_NAMESPACE,
    SEAT_NAMESPACE,
    parse_call_consent,
    parse_caller_consent,
    parse_consent,
    parse_enrolment,
    parse_seat,
)
from policy.terms import Lane, Side
from storage.consents import Statement
from storage.errors import (
    AgentUnknown,
    CoachUnknown,
    EgressLimit,
    ReleaseUnknown,
    StorageError,
    StorageUnavailable,
)
from storage.roster import NewAgent

__all__ = ["Commands"]

_SNAPSHOT: TypeAdapter[Snapshot] = TypeAdapter(Snapshot)
Answer = dict[str, Any]
FOR_OTHERS = "whether this call was recorded is told to its agent alone; the answer is the same either way"


class Commands:
    """The table of commands over one engine."""

    def __init__(self, engine: Engine, epochs: EpochCommands) -> None:
        self._engine = engine
        self._table: dict[type, Callable[[Any], Awaitable[Answer]]] = {
            p.PageOpened: self._page_opened,
            p.PageClosed: self._page_closed,
            p.Acknowledge: self._acknowledge,
            p.Enrol: self._enrol,
            p.ClaimSeat: self._claim_seat,
            p.ReleaseSeat: self._release_seat,
            p.SetConsent: self._set_consent,
            p.SetBlackout: self._set_blackout,
            p.StopRecording: self._stop,
            p.CallerRefused: self._caller_refused,
            p.CallerAgreed: self._caller_agreed,
            p.ConsentInCall: self._consent_in_call,
            p.RequestRecord: self._request_record,
            p.AddAgents: self._add_agents,
            p.DisableAgent: self._disable_agent,
            p.RunningCalls: self._running_calls,
            p.Explain: self._explain,
            p.Status: self._status,
            p.PassedThrough: self._passed_through,
            p.ListAnnouncements: self._announcements,
            p.FetchAnnouncement: self._announcement,
            **ActCommands(engine).table,
            **machine_commands(engine),
            **RecordCommands(engine).table,
            **ReleaseCommands(engine).table,
            **epochs.table(),
        }

    async def command(self, command: p.Command) -> Answer:
        """Do one command; raises `Refused`."""
        try:
            return await self._table[type(command)](command)
        except AgentUnknown as error:
            raise Refused("agent_unknown", str(error), 404) from None
        except StorageUnavailable as error:
            raise Refused("storage_unavailable", str(error), 503) from None
        except (CoachUnknown, ReleaseUnknown, EgressLimit) as error:
            raise Refused(code_of(error), str(error), error.status) from None
        except StorageError as error:
            raise Refused(code_of(error), str(error), 409) from None
        except (CryptoError, PolicyError) as error:
            raise Refused(code_of(error), str(error), 422) from None

    # --- live --------------------------------------------------------------------------------------------------------

    async def _page_opened(self, command: p.PageOpened) -> Answer:
        snapshot = self._engine.lights.open_page(command.agent, command.page)
        self._engine.reconsider_all(command.agent)
        return {"snapshot": _SNAPSHOT.dump_python(snapshot, mode="json")}

    async def _page_closed(self, command: p.PageClosed) -> Answer:
        self._engine.lights.close_page(command.agent, command.page)
        self._engine.reconsider_all(command.agent)
        return {}

    async def _acknowledge(self, command: p.Acknowledge) -> Answer:
        counted = self._engine.lights.acknowledge(
            command.agent, command.page, command.call, command.seq, command.nonce, command.state
        )
        if counted:
            live = self._engine.by_ref.get(CallRef(command.call))
            if live is not None:
                self._engine.reconsider(live)
        return {"counted": counted}

    # --- the agent's own acts ----------------------------------------------------------------------------------------

    async def _enrol(self, command: p.Enrol) -> Answer:
        key = VerifyKey.parse(command.signing_key)
        document = command.statement.document.encode()
        verify(key, ENROLMENT_NAMESPACE, document, command.statement.signature)
        statement = parse_enrolment(document)
        own_statement(statement.agent, command.agent)
        seq = await self._engine.site.roster.enrol(
            command.agent,
            recipient=statement.recipient,
            signing_key=key.line(),
            statement=command.statement.document,
            signature=command.statement.signature,
            at=self._engine.clock.wallclock(),
        )
        await self._changed(command.agent)
        return {"key_seq": seq}

    async def _claim_seat(self, command: p.ClaimSeat) -> Answer:
        document = self._signed(command.agent, command.statement, SEAT_NAMESPACE)
        claim = parse_seat(document)
        own_statement(claim.agent, command.agent)
        seat = await self._engine.site.roster.claim(
            command.agent,
            extension=claim.extension,
            session=claim.session,
            seq=claim.seq,
            statement=command.statement.document,
            signature=command.statement.signature,
            at=self._engine.clock.wallclock(),
        )
        await self._changed(command.agent)
        return {"expires_at": format_time(seat.expires_at)}

    async def _release_seat(self, command: p.ReleaseSeat) -> Answer:
        await self._engine.site.roster.release(command.agent)
        await self._changed(command.agent)
        return {}

    async def _set_consent(self, command: p.SetConsent) -> Answer:
        purpose, answer = _purpose(command.purpose), ConsentState(command.answer)
        statement, home_office = None, False
        if command.statement is not None:
            said = parse_consent(self._signed(command.agent, command.statement, CONSENT_NAMESPACE))
            own_statement(said.agent, command.agent)
            if (said.purpose, said.answer) != (purpose, command.answer):
                raise Refused("statement_differs", "the signed statement says something else", 422)
            if answer is ConsentState.YES and said.text_sha256 not in self._engine.site.texts.get(purpose, ()):
                raise Refused("text_changed", "the text that was signed is not the one in force", 409)
            home_office = said.home_office
            statement = Statement(
                command.statement.document, command.statement.signature, said.text_sha256, said.language, said.seq
            )
        elif answer is ConsentState.YES:
            raise Refused("statement_missing", "a yes needs the agent's signed statement", 422)
        if answer is ConsentState.NO:  # at once, whatever the disk says: for what runs it is a no in the call
            self._engine.refuse_in_calls(command.agent, purpose)
        await self._engine.site.consents.set(
            command.agent,
            purpose,
            answer,
            self._engine.clock.wallclock(),
            statement=statement,
            home_office=home_office,
        )
        await self._changed(command.agent)
        return {}

    async def _set_blackout(self, command: p.SetBlackout) -> Answer:
        await self._engine.site.roster.set_blackout(command.agent, command.on)
        await self._changed(command.agent)
        return {}

    async def _stop(self, command: p.StopRecording) -> Answer:
        live, leg = self._leg_of(command.call, command.agent, transferred=True)
        leg.withdraw(Side.AGENT)
        self._engine.reconsider(live)
        return {"state": leg.stage.value}

    async def _caller_refused(self, command: p.CallerRefused) -> Answer:
        live, leg = self._leg_of(command.call, command.agent)
        leg.caller_refused()
        self._engine.reconsider(live)
        return {"state": leg.stage.value}

    async def _caller_agreed(self, command: p.CallerAgreed) -> Answer:
        live, leg = self._leg_of(command.call, command.agent)
        said = parse_caller_consent(self._signed(command.agent, command.statement, CALLER_CONSENT_NAMESPACE))
        own_statement(said.agent, command.agent)
        if (said.call, said.purpose.value) != (command.call, command.purpose):
            raise Refused("statement_differs", "the signed statement says something else", 422)
        self._engine.hearsay.agent_told_yes(live, leg, said.purpose, said.language)
        await live.worked()
        return {"state": leg.stage.value}

    async def _consent_in_call(self, command: p.ConsentInCall) -> Answer:
        purpose, answer = _purpose(command.purpose), ConsentState(command.answer)
        live, leg = self._leg_of(command.call, command.agent)
        if answer is ConsentState.YES:
            live.said_yes[purpose] = self._yes_in_call(live, leg, command.statement, purpose)
        leg.answer_in_call(purpose, answer)
        self._engine.reconsider(live)
        return {}

    async def _request_record(self, command: p.RequestRecord) -> Answer:
        live, leg = self._leg_of(command.call, command.agent)
        lane = Lane(command.lane)
        purpose = self._engine.wishing.purpose(live, leg, lane)
        yes = self._yes_in_call(live, leg, command.statement, purpose)
        await self._engine.wishing.ask(live, leg, lane, purpose, yes)
        return {"state": leg.stage.value, "lane": lane.value, "purpose": purpose.value}

    def _yes_in_call(self, live: LiveCall, leg: Leg, statement: p.Signed | None, purpose: Purpose) -> SignedYes:
        """The agent's own signed yes for this call and purpose."""
        if statement is None:
            raise Refused("statement_missing", "a yes needs the agent's signed statement", 422)
        document = self._signed(leg.agent, statement, CALL_CONSENT_NAMESPACE)
        said = parse_call_consent(document)
        own_statement(said.agent, leg.agent)
        if (said.call, said.purpose, said.answer) != (leg.call, purpose, "yes"):
            raise Refused("statement_differs", "the signed statement says something else", 422)
        if purpose in live.said_yes and leg.per_call[purpose].answer is ConsentState.NO:
            # the statement carries no number: it can't be told from the one that was taken back
            raise Refused("no_is_final", "a yes that was taken back in this call can't be given again", 409)
        if said.text_sha256 is not None:
            live.texts_read.add(said.text_sha256)
        return SignedYes(document, statement.signature)

    # --- reading and administration ----------------------------------------------------------------------------------

    async def _add_agents(self, command: p.AddAgents) -> Answer:
        new = [
            NewAgent(line.name, line.group, line.site, _date(line.onboarding_from), line.home_office)
            for line in command.agents
        ]
        ids = await self._engine.site.roster.add_all(new, self._engine.clock.wallclock())
        for agent in ids:
            await self._engine.site.load_agent(agent)
        return {"agents": [{"id": agent, "name": line.name} for agent, line in zip(ids, new, strict=True)]}

    async def _disable_agent(self, command: p.DisableAgent) -> Answer:
        await self._engine.site.roster.disable(command.agent)
        await self._changed(command.agent)
        return {}

    async def _running_calls(self, command: p.RunningCalls) -> Answer:
        calls = [
            {"call": live.call.ref, "since": format_time(live.call.since), "queue": live.call.new.queue}
            for live in self._engine.calls.values()
        ]
        return {"calls": calls}

    async def _explain(self, command: p.Explain) -> Answer:
        live = self._engine.by_ref.get(CallRef(command.call))
        if live is not None:
            return self._explain_live(live, command.agent)
        unknown = Refused("call_unknown", "no such call, or it ended more than a day ago", 404)
        answer: Answer = {"call": command.call, "running": False}
        if command.agent is None:
            told = self._engine.memory.told_of(command.call)
            if told is None:
                raise unknown
            return answer | _for_others(told)
        past = self._engine.memory.get(command.call, command.agent)
        if past is None:
            raise unknown
        return answer | {
            "outcome": past.told_as,
            "reasons": list(past.reasons),
            "drawn": past.drawn,
            "recording": past.recording,
        }

    def _explain_live(self, live: LiveCall, agent: str | None) -> Answer:
        answer: Answer = {"call": live.call.ref, "running": True}
        if agent is None:
            return answer | _for_others(self._engine.told_of(live))
        own = next((one for one in live.legs() if one.agent == agent), None)
        leg = own.call.leg if own is not None else None
        if own is None or leg is None:
            raise Refused("call_unknown", "no such call of yours", 404)
        reasons = list(self._engine.reasons(own))
        lit = leg.stage in (Stage.OPEN, Stage.PAUSED)
        drawn = leg.entry.drawn if leg.entry is not None else None
        return answer | {"outcome": "recording" if lit else "not_recorded", "reasons": reasons, "drawn": drawn}

    async def _status(self, command: p.Status) -> Answer:
        engine, site = self._engine, self._engine.site
        agreement = site.agreement
        return {
            "agreement": agreement and {"id": agreement.id, "version": agreement.version, "demo": agreement.demo},
            "site_state": [reason.value for reason in site.reasons(engine.clock.wallclock())],
            "workers": len(engine.workers.connected),
            "calls": len(engine.calls),
            "storage_available": site.storage_available,
            "unaskable": [purpose.value for purpose in site.unaskable()],
            "announcements": site.unplayable(),
            "clock_trusted": site.watch.observe(engine.clock.now(), engine.clock.wallclock()),
            "counters": {**engine.counters, "decided_not_stored": engine.custody.failures},
            "legs": engine.reports.figures.told(),
        }

    async def _passed_through(self, command: p.PassedThrough) -> Answer:
        return {
            **self._engine.pass_through.told(command.days, self._engine.clock.wallclock()),
            "hindrances": HINDRANCES,
        }

    async def _announcements(self, command: p.ListAnnouncements) -> Answer:
        site = self._engine.site
        named = {(prompt.id, prompt.sha256) for one in site.agreements for prompt in one.consent.prompts}
        lines = site.announcements.listing()
        return {
            "announcements": [{**line, "named": (line["id"], line["sha256"]) in named} for line in lines],
            "faults": site.unplayable(),
        }

    async def _announcement(self, command: p.FetchAnnouncement) -> Answer:
        data = self._engine.site.announcements.file(command.id)
        if data is None:
            raise Refused("announcement_unknown", "there is no such announcement, or its file isn't whole", 404)
        return {"wav": base64.b64encode(data).decode()}

    # --- parts -------------------------------------------------------------------------------------------------------

    async def _changed(self, agent: str) -> None:
        """Something about an agent is durable: know it, and let their calls decide anew."""
        await self._engine.site.load_agent(agent)
        self._engine.reconsider_all()

    def _signed(self, agent: str, statement: p.Signed, namespace: str) -> bytes:
        return signed_by_agent(self._engine.site, agent, statement, namespace)

    def _leg_of(self, call: str, agent: str, *, transferred: bool = False) -> tuple[LiveCall, Leg]:
        """`transferred`: also one whose agent has it no more, while the call runs on."""
        live = self._engine.by_ref.get(CallRef(call))
        if live is not None and transferred:
            live = next((one for one in live.legs() if one.agent == agent), None)
        leg = live.call.leg if live is not None else None
        if live is None or leg is None or leg.agent != agent:
            raise Refused("call_unknown", "no such running call of yours", 404)
        return live, leg


def _purpose(text: str) -> Purpose:
    try:
        return Purpose(text)
    except ValueError:
        raise Refused("purpose_unknown", "no such purpose", 422) from None


def _date(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused("date_invalid", "onboarding_from is not a date such as 2026-03-01", 422) from None


def _for_others(reasons: tuple[str, ...]) -> Answer:
    """What everybody but the agent is told: the same of a leg that is recorded as of one that isn't."""
    return {"reasons": list(reasons), "note": FOR_OTHERS}
