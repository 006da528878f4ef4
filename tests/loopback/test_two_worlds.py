"""Two worlds, one house: a drawn call whose agent says no, and a drawn call whose caller stays silent.

Everything that anybody but the agent can fetch is the same in both: bodies, headers, sizes, what the shell says, and
the time that an answer takes, by a permutation test over many interleaved requests.
"""

import asyncio
import re
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import numpy as np
import pytest

from crypto import sshsig
from crypto.jcs import canonical
from demo.staff import SESSION_NAMESPACE
from gateway.clock import SystemClock
from policy.terms import Purpose
from tests.peers.running_site import RunningSite, until

pytestmark = pytest.mark.timeout(180)
VOLATILE = ("/metrics", "/v1/status", "/v1/session/challenge", "/v1/session")
"""Counters, nonces, seconds left: what one call of each kind changes in counters is compared in `test_canary`."""
OWN = "/v1/agents/me"
ASKED = 120
"""Times each of the two calls is asked for, by each role."""
CHANCE = 1e-4
HOUR = timedelta(hours=1)
INSTANT = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture
async def stack():
    async with AsyncExitStack() as stack:
        yield stack


async def everybody(site: RunningSite, stack: AsyncExitStack) -> dict[str, httpx.AsyncClient]:
    """A client for each role that isn't an agent, and one without any."""
    made = {}
    for role in ("council", "employer", "dpo", "nobody", "admin"):
        http = made[role] = await stack.enter_async_context(httpx.AsyncClient(base_url=site.at.base_url, timeout=20))
        if role == "admin":
            http.headers["Authorization"] = f"Bearer {site.house.admin_token}"
        elif role != "nobody":
            challenge = (await http.get("/v1/session/challenge")).json()
            signed = canonical({"challenge": challenge["challenge"], "role": role, "site": challenge["site"]})
            key = site.office._parties[role].keys.signing
            body = {"role": role, "challenge": challenge["challenge"]}
            body["signature"] = sshsig.sign(key, SESSION_NAMESPACE, signed)
            answer = await http.post("/v1/session", json=body, headers={"Origin": site.at.base_url})
            assert answer.is_success, answer.text
    code = (await site.office.ask("POST", "/coaches", {"name": "Carla Coach"}))["code"]
    coach = made["coach"] = await stack.enter_async_context(httpx.AsyncClient(base_url=site.at.base_url, timeout=20))
    body = {"code": code}
    answer = await coach.post("/v1/session", json=body, headers={"Origin": site.at.base_url})
    assert answer.is_success, answer.text
    return made


async def fetch(clients: Mapping[str, httpx.AsyncClient], ref: str | None) -> dict[str, bytes]:
    """Every answer of every route that reads, head and body; of a call where `ref` is one, else of all the rest."""
    paths = (await clients["nobody"].get("/v1/openapi.json")).json()["paths"]
    found = {}
    for path in (path for path, verbs in paths.items() if "get" in verbs):
        if path in VOLATILE or path.startswith(OWN) or ("{call}" in path) is (ref is None):
            continue
        filled = re.sub(r"\{\w+\}", "0" * 32, path.replace("{call}", ref or ""))
        for role, http in clients.items():
            answer = await http.get(filled)
            head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items() if name != "date")
            whole = f"{answer.status_code}\n{head}\n\n".encode() + answer.content
            alike = whole if ref is None else whole.replace(ref.encode(), b"(call)")
            found[f"{path} as {role}"] = INSTANT.sub(b"(instant)", alike)
    return found


async def on_the_shell(site: RunningSite, ref: str) -> str:
    command = [sys.executable, "-c", "import sys; from api.cli import main; sys.exit(main())", "explain", ref]
    process = await asyncio.create_subprocess_exec(
        *command, "--config", str(site.folder / "fairtap.toml"), stdout=asyncio.subprocess.PIPE
    )
    return (await process.communicate())[0].decode().replace(ref, "(call)")


