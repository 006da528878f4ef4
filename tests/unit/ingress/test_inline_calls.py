"""What signalling means for a call: who is on it, when it is over, and that no fault of ours swallows a message."""

import asyncio

import pytest

from gateway.media.plane import Remove
from gateway.sip.headers import address
from gateway.sip.hop import Side, Transport
from gateway.sip.message import Response
from gateway.sip.proxy_events import Target
from policy.decision import Purpose
from tests.peers.engine_bench import sdp
from tests.peers.proxy_bench import PBX, PHONES, ProxyBench

FORKED = "X-Fairtap-Extension: 201"


async def test_a_call_from_invite_to_bye(sip, bench):
    invite = await sip.invite(extra=("X-Fairtap-Extension: 200",))
    assert invite.get("x-fairtap-extension") is None
    await sip.answer(invite)
    await sip.request("ACK", to_tag="uas")
    assert bench.ledger.entered
    (ref,) = bench.engine.by_ref
    await sip.request("BYE", to_tag="uas", cseq=2)
    await sip.respond(sip.requests("BYE")[-1], 200)
    rungs, _ = bench.engine.ladder.rungs(ref)
    said = [(rung.by.value, rung.said) for rung in rungs]
    assert said[0] == ("caller", "INVITE SDP")
    assert said[-4:] == [("agent", "200 INVITE SDP"), ("caller", "ACK"), ("caller", "BYE"), ("agent", "200 BYE")]
    assert not bench.engine.calls
    assert isinstance(bench.worker.orders[-1], Remove)


async def test_the_agent_is_who_was_called_by_the_branch_that_answered(sip, bench):
    """A PBX that forks before us sends the same call to several phones: the one that answers is on the leg."""
    await sip.invite(extra=("X-Fairtap-Extension: 200",))
    second = await sip.invite("201", extra=(FORKED,))
    await sip.answer(second, "b")
    assert not bench.ledger.entered, "200 has a seat but 201 answered"
    assert bench.ledger.x


async def test_a_branch_that_is_refused_ends_no_call_that_another_answered(sip, bench):
    first = await sip.invite(extra=(FORKED,))
    second = await sip.invite(extra=("X-Fairtap-Extension: 200",))
    await sip.answer(second, "b")
    await sip.respond(first, 487, "a")
    assert list(bench.engine.calls) == ["call-1"]
    assert not any(isinstance(order, Remove) for order in bench.worker.orders)


async def test_a_branch_that_is_refused_ends_no_call_while_another_rings(sip, bench):
    first = await sip.invite(extra=(FORKED,))
    second = await sip.invite(extra=("X-Fairtap-Extension: 200",))
    await sip.respond(first, 486, "a")
    assert list(bench.engine.calls) == ["call-1"]
    await sip.respond(second, 486, "b")
    assert not bench.engine.calls


@pytest.mark.parametrize(("said", "refused"), [("no", True), ("yes", False)])
async def test_a_header_of_the_pbx_can_say_no_for_the_caller(sip, bench, said, refused):
    invite = await sip.invite(extra=("X-Fairtap-Extension: 200", f"X-Fairtap-Consent: {said}"))
    assert invite.get("x-fairtap-consent") is None
    (live,) = bench.engine.calls.values()
    assert live.call.said.refused(Purpose.COACHING) is refused
    assert not live.call.said.agreed(Purpose.COACHING)


@pytest.mark.parametrize(("tags", "told"), [("timer, Record-Aware", 1), ("timer", 0)])
async def test_a_user_agent_that_says_that_it_understands_it_is_told_whether_the_call_is_recorded(sip, tags, told):
    invite = await sip.invite(extra=("X-Fairtap-Extension: 200", f"Supported: {tags}"))
    assert b"a=record:" not in invite.body, "nobody knows yet what the phone understands"
    await sip.answer(invite)
    assert sip.responses()[-1].body.count(b"a=record:off\r\n") == told
    await sip.request("INVITE", to_tag="uas", cseq=2, body=sdp())
    await sip.answer(sip.requests("INVITE")[-1])
    assert b"a=record:" not in sip.responses()[-1].body, "another INVITE without the option takes it back"


