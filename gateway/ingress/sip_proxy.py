"""The inline way in: SIP between the two sides, with the media anchored on the way.

The proxy core decides where messages go and when; this glue shows each one's SDP to the engine before it goes on and
tells the engine what the dialog did. A message is never held for the recorder: only for ports, never longer than the
workers take to answer, and for the names of hosts in it, two seconds at most; without ports it goes on as it came.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from gateway.call.model import DialogTag, NewCall, SdpMessage, SipCallId
from gateway.clock import Clock
from gateway.engine.engine import Engine
from gateway.engine.ladder import method_word
from gateway.ingress.identity import Identity
from gateway.ingress.next_hop import NextHops
from gateway.ingress.probing import Probing
from gateway.ingress.profiles import Profiles
from gateway.ingress.source_limits import is_emergency_uri
from gateway.sdp.record import RECORD_AWARE
from gateway.sip.body import SdpPart, find_sdp, replace_sdp
from gateway.sip.build import strip_private_headers
from gateway.sip.errors import BodyError, SipSyntaxError
from gateway.sip.headers import address, has_option, replaces, session_expires
from gateway.sip.hop import Hop, Side
from gateway.sip.message import Message, Request, Response
from gateway.sip.proxy_core import ProxyCore
from gateway.sip.proxy_events import (
    AckArrived,
    Cancelled,
    ContextId,
    Discarded,
    Finished,
    Output,
    Probed,
    RequestArrived,
    ResponseArrived,
    ToGateway,
    Transmit,
    Unclaimed,
)
from policy.decision import Side as Party

__all__ = ["Sender", "SipProxy"]

log = structlog.get_logger()
CARRIES_OFFERS = frozenset({"INVITE", "UPDATE", "PRACK"})
HELP_RINGS_ON = 9
"""How often timer C starts anew for a call for help that rings: half an hour, then nobody is there any more."""


class Sender(Protocol):
    """What the transport does for the proxy."""

    def send(self, event: Transmit) -> None:
        """Send; a failure comes back through `SipProxy.send_failed`."""
        ...


@dataclass(slots=True)
class _Passing:
    """A request on its way, until its final response."""

    method: str
    call_id: SipCallId
    party: Party
    initial: bool
    offered: SdpPart | None
    """Its SDP: one in a response answers it."""
    unread: bool
    """It may have an SDP that can't be read: it passes as it came, and so does whatever answers it."""
    arrived: RequestArrived
    hops: list[Hop] = field(default_factory=list)
    """Still to be tried."""
    dialog: DialogTag | None = None
    new: NewCall | None = None
    """What an initial INVITE says."""
    answered: bool = False
    strange: bool = False
    """It has a standing call's Call-ID and isn't of it: it passes as it came."""
    for_help: bool = False
    """An emergency call: better rung twice than not at all."""
    over: bool = False
    """An initial INVITE that was refused, or that nobody answered."""


