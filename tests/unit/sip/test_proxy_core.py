"""The proxy core between two scripted user agents in virtual time."""

from __future__ import annotations

import random

import pytest

from gateway.sip.build import build_response
from gateway.sip.hop import Hop, Side, Transport
from gateway.sip.message import Request, Response, parse_datagram
from gateway.sip.proxy_events import (
    AckArrived,
    Cancelled,
    Discarded,
    Finished,
    RequestArrived,
    ResponseArrived,
    ToGateway,
    Transmit,
    Why,
)
from gateway.sip.timers import SipTimers
from tests.peers.virtual_sip import ProxyNode, UserAgent, VirtualNetwork, method_of, vias

CALLER, AGENT = ("198.51.100.1", 5060), ("10.0.0.5", 5060)
TIMERS = SipTimers.TESTING
URI = "sip:200@198.51.100.20"


class Setup:
    def __init__(self, lost=lambda index: False) -> None:
        self.network = VirtualNetwork(lost)
        self.caller = UserAgent(self.network, "caller", CALLER, TIMERS)
        self.agent = UserAgent(self.network, "agent", AGENT, TIMERS)
        self.proxy = ProxyNode(self.network, {Side.AGENT: [AGENT], Side.CALLER: [CALLER]}, TIMERS)

    def invite(self, **more) -> str:
        return self.caller.request("INVITE", URI, ProxyNode.CALLER, **more)

    def call(self) -> Response:
        self.invite()
        self.network.run(0.1)
        answer = self.caller.responses[-1]
        assert answer.status == 200
        self.caller.in_dialog("ACK", answer, cseq=1)
        self.network.run(0.1)
        return answer

    def methods(self, source, target) -> list[str]:
        return [method_of(data) for s, t, data in self.network.wire if (s, t) == (source, target)]


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_a_call_from_invite_to_bye(setup: Setup) -> None:
    setup.agent.script = lambda request: [(180, "a"), (200, "a")] if request.method == "INVITE" else [(200, "a")]
    answer = setup.call()
    setup.caller.in_dialog("BYE", answer)
    setup.network.run()
    assert setup.methods(CALLER, ProxyNode.CALLER) == ["INVITE", "ACK", "BYE"]
    assert setup.methods(ProxyNode.AGENT, AGENT) == ["INVITE", "ACK", "BYE"]
    assert setup.methods(ProxyNode.CALLER, CALLER) == ["100 INVITE", "180 INVITE", "200 INVITE", "200 BYE"]
    assert len(setup.agent.acks) == 1
    assert len(setup.proxy.core) == 0, "every context is forgotten"
    assert len(setup.proxy.of(Finished)) == 2


def test_request_gets_via_record_routes_and_one_hop_less(setup: Setup) -> None:
    setup.call()
    got = setup.agent.requests[0]
    assert vias(got) == ["10.0.0.20", "198.51.100.1"]
    assert got.all("record-route") == [
        "<sip:10.0.0.20:5060;lr;fairtap=agent>",
        "<sip:198.51.100.20:5060;lr;fairtap=caller>",
    ]
    assert got.get("max-forwards") == "69"
    assert got.uri == URI
    assert setup.agent.acks[0].all("route") == []


def test_untouched_lines_are_the_same_bytes(setup: Setup) -> None:
    odd = (("X-Odd", "a  ;;b,,"), ("SUBJECT", "\u00e4"))
    setup.invite(extra=odd)
    setup.network.run(0.1)
    sent = parse_datagram(setup.network.wire[0][2])
    assert isinstance(sent, Request)
    got = setup.agent.requests[0]
    ours = {"via", "record-route", "max-forwards"}
    assert [f for f in got.fields if f.name not in ours] == [f for f in sent.fields if f.name not in ours]


