"""Next hops are asked over the wire whether they are there, and OPTIONS to the gateway say what came of it."""

import asyncio

import pytest

from gateway.ingress.inline import Inline
from tests.peers.engine_bench import EngineBench
from tests.peers.wire import Wire

TRUNK_SIDE, PHONE_SIDE, PBX, NEXT = "127.61.5.10", "127.61.5.20", "127.61.5.1", "127.61.5.7"


def side(here: str, peer: str, **more: object) -> dict[str, object]:
    return {"listen": [f"udp:{here}:5060"], "peers": [f"{peer}/32"], "media_address": here, **more}


@pytest.fixture
async def inline(tmp_path):
    sides = {
        "caller_side": side(TRUNK_SIDE, PBX),
        "agent_side": side(PHONE_SIDE, NEXT, next_hops=[f"{NEXT}:5060"], probe_s=0.05),
    }
    bench = await EngineBench.make(tmp_path, sides=sides)
    made = Inline(bench.config, bench.engine, bench.clock)
    await made.start()
    yield made
    await made.close()
    await bench.close()


async def asked(pbx: Wire) -> int:
    pbx.ask("OPTIONS", f"sip:{TRUNK_SIDE}:5060", TRUNK_SIDE)
    return (await pbx.response(0)).status


async def test_options_say_503_until_a_next_hop_answers(inline):
    async with Wire(PBX) as pbx, asyncio.timeout(10):
        while await asked(pbx) != 503:
            pass
        async with Wire(NEXT) as phone:
            probe = await phone.request("OPTIONS")
            assert probe[0].get("max-forwards") == "70" and probe[0].all("via")[0].startswith(
                f"SIP/2.0/UDP {PHONE_SIDE}"
            )
            phone.say(probe, 404)
            while await asked(pbx) != 200:
                phone.say(await phone.request("OPTIONS"), 200)
        inline.drain()
        assert await asked(pbx) == 503
