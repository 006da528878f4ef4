"""Gather → decide → apply: the engine gathers what a decision needs, the call core decides, the engine applies.

The ingress speaks to it in verbs (`offer`, `answer`, `answered`, `confirmed`, `rolled_back`, `referred`, `hang_up`);
media workers report; the control port commands (`commands`). Steps of a call are synchronous and so never interleave;
durable work runs apart, in order for each call, and its completion is a step of its own. Recording fails closed: no
ports, no worker, a broken invariant or a failing disk end a leg's recording. The call fails open: it always goes on.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from functools import partial

import structlog

from gateway.call.effects import (
    DiscardRecording,
    Effect,
    EnterLeg,
    LeaveLeg,
    PlaneOrder,
    Publish,
    WriteDecision,
    WriteReceipt,
    WriteStop,
)
from gateway.call.leg import Leg
from gateway.call.model import Circumstances, DialogTag, NewCall, SdpMessage, SipCallId
from gateway.clock import Clock
from gateway.config import Config
from gateway.engine.call_facts import facts_of
from gateway.engine.call_table import CallTable
from gateway.engine.custody import Custody
from gateway.engine.describing import Describing
from gateway.engine.durable_work import DurableWork
from gateway.engine.hearsay import Hearsay
from gateway.engine.ids import Ids
from gateway.engine.ladder import Ladder
from gateway.engine.ledger import Ledger
from gateway.engine.lights import Lights
from gateway.engine.live_call import LiveCall
from gateway.engine.media_reports import MediaReports
from gateway.engine.memory import Memory
from gateway.engine.pass_through import PassThrough
from gateway.engine.site import Site
from gateway.engine.wishing import Wishing
from gateway.engine.workers import Workers
from gateway.event_bus import EventBus
from gateway.events import CallEnded
from gateway.journal import CallJournal
from gateway.media import plane
from gateway.media.plane import CallRef
from policy.decision import ConsentState, Purpose, Reason, Side, fold
from storage.legs import XKind

__all__ = ["Engine"]

log = structlog.get_logger()
FINISH_S = 40.0
"""How long a gateway that ends waits for its disk: longer than a leg's `out` waits for its segments."""