def test_in_dialog_requests_route_both_ways_after_a_restart(setup: Setup) -> None:
    answer = setup.call()
    setup.proxy.restart()
    setup.caller.in_dialog("INFO", answer)
    setup.agent.from_callee("UPDATE", setup.agent.requests[0])
    setup.network.run(1)
    assert [r.method for r in setup.agent.requests] == ["INVITE", "INFO"]
    assert [r.method for r in setup.caller.requests] == ["UPDATE"]
    assert setup.agent.statuses == [200]
    arrived = next(e for e in setup.proxy.of(RequestArrived) if e.request.method == "UPDATE")
    assert (arrived.source.side, arrived.to_side, arrived.in_dialog) == (Side.AGENT, Side.CALLER, True)
    assert arrived.target is not None and (arrived.target.host, arrived.target.port) == CALLER
    assert setup.caller.requests[0].all("route") == []


def test_byes_cross(setup: Setup) -> None:
    answer = setup.call()
    setup.caller.in_dialog("BYE", answer)
    setup.agent.from_callee("BYE", setup.agent.requests[0])
    setup.network.run()
    assert setup.caller.statuses[-1] == 200 and setup.agent.statuses == [200]
    assert setup.caller.requests[0].method == "BYE" and setup.agent.requests[-1].method == "BYE"
    assert len(setup.proxy.core) == 0


def test_cancel_while_ringing(setup: Setup) -> None:
    setup.agent.script = lambda request: [(180, "a")]
    branch = setup.invite()
    setup.network.run(0.1)
    setup.caller.cancel(branch, ProxyNode.CALLER)
    setup.network.run()
    assert setup.methods(ProxyNode.AGENT, AGENT) == ["INVITE", "CANCEL", "ACK"]
    assert setup.caller.statuses == [100, 180, 200, 487]
    assert len(setup.proxy.of(Cancelled)) == 1
    assert len(setup.proxy.core) == 0


def test_cancel_waits_for_the_first_provisional_response(setup: Setup) -> None:
    setup.agent.script = lambda request: []
    setup.agent.layer.receive_request = lambda *a: []  # type: ignore[method-assign]  # silent: not even a 100
    branch = setup.invite()
    setup.network.run(0.1)
    setup.caller.cancel(branch, ProxyNode.CALLER)
    setup.network.run(0.1)
    assert "CANCEL" not in setup.methods(ProxyNode.AGENT, AGENT)
    assert setup.caller.statuses == [100, 200]
    sent = parse_datagram(next(d for s, t, d in setup.network.wire if t == AGENT))
    setup.network.send(AGENT, ProxyNode.AGENT, build_response(sent, 180, "", "late").to_bytes())  # type: ignore[arg-type]  # either kind
    setup.network.run(0.02)
    assert setup.methods(ProxyNode.AGENT, AGENT)[-1] == "CANCEL"
    setup.network.run()
    assert setup.caller.statuses[-1] == 487, "nobody answered the CANCEL, the caller still gets its end"


def test_cancel_of_a_held_invite_is_answered_at_once_and_goes_nowhere(setup: Setup) -> None:
    setup.proxy.hold = lambda event: isinstance(event, RequestArrived)
    branch = setup.invite()
    setup.network.run(0.1)
    setup.caller.cancel(branch, ProxyNode.CALLER)
    setup.network.run(0.1)
    assert setup.caller.statuses == [100, 200, 487]
    setup.proxy.go_on(setup.proxy.held[0])
    setup.network.run()
    assert setup.methods(ProxyNode.AGENT, AGENT) == []


def test_cancel_crossing_the_answer_leaves_the_call(setup: Setup) -> None:
    setup.agent.script = lambda request: [(180, "a")] if request.method == "INVITE" else [(200, "a")]
    branch = setup.invite()
    setup.network.run(0.1)
    setup.agent.answer("call-1", 200, "a")
    setup.caller.cancel(branch, ProxyNode.CALLER)
    setup.network.run()
    assert setup.caller.statuses[:2] == [100, 180]
    assert sorted(setup.caller.statuses[2:]) == [200, 200]
    assert 487 not in setup.caller.statuses


