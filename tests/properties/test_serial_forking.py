"""One INVITE, three next hops, and responses that come late, twice or crossing each other, a CANCEL, and an ingress.

Whatever happens: the caller gets one end; nobody who took the call is left talking to nobody, and nobody rings on whose
caller has gone; nothing that the caller was told of is ended by us; no transaction is left behind.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from gateway.sip.headers import address, parse_cseq
from gateway.sip.hop import Side
from gateway.sip.message import Response, parse_datagram
from gateway.sip.proxy_events import ResponseArrived
from gateway.sip.timers import SipTimers
from tests.peers.virtual_sip import ProxyNode, SlowPhone, UserAgent, VirtualNetwork

CALLER = ("198.51.100.1", 5060)
PLACES = [(f"10.0.0.{number}", 5060) for number in (5, 6, 7)]
TIMERS = SipTimers.TESTING
IN_TIME = TIMERS.timeout * 0.8
"""A phone answers an INVITE no later than this after it came, after the CANCEL for it, or after another phone behind
the same hop took the call: so long a transaction waits (RFC 6026 §8.4)."""
STEPS = [0.0004, 0.0015, 0.01, TIMERS.elsewhere * 0.6, TIMERS.elsewhere * 1.1, TIMERS.timeout * 1.1, TIMERS.c * 1.1]

WAYS = ["asked", "the first is given up", "the first is given up", "the second rings", "the second rings"]
"""How far the call has come before anything may happen."""


@dataclass(slots=True)
class Desk:
    """What a phone said."""

    phone: SlowPhone
    asked_at: float | None = None
    rang: bool = False
    stopped_at: float | None = None
    """When the first CANCEL came."""
    taken_at: float | None = None
    tags: set[str] = field(default_factory=set)
    """Under which it took the call."""
    refused: bool = False


class SerialForking(RuleBasedStateMachine):
    """The phones, and the world around them."""

    @initialize(way=st.sampled_from(WAYS))
    def begin(self, way: str) -> None:
        self.network = VirtualNetwork()
        self.caller = UserAgent(self.network, "caller", CALLER, TIMERS)
        self.desks = [Desk(SlowPhone(self.network, place)) for place in PLACES]
        self.proxy = ProxyNode(self.network, {Side.AGENT: PLACES, Side.CALLER: [CALLER]}, TIMERS)
        self.proxy.hold = self.holds
        self.slow = self.cancelled = False
        self.branch = self.caller.request("INVITE", "sip:200@198.51.100.20", ProxyNode.CALLER)
        self.run(0.01)
        if way != "asked":
            self.run(TIMERS.elsewhere * 1.1)
        if way == "the second rings":
            self.ring(1, 180)
            self.run(0.01)

    def holds(self, event: object) -> bool:
        return self.slow and isinstance(event, ResponseArrived)

    def run(self, seconds: float) -> None:
        end = self.network.now + seconds
        while self.network.now < end:  # step by step, to see when what came
            self.network.run(min(0.02, end - self.network.now))
            for desk in self.desks:
                if desk.phone.of("INVITE") and desk.asked_at is None:
                    desk.asked_at = self.network.now
                if desk.phone.of("CANCEL") and desk.stopped_at is None:
                    desk.stopped_at = self.network.now

    def able(self, desk: Desk) -> bool:
        """Whether the phone may still take the call: it isn't over there."""
        now = self.network.now
        if desk.asked_at is None or desk.refused:
            return False
        if desk.taken_at is not None and now - desk.taken_at > IN_TIME:
            return False
        if desk.stopped_at is not None:
            return now - desk.stopped_at < IN_TIME
        return desk.rang or now - desk.asked_at < IN_TIME

    # --- what happens -------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from(STEPS))
    def time_passes(self, seconds: float) -> None:
        if seconds > TIMERS.elsewhere:
            self.let_go(0)
        self.run(seconds)

    @rule(number=st.integers(0, 2), status=st.sampled_from([100, 180, 183]))
    def ring(self, number: int, status: int) -> None:
        desk = self.desks[number]
        if self.able(desk) and not desk.tags:
            desk.phone.say(status, "early")
            desk.rang = True

    @rule(number=st.integers(0, 2), tag=st.sampled_from(["a", "b"]))
    def take_up(self, number: int, tag: str) -> None:
        """Once or again, maybe by two phones behind one hop."""
        desk = self.desks[number]
        if self.able(desk):
            desk.phone.say(200, f"{tag}{number}")
            desk.tags.add(f"{tag}{number}")
            desk.taken_at = desk.taken_at or self.network.now

    @rule(number=st.integers(0, 2), status=st.sampled_from([486, 487, 503, 603]))
    def refuse(self, number: int, status: int) -> None:
        desk = self.desks[number]
        if self.able(desk) and not desk.tags:
            desk.phone.say(status, "no")
            desk.refused = True

    @rule(number=st.integers(0, 2))
    def heed_the_cancel(self, number: int) -> None:
        desk = self.desks[number]
        if desk.phone.of("CANCEL") and self.able(desk):
            desk.phone.say(200, "no", to="CANCEL")
            if not desk.tags:
                desk.phone.say(487, "no")
                desk.refused = True

    @precondition(lambda self: not self.cancelled)
    @rule()
    def cancel(self) -> None:
        self.cancelled = True
        self.caller.cancel(self.branch, ProxyNode.CALLER)

    @rule()
    def the_ingress_is_slow(self) -> None:
        self.slow = True

    @precondition(lambda self: self.proxy.held)
    @rule(first=st.integers(0, 3))
    def let_go(self, first: int) -> None:
        """In any order."""
        self.slow = False
        while self.proxy.held:
            self.proxy.go_on(self.proxy.held.pop(first % len(self.proxy.held)))

    # --- what must hold -----------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "proxy"):
            return
        self.let_go(0)
        self.run(0.05)
        self.run(TIMERS.c * 1.1)  # whoever rings does so until timer C
        self.network.run(TIMERS.c * 10)
        self.the_caller_has_one_end()
        for desk in self.desks:
            self.nobody_is_left(desk)
        core = self.proxy.core
        core.advance(self.network.now)
        assert len(core) == len(core._layer) == len(core._given_up) == 0
        assert not core._contexts._clients and not core._contexts._servers and not core._contexts._of_source

    def finals(self) -> list[Response]:
        """Of the INVITE, as they went to the caller, each once."""
        found: dict[bytes, Response] = {}
        for _, target, data in self.network.wire:
            message = parse_datagram(data)
            if target != CALLER or not isinstance(message, Response) or message.status < 200:
                continue
            if parse_cseq(message.get("cseq") or "")[1] == "INVITE":
                found[data] = message
        return list(found.values())

    def the_caller_has_one_end(self) -> None:
        statuses = [response.status for response in self.finals()]
        assert statuses, "the caller waits for ever"
        assert len(statuses) == 1 or set(statuses) == {200}, "a refusal stands alone"

    def nobody_is_left(self, desk: Desk) -> None:
        told = {address(response, "to").tag for response in self.finals() if response.status == 200}
        ended = {address(bye, "to").tag for bye in desk.phone.of("BYE")}
        acked = {address(ack, "to").tag for ack in desk.phone.of("ACK")}
        assert desk.tags <= told | (ended & acked), "somebody talks to nobody"
        assert not told & ended, "a call that the caller has was ended"
        assert ended <= desk.tags
        if desk.rang and not desk.tags and not desk.refused:
            assert desk.phone.of("CANCEL"), "it rings for nobody"
        if desk.refused:
            assert "no" in acked


TestSerialForking = SerialForking.TestCase
TestSerialForking.settings = settings(max_examples=300, stateful_step_count=25, deadline=None)
