"""The durable work of a call's leg, in order: its entry, receipts, decisions, stops, discards, its single `out`.

Runs in the call's own queue, apart from its steps; each completion is a step of the call again. What can't be written
keeps or makes the tap closed, and says so once; the call goes on.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog

from gateway.call.code_reading import hush
from gateway.call.effects import DiscardRecording, Effect, LeaveLeg, WriteDecision, WriteReceipt, WriteStop
from gateway.call.leg import Leg
from gateway.call.model import Circumstances
from gateway.call.stage import Stage
from gateway.clock import Clock
from gateway.engine.custody import Custody
from gateway.engine.ledger import Entered, Ledger
from gateway.engine.lights import Lights
from gateway.engine.live_call import LiveCall
from gateway.engine.memory import Memory, Remembered
from gateway.engine.outs import LegEnd, Outs
from gateway.engine.site import Site
from gateway.event_bus import EventBus
from gateway.events import RecordCode, RecordingsChanged
from gateway.media import plane
from policy.agreement.schema import Agreement
from policy.decision import Reason
from policy.retention import erase_receipt_at, erase_recording_at
from storage.errors import StorageError, TermsChanged
from storage.legs import XKind

__all__ = ["Deciding", "DurableWork"]

log = structlog.get_logger()
ACT_TAKES_S = 0.01
"""Between an act's place in the log and its effect here."""
TRIES = 100


class Deciding(Protocol):
    """What completed work asks of the engine."""

    counters: Counter[str]

    def reconsider(self, live: LiveCall) -> None:
        """Let a call decide anew."""

    def step(self, live: LiveCall, step: Callable[[], list[Effect]]) -> None:
        """Take one step of the core and apply its effects."""

    def gather(self, live: LiveCall, leg: Leg, now: float, wallclock: datetime) -> Circumstances:
        """What a decision needs to know now."""

    def order(self, live: LiveCall, order: plane.Order) -> None:
        """Send an order to the call's worker."""