def test_cancel_for_an_unknown_invite(setup: Setup) -> None:
    setup.proxy.hold = lambda event: True
    branch = setup.invite()
    setup.network.run(0.02)
    setup.proxy.restart()
    setup.caller.cancel(branch, ProxyNode.CALLER)
    setup.network.run(0.1)
    assert setup.caller.statuses[-1] == 481
    assert len(setup.proxy.core._layer) == 0, "a flood of them leaves nothing"


def test_forking_downstream_passes_early_dialogs_and_every_2xx(setup: Setup) -> None:
    legs = [(180, "one"), (183, "two"), (180, "three"), (200, "two"), (200, "one")]
    setup.agent.script = lambda request: legs if request.method == "INVITE" else [(200, "x")]
    setup.invite()
    setup.network.run()
    assert setup.caller.statuses == [100, 180, 183, 180, 200, 200]
    tags = [(response.get("to") or "").rpartition("tag=")[2] for response in setup.caller.responses[1:]]
    assert tags == ["one", "two", "three", "two", "one"]


def test_a_refusal_after_a_2xx_is_absorbed(setup: Setup) -> None:
    setup.agent.script = lambda request: [(200, "a"), (486, "b")]
    setup.invite()
    setup.network.run()
    assert setup.caller.statuses == [100, 200]


def test_nobody_answers(setup: Setup) -> None:
    del setup.network.nodes[AGENT]
    setup.invite()
    setup.network.run()
    assert setup.caller.statuses == [100, 408]
    assert setup.proxy.of(ResponseArrived)[0].local
    assert setup.methods(ProxyNode.AGENT, AGENT) == ["INVITE"] * 7
    assert len(setup.proxy.core) == 0


def test_no_408_for_other_methods(setup: Setup) -> None:
    del setup.network.nodes[AGENT]
    setup.caller.request("MESSAGE", URI, ProxyNode.CALLER)
    setup.network.run()
    assert setup.caller.statuses == [] and len(setup.caller.unanswered) == 1
    assert len(setup.proxy.core) == 0


def test_the_second_next_hop_gets_what_the_first_one_does_not_answer(setup: Setup) -> None:
    setup.proxy.next_hops[Side.AGENT] = [("10.0.0.99", 5060), AGENT]
    setup.caller.layer = type(setup.caller.layer)(SipTimers.RFC3261)
    setup.invite()
    setup.network.run()
    assert setup.caller.statuses == [100, 200]
    assert setup.agent.requests[0].get("max-forwards") == "69", "one hop, although tried twice"


def test_transport_failure_is_a_local_503(setup: Setup) -> None:
    setup.proxy.hold = lambda event: isinstance(event, ResponseArrived)
    setup.invite()
    setup.network.run(0.001)
    arrived = []
    del setup.network.nodes[AGENT]
    setup.network.run(0.01)
    sent = next(e for e in setup.proxy.of(Transmit) if e.branch is not None)
    setup.proxy.play(setup.proxy.core.transmit_failed(sent, setup.network.now))
    arrived = setup.proxy.of(ResponseArrived)
    assert [(e.local, e.response.status) for e in arrived] == [(True, 503)]
    assert setup.proxy.core.transmit_failed(Transmit(b"", sent.hop), setup.network.now) == []


def test_timer_c_cancels_a_phone_that_rings_for_ever(setup: Setup) -> None:
    setup.agent.script = lambda request: [(180, "a")]
    started = setup.network.now
    setup.invite()
    setup.network.run(TIMERS.c - 0.5)
    assert "CANCEL" not in setup.methods(ProxyNode.AGENT, AGENT)
    setup.agent.answer("call-1", 183, "a")
    setup.network.run(TIMERS.c - 0.5)
    assert "CANCEL" not in setup.methods(ProxyNode.AGENT, AGENT), "each provisional response starts timer C anew"
    setup.network.run()
    assert setup.methods(ProxyNode.AGENT, AGENT)[-2:] == ["CANCEL", "ACK"]
    assert setup.caller.statuses[-1] == 408, "the caller took nothing back"
    (last,) = [event for event in setup.proxy.of(ResponseArrived) if event.local]
    assert last.heard, "so that it is no reason to ask the next hop"
    assert setup.network.now > started + TIMERS.c


