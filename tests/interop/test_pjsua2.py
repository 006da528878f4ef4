"""pjsua2 through the gateway: sound, hold, 183 with PRACK, UPDATE, session timers; its keys as a yes or a no."""

import asyncio
import re

import pytest
import pytest_asyncio

from demo.correlate import tone_db
from demo.g711 import RATE
from demo.talk import THINK_S
from demo.tones import tone
from tests.peers.certificates import Authority
from tests.peers.loudness import loudness
from tests.peers.pjsua import Pjsua
from tests.peers.running_site import MOST_TRIES, RunningSite, until

pytest.importorskip("pjsua2", reason="`pjsua2-python` is not installed")
pytestmark = pytest.mark.asyncio(loop_scope="module")

HIS, HERS = 500.0, 900.0
PHONE = 80
LOUD, SOFT, QUIET = -13, -36, -60
"""Levels in dB; a caller who speaks softly leaves the question to be heard at the agent's end."""
SPOKEN_S = 1.0
EXPIRES_S = 120


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory):
    async with RunningSite(tmp_path_factory.mktemp("pjsua2"), desks=1) as running:
        yield running


class SecureSite(RunningSite):
    """Both sides listen on TLS alone."""

    def _prepare(self):
        self.authority = Authority(self.folder / "tls")
        file = self.folder / "fairtap.toml"
        text = file.read_text()
        for host in (self.at.gateway_caller, self.at.gateway_agent):
            pair = self.authority.sign(host, host)
            told = f'["tls:{host}:5061"]\ntls_cert = "{pair.certificate}"\ntls_key = "{pair.key}"'
            plain = f'["udp:{host}:5060", "tcp:{host}:5060"]'
            assert plain in text
            text = text.replace(plain, f'{told}\ntls_ca = "{self.authority.ca}"')
        file.write_text(text)


async def test_over_tls_both_hear_each_other_and_hold_and_resume(tmp_path):
    async with SecureSite(tmp_path / "site", desks=1) as site:

        def phone(name, place, user, hertz, **how):
            pair = site.authority.sign(name, place)
            return Pjsua(
                tmp_path / name, place, user, hertz, transport="tls", ca=str(site.authority.ca),
                certificate=(str(pair.certificate), str(pair.key)), **how,
            )  # fmt: skip

        through = f"sip:{site.at.gateway_caller}:5061;transport=tls;lr"
        calling = phone("caller", site.at.pbx, "outside", HIS, through=through)
        async with calling as caller, phone("phone", site.at.phone(PHONE), "101", HERS) as called:
            await connect(caller, called)
            called.tell("hold")
            await caller.event("media", held=True)
            await asyncio.sleep(SPOKEN_S)
            called.tell("resume")
            await caller.event("media", held=False)
            await asyncio.sleep(SPOKEN_S)
            caller.tell("hangup")
            await asyncio.gather(caller.event("closed"), called.event("closed"))
            assert max(loudness(caller.heard()[-RATE:], HERS)) > LOUD
            assert max(loudness(called.heard()[-RATE:], HIS)) > LOUD
        await site.quiet()


def caller_of(site, folder, transport="udp", **how):
    how |= {"transport": transport, "through": f"sip:{site.at.gateway_caller}:5060;transport={transport};lr"}
    return Pjsua(folder / "caller", site.at.pbx, "outside", HIS, **how)


def phone_of(site, folder, transport="udp", **how):
    return Pjsua(folder / "phone", site.at.phone(PHONE), "101", HERS, transport=transport, **how)


async def connect(caller, phone):
    caller.tell("dial", uri=phone.uri)
    await phone.event("incoming")
    phone.tell("answer")
    await asyncio.gather(caller.event("state", state="CONFIRMED"), phone.event("state", state="CONFIRMED"))
    await asyncio.sleep(SPOKEN_S)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("holder", ["caller", "phone"])
