"""Kamailio with its rtpengine module drives the ng control port, with the configuration that is in `deploy/`."""

import asyncio
import os
import secrets
import signal
import time

import pytest
import pytest_asyncio

from demo.agreement import QUEUE
from demo.correlate import tone_db
from demo.g711 import RATE
from demo.house import find_addresses
from demo.phone import Phone
from demo.tones import tone
from tests.peers.kamailio import CONFIGURATION, PBX, Kamailio
from tests.peers.running_site import CONNECT_S, MOST_TRIES, RunningSite, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

HIS, HERS = 500.0, 900.0
CARRIER_PORT, NG_PORT = 5090, 2223


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory, program):
    program("kamailio")
    program("kamcmd")
    at = find_addresses()
    settings = f'[ng]\nlisten = ["udp:{at.gateway_caller}:{NG_PORT}"]\n'
    async with RunningSite(tmp_path_factory.mktemp("ng"), desks=1, at=at, settings=settings) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kamailio(site, program, tmp_path_factory):
    place, relay = site.at.pbx, f"{site.at.gateway_caller}:{NG_PORT}"
    folder = tmp_path_factory.mktemp("kamailio")
    async with Kamailio(program("kamailio"), folder, place, (site.at.trunk, CARRIER_PORT), relay, QUEUE) as running:
        await until(running.relay_enabled)
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def carrier(site):
    async with Phone((site.at.trunk, CARRIER_PORT), user="trunk") as phone:
        yield phone


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(site, kamailio):
    """Nobody is asked on its calls, so that tones and keys are the callers' alone."""
    one = site.desks[0]
    await one.phone.register(kamailio.uri, via=kamailio.address)
    await one.client.black_out(True)
    return one


@pytest_asyncio.fixture(loop_scope="module")
async def ready_desk(desk):
    await desk.client.black_out(False)
    await desk.be_ready()
    yield desk
    await desk.client.black_out(True)


async def ring(site, kamailio, carrier, desk, **how):
    """An INVITE of the carrier's that has arrived at the desk: caller's end, agent's end."""
    number = f"sip:4930231255{secrets.randbelow(100):02d}@{site.at.trunk}"
    made = await carrier.call(f"sip:{desk.extension}@{kamailio.address[0]}", via=kamailio.address, caller=number, **how)
    return made, await arrived(desk, made)


async def arrived(desk, made):
    """The agent's end of a call; what rings late of an earlier one is left alone."""
    async with asyncio.timeout(CONNECT_S):
        while (taken := await desk.phone.incoming.get()).dialog.call_id != made.dialog.call_id:
            await taken.close()
    return taken


async def call(site, kamailio, carrier, desk, **how):
    made, taken = await ring(site, kamailio, carrier, desk, **how)
    taken.answer()
    async with asyncio.timeout(CONNECT_S):
        await asyncio.gather(made.answered, taken.answered)
    return made, taken


async def hang_up(made, taken):
    await made.bye()
    await asyncio.wait_for(taken.ended.wait(), CONNECT_S)