class DurableWork:
    """See the module."""

    def __init__(
        self,
        deciding: Deciding,
        *,
        lights: Lights,
        clock: Clock,
        site: Site,
        ledger: Ledger,
        custody: Custody,
        memory: Memory,
        bus: EventBus,
    ) -> None:
        self._deciding = deciding
        self._lights = lights
        self._clock = clock
        self._site = site
        self._ledger = ledger
        self.outs = Outs(ledger, partial(self._storage_failed, "an out could not be written"))
        self._custody = custody
        self._memory = memory
        self._bus = bus

    async def enter(self, live: LiveCall, agent: str) -> None:
        """The leg's entry and its draw, before anything is decided for it."""
        wallclock = self._clock.wallclock()
        if not self._site.draws(wallclock):
            return
        if self._site.is_protected(live.call.new.outside):
            await self.write_x(XKind.PROTECTED)  # no entry may tie an agent to who was called
            return
        try:
            live.entered = await self._entered(live, agent, wallclock)
        except StorageError as error:
            self._storage_failed("a leg could not be entered", error)
            return
        if live.entered is None:
            return
        self._site.watch.written(wallclock)
        live.call.entered(live.entered.result)
        self._deciding.reconsider(live)

    async def _entered(self, live: LiveCall, agent: str, wallclock: datetime) -> Entered | None:
        """The entry, under the terms that hold where it stands in the log: an act that came meanwhile counts."""
        for _ in range(TRIES):
            try:
                return await self._ledger.enter(
                    self._site.agents[agent],
                    self._site.agreements,
                    queue=live.call.new.queue,
                    call=live.call.ref,
                    call_id=live.call.new.call_id,
                    wallclock=wallclock,
                    acts=self._site.state.seq,
                )
            except TermsChanged:
                await asyncio.sleep(ACT_TAKES_S)
        raise TermsChanged("the acts of the log aren't those in force here")

    async def write_receipt(self, live: LiveCall, effect: WriteReceipt) -> None:
        """The proof of a yes, or of its withdrawal."""
        leg, asked = live.call.leg, effect.asked
        agreements = self._agreements_about(live, asked.channel)
        if not agreements:
            return
        wallclock, now = self._clock.wallclock(), self._clock.now()
        erased = erase_recording_at(agreements, effect.purpose, wallclock)
        try:
            keep_until = erase_receipt_at(agreements, erased)
            detector = _detector(live) if asked.channel == "dtmf" else asked.channel.split(":")[0]
            digest = await self._custody.receipt(effect, agreements[0].digest, detector, now, wallclock, keep_until)
        except StorageError as error:
            self._storage_failed("a receipt could not be written", error)
            if effect.outcome == "yes" and leg is not None:
                self._deciding.step(live, partial(leg.abandon, now, wallclock, (Reason.CONSENT_UNPROVEN,)))
            return
        if effect.outcome == "yes":
            live.consents[effect.purpose] = digest
            written = partial(live.call.receipt_written, effect.purpose, effect.asked, self._clock.now())
            self._deciding.step(live, written)
            self._deciding.reconsider(live)

    def _agreements_about(self, live: LiveCall, channel: str) -> Sequence[Agreement]:
        """Whose terms a receipt stands under; before anybody answered, all that name the way the caller was asked."""
        if live.call.leg is None:
            return [one for one in self._site.agreements if channel in one.consent.caller.channels]
        found = self._site.about(live.call.leg.agent, live.call.new.queue)
        booked = [one.agreement for one in (live.entered, *live.wishes.values()) if one is not None]
        return found or booked[:1]

    async def write_decision(self, live: LiveCall, effect: WriteDecision) -> None:
        """The decision row; then every gate once more, and the tap."""
        leg = live.call.leg
        if leg is None:
            return
        try:
            if not self._site.agreements or live.booked(effect.entry) is None:
                raise StorageError("nothing to decide under")
            await self._custody.decide(live, effect, self._site, self._clock.wallclock())
        except StorageError as error:
            self._storage_failed("a decision could not be made durable", error)
            self._deciding.step(live, lambda: leg.decision_failed(self._clock.now(), self._clock.wallclock()))
            return
        now, wallclock = self._clock.now(), self._clock.wallclock()

        def step() -> list[Effect]:
            given = self._deciding.gather(live, leg, now, wallclock)
            return leg.decision_durable(given, live.call.negotiation.line(), now, wallclock)

        self._deciding.step(live, step)
        self._deciding.reconsider(live)
        if leg.stage is Stage.OPEN:
            self._show_code(live)

    def _show_code(self, live: LiveCall) -> None:
        """To the agent, once, where the call has a record code."""
        agent, code = live.agent, live.record_code
        if agent is not None and code is not None and self._lights.show_code(agent, live.call.ref, code):
            self._bus.publish(RecordCode(agent, live.call.ref, code))

    def _hide_code(self, live: LiveCall, recording: str) -> None:
        """The recording that it finds is being destroyed."""
        if live.agent is not None and live.coded == recording:
            live.record_code, live.coded = None, None
            line = live.call.negotiation.line()
            for stop in hush(line) if line is not None else ():
                self._deciding.order(live, stop)
            if self._lights.show_code(live.agent, live.call.ref, None):
                self._bus.publish(RecordCode(live.agent, live.call.ref, None))

    async def write_stop(self, live: LiveCall, effect: WriteStop) -> None:
        """That a segment was stopped."""
        try:
            await self._custody.stop(live, effect, self._clock.wallclock())
        except StorageError as error:
            self._storage_failed("a stop could not be noted", error)

    async def discard(self, live: LiveCall, effect: DiscardRecording) -> None:
        """Intent durable, keys dropped, files destroyed. An intent that can't be written doesn't keep the tap open."""
        self._hide_code(live, effect.recording)
        try:
            await self._custody.intend_discard(effect.recording, self._clock.wallclock())
        except StorageError as error:
            self._storage_failed("a discard could not be noted", error)
        acknowledged = self._custody.expect_discarded(effect.recording)
        self._deciding.order(live, plane.Discard(effect.call, effect.recording))
        await self._custody.finish_discard(effect.recording, acknowledged)
        for key in [key for key in live.unsettled if key[0] == effect.recording]:
            live.settle(key)
        if live.agent is not None:
            self._bus.publish(RecordingsChanged(live.agent, effect.recording))

    async def leave(self, live: LiveCall, effect: LeaveLeg, ended: float) -> None:
        """What the single `out` of one of the leg's entries will say, after what became of its segments is durable."""
        stored = await self._custody.settled(live, effect.begun)
        told, reasons = effect.told_as, effect.reasons
        if effect.recording in live.leaked:
            told, reasons = "discarded", (Reason.LEG_LEAK.value,)
        elif live.interrupted and told.startswith("recorded"):
            told = "interrupted"
        elif told.startswith("recorded") and not stored:
            told, reasons = "not_recorded", (Reason.NO_MEDIA.value,)
        if live.told is None or told != "not_recorded":
            live.told = (told, reasons, effect.recording)
        if effect.last:
            self.remember(live, *live.told)
        booked = live.booked(effect.entry)
        if booked is not None:
            self.outs.put(ended, LegEnd(booked, told, reasons, tuple(live.manifests), effect.answer))

    def _storage_failed(self, what: str, error: StorageError) -> None:
        self._deciding.counters["storage_failures"] += 1
        self._site.storage_available = False  # until the next probe succeeds
        log.error(what, fault=type(error).__name__)

    async def write_x(self, kind: XKind) -> None:
        """Count a leg that names no agent."""
        try:
            await self._ledger.enter_x(self._site.agreements, kind, self._clock.wallclock())
        except StorageError as error:
            self._storage_failed("a leg could not be counted", error)

    def remember(self, live: LiveCall, told_as: str, reasons: tuple[str, ...], recording: str | None = None) -> None:
        """For who asks why, as long as memory keeps it."""
        call = live.call
        drawn = live.entered.result.drawn if live.entered is not None else None
        self._memory.add(
            Remembered(call.ref, live.agent, call.since, self._clock.now(), told_as, reasons, drawn, recording)
        )


def _detector(live: LiveCall) -> str:
    line = live.call.negotiation.line()
    return "inband" if line is not None and not line.caller_events else "rfc4733"
