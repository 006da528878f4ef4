"""baresip and pjsua2 that speak G.722 to each other, two baresips that speak Opus: heard, asked and recorded in it."""

import asyncio

import numpy as np
import pytest
import pytest_asyncio

from api.listen import SideFile, open_side
from demo.agreement import CONSENT_KEY, QUEUE
from demo.correlate import tone_db
from demo.g711 import RATE
from demo.talk import THINK_S
from gateway.control.protocol import RunningCalls
from tests.peers.baresip import Baresip, build_shim
from tests.peers.heard_out import heard_out
from tests.peers.kamailio import PASSWORD, PBX, Kamailio
from tests.peers.loudness import loudness
from tests.peers.pjsua import Pjsua, drawn
from tests.peers.running_site import MOST_TRIES, RunningSite, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

HIS, HERS = 500.0, 900.0
PHONE, CARRIER_PORT = 95, 5090
OPUS = "opus/48000/2"
LOUD, SOFT, QUIET = -13, -36, -50


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory, program):
    program("baresip")
    async with RunningSite(tmp_path_factory.mktemp("wideband"), desks=1) as running:
        yield running


async def test_a_call_in_g722_is_heard_asked_and_recorded(site, program, tmp_path):
    pytest.importorskip("pjsua2", reason="`pjsua2-python` is not installed")
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
    await both_are_kept(site, desk, ref, 16_000, SOFT - 3)
    assert tone_db(heard[-RATE:], HERS) > LOUD
    assert loudest(theirs, HIS) > SOFT - 3


async def test_a_call_in_opus_is_heard_asked_and_recorded(site, program, tmp_path):
    """The caller's call comes from a PBX, where the phone is registered through us."""
    desk, shim, baresip = site.desks[0], build_shim(program("gcc"), tmp_path), program("baresip")
    carrier = (site.at.trunk, CARRIER_PORT)
    pbx = Kamailio(program("kamailio"), tmp_path / "pbx", site.at.pbx, carrier, "", QUEUE, PBX)
    how = {"registrar": site.at.pbx, "password": PASSWORD, "codec": OPUS}
    how["outbound"] = f"sip:{site.at.gateway_agent}:5060;transport=udp"
    phone = Baresip(baresip, shim, tmp_path / "phone", site.at.phone(PHONE), desk.extension, HERS, **how)
    caller = Baresip(baresip, shim, tmp_path / "caller", site.at.trunk, "trunk", HIS, codec=OPUS)
    async with pbx, phone, caller:
        await until(lambda: registered(site, pbx))
        ref = await drawn_by_number(site, desk, caller, phone)

        async def asked():
            return heard_out(site.prompt_end, caller.heard())

        await until(asked, 20, every=0.25)
        await asyncio.sleep(THINK_S)
        await caller.command("sndcode", CONSENT_KEY)
        async with asyncio.timeout(10):
            await desk.light("recording_both")
        await site.tapped(desk, ref)
        await asyncio.sleep(2)
        await caller.command("hangup")
        await phone.event("CALL_CLOSED")
        heard, theirs = caller.heard(), phone.heard()
    assert (await site.outcome(desk, ref))["outcome"] == "recorded"
    await both_are_kept(site, desk, ref, 48_000, LOUD)
    assert loudest(heard, HERS) > LOUD
    assert loudest(theirs, HIS) > LOUD


async def registered(site, pbx):
    return f"@{site.at.gateway_caller}:5060;lr" in await pbx.command("ul.dump")


async def both_are_kept(site, desk, ref, rate, softest):
    """Each side holds its own tone, in what the codec was, and not the other's."""
    for found, side, mine, other, level in await sides(site, desk, ref, softest):
        assert found == rate
        narrow = side[-round(1.5 * rate) : -rate // 2 : rate // RATE]
        assert tone_db(narrow, mine) > level > QUIET > tone_db(narrow, other)


def loudest(heard, hertz):
    """Of the last second: a phone's own dump may end with a gap."""
    return max(loudness(heard[-RATE:], hertz))


async def sides(site, desk, ref, softest):
    """Rate, samples and tones of each side, as its owner opens it."""
    recording = next(one for one in await desk.client.recordings() if one["call"] == ref)
    found = []
    for one in recording["sides"]:
        data = await desk.client.fetch(recording["id"], one["side"], one["seg"])
        opened = open_side(SideFile(one["side"], one["seg"], data), [desk.keys.keys.identity])
        agents = one["side"] == "agent"
        mine, other, level = (HERS, HIS, LOUD) if agents else (HIS, HERS, softest)
        found.append((opened.rate, np.asarray(opened.samples), mine, other, level))
    assert len(found) == 2
    return found


async def drawn_by_number(site, desk, caller, phone):
    """A call that was drawn, of a phone that is told no more than a number."""
    await desk.be_ready()
    for _ in range(MOST_TRIES):
        await caller.command("dial", f"sip:{desk.extension}@{site.at.pbx}")
        await asyncio.gather(caller.event("CALL_ESTABLISHED"), phone.event("CALL_ESTABLISHED"))
        ref = (await site.command(RunningCalls()))["calls"][0]["call"]
        if await site.is_drawn(desk, ref):
            return ref
        await caller.command("hangup")
        await phone.event("CALL_CLOSED")
        await site.quiet()
    raise AssertionError(f"none of {MOST_TRIES} calls was drawn")
