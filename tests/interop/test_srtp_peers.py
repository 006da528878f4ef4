"""baresip and pjsua2 that take SRTP only: with each other, and with plain RTP outside; heard, asked, recorded."""

import asyncio
import base64
import re

import pytest
import pytest_asyncio

from demo.correlate import tone_db
from demo.g711 import RATE
from demo.talk import THINK_S
from tests.peers.baresip import Baresip, build_shim
from tests.peers.heard_out import heard_out
from tests.peers.loudness import loudness
from tests.peers.pjsua import Pjsua, drawn
from tests.peers.running_site import RunningSite, until

pytest.importorskip("pjsua2", reason="`pjsua2-python` is not installed")
pytestmark = pytest.mark.asyncio(loop_scope="module")

HIS, HERS = 500.0, 900.0
PHONE = 90
LOUD, SOFT, QUIET = -13, -36, -60
"""Levels in dB; a caller who speaks softly leaves the question to be heard at the agent's end."""


class SecureSite(RunningSite):
    """The PBX may speak plain RTP, one phone takes SRTP only."""

    def _prepare(self):
        file = self.folder / "fairtap.toml"
        text = file.read_text()
        pbx, phone = f'"{self.at.pbx}/32"', f'"{self.at.phone(PHONE)}/32'
        assert pbx in text and "peers = [" in text
        text = text.replace(pbx, f'"{self.at.pbx}/32 downgrade"')
        agents = text.index("peers = [", text.index("[sip.agent_side]")) + len("peers = [")
        file.write_text(f'{text[:agents]}{phone} srtp", {text[agents:]}')


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory, program):
    program("baresip")
    async with SecureSite(tmp_path_factory.mktemp("srtp"), desks=1) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def phone(site, program, tmp_path):
    """A baresip at an agent's desk."""
    shim = build_shim(program("gcc"), tmp_path)
    through = f"sip:{site.at.gateway_agent}:5060;lr"
    place = site.at.phone(PHONE)
    async with Baresip(
        program("baresip"), shim, tmp_path / "phone", place, "101", HERS, outbound=through, srtp=True
    ) as made:
        yield made


def outside(site, folder, **how):
    through = f"sip:{site.at.gateway_caller}:5060;lr"
    return Pjsua(folder / "outside", site.at.pbx, "outside", HIS, through=through, level_db=SOFT, **how)


@pytest.mark.quiet
@pytest.mark.parametrize("srtp", [True, False], ids=["through", "ended"])
async def test_a_phone_that_takes_srtp_only_is_asked_for_heard_and_recorded(site, phone, tmp_path, srtp):
    """Its caller speaks SRTP to it through us, or plain RTP to us."""
    desk = site.desks[0]
    async with outside(site, tmp_path, srtp=srtp) as caller:
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
        keys = set(re.findall(rb"a=crypto:\S+ \S+ inline:(\S{40})", (caller.folder / "log").read_bytes()))
        assert (len(keys) >= 2) == srtp
        files = [file.read_bytes() for file in site.folder.rglob("*") if file.is_file()]
        assert not [1 for data in files for key in keys if key in data or base64.b64decode(key) in data]
        caller.tell("hangup")
        await caller.event("closed")
        heard = caller.heard()
    assert (await site.outcome(desk, ref))["outcome"] == "recorded"
    left, right = await site.opened(desk, ref)
    middle = slice(len(left) - round(1.5 * RATE), len(left) - RATE // 2)
    assert tone_db(left[middle], HERS) > LOUD > QUIET > tone_db(left[middle], HIS)
    assert tone_db(right[middle], HIS) > SOFT - 3 > QUIET > tone_db(right[middle], HERS)
    assert tone_db(heard[-RATE:], HERS) > LOUD

    async def heard_him() -> bool:
        """The phone writes what it heard when its own end of the call is over."""
        return max(loudness(phone.heard(), HIS)[-4:], default=QUIET) > SOFT - 3

    await until(heard_him, every=0.1)


async def test_it_calls_a_plain_trunk_too_and_holds_and_resumes(site, phone, tmp_path):
    async with outside(site, tmp_path) as called:

        async def hears(end, hertz, level):
            async def last():
                heard = end.heard()[-RATE // 2 :]
                return len(heard) == RATE // 2 and tone_db(heard, hertz) > level

            await until(last, every=0.1)

        await phone.command("dial", called.uri)
        await called.event("incoming")
        called.tell("answer")
        await called.event("state", state="CONFIRMED")
        await asyncio.gather(hears(called, HERS, LOUD), hears(phone, HIS, SOFT - 3))
        await phone.command("hold")
        await called.event("media", held=True)
        await phone.command("resume")
        await called.event("media", held=False)
        before = len(called.heard())
        await until(lambda: grown(called, before), every=0.1)
        await asyncio.gather(hears(called, HERS, LOUD), hears(phone, HIS, SOFT - 3))
        await phone.command("hangup")
        await called.event("closed")
    await site.quiet()


async def grown(end, before):
    return len(end.heard()) > before + RATE
