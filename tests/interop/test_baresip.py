"""Two baresips call each other through the gateway, on UDP and TCP: sound, hold, ends; one is recorded."""

import asyncio
import json
import sys

import numpy as np
import pytest
import pytest_asyncio

from api.supervisor import child_environment
from demo.agreement import CONSENT_KEY, QUEUE
from demo.correlate import tone_db
from demo.g711 import RATE
from demo.talk import THINK_S
from gateway.control.protocol import RunningCalls
from tests.peers.baresip import Baresip, build_shim
from tests.peers.heard_out import heard_out
from tests.peers.kamailio import PASSWORD, PBX, Kamailio
from tests.peers.running_site import MOST_TRIES, RunningSite, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

HIS, HERS, THEIRS = 500.0, 900.0, 1400.0
PHONE, CARRIER_PORT = 70, 5090


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


async def hears_on(end, hertz):
    """Wait until an end heard a tone for another second."""
    before = len(end.heard())

    async def look():
        return len(end.heard()) > before + RATE

    await until(look)
    await hears(end, hertz)


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


@pytest_asyncio.fixture(loop_scope="module")
async def pbx(site, program, tmp_path):
    """Kamailio where the PBX is: a registrar that asks for a password, and forks."""
    program("kamcmd")
    place = (site.at.trunk, CARRIER_PORT)
    async with Kamailio(program("kamailio"), tmp_path / "pbx", site.at.pbx, place, "", QUEUE, PBX) as running:
        yield running


@pytest.mark.quiet
async def test_registered_phones_are_forked_to_recorded_and_transfer(site, pbx, program, shim, tmp_path):
    """Digest, Path, forking, CANCEL, the question, a REFER; sound at each end and in the recording, in one call."""
    desk, baresip = site.desks[0], program("baresip")
    await desk.be_ready()
    how = {"registrar": site.at.pbx, "password": PASSWORD, "picks_up": False}
    how["outbound"] = f"sip:{site.at.gateway_agent}:5060;transport=udp"

    def phone(number, name, extension, hertz):
        return Baresip(baresip, shim, tmp_path / name, site.at.phone(PHONE + number), extension, hertz, **how)

    first, second = phone(0, "first", desk.extension, HERS), phone(1, "second", desk.extension, HERS)
    third = phone(2, "third", "199", THEIRS)
    carrier = Baresip(baresip, shim, tmp_path / "carrier", site.at.trunk, "trunk", HIS)
    async with first, second, third, carrier:

        async def all_known() -> bool:
            return (await pbx.command("ul.dump")).count(f"@{site.at.gateway_caller}:5060;lr") == 3

        await until(all_known)
        ref = await drawn(site, desk, carrier, first, second)
        await hears_out(carrier, site.prompt_end)
        await carrier.command("sndcode", CONSENT_KEY)
        async with asyncio.timeout(10):
            await desk.light("recording_both")
        await site.tapped(desk, ref)
        await asyncio.gather(hears_on(carrier, HERS), hears_on(second, HIS))
        await second.command("transfer", f"sip:199@{site.at.pbx}")
        await third.event("CALL_INCOMING")
        await third.command("accept")
        await asyncio.gather(third.event("CALL_ESTABLISHED"), second.event("CALL_CLOSED"))
        assert (await site.outcome(desk, ref))["outcome"].startswith("recorded")
        await asyncio.gather(hears(carrier, THEIRS), hears(third, HIS))
        await third.command("hangup")
        await site.quiet()  # the carrier's event may be that of its first call, and it has a BYE to answer yet
    left, right = await site.opened(desk, ref)
    assert min(len(left), len(right)) > RATE // 2
    for said, mine in ((left, HERS), (right, HIS)):
        loud = said[-RATE // 2 : -RATE // 10]
        assert tone_db(loud, mine) > -13
        assert all(tone_db(loud, other) < -60 for other in {HERS, HIS, THEIRS} - {mine})


async def drawn(site, desk, carrier, first, second):
    """A call of the carrier's that rang at both phones, that the second one took, and that was drawn; its reference."""
    for _ in range(MOST_TRIES):
        await carrier.command("dial", f"sip:{desk.extension}@{site.at.pbx}")
        await asyncio.gather(first.event("CALL_INCOMING"), second.event("CALL_INCOMING"))
        await second.command("accept")
        await asyncio.gather(first.event("CALL_CLOSED"), second.event("CALL_ESTABLISHED"))
        ref = (await site.command(RunningCalls()))["calls"][0]["call"]
        if await site.is_drawn(desk, ref):
            return ref
        await carrier.command("hangup")
        await second.event("CALL_CLOSED")
        await site.quiet()
    raise AssertionError(f"none of {MOST_TRIES} calls was drawn")


async def hears_out(end, prompt):
    """Wait until an end heard the question out, and a moment more."""

    async def look():
        return heard_out(prompt, end.heard())

    await until(look, 20, every=0.2)
    await asyncio.sleep(THINK_S)


async def test_a_test_call_says_what_was_heard_and_the_figures_count_it(site):
    before = (await fairtap(site, "passthrough"))["total"]
    said = await fairtap(site, "testcall")
    assert said["ok"], said
    assert min(said["caller_hears_db"], said["agent_hears_db"]) > -13
    await site.quiet()
    total = (await fairtap(site, "passthrough"))["total"]
    for name in ("calls", "answered", "codec PCMA"):
        assert total[name] == before.get(name, 0) + 1
    assert total.get("silent both", 0) == before.get("silent both", 0)


async def fairtap(site, command):
    """What one command of the shell says."""
    words = ("-m", "api.cli", command, "--config", str(site.folder / "fairtap.toml"), "--json")
    made = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=asyncio.subprocess.PIPE, env=child_environment()
    )
    out, _ = await asyncio.wait_for(made.communicate(), 30)
    assert made.returncode == 0, out
    return json.loads(out)
