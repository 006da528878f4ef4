"""SIP transactions without I/O (RFC 3261 §17, RFC 6026): matching, retransmission, timers.

Theory of operation. A transaction is a key, a state and the bytes to repeat. Whatever happens is an Event; the row of
`transaction_table.TABLE` for (kind, state, event) gives the next state and the actions, and a missing row means that
the event is absorbed. All deadlines sit in one heap with lazy deletion: a timer counts only while its transaction
still holds that very deadline. Time comes in as `now` (monotonic seconds) and outputs go out as values in order.

Server keys are (side, branch, sent-by, method) with ACK and CANCEL looked up as INVITE; peers of RFC 2543 are matched
by Request-URI, From tag, Call-ID, CSeq and the whole top Via (RFC 3261 §17.2.3). Two branches of one call are two
transactions, for a forking proxy before us may rightly send both; finding merged requests is the end point's job.
INVITEs get 100 at once. The proxy's timer C lives in `proxy_core.py`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NewType

from gateway.sip.build import build_ack, build_response
from gateway.sip.headers import Via, address, parse_cseq
from gateway.sip.hop import Hop, Side
from gateway.sip.message import Request, Response
from gateway.sip.timers import SipTimers
from gateway.sip.transaction_table import TABLE, Action, Event, Kind, State

ClientKey = NewType("ClientKey", tuple[str, str, str])
"""side, branch, CSeq method"""
ServerKey = NewType("ServerKey", tuple[str, ...])
"""side, branch, sent-by, method; or what RFC 2543 has in place of them"""


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes for a neighbour."""

    data: bytes
    hop: Hop
    client: ClientKey | None = None
    """The client transaction to fail when it can't be sent."""


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request that opened a server transaction."""

    key: ServerKey
    request: Request
    source: Hop


@dataclass(frozen=True, slots=True)
class Ack:
    """An ACK that isn't hop by hop: for a 2xx, or for nothing we know."""

    request: Request
    source: Hop


@dataclass(frozen=True, slots=True)
class Answer:
    """A response for a client transaction."""

    key: ClientKey
    response: Response


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """A client transaction ended without a final response: `broken` transport (503) or timeout (408)."""

    key: ClientKey
    broken: bool


@dataclass(frozen=True, slots=True)
class ServerGone:
    """A server transaction is over and forgotten."""

    key: ServerKey


@dataclass(frozen=True, slots=True)
class Stray:
    """A response that belongs to no transaction: discarded (RFC 6026 §7.2)."""


Output = Send | NewRequest | Ack | Answer | NoAnswer | ServerGone | Stray


@dataclass(slots=True, eq=False)
class _Transaction:
    kind: Kind
    hop: Hop
    state: State
    request: Request
    server: ServerKey | None = None
    client: ClientKey | None = None
    kept: bytes = b""
    interval: float = 0.0
    deadlines: dict[Event, float] = field(default_factory=dict)


