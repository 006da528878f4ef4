"""What signalling does to a recording, and that recording does nothing to signalling."""

import re

import pytest

from gateway.call.stage import Stage
from gateway.media.plane import Forward, Record, Remove, Stop
from gateway.sip.timers import SipTimers
from tests.peers.engine_bench import PAGE, EngineBench, sdp
from tests.peers.proxy_bench import PHONES, ProxyBench

NAMED = ("X-Fairtap-Extension: 200", "X-Fairtap-Queue: service-strom")
AGENT = ("127.15.1.12", 5000)


async def recorded(sip, bench):
    """A call with an open tap."""
    bench.engine.lights.open_page(bench.agent, PAGE)
    await sip.answer(await sip.invite(extra=NAMED))
    await sip.request("ACK", to_tag="uas")
    (live,) = bench.engine.calls.values()
    await bench.agree(live, 0.3)
    bench.acknowledge(live)
    await bench.engine.finished()
    assert bench.stage(live) is Stage.OPEN
    return live


def orders(bench, kind):
    return [order for order in bench.worker.orders if isinstance(order, kind)]


@pytest.mark.parametrize("how", ["the caller refers", "the agent refers", "somebody takes the call over"])
async def test_a_transfer_ends_the_recording_and_the_new_agent_is_not_recorded(sip, bench, how):
    live = await recorded(sip, bench)
    if how == "somebody takes the call over":
        await sip.invite("201", call_id="call-2", extra=("Replaces: call-1;to-tag=uas;from-tag=uac",))
    else:
        by_agent = how == "the agent refers"
        source = PHONES if by_agent else ("127.15.2.11", 5060)
        tags = {"from_tag": "uas", "to_tag": "uac"} if by_agent else {"to_tag": "uas"}
        await sip.request("REFER", cseq=2, source=source, extra=("Refer-To: <sip:201@127.15.2.12>",), **tags)
        (refer,) = sip.requests("REFER", ("127.15.2.11", 5060) if by_agent else PHONES)
        assert refer.get("refer-to") == "<sip:201@127.15.2.12>"
        await sip.respond(refer, 202, source=("127.15.2.11", 5060) if by_agent else PHONES)
    assert len(orders(bench, Stop)) == 1
    assert live.call.leg.stage is Stage.CLOSED
    # the PBX bridges the other agent in: a new description, and new voices
    await sip.request("INVITE", to_tag="uas", cseq=3, body=sdp(port=4100))
    await sip.respond(sip.requests("INVITE")[-1], 200, body=sdp("127.15.1.13", 5100))
    bench.clock.advance(20)
    bench.engine.tick()
    assert len(orders(bench, Record)) == 1


@pytest.mark.parametrize(
    "tags", ["", ";to-tag=uas", ";to-tag=uac;from-tag=uac", ";to-tag=uas;from-tag=guess", ";to-tag=uas;from-tag=uac;=x"]
)
async def test_whoever_knows_only_the_call_id_takes_no_call_over(sip, bench, tags):
    """RFC 3891 §3: both tags must match."""
    live = await recorded(sip, bench)
    await sip.invite("201", call_id="call-2", extra=(f"Replaces: call-1{tags}",))
    assert live.call.leg.stage is Stage.OPEN


async def test_a_replaces_that_names_the_tags_the_other_way_round_is_a_transfer_too(sip, bench):
    live = await recorded(sip, bench)
    await sip.invite("201", call_id="call-2", extra=("Replaces: call-1 ;early-only;FROM-tag=uas; to-tag=uac",))
    assert live.call.leg.stage is Stage.CLOSED


async def test_a_stranger_with_the_same_call_id_ends_no_recording_and_gets_through(sip, bench):
    """It refers, declines to be recorded and lets its session expire, all in a dialog of its own."""
    live = await recorded(sip, bench)
    await sip.request("REFER", from_tag="stranger", cseq=1, extra=("Refer-To: <sip:201@127.15.2.12>",))
    await sip.respond(sip.requests("REFER")[-1], 202, tag="another")
    declining = sdp() + b"a=recordpref:off\r\n"
    timer = ("Session-Expires: 1", "Supported: record-aware")
    await sip.request("INVITE", from_tag="stranger", cseq=2, body=declining, extra=timer)
    passed = sip.requests("INVITE")[-1]
    assert passed.body == declining
    await sip.respond(passed, 200, tag="another", body=sdp("127.15.1.13", 5100), extra=timer)
    assert sip.responses()[-1].body == sdp("127.15.1.13", 5100)
    await sip.request("ACK", from_tag="stranger", to_tag="another", cseq=2, body=sdp())
    assert sip.requests("ACK")[-1].body == sdp()
    await sip.request("INVITE", from_tag="stranger", to_tag="another", cseq=3, body=sdp(port=4100))
    await sip.respond(sip.requests("INVITE")[-1], 488, tag="another")
    await sip.request("BYE", from_tag="stranger", to_tag="another", cseq=4)
    await sip.respond(sip.requests("BYE")[-1], 200, tag="another")
    assert live.call.leg.stage is Stage.OPEN
    assert (live.over, live.lasts_until, live.call.record_aware) == (False, None, set())
    assert orders(bench, Stop) == []
    await sip.request("BYE", to_tag="uas", cseq=5)
    assert len(orders(bench, Stop)) == 1


