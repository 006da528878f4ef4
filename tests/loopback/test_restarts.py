"""kill -9 and SIGTERM of each process while calls run, measured frame by frame at the phones."""

import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest

from demo.agreement import CONSENT_KEY
from demo.phone import Refused
from demo.talk import THINK_S
from tests.peers.kept import Kept, moment
from tests.peers.rtp_meter import Measured, RtpMeter
from tests.peers.running_site import RunningSite, Talk, until

pytestmark = [pytest.mark.timeout(120), pytest.mark.quiet]
DESKS = 8
CALLS = 20
GAP_S = 0.040
CHUNK = 65536
DRAIN_S = 5
"""As the demo's configuration says."""


async def begin(site: RunningSite, count: int) -> tuple[list[Talk], list[Talk]]:
    """So many calls that stand, and those of them that are recorded: all that were drawn."""
    agreeing: list[asyncio.Task[bool]] = []
    talks = []
    for number in range(count):
        talk = await site.call(site.desks[number % len(site.desks)])
        talks.append(talk)
        agreeing.append(asyncio.create_task(agree(site, talk)))
    recorded = [talk for talk, yes in zip(talks, await asyncio.gather(*agreeing), strict=True) if yes]
    return talks, recorded


async def agree(site: RunningSite, talk: Talk) -> bool:
    """Say yes if this caller is asked; whether the tap opened then."""
    if not await site.is_drawn(talk.desk, talk.ref):
        return False
    async with asyncio.timeout(30):
        await talk.caller.hears(site.prompt_end)
        await asyncio.sleep(THINK_S)
    talk.caller.press(CONSENT_KEY, ms=120)
    await site.tapped(talk.desk, talk.ref)
    return True


async def recorded_calls(site: RunningSite, least: int) -> list[Talk]:
    """At least so many calls that are being recorded; those that aren't are hung up."""
    kept: list[Talk] = []
    for _ in range(8):
        talks, recorded = await begin(site, 4)
        kept += recorded
        for talk in talks:
            if talk not in recorded:
                await talk.hang_up()
        if len(kept) >= least:
            return kept
    raise AssertionError("the draw hit nobody")


def lines(talks: list[Talk]):
    return [call.line for talk in talks for call in (talk.caller, talk.agent)]


def worst(measured: Measured, calls: range, since: float, until: float) -> dict[int, list[float]]:
    """Gaps over 40 ms in milliseconds, by flow."""
    flows = [flow for call in calls for flow in (2 * call, 2 * call + 1)]
    found = {flow: measured.gaps(flow, since, until, GAP_S) for flow in flows}
    return {flow: [round(gap.seconds * 1000, 1) for gap in gaps] for flow, gaps in found.items() if gaps}


async def recording_of(talk: Talk) -> dict:
    """The API's view of a call's recording, once it has ended."""

    async def ended() -> dict | None:
        items = await talk.desk.client.recordings()
        found = next((one for one in items if one["call"] == talk.ref), None)
        return found if found is not None and found["state"] != "open" else None

    return await until(ended, 20)


def check_whole(site: RunningSite, talk: Talk, recording: dict, end: str) -> None:
    """Both sides: a signed manifest that says how it ended, and an age file that opens as a whole."""
    kept = Kept(site.data, recording["id"])
    for side in ("agent", "caller"):
        manifest = kept.manifest(side)
        assert manifest["end"] == end
        plain, whole = kept.opened(side, talk.desk.keys.identity_file)
        assert whole
        assert plain.startswith(b"RIFF")
        assert -(-len(plain) // CHUNK) == manifest["payload"]["chunks"]


async def id_of(talk: Talk) -> str:
    """The recording that a call is being recorded into."""
    return next(one["id"] for one in await talk.desk.client.recordings() if one["call"] == talk.ref)


def supervisor(child: int) -> int:
    """The parent of a process."""
    return int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])


