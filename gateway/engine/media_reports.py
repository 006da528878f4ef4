"""What media workers tell: media, digits, playings, segments, silence, their coming and going.

A worker that is lost ends the recordings it made, never the calls it carries; calls that only one of the two knows end
on its side.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Protocol

import structlog

from gateway.call.effects import Effect
from gateway.call.model import SipCallId
from gateway.call.pausing import PAUSE_CODE, RESUME_CODE
from gateway.call.stage import Stage
from gateway.clock import Clock
from gateway.engine.custody import Custody
from gateway.engine.leg_figures import LegFigures
from gateway.engine.live_call import LiveCall
from gateway.engine.pass_through import PassThrough
from gateway.engine.silence import (
    EXPIRED_OVER_AFTER_S,
    OVER_AFTER_S,
    RECORDING_OVER_AFTER_S,
    UNANCHORED_AFTER_S,
    SilentCalls,
)
from gateway.engine.workers import Workers
from gateway.media import plane
from gateway.media.plane import CallRef, FlowId
from policy.decision import Reason, Side

__all__ = ["Calls", "MediaReports"]

log = structlog.get_logger()
COUNT_WAIT_S = 0.03
"""How long a worker may take to count: a proxy waits for the answer."""


class Calls(Protocol):
    """What a report asks of the engine."""

    calls: dict[SipCallId, LiveCall]
    by_ref: dict[CallRef, LiveCall]
    counters: Counter[str]
    pass_through: PassThrough

    def reconsider(self, live: LiveCall) -> None:
        """Let a call decide anew."""

    def step(self, live: LiveCall, step: Callable[[], list[Effect]]) -> None:
        """Take one step of the core and apply its effects."""

    def order(self, live: LiveCall, order: plane.Order) -> None:
        """Send an order to the call's worker."""

    def pause(self, live: LiveCall, by: str, on: bool) -> bool:
        """Pause or resume for one of those who may."""

    def hang_up(self, call_id: SipCallId) -> None:
        """The call is over."""


