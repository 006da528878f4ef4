"""No light, no recording: a page that closes and a page that freezes, measured by the last stored frame."""

import asyncio
import time
from typing import Any

import pytest
import pytest_asyncio

from tests.peers.agent_page import AgentPage
from tests.peers.kept import Kept, moment
from tests.peers.rtp_meter import RtpMeter
from tests.peers.running_site import RunningSite, Talk, until

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module"), pytest.mark.quiet]
ACK_MAX_AGE_S = 3.0
"""As the demo's agreement says."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory):
    async with RunningSite(tmp_path_factory.mktemp("site"), desks=2) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recorded(site):
    """Two calls that are being recorded."""
    return await asyncio.gather(*(site.recorded_call(desk) for desk in site.desks))


async def cut(site: RunningSite, talk: Talk, reason: str) -> dict[str, Any]:
    """Hang up; the recording, which was cut for this reason."""
    await talk.hang_up()
    told = await site.outcome(talk.desk, talk.ref)
    assert (told["outcome"], told["reasons"]) == ("recorded (cut)", [reason])
    items = await talk.desk.client.recordings()
    recording = next(one for one in items if one["call"] == talk.ref)
    assert [side["side"] for side in recording["sides"]] == ["agent", "caller"]
    return recording


def stopped_after(recording: dict[str, Any], since: float) -> list[float]:
    """Seconds from a moment to the last stored frame of each side."""
    return [moment(side["ended"]) - since for side in recording["sides"]]


async def test_a_closed_page_stops_the_recording_within_a_second_and_no_frame_of_the_call(site, recorded):
    talk = recorded[0]
    async with RtpMeter() as meter:
        await meter.take([talk.caller.line, talk.agent.line])
        await asyncio.sleep(2)
        closed = time.time()
        await talk.desk.close_page()
        await asyncio.sleep(2)
        measured = await meter.stop()
    recording = await cut(site, talk, "INDICATOR_STALE")
    assert all(0 <= late < 1.0 for late in stopped_after(recording, closed))
    for flow in (0, 1):
        assert measured.gaps(flow, closed - 1.5, closed + 1.9, 0.040) == []
        assert measured.came(flow, closed - 1.5, closed + 1.9) >= 3.4 * 49
    assert measured.lost(0, closed - 1.5, closed + 1.8) <= 25  # mixed with the closing tone, in the agent's ear only
    assert measured.lost(1, closed - 1.5, closed + 1.8) == 0
    assert all(Kept(site.data, recording["id"]).manifest(side)["end"] == "stopped" for side in ("agent", "caller"))


async def test_a_frozen_page_stops_it_as_soon_as_its_last_acknowledgement_is_too_old(site, recorded):
    talk, desk = recorded[1], recorded[1].desk
    async with AgentPage(desk, site.at.base_url) as page:
        await asyncio.sleep(1.2)  # a light that is on is acknowledged by this page too
        await desk.close_page()
        await asyncio.sleep(1.2)  # the closing of the last page would have stopped it within one second
        assert (await site.explained(desk, talk.ref))["outcome"] == "recording"
        frozen = time.time()
        page.freeze()

        async def stopped() -> bool:
            return (await site.explained(desk, talk.ref))["outcome"] != "recording"

        await until(stopped)
    recording = await cut(site, talk, "INDICATOR_STALE")
    # the last heartbeat was acknowledged up to a second before
    assert all(ACK_MAX_AGE_S - 1.1 < late < ACK_MAX_AGE_S + 0.3 for late in stopped_after(recording, frozen))