def test_held_messages_wait_and_can_be_rewritten(setup: Setup) -> None:
    setup.proxy.hold = lambda event: isinstance(event, (RequestArrived, ResponseArrived, AckArrived))
    setup.invite(body=b"offer")
    setup.network.run(0.1)
    assert setup.methods(ProxyNode.AGENT, AGENT) == []
    held = setup.proxy.held.pop(0)
    assert isinstance(held, RequestArrived) and held.request.body == b"offer" and held.target is None
    held.request.set_body(b"other offer")
    setup.proxy.go_on(held)
    setup.network.run(0.1)
    assert setup.agent.requests[0].body == b"other offer"
    assert setup.agent.requests[0].get("content-length") == "11"
    answer = setup.proxy.held.pop(0)
    assert isinstance(answer, ResponseArrived) and setup.caller.statuses == [100]
    answer.response.set_body(b"answer")
    setup.proxy.go_on(answer)
    setup.network.run(0.1)
    assert setup.caller.responses[-1].body == b"answer"


def test_a_retransmitted_2xx_goes_on_rewritten_without_asking_again(setup: Setup) -> None:
    setup.proxy.touch = lambda event: event.response.set_body(b"new") if isinstance(event, ResponseArrived) else None
    setup.invite()
    setup.network.run(0.1)
    setup.agent.answer("call-1", 200, "agent-tag")
    setup.network.run(0.1)
    assert [r.body for r in setup.caller.responses[1:]] == [b"new", b"new"]
    assert len(setup.proxy.of(ResponseArrived)) == 1


def test_retransmissions_of_the_request_are_absorbed(setup: Setup) -> None:
    setup.agent.script = lambda request: [(180, "a")]
    setup.invite()
    setup.network.run(0.1)
    first = next(d for s, t, d in setup.network.wire if t == ProxyNode.CALLER)
    setup.network.send(CALLER, ProxyNode.CALLER, first)
    setup.network.run(0.1)
    assert setup.methods(ProxyNode.AGENT, AGENT) == ["INVITE"]
    assert setup.methods(ProxyNode.CALLER, CALLER) == ["100 INVITE", "180 INVITE", "180 INVITE"]


@pytest.mark.parametrize("status", [401, 407, 302, 486, 503, 600])
def test_refusals_pass_and_their_ack_stays_on_its_hop(setup: Setup, status: int) -> None:
    setup.agent.script = lambda request: [(status, "a")]
    setup.invite()
    setup.network.run()
    assert setup.caller.statuses == [100, status]
    assert setup.methods(ProxyNode.AGENT, AGENT) == ["INVITE", "ACK"]
    assert setup.proxy.of(AckArrived) == []


@pytest.mark.parametrize("method", ["REGISTER", "OPTIONS", "MESSAGE", "FROBNICATE", "PRACK", "SUBSCRIBE"])
def test_other_methods_pass(setup: Setup, method: str) -> None:
    setup.caller.request(method, "sip:example.com", ProxyNode.CALLER)
    setup.network.run()
    assert [r.method for r in setup.agent.requests] == [method]
    assert setup.caller.statuses == [200]
    assert bool(setup.agent.requests[0].count("record-route")) == (method in ("FROBNICATE", "SUBSCRIBE"))


def test_options_for_the_gateway_is_handed_up(setup: Setup) -> None:
    setup.caller.request("OPTIONS", "sip:198.51.100.20:5060", ProxyNode.CALLER)
    setup.network.run(0.1)
    (event,) = setup.proxy.of(ToGateway)
    setup.proxy.play(setup.proxy.core.answer(event.context, 503, setup.network.now, extra=[("Retry-After", "5")]))
    setup.network.run()
    assert setup.caller.statuses == [503]
    assert setup.caller.responses[0].get("retry-after") == "5"
    assert setup.agent.requests == []


