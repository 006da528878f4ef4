"""A running site where nobody is drawn: what both want recorded is recorded, and opened by its agent."""

import asyncio
import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import numpy as np
import pytest
import pytest_asyncio

from api.agent_client import ClientProblem
from api.cli import main
from crypto import quorum
from crypto.x25519 import Identity, parse_identities
from demo.talk import THINK_S
from gateway.control.protocol import PageClosed, PageOpened
from gateway.media.prompts.sounds import Catalogue
from gateway.rtp.g711 import RATE
from policy.record_code import code_of, parse_code
from policy.terms import Lane, Purpose
from tests.peers.printed_code import print_code
from tests.peers.running_site import RunningSite, Talk, until
from tests.peers.short_question import QUESTION

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]
ASKED = {Lane.CUSTOMER_REQUEST: Catalogue().sound("ask-dispute-en-2"), Lane.AGENT_REQUEST: QUESTION}
ZONE = ZoneInfo("Europe/Berlin")
"""Of the demo's agreement."""
KEYS = 'consent_key: "1", refuse_key: "9", withdraw_code: "*9"'


def asked_for(document: str) -> str:
    """The demo's agreement with both lanes that can be asked for, and 1 % in place of its rates."""
    sound = ASKED[Lane.CUSTOMER_REQUEST]
    prompt = f'  prompts: [{{id: {sound.words.id}, language: en, sha256: "{sound.sha256}", {KEYS}}}, {{'
    wish = "  customer_request: {purpose: dispute, per_agent: {P1W: 2}}\n  agent_request: {purpose: coaching}\n"
    grounds = '  dispute: {legal_basis: "Art. 6(1)(a)", necessity: "a record", milder_means: ["a letter"]}\n'
    for old, new in (
        ("  prompts: [{", prompt),
        ("consent:\n", f"{wish}consent:\n"),
        ("prohibited:", f"{grounds}prohibited:"),
        ("evaluations:", "  - {role: quorum, purposes: [dispute], members: [dpo, council]}\nevaluations:"),
        ("evaluations:", "  - {role: coach, purposes: [dispute], release: agent_per_item, ttl: P7D}\nevaluations:"),
        ("purposes: [coaching], release", "purposes: [coaching, dispute], release"),
        ("coaching: P14D", "coaching: P14D, dispute: P90D"),
        ('percent: "50"', 'percent: "0.0001"'),
        ('percent: "20"', 'percent: "0.0001"'),
    ):
        assert old in document, old
        document = document.replace(old, new, 1)
    return document


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory):
    async with RunningSite(
        tmp_path_factory.mktemp("asked"), desks=1, agreed=asked_for, settings="[log]\npublish_s = 1"
    ) as running:
        yield running


async def requested(site: RunningSite, lane: Lane, key: str) -> Talk:
    """A call in which the agent pressed, and the caller heard the question out and pressed `key`."""
    desk = site.desks[0]
    talk = await site.call(desk)
    await desk.light("off")
    answer = await desk.client.request_record(talk.ref, lane)
    assert answer["lane"] == lane.value
    async with asyncio.timeout(30):
        await talk.caller.hears(ASKED[lane].samples[-RATE:])
        await asyncio.sleep(THINK_S)
        talk.caller.press(key, ms=120)
    return talk


@pytest.mark.parametrize("lane", ASKED)
async def test_what_both_want_is_recorded_and_its_agent_opens_it(site, lane, tmp_path, capsys):
    desk = site.desks[0]
    talk = await requested(site, lane, "1")
    async with asyncio.timeout(20):
        await desk.light("recording_both")
    await site.tapped(desk, talk.ref)
    code = await _read(site, talk) if lane is Lane.CUSTOMER_REQUEST else None
    spoken = Catalogue().samples("notice-nb-1")
    for end in (talk.caller, talk.agent):
        end.play(spoken)
    await asyncio.sleep(1.5)
    await talk.hang_up()
    told = await site.outcome(desk, talk.ref)
    assert (told["outcome"], told["reasons"], told["drawn"]) == ("recorded", [], False)
    left, right = await site.opened(desk, talk.ref)
    assert all(np.abs(side.astype(float)).max() > 500 for side in (left, right)), "both are heard"
    recording = next(one for one in await desk.client.recordings() if one["call"] == talk.ref)
    assert recording["lane"] == lane.value
    vault = sorted(path.suffix for path in (site.data / "vault").rglob(f"{recording['id']}/*"))
    assert vault.count(".quorum") == (2 if lane is Lane.CUSTOMER_REQUEST else 0)
    if code is not None:
        _open_together(site, recording["id"])
        await _case(site, recording["id"], code, tmp_path, capsys)
        await _find_again(site, recording["id"], code)


