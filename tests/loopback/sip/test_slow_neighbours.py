"""A next hop that is too slow, over the wire: its late call is ended, and no INVITE comes by two transports."""

import asyncio

import pytest

from gateway.clock import SystemClock
from gateway.ingress.inline import Inline
from gateway.sip.timers import SipTimers
from tests.peers.engine_bench import EngineBench
from tests.peers.wire import Wire

TRUNK_SIDE, PHONE_SIDE, PBX, FIRST, SECOND = (f"127.61.6.{number}" for number in (10, 20, 1, 33, 34))
URI = f"sip:200@{TRUNK_SIDE}"


def side(here: str, peers: str, **more: object) -> dict[str, object]:
    listeners = [f"udp:{here}:5060", f"tcp:{here}:5060"]
    return {"listen": listeners, "peers": [peers], "media_address": here, "probe_s": 0, **more}


@pytest.fixture
async def inline(tmp_path):
    sides = {
        "caller_side": side(TRUNK_SIDE, f"{PBX}/32"),
        "agent_side": side(PHONE_SIDE, "127.61.6.32/28", next_hops=[f"{FIRST}:5060", f"{SECOND}:5060"]),
    }
    bench = await EngineBench.make(tmp_path, sides=sides)
    made = Inline(bench.config, bench.engine, SystemClock(), SipTimers.TESTING)
    await made.start()
    yield made
    await made.close()
    await bench.close()


async def test_whoever_takes_a_call_that_is_over_gets_its_ack_and_bye(inline):
    async with Wire(PBX) as pbx, Wire(FIRST) as first, Wire(SECOND) as second, asyncio.timeout(10):
        invite = pbx.ask("INVITE", URI, TRUNK_SIDE)
        late = await first.request("INVITE")
        second.say(await second.request("INVITE"), 486)
        await pbx.response(486)
        first.say(late, 200, "late")
        ack, bye = await first.request("ACK"), await first.request("BYE")
        for request, hop in (ack, bye):
            assert (request.get("to") or "").endswith(";tag=late") and request.get("call-id") == invite.get("call-id")
            assert hop.host == PHONE_SIDE and request.uri == first.uri
        first.say(bye, 200)


async def test_an_invite_that_was_taken_by_tcp_comes_by_no_other_transport(inline):
    async with Wire(PBX) as pbx, Wire(FIRST) as first, Wire(SECOND) as second, asyncio.timeout(10):
        pbx.ask("INVITE", URI, TRUNK_SIDE, [("Subject", "x" * 1000)])
        assert (await first.request("INVITE"))[1].transport == "tcp"
        came = await second.request("INVITE")
        assert came[1].transport == "tcp"
        second.say(came, 486)
        await pbx.response(486)
        assert first._came.empty(), "neither again nor by UDP"