@pytest.mark.parametrize("verb", ["offer", "answer", "begin", "answered", "dialog", "is_current"])
async def test_no_fault_of_the_engine_swallows_a_message(sip, bench, monkeypatch, verb):
    def broken(*args, **more):
        raise RuntimeError("bug")

    monkeypatch.setattr(bench.engine if hasattr(bench.engine, verb) else bench.engine.table, verb, broken)
    invite = await sip.invite(extra=("X-Fairtap-Extension: 200",))
    assert invite.get("x-fairtap-extension") is None
    await sip.answer(invite)
    await sip.request("ACK", to_tag="uas")
    await sip.request("BYE", to_tag="uas", cseq=2)
    assert sip.statuses() == [100, 200]
    assert [request.method for hop, request in sip.sent if not isinstance(request, Response)] == [
        "INVITE",
        "ACK",
        "BYE",
    ]
    assert sip.proxy.counters["faults"] > 0


async def test_nobody_is_sent_back_to_the_side_they_came_from(sip, bench):
    """A preloaded Route of two of our own names must not make us call the carrier in the PBX's name."""
    routes = "Route: <sip:127.15.2.2;lr;fairtap=agent>, <sip:127.15.2.1;lr;fairtap=caller>"
    await sip.request("INVITE", "+49900123", extra=(routes,))
    assert not sip.requests("INVITE", PBX)
    assert len(sip.requests("INVITE", PHONES)) == 1


@pytest.mark.parametrize("method", ["ACK", "PRACK"])
async def test_a_delayed_offer_is_answered_with_our_ports_however_often(sip, bench, method):
    """An ACK that comes again, for the first one was lost, must not name the caller's own address."""
    await sip.request("INVITE", extra=("X-Fairtap-Extension: 200",))
    status = 200 if method == "ACK" else 183
    await sip.respond(sip.requests("INVITE")[-1], status, body=sdp("127.15.1.12", 5000))
    offer = sip.sent[-1][1].body
    assert b"c=IN IP4 127.15.1.12" not in offer
    for cseq in (1, 2):
        await sip.request(method, to_tag="uas", cseq=cseq, body=sdp())
        assert b"c=IN IP4 127.15.1.11" not in sip.requests(method)[-1].body
    media = next(iter(bench.engine.calls.values())).call.negotiation.dialogs["uas"]
    assert len(media.stable) == 2 and (media.offered is None) == (method == "ACK"), "a PRACK with more SDP offers anew"


async def test_a_session_timer_is_read_and_a_header_that_makes_no_sense_costs_nothing(sip, bench):
    invite = await sip.invite(extra=("X-Fairtap-Extension: 200", "Supported: timer,,x"))
    said = ("x: 1800;refresher=uac", "Supported: timer,,x", "Require: timer")
    await sip.respond(invite, 200, body=sdp("127.15.1.12", 5000), extra=said)
    (live,) = bench.engine.calls.values()
    assert live.call.answered_dialog == "uas"
    assert live.lasts_until == bench.clock.now() + 1800
    assert sip.sent[-1][1].all("session-expires") == ["1800;refresher=uac"]
    bench.clock.advance(900)
    await sip.request("UPDATE", to_tag="uas", cseq=2, extra=("Session-Expires: 1800;refresher=uac",))
    await sip.respond(sip.requests("UPDATE")[-1], 200, extra=("Session-Expires: 90",))
    assert live.lasts_until == bench.clock.now() + 90


class SlowNames:
    """Nobody answers until `known` is set."""

    def __init__(self) -> None:
        self.known = asyncio.Event()

    async def places(self, target: Target, offered: frozenset[Transport]) -> tuple[tuple[Transport, str, int], ...]:
        await self.known.wait()
        return ((Transport.UDP, *PHONES),)


async def test_a_call_that_is_cancelled_while_a_name_is_looked_up_never_begins(bench, tmp_path):
    sip, names = ProxyBench(bench, tmp_path, phones=("phones.example:5060",)), SlowNames()
    sip.proxy._hops[Side.AGENT].locator = names
    said = [asyncio.create_task(sip.request(method, body=sdp(), branch=77)) for method in ("INVITE", "CANCEL")]
    await asyncio.sleep(0)
    *_, cancelled = sip.responses()
    assert cancelled.status == 487
    said.append(asyncio.create_task(sip.request("ACK", branch=77, to_tag=address(cancelled, "to").tag or "")))
    await asyncio.sleep(0)
    bench.clock.advance(60.0)
    sip.proxy._advance()
    names.known.set()
    await asyncio.gather(*said)
    assert not sip.requests("INVITE") and not sip.proxy._passing
    assert not bench.engine.calls and not bench.worker.orders
    await sip.proxy.close()