async def hears(end, hertz):
    """From now on, half a second of a tone; a machine that stands still a while lets none slip by."""
    at = max(len(end.heard) - RATE // 2, 0)

    async def look():
        nonlocal at
        while len(end.heard) >= at + RATE // 2:
            if tone_db(end.heard[at : at + RATE // 2], hertz) > -13:
                return True
            at += RATE // 8
        return False

    await until(look)


async def both_hear(made, taken, seconds=3.0):
    """Until both hear the other's tone; what the caller plays goes on for so many seconds in all."""
    playing = made.play(tone(HIS, seconds))
    taken.play(tone(HERS, seconds))
    await asyncio.gather(hears(made, HERS), hears(taken, HIS))
    return playing


async def drawn(site, kamailio, carrier, desk):
    for _ in range(MOST_TRIES):
        made, taken = await call(site, kamailio, carrier, desk)
        ref = await site.ref(made.dialog.call_id)
        if await site.is_drawn(desk, ref):
            return made, taken, ref
        await hang_up(made, taken)
    raise AssertionError(f"none of {MOST_TRIES} calls was drawn")


async def test_a_call_through_kamailio_is_relayed_asked_and_recorded(site, kamailio, carrier, ready_desk):
    desk = ready_desk
    made, taken, ref = await drawn(site, kamailio, carrier, desk)
    await site.agree(desk, made, ref)
    await (await both_hear(made, taken)).done.wait()
    await hang_up(made, taken)
    assert (await site.outcome(desk, ref))["outcome"] == "recorded"
    agent, caller = await site.opened(desk, ref)
    said = slice(len(agent) - RATE // 2, len(agent) - RATE // 10)
    assert tone_db(agent[said], HERS) > -13 > -60 > tone_db(agent[said], HIS)
    assert tone_db(caller[said], HIS) > -13 > -60 > tone_db(caller[said], HERS)
    await site.quiet()


async def test_hold_and_resume(site, kamailio, carrier, desk):
    made, taken = await call(site, kamailio, carrier, desk)
    await both_hear(made, taken)
    await taken.hold()
    await taken.resume()
    await both_hear(made, taken)
    await hang_up(made, taken)
    await site.quiet()


async def test_early_media_is_relayed(site, kamailio, carrier, desk):
    made, taken = await ring(site, kamailio, carrier, desk)
    taken.speak_early()
    taken.play(tone(HERS, 3.0))
    await hears(made, HERS)
    taken.answer()
    await asyncio.wait_for(made.answered, CONNECT_S)
    await both_hear(made, taken)
    await hang_up(made, taken)
    await site.quiet()


async def test_a_delayed_offer(site, kamailio, carrier, desk):
    made, taken = await call(site, kamailio, carrier, desk, delayed_offer=True)
    await both_hear(made, taken)
    assert (await site.explained(desk, await site.ref(made.dialog.call_id))) is not None
    await hang_up(made, taken)
    await site.quiet()


async def test_a_forked_call_goes_to_whoever_answers(site, kamailio, carrier, desk):
    second = (site.at.phone(50), 5060)
    async with Phone(second, user=desk.extension) as other:
        await other.register(kamailio.uri, via=kamailio.address)
        made, first = await ring(site, kamailio, carrier, desk)
        taken = await asyncio.wait_for(other.incoming.get(), CONNECT_S)
        first.speak_early()
        taken.ring()
        taken.answer()
        await asyncio.wait_for(made.answered, CONNECT_S)
        await asyncio.wait_for(first.ended.wait(), CONNECT_S)
        await both_hear(made, taken)
        await hang_up(made, taken)
        await other.register(kamailio.uri, via=kamailio.address, expires=0)
    await site.quiet()


async def test_a_cancelled_call_leaves_nothing(site, kamailio, carrier, desk):
    made, taken = await ring(site, kamailio, carrier, desk)
    taken.ring()
    await asyncio.wait_for(made.ringing.wait(), CONNECT_S)
    await made.cancel()
    await asyncio.wait_for(taken.ended.wait(), CONNECT_S)
    await site.quiet()


async def test_a_refused_call_leaves_nothing(site, kamailio, carrier, desk):
    made, taken = await ring(site, kamailio, carrier, desk)
    taken.refuse(486)
    with pytest.raises(Exception, match="486"):
        await asyncio.wait_for(made.answered, CONNECT_S)
    await site.quiet()


async def test_keys_reach_the_agent(site, kamailio, carrier, desk):
    made, taken = await call(site, kamailio, carrier, desk)
    await both_hear(made, taken)
    made.press("42")
    await asyncio.wait_for(taken.hears_keys("42"), CONNECT_S)
    await hang_up(made, taken)
    await site.quiet()


async def test_a_call_out_reaches_the_carrier(site, kamailio, carrier, desk):
    made = await desk.phone.call(
        f"sip:4940111@{kamailio.address[0]}", via=kamailio.address, caller=f"sip:{desk.extension}@{kamailio.address[0]}"
    )
    taken = await asyncio.wait_for(carrier.incoming.get(), CONNECT_S)
    taken.answer()
    await asyncio.wait_for(made.answered, CONNECT_S)
    await both_hear(taken, made)
    assert (await site.explained(desk, await site.ref(made.dialog.call_id))) is not None
    await hang_up(made, taken)
    await site.quiet()


async def test_inline_calls_go_around_us_within_five_seconds_and_through_us_again(
    site, carrier, desk, program, tmp_path
):
    folder = tmp_path / "bypass"
    folder.mkdir()
    inline, place = f"{site.at.gateway_caller}:5060", (site.at.trunk, CARRIER_PORT)
    async with Kamailio(
        program("kamailio"), folder, site.at.pbx, place, "", QUEUE, PBX, bypassed=inline, port=5062
    ) as pbx:

        async def call_up() -> tuple[str, float]:
            """A call to the phone's own address: whose media address the carrier was told, and how long that took."""
            began = time.monotonic()
            made = await carrier.call(f"sip:{desk.phone.address[0]}:5060", via=pbx.address)
            taken = await arrived(desk, made)
            taken.answer()
            await asyncio.wait_for(made.answered, CONNECT_S)
            took = time.monotonic() - began
            await both_hear(made, taken)
            await hang_up(made, taken)
            return made.remote_terms.host, took

        async def by_us() -> bool:
            return (await call_up())[0] == site.at.gateway_caller

        await until(by_us)
        gateway = site.processes["gateway"]
        os.kill(gateway, signal.SIGSTOP)
        try:
            first, second = await call_up(), await call_up()
        finally:
            os.kill(gateway, signal.SIGCONT)
        assert first[0] == second[0] == desk.phone.address[0]
        assert first[1] < 5
        assert second[1] < 0.5, "known to be away by now"
        await until(by_us)


@pytest.mark.quiet
async def test_the_bypass_fits_into_a_configuration_as_its_head_says(program, tmp_path):
    (tmp_path / "kamailio-bypass.cfg").write_text(CONFIGURATION.with_name("kamailio-bypass.cfg").read_text())
    own = tmp_path / "kamailio.cfg"
    own.write_text(
        'loadmodule "tm.so"\nloadmodule "pv.so"\ninclude_file "kamailio-bypass.cfg"\n'
        "request_route {\n    route(BY_FAIRTAP);\n    t_relay();\n}\n"
    )
    check = await asyncio.create_subprocess_exec(
        program("kamailio"), "-c", "-f", own, "-l", "udp:127.0.0.1:5060",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await check.communicate()
    assert check.returncode == 0, said.decode()


async def test_kamailio_uses_us_again_soon_after_a_restart_under_load_and_never_hangs(site, kamailio, carrier, desk):
    """A gateway that hangs is given up, calls go on without it; once another runs they go through it again."""
    running = await call(site, kamailio, carrier, desk)
    await both_hear(*running)
    old = site.processes["gateway"]
    took: list[float] = []
    without_us = asyncio.Event()

    async def load():
        while True:
            made, taken = await call(site, kamailio, carrier, desk)
            if made.remote_terms.host == desk.phone.address[0]:
                without_us.set()
            await hang_up(made, taken)

    async def probe():
        while True:
            began = time.monotonic()
            await carrier.ask("OPTIONS", f"sip:{kamailio.address[0]}", via=kamailio.address)
            took.append(time.monotonic() - began)
            await asyncio.sleep(0.05)

    async def serving():
        try:
            return await site.status()
        except OSError:
            return None

    os.kill(old, signal.SIGSTOP)
    working = [asyncio.create_task(probe()), asyncio.create_task(load())]
    await asyncio.wait_for(without_us.wait(), CONNECT_S)
    assert not await kamailio.relay_enabled()
    os.kill(old, signal.SIGKILL)
    await site.restarted("gateway", old)
    await until(serving)
    began = time.monotonic()
    await until(kamailio.relay_enabled, 10)
    assert time.monotonic() - began < 5
    for task in working:
        task.cancel()
    ended = await asyncio.gather(*working, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended
    assert max(took) < 0.2
    await both_hear(*running)
    await hang_up(*running)

    async def by_us():
        made, taken = await call(site, kamailio, carrier, desk)
        await both_hear(made, taken)
        await hang_up(made, taken)
        return made.remote_terms.host == site.at.gateway_caller

    await until(by_us)
