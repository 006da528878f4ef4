"""What machines may say over the API: under their own names, of calls by reference or Call-ID; no yes of an admin's."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.errors import Problem
from api.roles import ROLE_SCOPES, TOKEN_ROLES, Role
from gateway.control.protocol import AgentOnCall, CallerAnswered, PauseCall
from tests.peers.api_server import RunningApi, running_api

SHA = "ab" * 32
YES = {
    "purpose": "coaching", "answer": "yes", "prompt_sha256": SHA,
    "prompt_end": "2026-03-02T09:00:00Z", "answered_at": "2026-03-02T09:00:02.5Z",
}  # fmt: skip


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with running_api(tmp_path) as running:
        yield running


def bearer(api: RunningApi, token: str) -> httpx.AsyncClient:
    http = api.http()
    http.headers["Authorization"] = f"Bearer {token}"
    return http


async def registered(api: RunningApi, name: str = "front") -> str:
    http = api.http()
    http.cookies.set("fairtap_session", (await api.services.accounts.open_session(Role.COUNCIL)).secret)
    answer = await http.post("/v1/ivrs", json={"name": name})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


async def test_an_ivr_speaks_under_the_name_it_was_registered_by(api: RunningApi) -> None:
    http = bearer(api, await registered(api))
    assert (await http.post("/v1/calls/call-1/consent", json=YES)).status_code == 200
    (said,) = api.gateway.of(CallerAnswered)
    assert (said.ivr, said.purpose, said.answer, said.prompt_sha256) == ("front", "coaching", "yes", SHA)
    forged = await http.post("/v1/calls/call-1/consent", json={**YES, "ivr": "other"})
    assert forged.status_code == 422


async def test_registering_again_ends_the_older_credential_and_no_other(api: RunningApi) -> None:
    old, other = await registered(api), await registered(api, "back")
    new = await registered(api)
    answers = [await bearer(api, token).post("/v1/calls/c/consent", json=YES) for token in (old, other, new)]
    assert [answer.status_code for answer in answers] == [401, 200, 200]


async def test_no_admin_makes_a_credential_that_brings_a_yes(api: RunningApi) -> None:
    assert Role.IVR not in TOKEN_ROLES
    with pytest.raises(Problem):
        await api.services.accounts.create_token(Role.IVR, "front")
    admin = bearer(api, await api.services.accounts.create_token(Role.ADMIN, "a"))
    assert (await admin.post("/v1/ivrs", json={"name": "front"})).status_code == 403
    assert [role for role, scopes in ROLE_SCOPES.items() if "calls:answer" in scopes] == [Role.IVR]


@pytest.mark.parametrize("call_id", ["1a2b@10.0.0.5", "a/b%c?d=e@host", "0f" * 8])
async def test_a_pbx_may_name_a_call_by_its_call_id(api: RunningApi, call_id: str) -> None:
    http = bearer(api, await api.services.accounts.create_token(Role.PBX, "p"))
    path = "".join(f"%{byte:02X}" for byte in call_id.encode())
    for verb, body in (("agent", {"extension": "200", "ttl_s": 5}), ("pause", None)):
        answer = await http.post(f"/v1/calls/{path}/{verb}", json=body)
        assert answer.status_code == 200, answer.text
    (placed,), (paused,) = api.gateway.of(AgentOnCall), api.gateway.of(PauseCall)
    assert (placed.call, placed.extension, placed.ttl_s, paused.call) == (call_id, "200", 5.0, call_id)


@pytest.mark.parametrize(
    "body",
    [{}, {"extension": "200", "ttl_s": 11}, {"extension": "200", "ttl_s": 0}, {"extension": ""}, {"extension": 200}],
)
async def test_a_lease_of_another_form_is_refused(api: RunningApi, body: dict[str, Any]) -> None:
    http = bearer(api, await api.services.accounts.create_token(Role.PBX, "p"))
    assert (await http.post("/v1/calls/c/agent", json=body)).status_code == 422
    assert api.gateway.of(AgentOnCall) == []


# --- no way around the agent (R-019) ---------------------------------------------------------------------------------


def schemas(api: dict[str, Any], node: object, seen: set[str]) -> Iterator[str]:
    """Names of all schemas that a part of the OpenAPI document leads to."""
    if isinstance(node, dict):
        ref = str(node.get("$ref", "")).rpartition("/")[2]
        if ref and ref not in seen:
            seen.add(ref)
            yield ref
            yield from schemas(api, api["components"]["schemas"][ref], seen)
        for value in node.values():
            yield from schemas(api, value, seen)
    elif isinstance(node, list):
        for value in node:
            yield from schemas(api, value, seen)


KEYS_OF_ALL = {"consents", "consent_key"}
"""What every agent is asked for, and the key of a prompt: nobody's answer."""


async def test_an_agents_consent_is_read_and_written_in_that_agents_own_room_alone(api: RunningApi) -> None:
    document = (await api.http().get("/v1/openapi.json")).json()
    telling = {
        name
        for name, schema in document["components"]["schemas"].items()
        if any("consent" in field and field not in KEYS_OF_ALL for field in schema.get("properties", {}))
        or name in ("ConsentAnswer", "InCallAnswer", "Me")
    }
    assert {"ConsentAnswer", "InCallAnswer", "Me"} <= telling
    found = {
        path
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if telling.intersection(schemas(document, operation, set()))
    }
    assert found and all(path.startswith("/v1/agents/me") for path in found)
    assert [role for role, scopes in ROLE_SCOPES.items() if "me:act" in scopes] == [Role.AGENT]


async def test_what_an_admin_can_fetch_is_the_same_whatever_an_agent_answered(api: RunningApi) -> None:
    http = bearer(api, await api.services.accounts.create_token(Role.ADMIN, "a"))
    document = (await http.get("/v1/openapi.json")).json()
    paths = [path for path, methods in document["paths"].items() if "get" in methods and path.startswith("/v1")]
    paths.remove("/v1/session/challenge")  # a new one each time
    api.gateway.answers["running_calls"] = {"calls": []}
    worlds, agent = [], api.site.add("Ada")
    for answer in ("yes", "no"):
        api.site.change(agent, consents={"coaching": answer}, consent_seqs={"coaching": 7}, blackout=answer == "no")
        told = [(await http.get(path.replace("{agent}", agent).replace("{call}", "c"))).text for path in paths]
        worlds.append(json.dumps(told))
    assert worlds[0] == worlds[1] and agent in worlds[0]
