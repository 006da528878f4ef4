"""A caller who says no under an agreement that lets the agent's side be kept alone: kept, until the caller is in it."""

import asyncio
import re
from pathlib import Path

import numpy as np
import pytest

from api.listen import SideFile, open_side
from demo.agreement import REFUSE_KEY
from demo.correlate import find
from demo.g711 import RATE, encode
from demo.speech import speech
from demo.talk import THINK_S
from gateway.media.prompts.sounds import Catalogue
from tests.peers import short_question
from tests.peers.kept import Kept
from tests.peers.running_site import RunningSite, Talk, until
from tests.peers.system_calls import SystemCall, SystemCalls

pytestmark = pytest.mark.timeout(120)
QUESTION = "ask-side-en-2"
CALLER, AGENT = speech("caller"), speech("agent")
CLEAN_S = 6
LEAK_FOUND_S = 9.0
_IN_FILE = re.compile(r'[<"](/[^<>"]+)[>"]')


def one_sided(document: str) -> str:
    """The demo's agreement in a country that allows it, with the question that says so."""
    usual, this = short_question.QUESTION, Catalogue().sound(QUESTION)
    changes = {
        "jurisdiction: DE": "jurisdiction: NL",
        "mode: all_party": "mode: per_leg",
        "on_refusal: record_nothing": "on_refusal: agent_side",
        f"id: {usual.words.id}": f"id: {QUESTION}",
        usual.sha256: this.sha256,
    }
    for old, new in changes.items():
        assert document.count(old) == 1, old
        document = document.replace(old, new)
    return document


async def test_after_a_no_the_agent_s_side_is_kept_alone_until_the_caller_is_heard_in_it(tmp_path, program):
    program("strace")
    async with RunningSite(tmp_path, desks=2, agreed=one_sided) as site:
        site.prompt_end = Catalogue().samples(QUESTION)[-RATE:]
        kept, leaking = await asyncio.gather(*(site.drawn_call(desk) for desk in site.desks))
        await asyncio.gather(*(refuse(site, talk) for talk in (kept, leaking)))
        workers = [pid for name, pid in site.processes.items() if name.startswith("media")]
        async with SystemCalls(tmp_path / "strace.log", workers) as calls:
            await asyncio.gather(is_kept_alone(site, kept), is_destroyed(site, leaking))
        assert_only_the_agents_side_was_written(calls.seen(), site)


def assert_only_the_agents_side_was_written(seen: list[SystemCall], site: RunningSite) -> None:
    """Whatever file a media worker made or wrote to while two callers talked whose side isn't kept."""
    found = {Path(path) for call in seen if call.writes for path in _IN_FILE.findall(call.text)}
    files = {path.name for path in found if site.data in path.parents and path.suffix}
    assert "agent-1.header" in files and "agent-1.payload.part" in files
    assert all(name.startswith(("agent-1.", "worker-")) for name in files), files


async def refuse(site: RunningSite, talk: Talk) -> None:
    """The caller hears the question out and says no; returns once the agent's tap is open."""
    async with asyncio.timeout(40):
        await talk.caller.hears(site.prompt_end)
        await asyncio.sleep(THINK_S)
        talk.caller.press(REFUSE_KEY, ms=120)
        await talk.desk.light("recording_agent")
    await site.tapped(talk.desk, talk.ref)


async def is_kept_alone(site: RunningSite, talk: Talk) -> None:
    said = AGENT[: CLEAN_S * RATE]
    talk.caller.play(CALLER)
    await talk.agent.play(said).done.wait()
    await talk.hang_up()
    assert (await site.outcome(talk.desk, talk.ref))["outcome"] == "recorded"
    (recording,) = [one for one in await talk.desk.client.recordings() if one["call"] == talk.ref]
    assert [side["side"] for side in recording["sides"]] == ["agent"]
    files = Kept(site.data, recording["id"]).files
    assert files and all(path.name.startswith("agent-1.") for path in files)
    sealed = await talk.desk.client.fetch(recording["id"], "agent", 1)
    opened = open_side(SideFile("agent", 1, sealed), [talk.desk.keys.keys.identity]).samples
    assert find(said[RATE : 3 * RATE], opened).strength > 0.9
    assert find(CALLER[RATE : 2 * RATE], opened).strength < 0.3
    assert nowhere_in_the_clear(site, CALLER)


async def is_destroyed(site: RunningSite, talk: Talk) -> None:
    desk = talk.desk
    (recording,) = [one for one in await desk.client.recordings() if one["call"] == talk.ref]
    kept = Kept(site.data, recording["id"])
    talk.caller.play(CALLER)
    talk.agent.play(microphone(AGENT, CALLER, delay_ms=120, leak_db=-20))
    async with asyncio.timeout(LEAK_FOUND_S):
        await desk.light("off")
    said = await site.explained(desk, talk.ref)
    assert said is not None and said["reasons"][0] == "LEG_LEAK"

    async def gone() -> bool:
        return not kept.files

    await until(gone)
    assert len(talk.caller.heard) > 10 * RATE, "the call goes on"
    await talk.hang_up()
    told = await site.outcome(desk, talk.ref)
    assert (told["outcome"], told["reasons"]) == ("discarded", ["LEG_LEAK"])
    assert talk.ref not in {one["call"] for one in await desk.client.recordings()}


def microphone(agent: np.ndarray, caller: np.ndarray, *, delay_ms: int, leak_db: float) -> np.ndarray:
    """The agent's voice, and the caller's out of a loudspeaker."""
    echo = np.concatenate((np.zeros(delay_ms * RATE // 1000), caller)) * 10 ** (leak_db / 20)
    mixed = np.zeros(len(echo))
    mixed[: len(agent)] = agent[: len(mixed)]
    return np.clip(mixed + echo, -32768, 32767).astype(np.int16)


def nowhere_in_the_clear(site: RunningSite, samples: np.ndarray) -> bool:
    """No file of the site has a tenth of a second of this sound, as it was on the wire or decoded."""
    pieces = [samples[at : at + RATE // 10] for at in range(RATE, 3 * RATE, RATE // 2)]
    forms = [form for piece in pieces for form in (encode("PCMA", piece), encode("PCMU", piece), piece.tobytes())]
    files = [path for path in site.folder.rglob("*") if path.is_file()]
    return not any(form in path.read_bytes() for path in files for form in forms)
