"""One side on IPv6, the other on IPv4: signalling and descriptions cross over."""

import pytest

from gateway.ingress.inline import Inline
from tests.peers.engine_bench import EngineBench, sdp
from tests.peers.wire import Wire

GATEWAY, PHONE = "127.61.4.20", "127.61.4.7"
SIDES = {
    "caller_side": {"listen": ["udp:[::1]:5060"], "peers": ["[::1/128]:5070"], "media_address": "::1", "probe_s": 0},
    "agent_side": {
        "listen": [f"udp:{GATEWAY}:5060"],
        "peers": [f"{PHONE}/32"],
        "next_hops": [f"{PHONE}:5060"],
        "media_address": GATEWAY,
        "probe_s": 0,
    },
}


@pytest.fixture
async def bench(tmp_path):
    made = await EngineBench.make(tmp_path, sides=SIDES)
    inline = Inline(made.config, made.engine, made.clock)
    await inline.start()
    yield made
    await inline.close()
    await made.close()


async def test_a_call_crosses_from_ipv6_to_ipv4_and_back(bench):
    async with Wire("::1", 5070) as pbx, Wire(PHONE) as phone:
        six = sdp("::1").replace(b"IP4", b"IP6")
        invite = pbx.ask("INVITE", f"sip:200@{PHONE}", "::1", (), six)
        came = await phone.request("INVITE")
        assert f"c=IN IP4 {GATEWAY}\r\n".encode() in came[0].body and b"o=- 1 1 IN IP6 ::1" in came[0].body
        assert came[0].all("record-route") == [
            f"<sip:{GATEWAY}:5060;lr;fairtap=agent>",
            "<sip:[::1]:5060;lr;fairtap=caller>",
        ]
        phone.say(came, 200, body=sdp(PHONE, 5000))
        answer = await pbx.response(200)
        assert b"c=IN IP6 ::1\r\n" in answer.body
        pbx.follow("ACK", invite, answer)
        assert (await phone.request("ACK"))[0].get("route") is None
        pbx.follow("BYE", invite, answer, 2)
        phone.say(await phone.request("BYE"), 200)
        await pbx.response(200)
        hosts = {order.remote.host for order in bench.worker.orders if order.kind == "forward" and order.remote}
        assert hosts == {"::1", PHONE}
    assert not bench.engine.calls