async def seconds(http: httpx.AsyncClient, refs: tuple[str, str]) -> np.ndarray:
    """How long each of the two took, in pairs that take turns in who goes first."""
    taken = np.zeros((ASKED, 2))
    for turn in range(ASKED):
        for which in (turn % 2, 1 - turn % 2):
            begin = time.perf_counter()
            await http.get(f"/v1/calls/{refs[which]}/explain")
            taken[turn, which] = time.perf_counter() - begin
    return taken


def by_chance(taken: np.ndarray, flips: int = 20_000) -> float:
    """How probable so great a difference is if both take alike: signed ranks under random changes of sign."""
    apart = taken[:, 0] - taken[:, 1]
    ranks = np.argsort(np.argsort(np.abs(apart))) + 1.0
    seen = abs(np.sum(np.sign(apart) * ranks))
    signs = np.random.default_rng(7).choice((-1.0, 1.0), size=(flips, len(apart)))
    return float((np.sum(np.abs(signs @ ranks) >= seen) + 1) / (flips + 1))


def of_a_week(text: str) -> str:
    """The agreement with an epoch that can't end while both worlds are looked at, wherever Monday begins."""
    now = SystemClock().wallclock()
    zone = next(
        name
        for name in ("Europe/Berlin", "Asia/Tokyo")
        if week_of(now, name) == week_of(now - HOUR, name) == week_of(now + HOUR, name)
    )
    edited = re.sub(r"timezone: \S+", f"timezone: {zone}", text).replace("epoch: PT10M", "epoch: P1W")
    assert edited.count(zone) == edited.count("epoch: P1W") == 1
    return edited


def week_of(instant: datetime, zone: str) -> int:
    return instant.astimezone(ZoneInfo(zone)).isocalendar().week


async def test_a_veto_and_a_silent_caller_are_the_same_to_everybody_else(tmp_path, stack):
    async with RunningSite(tmp_path, desks=2, agreed=of_a_week) as site:
        vetoing, silent = site.desks
        await vetoing.client.say_no(Purpose.COACHING)
        clients = await everybody(site, stack)
        before = await fetch(clients, None)

        first = await site.drawn_call(vetoing)
        while_vetoed = await fetch(clients, first.ref)
        await first.hang_up()
        assert "AGENT_NO_OR_UNSET" in (await site.outcome(vetoing, first.ref))["reasons"]
        await site.quiet()
        after_veto = await fetch(clients, None)

        second = await site.drawn_call(silent)
        while_asked = await fetch(clients, second.ref)
        async with asyncio.timeout(30):
            await second.caller.hears(site.prompt_end)

        async def given_up() -> bool:
            said = await site.explained(silent, second.ref)
            return said is not None and said["reasons"] == ["CALLER_UNSET"] and "off" in await lights(silent)

        await until(given_up, 15)
        while_silent = await fetch(clients, second.ref)
        await second.hang_up()
        assert (await site.outcome(silent, second.ref))["reasons"] == ["CALLER_UNSET"]
        await site.quiet()
        after_silence = await fetch(clients, None)

        assert len(while_vetoed) >= 5 and len(before) >= 40
        assert while_vetoed == while_asked == while_silent
        assert before == after_veto == after_silence
        refs = (first.ref, second.ref)
        assert await fetch(clients, first.ref) == await fetch(clients, second.ref)
        said = [await on_the_shell(site, ref) for ref in refs]
        assert said[0] == said[1] and "NOT_SELECTED_OR_NOT_PERMITTED" in said[0]
        chances = {role: by_chance(await seconds(clients[role], refs)) for role in ("admin", "council")}
        assert min(chances.values()) > CHANCE, chances


async def lights(desk) -> set[str]:
    """The states of the lights at a desk."""
    return {one.state for one in desk._lights.values()}


def test_the_timing_test_tells_a_difference_and_no_chance():
    dice = np.random.default_rng(3)
    alike = dice.gamma(3.0, 0.001, (ASKED, 2))
    assert by_chance(alike) > 0.01
    assert by_chance(alike + np.array([0.0015, 0.0])) <= CHANCE