async def chunks_written(site: RunningSite, talks: list[Talk]) -> bool:
    """Whether a whole chunk of either side of each is on disk."""
    kept = [Kept(site.data, await id_of(talk)) for talk in talks]
    return all(sum(path.stat().st_size > CHUNK for path in one.files) == 2 for one in kept)


async def count_recordings(site: RunningSite) -> int:
    return sum([len(await desk.client.recordings()) for desk in site.desks])


async def running(site: RunningSite, calls: int) -> None:
    """Wait until the gateway answers again and has its calls."""

    async def back() -> bool | None:
        try:
            status = await site.status()
        except OSError:
            return None
        return status["calls"] == calls and status["workers"] >= 1

    await until(back, 15)


async def test_a_killed_gateway_costs_no_frame_of_twenty_calls(tmp_path):
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(RunningSite(tmp_path, DESKS))
        talks, recorded = await begin(site, CALLS)
        assert len(recorded) >= 3
        meter = await stack.enter_async_context(RtpMeter())
        await meter.take(lines(talks))
        await asyncio.sleep(2)
        since, old = time.time(), site.processes["gateway"]
        os.kill(old, signal.SIGKILL)
        await site.restarted("gateway", old)
        await running(site, CALLS)
        await asyncio.sleep(1)
        stopped = time.time()

        # the route sets lead through the new gateway: a hold and its end, and BYE from either side
        for talk in talks[:4]:
            talk.agent.renegotiated.clear()
            await talk.caller.hold()
            assert talk.agent.remote_terms is not None and talk.agent.remote_terms.direction == "sendonly"
            assert talk.agent.remote_terms.host == site.at.gateway_agent
            await talk.caller.resume()
        for number, talk in enumerate(talks):
            ender, other = (talk.caller, talk.agent) if number % 2 else (talk.agent, talk.caller)
            if number >= 4:
                await ender.bye()
                await asyncio.wait_for(other.ended.wait(), 5)
        until_end = time.time()
        measured = await meter.stop()
        await running(site, 4)

        every = range(CALLS)
        assert worst(measured, every, since, stopped) == {}
        assert min(measured.came(flow, since, stopped) for flow in range(2 * CALLS)) >= 49 * (stopped - since)
        assert [measured.lost(flow, since, stopped) for flow in range(2 * CALLS)] == [0] * 2 * CALLS
        # those that were held and resumed go on
        assert worst(measured, range(4), since, until_end) == {}
        for talk in recorded:
            recording = await recording_of(talk)
            assert recording["state"] == "interrupted"
            check_whole(site, talk, recording, "interrupted")
            closed = [moment(side["ended"]) for side in recording["sides"]]
            assert all(-0.2 < at - since < 1.0 for at in closed)
        # an adopted call is never recorded again, and nobody is asked in it
        for talk in talks[:4]:
            assert await site.explained(talk.desk, talk.ref) is None
            await talk.caller.bye()
        assert await count_recordings(site) == len(recorded)


async def test_a_killed_media_worker_is_back_within_two_seconds_and_records_no_more(tmp_path):
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(RunningSite(tmp_path, 4))
        recorded = await recorded_calls(site, 1)
        plain = await site.call(site.desks[0])
        talks = [*recorded, plain]
        await until(partial(chunks_written, site, recorded), CHUNK / 8000 + 10)
        meter = await stack.enter_async_context(RtpMeter())
        await meter.take(lines(talks))
        await asyncio.sleep(1)
        killed, old = time.time(), site.processes["media-0"]
        os.kill(old, signal.SIGKILL)
        await site.restarted("media-0", old)
        await running(site, len(talks))
        await asyncio.sleep(2.5)
        stopped = time.time()
        said = [await site.explained(talk.desk, talk.ref) for talk in recorded]
        measured = await meter.stop()

        for flow in range(2 * len(talks)):
            silences = measured.gaps(flow, killed - 1, stopped, GAP_S)
            assert len(silences) == 1
            assert silences[0].seconds < 2.0
            assert measured.lost(flow, killed + 2, stopped - 0.1) == 0
        assert {one["outcome"] for one in said if one is not None} == {"not_recorded"}
        for talk in recorded:
            recording = await recording_of(talk)
            assert recording["state"] == "interrupted"
            kept = Kept(site.data, recording["id"])
            for side in ("agent", "caller"):
                chunks = kept.manifest(side)["payload"]["chunks"]
                opened, whole = kept.opened(side, talk.desk.keys.identity_file)
                assert kept.manifest(side)["end"] == "interrupted"
                assert chunks >= 1
                assert len(opened) == chunks * CHUNK  # every whole chunk, though the file has no last one
                assert not whole
        for talk in talks:
            await talk.hang_up()
        for talk in recorded:
            assert (await site.outcome(talk.desk, talk.ref))["outcome"] == "interrupted"
        assert await count_recordings(site) == len(recorded)


