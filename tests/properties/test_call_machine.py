"""Offers and answers in any order: INVITEs forked, refused, cancelled, sent again, BYEs that cross, a worker that goes.

Two user agents that keep no rules, one of them behind two next hops, talk through the real proxy and engine, over
workers in memory. Whatever they did: once their transactions are over and somebody hung up, no port, tap, transaction
or note of a call is left behind.
"""

import asyncio
import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from gateway.call.model import SipCallId
from gateway.call.stage import Stage
from gateway.engine.live_call import LiveCall
from gateway.media.plane import Hello, Record, RecordingId, Remove, SegmentFailed, Stop, is_relay
from gateway.sip.hop import Hop, Side, Transport
from gateway.sip.message import Request, Response, parse_datagram
from tests.peers.engine_bench import EXTENSION, OUTSIDE, PAGE, SIDES, EngineBench, sdp
from tests.peers.proxy_bench import PBX, PHONES, ProxyBench

PLACES = {Side.CALLER: PBX, Side.AGENT: PHONES}
HOSTS = {Side.CALLER: ("127.15.1.11", 4000), Side.AGENT: ("127.15.1.12", 5000)}
TOLD = [f"X-Fairtap-Extension: {EXTENSION}", "X-Fairtap-Queue: service-strom"]
FURTHER = {
    "video": b"m=video 6000 RTP/AVP 96\r\n",
    "no video": b"m=video 0 RTP/AVP 96\r\n",
    "a slide and a chat": b"m=video 0 RTP/AVP 96\r\nm=application 6004 UDP/BFCP *\r\nm=message 6006 TCP/MSRP *\r\n",
    "fax": b"m=image 6002 udptl t38\r\n",
}
"""What is said beside the audio; a fax takes its place."""
DESCRIBED = ["sendrecv", "sendrecv", "inactive", "sendonly", "recvonly", *FURTHER]
LONGER_THAN_ALL_S = 30.0
"""Timer C of the timers for tests, and then some."""
WAYS = ["nothing", "rings", "answered", "answered", "delayed", "opened", "opened", "opened"]
"""How far a first call has come before anything may happen."""
NUMBERS = itertools.count(1)


