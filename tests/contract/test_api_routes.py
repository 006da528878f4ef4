"""Who reaches which route, what each hands to the gateway, and that whatever is sent gets one declared answer."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.reads import CoachRow, RecordingRow, SideRow
from api.roles import COACHES, Role
from gateway.control.protocol import (
    AddAgents,
    ClaimSeat,
    ConsentInCall,
    DisableAgent,
    DraftAct,
    Explain,
    PauseCall,
    PostAct,
    Refusal,
    ReleaseRecording,
    SetConsent,
    StopRecording,
    SuspendRecording,
)
from policy.acts import Act, ActType, Rates
from tests.peers.api_server import RunningApi, running_api

HEX = "ab" * 16
STATEMENT = {"document": "{}", "signature": "-"}
ACTS = (SetConsent, ConsentInCall, ClaimSeat, ReleaseRecording)

MACHINES = {Role.PBX, Role.IVR}
# route → roles that reach it; everybody else is refused before the gateway hears of it
MATRIX: dict[tuple[str, str], set[Role]] = {
    ("GET", "/v1/agents"): {Role.ADMIN, Role.COUNCIL, Role.DPO},
    ("POST", "/v1/agents"): {Role.ADMIN},
    ("DELETE", "/v1/agents/{agent}"): {Role.ADMIN},
    ("POST", "/v1/agents/{agent}/codes"): {Role.COUNCIL, Role.DPO},
    ("GET", "/v1/agents/me"): {Role.AGENT, Role.ENROLLING},
    ("GET", "/v1/agents/me/entries"): {Role.AGENT},
    ("GET", "/v1/agents/me/draws"): {Role.AGENT},
    ("POST", "/v1/agents/me/enrolment"): {Role.ENROLLING},
    ("PUT", "/v1/agents/me/consents/{purpose}"): {Role.AGENT},
    ("PUT", "/v1/agents/me/seat"): {Role.AGENT},
    ("DELETE", "/v1/agents/me/seat"): {Role.AGENT},
    ("PUT", "/v1/agents/me/blackout"): {Role.AGENT},
    ("GET", "/v1/agents/me/live"): {Role.AGENT},
    ("POST", "/v1/agents/me/live/ack"): {Role.AGENT},
    ("POST", "/v1/agents/me/calls/{call}/stop"): {Role.AGENT},
    ("POST", "/v1/agents/me/calls/{call}/caller-refused"): {Role.AGENT},
    ("POST", "/v1/agents/me/calls/{call}/caller-agreed"): {Role.AGENT},
    ("POST", "/v1/agents/me/calls/{call}/consent"): {Role.AGENT},
    ("POST", "/v1/agents/me/calls/{call}/request-record"): {Role.AGENT},
    ("POST", "/v1/agents/me/calls/{call}/read-code"): {Role.AGENT},
    ("DELETE", "/v1/agents/me/calls/{call}/read-code"): {Role.AGENT},
    ("GET", "/v1/calls"): {Role.ADMIN, Role.PBX},
    ("GET", "/v1/calls/{call}/explain"): {Role.AGENT, Role.ADMIN, Role.COUNCIL},
    ("POST", "/v1/calls/{call}/agent"): {Role.PBX},
    ("POST", "/v1/calls/{call}/consent"): {Role.IVR},
    ("POST", "/v1/ivrs"): {Role.COUNCIL, Role.DPO},
    ("POST", "/v1/calls/{call}/pause"): {Role.AGENT, Role.PBX},
    ("POST", "/v1/calls/{call}/resume"): {Role.AGENT, Role.PBX},
    ("GET", "/v1/agreements/current"): set(Role) - MACHINES,
    ("POST", "/v1/agreements/check"): set(Role) - MACHINES,
    ("POST", "/v1/agreements/dry-run"): set(Role) - MACHINES,
    ("GET", "/v1/agreements"): set(Role) - MACHINES,
    ("GET", "/v1/announcements"): set(Role) - MACHINES,
    ("GET", "/v1/announcements/{sound}/audio"): set(Role) - MACHINES,
    ("GET", "/v1/acts"): {Role.COUNCIL, Role.EMPLOYER, Role.DPO, Role.ADMIN},
    ("POST", "/v1/acts"): {Role.COUNCIL, Role.EMPLOYER, Role.DPO, Role.ADMIN},
    ("POST", "/v1/acts/draft"): {Role.COUNCIL, Role.EMPLOYER, Role.DPO, Role.ADMIN},
    ("GET", "/v1/agreements/{agreement}/rates/draft"): {Role.COUNCIL, Role.EMPLOYER, Role.DPO, Role.ADMIN},
    ("PUT", "/v1/agreements/{agreement}/rates"): {Role.COUNCIL, Role.EMPLOYER, Role.DPO, Role.ADMIN},
    ("POST", "/v1/agreements/{agreement}/suspend"): {Role.COUNCIL, Role.EMPLOYER},
    ("GET", "/v1/coaches"): {Role.AGENT, Role.COUNCIL, Role.DPO},
    ("POST", "/v1/coaches"): {Role.COUNCIL, Role.DPO},
    ("GET", "/v1/coaches/me"): {Role.COACH, Role.COACH_ENROLLING},
    ("POST", "/v1/coaches/me/enrolment"): {Role.COACH_ENROLLING},
    ("POST", "/v1/coaches/{coach}/codes"): {Role.COUNCIL, Role.DPO},
    ("DELETE", "/v1/coaches/{coach}"): {Role.COUNCIL, Role.DPO},
    ("GET", "/v1/recordings"): {Role.AGENT, Role.COACH},
    ("GET", "/v1/recordings/{recording}"): {Role.AGENT, Role.COACH},
    ("GET", "/v1/recordings/{recording}/sides/{side}/{seg}.age"): {Role.AGENT, Role.COACH, Role.COUNCIL, Role.DPO},
    ("GET", "/v1/recordings/{recording}/releases"): {Role.AGENT},
    ("POST", "/v1/recordings/{recording}/releases"): {Role.AGENT},
    ("DELETE", "/v1/recordings/{recording}/releases/{release}"): {Role.AGENT},
    ("GET", "/v1/recordings/{recording}/sides/{side}/{seg}.quorum"): {Role.COUNCIL, Role.DPO},
    ("GET", "/v1/recordings/{recording}/accesses"): {Role.AGENT},
    ("DELETE", "/v1/recordings/{recording}/sides/{side}"): {Role.AGENT},
    ("POST", "/v1/recordings/{recording}/hold"): {Role.AGENT, Role.DPO},
    ("DELETE", "/v1/recordings/{recording}/hold"): {Role.AGENT, Role.DPO},
    ("GET", "/v1/recordings/{recording}/sides/{side}/{seg}.manifest.json"): {Role.AGENT},
    ("GET", "/v1/recordings/{recording}/sides/{side}/{seg}.manifest.sig"): {Role.AGENT},
    ("GET", "/v1/recordings/{recording}/sides/{side}/{seg}.opening"): {Role.AGENT},
    ("GET", "/v1/statistics"): {Role.COUNCIL, Role.EMPLOYER, Role.DPO},
    ("GET", "/v1/log"): {Role.AGENT, Role.COUNCIL, Role.DPO},
    ("GET", "/v1/log/{site}/fairtap/{block}/checkpoint"): {Role.AGENT, Role.COUNCIL, Role.DPO},
    ("GET", "/v1/log/{site}/fairtap/{block}/tile/{path}"): {Role.AGENT, Role.COUNCIL, Role.DPO},
    ("GET", "/v1/epochs"): {Role.COUNCIL},
    ("GET", "/v1/epochs/{epoch}/roster"): {Role.COUNCIL},
    ("GET", "/v1/epochs/{epoch}/openings"): {Role.COUNCIL},
    ("GET", "/v1/epochs/{epoch}/inventory"): {Role.COUNCIL},
    ("POST", "/v1/epochs/{epoch}/commitment"): {Role.COUNCIL},
    ("POST", "/v1/epochs/{epoch}/share"): {Role.COUNCIL},
    ("POST", "/v1/log/cosignatures"): {Role.COUNCIL},
    ("GET", "/v1/status"): {Role.ADMIN},
    ("GET", "/v1/session"): set(Role),
}
OPEN = {("GET", "/v1/session/challenge"), ("POST", "/v1/session"), ("DELETE", "/v1/session")}
OPEN |= {("GET", "/v1/records/{code}"), ("POST", "/v1/records"), ("POST", "/v1/records/erasure")}
OPEN |= {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics")}
BODIES: dict[str, Any] = {
    "/v1/agents": {"agents": [{"name": "Bo", "group": "team-a", "site": "hamburg"}]},
    "/v1/agents/me/consents/{purpose}": {"answer": "yes", "statement": STATEMENT},
    "/v1/agents/me/seat": {"statement": STATEMENT},
    "/v1/agents/me/blackout": {"on": True},
    "/v1/agents/me/live/ack": {"call": "c", "seq": 1, "state": "asking", "nonce": "n", "shown": "visible"},
    "/v1/calls/{call}/agent": {"extension": "200"},
    "/v1/calls/{call}/consent": {"purpose": "coaching", "answer": "no"},
    "/v1/ivrs": {"name": "front"},
    "/v1/recordings/{recording}/hold": {"reason": "case 7", "until": "2026-04-01T00:00:00Z"},
    "/v1/agents/me/calls/{call}/caller-agreed": {"purpose": "coaching", "statement": STATEMENT},
    "/v1/agents/me/calls/{call}/consent": {"purpose": "coaching", "answer": "yes", "statement": STATEMENT},
    "/v1/agents/me/calls/{call}/request-record": {"lane": "agent_request", "statement": STATEMENT},
    "/v1/agreements/check": {"document": "x"},
    "/v1/agreements/dry-run": {"document": "x"},
    "/v1/epochs/{epoch}/commitment": {"c": "0" * 64, "csig": "-"},
    "/v1/epochs/{epoch}/share": {"share": "0" * 64},
    "/v1/log/cosignatures": {"note": "-"},
    "/v1/acts/draft": {"type": "suspend", "agreement": "bv-nord", "body": {}},
    "/v1/agreements/{agreement}/rates": {"document": "{}", "signatures": {"council": "-"}},
    "/v1/acts": {"document": "x", "act": "{}", "signatures": {"council": "-"}},
    "/v1/coaches": {"name": "Carla Coach"},
    "/v1/recordings/{recording}/releases": {"sides": [{"statement": STATEMENT, "header": "-"}]},
    "/v1/coaches/me/enrolment": {
        "login": "carla", "password": "a long enough password", "signing_key": "ssh-ed25519 x", "statement": STATEMENT,
    },
    "/v1/agents/me/enrolment": {
        "login": "ada", "password": "a long enough password", "signing_key": "ssh-ed25519 x", "statement": STATEMENT,
    },
}  # fmt: skip


def answer_as_a_gateway(running: RunningApi) -> None:
    """Where an answer has members that must be there."""
    running.gateway.answers["running_calls"] = {
        "calls": [{"call": "c1", "since": "2026-03-02T09:00:00Z", "queue": "q"}]
    }
    running.gateway.answers["fetch_announcement"] = {"wav": ""}
    running.gateway.answers["recording_accesses"] = {"accesses": []}
    running.gateway.answers["recording_releases"] = {"releases": []}
    shown = {"id": HEX, "recording": HEX, "purpose": "coaching", "day": "2026-03-02", "until": "2026-03-08T09:30:00Z"}
    running.gateway.answers["released_to"] = {"releases": [{**shown, "sides": [{"side": "agent", "seg": 1}]}]}
    running.gateway.answers["fetch_released"] = {"release": HEX}
    running.gateway.answers["add_coach"] = {"id": HEX}
    running.gateway.answers["release_recording"] = {
        "release": HEX, "until": "2026-03-08T09:30:00Z", "evaluations_left": 9,
    }  # fmt: skip
    for kind in ("find_record", "erase_by_code", "erase_own_side"):
        running.gateway.answers[kind] = Refusal("record_unknown", "no record has this code", 404)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with running_api(tmp_path) as running:
        answer_as_a_gateway(running)
        yield running


async def client_of(api: RunningApi, role: Role, agent: str | None = None) -> httpx.AsyncClient:
    accounts = api.services.accounts
    http = api.http()
    if role in (Role.ADMIN, Role.PBX):
        http.headers["Authorization"] = f"Bearer {await accounts.create_token(role, 'test')}"
        return http
    if role is Role.IVR:
        http.headers["Authorization"] = f"Bearer {await accounts.register_ivr('front')}"
        return http
    if role in (Role.AGENT, Role.ENROLLING):
        agent = agent or api.site.add("Ada")
    if role in COACHES:
        agent = HEX
        api.site.taught[HEX] = CoachRow(HEX, "Carla Coach")
    http.cookies.set("fairtap_session", (await accounts.open_session(role, agent)).secret)
    return http


def filled(path: str) -> str:
    values = {"agent": HEX, "recording": HEX, "call": "call-1", "purpose": "coaching", "side": "agent", "seg": "1"}
    values |= {"coach": HEX, "release": HEX, "agreement": "bv-nord", "code": "0", "epoch": "2026-W10"}
    values |= {"sound": "ask-de-2", "site": "hamburg", "block": "2026-40", "path": "0/000"}
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], path)


async def ask(http: httpx.AsyncClient, method: str, path: str) -> int:
    async with http.stream(method, filled(path), json=BODIES.get(path) if method != "GET" else None) as answer:
        if answer.status_code >= 400:
            await answer.aread()
            is_problem(answer)
        return answer.status_code


def is_problem(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == answer.status_code and body["type"].startswith("urn:fairtap:problem:") and body["detail"]
    return body


async def test_every_route_stands_in_the_matrix(api: RunningApi) -> None:
    async with api.http() as http:
        document = (await http.get("/v1/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    routes = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert routes == set(MATRIX) | OPEN


@pytest.mark.parametrize("role", Role)
async def test_each_role_reaches_its_routes_and_no_other(api: RunningApi, role: Role) -> None:
    for (method, path), roles in MATRIX.items():
        async with await client_of(api, role) as http:
            status = await ask(http, method, path)
        assert (status in (401, 403)) == (role not in roles), (method, path, status)


async def test_nobody_signed_in_reaches_nothing(api: RunningApi) -> None:
    async with api.http() as http:
        for method, path in MATRIX:
            assert await ask(http, method, path) == 401, path
        http.headers["Authorization"] = "Basic eDp5"
        assert await ask(http, "GET", "/v1/agents") == 401


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.AGENT}))
async def test_no_route_writes_an_agents_yes_without_that_agents_own_session(api: RunningApi, role: Role) -> None:
    """Over every operation there is, with every body that is known to be accepted."""
    agent = api.site.add("Ada")
    async with api.http() as http:
        document = (await http.get("/v1/openapi.json")).json()
    for path, methods in document["paths"].items():
        for method in methods:
            if not path.endswith("/live"):
                async with await client_of(api, role, agent if role is Role.ENROLLING else None) as http:
                    await http.request(method.upper(), filled(path).replace(HEX, agent), json=BODIES.get(path))
    assert [command for command in api.gateway.commands if isinstance(command, ACTS)] == []


async def test_an_agents_session_speaks_for_that_agent_only(api: RunningApi) -> None:
    agent = api.site.add("Ada")
    async with await client_of(api, Role.AGENT, agent) as http:
        for (method, path), roles in MATRIX.items():
            if Role.AGENT in roles and not path.endswith("/live"):
                await ask(http, method, path)
    named = {getattr(command, "agent", agent) for command in api.gateway.commands}
    assert named == {agent}
    assert {command.by for command in api.gateway.of(PauseCall)} == {f"agent:{agent}"}
    assert api.gateway.of(Explain)[0].agent == agent


async def test_a_yes_needs_a_statement_and_a_no_carries_none(api: RunningApi) -> None:
    async with await client_of(api, Role.AGENT) as http:
        path = "/v1/agents/me/consents/coaching"
        assert is_problem(await http.put(path, json={"answer": "yes"}))["type"].endswith("statement-needed")
        assert (await http.put(path, json={"answer": "no", "statement": STATEMENT})).status_code == 200
        call = "/v1/agents/me/calls/call-1/consent"
        assert (await http.post(call, json={"purpose": "coaching", "answer": "yes"})).status_code == 422
        assert (await http.post(call, json={"purpose": "coaching", "answer": "no"})).status_code == 200
    assert [(one.answer, one.statement) for one in api.gateway.of(SetConsent)] == [("no", None)]
    assert [(one.answer, one.statement) for one in api.gateway.of(ConsentInCall)] == [("no", None)]


async def test_what_the_gateway_refuses_is_told_with_its_code_and_status(api: RunningApi) -> None:
    api.gateway.answers["stop_recording"] = Refusal("CALL_UNKNOWN", "no such call", 404)
    async with await client_of(api, Role.AGENT) as http:
        body = is_problem(await http.post("/v1/agents/me/calls/call-1/stop"))
        assert (body["type"], body["status"], body["detail"]) == (
            "urn:fairtap:problem:call-unknown",
            404,
            "no such call",
        )
        api.gateway.silent.add("caller_refused")
        assert is_problem(await http.post("/v1/agents/me/calls/call-1/caller-refused"))["status"] == 504


async def test_nothing_is_queued_while_the_gateway_is_away(api: RunningApi) -> None:
    async with await client_of(api, Role.AGENT) as http:
        await api.gateway.stop()
        answer = await http.post("/v1/agents/me/calls/call-1/stop")
        while answer.status_code == 504:  # on its way when the connection broke
            answer = await http.post("/v1/agents/me/calls/call-1/stop")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert (await http.get("/readyz")).status_code == 503
        assert (await http.get("/healthz")).status_code == 200
        api.gateway.commands.clear()
        await api.gateway.start()
        while (await http.get("/readyz")).status_code != 200:
            pass
        assert api.gateway.of(StopRecording) == []


async def test_the_same_idempotency_key_does_a_thing_once(api: RunningApi) -> None:
    api.gateway.answers["add_agents"] = {"agents": [{"id": HEX, "name": "Bo"}]}
    async with await client_of(api, Role.ADMIN) as http, await client_of(api, Role.ADMIN) as other:
        key = {"Idempotency-Key": "k1"}
        first = await http.post("/v1/agents", json=BODIES["/v1/agents"], headers=key)
        again = await http.post("/v1/agents", json=BODIES["/v1/agents"], headers=key)
        assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
        assert "idempotent-replayed" in again.headers and len(api.gateway.of(AddAgents)) == 1
        changed = {"agents": [{"name": "Cy", "group": "team-a", "site": "hamburg"}]}
        assert is_problem(await http.post("/v1/agents", json=changed, headers=key))["type"].endswith("mismatch")
        assert (await other.post("/v1/agents", json=BODIES["/v1/agents"], headers=key)).status_code == 201
        assert len(api.gateway.of(AddAgents)) == 2
        api.gateway.answers["add_agents"] = Refusal("X", "not now", 503)
        for _ in range(2):  # what wasn't done may be tried again
            failed = await http.post("/v1/agents", json=changed, headers={"Idempotency-Key": "k2"})
            assert failed.status_code == 503 and "idempotent-replayed" not in failed.headers
        assert is_problem(await http.post("/v1/agents", json=changed, headers={"Idempotency-Key": "k" * 129}))


async def test_lists_go_on_where_they_stopped(api: RunningApi) -> None:
    agents = sorted(api.site.add(f"agent {i}") for i in range(5))
    api.site.recorded = [recording(f"{i:032x}", agents[0]) for i in range(5)]
    async with await client_of(api, Role.ADMIN) as admin, await client_of(api, Role.AGENT, agents[0]) as own:
        assert await _walk(admin, "/v1/agents") == agents
        assert await _walk(own, "/v1/recordings") == [f"{i:032x}" for i in range(5)]
        assert is_problem(await admin.get("/v1/agents?cursor=x"))["status"] == 422


async def test_a_recording_comes_as_cipher_text_and_only_to_its_agent(api: RunningApi) -> None:
    agent = api.site.add("Ada")
    api.site.recorded = [recording(HEX, agent)]
    api.site.objects = {(HEX, "agent", 1, kind): kind.encode() for kind in ("age", "manifest", "signature", "opening")}
    base = f"/v1/recordings/{HEX}"
    async with await client_of(api, Role.AGENT, agent) as own, await client_of(api, Role.AGENT) as other:
        assert (await own.get(base)).json()["sides"][0]["sha256"] == "cd" * 32
        for suffix, content, media in (
            ("age", b"age", "application/octet-stream"),
            ("manifest.json", b"manifest", "application/json"),
            ("manifest.sig", b"signature", "text/plain; charset=utf-8"),
            ("opening", b"opening", "application/octet-stream"),
        ):
            answer = await own.get(f"{base}/sides/agent/1.{suffix}")
            assert (answer.content, answer.headers["content-type"]) == (content, media)
            assert is_problem(await other.get(f"{base}/sides/agent/1.{suffix}"))["status"] == 404
        assert is_problem(await own.get(f"{base}/sides/caller/1.age"))["status"] == 404
        assert is_problem(await own.get(f"{base}/sides/coach/1.age"))["status"] == 422
        assert is_problem(await own.get(f"{base}/sides/agent/0.age"))["status"] == 422
        assert (await other.get(base)).json() == (await other.get("/v1/recordings/" + "cd" * 16)).json()


async def test_the_agreement_is_shown_checked_and_put_into_force(api: RunningApi) -> None:
    async with await client_of(api, Role.COUNCIL) as http:
        assert is_problem(await http.get("/v1/agreements/current"))["type"].endswith("no-agreement")
        agreed = api.site.agree()
        shown = (await http.get("/v1/agreements/current")).json()
        assert (shown["digest"], shown["consents"][0]["sha256"]) == (agreed.digest, agreed.consents[0].sha256)
        verdict = (await http.post("/v1/agreements/check", json={"document": "id: x\nid: y\n"})).json()
        assert verdict["ok"] is False and {"field", "line", "said"} == set(verdict["faults"][0])
        api.gateway.answers["post_act"] = {"seq": 1}
        posted = await http.post("/v1/acts", json=BODIES["/v1/acts"])
        assert (posted.status_code, posted.json()) == (201, {"seq": 1})
    assert api.gateway.of(PostAct) == [PostAct("{}", {"council": "-"}, "x")]


async def test_a_party_lowers_and_suspends_by_its_own_hand_only(api: RunningApi) -> None:
    act = Act(ActType.RATES, "bv-nord", 2, "ab" * 32, Rates({"sample/team-a/regular": 20_000})).canonical().decode()
    body = {"document": act, "signatures": {"council": "-"}}
    async with await client_of(api, Role.COUNCIL) as http:
        assert (await http.put("/v1/agreements/bv-nord/rates", json=body)).status_code == 200
        assert is_problem(await http.put("/v1/agreements/bv-sued/rates", json=body))["status"] == 422
        assert (await http.post("/v1/agreements/bv-nord/suspend")).status_code == 200
        drafted = await http.get("/v1/agreements/bv-nord/rates/draft", params={"rates": "sample/team-a/regular=2"})
        assert drafted.status_code == 200
        assert (await http.get("/v1/agreements")).json() == {"acts": []}
        assert (await http.get("/v1/acts")).json() == {"anchors": [], "acts": []}
    async with await client_of(api, Role.EMPLOYER) as http:
        assert (await http.post("/v1/agreements/bv-nord/suspend")).status_code == 200
    assert api.gateway.of(PostAct) == [PostAct(act, {"council": "-"})]
    assert api.gateway.of(SuspendRecording) == [
        SuspendRecording("bv-nord", "council"),
        SuspendRecording("bv-nord", "employer"),
    ]
    wanted = {"rates": {"sample/team-a/regular": "2"}, "resolution": None, "opinion_ref": None}
    assert api.gateway.of(DraftAct) == [DraftAct("rates", "bv-nord", wanted)]


async def test_disabling_and_the_roster_say_names_only(api: RunningApi) -> None:
    agent = api.site.add("Ada", recipient="age1x", consents={"coaching": "yes"}, extension="4711")
    async with await client_of(api, Role.ADMIN) as http:
        line = (await http.get("/v1/agents")).json()["items"][0]
        assert set(line) == {"id", "name", "group", "site", "enabled", "enrolled", "enrolments"}
        assert line["enrolments"] is None
        assert (await http.delete(f"/v1/agents/{agent}")).status_code == 204
        assert (await http.get("/v1/calls")).json() == {
            "items": [{"call": "c1", "since": "2026-03-02T09:00:00Z", "queue": "q"}]
        }
    assert api.gateway.of(DisableAgent)[0].agent == agent


GARBAGE = [
    (b"{", "application/json", 400, "malformed"),
    (b"\xff\xfe", "application/json", 400, "malformed"),
    (b"[" * 100_000, "application/json", 400, "malformed"),
    (b'{"on":true,"on":false}', "application/json", 400, "malformed"),
    (b'{"on":NaN}', "application/json", 400, "malformed"),
    (b'{"on":1}', "application/json", 422, "invalid-request"),
    (b'{"on":"true"}', "application/json", 422, "invalid-request"),
    (b'{"on":true,"more":1}', "application/json", 422, "invalid-request"),
    (b"[]", "application/json", 422, "invalid-request"),
    (b"", "application/json", 422, "invalid-request"),
    (b'{"on":true}', "text/plain", 415, "media-type"),
    (b"on=true", "application/x-www-form-urlencoded", 415, "media-type"),
    (b'"' + b"x" * 600_000 + b'"', "application/json", 413, "too-large"),
]


@pytest.mark.parametrize(("body", "media", "status", "code"), GARBAGE)
async def test_what_cannot_be_read_has_one_declared_answer(
    api: RunningApi, body: bytes, media: str, status: int, code: str
) -> None:
    async with await client_of(api, Role.AGENT) as http:
        answer = await http.put("/v1/agents/me/blackout", content=body, headers={"Content-Type": media})
    problem = is_problem(answer)
    assert (answer.status_code, problem["type"]) == (status, f"urn:fairtap:problem:{code}")
    assert [command.kind for command in api.gateway.commands] == ["watch"]


async def test_unknown_paths_methods_and_hosts_are_problems_and_headers_are_strict(api: RunningApi) -> None:
    async with api.http() as http:
        assert is_problem(await http.get("/v1/nothing"))["type"].endswith("not-found")
        assert is_problem(await http.patch("/v1/agents"))["type"].endswith("method-not-allowed")
        assert is_problem(await http.get("/healthz", headers={"Host": "evil.example"}))["status"] == 421
        answer = await http.get("/")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"


async def test_metrics_count_routes_and_never_name_anybody(api: RunningApi) -> None:
    api.gateway.answers["status"] = {"counters": {"sip.dropped": 3, "text": "x"}}
    agent = api.site.add("Ada")
    async with await client_of(api, Role.AGENT, agent) as http:
        await http.post("/v1/agents/me/calls/secret-call-9/stop")
        await http.get("/v1/calls/secret-call-9/explain")
    async with await client_of(api, Role.IVR) as http:
        answered = await http.post("/v1/calls/secret-call-9/consent", json={"purpose": "coaching", "answer": "no"})
        assert answered.status_code == 200
        text = (await http.get("/metrics")).text
    assert "consent" not in text  # a yes waits for its receipt: how long each answer took would tell it from a no
    assert 'fairtap_api_requests_total{method="GET",route="/v1/calls/{call}/explain",status="200"} 1.0' in text
    assert "/v1/agents/me" not in text  # when somebody stops or takes back a yes is nobody else's matter
    assert 'fairtap_gateway{counter="sip.dropped"} 3.0' in text
    for person in (agent, "Ada", "secret-call-9", "127.11"):
        assert person not in text


async def test_any_json_to_any_route_is_answered_without_a_fault_of_ours(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        answer_as_a_gateway(api)
        clients = [await client_of(api, role) for role in (Role.AGENT, Role.ADMIN, Role.COUNCIL)]
        routes = [one for one in (*MATRIX, *OPEN) if one[0] != "GET" and one != ("DELETE", "/v1/session")]
        words = st.sampled_from(
            ["answer", "yes", "statement", "document", "signature", "code", "login", "agents", "on"]
        )
        leaf = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | words
        values = st.recursive(
            leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4)
        )
        cases: list[tuple[tuple[str, str], Any, int]] = []

        # collected first: hypothesis is synchronous, the server lives in this loop
        @settings(max_examples=120, suppress_health_check=list(HealthCheck), database=None)
        @given(st.sampled_from(sorted(routes)), values, st.integers(0, 2))
        def collect(route: tuple[str, str], value: Any, who: int) -> None:
            cases.append((route, value, who))

        collect()
        for (method, path), value, who in cases:
            answer = await clients[who].request(
                method, filled(path), content=json.dumps(value), headers={"Content-Type": "application/json"}
            )
            assert answer.status_code < 500, (method, path, value, answer.text)
            if answer.status_code >= 400:
                is_problem(answer)
        for client in clients:
            await client.aclose()


def recording(name: str, agent: str) -> RecordingRow:
    sides = [SideRow("agent", 1, "sealed", 10, "cd" * 32)]
    return RecordingRow(
        name, agent, "call-1", "sample", "coaching", "2026-03-02T09:00:00.000Z", None, "kept", None, sides
    )


async def _walk(http: httpx.AsyncClient, path: str) -> list[str]:
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await http.get(f"{path}?limit=2&cursor={cursor}")).json()
        assert len(page["items"]) <= 2
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]
    return found
