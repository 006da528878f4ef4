"""Signed acts on a running gateway with live calls: lowered and suspended by one party, raised by none alone."""

import asyncio
import re
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from crypto.jcs import canonical
from crypto.sshsig import sign
from policy.acts import ACT_NAMESPACE
from policy.agreement.load import load
from tests.loopback.test_withdrawal import watch_light
from tests.peers.kept import Kept, moment
from tests.peers.marked_frames import MarkedFrames, unbroken
from tests.peers.running_site import RunningSite, Talk, until

pytestmark = pytest.mark.timeout(120)
RULE = "sample/team-a/onboarding"
SPEECH_S = 30.0
LATE_S = 0.2
"""How much of the end a recording may lack: what is on its way when the stop is ordered."""


async def settled(talk: Talk) -> None:
    """For the first two seconds a recorder still learns how late its packets are, and may step."""
    for line in (talk.agent.line, talk.caller.line):
        enough = len(line.arrivals) + 120

        async def arrived(line=line, enough=enough) -> bool:
            return len(line.arrivals) >= enough

        await until(arrived)


def both_speak(talk: Talk) -> dict[str, MarkedFrames]:
    """From now on each side's frames can be found again, at the other end and in the recording."""
    agent, caller = talk.agent.line, talk.caller.line
    return {"agent": MarkedFrames(agent, caller, SPEECH_S, 1), "caller": MarkedFrames(caller, agent, SPEECH_S, 2)}


async def goes_on(talk: Talk, sent: dict[str, MarkedFrames], at: float) -> None:
    """A second of frames more reaches each end, and no packet is missing from half a second before `at` on."""
    for frames in sent.values():
        await frames.until_heard(at, 50)
    for line in (talk.agent.line, talk.caller.line):
        assert unbroken(line, at - 0.5) > 60


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
    return (await site.office.ask("GET", "/agreements"))["acts"][0]["agreement"]


async def draft(site, percent):
    name = await agreement(site)
    return (await site.office.ask("GET", f"/agreements/{name}/rates/draft?rates={RULE}={percent}"))["act"]


async def test_parties_act_on_live_calls(tmp_path):
    async with RunningSite(tmp_path, desks=1) as site:
        desk = site.desks[0]
        talk = await site.recorded_call(desk)
        first = (await site.office.ask("GET", "/agreements"))["acts"][0]
        await settled(talk)
        sent = both_speak(talk)

        lowered = await draft(site, "20")
        await put(site, "council", lowered, 200, document=lowered)
        lowered_at = time.monotonic()
        current = await site.office.ask("GET", "/agreements/current")
        assert current["rates"][RULE] == "20"
        running = await site.explained(desk, talk.ref)
        assert running is not None and running["outcome"] == "recording"  # rates leave what runs alone

        raised = await draft(site, "40")
        assert (await put(site, "employer", raised, 422, document=raised))["type"].endswith("not-permitted")
        stale = {"act": first_act(first), "document": first["document"]}
        assert (await put(site, "employer", first_act(first), 409, **stale))["type"].endswith("stale-act")
        assert (await site.office.ask("GET", "/agreements/current"))["rates"][RULE] == "20"

        for frames in sent.values():
            await frames.until_heard(lowered_at, 25)
        off = asyncio.create_task(watch_light(desk, talk.ref))
        at, wall = time.monotonic(), time.time()
        await site.office.ask("POST", f"/agreements/{first['agreement']}/suspend")
        assert await asyncio.wait_for(off, 5) - at < 1
        await goes_on(talk, sent, at)
        recording = next(one["id"] for one in await desk.client.recordings() if one["call"] == talk.ref)
        await talk.hang_up()
        told = await site.outcome(desk, talk.ref)
        assert (told["outcome"], told["reasons"]) == ("recorded (cut)", ["SUSPENDED"])
        sides = dict(zip(("agent", "caller"), await site.opened(desk, talk.ref), strict=True))
        for side, frames in sent.items():
            kept, heard = frames.kept(sides[side]), frames.heard()  # none is missing in between
            assert heard[kept[0]].at < lowered_at  # lowering left what ran alone
            assert -LATE_S < heard[kept[-1]].at - at < 1
        assert (await site.office.ask("GET", "/agreements/current"))["suspended"] is True
        ended = next(one["ended"] for one in (await desk.client.recordings())[0]["sides"])
        assert moment(ended) - wall < 1
        assert Kept(site.data, recording).manifest("agent", 1)["end"] == "stopped"
        acts = (await site.office.ask("GET", "/agreements"))["acts"]
        assert [one["type"] for one in acts] == ["agreement", "rates", "suspend"]
        assert (acts[-1]["session"], acts[-1]["signed_by"]) == ("council", [])


