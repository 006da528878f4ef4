"""What a media worker does with the gateway's orders: ports, relay, prompts, digits, recordings; and what it reports.

Knows no connection: `worker_process` feeds orders in and takes reports out. An order that can't be carried out is
answered or counted, never raised: the calls that run come first. Without a gateway the worker only forwards.
"""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Callable
from typing import Final

from gateway.clock import Clock
from gateway.errors import GatewayError
from gateway.media.datapath.base import Datapath, Latched, Observer, call_of
from gateway.media.errors import MediaError, OutOfPorts, UnknownFlow
from gateway.media.journal import FlowEntry, Journal
from gateway.media.passage import Passage
from gateway.media.plane import (
    CallRef,
    Counted,
    Discard,
    End,
    FlowCount,
    FlowId,
    Forward,
    Hello,
    KeysLost,
    Listen,
    MediaSeen,
    MediaTimeout,
    MediaUnreadable,
    Order,
    Play,
    PlayEnded,
    Query,
    Record,
    RecordingId,
    Remove,
    Report,
    Reserve,
    Reserved,
    ReserveFailed,
    Secure,
    SegmentFailed,
    SegmentSealed,
    Settled,
    SideName,
    Srtp,
    Stop,
    StopPlay,
    Withhold,
)
from gateway.media.prompts.player import Voice
from gateway.media.prompts.sounds import Catalogue
from gateway.media.prompts.voices import Voices
from gateway.media.recording.recorder import Recorder
from gateway.media.recording.session import Surroundings

SILENT_S: Final = 30.0
"""A flow that got nothing for so long is reported."""
LOOK_S: Final = 5.0
JOURNAL_DELAY_S: Final = 0.05
"""Latches of one call come together; they are written once."""
LATE_KEYS_S: Final = 1.0
"""How long after listening ended the rest of a press that was held back is waited for."""
MAX_SSRC_REPORTS: Final = 64
"""Changes of SSRC that a flow may report before they are reported once a second only."""

_log = logging.getLogger("fairtap.media")


class Call:
    """A call's flows as this worker carries them."""

    def __init__(self, flows: tuple[FlowId, ...]) -> None:
        self.flows: Final = flows
        self.forwards: Final[dict[FlowId, Forward]] = {}
        self.latched: Final[dict[FlowId, Latched]] = {}
        self.passages: Final[dict[FlowId, Passage]] = {}
        """By the flow whose packets take them."""
        self.withheld: Final[dict[FlowId, Withhold]] = {}
        self.journal_due: asyncio.TimerHandle | None = None


