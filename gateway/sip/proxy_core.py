"""Transaction-stateful Record-Route proxy without I/O (RFC 3261 §16, RFC 4320, RFC 5393, RFC 6026).

One branch goes out per request; what forks downstream comes back as several provisional and several 2xx responses, and
all of them pass. Every request, ACK and response is handed to the ingress and waits until it is handed back, so that
the media can be anchored in between. Nothing that a dialog needs later is kept here: it is in its Route sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from gateway.sip import transaction as tx
from gateway.sip.build import build_ack, build_cancel, build_probe, build_response, has_to_tag
from gateway.sip.errors import SipRefused, SipSyntaxError
from gateway.sip.given_up import Branch, GivenUp
from gateway.sip.headers import Via, address, parse_cseq, pop_first
from gateway.sip.hop import Hop, Side
from gateway.sip.message import Request, Response
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
    Why,
)
from gateway.sip.response_context import Context, Contexts, Phase
from gateway.sip.routing import Routing, SideAddresses, loop_hash, stamp, state_length
from gateway.sip.timers import SipTimers
from gateway.sip.validate import validate_forwarding, validate_request, validate_response

_MAX_SEEN = 32
_INITIAL_MAX_FORWARDS = 70
_BUSY_S = 5
"""When whoever was refused for overload may come again."""


class ProxyCore:
    """Feed it what comes in, call `advance` when `next_timeout` is due, and act on what they return, in order."""

    def __init__(
        self,
        sides: Mapping[Side, SideAddresses],
        timers: SipTimers,
        new_id: Callable[[], str],
        supported: frozenset[str] = frozenset(),
        refuses: Callable[[Request, Hop, int, int], int] | None = None,
    ) -> None:
        """`new_id` gives unguessable tokens for branches and tags; `supported` are option tags of Proxy-Require.

        `refuses` is asked before anything is kept of a new request, with its source's number of
        open ones and everybody's: a status to refuse it with, or 0.
        """
        self._routing = Routing(sides)
        self._timers = timers
        self._new_id = new_id
        self._supported = supported
        self._refuses = refuses
        self._layer = tx.TransactionLayer(timers)
        self._contexts = Contexts()
        self._probes: dict[tx.ClientKey, Hop] = {}
        self._given_up = GivenUp()
        self._refusal_tag = new_id()

    def __len__(self) -> int:
        """Contexts that aren't finished."""
        return len(self._contexts)

    def receive(self, message: Request | Response, source: Hop, now: float) -> list[Output]:
        """A parsed message from a peer; `source` is its address, transport and connection as the socket saw them."""
        if isinstance(message, Response):
            return self._receive_response(message, source, now)
        return self._receive_request(message, source, now)

    def receive_error(self, error: SipSyntaxError, source: Hop) -> list[Output]:
        """What didn't parse: answered where an answer is allowed, without any state."""
        if error.request is None or not error.answerable:
            return [Discarded(Why.MALFORMED)]
        request, reply_to = stamp(error.request, source)
        return [self._refusal(request, error.status, reply_to), Discarded(Why.MALFORMED, error.status)]

    def waits(self, context_id: ContextId) -> bool:
        """Whether a request still waits to be sent on: it wasn't cancelled, answered or given up meanwhile."""
        context = self._contexts.get(context_id)
        return context is not None and context.phase is Phase.HELD

    def overtaken(self, arrived: ResponseArrived) -> bool:
        """Whether a refusal came to nothing while the ingress had it: a late 2xx or a CANCEL was first."""
        context = self._contexts.get(arrived.context)
        return context is not None and context.phase is Phase.ANSWERED and arrived.response.status >= 300

    def forward(
        self, arrived: RequestArrived, hop: Hop, now: float, *, last: bool = True, rings_on: int = 0
    ) -> list[Output]:
        """Send a held request on to `hop`; after a local refusal once more to another one (serial forking).

        Where it isn't the `last` one that there is, an INVITE without any answer is refused (408) sooner. One that
        rings may do so `rings_on` times longer than timer C says, which starts anew then (RFC 3261 §16.8).
        """
        context = self._contexts.get(arrived.context)
        if context is None or context.phase is not Phase.HELD:
            return []
        if context.cancelled:
            return self.answer(arrived.context, 487, now)
        request = arrived.request.copy()
        self._count_hop(request)
        routing, came_by = self._routing, context.source
        routing.record_route(request, came_by.side, came_by.transport, hop.side, hop.transport)
        routing.push_path(request, came_by, hop.side, hop.transport)
        branch = f"z9hG4bK{self._new_id()}.{context.mark}"
        routing.push_via(request, hop.side, hop.transport, branch)
        state_length(request, hop)
        patience = None if last or request.method != "INVITE" else self._timers.elsewhere
        key, outputs = self._layer.send_request(request, branch, hop, now, patience)
        self._contexts.went(context, key, request, hop)
        context.rings_on = rings_on
        self._contexts.watch(context, now + self._timers.c if request.method == "INVITE" else None)
        return self._translate(outputs, now)

    def forward_ack(self, arrived: AckArrived, hop: Hop) -> list[Output]:
        """Send an ACK for a 2xx on, end to end and without state (RFC 3261 §16.11)."""
        return [self._send_ack(arrived.request.copy(), hop)]

    def forward_response(self, arrived: ResponseArrived, now: float) -> list[Output]:
        """Send a held response on to where its request came from."""
        context = self._contexts.get(arrived.context)
        if context is None or self.overtaken(arrived):
            return []
        response = arrived.response.copy()
        if arrived.local and response.status == 408 and context.request.method != "INVITE":
            self._layer.drop_server(context.server)  # RFC 4320 §4.2: the sender timed out by itself
            return self._finish(context)
        state_length(response, context.source)
        if arrived.received:
            context.seen[arrived.received] = response
        if response.status >= 200:
            self._conclude(context)
        return self._translate(self._layer.respond(context.server, response, now), now)

    def answer(
        self, context_id: ContextId, status: int, now: float, reason: str = "", extra: Iterable[tuple[str, str]] = ()
    ) -> list[Output]:
        """Answer a request ourselves; a branch that is still ringing is cancelled by a final answer."""
        context = self._contexts.get(context_id)
        if context is None or context.phase is Phase.ANSWERED:
            return []
        outputs: list[Output] = []
        if status >= 200:
            outputs += self._leave_branch(context, now)
            self._conclude(context)
        response = build_response(context.request, status, reason, self._new_id(), extra)
        return outputs + self._translate(self._layer.respond(context.server, response, now), now)

    def probe(self, hop: Hop, now: float) -> list[Output]:
        """Ask a neighbour whether it is there; `Probed` tells, unless it is asked again before."""
        for key in [key for key, other in self._probes.items() if other == hop]:
            self._layer.drop_client(key)
            del self._probes[key]
        request = build_probe(hop, self._routing.name(hop.side, hop.transport), self._new_id)
        branch = f"z9hG4bK{self._new_id()}"
        self._routing.push_via(request, hop.side, hop.transport, branch)
        key, outputs = self._layer.send_request(request, branch, hop, now)
        self._probes[key] = hop
        return self._translate(outputs, now)

    def hang_up(self, unclaimed: Unclaimed, hop: Hop, now: float) -> list[Output]:
        """End a call that nobody has, by way of `hop`."""
        outputs: list[Output] = [self._send_ack(unclaimed.ack.copy(), hop)]
        if unclaimed.bye is not None:
            bye, branch = unclaimed.bye.copy(), f"z9hG4bK{self._new_id()}"
            self._routing.push_via(bye, hop.side, hop.transport, branch)
            outputs += self._translate(self._layer.send_request(bye, branch, hop, now)[1], now)
        return outputs

    def transmit_failed(self, event: Transmit, now: float) -> list[Output]:
        """The transport couldn't deliver `event`: a request's branch fails with a local 503."""
        if event.branch is None:
            return []
        return self._translate(self._layer.fail(tx.ClientKey(event.branch), now), now)

    def next_timeout(self) -> float | None:
        """Monotonic time when `advance` must be called; None: not before something comes in."""
        timeouts = (self._contexts.next_timeout(), self._layer.next_timeout())
        return min((due for due in timeouts if due is not None), default=None)

    def advance(self, now: float) -> list[Output]:
        """Let all timers fire that are due."""
        self._given_up.forget(now)
        outputs = self._translate(self._layer.advance(now), now)
        for context in self._contexts.due(now):
            outputs += self._give_up(context, now)
        return outputs

    # requests

    def _receive_request(self, request: Request, source: Hop, now: float) -> list[Output]:
        request, reply_to = stamp(request, source)
        try:
            vias = validate_request(request)
            if request.method == "CANCEL":
                return self._receive_cancel(request, vias[0], reply_to, now)
            mark = loop_hash(request, source.side)
            if not (request.method == "OPTIONS" and self._routing.addressed_to_us(request)):
                validate_forwarding(request, self._supported, self._looped(vias, mark))
        except SipRefused as refused:
            if request.method == "ACK":
                return [Discarded(Why.REFUSED)]
            refusal = self._refusal(request, refused.status, reply_to, refused.extra)
            return [refusal, Discarded(Why.REFUSED, refused.status)]
        refused_by = self._overload(request, vias[0], source)
        if refused_by:
            refusal = self._refusal(request, refused_by, reply_to, (("Retry-After", str(_BUSY_S)),))
            return [refusal, Discarded(Why.OVERLOAD, refused_by)]
        outputs = self._layer.receive_request(request, vias[0], reply_to, now)
        return self._translate(outputs, now, source, mark)

    def _overload(self, request: Request, via: Via, source: Hop) -> int:
        if self._refuses is None or request.method == "ACK" or self._layer.knows(request, via, source.side):
            return 0
        return self._refuses(request, source, self._contexts.open_of(source.host), len(self._contexts))

    def _receive_cancel(self, cancel: Request, via: Via, reply_to: Hop, now: float) -> list[Output]:
        key = self._layer.invite_for_cancel(cancel, via, reply_to.side)
        context = self._contexts.of_server(key) if key is not None else None
        if context is None and not self._layer.knows(cancel, via, reply_to.side):
            return [self._refusal(cancel, 481, reply_to)]  # a flood of them leaves nothing here
        outputs: list[Output] = []
        for event in self._layer.receive_request(cancel, via, reply_to, now):
            if not isinstance(event, tx.NewRequest):
                outputs += self._translate([event], now)
                continue
            response = build_response(cancel, 200, "", self._new_id())
            outputs += self._translate(self._layer.respond(event.key, response, now), now)
            if context is not None:
                outputs += self._cancel(context, now)
        return outputs

    def _cancel(self, context: Context, now: float) -> list[Output]:
        if context.phase is Phase.ANSWERED or context.cancelled:
            return []
        context.cancelled = True
        outputs: list[Output] = [Cancelled(context.id)]
        if context.phase is Phase.HELD:
            return outputs + self.answer(context.id, 487, now)
        return outputs + (self._send_cancel(context, now) if context.phase is Phase.RINGING else [])

    def _send_cancel(self, context: Context, now: float) -> list[Output]:
        if context.sent is None or context.hop is None or context.client is None:
            return []
        context.phase = Phase.CANCELLING
        self._contexts.watch(context, now + self._timers.timeout)
        return self._cancel_sent(context.sent, context.hop, context.client, now)

    def _cancel_sent(self, sent: Request, hop: Hop, client: tx.ClientKey, now: float) -> list[Output]:
        _, outputs = self._layer.send_request(build_cancel(sent), client[1], hop, now)
        return self._translate(outputs, now)

    def _open(self, event: tx.NewRequest, source: Hop, mark: str, now: float) -> list[Output]:
        context = self._contexts.open(event.key, event.request, source, mark)
        invite = event.request.method == "INVITE"
        self._contexts.watch(context, now + (self._timers.c if invite else self._timers.timeout))
        request = event.request.copy()
        if request.method == "OPTIONS" and self._routing.addressed_to_us(request):
            return [ToGateway(context.id, request, source)]
        in_dialog = has_to_tag(request)
        routed = self._routing.work_off(request, source.side, in_dialog)
        return [
            RequestArrived(context.id, request, source, routed.to_side, routed.target, in_dialog, routed.registered)
        ]

    def _acknowledge(self, request: Request, source: Hop) -> list[Output]:
        if address(request, "to").tag == self._refusal_tag:
            return []
        request = request.copy()
        routed = self._routing.work_off(request, source.side, in_dialog=True)
        return [AckArrived(request, source, routed.to_side, routed.target)]

    def _refusal(self, request: Request, status: int, hop: Hop, extra: Iterable[tuple[str, str]] = ()) -> Transmit:
        """An answer without a transaction; its To tag lets us absorb the ACK."""
        return Transmit(build_response(request, status, "", self._refusal_tag, extra).to_bytes(), hop)

    def _looped(self, vias: list[Via], mark: str) -> bool:
        return any(self._routing.is_our_via(via) and via.branch.endswith(f".{mark}") for via in vias)

    def _send_ack(self, request: Request, hop: Hop) -> Transmit:
        self._count_hop(request)
        self._routing.push_via(request, hop.side, hop.transport, f"z9hG4bK{self._new_id()}")
        state_length(request, hop)
        return Transmit(request.to_bytes(), hop)

    def _count_hop(self, request: Request) -> None:
        said = request.get("max-forwards")
        request.set("max-forwards", str(_INITIAL_MAX_FORWARDS if said is None else max(0, int(said) - 1)))

    # responses

    def _receive_response(self, response: Response, source: Hop, now: float) -> list[Output]:
        try:
            via = validate_response(response)[0]
        except SipRefused:
            return [Discarded(Why.MALFORMED)]
        if not self._routing.is_our_via(via):
            return [Discarded(Why.FOREIGN_VIA)]
        key = tx.ClientKey((source.side, via.branch, parse_cseq(response.get("cseq") or "")[1]))
        late = self._given_up.of(key, now)
        if late is not None:
            context = self._contexts.of_client(key) if late.resumed else None
            if context is None or context.phase is Phase.ANSWERED:
                return self._answered_late(late, response, now)
            ack = [Transmit(build_ack(late.sent, response).to_bytes(), late.hop)] if response.status >= 300 else []
            return [*ack, *self._answered(context, response, now)]
        return self._translate(self._layer.receive_response(response, via, source.side, now), now)

    def _answered(self, context: Context, response: Response, now: float) -> list[Output]:
        status, invite = response.status, context.request.method == "INVITE"
        if context.phase is Phase.ANSWERED and not 200 <= status < 300:
            return []  # after a final response only 2xx go up (RFC 3261 §16.7 step 5)
        if status == 487 and context.phase is Phase.CANCELLING and not context.cancelled:
            return self._refuse_locally(context, 408, now)  # timer C's work: its sender took nothing back
        if status == 482 and invite and self._waits_again(context, now):
            return []
        outputs: list[Output] = []
        if status < 200:
            context.said = max(context.said, status)
        if status < 200 and context.phase is Phase.CALLING:
            context.phase = Phase.RINGING
            if context.cancelled:
                outputs = self._send_cancel(context, now)
        if 100 < status < 200 and invite and context.phase is Phase.RINGING:
            self._contexts.watch(context, now + self._timers.c)
        if status == 100 or (status < 200 and not invite):
            return outputs  # RFC 3261 §16.7 step 5, RFC 4320 §4.1
        return outputs + self._hand_up(context, response, context.hop, now)

    def _hand_up(self, context: Context, response: Response, hop: Hop | None, now: float) -> list[Output]:
        received = response.to_bytes()
        if received in context.seen:
            again = context.seen[received]
            return [] if again is None else self._translate(self._layer.respond(context.server, again, now), now)
        response = response.copy()
        pop_first(response, "via")
        if response.get("via") is None:
            return [Discarded(Why.FOREIGN_VIA)]
        if len(context.seen) < _MAX_SEEN:
            context.seen[received] = None
        if response.status >= 300 and context.phase is not Phase.ANSWERED:
            context.phase = Phase.HELD
        return [ResponseArrived(context.id, response, hop, received=received)]

    def _refuse_locally(self, context: Context, status: int, now: float) -> list[Output]:
        if context.phase is Phase.ANSWERED:
            return []
        context.phase = Phase.HELD
        self._contexts.watch(context, now + self._timers.timeout)
        response = build_response(context.request, 487 if context.cancelled else status, "", self._new_id())
        return [ResponseArrived(context.id, response, context.hop, local=True, heard=context.said > 0)]

    def _leave_branch(self, context: Context, now: float) -> list[Output]:
        """Wait no longer for where an INVITE is out; if it rings there, it is to stop (RFC 3261 §16.7 step 10)."""
        if context.client is None or context.request.method != "INVITE" or not self._layer.waits(context.client):
            return []
        rings = context.phase is Phase.RINGING
        self._layer.drop_client(context.client)
        branch = self._give_up_branch(context, now)
        return [] if branch is None or not rings else self._stop_ringing(branch, now)

    def _give_up_branch(self, context: Context, now: float) -> Branch | None:
        """The client transaction is over without a final response; one may still come."""
        self._contexts.lose(context)
        key, sent, hop = context.client, context.sent, context.hop
        if key is None or sent is None or hop is None or sent.method != "INVITE":
            return None
        branch = Branch(context.id, key, sent, hop, cancelled=context.phase is Phase.CANCELLING)
        self._given_up.keep(branch, now + self._timers.timeout)
        return branch

    def _waits_again(self, context: Context, now: float) -> bool:
        """Whether a neighbour's 482 says that it has this very call, from the branch that was given up for its silence.

        A call for help goes to a neighbour by a second transport then; one that is merely slow finds both to be one
        (RFC 3261 §8.2.2.2), and what it does with the first is the answer.
        """
        branch = self._given_up.at(context.hop, context.id) if context.hop is not None else None
        if branch is None or context.cancelled:
            return False
        branch.resumed = True
        self._given_up.keep(branch, now + self._timers.c * (context.rings_on + 1) + self._timers.timeout)
        self._contexts.went(context, branch.key, branch.sent, branch.hop)
        self._contexts.watch(context, now + self._timers.c)
        return True

    def _stop_ringing(self, branch: Branch, now: float) -> list[Output]:
        if branch.cancelled:
            return []
        branch.cancelled = True
        self._given_up.keep(branch, now + self._timers.timeout)
        return self._cancel_sent(branch.sent, branch.hop, branch.key, now)

    def _answered_late(self, branch: Branch, response: Response, now: float) -> list[Output]:
        if response.status < 200:
            return self._stop_ringing(branch, now)
        if response.status >= 300:
            return [Transmit(build_ack(branch.sent, response).to_bytes(), branch.hop)]
        tag, context = address(response, "to").tag or "", self._contexts.get(branch.context)
        if context is None or not self._layer.takes_2xx(context.server):
            return self._end_late(branch, tag, response)
        # every 2xx goes up at once while it can (RFC 3261 §16.7 step 5): the caller ends what it doesn't want
        branch.passed.add(tag)
        outputs: list[Output] = []
        if context.phase is not Phase.ANSWERED:
            outputs = self._leave_branch(context, now)
            context.phase = Phase.ANSWERED
            self._contexts.watch(context, now + self._timers.timeout)
        return outputs + self._hand_up(context, response, branch.hop, now)

    def _end_late(self, branch: Branch, tag: str, response: Response) -> list[Output]:
        """Above us the INVITE has its refusal, and a 2xx would be dropped (RFC 6026 §7.2)."""
        try:
            unclaimed = branch.end(tag, response, self._routing)
        except SipSyntaxError:
            return [Discarded(Why.MALFORMED)]
        return [Discarded(Why.STRAY_RESPONSE) if unclaimed is None else unclaimed]

    def _give_up(self, context: Context, now: float) -> list[Output]:
        """Timer C, the wait after a CANCEL, or an ingress that never decided."""
        if context.phase is Phase.RINGING and context.rings_on and context.said > 100:
            context.rings_on -= 1
            self._contexts.watch(context, now + self._timers.c)
            return []
        if context.phase is Phase.RINGING:
            return self._send_cancel(context, now)
        if context.phase is Phase.ANSWERED:
            self._layer.drop_server(context.server)
            return self._finish(context)
        if context.phase is Phase.HELD and context.request.method != "INVITE":
            self._layer.drop_server(context.server)
            return self._finish(context)
        if context.phase is Phase.HELD:
            return self.answer(context.id, 408, now)
        return self._leave_branch(context, now) + self._refuse_locally(context, 408, now)

    # shared

    def _translate(
        self, events: Iterable[tx.Output], now: float, source: Hop | None = None, mark: str = ""
    ) -> list[Output]:
        outputs: list[Output] = []
        for event in events:
            match event:
                case tx.Send(data, hop, client):
                    outputs.append(Transmit(data, hop, client))
                case tx.NewRequest():
                    outputs += self._open(event, source or event.source, mark, now)
                case tx.Ack(request, hop):
                    outputs += self._acknowledge(request, source or hop)
                case tx.Answer(key, response) if key in self._probes:
                    outputs += [Probed(self._probes.pop(key), answered=True)] if response.status >= 200 else []
                case tx.NoAnswer(key) if key in self._probes:
                    outputs.append(Probed(self._probes.pop(key), answered=False))
                case tx.Answer(key, response):
                    context = self._contexts.of_client(key)
                    outputs += [] if context is None else self._answered(context, response, now)
                case tx.NoAnswer(key, broken):
                    context = self._contexts.of_client(key)
                    if context is not None:
                        self._give_up_branch(context, now)
                        outputs += self._refuse_locally(context, 503 if broken else 408, now)
                case tx.ServerGone(server):
                    context = self._contexts.of_server(server)
                    outputs += [] if context is None else self._finish(context)
                case tx.Stray():
                    outputs.append(Discarded(Why.STRAY_RESPONSE))
        return outputs

    def _conclude(self, context: Context) -> None:
        context.phase = Phase.ANSWERED
        self._contexts.watch(context, None)

    def _finish(self, context: Context) -> list[Output]:
        self._contexts.finish(context)
        return [Finished(context.id)]
