"""Coaches and releases over HTTP: who gets in, what each is told, and that an agent's client checks before it signs."""

import base64
import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.agent_client import AgentClient
from api.coach_client import CoachClient
from api.keyed_client import ClientKeys
from api.reads import CoachRow, RecordingRow, SideRow
from api.releasing import CoachDoubt
from api.roles import Role
from api.site_client import ClientProblem
from crypto import age
from crypto.ssh_key import SigningKey
from crypto.sshsig import verify
from gateway.clock import SystemClock
from gateway.control.protocol import (
    AddCoach,
    DisableCoach,
    EnrolCoach,
    FetchReleased,
    Refusal,
    ReleaseRecording,
    RevokeRelease,
)
from policy.key_words import key_words
from policy.release import RELEASE_NAMESPACE, parse_release
from policy.statements import ENROLMENT_NAMESPACE
from policy.terms import Side
from tests.peers.api_server import RunningApi, running_api
from tests.peers.shown_coach import COACH, GATEWAY, enrolled

REC, RELEASE = "ab" * 16, "ef" * 16
PASSWORD = "a long enough password"
UNTIL = datetime(2027, 3, 8, 9, 30, tzinfo=UTC)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with running_api(tmp_path) as running:
        yield running


async def session(api: RunningApi, role: Role, person: str | None = None) -> httpx.AsyncClient:
    http = api.http()
    http.cookies.set("fairtap_session", (await api.services.accounts.open_session(role, person)).secret)
    return http


# --- getting in ------------------------------------------------------------------------------------------------------


async def test_council_lets_a_coach_in_and_the_coach_alone_binds_keys(api: RunningApi) -> None:
    api.gateway.answers["add_coach"] = {"id": COACH}
    api.gateway.answers["enrol_coach"] = {"key_seq": 1}
    api.gateway.answers["released_to"] = {"releases": []}
    api.site.taught[COACH] = CoachRow(COACH, "Carla Coach")
    async with await session(api, Role.COUNCIL) as http:
        made = (await http.post("/v1/coaches", json={"name": "Carla Coach"})).json()
    assert api.gateway.of(AddCoach) == [AddCoach("Carla Coach")]
    keys = ClientKeys.generate()
    async with api.http() as http:
        coach = CoachClient(http, keys, SystemClock())
        await coach.enrol(made["code"], "carla", PASSWORD)
        (told,) = api.gateway.of(EnrolCoach)
        assert (told.coach, told.signing_key) == (COACH, str(keys.signing.verify_key))
        verify(keys.signing.verify_key, ENROLMENT_NAMESPACE, told.statement.document.encode(), told.statement.signature)
        assert await coach.released() == []
        with pytest.raises(ClientProblem):
            await coach.spend(made["code"])
    async with api.http() as http:
        again = CoachClient(http, keys, SystemClock())
        await again.sign_in("carla", PASSWORD)
        me = await again.me()
        assert (me["id"], me["role"], me["name"]) == (COACH, "coach", "Carla Coach")
        assert (await http.get("/v1/agents/me")).status_code == 403
        async with await session(api, Role.DPO) as officer:
            assert (await officer.delete(f"/v1/coaches/{COACH}")).status_code == 204
        assert (await http.get("/v1/coaches/me")).status_code == 401, "signed out by that"
    assert api.gateway.of(DisableCoach) == [DisableCoach(COACH)]


async def test_an_agent_s_code_makes_no_coach_and_a_coach_s_no_agent(api: RunningApi) -> None:
    agent = api.site.add("Ada")
    api.site.taught[COACH] = CoachRow(COACH, "Carla Coach")
    accounts = api.services.accounts
    for code, wrong in (
        ((await accounts.create_code(agent, Role.COUNCIL))[0], "/v1/coaches/me/enrolment"),
        ((await accounts.admit_coach(COACH, Role.DPO))[0], "/v1/agents/me/enrolment"),
    ):
        async with api.http() as http:
            assert (await http.post("/v1/session", json={"code": code})).status_code == 201
            body = {
                "login": "somebody", "password": PASSWORD, "signing_key": "ssh-ed25519 x",
                "statement": {"document": "{}", "signature": "-"},
            }  # fmt: skip
            assert (await http.post(wrong, json=body)).status_code == 403
    assert api.gateway.of(EnrolCoach) == []


# --- the agent's client ----------------------------------------------------------------------------------------------


async def releasing(api: RunningApi, keys: ClientKeys, coach: CoachRow) -> AgentClient:
    agent = api.site.add("Ada")
    sides = [SideRow(side, 1, "sealed") for side in ("agent", "caller")]
    row = RecordingRow(REC, agent, "c", "sample", "coaching", "2026-03-02T09:00:00Z", None, "kept", None, sides)
    api.site.recorded.append(row)
    for side in ("agent", "caller"):
        api.site.objects[(REC, side, 1, "age")] = age.encrypt(side.encode(), [keys.identity.recipient])
    api.site.taught[COACH] = coach
    api.gateway.answers["release_recording"] = {"release": RELEASE, "until": "-", "evaluations_left": 9}
    http = await session(api, Role.AGENT, agent)
    return AgentClient(http, keys, SystemClock())


