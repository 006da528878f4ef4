"""Signed acts on a running gateway with live calls: lowered and suspended by one party, raised by none alone."""

import asyncio
import time

import pytest

from crypto.jcs import canonical
from crypto.sshsig import sign
from policy.acts import ACT_NAMESPACE
from policy.agreement.load import load
from tests.loopback.test_withdrawal import watch_light
from tests.peers.kept import Kept, moment
from tests.peers.running_site import RunningSite

pytestmark = pytest.mark.timeout(120)
RULE = "sample/team-a/onboarding"


async def put(site, role, signed, status, **more):
    """Sign an act as one role's key and hand it in with the council's session, whoever signed."""
    keys = site.office._parties[role].keys
    body = {"signatures": {role: sign(keys.signing, ACT_NAMESPACE, signed.encode())}, **more}
    http, headers = site.office._http, {"Origin": str(site.office._http.base_url).rstrip("/"), "Accept-Language": "de"}
    if "act" in more:
        answer = await http.post("/v1/acts", json=body, headers=headers)
    else:
        answer = await http.put(f"/v1/agreements/{await agreement(site)}/rates", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def agreement(site):
    return (await site.office._ask("GET", "/agreements"))["acts"][0]["agreement"]


async def draft(site, percent):
    name = await agreement(site)
    return (await site.office._ask("GET", f"/agreements/{name}/rates/draft?rates={RULE}={percent}"))["act"]


async def test_parties_act_on_live_calls(tmp_path):
    async with RunningSite(tmp_path, desks=1) as site:
        desk = site.desks[0]
        talk = await site.recorded_call(desk)
        first = (await site.office._ask("GET", "/agreements"))["acts"][0]

        lowered = await draft(site, "20")
        await put(site, "council", lowered, 200, document=lowered)
        current = await site.office._ask("GET", "/agreements/current")
        assert current["rates"][RULE] == "20"
        running = await site.explained(desk, talk.ref)
        assert running is not None and running["outcome"] == "recording"  # rates leave what runs alone

        raised = await draft(site, "40")
        assert (await put(site, "employer", raised, 422, document=raised))["type"].endswith("not-permitted")
        stale = {"act": first_act(first), "document": first["document"]}
        assert (await put(site, "employer", first_act(first), 409, **stale))["type"].endswith("stale-act")
        assert (await site.office._ask("GET", "/agreements/current"))["rates"][RULE] == "20"

        off = asyncio.create_task(watch_light(desk, talk.ref))
        before = len(talk.agent.line.arrivals)
        at, wall = time.monotonic(), time.time()
        await site.office._ask("POST", f"/agreements/{first['agreement']}/suspend")
        assert await asyncio.wait_for(off, 5) - at < 1
        await asyncio.sleep(0.5)
        assert len(talk.agent.line.arrivals) > before  # the call goes on
        recording = next(one["id"] for one in await desk.client.recordings() if one["call"] == talk.ref)
        await talk.hang_up()
        told = await site.outcome(desk, talk.ref)
        assert (told["outcome"], told["reasons"]) == ("recorded (cut)", ["SUSPENDED"])
        assert (await site.office._ask("GET", "/agreements/current"))["suspended"] is True
        ended = next(one["ended"] for one in (await desk.client.recordings())[0]["sides"])
        assert moment(ended) - wall < 1
        assert Kept(site.data, recording).manifest("agent", 1)["end"] == "stopped"
        acts = (await site.office._ask("GET", "/agreements"))["acts"]
        assert [one["type"] for one in acts] == ["agreement", "rates", "suspend"]
        assert (acts[-1]["session"], acts[-1]["signed_by"]) == ("council", [])


def first_act(shown):
    """The act that put the agreement into force, as anybody can write it from what is shown."""

    digest = load(shown["document"].encode()).digest
    body = {"v": 1, "type": "agreement", "agreement": shown["agreement"], "seq": 1, "prev": None}
    return canonical({**body, "body": {"digest": digest}}).decode()