async def _read(site: RunningSite, talk: Talk) -> str:
    """The code as the agent's page shows it, once the caller heard its first digits."""
    agent = (await talk.desk.client.me())["id"]
    snapshot = (await site.command(PageOpened(agent, "another")))["snapshot"]
    await site.command(PageClosed(agent, "another"))
    code: str = snapshot["record_codes"][talk.ref]
    assert parse_code(code) == code
    await talk.desk.client.read_code(talk.ref)
    first = ("pause-900", f"digit-en-{code[0]}", "pause-200", f"digit-en-{code[1]}", "pause-200", f"digit-en-{code[2]}")
    async with asyncio.timeout(20):
        await talk.caller.hears(Catalogue().sequence(first)[RATE:])
    await talk.desk.client.stop_reading(talk.ref)
    return code


async def _find_again(site: RunningSite, recording: str, code: str) -> None:
    """By the code alone; it stands in no file of the site, and council and agent see what was fetched."""
    async with httpx.AsyncClient(base_url=f"{site.at.base_url}/v1", timeout=10) as caller:
        began = asyncio.get_running_loop().time()
        found = await caller.post("/records", json={"code": print_code(code)})
        assert asyncio.get_running_loop().time() - began < 2.0
        assert (found.json()["recording"], found.json()["purpose"]) == (recording, "dispute")
        assert [side["state"] for side in found.json()["sides"]] == ["kept", "kept"]
        assert (await caller.get(f"/records/{code_of(7)}")).status_code == 404
        assert (await caller.post("/records/erasure", json={"code": code})).status_code == 202
        again = (await caller.get(f"/records/{code}")).json()["sides"]
        assert [side["erase_at"] is None for side in again] == [True, False]
    for path in site.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert code.encode() not in data and print_code(code).encode() not in data, path.name


async def _case(site: RunningSite, recording: str, code: str, folder: Path, capsys: Any) -> None:
    """The caller's copy, by command line alone: officer holds, both fetch, council opens its part, officer listens."""
    (folder / "code").write_text(print_code(code))
    found = ("--code-file", folder / "code")
    for role in ("council", "dpo"):
        key = ("-k", site.folder / "keys" / f"{role}.sign", "--role", role)
        done = await _does(site, "export", "--out", folder / role, *key, *found, capsys=capsys)
        assert len(done["files"]) == 5
    assert await run("quorum", folder / "council", "-i", site.folder / "keys" / "council.key") == 0
    for inner in (folder / "council").glob("*.inner"):
        inner.rename(folder / "dpo" / inner.name)
    heard = ("listen", folder / "dpo", "-i", site.folder / "keys" / "dpo.key", "--out", folder / "copy.wav")
    assert await run(*heard) == 0 and (folder / "copy.wav").stat().st_size > 10_000
    officer = ("-k", site.folder / "keys" / "dpo.sign")
    held = await _does(site, "hold", recording, "--reason", "a case", *officer, capsys=capsys)
    record = await _does(site, "export", "--out", folder / "caller", *found, capsys=capsys)
    assert record["files"] == ["record.json"]
    there = datetime.fromisoformat(held["until"]).astimezone(ZONE).date().isoformat()
    assert json.loads((folder / "caller" / "record.json").read_text())["held_until"] == there
    await _does(site, "unhold", recording, *officer, capsys=capsys)


