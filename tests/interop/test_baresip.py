"""Two baresips call each other through the gateway, on UDP and TCP, hear each other, hold, resume, hang up."""

import asyncio

import numpy as np
import pytest
import pytest_asyncio

from demo.correlate import tone_db
from demo.g711 import RATE
from tests.peers.baresip import Baresip, build_shim
from tests.peers.running_site import RunningSite, until

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
    length = None

    async def look():
        nonlocal length
        heard = end.heard()
        silent = len(heard) == length or not np.any(np.abs(heard[-RATE // 4 :].astype(int)) > 300)
        length = len(heard)
        return silent

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