async def narrowed(site, role, document, status):
    """Hand in another text of the agreement as a narrowing that this role alone signed."""
    current = await site.office.ask("GET", "/agreements/current")
    body = {"digest": load(document.encode()).digest, "narrows": current["digest"]}
    draft = {"type": "narrow", "agreement": await agreement(site), "body": body}
    act = (await site.office.ask("POST", "/acts/draft", draft))["act"]
    return await put(site, role, act, status, act=act, document=document)


async def test_what_one_party_may_and_may_not_alone_while_a_call_is_recorded(tmp_path):
    async with RunningSite(tmp_path, desks=2) as site:
        desk, other = site.desks
        talk = await site.recorded_call(desk)
        document = (await site.office.ask("GET", "/agreements"))["acts"][0]["document"].replace(
            "version: 1", "version: 2"
        )

        wider = {
            "another queue": ("queues: [service-strom]", "queues: [service-gas]"),
            "one queue left": ("excluded_queues: [gesundheit]", "excluded_queues: [gesundheit, service-wasser]"),
            "no access for agents": (
                "{role: agent, purposes: [coaching], release: none_needed}",
                "{role: coach, purposes: [coaching], release: agent_per_item, ttl: P7D}",
            ),
            "the council's powers": ('lower: "yes", suspend: "yes"', 'lower: "no", suspend: "yes"'),
        }
        for what, (old, new) in wider.items():
            assert old in document, what
            said = await narrowed(site, "employer", document.replace(old, new), 422)
            assert said["type"].endswith("not-permitted"), (what, said)

        lowered = await draft(site, "0")
        await put(site, "council", lowered, 200, document=lowered)
        for _ in range(3):  # from the next leg on: half of them would have been drawn; none of a frame is kept below
            made = await site.call(other)
            assert await site.is_drawn(other, made.ref) is False
            await made.hang_up()
        said = await site.explained(desk, talk.ref)
        assert said is not None and said["outcome"] == "recording"

        off = asyncio.create_task(watch_light(desk, talk.ref))
        sent, skew = both_speak(talk), time.time() - time.monotonic()
        end = (datetime.now(ZoneInfo("Europe/Berlin")) + timedelta(seconds=4)).replace(microsecond=0, tzinfo=None)
        today = document.replace('percent: "50"', 'percent: "0"')  # as the council's act has left it
        shorter = re.sub(r'  end: "[^"]*"', f'  end: "{end.isoformat()}"', today)
        await narrowed(site, "employer", shorter, 201)
        await asyncio.wait_for(off, 10)
        stopped = time.time()
        instant = end.replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
        assert -0.1 < stopped - instant < 1
        await goes_on(talk, sent, instant - skew)
        await talk.hang_up()
        assert (await site.outcome(desk, talk.ref))["reasons"] == ["OUTSIDE_VALIDITY"]
        (recording,) = await desk.client.recordings()
        assert await other.client.recordings() == []
        sides = dict(zip(("agent", "caller"), await site.opened(desk, talk.ref), strict=True))
        for side, frames in sent.items():
            last = frames.heard()[frames.kept(sides[side])[-1]]
            assert -LATE_S < last.at + skew - instant < 1
        assert all(-0.1 < moment(side["ended"]) - instant < 1 for side in recording["sides"])
        assert Kept(site.data, recording["id"]).manifest("caller", 1)["end"] == "stopped"


def first_act(shown):
    """The act that put the agreement into force, as anybody can write it from what is shown."""

    digest = load(shown["document"].encode()).digest
    body = {"v": 1, "type": "agreement", "agreement": shown["agreement"], "seq": 1, "prev": None}
    return canonical({**body, "body": {"digest": digest}}).decode()