class TransactionLayer:
    """All transactions of one proxy; no method awaits, every method returns its outputs in order."""

    def __init__(self, timers: SipTimers) -> None:
        self._timers = timers
        self._servers: dict[ServerKey, _Transaction] = {}
        self._clients: dict[ClientKey, _Transaction] = {}
        self._heap: list[tuple[float, int, _Transaction, Event]] = []
        self._pushed = 0

    def __len__(self) -> int:
        return len(self._servers) + len(self._clients)

    def receive_request(self, request: Request, via: Via, source: Hop, now: float) -> list[Output]:
        """A validated request with its (stamped) top Via; `source` is where its responses go."""
        method = request.method
        key = server_key(request, via, source.side, "INVITE" if method == "ACK" else method)
        known = self._servers.get(key)
        if method == "ACK":
            return [Ack(request, source)] if known is None else self._run(known, Event.ACK, now, request=request)
        if known is not None:
            return self._run(known, Event.REQUEST, now)
        invite = method == "INVITE"
        kind, state = (Kind.INVITE_SERVER, State.PROCEEDING) if invite else (Kind.SERVER, State.TRYING)
        transaction = _Transaction(kind, source, state, request, server=key)
        self._servers[key] = transaction
        trying = self._run(transaction, Event.R1XX, now, response=build_response(request, 100)) if invite else []
        return [*trying, NewRequest(key, request, source)]

    def knows(self, request: Request, via: Via, side: Side) -> bool:
        """Whether a request is one again that has its transaction."""
        return server_key(request, via, side, request.method) in self._servers

    def takes_2xx(self, key: ServerKey) -> bool:
        """Whether a 2xx to an INVITE can still go to its sender: nothing final went, or other 2xx (RFC 6026 §7.1)."""
        transaction = self._servers.get(key)
        return transaction is not None and transaction.state in (State.PROCEEDING, State.ACCEPTED)

    def waits(self, key: ClientKey) -> bool:
        """Whether a final response is still to come."""
        transaction = self._clients.get(key)
        return transaction is not None and transaction.state in (State.TRYING, State.PROCEEDING)

    def receive_response(self, response: Response, via: Via, side: Side, now: float) -> list[Output]:
        """A validated response with its top Via."""
        _, method = parse_cseq(response.get("cseq") or "")
        transaction = self._clients.get(ClientKey((side, via.branch, method)))
        if transaction is None:
            return [Stray()]
        return self._run(transaction, _class(response), now, response=response)

    def send_request(
        self, request: Request, branch: str, hop: Hop, now: float, patience: float | None = None
    ) -> tuple[ClientKey, list[Output]]:
        """Open a client transaction; `request` carries `branch` in its top Via. Not for ACK.

        `patience`: seconds to wait for any answer, instead of 64*T1.
        """
        invite = request.method == "INVITE"
        key = ClientKey((hop.side, branch, request.method))
        kind = Kind.INVITE_CLIENT if invite else Kind.CLIENT
        transaction = _Transaction(kind, hop, State.TRYING, request, client=key, kept=request.to_bytes())
        self._clients[key] = transaction
        self._set(transaction, Event.GIVE_UP, now + (self._timers.timeout if patience is None else patience))
        self._repeat_in(transaction, self._timers.t1, now)
        return key, [Send(transaction.kept, hop, key)]

    def respond(self, key: ServerKey, response: Response, now: float) -> list[Output]:
        """Send a response in a server transaction; ignored when it is over or already answered otherwise."""
        transaction = self._servers.get(key)
        return [] if transaction is None else self._run(transaction, _class(response), now, response=response)

    def fail(self, key: ClientKey, now: float) -> list[Output]:
        """The transport couldn't send what this client transaction asked for."""
        transaction = self._clients.get(key)
        return [] if transaction is None else self._run(transaction, Event.BROKEN, now)

    def drop_server(self, key: ServerKey) -> None:
        """Forget a server transaction without an answer (RFC 4320 §4.2 forbids 408 to non-INVITE)."""
        if transaction := self._servers.pop(key, None):
            transaction.deadlines.clear()

    def drop_client(self, key: ClientKey) -> None:
        """Forget a client transaction; its late responses are stray."""
        if transaction := self._clients.pop(key, None):
            transaction.deadlines.clear()

    def invite_for_cancel(self, cancel: Request, via: Via, side: Side) -> ServerKey | None:
        """The INVITE that a CANCEL means, None when it is unknown (RFC 3261 §9.2)."""
        key = server_key(cancel, via, side, "INVITE")
        return key if key in self._servers else None

    def next_timeout(self) -> float | None:
        """Monotonic time of the earliest timer; None when nothing waits."""
        while self._heap and not _valid(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def advance(self, now: float) -> list[Output]:
        """Fire all timers that are due, in their order."""
        outputs: list[Output] = []
        while (due := self.next_timeout()) is not None and due <= now:
            _, _, transaction, event = heapq.heappop(self._heap)
            del transaction.deadlines[event]
            outputs += self._run(transaction, event, due)
        return outputs

    def _run(
        self,
        transaction: _Transaction,
        event: Event,
        now: float,
        response: Response | None = None,
        request: Request | None = None,
    ) -> list[Output]:
        row = TABLE.get((transaction.kind, transaction.state, event))
        if row is None:
            return []
        changed = row[0] is not transaction.state
        transaction.state = row[0]
        if changed and (transaction.kind, transaction.state) != (Kind.CLIENT, State.PROCEEDING):
            transaction.deadlines.clear()  # only E and F run on over a change of state; timer C is the proxy's
        outputs: list[Output] = []
        for action in row[1]:
            outputs += self._act(transaction, action, now, response, request)
        if transaction.state is State.TERMINATED:
            outputs += self._forget(transaction)
        return outputs

    def _act(
        self, transaction: _Transaction, action: Action, now: float, response: Response | None, request: Request | None
    ) -> Iterable[Output]:
        client, hop = transaction.client, transaction.hop
        if action is Action.SEND and response is not None:
            transaction.kept = response.to_bytes()
            yield Send(transaction.kept, hop)
        elif action is Action.ACK and response is not None:
            transaction.kept = build_ack(transaction.request, response).to_bytes()
            yield Send(transaction.kept, hop)
        elif action is Action.REPEAT:
            yield Send(transaction.kept, hop, client)
        elif action is Action.UP and client is not None and response is not None:
            yield Answer(client, response)
        elif action is Action.UP and request is not None:
            yield Ack(request, hop)
        elif client is not None and action in (Action.TIMED_OUT, Action.FAILED):
            yield NoAnswer(client, broken=action is Action.FAILED)
        else:
            self._set_timer(transaction, action, now)

    def _set_timer(self, transaction: _Transaction, action: Action, now: float) -> None:
        if action is Action.BACK_OFF:
            cap = float("inf") if transaction.kind is Kind.INVITE_CLIENT else self._timers.t2
            self._repeat_in(transaction, min(2 * transaction.interval, cap), now)
        elif action is Action.SLOW:
            self._repeat_in(transaction, self._timers.t2, now)
        else:
            self._linger(transaction, action, now)

    def _linger(self, transaction: _Transaction, action: Action, now: float) -> None:
        timers = self._timers
        unreliable = {
            Action.LINGER_D: timers.d,
            Action.LINGER_I: timers.t4,
            Action.LINGER_J: timers.timeout,
            Action.LINGER_K: timers.t4,
        }
        seconds = unreliable.get(action, timers.timeout)
        if transaction.hop.transport.reliable and action in unreliable:
            seconds = 0.0
        self._set(transaction, Event.LINGER, now + seconds)
        if action is Action.LINGER_H:
            self._repeat_in(transaction, timers.t1, now)

    def _repeat_in(self, transaction: _Transaction, interval: float, now: float) -> None:
        if not transaction.hop.transport.reliable:
            transaction.interval = interval
            self._set(transaction, Event.RETRANSMIT, now + interval)

    def _set(self, transaction: _Transaction, event: Event, deadline: float) -> None:
        transaction.deadlines[event] = deadline
        self._pushed += 1
        heapq.heappush(self._heap, (deadline, self._pushed, transaction, event))

    def _forget(self, transaction: _Transaction) -> Iterable[Output]:
        transaction.deadlines.clear()
        if transaction.client is not None:
            self._clients.pop(transaction.client, None)
        if transaction.server is not None:
            self._servers.pop(transaction.server, None)
            yield ServerGone(transaction.server)


def server_key(request: Request, via: Via, side: Side, method: str) -> ServerKey:
    """Key by branch (RFC 3261 §17.2.3), or by what RFC 2543 compares (the To tag isn't needed to tell them apart)."""
    if via.unique:
        host, port = via.sent_by
        return ServerKey((side, via.branch, f"{host}:{port}", method))
    number, _ = parse_cseq(request.get("cseq") or "")
    tag = address(request, "from").tag or ""
    return ServerKey((side, request.uri, tag, request.get("call-id") or "", str(number), str(via), method))


def _class(response: Response) -> Event:
    status = response.status
    return Event.R1XX if status < 200 else Event.R2XX if status < 300 else Event.R3_6XX


def _valid(entry: tuple[float, int, _Transaction, Event]) -> bool:
    deadline, _, transaction, event = entry
    return transaction.deadlines.get(event) == deadline