@pytest.mark.parametrize(
    ("asked", "answered"), [("inactive", "recvonly"), ("inactive", "inactive"), ("sendonly", "sendrecv")]
)
async def test_a_hold_that_is_answered_wrongly_is_a_hold_and_both_hear_what_the_other_said(sip, bench, asked, answered):
    """Some answer `recvonly` to `inactive` (RFC 3264 §6.1 forbids it): nobody sends, and nothing is to be recorded."""
    live = await recorded(sip, bench)
    await sip.request("INVITE", to_tag="uas", cseq=2, body=sdp(direction=asked))
    held = sip.requests("INVITE")[-1]
    await sip.respond(held, 200, body=sdp(*AGENT, answered))
    assert f"a={asked}\r\n".encode() in held.body
    assert f"a={answered}\r\n".encode() in sip.sent[-1][1].body
    assert not live.call.negotiation.line().flowing


@pytest.mark.parametrize("status", [488, 491, 500])
async def test_a_refused_change_leaves_media_and_recording_as_they_were(sip, bench, status):
    live = await recorded(sip, bench)
    before = list(bench.worker.orders)
    await sip.request("INVITE", to_tag="uas", cseq=2, body=sdp(port=4100, direction="inactive"))
    await sip.respond(sip.requests("INVITE")[-1], status)
    assert bench.worker.orders == before
    assert bench.stage(live) is Stage.OPEN
    assert live.call.negotiation.line().flowing
    await sip.request("UPDATE", to_tag="uas", cseq=3, body=sdp(port=4200))
    await sip.respond(sip.requests("UPDATE")[-1], 200, body=sdp(*AGENT))
    moved = {order.remote.port for order in orders(bench, Forward)[-2:]}
    assert moved == {4200, 5000}, "the next offer counts, not the refused one"


async def test_a_bye_that_nobody_answers_ends_the_recording_at_once_and_the_call_when_it_times_out(sip, bench):
    live = await recorded(sip, bench)
    await sip.request("BYE", to_tag="uas", cseq=2)
    assert len(orders(bench, Stop)) == 1
    assert bench.engine.calls and not orders(bench, Remove), "its answer may still come"
    for _ in range(20):
        bench.clock.advance(SipTimers.TESTING.timeout / 16)
        sip.proxy._advance()
        await sip.settle()
    assert live.over and not bench.engine.calls
    assert len(orders(bench, Remove)) == 1


async def test_byes_that_cross_end_the_recording_once(sip, bench):
    await recorded(sip, bench)
    await sip.request("BYE", to_tag="uas", cseq=2)
    assert len(orders(bench, Stop)) == 1, "before anybody answers"
    await sip.request("BYE", from_tag="uas", to_tag="uac", cseq=1, source=PHONES)
    await sip.respond(sip.requests("BYE", ("127.15.2.11", 5060))[-1], 200, source=("127.15.2.11", 5060))
    await sip.respond(sip.requests("BYE")[-1], 200)
    assert (len(orders(bench, Stop)), len(orders(bench, Remove))) == (1, 1)
    assert sip.statuses()[-1] == sip.statuses(PHONES)[-1] == 200


async def script(sip, bench, recording):
    """One call with everything in it; what went out, but for the numbers that are made up anew each time."""
    if recording:
        await recorded(sip, bench)
    else:
        await sip.answer(await sip.invite(extra=NAMED))
        await sip.request("ACK", to_tag="uas")
        bench.clock.advance(0.3 * 9 / 8)
    await sip.request("INVITE", to_tag="uas", cseq=2, body=sdp(direction="sendonly"))
    await sip.respond(sip.requests("INVITE")[-1], 200, body=sdp(*AGENT, "recvonly"))
    await sip.request("ACK", to_tag="uas", cseq=2)
    await sip.request("INFO", to_tag="uas", cseq=3, extra=("Info-Package: x",))
    await sip.respond(sip.requests("INFO")[-1], 200)
    await sip.request("BYE", to_tag="uas", cseq=4)
    await sip.respond(sip.requests("BYE")[-1], 200)
    made_up = re.compile(rb"branch=z9hG4bK[^;\r]*|m=audio \d+")
    return list(dict.fromkeys((hop, made_up.sub(b"", message.to_bytes())) for hop, message in sip.sent))


async def test_no_message_tells_whether_the_call_is_recorded(tmp_path):
    said = []
    for name in ("recorded", "not drawn", "broken"):
        folder = tmp_path / name
        folder.mkdir()
        bench = await EngineBench.make(folder)
        sip = ProxyBench(bench, folder)
        bench.ledger.drawn = name != "not drawn"
        if name == "broken":
            bench.break_database()
        said.append(await script(sip, bench, name == "recorded"))
        assert bool(orders(bench, Record)) == (name == "recorded")
        await sip.proxy.close()
        await bench.close()
    assert said[0] == said[1] == said[2]
