"""Between carrier and PBX, `fairtap link` says who is on a call: who it is handed over to has a leg of their own.

The PBX is a scripted manager interface or event socket, and the other end of a real call through the gateway; which
agent's voice it lets through is told by the tone. A leg that isn't drawn is handed on, until a colleague's is.
"""

import asyncio
import sys
from contextlib import asynccontextmanager

import pytest

from api.supervisor import child_environment
from demo.agreement import QUEUE
from demo.correlate import find, tone_db
from demo.g711 import RATE
from demo.tones import tone
from gateway.media.prompts.sounds import Catalogue
from tests.peers.loudness import loudness
from tests.peers.running_site import CONNECT_S, MOST_TRIES, RunningSite, Talk, until
from tests.peers.scripted_pbx import EventSocket, Manager

pytestmark = pytest.mark.timeout(240)

CALLER_HZ = 440
VOICES_HZ = (620, 810, 1010, 1230, 1470, 1690)
"""Of the agents."""
SPOKEN_S = 2.0
LOUD, QUIET = -15, -36
"""In dB, in a quarter of a second: a voice's onset beside three lost packets of it reaches -40 at the frequencies of
others, one packet of another voice -30."""
NOTICE = "notice-en-1"


async def started(*words):
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api.cli", *words, stdout=asyncio.subprocess.PIPE, env=child_environment()
    )


@asynccontextmanager
async def linked(site, pbx):
    """`fairtap link` between this PBX and the site, as an administrator starts it."""
    making = await started(
        *("token", "create", "--role", "pbx", "--label", "link", "--config", str(site.folder / "fairtap.toml"))
    )
    token, _ = await making.communicate()
    token_file, secret_file = site.folder / "pbx.token", site.folder / "pbx.secret"
    token_file.write_bytes(token)
    secret_file.write_text(pbx.secret)
    await pbx.open(site.at.pbx)
    user = ("--user", "fairtap") if pbx.kind == "asterisk" else ()
    running = await started(
        *("link", pbx.kind, "--trunk", "fairtap", "--host", site.at.pbx, "--port", str(pbx.port), *user),
        *("--secret-file", str(secret_file), "--token-file", str(token_file)),
        *("--api", site.at.base_url, "--queue", QUEUE),
    )
    try:
        async with asyncio.timeout(CONNECT_S):
            await pbx.connected.wait()
        yield
    finally:
        running.terminate()
        await running.wait()
        pbx.close()


def speak(end, hertz):
    end.line.hush()
    end.play(tone(hertz, 60))


async def recorded_with_the_first(site, pbx) -> Talk:
    """A call that the PBX connected to the first desk, that was drawn, and whose caller said yes to our question."""
    desk = site.desks[0]
    for _ in range(MOST_TRIES):
        for one in site.desks:
            await one.be_ready()
        made, taken = await site.dial(desk)
        taken.answer()
        async with asyncio.timeout(CONNECT_S):
            await asyncio.gather(made.answered, taken.answered)
        pbx.connect(made.dialog.call_id, desk.extension)
        talk = Talk(desk, made, taken, await site.ref(made.dialog.call_id))
        if await site.is_drawn(desk, talk.ref):
            await site.agree(desk, made, talk.ref)
            speak(made, CALLER_HZ)
            speak(taken, VOICES_HZ[0])
            await asyncio.sleep(SPOKEN_S)
            return talk
        await ended(site, pbx, talk)
    raise AssertionError("no call was drawn")


async def hand_over(site, pbx, talk, giver, taker):
    """The PBX hands the call over; once the giver's leg is over, the next agent speaks."""
    talk.agent.line.hush()
    pbx.transfer(taker.extension)

    async def over():
        return (await site.explained(giver, talk.ref))["outcome"] != "recording"

    await until(over)
    speak(talk.agent, VOICES_HZ[site.desks.index(taker)])


async def ended(site, pbx, talk):
    pbx.hang_up()
    await talk.hang_up()
    await site.quiet()


async def recorded_with_two(site, pbx):
    """A call that went on from desk to desk until a second one's leg was drawn; all desks it was at, in order.

    It is over, and a second desk was recorded for as long as the first.
    """
    notice = Catalogue().samples(NOTICE)[:RATE]
    for _ in range(MOST_TRIES):
        talk = await recorded_with_the_first(site, pbx)
        for giver, taker in zip(site.desks, site.desks[1:], strict=False):
            before = len(talk.caller.heard)
            await hand_over(site, pbx, talk, giver, taker)
            if await site.is_drawn(taker, talk.ref):
                async with asyncio.timeout(30):
                    await taker.light("recording_both")
                await site.tapped(taker, talk.ref)
                since = talk.caller.heard[before:]
                assert find(notice, since).strength > 0.7, "the notice is played again"
                assert find(site.prompt_end, since).strength < 0.5, "nobody asks again"
                await asyncio.sleep(SPOKEN_S)
                heard = talk.caller.heard[-RATE // 2 :], talk.agent.heard[-RATE // 2 :]
                assert tone_db(heard[0], VOICES_HZ[site.desks.index(taker)]) > LOUD
                assert tone_db(heard[1], CALLER_HZ) > LOUD
                await ended(site, pbx, talk)
                return talk.ref, site.desks[: site.desks.index(taker) + 1]
        await ended(site, pbx, talk)
    raise AssertionError("no second leg was drawn")


@pytest.mark.parametrize("make", [Manager, EventSocket], ids=["asterisk", "freeswitch"])
async def test_whoever_a_call_is_handed_to_has_a_leg_a_draw_and_a_recording_of_their_own(tmp_path, make):
    async with RunningSite(tmp_path, desks=len(VOICES_HZ), placement="trunk") as site:
        pbx = make()
        async with linked(site, pbx):
            ref, (first, *between, last) = await recorded_with_two(site, pbx)
            said = {desk.extension: await site.outcome(desk, ref) for desk in (first, *between, last)}
        assert said[first.extension]["outcome"] == "recorded (cut)"
        assert said[first.extension]["reasons"] == ["PARTY_UNKNOWN"]
        assert said[last.extension]["outcome"] == "recorded"
        assert all(said[desk.extension]["outcome"] == "not_recorded" for desk in between)
        for desk in site.desks:
            kept = [one for one in await desk.client.recordings() if one["call"] == ref]
            assert len(kept) == (desk in (first, last)), "each agent has theirs, and nobody else's"
        for desk in (first, last):
            agent, caller = await site.opened(desk, ref)
            voice = VOICES_HZ[site.desks.index(desk)]
            assert min(len(agent), len(caller)) > SPOKEN_S * RATE / 2
            middle = slice(-round(1.5 * RATE), -round(0.7 * RATE))
            assert tone_db(agent[middle], voice) > LOUD
            assert tone_db(caller[middle], CALLER_HZ) > LOUD
            for side, foreign in ((agent, {*VOICES_HZ, CALLER_HZ} - {voice}), (caller, set(VOICES_HZ))):
                levels = {hertz: max(loudness(side, hertz)) for hertz in foreign}
                assert max(levels.values()) < QUIET, levels