def test_ingress_refuses(setup: Setup) -> None:
    setup.proxy.hold = lambda event: isinstance(event, RequestArrived)
    setup.invite()
    setup.network.run(0.1)
    (held,) = setup.proxy.of(RequestArrived)
    setup.proxy.play(setup.proxy.core.answer(held.context, 403, setup.network.now))
    setup.network.run()
    assert setup.caller.statuses == [100, 403]
    assert setup.agent.requests == [] and len(setup.proxy.core) == 0


def test_a_request_that_the_ingress_forgets_ends_by_itself(setup: Setup) -> None:
    setup.proxy.hold = lambda event: isinstance(event, RequestArrived)
    setup.invite()
    setup.caller.request("INFO", URI, ProxyNode.CALLER, call_id="two", to_tag="x")
    setup.network.run()
    assert setup.caller.statuses == [100, 408]
    assert len(setup.proxy.core) == 0


def test_preloaded_own_route_of_an_outbound_proxy(setup: Setup) -> None:
    setup.invite(routes=["<sip:198.51.100.20;lr>"])
    setup.network.run(0.1)
    (event,) = setup.proxy.of(RequestArrived)
    assert event.target is None and not event.in_dialog
    assert setup.agent.requests[0].all("route") == []


def test_foreign_route_is_followed(setup: Setup) -> None:
    setup.invite(routes=["<sip:198.51.100.20;lr>, <sip:10.0.0.5:5060;lr>"])
    setup.network.run(0.1)
    assert setup.agent.requests[0].all("route") == ["<sip:10.0.0.5:5060;lr>"]


def test_next_hop_is_a_strict_router(setup: Setup) -> None:
    setup.invite(
        to_tag="x",
        routes=["<sip:198.51.100.20;lr;fairtap=caller>", "<sip:10.0.0.20;lr;fairtap=agent>", "<sip:10.0.0.5>"],
    )
    setup.network.run(0.1)
    got = setup.agent.requests[0]
    assert got.uri == "sip:10.0.0.5"
    assert got.all("route") == [f"<{URI}>"]


def test_a_strict_router_before_us_is_undone(setup: Setup) -> None:
    routes = ["<sip:10.0.0.20:5060;lr;fairtap=agent>", "<sip:agent@10.0.0.5:5060>"]
    uri = "sip:198.51.100.20:5060;lr;fairtap=caller"
    setup.caller.request("BYE", uri, ProxyNode.CALLER, to_tag="x", routes=routes)
    setup.network.run(0.1)
    got = setup.agent.requests[0]
    assert got.uri == "sip:agent@10.0.0.5:5060"
    assert got.all("route") == []


def test_stray_and_foreign_responses_are_discarded(setup: Setup) -> None:
    setup.call()
    count = len(setup.network.wire)
    for host in ("10.0.0.20:5060", "192.0.2.1"):
        stray = (
            f"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP {host};branch=z9hG4bKnone\r\nVia: SIP/2.0/UDP 198.51.100.1\r\n"
            "From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n"
        )
        setup.network.send(AGENT, ProxyNode.AGENT, stray.encode())
    setup.network.run(0.1)
    assert [event.why for event in setup.proxy.of(Discarded)] == [Why.STRAY_RESPONSE, Why.FOREIGN_VIA]
    assert len(setup.network.wire) == count + 2


def test_a_response_from_the_wrong_side_is_discarded(setup: Setup) -> None:
    setup.agent.script = lambda request: []
    setup.invite()
    setup.network.run(0.1)
    forged = build_response(setup.agent.requests[0], 200, "", "forged")
    setup.network.send(CALLER, ProxyNode.CALLER, forged.to_bytes())
    setup.network.run(0.1)
    assert setup.caller.statuses == [100]
    assert [event.why for event in setup.proxy.of(Discarded)] == [Why.STRAY_RESPONSE]


