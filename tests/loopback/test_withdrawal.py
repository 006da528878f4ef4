"""Everybody's stop, while a call is recorded: the agent's, the caller's code, a refusal that the agent was told."""

import asyncio
import time

import pytest

from demo.agents import Desk
from demo.agreement import WITHDRAW_CODE
from tests.peers.kept import Kept
from tests.peers.running_site import RunningSite, Talk, until

pytestmark = pytest.mark.timeout(120)
STOP_S = 0.3
GONE_S = 5.0


async def by_agent(talk: Talk) -> float:
    at = time.monotonic()
    await talk.desk.client.stop(talk.ref)
    return at


async def by_caller_refused(talk: Talk) -> float:
    at = time.monotonic()
    await talk.desk.client.caller_refused(talk.ref)
    return at


async def by_code(talk: Talk) -> float:
    """The moment the last key of the code is let go."""
    talk.caller.press(WITHDRAW_CODE)

    async def let_go() -> bool:
        return not talk.caller.line._keys

    await until(let_go)
    return time.monotonic()


async def test_a_withdrawal_stops_at_once_and_destroys_everything(tmp_path):
    ways = ((by_agent, "WITHDRAWN_BY_AGENT"), (by_code, "WITHDRAWN_BY_CALLER"), (by_caller_refused, "CALLER_REFUSED"))
    async with RunningSite(tmp_path, desks=len(ways)) as site:
        talks = await asyncio.gather(*(site.recorded_call(desk) for desk in site.desks))
        for talk, (stop, reason) in zip(talks, ways, strict=True):
            await withdraw(site, talk, stop, reason)


async def withdraw(site, talk, stop, reason):
    desk = talk.desk
    kept = Kept(site.data, next(one["id"] for one in await desk.client.recordings() if one["call"] == talk.ref))

    async def begun() -> bool:
        return {path.name for path in kept.files} >= {"agent-1.header", "caller-1.header"}

    await until(begun)
    off = asyncio.create_task(watch_light(desk, talk.ref))
    at = await stop(talk)
    assert await asyncio.wait_for(off, GONE_S) - at < STOP_S

    async def gone() -> bool:
        return not kept.files

    await until(gone, GONE_S)
    assert time.monotonic() - at < GONE_S
    assert (await site.explained(desk, talk.ref))["outcome"] == "not_recorded"
    await talk.hang_up()
    told = await site.outcome(desk, talk.ref)
    assert told["outcome"] == "discarded"
    assert reason in told["reasons"]
    assert await desk.client.recordings() == []


async def watch_light(desk: Desk, ref: str) -> float:
    """When the light of a call went out: after the order to stop (the leg's tests show that order)."""
    async with desk._changed:
        while desk._lights.get(ref) is None or desk._lights[ref].state != "off":
            await desk._changed.wait()
    return time.monotonic()