async def test_a_killed_api_stops_recordings_and_no_call(tmp_path):
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(RunningSite(tmp_path, 4))
        talks = await recorded_calls(site, 2)
        meter = await stack.enter_async_context(RtpMeter())
        await meter.take(lines(talks))
        await asyncio.sleep(2)
        killed, old = time.time(), site.processes["api"]
        os.kill(old, signal.SIGKILL)
        await site.restarted("api", old)
        await asyncio.sleep(1.5)
        stopped = time.time()
        measured = await meter.stop()

        assert worst(measured, range(len(talks)), killed - 1, stopped) == {}
        assert min(measured.came(flow, killed, stopped) for flow in range(2 * len(talks))) >= 49 * (stopped - killed)
        for talk in talks:
            await talk.hang_up()
            told = await until(partial(told_by, site, talk), 20)
            assert (told["outcome"], told["reasons"]) == ("recorded (cut)", ["INDICATOR_STALE"])
            recording = await recording_of(talk)
            assert recording["state"] == "kept"
            assert all(0 < moment(side["ended"]) - killed < 1.0 for side in recording["sides"])
            check_whole(site, talk, recording, "stopped")


async def told_by(site: RunningSite, talk: Talk) -> dict | None:
    """The outcome, or None while the API isn't back."""
    try:
        said = await site.explained(talk.desk, talk.ref)
    except httpx.TransportError:
        return None
    return said if said is not None and not said["running"] else None


async def test_sigterm_lets_calls_go_on_takes_no_new_ones_and_seals_as_normal(tmp_path):
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(RunningSite(tmp_path, 4))
        talks = await recorded_calls(site, 1)
        meter = await stack.enter_async_context(RtpMeter())
        await meter.take(lines(talks))
        await asyncio.sleep(1)
        told, gateway = time.time(), site.processes["gateway"]
        os.kill(supervisor(gateway), signal.SIGTERM)
        await until(lambda: options_refused(site))
        desk = site.desks[0]
        refused = await site.caller.call(site.target(desk), via=site.gateway, headers=site.headers(desk))
        with pytest.raises(Refused) as refusal:
            await asyncio.wait_for(refused.answered, 5)
        assert refusal.value.status == 503
        first, *rest = talks
        recordings = {talk.ref: await id_of(talk) for talk in talks}
        await first.hang_up()  # ends by itself while the gateway drains
        await until(lambda: gone(site, "gateway"), DRAIN_S + 10)
        ended = time.time()
        measured = await meter.stop()

        assert ended - told < DRAIN_S + 3
        if rest:
            assert ended - told > DRAIN_S
            assert worst(measured, range(1, len(talks)), told - 1, told + DRAIN_S) == {}
        for talk in talks:
            check_whole(site, talk, {"id": recordings[talk.ref]}, "normal")


async def options_refused(site: RunningSite) -> bool:
    """Whether the gateway tells its peers to go elsewhere."""
    return (await site.caller.ask("OPTIONS", f"sip:{site.at.gateway_caller}", via=site.gateway)).status == 503


async def gone(site: RunningSite, name: str) -> bool:
    """Whether a child has ended and isn't back."""
    return name not in site.processes
