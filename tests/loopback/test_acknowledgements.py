"""Only a page's acknowledgement of that call's own event opens a tap: nothing older, nothing else, nothing replayed."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from api.agent_client import ClientProblem, LiveEvent
from demo.agents import Desk
from demo.agreement import CONSENT_KEY
from demo.talk import THINK_S
from tests.peers.running_site import MOST_TRIES, RunningSite, Talk, until

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]
LIT_WAIT_S = 5.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory):
    async with RunningSite(tmp_path_factory.mktemp("site"), desks=1) as running:
        yield running


@dataclass(slots=True)
class Watcher:
    """A page that shows nothing: it reads the events and acknowledges only what a test says."""

    desk: Desk
    events: list[LiveEvent] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Watcher":
        await self.desk.close_page()
        self.task = asyncio.create_task(self._watch())
        await until(self._opened)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def _watch(self) -> None:
        async with contextlib.aclosing(self.desk.client.live(acknowledge=False)) as events:  # type: ignore[type-var]  # it is a generator
            async for event in events:
                self.events.append(event)

    async def _opened(self) -> bool:
        return bool(self.events)

    async def light(self, ref: str, state: str, after: int = 0) -> dict[str, Any]:
        """The leg's own event in this state, the first after a number: calls begin dark."""

        async def found() -> dict[str, Any] | None:
            lights = (event.data for event in self.events if event.kind == "leg")
            mine = (one for one in lights if (one["call"], one["state"]) == (ref, state))
            return next((one for one in mine if one["seq"] > after), None)

        return await until(found, 40)

    def heartbeats(self, ref: str) -> list[dict[str, Any]]:
        """Of the light that is on."""
        beats = [event.data for event in self.events if event.kind == "heartbeat"]
        return [one for one in beats if (one["call"], one["state"]) == (ref, "recording_both")]


async def lit(site: RunningSite, desk: Desk, watcher: Watcher) -> tuple[Talk, dict[str, Any]]:
    """A call whose caller said yes and whose light waits to be acknowledged."""
    talk = await drawn(site, desk)
    async with asyncio.timeout(30):
        await talk.caller.hears(site.prompt_end)
    await asyncio.sleep(THINK_S)
    talk.caller.press(CONSENT_KEY, ms=120)
    return talk, await watcher.light(talk.ref, "recording_both")


async def drawn(site: RunningSite, desk: Desk) -> Talk:
    """A call that stands and is drawn, without opening a page at the desk."""
    for _ in range(MOST_TRIES):
        made, taken = await site.dial(desk)
        taken.answer()
        await asyncio.gather(made.answered, taken.answered)
        talk = Talk(desk, made, taken, await site.ref(made.dialog.call_id))
        if await site.is_drawn(desk, talk.ref):
            return talk
        await talk.hang_up()
    raise AssertionError("the draw hit nobody")


async def test_acknowledgements_of_anything_else_open_nothing(site):
    desk = site.desks[0]
    async with Watcher(desk) as watcher:
        earlier, light = await lit(site, desk, watcher)
        await desk.client.acknowledge(light)
        await site.tapped(desk, earlier.ref)  # it would have opened
        await earlier.hang_up()
        assert (await site.outcome(desk, earlier.ref))["recording"] is not None
        files = set((site.data / "recordings").rglob("*"))

        talk, own = await lit(site, desk, watcher)
        asking = await watcher.light(talk.ref, "asking")
        wrong = [
            light,  # of another call, replayed
            {**light, "call": talk.ref},
            {**own, "call": earlier.ref},
            asking,  # of an older event of this call
            {**asking, "state": "recording_both"},
            {**own, "seq": asking["seq"]},
            {**own, "nonce": asking["nonce"]},
            {**own, "nonce": "0" * 16},
            {**own, "state": "recording_agent"},
            {**own, "state": "asking"},
        ]
        began = time.monotonic()
        for one in wrong:
            await desk.client.acknowledge(one)
        for beat in await until(lambda: some(watcher.heartbeats(talk.ref))):
            await desk.client.acknowledge(beat)  # a heartbeat isn't the leg's own event
        off = await watcher.light(talk.ref, "off", after=own["seq"])
        assert LIT_WAIT_S - 1 < time.monotonic() - began < LIT_WAIT_S + 1
        assert off["why"] == "INDICATOR_STALE"
        await desk.client.acknowledge(own)  # too late
        await talk.hang_up()
        told = await site.outcome(desk, talk.ref)
        assert (told["outcome"], told["reasons"], told["recording"]) == ("not_recorded", ["INDICATOR_STALE"], None)
        assert set((site.data / "recordings").rglob("*")) == files


async def some(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return found


async def test_a_page_that_closed_can_not_acknowledge_and_another_does_not_inherit(site):
    desk = site.desks[0]
    async with Watcher(desk) as watcher:
        talk, own = await lit(site, desk, watcher)
        closed = watcher.events[0].data["page"]
    async with Watcher(desk):  # another page of the same agent, which hasn't shown the event
        said = {name: own[name] for name in ("call", "seq", "state", "nonce")}
        with pytest.raises(ClientProblem) as refused:
            await desk.client.ask("POST", "/agents/me/live/ack", {**said, "shown": "visible", "page": closed})
        assert refused.value.status == 409
        await talk.hang_up()
        told = await site.outcome(desk, talk.ref)
        assert (told["outcome"], told["recording"]) == ("not_recorded", None)