async def test_both_hear_each_other_but_not_while_one_holds(site, tmp_path, transport, holder):
    async with caller_of(site, tmp_path, transport) as caller, phone_of(site, tmp_path, transport) as phone:
        await connect(caller, phone)
        end, other = (caller, phone) if holder == "caller" else (phone, caller)
        end.tell("hold")
        await other.event("media", held=True)
        await asyncio.sleep(SPOKEN_S)
        end.tell("resume")
        await other.event("media", held=False)
        await asyncio.sleep(SPOKEN_S)
        other.tell("hangup")
        await asyncio.gather(caller.event("closed"), phone.event("closed"))
        levels = [loudness(caller.heard(), HERS), loudness(phone.heard(), HIS)]
    await site.quiet()
    for heard in levels:
        assert heard[2] > LOUD
        assert max(heard[-4:]) > LOUD
    held = levels[0 if other is caller else 1]
    assert min(held[3:-3]) < QUIET


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_early_media_in_a_183_prack_update_and_session_timers_pass(site, tmp_path, transport):
    how = {"transport": transport, "reliable": True, "expires_s": EXPIRES_S}
    async with caller_of(site, tmp_path, **how) as caller, phone_of(site, tmp_path, **how) as phone:
        caller.tell("dial", uri=phone.uri)
        await phone.event("incoming")
        await caller.event("transaction", method="PRACK", status=200, ours=True)
        await asyncio.sleep(SPOKEN_S)
        assert max(loudness(caller.heard(), HERS)) > LOUD, "nobody has picked up yet"
        phone.tell("answer")
        await asyncio.gather(caller.event("state", state="CONFIRMED"), phone.event("state", state="CONFIRMED"))
        for end, other in ((caller, phone), (phone, caller)):
            end.tell("update")
            await asyncio.gather(
                end.event("transaction", method="UPDATE", status=200, ours=True),
                other.event("transaction", method="UPDATE", status=200, ours=False),
            )
        await asyncio.sleep(SPOKEN_S)
        caller.tell("hangup")
        await asyncio.gather(caller.event("closed"), phone.event("closed"))
        assert max(loudness(caller.heard()[-RATE:], HERS)) > LOUD
        assert max(loudness(phone.heard()[-RATE:], HIS)) > LOUD
        agreed = re.findall(r"^SIP/2\.0 200.*?^Session-Expires: *(\d+)", caller.log(), re.MULTILINE | re.DOTALL)
        assert agreed and {int(seconds) for seconds in agreed} == {EXPIRES_S}
    await site.quiet()


async def test_a_key_after_the_question_is_a_yes_and_both_are_recorded(site, tmp_path):
    desk = site.desks[0]
    async with caller_of(site, tmp_path, level_db=SOFT) as caller:
        agent, ref = await asked(site, desk, caller)
        caller.tell("press", keys="1")
        async with asyncio.timeout(10):
            await desk.light("recording_both")
        await site.tapped(desk, ref)
        await agent.play(tone(HERS, 2)).done.wait()
        caller.tell("hangup")
        await caller.event("closed")
        heard = caller.heard()
    assert (await site.outcome(desk, ref))["outcome"] == "recorded"
    left, right = await site.opened(desk, ref)
    middle = slice(len(left) - round(1.5 * RATE), len(left) - RATE // 2)
    assert tone_db(left[middle], HERS) > LOUD > QUIET > tone_db(left[middle], HIS)
    assert tone_db(right[middle], HIS) > SOFT - 3 > QUIET > tone_db(right[middle], HERS)
    assert max(loudness(heard, HERS)) > LOUD
    assert agent.digits == []


async def test_the_other_key_is_a_no_and_nothing_is_recorded(site, tmp_path):
    desk = site.desks[0]
    async with caller_of(site, tmp_path, level_db=SOFT) as caller:
        agent, ref = await asked(site, desk, caller)
        caller.tell("press", keys="9")

        async def refused() -> bool:
            told = await site.explained(desk, ref)
            return told is not None and told["reasons"] == ["CALLER_REFUSED"]

        await until(refused)
        await agent.hears(tone(HIS, 1))
        caller.tell("hangup")
        await caller.event("closed")
    said = await site.outcome(desk, ref)
    assert (said["outcome"], said["recording"]) == ("not_recorded", None)
    assert "CALLER_REFUSED" in said["reasons"]
    assert all(one["call"] != ref for one in await desk.client.recordings())


async def asked(site, desk, caller):
    """A drawn call of this caller's to the desk, once the question was heard out."""
    for _ in range(MOST_TRIES):
        await desk.be_ready()  # each time: the light of a call that wasn't drawn is off, too
        caller.tell("dial", uri=site.target(desk), headers=site.headers(desk))
        agent = await asyncio.wait_for(desk.phone.incoming.get(), 5)
        agent.answer()
        await caller.event("state", state="CONFIRMED")
        ref = await site.ref(agent.dialog.call_id)
        if await site.is_drawn(desk, ref):
            async with asyncio.timeout(20):
                await agent.hears(site.prompt_end, 0.6)
                await asyncio.sleep(THINK_S)
            return agent, ref
        caller.tell("hangup")
        await caller.event("closed")
        await asyncio.wait_for(agent.ended.wait(), 5)
    raise AssertionError(f"none of {MOST_TRIES} calls was drawn")