class House:
    """One gateway for all examples: what one leaves behind would be found by it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.bench = self.run(EngineBench.make(Path(self.folder.name)))
        phones = (f"{PHONES[0]}:5060", "127.15.2.13:5060")
        self.sip = ProxyBench(self.bench, Path(self.folder.name), phones, calls_per_s=10_000)
        self.bench.engine.lights.open_page(self.bench.agent, PAGE)

    def run(self, work):
        return self.loop.run_until_complete(work)


@dataclass(frozen=True)
class Invite:
    """As it was sent, for its CANCEL."""

    call: str
    side: Side
    branch: str
    cseq: int


class CallMachine(RuleBasedStateMachine):
    """The two user agents and the world around them."""

    house: House | None = None

    @initialize(way=st.sampled_from(WAYS), side=st.sampled_from(Side))
    def begin(self, way: str, side: Side) -> None:
        cls = type(self)
        if cls.house is None or cls.house.bench.engine.calls or len(cls.house.sip.proxy._core):
            cls.house = House()  # after a failure, too
        self.at = cls.house
        self.bench, self.sip = cls.house.bench, cls.house.sip
        self.bench.worker.orders.clear()
        self.bench.worker.reserved.clear()
        self.bench.worker.nearly_full = False
        self.sip.sent.clear()
        self.seen = 0
        self.name = f"x{next(NUMBERS)}"
        self.cseq = itertools.count(1)
        self.invites: list[Invite] = []
        self.pending: list[tuple[Side, Request]] = []
        """What a user agent got, and may answer."""
        self.said: list[tuple[Side, bytes]] = []
        self.closed: set[RecordingId] = set()
        """By a worker itself, when it lost us."""
        if way != "nothing":
            self.invite(1, side, "sendrecv" if way != "delayed" else None)
        if way in ("answered", "delayed", "opened"):
            self.answer(self.pending.pop(), 200, "a", "sendrecv")
            self.within_of(self.invites[0], False, "ACK", "a", "sendrecv" if way == "delayed" else None)
        if way == "opened" and (live := next((one for one in self.calls() if self.ready(one)), None)):
            self.at.run(self.open_tap(live))

    def calls(self) -> list[LiveCall]:
        return list(self.bench.engine.calls.values())

    def put(self, side: Side, data: bytes) -> None:
        """Bytes of one side's arrive."""
        self.said.append((side, data))
        self.deliver(side, data)

    def deliver(self, side: Side, data: bytes) -> None:
        message = parse_datagram(data)
        assert isinstance(message, Request | Response)
        number = 1 if side is Side.CALLER else 2
        self.at.run(self.feed(message, Hop(side, Transport.UDP, *PLACES[side], number)))
        for hop, sent in self.sip.sent[self.seen :]:
            if isinstance(sent, Request) and sent.method != "ACK":
                self.pending.append((hop.side, sent))
        self.seen = len(self.sip.sent)

    async def feed(self, message: Request | Response, source: Hop) -> None:
        self.sip.proxy.received(message, source)
        await self.settle()

    async def settle(self) -> None:
        """Until everything was passed on, and is durable where its worker is there to say how taps ended."""
        while self.sip.proxy._tasks:
            await asyncio.wait(tuple(self.sip.proxy._tasks))
        if not self.bench.worker.away:
            await self.bench.engine.finished()

    def request(self, side: Side, method: str, call: str, tags: tuple[str, str], body: bytes = b"", **more) -> Invite:
        branch, cseq = more.get("branch") or f"z9hG4bK{next(NUMBERS)}", more.get("cseq") or next(self.cseq)
        there, users = PLACES[side.other], (OUTSIDE, EXTENSION) if side is Side.CALLER else (EXTENSION, OUTSIDE)
        lines = [
            f"{method} sip:{users[1]}@{there[0]}:{there[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {PLACES[side][0]}:5060;branch={branch}",
            "Max-Forwards: 70",
            f"From: <sip:{users[0]}@x>;tag={tags[0]}",
            "To: <sip:b@x>" + (f";tag={tags[1]}" if tags[1] else ""),
            f"Call-ID: {call}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:a@{PLACES[side][0]}>",
            *(TOLD if side is Side.CALLER else []),
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self.put(side, "\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return Invite(call, side, branch, cseq)

    def describe(self, side: Side, direction: str | None) -> bytes:
        if direction not in FURTHER:
            return sdp(*HOSTS[side], direction) if direction else b""
        audio = sdp(*HOSTS[side])
        return (audio.partition(b"m=audio")[0] if direction == "fax" else audio) + FURTHER[direction]

    # --- what they do -------------------------------------------------------------------------------------------------

    @rule(
        number=st.integers(1, 2),
        side=st.sampled_from([Side.CALLER, Side.CALLER, Side.AGENT]),
        offered=st.sampled_from(["sendrecv", "video", "fax", None, None]),
    )
    def invite(self, number: int, side: Side, offered: str | None) -> None:
        """A second one with the same Call-ID is another branch of a call that was forked before us."""
        body = self.describe(side, offered)
        self.invites.append(self.request(side, "INVITE", f"{self.name}-{number}", ("uac", ""), body))

    @precondition(lambda self: self.pending)
    @rule(
        data=st.data(),
        status=st.sampled_from([180, 183, 200, 200, 200, 302, 401, 486, 488, 491, 503, 603]),
        tag=st.sampled_from(["a", "b"]),
        direction=st.sampled_from([*DESCRIBED, None]),
        keep=st.booleans(),
    )
    def respond(self, data: st.DataObject, status: int, tag: str, direction: str | None, keep: bool) -> None:
        """`keep`: it may answer once more, as another branch behind a forking proxy does."""
        side, request = data.draw(st.sampled_from(self.pending))
        if not keep:
            self.pending.remove((side, request))
        self.answer((side, request), status, tag, direction)

    def answer(self, asked: tuple[Side, Request], status: int, tag: str, direction: str | None) -> None:
        side, request = asked
        to = request.get("to") or ""
        body = self.describe(side, direction if status < 300 else None)
        lines = [
            f"SIP/2.0 {status} Said",
            *(f"Via: {via}" for via in request.all("via")),
            f"From: {request.get('from')}",
            f"To: {to}" + ("" if "tag=" in to else f";tag={tag}"),
            f"Call-ID: {request.get('call-id')}",
            f"CSeq: {request.get('cseq')}",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self.put(side, "\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    @precondition(lambda self: self.invites)
    @rule(
        data=st.data(),
        swapped=st.booleans(),
        method=st.sampled_from(["ACK", "ACK", "INVITE", "INVITE", "UPDATE", "PRACK", "INFO", "REFER", "BYE", "BYE"]),
        tag=st.sampled_from(["a", "b"]),
        direction=st.sampled_from([*DESCRIBED, None]),
    )
    def within(self, data: st.DataObject, swapped: bool, method: str, tag: str, direction: str | None) -> None:
        """In a dialog, whether or not it ever came about; by the callee with the tags swapped."""
        self.within_of(data.draw(st.sampled_from(self.invites)), swapped, method, tag, direction)

    def within_of(self, invite: Invite, swapped: bool, method: str, tag: str, direction: str | None) -> None:
        side, tags = (invite.side.other, (tag, "uac")) if swapped else (invite.side, ("uac", tag))
        described = method in ("INVITE", "UPDATE", "PRACK", "ACK")
        more = {"cseq": invite.cseq} if method == "ACK" else {}
        self.request(side, method, invite.call, tags, self.describe(side, direction if described else None), **more)

    @precondition(lambda self: self.invites)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        invite = data.draw(st.sampled_from(self.invites))
        self.request(invite.side, "CANCEL", invite.call, ("uac", ""), branch=invite.branch, cseq=invite.cseq)

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def again(self, data: st.DataObject) -> None:
        """A retransmission, however late."""
        self.deliver(*data.draw(st.sampled_from(self.said)))

    @rule(seconds=st.sampled_from([0.02, 0.5, 1.3, 8.0]))
    def time_passes(self, seconds: float) -> None:
        self.bench.clock.advance(seconds)
        self.at.run(self.tick())

    async def tick(self) -> None:
        self.sip.proxy._advance()
        self.bench.engine.tick()
        await self.settle()

    @rule()
    def ports_run_out_for_all_but_audio(self) -> None:
        self.bench.worker.nearly_full = not self.bench.worker.nearly_full

    @rule()
    def the_worker_comes_and_goes(self) -> None:
        """Whose connection broke closes its taps; once back it says which calls it still relays."""
        self.at.run(self.toggle())

    async def toggle(self) -> None:
        worker, reports = self.bench.worker, self.bench.engine.reports
        worker.away = not worker.away
        if worker.away:
            self.closed |= self.orders(Record) - self.orders(Stop)
            reports.worker_lost(0)
            return
        removed = {order.call for order in worker.orders if isinstance(order, Remove)}
        reports.take(0, Hello(0, 1, dict.fromkeys(worker.reserved - removed, ())))
        for order in [order for order in worker.orders if isinstance(order, Record) and order.recording in self.closed]:
            for side in SIDES:
                reports.take(0, SegmentFailed(order.call, order.recording, order.seg, side, "no_media"))
        await self.settle()

    def orders(self, kind: type[Record] | type[Stop]) -> set[RecordingId]:
        return {order.recording for order in self.bench.worker.orders if isinstance(order, kind)}

    @precondition(lambda self: any(self.ready(live) for live in self.calls()))
    @rule()
    def the_caller_agrees_and_the_tap_opens(self) -> None:
        live = next(live for live in self.calls() if self.ready(live))
        self.at.run(self.open_tap(live))

    @staticmethod
    def ready(live: LiveCall) -> bool:
        return live.call.leg is not None and live.call.leg.stage is Stage.PROMPTING

    async def open_tap(self, live: LiveCall) -> None:
        await self.bench.agree(live, 0.3)
        if live.call.leg is not None and live.call.leg.stage is Stage.LIT:
            self.bench.acknowledge(live)
        await self.bench.engine.finished()

    # --- what must be left --------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "bench"):
            return
        if self.bench.worker.away:
            self.the_worker_comes_and_goes()
        self.end(self.answered())
        self.rest()
        assert len(self.answered()) == len(self.calls()), "a call that nobody answered outlived its INVITEs"
        self.end(self.answered())
        self.rest()
        engine, proxy, worker = self.bench.engine, self.sip.proxy, self.bench.worker
        assert not engine.calls and not engine.by_ref
        assert len(proxy._core) == len(proxy._core._layer) == len(proxy._core._given_up) == 0
        assert not proxy._passing and not proxy._tasks
        contexts = proxy._core._contexts
        assert not contexts._of_source and not contexts._clients
        taken = [side for order in worker.orders if isinstance(order, Record) for side in order.sides]
        assert not any(is_relay(flow) for side in taken for flow in side.taps)
        removed = {order.call for order in worker.orders if isinstance(order, Remove)}
        assert worker.reserved <= removed, "ports were left behind"
        assert self.orders(Record) <= self.orders(Stop) | self.closed, "a tap was left open"

    def answered(self) -> list[LiveCall]:
        return [live for live in self.calls() if live.call.answered_dialog is not None]

    def end(self, calls: list[LiveCall]) -> None:
        """Each by its BYE, or as one whose BYE was lost."""
        for live in calls:
            if len(self.said) % 3:
                self.hang_up(live.call.new.call_id, live)
            else:
                self.at.run(self.fall_silent(live.call.new.call_id))

    def rest(self) -> None:
        """Nothing comes any more, and every timer fires."""
        for _ in range(8):
            self.bench.clock.advance(LONGER_THAN_ALL_S)
            self.at.run(self.tick())

    async def fall_silent(self, call_id: SipCallId) -> None:
        self.bench.engine.hang_up(call_id)
        await self.settle()

    def hang_up(self, call_id: SipCallId, live: LiveCall) -> None:
        tags = (live.call.new.uac_tag, str(live.call.answered_dialog))
        self.request(Side(live.call.new.uac.value), "BYE", call_id, tags)


TestCallMachine = CallMachine.TestCase
TestCallMachine.settings = settings(max_examples=200, stateful_step_count=20, deadline=None)
