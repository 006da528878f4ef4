"""baresip and pjsua2 that speak G.722 to each other: heard, asked and recorded in it."""

import asyncio

import numpy as np
import pytest
import pytest_asyncio

from api.listen import SideFile, open_side
from demo.correlate import tone_db
from demo.g711 import RATE
from demo.talk import THINK_S
from tests.peers.baresip import Baresip, build_shim
from tests.peers.heard_out import heard_out
from tests.peers.pjsua import Pjsua
from tests.peers.running_site import MOST_TRIES, RunningSite, until

pytest.importorskip("pjsua2", reason="`pjsua2-python` is not installed")
pytestmark = pytest.mark.asyncio(loop_scope="module")

HIS, HERS = 500.0, 900.0
PHONE = 95
LOUD, SOFT, QUIET = -13, -36, -50


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory, program):
    program("baresip")
    async with RunningSite(tmp_path_factory.mktemp("wideband"), desks=1) as running:
        yield running


async def test_a_call_in_g722_is_heard_asked_and_recorded(site, program, tmp_path):
    desk, shim, place = site.desks[0], build_shim(program("gcc"), tmp_path), site.at.phone(PHONE)
    through = f"sip:{site.at.gateway_caller}:5060;lr"
    phone = Baresip(program("baresip"), shim, tmp_path / "phone", place, "101", HERS, codec="g722/16000/1")
    caller = Pjsua(
        tmp_path / "outside", site.at.pbx, "outside", HIS, through=through, level_db=SOFT, codec="G722/16000"
    )
    async with phone, caller:
        ref = await drawn(site, desk, caller, phone)

        async def asked():
            return heard_out(site.prompt_end, caller.heard())

        await until(asked, 20, every=0.25)
        await asyncio.sleep(THINK_S)
        caller.tell("press", keys="1")
        async with asyncio.timeout(10):
            await desk.light("recording_both")
        await site.tapped(desk, ref)
        await asyncio.sleep(2)
        caller.tell("hangup")
        await caller.event("closed")
        heard, theirs = caller.heard(), phone.heard()
    assert (await site.outcome(desk, ref))["outcome"] == "recorded"
    for rate, side, mine, other, level in await sides(site, desk, ref):
        assert rate == 16_000
        narrow = side[-round(1.5 * rate) : -rate // 2 : 2]
        assert tone_db(narrow, mine) > level > QUIET > tone_db(narrow, other)
    assert tone_db(heard[-RATE:], HERS) > LOUD
    assert (
        max(tone_db(theirs[at : at + 2000], HIS) for at in range(len(theirs) - 8000, len(theirs) - 2000, 500))
        > SOFT - 3
    )


async def sides(site, desk, ref):
    """Rate, samples and tones of each side, as its owner opens it."""
    recording = next(one for one in await desk.client.recordings() if one["call"] == ref)
    found = []
    for one in recording["sides"]:
        data = await desk.client.fetch(recording["id"], one["side"], one["seg"])
        opened = open_side(SideFile(one["side"], one["seg"], data), [desk.keys.keys.identity])
        agents = one["side"] == "agent"
        mine, other, level = (HERS, HIS, LOUD) if agents else (HIS, HERS, SOFT - 3)
        found.append((opened.rate, np.asarray(opened.samples), mine, other, level))
    assert len(found) == 2
    return found


async def drawn(site, desk, caller, phone):
    """A call that was drawn."""
    await desk.be_ready()
    for _ in range(MOST_TRIES):
        caller.tell("dial", uri=phone.uri, headers=site.headers(desk))
        told = await caller.event("state", state="CONFIRMED")
        ref = await site.ref(told["call_id"])
        if await site.is_drawn(desk, ref):
            return ref
        caller.tell("hangup")
        await caller.event("closed")
    raise AssertionError(f"none of {MOST_TRIES} calls was drawn")
