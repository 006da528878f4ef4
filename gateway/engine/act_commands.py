"""Commands around acts: drafted, judged, kept, in effect, one after the other; but a stop waits for none (§3)."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from crypto.jcs import canonical
from gateway.control import protocol as p
from gateway.engine.engine import Engine
from gateway.engine.errors import Refused, code_of
from gateway.engine.site import Site
from policy.acts import ActType, Suspend, parse_act
from policy.agreement.load import AgreementRefused
from policy.chain import Posted, take
from policy.errors import ActError, ActFault, NotPermitted, StaleAct, WrongDocument
from policy.messages import say, say_fault
from policy.state import State

__all__ = ["ActCommands"]

Answer = dict[str, Any]


class ActCommands:
    """See the module: the part of the command table that deals with acts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._acting = asyncio.Lock()
        self.table: dict[type, Callable[[Any], Awaitable[Answer]]] = {
            p.PostAct: self._post_act,
            p.DraftAct: self._draft_act,
            p.SuspendRecording: self._suspend_recording,
        }

    async def _post_act(self, command: p.PostAct) -> Answer:
        document = command.document.encode() if command.document is not None else None
        return await self._take(command.act.encode(), command.signatures, document, command.language)

    async def _suspend_recording(self, command: p.SuspendRecording) -> Answer:
        """By a party's session. What runs stops at once, whatever act is under way and however slow the disk is."""
        site, party = self._engine.site, command.party
        if party not in site.state.suspended_by:
            await self._judged(self._suspension(command), {}, None, party, command.language)
        site.stopping[party] += 1
        self._engine.reconsider_all()
        try:
            async with self._acting:
                if party not in site.state.suspended_by:  # one more would only make stale what others are signing
                    await self._taken(self._suspension(command), {}, None, party, command.language)
        finally:
            site.stopping[party] -= 1
        self._engine.reconsider_all()
        return _what_holds(site, command.agreement)

    def _suspension(self, command: p.SuspendRecording) -> bytes:
        return self._engine.site.state.draft(command.agreement, Suspend())

    async def _draft_act(self, command: p.DraftAct) -> Answer:
        state = self._engine.site.state
        fields: dict[str, object] = {"v": 1, "type": command.type, "agreement": command.agreement}
        fields |= {"seq": state.seq + 1, "prev": state.digest, "body": command.body}
        try:
            return {"act": parse_act(canonical(fields)).canonical().decode()}
        except ActError as error:
            raise Refused(code_of(error), say(error, command.language), 422) from None

    async def _take(self, act: bytes, signatures: dict[str, str], document: bytes | None, language: str) -> Answer:
        """One act at a time: judged, durable, and only then in effect."""
        async with self._acting:
            await self._taken(act, signatures, document, None, language)
        self._engine.reconsider_all()
        return _what_holds(self._engine.site, parse_act(act).agreement)

    async def _taken(
        self, act: bytes, signatures: dict[str, str], document: bytes | None, session: str | None, language: str
    ) -> None:
        """`_acting` is held."""
        site = self._engine.site
        posted, state = await self._judged(act, signatures, document, session, language)
        stops = parse_act(act).type is ActType.SUSPEND
        if stops and state.suspended_by == site.state.suspended_by:
            raise Refused("not_permitted", say(NotPermitted(ActFault.UNCHANGED), language), 422)
        if not stops and not site.draw_ready and any(term.agreement.demo for term in state.terms):
            raise Refused("demo_off_loopback", say(WrongDocument(ActFault.DEMO_OFF_LOOPBACK), language), 409)
        await self._keep(posted, state)
        # a clock that is set back behind an act would refuse the next one: nothing is recorded meanwhile
        site.watch.written(posted.at)
        site.enact(state)

    async def _judged(
        self, act: bytes, signatures: dict[str, str], document: bytes | None, session: str | None, language: str
    ) -> tuple[Posted, State]:
        """An act and what it would make; raises `Refused`."""
        try:
            posted = Posted(act, signatures, self._instant(act), document, session)
            return posted, await asyncio.to_thread(take, self._engine.site.state, posted)
        except ActError as error:
            status = 409 if isinstance(error, StaleAct) else 422
            raise Refused(code_of(error), say(error, language), status) from None
        except AgreementRefused as error:
            raise Refused(code_of(error), say_fault(error.faults[0], language), 422) from None

    async def _keep(self, posted: Posted, state: State) -> None:
        """Make an act durable. A suspension stops everything before: no stop waits for a disk.

        Where the disk refuses it, the suspension isn't in force; what it stopped stays stopped.
        """
        site, before = self._engine.site, self._engine.site.state
        halts = state.suspended_by > before.suspended_by
        if halts:
            site.enact(state)
            self._engine.reconsider_all()
        try:
            await site.acts.append(posted)
        except BaseException:
            if halts:
                site.enact(before)
            raise

    def _instant(self, act: bytes) -> datetime:
        """When an act is taken. A suspension never waits for the clock, nor any act for one that was set in passing."""
        clock, site = self._engine.clock, self._engine.site
        wallclock, last = clock.wallclock(), site.state.changed_at or datetime.min.replace(tzinfo=UTC)
        trusted = site.watch.observe(clock.now(), wallclock)
        if not trusted and parse_act(act).type is not ActType.SUSPEND:
            raise StaleAct(ActFault.CLOCK_UNTRUSTED)
        return max(wallclock, last)


def _what_holds(site: Site, about: str) -> Answer:
    """What acts have come to: the agreement that the last one was about, else another that binds."""
    found = next((one for one in site.agreements if one.id == about), site.agreement)
    return {
        "seq": site.state.seq,
        "suspended_by": sorted(site.state.suspended_by),
        "agreement": found.id if found else None,
        "version": found.version if found else None,
        "digest": found.digest if found else None,
    }