async def test_the_client_wraps_the_file_key_for_the_coach_that_the_log_names(api: RunningApi) -> None:
    keys, teacher = ClientKeys.generate(), ClientKeys.generate()
    agent = await releasing(api, keys, enrolled(teacher))
    coach = await agent.coach(COACH, GATEWAY.verify_key)
    assert (coach.name, coach.words) == ("Carla Coach", key_words(str(teacher.identity.recipient)))
    await agent.release(REC, coach, UNTIL)
    (asked,) = api.gateway.of(ReleaseRecording)
    assert len(asked.sides) == 2 and asked.recording == REC
    for side, one in zip(Side, asked.sides, strict=True):
        document = one.statement.document.encode()
        verify(keys.signing.verify_key, RELEASE_NAMESPACE, document, one.statement.signature)
        said = parse_release(document)
        assert (said.side, said.to, said.purpose, said.until) == (side, COACH, "coaching", "2027-03-08T09:30:00Z")
        header = base64.b64decode(one.header)
        payload = bytes(age.split_header(api.site.objects[(REC, side.value, 1, "age")])[1])
        assert age.decrypt(header + payload, [teacher.identity]) == side.value.encode()
    api.site.recorded[0] = dataclasses.replace(api.site.recorded[0], keep_until="2027-01-01T00:00:00Z")
    await agent.release(REC, coach, UNTIL)
    newest = parse_release(api.gateway.of(ReleaseRecording)[-1].sides[0].statement.document.encode())
    assert newest.until == "2027-01-01T00:00:00Z", "no longer than the recording is kept"


def lied(row: CoachRow, **changes: Any) -> CoachRow:
    assert row.key is not None
    return dataclasses.replace(row, key=dataclasses.replace(row.key, **changes))


@pytest.mark.parametrize("lie", ["key", "told", "proof", "entry", "statement", "id", "unpublished", "log"])
async def test_a_key_that_the_log_doesn_t_prove_is_never_released_to(api: RunningApi, lie: str) -> None:
    keys, teacher, thief = (ClientKeys.generate() for _ in range(3))
    honest, other = enrolled(teacher), enrolled(thief)
    assert honest.key is not None and other.key is not None
    stolen = str(thief.identity.recipient)
    shown = {
        "key": lied(honest, recipient=stolen),
        "told": lied(honest, recipient=stolen, told=other.key.told, statement=other.key.statement),
        "proof": lied(other, entry=dataclasses.replace(other.key.entry, proof=honest.key.entry.proof)),
        "entry": lied(honest, entry=dataclasses.replace(honest.key.entry, entry='{"v":1}')),
        "statement": lied(honest, signature=other.key.signature),
        "id": dataclasses.replace(honest, id="9" * 32),
        "unpublished": enrolled(teacher, published=False),
        "log": honest,
    }[lie]
    agent = await releasing(api, keys, shown)
    gateway = SigningKey.generate() if lie == "log" else GATEWAY
    with pytest.raises(CoachDoubt):
        await agent.coach(shown.id, gateway.verify_key)


async def test_a_release_is_taken_back_without_any_key(api: RunningApi) -> None:
    async with await session(api, Role.AGENT, agent := api.site.add("Ada")) as http:
        assert (await http.delete(f"/v1/recordings/{REC}/releases/{RELEASE}")).status_code == 204
    assert api.gateway.of(RevokeRelease) == [RevokeRelease(agent, REC, RELEASE)]


# --- the coach -------------------------------------------------------------------------------------------------------


async def test_a_coach_gets_what_the_gateway_noted_and_nothing_of_the_agent_s_own(api: RunningApi) -> None:
    shown = {"id": RELEASE, "recording": REC, "purpose": "coaching", "day": "2026-03-02"}
    shown["until"] = "2026-03-08T09:30:00Z"
    api.gateway.answers["released_to"] = {"releases": [{**shown, "sides": [{"side": "agent", "seg": 1}]}]}
    api.gateway.answers["fetch_released"] = {"release": RELEASE}
    api.site.objects[(REC, "agent", 1, "age")] = b"for the agent"
    api.site.objects[(REC, "agent", 1, f"released to {RELEASE}")] = b"for the coach"
    async with await session(api, Role.COACH, COACH) as http:
        page = (await http.get("/v1/recordings")).json()
        one = (await http.get(f"/v1/recordings/{REC}")).json()
        assert page == {"items": [one], "next": None}
        assert one == {
            "id": REC, "release": RELEASE, "purpose": "coaching", "day": "2026-03-02",
            "until": "2026-03-08T09:30:00Z", "sides": [{"side": "agent", "seg": 1}],
        }  # fmt: skip
        assert (await http.get(f"/v1/recordings/{'9' * 32}")).status_code == 403
        path = f"/v1/recordings/{REC}/sides/agent/1.age"
        assert (await http.get(path)).content == b"for the coach"
        assert (await http.get(path, params={"purpose": "dispute"})).status_code == 200
        assert api.gateway.of(FetchReleased)[-1].purpose == "dispute", "the gateway judges it"
        api.gateway.answers["fetch_released"] = Refusal("egress_limit", "no more than 20", 429)
        refused = await http.get(path)
        assert (refused.status_code, refused.json()["type"]) == (429, "urn:fairtap:problem:egress-limit")
        for kind in ("manifest.json", "manifest.sig", "opening", "quorum"):
            assert (await http.get(f"/v1/recordings/{REC}/sides/agent/1.{kind}")).status_code == 403
