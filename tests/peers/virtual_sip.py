"""A SIP network without sockets: nodes exchange datagrams in virtual time that jumps to the next deadline.

Loss is a pattern, so every run is the same. The user agents are scripted and use the project's transaction layer; the
oracle for what goes over the wire is the test's own reading of the bytes.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Protocol

from gateway.sip import transaction as tx
from gateway.sip.build import build_ack, build_cancel, build_response
from gateway.sip.headers import address, parse_cseq, parse_name_addr, parse_uri, parse_via, top_via
from gateway.sip.hop import Hop, Side, Transport
from gateway.sip.message import Keepalive, Request, Response, new_message, parse_datagram
from gateway.sip.proxy_core import ProxyCore
from gateway.sip.proxy_events import (
    AckArrived,
    Output,
    RequestArrived,
    ResponseArrived,
    Transmit,
    Unclaimed,
)
from gateway.sip.routing import SideAddresses
from gateway.sip.timers import SipTimers

Address = tuple[str, int]
LATENCY = 0.001


class Node(Protocol):
    def receive(self, data: bytes, source: Address, to: Address, now: float) -> None: ...
    def next_timeout(self) -> float | None: ...
    def advance(self, now: float) -> None: ...


class VirtualNetwork:
    def __init__(self, lost: Callable[[int], bool] = lambda index: False) -> None:
        self.now = 1000.0
        self.nodes: dict[Address, Node] = {}
        self.wire: list[tuple[Address, Address, bytes]] = []
        self.lost_count = 0
        self._lost = lost
        self._queue: list[tuple[float, int, Address, Address, bytes]] = []

    def send(self, source: Address, target: Address, data: bytes) -> None:
        index = len(self.wire)
        self.wire.append((source, target, data))
        if self._lost(index):
            self.lost_count += 1
            return
        heapq.heappush(self._queue, (self.now + LATENCY, index, source, target, data))

    def run(self, seconds: float = 300.0) -> None:
        """Until nothing is left to happen, or for that many virtual seconds."""
        end = self.now + seconds
        for _ in range(100_000):
            timeouts = [due for node in set(self.nodes.values()) if (due := node.next_timeout()) is not None]
            upcoming = min([*timeouts, *(entry[0] for entry in self._queue[:1])], default=None)
            if upcoming is None or upcoming > end:
                self.now = end
                return
            self.now = max(self.now, upcoming)
            for node in set(self.nodes.values()):
                node.advance(self.now)
            while self._queue and self._queue[0][0] <= self.now:
                _, _, source, target, data = heapq.heappop(self._queue)
                if target in self.nodes:
                    self.nodes[target].receive(data, source, target, self.now)
        raise AssertionError("the network never comes to rest")


def tokens(prefix: str) -> Callable[[], str]:
    counter = itertools.count(1)
    return lambda: f"{prefix}{next(counter)}"


class UserAgent:
    """A scripted phone. `script(request)` gives the (status, to-tag, extra headers, body) list to answer with."""

    def __init__(self, network: VirtualNetwork, name: str, place: Address, timers: SipTimers) -> None:
        self.network, self.name, self.place = network, name, place
        self.layer = tx.TransactionLayer(timers)
        self.script: Callable[[Request], list[tuple[int, str]]] = lambda request: [(200, f"{name}-tag")]
        self.requests: list[Request] = []
        self.acks: list[Request] = []
        self.responses: list[Response] = []
        self.unanswered: list[tx.ClientKey] = []
        self.invites: dict[str, tuple[tx.ServerKey, Request]] = {}
        self.sent: dict[str, Request] = {}
        self._new_id = tokens(name)
        network.nodes[place] = self

    @property
    def statuses(self) -> list[int]:
        return [response.status for response in self.responses]

    def receive(self, data: bytes, source: Address, to: Address, now: float) -> None:
        message = parse_datagram(data)
        assert not isinstance(message, Keepalive)
        via = top_via(message)
        hop = Hop(Side.CALLER, Transport.UDP, *source)
        if isinstance(message, Request):
            self._play(self.layer.receive_request(message, via, hop, now))
        else:
            assert via.sent_by == self.place, "a response must come back to who asked"
            self._play(self.layer.receive_response(message, via, Side.CALLER, now))

    def next_timeout(self) -> float | None:
        return self.layer.next_timeout()

    def advance(self, now: float) -> None:
        self._play(self.layer.advance(now))

    def request(
        self,
        method: str,
        uri: str,
        to: Address,
        *,
        call_id: str = "call-1",
        cseq: int = 1,
        to_tag: str = "",
        routes: list[str] | None = None,
        body: bytes = b"",
        extra: tuple[tuple[str, str], ...] = (),
    ) -> str:
        branch = f"z9hG4bK{self._new_id()}"
        tag = f";tag={to_tag}" if to_tag else ""
        fields = [
            ("Via", f"SIP/2.0/UDP {self.place[0]}:{self.place[1]};branch={branch}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{self.name}@example.com>;tag={self.name}-tag"),
            ("To", f"<sip:other@example.com>{tag}"),
            ("Call-ID", call_id),
            ("CSeq", f"{cseq} {method}"),
            ("Contact", f"<sip:{self.name}@{self.place[0]}:{self.place[1]}>"),
            *[("Route", route) for route in routes or []],
            *extra,
        ]
        message = new_message(f"{method} {uri} SIP/2.0", fields, body)
        assert isinstance(message, Request)
        hop = Hop(Side.CALLER, Transport.UDP, *to)
        if method == "ACK":
            self.network.send(self.place, to, message.to_bytes())
        else:
            self.sent[branch] = message
            self._play(self.layer.send_request(message, branch, hop, self.network.now)[1])
        return branch

    def in_dialog(self, method: str, answer: Response, *, cseq: int = 2, body: bytes = b"") -> None:
        """A request of the caller in the dialog that `answer` made, by its Route set."""
        routes = list(reversed([v for text in answer.all("record-route") for v in text.split(", ")]))
        uri = parse_name_addr(answer.get("contact") or "").uri
        tag = address(answer, "to").tag or ""
        self.request(method, uri, first_hop(routes, uri), cseq=cseq, to_tag=tag, routes=routes, body=body)

    def from_callee(self, method: str, invite: Request, *, cseq: int = 1) -> None:
        """A request of the callee in the dialog of `invite`."""
        routes = [v for text in invite.all("record-route") for v in text.split(", ")]
        uri = parse_name_addr(invite.get("contact") or "").uri
        tag = address(invite, "from").tag or ""
        self.request(method, uri, first_hop(routes, uri), cseq=cseq, to_tag=tag, routes=routes)

    def cancel(self, branch: str, to: Address) -> None:
        cancel = build_cancel(self.sent[branch])
        hop = Hop(Side.CALLER, Transport.UDP, *to)
        self._play(self.layer.send_request(cancel, branch, hop, self.network.now)[1])

    def answer(self, call_id: str, status: int, to_tag: str) -> None:
        key, request = self.invites[call_id]
        self._respond(key, request, status, to_tag)

    def _respond(self, key: tx.ServerKey, request: Request, status: int, to_tag: str) -> None:
        routes = [("Record-Route", value) for value in request.all("record-route")]
        contact = ("Contact", f"<sip:{self.name}@{self.place[0]}:{self.place[1]}>")
        response = build_response(request, status, "", to_tag, [*routes, contact])
        self._play(self.layer.respond(key, response, self.network.now))

    def _play(self, outputs: list[tx.Output]) -> None:
        for output in outputs:
            match output:
                case tx.Send(data, hop, _):
                    self.network.send(self.place, (hop.host, hop.port), data)
                case tx.NewRequest(key, request, _):
                    self._asked(key, request)
                case tx.Ack(request, _):
                    self.acks.append(request)
                case tx.Answer(_, response):
                    self.responses.append(response)
                case tx.NoAnswer(key, _):
                    self.unanswered.append(key)
                case _:
                    pass

    def _asked(self, key: tx.ServerKey, request: Request) -> None:
        self.requests.append(request)
        if request.method == "CANCEL":
            self._respond(key, request, 200, f"{self.name}-tag")
            for invite_key, invite in self.invites.values():
                self._respond(invite_key, invite, 487, f"{self.name}-tag")
            return
        if request.method == "INVITE":
            self.invites[request.get("call-id") or ""] = (key, request)
        for status, to_tag in self.script(request):
            self._respond(key, request, status, to_tag)


class SlowPhone:
    """Says nothing of itself, not even 100: only what it is told to, once or again."""

    def __init__(self, network: VirtualNetwork, place: Address) -> None:
        self.network, self.place = network, place
        self.got: list[Request] = []
        network.nodes[place] = self

    def receive(self, data: bytes, source: Address, to: Address, now: float) -> None:
        message = parse_datagram(data)
        assert isinstance(message, Request)
        self.got.append(message)

    def next_timeout(self) -> float | None:
        return None

    def advance(self, now: float) -> None: ...

    def methods(self) -> list[str]:
        """Retransmissions once."""
        return list(dict.fromkeys(request.method for request in self.got))

    def of(self, method: str) -> list[Request]:
        return [request for request in self.got if request.method == method]

    def say(
        self, status: int, tag: str = "slow", to: str = "INVITE", recorded: tuple[str, ...] = (), first: bool = False
    ) -> None:
        """To the newest request of that kind, or the first; `recorded`: what proxies behind put before ours."""
        request = self.of(to)[0 if first else -1]
        routes = [("Record-Route", value) for value in (*recorded, *request.all("record-route"))]
        contact = ("Contact", f"<sip:slow@{self.place[0]}:{self.place[1]}>")
        response = build_response(request, status, "", tag, [*routes, contact])
        self.network.send(self.place, ProxyNode.AGENT, response.to_bytes())


class ProxyNode:
    """A ProxyCore with an ingress that lets everything go on at once, or holds what `hold` says."""

    CALLER: Address = ("198.51.100.20", 5060)
    AGENT: Address = ("10.0.0.20", 5060)

    def __init__(self, network: VirtualNetwork, next_hops: dict[Side, list[Address]], timers: SipTimers) -> None:
        self.network, self.next_hops, self.timers = network, next_hops, timers
        self.events: list[Output] = []
        self.held: list[Output] = []
        self.hold: Callable[[Output], bool] = lambda event: False
        self.touch: Callable[[RequestArrived | ResponseArrived | AckArrived], None] = lambda event: None
        self.tried: dict[int, int] = {}
        self.requests: dict[int, RequestArrived] = {}
        self._new_id = tokens("gw")
        self.restart()
        network.nodes[self.CALLER] = self
        network.nodes[self.AGENT] = self

    def restart(self) -> None:
        """Forget everything, as after a crash."""
        sides = {
            Side.CALLER: SideAddresses({Transport.UDP: self.CALLER}),
            Side.AGENT: SideAddresses({Transport.UDP: self.AGENT}),
        }
        self.core = ProxyCore(sides, self.timers, self._new_id)

    def receive(self, data: bytes, source: Address, to: Address, now: float) -> None:
        message = parse_datagram(data)
        assert not isinstance(message, Keepalive)
        side = Side.CALLER if to == self.CALLER else Side.AGENT
        self.play(self.core.receive(message, Hop(side, Transport.UDP, *source), now))

    def next_timeout(self) -> float | None:
        return self.core.next_timeout()

    def advance(self, now: float) -> None:
        self.play(self.core.advance(now))

    def play(self, outputs: list[Output]) -> None:
        for event in outputs:
            self.events.append(event)
            if isinstance(event, Transmit):
                source = self.CALLER if event.hop.side is Side.CALLER else self.AGENT
                self.network.send(source, (event.hop.host, event.hop.port), event.data)
            elif self.hold(event):
                self.held.append(event)
            else:
                self.go_on(event)

    def go_on(self, event: Output) -> None:
        now = self.network.now
        match event:
            case RequestArrived():
                self.touch(event)
                self.requests[event.context] = event
                self._forward(event)
            case AckArrived():
                self.touch(event)
                self.play(self.core.forward_ack(event, self._hop(event)))
            case ResponseArrived(local=True, heard=False) if self._next(event.context):
                self._forward(self.requests[event.context])
            case Unclaimed():
                target = event.target
                place = (target.host, target.port or 5060) if target is not None else (event.hop.host, event.hop.port)
                self.play(self.core.hang_up(event, Hop(event.hop.side, Transport.UDP, *place), now))
            case ResponseArrived():
                self.touch(event)
                self.play(self.core.forward_response(event, now))
            case _:
                pass

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    def _forward(self, event: RequestArrived) -> None:
        tried = self.tried.get(event.context, 0)
        last = event.target is not None or tried + 1 >= len(self.next_hops[event.to_side])
        self.play(self.core.forward(event, self._hop(event), self.network.now, last=last))

    def _next(self, context: int) -> bool:
        request = self.requests[context]
        self.tried[context] = self.tried.get(context, 0) + 1
        return request.target is None and self.tried[context] < len(self.next_hops[request.to_side])

    def _hop(self, event: RequestArrived | AckArrived) -> Hop:
        if event.target is not None:
            return Hop(event.to_side, Transport.UDP, event.target.host, event.target.port or 5060)
        tried = self.tried.get(event.context, 0) if isinstance(event, RequestArrived) else 0
        return Hop(event.to_side, Transport.UDP, *self.next_hops[event.to_side][tried])


def first_hop(routes: list[str], uri: str) -> Address:
    target = parse_uri(parse_name_addr(routes[0]).uri if routes else uri)
    return target.hostport


def vias(message: Request | Response) -> list[str]:
    return [str(parse_via(value).host) for text in message.all("via") for value in text.split(",")]


def ack_for(sent: Request, final: Response) -> bytes:
    return build_ack(sent, final).to_bytes()


def method_of(data: bytes) -> str:
    """Method of a request, or `STATUS METHOD` of a response."""
    message = parse_datagram(data)
    assert not isinstance(message, Keepalive)
    if isinstance(message, Request):
        return message.method
    return f"{message.status} {parse_cseq(message.get('cseq') or '')[1]}"
