"""Between carrier and PBX: an IVR asks before anybody answers; a leg is recorded while the PBX says who is on it.

What was kept is measured against the caller's own tones: the one after the PBX's word isn't in it, and both still talk.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import numpy as np
import pytest

from api.accounts import Accounts
from api.database import Database
from api.roles import Role
from api.serve import api_database
from demo.agents import Desk
from demo.agreement import QUEUE
from demo.call import Call
from demo.correlate import tone_db
from demo.g711 import RATE
from demo.tones import tone
from gateway.clock import SystemClock
from gateway.config import load_config
from tests.peers.kept import moment
from tests.peers.running_site import CONNECT_S, MOST_TRIES, RunningSite, Talk
from tests.peers.short_question import QUESTION

pytestmark = pytest.mark.timeout(120)
BEFORE_HZ, AFTER_HZ = 600, 1000
STOP_S = 0.3
RENEW_S = 0.3


@dataclass
class Machines:
    """The house's PBX and its IVR, as the API knows them."""

    site: RunningSite
    pbx: str
    ivr: str

    @classmethod
    async def of(cls, site: RunningSite) -> "Machines":
        config = load_config(site.folder / "fairtap.toml", {})
        async with Database(api_database(config)) as database:
            pbx = await Accounts(database, SystemClock()).create_token(Role.PBX, "pbx")
        credential = await site.office.ask("POST", "/ivrs", {"name": "front"})
        return cls(site, pbx, credential["token"])

    async def say(self, token: str, call_id: str, verb: str, body: Mapping[str, object]) -> httpx.Response:
        path = "".join(f"%{byte:02X}" for byte in call_id.encode())
        headers = {"Authorization": f"Bearer {token}"}
        # whose cookies the client has doesn't matter: a token goes before
        return await self.site.office._http.post(f"/v1/calls/{path}/{verb}", json=body, headers=headers)

    async def agreed(self, call_id: str) -> None:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        body = {
            "purpose": "coaching", "answer": "yes", "prompt_sha256": QUESTION.sha256,
            "prompt_end": now, "answered_at": now,
        }  # fmt: skip
        answer = await self.say(self.ivr, call_id, "consent", body)
        assert answer.status_code == 200, answer.text

    async def places(self, call_id: str, extension: str | None, ttl_s: int = 1) -> None:
        body = {"extension": extension, "ttl_s": ttl_s, "queue": QUEUE}
        answer = await self.say(self.pbx, call_id, "agent", body)
        assert answer.status_code == 200, answer.text

    async def keep_placing(self, call_id: str, extension: str) -> None:
        while True:
            await self.places(call_id, extension)
            await asyncio.sleep(RENEW_S)


@dataclass
class Leased:
    """A call that is recorded while `renewing` runs."""

    talk: Talk
    renewing: asyncio.Task[None]

    @property
    def call_id(self) -> str:
        return self.talk.caller.dialog.call_id

    async def let_go(self) -> None:
        self.renewing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.renewing


def with_ivr(document: str) -> str:
    return document.replace("channels: [dtmf, agent_key]", 'channels: [dtmf, agent_key, "ivr:front"]')


async def test_a_leg_lasts_as_long_as_the_pbx_says_so(tmp_path):
    async with RunningSite(tmp_path, desks=2, placement="trunk", agreed=with_ivr) as site:
        machines = await Machines.of(site)
        first, second = await asyncio.gather(*(recorded(site, machines, desk) for desk in site.desks))
        await asyncio.sleep(1.0)

        await first.let_go()
        await second.let_go()
        now = time.time()
        switch(first.talk.caller, second.talk.caller)
        # the PBX contradicts itself about the first call, and says no more about the second
        await machines.places(first.call_id, "299")
        await asyncio.sleep(1.6)

        for leased, latest in ((first, now + STOP_S), (second, now + 1.0 + STOP_S)):
            talk = leased.talk
            assert talk.agent.heard[-RATE // 2 :].any() and tone_db(talk.agent.heard[-RATE // 2 :], AFTER_HZ) > -15
            await machines.places(leased.call_id, talk.desk.extension)  # too late: a stop is final for the leg
            await talk.hang_up()
            told = await site.outcome(talk.desk, talk.ref)
            assert (told["outcome"], told["reasons"]) == ("recorded (cut)", ["PARTY_UNKNOWN"])
            await nothing_after(site, talk, latest, now)


async def nothing_after(site: RunningSite, talk: Talk, latest: float, switched: float) -> None:
    recording = next(one for one in await talk.desk.client.recordings() if one["call"] == talk.ref)
    assert all(moment(side["ended"]) <= latest for side in recording["sides"])
    _, caller = await site.opened(talk.desk, talk.ref)
    assert len(caller) > RATE and tone_db(caller[RATE // 2 : RATE], BEFORE_HZ) > -15
    frames = caller[: len(caller) // 160 * 160].reshape(-1, 160)
    after = [tone_db(frame, AFTER_HZ) > -20 for frame in frames]
    assert np.count_nonzero(after) * 0.02 <= latest - switched


def switch(*callers: Call) -> None:
    for caller in callers:
        caller.line.hush()
        caller.play(tone(AFTER_HZ, 6))


async def recorded(site: RunningSite, machines: Machines, desk: Desk) -> Leased:
    """Calls until one is drawn: asked by the IVR before it is answered, leased by the PBX from then on."""
    for _ in range(MOST_TRIES):
        await desk.be_ready()
        made, taken = await site.dial(desk)
        call_id = made.dialog.call_id
        await machines.agreed(call_id)
        taken.answer()
        async with asyncio.timeout(CONNECT_S):
            await asyncio.gather(made.answered, taken.answered)
        renewing = asyncio.create_task(machines.keep_placing(call_id, desk.extension))
        leased = Leased(Talk(desk, made, taken, await site.ref(call_id)), renewing)
        if await site.is_drawn(desk, leased.talk.ref):
            async with asyncio.timeout(30):
                await desk.light("recording_both")
            made.play(tone(BEFORE_HZ, 30))
            await site.tapped(desk, leased.talk.ref)
            return leased
        await leased.let_go()
        await leased.talk.hang_up()
    raise AssertionError("no call was drawn")
