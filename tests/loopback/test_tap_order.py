"""Nothing of a call before its tap opened is ever stored, and nothing is written before the decision is on the disk."""

import asyncio
import contextlib
import time
from typing import Any

import numpy as np
import pytest

from api.agent_client import AgentClient
from demo.agreement import CONSENT_KEY
from demo.correlate import level_db, tone_db
from demo.g711 import RATE
from demo.talk import THINK_S
from demo.tones import tone
from tests.peers.kept import moment
from tests.peers.running_site import RunningSite
from tests.peers.system_calls import SystemCall, SystemCalls

pytestmark = pytest.mark.timeout(120)
BEFORE_HZ, AFTER_HZ = 1000.0, 1700.0
FRAMES_S = 0.100
"""Time for the last frame of the first tone to leave phone and gateway."""


class LatePage:
    """A page that shows the light of a recording only when a test lets it: until then the tap can't be open."""

    def __init__(self, client: AgentClient) -> None:
        self._client = client
        self._seen: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def run(self) -> None:
        """Acknowledge everything but the event of a light that goes on."""
        async with contextlib.aclosing(self._client.live(acknowledge=False)) as events:  # type: ignore[type-var]  # it is a generator
            async for event in events:
                if event.kind == "leg" and event.data["state"] == "recording_both":
                    self._seen.put_nowait(event.data)
                elif event.kind in ("leg", "heartbeat") and event.data["state"] != "off":
                    await self._client.acknowledge(event.data)

    async def light(self) -> dict[str, Any]:
        """The event of the light that goes on now, not acknowledged yet."""
        return await asyncio.wait_for(self._seen.get(), 30)


async def test_what_was_said_before_the_tap_opened_is_nowhere(tmp_path, program):
    program("strace")
    async with RunningSite(tmp_path, desks=1) as site:
        desk = site.desks[0]
        talk = await site.drawn_call(desk)
        await desk.close_page()
        page = LatePage(desk.client)
        watching = asyncio.create_task(page.run())
        pids = [pid for name, pid in site.processes.items() if name != "api"]
        async with SystemCalls(tmp_path / "strace.log", pids) as calls:
            talk.caller.play(tone(BEFORE_HZ, 40, -6.0))
            talk.agent.play(tone(BEFORE_HZ, 40, -6.0))
            # the question began when the call did; the page was away for a moment, which only lighting asks about
            await talk.caller.hears(site.prompt_end)
            await asyncio.sleep(THINK_S)
            talk.caller.press(CONSENT_KEY, ms=120)
            light = await page.light()
            for call in (talk.caller, talk.agent):
                call.line.hush()
                call.play(tone(AFTER_HZ, 20, -6.0))
            await asyncio.sleep(FRAMES_S)
            acknowledged = time.time()
            await desk.client.acknowledge(light)
            await site.tapped(desk, talk.ref)
            await asyncio.sleep(2)
            await talk.hang_up()
            await site.outcome(desk, talk.ref)
        watching.cancel()
        recording = next(one for one in await desk.client.recordings() if one["call"] == talk.ref)
        opened = [moment(side["started"]) for side in recording["sides"]]
        left, right = await site.opened(desk, talk.ref)

    assert all(acknowledged - 0.001 <= at < acknowledged + 1 for at in opened)
    for side in (left, right):
        assert len(side) > 1.5 * RATE
        inside = side[RATE // 10 : RATE]
        assert tone_db(inside, AFTER_HZ) > -10
        assert tone_db(inside, BEFORE_HZ) < -50
        # and not for the shortest while: in no 20 ms, least of all in the first
        frames = side[: len(side) // 160 * 160].reshape(-1, 160)
        loud = [frame for frame in frames if min(map(level_db, frame.reshape(4, 40))) > -20]
        assert len(loud) > 60
        assert max(tone_db(frame, BEFORE_HZ) - tone_db(frame, AFTER_HZ) for frame in loud) < -20
    check_order(calls.seen(), acknowledged, site)


def check_order(seen: list[SystemCall], acknowledged: float, site: RunningSite) -> None:
    """Database forced to disk after the acknowledgement, and only then the first touch of a recording's file."""
    kept = [call for call in seen if call.writes and is_kept(call, site)]
    assert len({call.name for call in kept}) > 1
    forced = [call for call in seen if call.forces and "fairtap.db" in call.text]
    decided = [call for call in forced if acknowledged <= call.at < kept[0].at]
    assert forced[0].at < acknowledged  # of entry and receipt
    assert len(decided) >= 1
    assert kept[0].at > acknowledged


def is_kept(call: SystemCall, site: RunningSite) -> bool:
    return any(f"{site.data}/{tree}" in call.text for tree in ("recordings", "vault"))


def test_the_measure_would_find_the_first_tone():
    mixed = tone(AFTER_HZ, 2, -6.0).astype(np.int32) + tone(BEFORE_HZ, 2, -46.0)
    assert tone_db(mixed.astype(np.int16), BEFORE_HZ) == pytest.approx(-46, abs=0.5)
    assert tone_db(tone(AFTER_HZ, 2, -6.0), BEFORE_HZ) < -70