def test_a_loop_is_refused_and_a_spiral_passes(setup: Setup) -> None:
    setup.call()
    forwarded = next(data for _, target, data in setup.network.wire if target == AGENT)
    looped = forwarded.replace(b"Via:", b"Via: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKback\r\nVia:", 1)
    setup.network.send(CALLER, ProxyNode.CALLER, looped)
    setup.network.run(0.1)
    assert setup.proxy.of(Discarded)[-1].status == 482
    spiral = looped.replace(b"sip:200@", b"sip:300@", 1)
    setup.network.send(CALLER, ProxyNode.CALLER, spiral)
    setup.network.run(0.1)
    assert setup.agent.requests[-1].uri == "sip:300@198.51.100.20"


def test_the_ack_for_a_stateless_refusal_is_absorbed(setup: Setup) -> None:
    setup.invite(extra=(("Proxy-Require", "magic"),))
    setup.network.run()
    assert setup.caller.statuses == [420]
    assert setup.caller.responses[0].get("unsupported") == "magic"
    assert setup.methods(CALLER, ProxyNode.CALLER)[-1] == "ACK"
    assert setup.proxy.of(AckArrived) == [] and setup.agent.requests == []


def test_rport_and_received_lead_the_response_back() -> None:
    setup = Setup()
    request = (
        b"OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.2:5060;rport;branch=z9hG4bKa\r\n"
        b"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 7\r\n\r\n"
    )
    message = parse_datagram(request)
    source = Hop(Side.CALLER, Transport.UDP, "203.0.113.9", 40000, 3)
    setup.proxy.play(setup.proxy.core.receive(message, source, 0.0))  # type: ignore[arg-type]  # either kind
    setup.network.run(0.1)
    reply = setup.proxy.of(Transmit)[-1]
    assert reply.hop == source
    assert b"192.168.1.2:5060;rport=40000;branch=z9hG4bKa;received=203.0.113.9" in reply.data


def test_a_stream_gets_a_content_length() -> None:
    setup = Setup()
    request = (
        b"INVITE sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKa\r\n"
        b"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\nbody"
    )
    message = parse_datagram(request)
    source = Hop(Side.CALLER, Transport.UDP, "198.51.100.1", 5060)
    events = setup.proxy.core.receive(message, source, 0.0)  # type: ignore[arg-type]  # either kind
    arrived = next(event for event in events if isinstance(event, RequestArrived))
    sent = setup.proxy.core.forward(arrived, Hop(Side.AGENT, Transport.TCP, "10.0.0.5", 5060), 0.0)
    assert isinstance(sent[0], Transmit)
    assert b"Content-Length: 4\r\n" in sent[0].data and b"Max-Forwards: 70\r\n" in sent[0].data


@pytest.mark.parametrize("seed", range(12))
def test_a_call_survives_loss(seed: int) -> None:
    dice = random.Random(seed)
    setup = Setup(lost=lambda index: dice.random() < 0.3)
    setup.agent.script = lambda request: [(180, "a"), (200, "a")]
    setup.invite()
    for _ in range(200):  # the callee's core repeats its 2xx until the ACK comes (RFC 3261 §13.3.1.4)
        setup.network.run(0.02)
        if 200 in setup.caller.statuses:
            setup.caller.in_dialog("ACK", setup.caller.responses[-1], cseq=1)
        if setup.agent.invites:
            setup.agent.answer("call-1", 200, "a")
        if setup.agent.acks:
            break
    assert setup.network.lost_count > 0
    assert setup.agent.acks, "the ACK arrived"
    assert [r.method for r in setup.agent.requests] == ["INVITE"]
    answer = next(r for r in setup.caller.responses if r.status == 200)
    setup.caller.in_dialog("BYE", answer)
    setup.network.run()
    assert [r.method for r in setup.agent.requests] == ["INVITE", "BYE"]
    assert len(setup.proxy.core) == 0 and len(setup.caller.layer) == 0 and len(setup.agent.layer) == 0