async def _does(site: RunningSite, *words: object, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What a command told; nothing went wrong."""
    capsys.readouterr()
    assert await run(*words, "--api", site.at.base_url, "--json") == 0, capsys.readouterr().err
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    return said


async def run(*words: object) -> int:
    """A command's return code."""
    return await asyncio.to_thread(main, [str(word) for word in words])


def _open_together(site: RunningSite, recording: str) -> None:
    """Council and data-protection officer, each with their own key."""
    (place,) = (site.data / "vault").glob(f"*/{recording}")
    keys = {role: _identity(site, role) for role in ("council", "dpo")}
    inner = quorum.open_outer((place / "caller-1.quorum").read_bytes(), [keys["council"]])
    assert len(quorum.open_inner(inner, [keys["dpo"]], (place / "caller-1.header").read_bytes())) == 16


def _identity(site: RunningSite, role: str) -> Identity:
    return parse_identities((site.folder / "keys" / f"{role}.key").read_text())[0]


async def test_a_coach_hears_what_the_agent_released_until_it_is_taken_back(site, tmp_path, capsys):
    """By the command line alone, each with their own keys."""
    desk, folder = site.desks[0], site.folder / "keys"
    recording = next(one["id"] for one in await desk.client.recordings() if one["lane"] == "customer_request")
    made = await site.office.ask("POST", "/coaches", {"name": "Carla Coach"})
    carla, ada = Person(site, "carla", "the coach's password"), Person(site, desk.keys.name, site.passwords[0])
    await run("keygen", folder / "carla")
    enrolled = await carla.does("enrol", made["code"], "-k", folder / "carla.sign", capsys=capsys)
    assert enrolled["role"] == "coach"
    await until(lambda: published(desk, made["coach"]))

    told = ["release", recording, "-k", desk.keys.signing_file, "--to", made["coach"], "--words"]
    assert await ada.fails(*told, "some other words", capsys=capsys) == 1
    release = await ada.does(*told, enrolled["words"], capsys=capsys)
    heard = await carla.does("listen", recording, "--out", tmp_path / "heard.wav", capsys=capsys)
    own = await ada.does("listen", recording, "--out", tmp_path / "own.wav", capsys=capsys)
    assert heard["sides"] == own["sides"] and len(heard["sides"]) == 2
    assert (tmp_path / "heard.wav").read_bytes() == (tmp_path / "own.wav").read_bytes()
    seen = {(one["role"], one["name"], one["purpose"]) for one in await desk.client.accesses(recording)}
    together = {(role, None, "dispute") for role in ("council", "dpo")}
    assert seen == {("coach", "Carla Coach", "dispute"), *together}

    await ada.does("release", recording, "-k", desk.keys.signing_file, "--revoke", release["release"], capsys=capsys)
    assert await carla.fails("listen", recording, "--out", tmp_path / "again.wav", capsys=capsys) == 1
    assert not list((site.data / "vault").rglob("releases")) and not (tmp_path / "again.wav").exists()
    shown = await ada.does("release", recording, "-k", desk.keys.signing_file, capsys=capsys)
    assert [one["revoked_at"] is None for one in shown["releases"]] == [False]
    assert Counter(one["role"] for one in shown["accesses"]) == {"council": 4, "dpo": 4, "coach": 2}


async def test_an_agent_takes_all_of_it_along_and_has_the_own_side_erased(site, tmp_path, capsys):
    desk = site.desks[0]
    (tmp_path / "password").write_text(site.passwords[0])
    ada = ("--login", desk.keys.name, "--password-file", tmp_path / "password")
    own = {one["lane"]: one["id"] for one in await desk.client.recordings()}
    done = await _does(site, "export", "--out", tmp_path / "all", *ada, capsys=capsys)
    for recording in own.values():
        assert f"{recording}/{recording}-agent-1.age" in done["files"]
        assert await run("verify-recording", tmp_path / "all" / recording, "-i", desk.keys.identity_file) == 0
    told = json.loads((tmp_path / "all" / "recordings.json").read_text())
    assert {one["id"] for one in told} == set(own.values())
    asked = await _does(site, "erase", own["agent_request"], *ada, capsys=capsys)
    assert asked["erase_at"] > told[0]["started"]


async def published(desk, coach: str) -> bool:
    """Whether the coach's key stands in the published log."""
    return any(one["id"] == coach and one["key"]["entry"]["proof"] for one in await desk.client.coaches())


class Person:
    """Somebody at a shell of their own machine."""

    def __init__(self, site: RunningSite, name: str, password: str) -> None:
        self._keys = site.folder / "keys"
        secret = self._keys / f"{name}.password"
        secret.write_text(password)
        self._at = ("-i", self._keys / f"{name}.key", "--login", name, "--password-file", secret)
        self._site = site

    async def does(self, *words: object, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
        """Its result; nothing went wrong."""
        return await _does(self._site, *words, *self._at, capsys=capsys)

    async def fails(self, *words: object, capsys: pytest.CaptureFixture[str]) -> int:
        """Its return code; one line says why."""
        capsys.readouterr()
        code = await run(*words, *self._at, "--api", self._site.at.base_url)
        assert len(capsys.readouterr().err.splitlines()) == 1
        return code


async def test_a_caller_who_says_no_is_not_recorded_and_the_call_goes_on(site):
    desk = site.desks[0]
    talk = await requested(site, Lane.CUSTOMER_REQUEST, "9")

    async def refused() -> bool:
        said = await site.explained(desk, talk.ref)
        return said is not None and said["reasons"] == ["CALLER_REFUSED"]

    await until(refused)
    with pytest.raises(ClientProblem) as problem:
        await desk.client.request_record(talk.ref)
    assert problem.value.code == "caller-refused"
    await desk.client.answer_in_call(talk.ref, Purpose.COACHING, "no")
    await talk.hang_up()
    assert (await site.outcome(desk, talk.ref))["outcome"] == "not_recorded"
    assert not [one for one in await desk.client.recordings() if one["call"] == talk.ref]


async def test_the_third_of_a_week_is_refused_before_anybody_is_asked(site):
    desk = site.desks[0]
    talk = await site.call(desk)
    with pytest.raises(ClientProblem) as problem:
        await desk.client.request_record(talk.ref)
    assert (problem.value.code, problem.value.status) == ("agent-cap", 409)
    await talk.hang_up()