class Silence:
    """When a flow got its last packet, as far as looking every few seconds can tell."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.received = 0
        self.told = False
        self.ssrc_reports = 0
        self.ssrc_reported_at = float("-inf")


class Worker:
    """The state of one worker; an `Observer` of its datapath."""

    def __init__(
        self,
        index: int,
        clock: Clock,
        datapath: Callable[[Observer], Datapath],
        around: Surroundings,
        journal: Journal,
        catalogue: Catalogue,
    ) -> None:
        self.index: Final = index
        self.faults: Final[Counter[str]] = Counter()
        """Orders that could not be carried out and other things that should not be, by kind."""
        self.send: Callable[[Report], None] | None = None
        """Where reports go while a gateway is connected."""
        self.orders: Callable[[], None] | None = None
        """Carries out what the connected gateway has ordered by now."""
        self._clock, self._journal = clock, journal
        self._datapath = datapath(self)
        self._recorder = Recorder(self._datapath, around, self._report)
        self._calls: dict[CallRef, Call] = {}
        self._silence: dict[FlowId, Silence] = {}
        self._unsettled: dict[tuple[RecordingId, int, SideName], SegmentSealed | SegmentFailed] = {}
        self._look: asyncio.TimerHandle | None = None
        self._keyless: dict[CallRef, None] = {}
        """Calls of a worker before this one that it decrypted on the way."""
        self._voices = Voices(catalogue, self._play)

    # --- beginning and end --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take up the calls of the worker that was here before, then look after flows that fall silent."""
        for call, entries in self._journal.calls():
            self._restore(call, entries)
        self._voices.take_in()
        self._look_for_silence()

    def hello(self) -> list[Report]:
        """What a gateway is told first: calls, then what it hasn't settled yet."""
        calls = {ref: tuple(map(self._datapath.state, call.flows)) for ref, call in self._calls.items()}
        return [Hello(self.index, os.getpid(), calls), *map(KeysLost, self._keyless), *self._unsettled.values()]

    def gateway_lost(self) -> None:
        """The gateway's connection is over: stop recording, playing and listening; forward on."""
        self.send = self.orders = None
        self._recorder.close_all(End.INTERRUPTED, self._clock.now())
        self._voices.forget_all()
        for call in self._calls.values():
            for flow, passage in list(call.passages.items()):
                passage.close()
                self._settle_passage(call, flow)

    def stop(self) -> None:
        """Close all ports; the journal stays, so that the next worker takes the calls up."""
        self._voices.close()
        self.journal_written()
        if self._look is not None:
            self._look.cancel()
        for call in self._calls.values():
            self._datapath.remove(call.flows)

    # --- orders -------------------------------------------------------------------------------------------------------

    def carry_out(self, order: Order) -> None:
        """Do what the gateway ordered."""
        try:
            self._dispatch(order)
        except GatewayError:
            self.faults[order.kind] += 1
        except Exception as error:
            # a fault of ours costs this order, not the calls of this worker
            self.faults["internal"] += 1
            _log.error("order `%s` failed: %s", order.kind, type(error).__name__)

    def _dispatch(self, order: Order) -> None:
        match order:
            case Reserve():
                self._reserve(order)
            case Forward():
                self._forward(order)
            case Secure():
                self._datapath.secure(order)
                self._keyless.pop(call_of(order.flow), None)
            case Play():
                self._voices.make(order)
            case StopPlay():
                self._stop_play(order)
            case Listen():
                self._listen(order)
            case Withhold():
                self._withhold(order)
            case Record():
                self._recorder.record(order)
            case Stop():
                self._recorder.stop(order, self._clock.now())
            case Discard():
                self._discard(order)
            case Remove():
                self._remove(order)
            case Query():
                self._report(Counted(order.call, self._count(order.call)))
            case Settled():
                self._unsettled.pop((order.recording, order.seg, order.side), None)

    def _reserve(self, order: Reserve) -> None:
        if any(call_of(spec.flow) != order.call for spec in order.flows):
            raise UnknownFlow("flow is another call's")
        try:
            ports = self._datapath.reserve(order.flows)
        except OutOfPorts as error:
            self._report(ReserveFailed(order.call, str(error)))
            return
        before = self._calls.get(order.call)
        flows = dict.fromkeys((*(before.flows if before else ()), *ports))
        call = self._calls[order.call] = Call(tuple(flows))
        if before is not None:
            call.forwards.update(before.forwards)
            call.latched.update(before.latched)
            call.passages.update(before.passages)
            call.withheld.update(before.withheld)
        for flow in ports:
            self._silence.setdefault(flow, Silence(self._clock.now()))
        self._write_journal(order.call)
        self._report(Reserved(order.call, ports))

    def _forward(self, order: Forward) -> None:
        call = self._call(order.flow)
        self._datapath.forward(order)
        before = call.forwards.get(order.flow)
        if before != order:
            if order.srtp is Srtp.THROUGH and before is not None and before.srtp is not Srtp.THROUGH:
                for passage in call.passages.values():
                    if passage.target == order.flow:
                        passage.part()
            call.forwards[order.flow] = order
            self._write_journal(call_of(order.flow))

    def _play(self, order: Play, voice: Callable[[], Voice]) -> None:
        try:
            self._passage(self._source(order.flow)).play(order, voice())
        except MediaError as error:
            self._unplayed(order, error)

    def _unplayed(self, order: Play, error: GatewayError) -> None:
        self.faults["play"] += 1
        # a fault of a sequence would name a digit of what is read
        fault = type(error).__name__ if order.then else error
        _log.warning("call %s: not played: %s", call_of(order.flow), fault)
        self._report(PlayEnded(order.play, order.flow, False, self._clock.now()))

    def _forget_sounds(self, call: CallRef, play: str | None = None) -> None:
        """Sounds of a call that are still being read or coded aren't played."""
        for flow, one in self._voices.forget(call, play):
            self._report(PlayEnded(one, flow, False, self._clock.now()))

    def _stop_play(self, order: StopPlay) -> None:
        self._forget_sounds(call_of(order.flow), order.play)
        passage = self._call(order.flow).passages.get(self._source(order.flow))
        if passage is not None:
            passage.stop_play(order.play)

    def _listen(self, order: Listen) -> None:
        call = self._call(order.flow)
        if order.on or order.flow in call.passages:
            self._passage(order.flow).listen(order)
            self._settle_passage(call, order.flow)
        if not order.on and order.flow in call.passages:
            # the last packets of a press come up to three times, the first of them ended the listening
            asyncio.get_running_loop().call_later(LATE_KEYS_S, self._reveal, order.flow)

    def _reveal(self, flow: FlowId) -> None:
        call = self._calls.get(call_of(flow))
        if call is not None and flow in call.passages:
            call.passages[flow].reveal()
            self._settle_passage(call, flow)

    def _withhold(self, order: Withhold) -> None:
        call = self._call(order.flow)
        if not order.nothing or order.flow in call.passages:
            self._passage(order.flow).withhold(order)
            self._settle_passage(call, order.flow)
            call.withheld[order.flow] = order
            self._write_journal(call_of(order.flow))

    def _discard(self, order: Discard) -> None:
        for key in [key for key in self._unsettled if key[0] == order.recording]:
            del self._unsettled[key]
        self._recorder.discard(order)

    def _remove(self, order: Remove) -> None:
        self._recorder.close_call(order.call, End.NORMAL, self._clock.now())
        self._forget_sounds(order.call)
        call = self._calls.pop(order.call, None)
        counts: dict[FlowId, FlowCount] = {}
        if call is not None:
            for passage in call.passages.values():
                passage.close()
            if call.journal_due is not None:
                call.journal_due.cancel()
            counts = self._datapath.remove(call.flows)
            self._keyless.pop(order.call, None)
            for flow in call.flows:
                self._silence.pop(flow, None)
            self._erase_journal(order.call)
        self._report(Counted(order.call, counts, final=True))

    # --- the slow way -------------------------------------------------------------------------------------------------

    def _passage(self, source: FlowId) -> Passage:
        """The passage that a flow's packets take, put in their way if it isn't yet."""
        call = self._call(source)
        found = call.passages.get(source)
        if found is None:
            forward = call.forwards.get(source)
            if forward is None:
                raise UnknownFlow("flow isn't forwarded yet")
            found = Passage(source, forward.to, self._clock, self._report)
            found.outlet = self._datapath.divert(source, found)
            call.passages[source] = found
        return found

    def _settle_passage(self, call: Call, source: FlowId) -> None:
        """Back to the fast way where nothing needs the slow one."""
        if call.passages[source].idle:
            del call.passages[source]
            self._datapath.divert(source, None)

    def _source(self, target: FlowId) -> FlowId:
        """The flow whose packets go to the party of `target`."""
        forwards = self._call(target).forwards
        for flow, forward in forwards.items():
            if forward.to == target:
                return flow
        raise UnknownFlow("nothing is forwarded to that flow yet")

    def _call(self, flow: FlowId) -> Call:
        call = self._calls.get(call_of(flow))
        if call is None or flow not in call.flows:
            raise UnknownFlow("no such flow here")
        return call

    def _count(self, ref: CallRef) -> dict[FlowId, FlowCount]:
        call = self._calls.get(ref)
        return {flow: self._datapath.count(flow) for flow in call.flows} if call is not None else {}

    # --- what the datapath tells --------------------------------------------------------------------------------------

    def media_seen(self, flow: FlowId, at: float, ssrc: int, payload_type: int, earlier: int | None) -> None:
        """A flow's first packet, or another SSRC; one that flickers is told once a second after a while."""
        silence = self._silence.get(flow)
        if silence is not None:
            silence.ssrc_reports += 1
            if silence.ssrc_reports > MAX_SSRC_REPORTS and at < silence.ssrc_reported_at + 1.0:
                self.faults["ssrc_flicker"] += 1
                return
            silence.ssrc_reported_at = at
        self._report(MediaSeen(flow, at, ssrc, payload_type, earlier))

    def unreadable(self, flow: FlowId) -> None:
        """What a party sends can't be decrypted."""
        self._report(MediaUnreadable(flow))

    def latched(self, flow: FlowId, sources: Latched) -> None:
        """A flow knows its party's source; written soon, with the call's other latches."""
        call = self._calls.get(call_of(flow))
        if call is None:
            return
        call.latched[flow] = sources
        if call.journal_due is None:
            loop = asyncio.get_running_loop()
            call.journal_due = loop.call_later(JOURNAL_DELAY_S, self._write_journal, call_of(flow))

    def catch_up(self) -> None:
        """Packets came before the order that explains them was read."""
        if self.orders is not None:
            self.orders()

    def _look_for_silence(self) -> None:
        now = self._clock.now()
        for flow, silence in self._silence.items():
            received = self._datapath.count(flow).received
            if received != silence.received:
                silence.received, silence.since, silence.told = received, now, False
            elif not silence.told and now - silence.since >= SILENT_S:
                silence.told = True
                self._report(MediaTimeout(flow, now - silence.since))
        self._look = asyncio.get_running_loop().call_later(LOOK_S, self._look_for_silence)

    def _report(self, report: Report) -> None:
        if isinstance(report, SegmentSealed | SegmentFailed):
            self._unsettled[report.recording, report.seg, report.side] = report
        if self.send is not None:
            self.send(report)

    # --- journal ------------------------------------------------------------------------------------------------------

    def _write_journal(self, ref: CallRef) -> None:
        call = self._calls.get(ref)
        if call is None:
            return
        call.journal_due = None
        states = map(self._datapath.state, call.flows)
        entries = tuple(
            FlowEntry(
                state.flow,
                state.local,
                call.forwards.get(state.flow),
                call.latched.get(state.flow, Latched()),
                call.withheld.get(state.flow),
            )
            for state in states
        )
        self._journal.write(ref, entries)

    def journal_written(self) -> bool:
        """Wait, for a while, until the journal on disk says what this worker carries."""
        return self._journal.flush()

    def _erase_journal(self, ref: CallRef) -> None:
        self._journal.erase(ref)

    def _restore(self, ref: CallRef, entries: tuple[FlowEntry, ...]) -> None:
        call = Call(tuple(entry.flow for entry in entries))
        try:
            for entry in entries:
                self._datapath.restore(entry.flow, entry.local)
            for entry in entries:
                if entry.forward is not None:
                    self._datapath.forward(entry.forward)
                    call.forwards[entry.flow] = entry.forward
        except GatewayError:
            self.faults["restore"] += 1
            self._datapath.remove(call.flows)
            self._erase_journal(ref)
            return
        self._calls[ref] = call
        if any(entry.forward is not None and entry.forward.srtp is Srtp.ENDED for entry in entries):
            self._keyless[ref] = None
        for entry in entries:
            self._silence[entry.flow] = Silence(self._clock.now())
            call.latched[entry.flow] = entry.latched
            self._datapath.relatch(entry.flow, entry.latched)
        for entry in entries:
            if entry.withheld is not None and entry.forward is not None:
                self._withhold(entry.withheld)
