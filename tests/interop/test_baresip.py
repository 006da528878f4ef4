"""Two baresips call each other through the gateway, on UDP and TCP: sound, hold, ends; one is recorded."""

import asyncio
import json
import sys

import numpy as np
import pytest
import pytest_asyncio

from api.supervisor import child_environment
from demo.correlate import tone_db
from demo.g711 import RATE
from demo.tones import tone
from tests.peers.baresip import Baresip, build_shim
from tests.peers.running_site import MOST_TRIES, RunningSite, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

HIS, HERS = 500.0, 900.0
PHONE = 70


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory, program):
    program("baresip")
    async with RunningSite(tmp_path_factory.mktemp("baresip"), desks=1) as running:
        yield running


@pytest.fixture(scope="module")
def shim(tmp_path_factory, program):
    return build_shim(program("gcc"), tmp_path_factory.mktemp("shim"))


@pytest_asyncio.fixture(loop_scope="module")
async def agent_phone(site, program, shim, tmp_path):
    """A phone at an agent's desk."""
    place = site.at.phone(PHONE)
    async with Baresip(program("baresip"), shim, tmp_path / "phone", place, "101", HERS) as phone:
        yield phone


@pytest_asyncio.fixture(loop_scope="module", params=["udp", "tcp"])
async def pair(request, site, program, shim, tmp_path):
    """A caller where the PBX is and an agent's phone, connected by a call."""
    transport, baresip = request.param, program("baresip")
    through = f"sip:{site.at.gateway_caller}:5060;transport={transport}"
    place, outside = site.at.phone(PHONE), site.at.pbx
    called = Baresip(baresip, shim, tmp_path / "phone", place, "101", HERS, transport=transport)
    calling = Baresip(
        baresip, shim, tmp_path / "caller", outside, "outside", HIS, transport=transport, outbound=through
    )
    async with called as phone, calling as caller:
        await caller.command("dial", phone.uri)
        await asyncio.gather(caller.event("CALL_ESTABLISHED"), phone.event("CALL_ESTABLISHED"))
        yield caller, phone


async def hears(end, hertz, seconds=0.5):
    """Wait until the last half second that an end heard was a tone."""

    async def look():
        heard = end.heard()[-round(seconds * RATE) :]
        return len(heard) == round(seconds * RATE) and tone_db(heard, hertz) > -13

    await until(look)


async def hears_nothing(end):
    """Wait until an end hears silence, or nothing more."""
    lengths = [-1]

    async def look():
        heard = end.heard()
        lengths.append(len(heard))
        return lengths[-1] == lengths[-2] or np.abs(heard[-RATE // 4 :].astype(int)).max() < 300

    await until(look, every=0.3)


async def test_they_hear_each_other_and_the_caller_hangs_up(site, pair):
    caller, phone = pair
    await asyncio.gather(hears(caller, HERS), hears(phone, HIS))
    await caller.command("hangup")
    await phone.event("CALL_CLOSED")
    await site.quiet()


@pytest.mark.parametrize("holder", ["caller", "phone"])
async def test_either_end_holds_and_resumes_and_the_called_one_hangs_up(site, pair, holder):
    caller, phone = pair
    await asyncio.gather(hears(caller, HERS), hears(phone, HIS))
    end, other = (caller, phone) if holder == "caller" else (phone, caller)
    await end.command("hold")
    await hears_nothing(other)
    await end.command("resume")
    await asyncio.gather(hears(caller, HERS), hears(phone, HIS))
    await phone.command("hangup")
    await caller.event("CALL_CLOSED")
    await site.quiet()


async def test_what_is_said_over_a_baresip_is_recorded(site, agent_phone):
    desk = site.desks[0]
    await desk.be_ready()
    call, ref = await drawn(site, desk, agent_phone)
    await site.agree(desk, call, ref)
    await call.play(tone(HIS, 2)).done.wait()
    assert tone_db(call.heard[-RATE:], HERS) > -13
    await agent_phone.command("hangup")
    await asyncio.wait_for(call.ended.wait(), 5)
    assert (await site.outcome(desk, ref))["outcome"] == "recorded"
    left, right = await site.opened(desk, ref)
    loud = slice(len(left) - 2 * RATE, len(left) - RATE)
    assert tone_db(left[loud], HERS) > -13 > -60 > tone_db(left[loud], HIS)
    assert tone_db(right[loud], HIS) > -13 > -60 > tone_db(right[loud], HERS)


async def drawn(site, desk, phone):
    """A call of the demo's caller that this phone answered and that was drawn."""
    for _ in range(MOST_TRIES):
        call = await site.caller.call(phone.uri, via=site.gateway, headers=site.headers(desk))
        await asyncio.wait_for(call.answered, 5)
        ref = await site.ref(call.dialog.call_id)
        if await site.is_drawn(desk, ref):
            return call, ref
        await call.bye()
        await phone.event("CALL_CLOSED")
    raise AssertionError(f"none of {MOST_TRIES} calls was drawn")


async def test_a_test_call_says_what_was_heard(site):
    words = ("-m", "api.cli", "testcall", "--config", str(site.folder / "fairtap.toml"), "--json")
    made = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=asyncio.subprocess.PIPE, env=child_environment()
    )
    out, _ = await asyncio.wait_for(made.communicate(), 30)
    said = json.loads(out)
    assert made.returncode == 0 and said["ok"], said
    assert min(said["caller_hears_db"], said["agent_hears_db"]) > -13
    await site.quiet()