class Engine:
    """See the module. One object holds all calls of this gateway."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        ids: Ids,
        site: Site,
        ledger: Ledger,
        custody: Custody,
        workers: Workers,
        bus: EventBus,
        journal: CallJournal,
    ) -> None:
        self.clock = clock
        self.site = site
        self.ledger = ledger
        self.custody = custody
        self.workers = workers
        self.bus = bus
        self.lights = Lights()
        self.memory = Memory()
        self.ladder = Ladder()
        self.pass_through = PassThrough(config.run_dir / "pass-through.json")
        self.counters: Counter[str] = Counter()
        """Technical ones, for admins."""
        self.table = CallTable(
            config=config,
            clock=clock,
            ids=ids,
            workers=workers,
            lights=self.lights,
            journal=journal,
            counters=self.counters,
        )
        self.calls, self.by_ref, self.idle = self.table.calls, self.table.by_ref, self.table.idle
        self.describing = Describing(self, self.table.hosts)
        self.reports = MediaReports(self, clock=clock, custody=custody, workers=workers)
        self.wishing = Wishing(self, clock=clock, site=site, ledger=ledger)
        self._durable = DurableWork(
            self,
            lights=self.lights,
            clock=clock,
            site=site,
            ledger=ledger,
            custody=custody,
            memory=self.memory,
            bus=bus,
        )
        self.hearsay = Hearsay(self)
        self._working: set[asyncio.Task[None]] = set()

    # --- the four verbs, and what else signalling tells --------------------------------------------------------------

    async def offer(self, new: NewCall, message: SdpMessage) -> bytes:
        """SDP with our ports in place of the sender's; the body itself where the call passes un-anchored."""
        live = self.calls.get(new.call_id) or self.table.begin(new)
        return await self.describing.describe(live, message)

    async def answer(self, call_id: SipCallId, message: SdpMessage) -> bytes:
        """The same for an answer, or for an offer in a response."""
        live = self.calls.get(call_id)
        return message.body if live is None else await self.describing.describe(live, message)

    def begin(self, new: NewCall) -> CallRef:
        """Know a call before any SDP of it was seen (delayed offer)."""
        live = self.calls.get(new.call_id) or self.table.begin(new)
        return live.call.ref

    def answered(self, call_id: SipCallId, dialog: DialogTag, new: NewCall | None = None) -> None:
        """A 2xx to the initial INVITE; `new` is what the very INVITE said that it answers."""
        live = self.calls.get(call_id)
        if live is None or live.call.answered_dialog is not None:
            return
        if new is not None:
            live.call.identify(new)
        if not live.call.needs_lease:
            live.agent = self.site.claimant(live.call.new)
        self.apply(live, live.call.answered(dialog, live.agent))
        if live.call.needs_lease:
            self.hearsay.seat(live)
        elif live.agent is None:
            self._enter_x(live)
        self.keep(live)
        self.reconsider(live)

    def confirmed(self, call_id: SipCallId) -> None:
        """The ACK of the initial 2xx passed."""
        live = self.calls.get(call_id)
        if live is not None:
            live.call.confirmed()
            live.facts = live.facts or facts_of(live.call, internal=self.site.is_internal(live.call.new.outside))
            if live.call.negotiation.encrypted:
                self.counters["media_encrypted"] += 1
            self.reconsider(live)

    def record_aware(self, call_id: SipCallId, party: Side, aware: bool) -> None:
        """Whether a party's user agent understands `a=record`: it is told by every description that passes from now."""
        live = self.calls.get(call_id)
        if live is not None:
            (live.call.record_aware.add if aware else live.call.record_aware.discard)(party)

    def session_lasts(self, call_id: SipCallId, seconds: int | None) -> None:
        """A 2xx said for how long the session lasts unless it is refreshed (RFC 4028); None: there is no timer."""
        live = self.calls.get(call_id)
        if live is not None:
            live.lasts_until = None if seconds is None else self.clock.now() + seconds

    def rolled_back(self, call_id: SipCallId, dialog: DialogTag) -> None:
        """A re-offer was refused or not answered."""
        live = self.calls.get(call_id)
        if live is not None:
            live.call.negotiation.rolled_back(dialog)
            self.keep(live)

    def replaced(self, call_id: SipCallId, tags: frozenset[str]) -> None:
        """An INVITE means to take a dialog over, whose Call-ID and tags it names: all of them must be this call's."""
        live = self.calls.get(call_id)
        # by whom the tags are named, as to-tag or from-tag, some get wrong: either way only an insider knows both
        if live is not None and tags == {live.call.new.uac_tag, live.call.answered_dialog}:
            self.referred(call_id)

    def referred(self, call_id: SipCallId) -> None:
        """A party is transferred, or replaces another."""
        live = self.calls.get(call_id)
        if live is not None:
            live.call.referred()
            self.reconsider(live)

    def ending(self, call_id: SipCallId) -> None:
        """A BYE is on its way: what comes after it is no longer the call's."""
        live = self.calls.get(call_id)
        for leg in live.legs() if live is not None else ():
            self.apply(leg, leg.call.end_leg(self.clock.now(), self.clock.wallclock()))

    def abandon_unanswered(self, call_id: SipCallId) -> None:
        """The initial INVITE ended without a 2xx."""
        live = self.calls.get(call_id)
        if live is not None and live.call.answered_dialog is None:
            self.hang_up(call_id)

    def take_over(self, live: LiveCall, new: NewCall) -> LiveCall:
        """A PBX put another agent on the call: the leg before is closed already, and stays until the call ends."""
        now, call = self.clock.now(), live.call
        if call.leg is not None:
            self.apply(live, call.leg.hand_over(now, self.clock.wallclock()))
        follower = LiveCall(call.taken_over(new, now), began_at=live.began_at, before=[*live.before, live])
        follower.lasts_until, follower.facts = live.lasts_until, live.facts
        follower.consents = dict(live.consents)
        self.table.replace(follower)
        return follower

    def hang_up(self, call_id: SipCallId) -> None:
        """The call is over, or never came about."""
        live = self.table.take(call_id)
        if live is None:
            return
        call = live.call
        if live.facts is None and call.answered_dialog is not None:
            live.facts = facts_of(call, internal=self.site.is_internal(call.new.outside))
        self.memory.call_over(call.ref, self.clock.now(), self.told_of(live))
        self.pass_through.over(live, live.facts, self.clock.wallclock())
        self.reports.forget(call.ref)
        for earlier in live.before:
            earlier.over = True
            self.apply(earlier, earlier.call.end_leg(self.clock.now(), self.clock.wallclock()))
            if earlier.agent is not None:
                self.lights.forget(earlier.agent, call.ref)
        self.apply(live, call.hang_up(self.clock.now(), self.clock.wallclock()))
        if live.agent is not None:
            self.lights.forget(live.agent, call.ref)
        elif call.needs_lease and call.answered_dialog is not None:
            self._enter_x(live)
        if call.leg is None or not call.leg.entries:
            self._durable.remember(live, "not_recorded", self.reasons(live))
        self.bus.publish(CallEnded(call.ref))

    def pause(self, live: LiveCall, by: str, on: bool) -> bool:
        """Pause or resume for one of those who may; whether the leg is paused now. Each who paused must resume."""
        live.pausers = live.pausers | {by} if on else live.pausers - {by}
        if live.call.leg is not None:
            live.call.leg.paused_by_call = bool(live.pausers)
            self.reconsider(live)
        return bool(live.pausers)

    def give_up(self, live: LiveCall) -> None:
        """The PBX wants no recording of this leg (any more): final, and no withdrawal."""
        leg = live.call.leg
        if leg is not None:
            now, wallclock = self.clock.now(), self.clock.wallclock()
            self.step(live, partial(leg.abandon, now, wallclock, (Reason.NOT_REQUESTED,)))

    def passed(self, call_id: SipCallId, by: Side, said: str, *, described: bool = False) -> None:
        """A message of a running call passed: a method, or a status with its method."""
        live = self.calls.get(call_id)
        if live is not None:
            self.ladder.note(live.call.ref, by, said, self.clock.now(), described=described)

    # --- deciding ----------------------------------------------------------------------------------------------------

    def reconsider(self, live: LiveCall) -> None:
        """Let a call decide anew with what is known now."""
        leg = live.call.leg
        if leg is None or live.over:
            return
        for earlier in live.before:
            if earlier.call.leg is not None:
                earlier.call.leg.follow_withdrawal(leg)
            self.reconsider(earlier)
        if leg.resting:
            return
        now, wallclock = self.clock.now(), self.clock.wallclock()

        def step() -> list[Effect]:
            return live.call.reconsider(self.gather(live, leg, now, wallclock), now, wallclock)

        self.step(live, step)

    def reconsider_all(self, agent: str | None = None) -> None:
        """The same for every call (of an agent): something changed for all of them."""
        for live in tuple(self.calls.values()):
            if agent is None or live.agent == agent:
                self.reconsider(live)

    def refuse_in_calls(self, agent: str, purpose: Purpose) -> None:
        """The agent says no to a purpose, for every call that runs."""
        for live in tuple(self.calls.values()):
            leg = live.call.leg
            if leg is not None and leg.agent == agent:
                leg.answer_in_call(purpose, ConsentState.NO)
        self.reconsider_all(agent)

    def tick(self) -> None:
        """Let time pass for every leg that waits for something, and for those that are over."""
        now = self.clock.now()
        self._say_outs(now)
        for live in tuple(self.calls.values()):
            due = live.call.next_timeout(now, self.clock.wallclock())
            if due is not None and due <= now:
                self.reconsider(live)

    def beat(self) -> None:
        """Each second: a heartbeat for every light that is on, and one look at every leg."""
        now = self.clock.now()
        self.site.watch.observe(now, self.clock.wallclock())  # while nobody calls, too: no step goes unseen
        for light in tuple(self.lights.lit()):
            beat = light.heartbeat(now)
            if beat is not None:
                self.bus.publish(beat)
        self.reconsider_all()

    def reasons(self, live: LiveCall) -> tuple[str, ...]:
        """Why a call's leg isn't recorded, in full: for its agent's eyes alone."""
        leg = live.call.leg
        if leg is not None:
            return tuple(reason.value for reason in leg.told_reasons())
        site = self.site.reasons(self.clock.wallclock())
        unleased = live.call.needs_lease and live.call.lease is None
        nobody = Reason.PARTY_UNKNOWN if unleased else Reason.LEG_UNBOUND
        return tuple(reason.value for reason in site) or (nobody.value,)

    def told_of(self, live: LiveCall) -> tuple[str, ...]:
        """What everybody may know of why a call isn't recorded: the site's state and its media's, never from a leg.

        A leg that was asked, or recorded, keeps the reason that ended it; beside a site's state that would show.
        """
        media, found = live.call.negotiation, self.site.reasons(self.clock.wallclock())
        if live.call.answered_dialog is not None and media.encrypted:
            found.append(Reason.MEDIA_ENCRYPTED)
        elif live.call.answered_dialog is not None and media.line() is None:
            found.append(Reason.MEDIA_UNSUPPORTED)
        return tuple(reason.value for reason in fold(found) or (Reason.NOT_SELECTED_OR_NOT_PERMITTED,))

    def gather(self, live: LiveCall, leg: Leg, now: float, wallclock: datetime) -> Circumstances:
        """What a decision of this leg needs to know now."""
        pages, entered, read = self.lights.pages(leg.agent), live.entered is not None, live.texts_read
        return self.site.gather(leg.agent, live.call.new, pages, now, wallclock, entered=entered, read=read)

    def step(self, live: LiveCall, step: Callable[[], list[Effect]]) -> None:
        """One step of the core. A bug in it drops this leg from recording, never the call."""
        try:
            effects = step()
        except Exception:
            log.exception("leg dropped from recording", call=live.call.ref)
            self.counters["evaluation_errors"] += 1
            effects = self._abandon(live)
        self.apply(live, effects)

    def _abandon(self, live: LiveCall) -> list[Effect]:
        leg = live.call.leg
        if leg is None:
            return []
        effects = leg.abandon(self.clock.now(), self.clock.wallclock(), (Reason.EVALUATION_ERROR,))
        if leg.way.opened and leg.way.recording is not None:
            # the step that failed may have lost its own order to stop; a second one does nothing
            stop = plane.Stop(live.call.ref, leg.way.recording, leg.way.seg, plane.End.STOPPED)
            return [PlaneOrder(stop), *effects]
        return effects

    # --- applying ----------------------------------------------------------------------------------------------------

    def apply(self, live: LiveCall, effects: Iterable[Effect]) -> None:
        """Do what the core wants, in its order; orders and events now, durable work in the call's queue."""
        for effect in effects:
            match effect:
                case PlaneOrder(order):
                    self.order(live, order)
                case Publish(event):
                    self.bus.publish(event)
                case EnterLeg(agent):
                    self.do(live, partial(self._durable.enter, live, agent))
                case WriteReceipt():
                    self.do(live, partial(self._durable.write_receipt, live, effect))
                case WriteDecision():
                    self.do(live, partial(self._durable.write_decision, live, effect))
                case WriteStop():
                    self.do(live, partial(self._durable.write_stop, live, effect))
                case DiscardRecording():
                    self.do(live, partial(self._durable.discard, live, effect))
                case LeaveLeg():
                    self.do(live, partial(self._durable.leave, live, effect, self.clock.now()))

    def do(self, live: LiveCall, work: Callable[[], Awaitable[None]]) -> None:
        """Queue durable work of a call."""
        self._work(live.do(work))

    def _work(self, task: asyncio.Task[None]) -> None:
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def order(self, live: LiveCall, order: plane.Order) -> None:
        """Send an order to the call's worker; a tap that opens is noted first."""
        if live.call.worker is None:
            return
        if isinstance(order, plane.Record):
            for side in order.sides:
                self.custody.tap_ordered(live, (order.recording, order.seg, side.side), order.opened_at)
        if not self.workers.send(live.call.worker, order):
            self.counters["orders_lost"] += 1

    # --- calls -------------------------------------------------------------------------------------------------------

    def adopt(self) -> int:
        """Take up the calls that the journal has; how many."""
        for live in self.table.adopt():
            self.reports.suspect(live.call.ref)  # its end may have passed while nobody listened
        return len(self.calls)

    async def finished(self, within_s: float = FINISH_S) -> bool:
        """Until the durable work of every leg is done; False where a disk keeps it waiting for too long."""
        give_up = self.clock.now() + within_s
        while self._working or self._durable.outs.due(None):
            if not self._working:
                self._say_outs(None)
            left = give_up - self.clock.now()
            if left <= 0:
                log.error("durable work was left undone; the next start completes it", count=len(self._working))
                return False
            await asyncio.wait(self._working, timeout=left)
        return True

    def _say_outs(self, now: float | None) -> None:
        if self._durable.outs.due(now):
            self._work(asyncio.create_task(self._durable.outs.say(now)))

    def flush_journal(self) -> None:
        """Before the end: what was queued for the journal is written, or given up after a while."""
        self.table.flush()

    def keep(self, live: LiveCall) -> None:
        """Into the journal, for after a restart."""
        self.table.keep(live)

    def _enter_x(self, live: LiveCall) -> None:
        if not self.site.draws(self.clock.wallclock()):
            return
        kind = XKind.UNKNOWN if live.call.new.extension is None else XKind.UNCLAIMED
        self.do(live, partial(self._durable.write_x, kind))


def format_time(wallclock: datetime) -> str:
    """RFC 3339 in UTC, to the second."""
    return wallclock.isoformat(timespec="seconds").replace("+00:00", "Z")