class MediaReports:
    """See the module."""

    def __init__(self, calls: Calls, *, clock: Clock, custody: Custody, workers: Workers) -> None:
        self._calls = calls
        self._clock = clock
        self._custody = custody
        self._workers = workers
        self.figures = LegFigures()
        self._silent = SilentCalls()
        self._asked: dict[CallRef, list[asyncio.Future[plane.Counted]]] = {}

    def suspect(self, ref: CallRef) -> None:
        """Nobody listened for a while: the call's end may have passed."""
        self._silent.suspect(ref, self._clock.now())

    def forget(self, ref: CallRef) -> None:
        """The call is over."""
        self._silent.forget(ref)
        self._asked.pop(ref, None)

    def survey(self) -> None:
        """Now and then: count the calls that fell silent, forget those of which nothing can ever be heard."""
        for ref in [ref for ref, live in self._calls.by_ref.items() if self._expired(live)]:
            self._silent.suspect(ref, self._clock.now())
        for ref in self._silent.calls():
            live = self._calls.by_ref.get(ref)
            if live is not None:
                self._calls.order(live, plane.Query(ref))
        for live in tuple(self._calls.calls.values()):
            if live.call.worker is None and self._clock.now() - live.began_at > UNANCHORED_AFTER_S:
                self._lost(live)

    async def counts(self, live: LiveCall) -> dict[FlowId, plane.FlowCount]:
        """The counters of a call's flows now; empty where its worker doesn't say so at once."""
        counted: asyncio.Future[plane.Counted] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(live.call.ref, []).append(counted)
        self._calls.order(live, plane.Query(live.call.ref))
        try:
            return dict((await asyncio.wait_for(counted, COUNT_WAIT_S)).flows)
        except TimeoutError:
            return {}

    def _counted(self, report: plane.Counted) -> None:
        for asked in self._asked.pop(report.call, ()):
            if not asked.done():
                asked.set_result(report)
        live = self._calls.by_ref.get(report.call)
        if live is None:
            return
        silent = self._silent.counted(report, self._clock.now())
        leg = live.call.leg
        if silent.call >= (EXPIRED_OVER_AFTER_S if self._expired(live) else OVER_AFTER_S):
            self._lost(live)
        elif silent.said >= RECORDING_OVER_AFTER_S and leg is not None and leg.stage is Stage.OPEN:
            now, wallclock = self._clock.now(), self._clock.wallclock()
            self._calls.step(live, partial(leg.abandon, now, wallclock, (Reason.NO_MEDIA,)))

    def _expired(self, live: LiveCall) -> bool:
        return live.lasts_until is not None and self._clock.now() >= live.lasts_until

    def _lost(self, live: LiveCall) -> None:
        self._calls.counters["calls_without_end"] += 1
        log.warning("a call that nobody ended is forgotten", call=live.call.ref)
        self._calls.hang_up(live.call.new.call_id)

    def take(self, worker: int, report: plane.Report) -> None:
        """One line of a worker's."""
        match report:
            case plane.Hello():
                self._hello(worker, report)
            case plane.MediaSeen(flow=flow):
                self._with_call(CallRef(flow.split("/", 1)[0]), lambda live: live.call.media_seen(report))
            case plane.DigitHeard(flow=flow):
                self._with_call(CallRef(flow.split("/", 1)[0]), lambda live: _pressed(live, report))
            case plane.CodeHeard():
                self._code_heard(report)
            case plane.PlayEnded(flow=flow):
                self._with_call(CallRef(flow.split("/", 1)[0]), lambda live: live.call.played(report))
            case plane.MediaUnreadable(flow=flow):
                self._with_call(CallRef(flow.split("/", 1)[0]), _unreadable)
            case plane.KeysLost(call=ref):
                self._calls.counters["srtp_keys_lost"] += 1
                log.warning(
                    "a call that was decrypted on its way has lost its keys: its parties hear nothing", call=ref
                )
            case plane.Discarded(recording=recording):
                self._custody.discarded(recording)
            case plane.CodecSwitched():
                self._codec_switched(report)
            case plane.SegmentOpened() | plane.SegmentSealed() | plane.SegmentFailed():
                self._custody.take(worker, report)
                if isinstance(report, plane.SegmentFailed):
                    self._side_failed(report)
            case plane.MediaTimeout(flow=flow, silent_s=silent_s):
                self._silent.suspect(CallRef(flow.split("/", 1)[0]), self._clock.now() - silent_s)
            case plane.Counted(final=False):
                self._counted(report)
            case plane.Counted(call=ref, flows=flows, final=True):
                self.figures.take(flows)
                self._calls.pass_through.counted(ref, flows)
                for count in flows.values():
                    self._calls.counters["packets_relayed"] += count.forwarded
                    self._calls.counters["packets_from_wrong_source"] += count.wrong_source
                    self._calls.counters["packets_not_decrypted"] += count.unreadable
            case _:
                pass

    def _code_heard(self, report: plane.CodeHeard) -> None:
        """The caller's own code withdraws, the agent's pause and resume."""
        ref, party, _ = report.flow.split("/")
        live = self._calls.by_ref.get(CallRef(ref))
        leg = live.call.leg if live is not None else None
        if live is None or leg is None:
            return
        if party == Side.AGENT.value and report.code in (PAUSE_CODE, RESUME_CODE):
            self._calls.pause(live, f"agent:{leg.agent}", report.code == PAUSE_CODE)
            return
        leg.code_heard(report)
        self._calls.reconsider(live)

    def _codec_switched(self, report: plane.CodecSwitched) -> None:
        """The segment ends, and a new one may begin."""
        live = self._calls.by_ref.get(report.call)
        if live is not None and live.call.leg is not None:
            live.call.leg.codec_switched(report.recording, report.seg)
            self._calls.reconsider(live)

    def _side_failed(self, report: plane.SegmentFailed) -> None:
        """A side that can't be stored ends the recording of both, and the light with it."""
        live = self._calls.by_ref.get(report.call)
        leg = live.call.leg if live is not None else None
        if report.reason == plane.UNVETTED:
            self._calls.counters["leaks_not_ruled_out"] += 1
        if live is None or leg is None or report.reason in plane.NOTHING_KEPT:
            return
        if report.reason in plane.LEAKS:
            leg.leaked(report.recording)
            self._calls.reconsider(live)
            return
        if leg.stage is Stage.OPEN and (leg.way.recording, leg.way.seg) == (report.recording, report.seg):
            now, wallclock = self._clock.now(), self._clock.wallclock()
            self._calls.step(live, partial(leg.abandon, now, wallclock, (Reason.STORAGE_UNAVAILABLE,)))

    def worker_lost(self, worker: int) -> None:
        """A worker's connection broke: it has closed its taps, or it is gone. Its calls go on, unrecorded."""
        for live in tuple(self._calls.calls.values()):
            leg = live.call.leg
            if live.call.worker != worker:
                continue
            live.call.negotiation.keys.forget()
            if leg is None:
                continue
            if leg.way.opened:
                live.interrupted = True
            now, wallclock = self._clock.now(), self._clock.wallclock()
            self._calls.step(live, partial(leg.abandon, now, wallclock, (Reason.STORAGE_UNAVAILABLE,)))

    def _hello(self, worker: int, hello: plane.Hello) -> None:
        """Calls that only one of the two knows are ended on its side."""
        for ref in hello.calls:
            if ref not in self._calls.by_ref:
                self._workers.send(worker, plane.Remove(ref))
        for live in tuple(self._calls.calls.values()):
            if live.call.worker == worker and live.call.ref not in hello.calls:
                # its ports are gone: the next offer or answer reserves others
                self._calls.counters["calls_lost_by_worker"] += 1
                live.call.negotiation.ports.clear()
        self._custody.worker_connected(worker, hello.pid)

    def _with_call(self, ref: CallRef, note: Callable[[LiveCall], None]) -> None:
        live = self._calls.by_ref.get(ref)
        if live is not None:
            note(live)
            self._calls.reconsider(live)


def _unreadable(live: LiveCall) -> None:
    live.call.negotiation.unreadable = True


def _pressed(live: LiveCall, report: plane.DigitHeard) -> None:
    if live.call.leg is not None:
        live.call.leg.pressed(report)