class SipProxy:
    """See the module. `transport` is set before the first message."""

    def __init__(
        self, core: ProxyCore, engine: Engine, identity: Identity, hops: dict[Side, NextHops], clock: Clock
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.draining = False
        self.transport: Sender | None = None
        self._core = core
        self._engine = engine
        self._identity = identity
        self._hops = hops
        self.probing = Probing(hops, self._probe, clock)
        self._profiles = Profiles({side: of.config for side, of in hops.items()})
        self._clock = clock
        self._passing: dict[ContextId, _Passing] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # --- from the transport ------------------------------------------------------------------------------------------

    def received(self, message: Request | Response, source: Hop) -> None:
        """A message from a configured peer."""
        self._act(self._core.receive(message, source, self._clock.now()))

    def malformed(self, error: SipSyntaxError, source: Hop) -> None:
        """Bytes from a configured peer that aren't SIP."""
        self._act(self._core.receive_error(error, source))

    def send_failed(self, event: Transmit) -> None:
        """The transport could not send."""
        self.counters["send_failed"] += 1
        self._act(self._core.transmit_failed(event, self._clock.now()))

    async def close(self) -> None:
        """Stop the timer and whatever is on its way."""
        if self._timer is not None:
            self._timer.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- acting on what the core says --------------------------------------------------------------------------------

    def _act(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Transmit():
                    if self.transport is not None:
                        self.transport.send(output)
                case RequestArrived():
                    self._spawn(self._request(output))
                case AckArrived():
                    self._spawn(self._ack(output))
                case ResponseArrived():
                    self._spawn(self._response(output))
                case Unclaimed():
                    self._spawn(self._hang_up(output))
                case ToGateway(context, _, source):
                    self._options(context, source)
                case Probed(hop, answered):
                    (self.probing.answered if answered else self.probing.failed)(hop)
                case Cancelled():
                    self.counters["cancelled"] += 1
                case Finished(context):
                    self._finished(context)
                case Discarded(why):
                    self.counters[f"discarded_{why.value}"] += 1
        self._set_timer()

    def _set_timer(self) -> None:
        due = self._core.next_timeout()
        if due == self._timer_due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_due = None, due
        if due is not None:
            wait = max(0.0, due - self._clock.now())
            self._timer = asyncio.get_running_loop().call_later(wait, self._advance)

    def _advance(self) -> None:
        self._timer_due = None
        self._act(self._core.advance(self._clock.now()))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.counters["faults"] += 1
            log.error("a message could not be passed on", exc_info=task.exception())

    # --- requests ----------------------------------------------------------------------------------------------------

    async def _request(self, arrived: RequestArrived) -> None:
        request, now = arrived.request, self._clock.now()
        initial = request.method == "INVITE" and not arrived.in_dialog
        if initial and self.draining and not is_emergency_uri(request.uri):
            self._act(self._core.answer(arrived.context, 503, now, extra=[("Retry-After", "30")]))
            return
        hops = await self._where(arrived)
        if not self._core.waits(arrived.context):
            return  # cancelled while a name was looked up: no call may begin that nobody ends
        if not hops:
            self.counters["no_next_hop"] += 1
            self._act(self._core.answer(arrived.context, 404 if arrived.target is None else 403, now))
            return
        passing = self._enter(arrived, initial, hops)
        try:
            await self._tell_request(request, passing)
            if not passing.strange:
                self._engine.passed(
                    passing.call_id, passing.party, method_word(request.method), described=bool(request.body)
                )
        except Exception:
            self._fault("a request is passed on without the engine")
            strip_private_headers(request)
        self._forward(passing)

    async def _where(self, arrived: RequestArrived) -> list[Hop]:
        """The hops to try, in order."""
        hops, request = self._hops[arrived.to_side], arrived.request
        found: list[Hop] = []
        if arrived.registered is not None:
            found = await hops.candidates(arrived.registered, request.uri)
        found += await hops.candidates(arrived.target, request.uri)
        ordered = self.probing.in_order(dict.fromkeys(found))
        return hops.fitting(ordered, len(request.to_bytes()), self._clock.now())

    def _forward(self, passing: _Passing) -> None:
        """To the first of the hops that are left."""
        hop = passing.hops.pop(0)
        last = not passing.initial or not (passing.hops if passing.for_help else _others(passing.hops, hop))
        rings_on = HELP_RINGS_ON if passing.for_help else 0
        self._act(self._core.forward(passing.arrived, hop, self._clock.now(), last=last, rings_on=rings_on))

    def _probe(self, hop: Hop) -> None:
        self._act(self._core.probe(hop, self._clock.now()))

    def _enter(self, arrived: RequestArrived, initial: bool, hops: list[Hop]) -> _Passing:
        request = arrived.request
        part, unread = _sdp_in(request) if request.method in CARRIES_OFFERS else (None, False)
        passing = _Passing(
            method=request.method,
            call_id=SipCallId(request.get("call-id") or ""),
            party=Party(arrived.source.side.value),
            initial=initial,
            offered=part,
            unread=unread,
            arrived=arrived,
            hops=hops,
            for_help=initial and is_emergency_uri(request.uri),
        )
        self._passing[arrived.context] = passing
        return passing

    async def _tell_request(self, request: Request, passing: _Passing) -> None:
        """Everything that the engine has to do with a request, before it goes on."""
        arrived, call_id = passing.arrived, passing.call_id
        passing.strange = self._is_strange(call_id, request)
        if passing.initial:
            passing.new = None if passing.strange else self._identity.new_call(request, arrived.source.side)
            for taken in replaces(request):
                self._engine.replaced(SipCallId(taken.call_id), taken.tags)
        elif arrived.in_dialog:
            passing.dialog = self._dialog(call_id, request)
        refused = self._identity.refuses(request, arrived.source.side)
        strip_private_headers(request)
        if passing.strange:
            return
        if request.method == "BYE" and self._engine.table.is_current(call_id, passing.dialog):
            self._engine.ending(call_id)
        if passing.new is not None:
            ref = self._engine.begin(passing.new)
            if arrived.to_side is self._identity.pbx_side:
                request.set("X-Fairtap-Call", ref)
        if refused:
            self._engine.hearsay.caller_refused(call_id)
        if request.method == "INVITE":
            self._engine.record_aware(call_id, passing.party, has_option(request, "supported", RECORD_AWARE))
        await self._show(request, passing, passing.new)

    def _fault(self, what: str) -> None:
        """A bug of ours costs the recording, never the message."""
        self.counters["faults"] += 1
        log.exception(what)

    async def _show(self, message: Message, passing: _Passing, new: NewCall | None) -> None:
        """SDP of a request: an offer, but for a PRACK that answers a reliable response's (RFC 3262 §5)."""
        part = passing.offered
        if passing.unread:
            self._engine.counters["descriptions_passed_unchanged"] += 1
        if part is None:
            return
        answers = passing.method == "PRACK" and self._engine.table.awaits_answer(
            passing.call_id, passing.dialog, passing.party
        )
        source = passing.arrived.source
        profile = self._profiles.between(source, passing.hops[0])
        sdp = SdpMessage(
            passing.party, passing.dialog, "answer" if answers else "offer", part.data, profile, source=source.host
        )
        body = await (self._engine.offer(new, sdp) if new is not None else self._engine.answer(passing.call_id, sdp))
        if body is not part.data:
            replace_sdp(message, part, body)

    async def _ack(self, arrived: AckArrived) -> None:
        request = arrived.request
        strip_private_headers(request)
        call_id, dialog = SipCallId(request.get("call-id") or ""), None
        try:
            if not self._is_strange(call_id, request):
                dialog = await self._show_ack(arrived, call_id)
                by = Party(arrived.source.side.value)
                self._engine.passed(call_id, by, "ACK", described=bool(request.body))
        except Exception:
            self._fault("an ACK is passed on without the engine")
            dialog = None
        hops = self.probing.in_order(await self._hops[arrived.to_side].candidates(arrived.target, request.uri))
        if not hops:
            self.counters["no_next_hop"] += 1
            return
        self._act(self._core.forward_ack(arrived, hops[0]))
        if dialog is not None and self._engine.table.is_current(call_id, dialog):
            self._engine.confirmed(call_id)

    async def _show_ack(self, arrived: AckArrived, call_id: SipCallId) -> DialogTag | None:
        (part, _), dialog = _sdp_in(arrived.request), self._dialog(call_id, arrived.request)
        if part is not None and dialog is not None:  # the offer was in the 2xx; an ACK that comes again says the same
            party, source = Party(arrived.source.side.value), arrived.source.host
            sdp = SdpMessage(party, dialog, "answer", part.data, source=source)
            body = await self._engine.answer(call_id, sdp)
            if body is not part.data:
                replace_sdp(arrived.request, part, body)
        return dialog

    def _options(self, context: ContextId, source: Hop) -> None:
        ready = not self.draining and self.probing.ready(source.side.other)
        self._act(self._core.answer(context, 200 if ready else 503, self._clock.now()))

    # --- responses ---------------------------------------------------------------------------------------------------

    async def _response(self, arrived: ResponseArrived) -> None:
        passing, response = self._passing.get(arrived.context), arrived.response
        if passing is None:
            self._act(self._core.forward_response(arrived, self._clock.now()))
            return
        if self._core.overtaken(arrived):
            return  # the engine mustn't hear that a call is over which another hop just took
        self._note_hop(passing, arrived)
        if self._goes_elsewhere(passing, arrived):
            self.counters["next_hop_failed"] += 1
            self._forward(passing)
            return
        refused = self._identity.refuses(response, passing.arrived.to_side)
        strip_private_headers(response)
        try:
            if not passing.strange:
                await self._tell_response(response, passing, arrived.hop, refused)
        except Exception:
            self._fault("a response is passed on without the engine")
        self._act(self._core.forward_response(arrived, self._clock.now()))

    async def _hang_up(self, unclaimed: Unclaimed) -> None:
        """Where the caller's own ACK and BYE would go."""
        if unclaimed.bye is not None:
            self.counters["answered_too_late"] += 1
        found: list[Hop] = []
        if unclaimed.target is not None:
            found = await self._hops[unclaimed.hop.side].candidates(unclaimed.target, unclaimed.ack.uri)
        hop = next(iter(self.probing.in_order(found)), unclaimed.hop)
        self._act(self._core.hang_up(unclaimed, hop, self._clock.now()))

    async def _tell_response(self, response: Response, passing: _Passing, hop: Hop | None, refused: bool) -> None:
        if refused:
            self._engine.hearsay.caller_refused(passing.call_id)
        await self._show_response(response, passing, hop)
        by, said = _across(passing.party), f"{response.status} {method_word(passing.method)}"
        self._engine.passed(passing.call_id, by, said, described=bool(response.body))
        self._conclude(response, passing)

    def _note_hop(self, passing: _Passing, arrived: ResponseArrived) -> None:
        """A hop that answers at all is there; silence is its own only where it had to say 100 (RFC 3261 §17.2.1).

        Any other request may just wait for somebody behind it: who passes it on says nothing meanwhile (RFC 4320 §4.1).
        """
        hop, status = arrived.hop, arrived.response.status
        if hop is None or (arrived.local and arrived.heard):
            return
        if not arrived.local:
            self.probing.answered(hop)
        elif status == 503 or (status == 408 and passing.method == "INVITE"):
            self.probing.failed(hop)
            self._hops[hop.side].failed(hop, self._clock.now())

    def _goes_elsewhere(self, passing: _Passing, arrived: ResponseArrived) -> bool:
        """RFC 3263 §4.3: who can't be reached, or says 503, is one of several.

        Who may have the request gets it by no other transport (RFC 3261 §18.1.1), and a call that rang begins nowhere
        anew (§16.8); but a call for help.
        """
        hop, status = arrived.hop, arrived.response.status
        unsent, silent = arrived.local and status == 503, arrived.local and status == 408
        if hop is not None and not unsent and not (silent and passing.for_help):
            passing.hops = _others(passing.hops, hop)
        if not passing.hops or (passing.arrived.in_dialog and not arrived.local):
            return False
        if arrived.heard and not passing.for_help:
            return False
        return status == 503 or (silent and passing.initial)

    async def _show_response(self, response: Response, passing: _Passing, hop: Hop | None) -> None:
        part = None
        if passing.method in CARRIES_OFFERS and response.status < 300 and not passing.unread:
            part, _ = _sdp_in(response)
        dialog = self._dialog(passing.call_id, response) or passing.dialog
        if part is None or dialog is None:
            return
        party = _across(passing.party)
        profile = self._profiles.between(hop, passing.arrived.source) if hop is not None else None
        source = hop.host if hop is not None else None
        sdp = SdpMessage(party, dialog, "answer" if passing.offered else "offer", part.data, profile, source=source)
        body = await self._engine.answer(passing.call_id, sdp)
        if body is not part.data:
            replace_sdp(response, part, body)

    def _conclude(self, response: Response, passing: _Passing) -> None:
        """Tell the engine what a response means for the call."""
        if response.status < 200:
            return
        success, call_id = response.status < 300, passing.call_id
        current = self._engine.table.is_current(call_id, passing.dialog)
        if passing.initial and passing.method == "INVITE":
            dialog = self._dialog(call_id, response)
            if success and dialog is not None:
                passing.answered = True
                self._engine.answered(call_id, dialog, passing.new)
                current = self._engine.table.is_current(call_id, dialog)
            elif not success:
                self._branch_over(passing)
        elif passing.method == "BYE" and passing.dialog is not None:
            passing.answered = True
            if current and response.status not in (401, 407):
                self._engine.hang_up(call_id)
        elif passing.method in CARRIES_OFFERS and passing.offered and not success and passing.dialog is not None:
            self._engine.rolled_back(call_id, passing.dialog)
        elif passing.method == "REFER" and success and current:
            self._engine.referred(call_id)
        if success and current and passing.method == "INVITE" and has_option(response, "supported", RECORD_AWARE):
            self._engine.record_aware(call_id, _across(passing.party), True)
        if success and current and passing.method in ("INVITE", "UPDATE"):  # another branch's says nothing of the call
            self._engine.session_lasts(call_id, session_expires(response))

    def _branch_over(self, passing: _Passing) -> None:
        """A call that was forked before us goes on while another of its INVITEs may still be answered."""
        passing.over = True
        branches = (other for other in self._passing.values() if other.initial and other.call_id == passing.call_id)
        if not passing.answered and all(branch.over for branch in branches):
            self._engine.abandon_unanswered(passing.call_id)

    def _finished(self, context: ContextId) -> None:
        """A request is over without more to come; an INVITE that nobody answered takes its call along."""
        passing = self._passing.pop(context, None)
        try:
            if passing is not None:
                self._unanswered(passing)
        except Exception:
            self._fault("the end of a request wasn't told to the engine")

    def _unanswered(self, passing: _Passing) -> None:
        if passing.initial and passing.method == "INVITE":
            self._branch_over(passing)
        unanswered_bye = passing.method == "BYE" and passing.dialog is not None and not passing.answered
        if unanswered_bye and self._engine.table.is_current(passing.call_id, passing.dialog):
            self._engine.hang_up(passing.call_id)

    # --- dialogs -----------------------------------------------------------------------------------------------------

    def _dialog(self, call_id: SipCallId, message: Message) -> DialogTag | None:
        """The callee's tag: whichever of From and To isn't the initial caller's."""
        return self._engine.table.dialog(call_id, address(message, "from").tag, address(message, "to").tag)

    def _is_strange(self, call_id: SipCallId, message: Message) -> bool:
        return self._engine.table.is_strange(call_id, address(message, "from").tag, address(message, "to").tag)


def _sdp_in(message: Message) -> tuple[SdpPart | None, bool]:
    """Its SDP, and whether it may have one that can't be read."""
    try:
        return find_sdp(message), False
    except BodyError:
        return None, True


def _others(hops: list[Hop], hop: Hop) -> list[Hop]:
    """Those that are other neighbours."""
    return [other for other in hops if other.neighbour != hop.neighbour]


def _across(party: Party) -> Party:
    return Party.AGENT if party is Party.CALLER else Party.CALLER
