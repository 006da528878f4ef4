"""What a caller gets for a record code, what council and officer fetch, and that a wrong code tells nothing."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.roles import Role
from gateway.control.protocol import (
    EraseByCode,
    EraseOwnSide,
    FetchTogether,
    FindRecord,
    HoldRecording,
    LiftHold,
    Refusal,
)
from gateway.engine.record_commands import UNKNOWN
from policy.record_code import RANDOM, code_of
from tests.peers.api_server import RunningApi, running_api
from tests.peers.printed_code import print_code

HEX = "ab" * 16
CODE = code_of(1234567890123456789)
SIDE = {"state": "kept", "seconds": 61, "segments": [1], "erase_at": None}
FOUND = {
    "recording": HEX,
    "day": "2026-04-06",
    "purpose": "dispute",
    "keep_until": "2026-07-05",
    "held_until": None,
    "sides": [{"side": "agent", **SIDE}, {"side": "caller", **SIDE}],
}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with running_api(tmp_path) as running:
        knows(running)
        yield running


def knows(api: RunningApi) -> None:
    """The gateway knows one code."""

    def find(command: FindRecord | EraseByCode) -> Any:
        return FOUND if command.code == CODE else Refusal("record_unknown", UNKNOWN, 404)

    api.gateway.answers["find_record"] = find
    erased = {"erase_at": "2026-04-07T09:00:00Z"}
    api.gateway.answers["erase_by_code"] = lambda command: erased if find(command) is FOUND else find(command)


async def test_a_code_is_found_by_path_and_by_body_however_it_is_typed(api: RunningApi) -> None:
    async with api.http() as http:
        for answer in (
            await http.get(f"/v1/records/{CODE}"),
            await http.get(f"/v1/records/{print_code(CODE)}"),
            await http.post("/v1/records", json={"code": print_code(CODE).replace(" ", "-")}),
        ):
            assert (answer.status_code, answer.json()) == (200, FOUND)
            assert answer.headers["cache-control"] == "no-store"
        asked = await http.post("/v1/records/erasure", json={"code": CODE})
        assert (asked.status_code, asked.json()) == (202, {"erase_at": "2026-04-07T09:00:00Z"})
    assert api.gateway.of(EraseByCode) == [EraseByCode(CODE)]


def alike(answers: list[httpx.Response]) -> bool:
    """Whether nobody can tell one answer from another by status, size or form."""
    return len({(a.status_code, a.content, *(k for k in a.headers if k != "date")) for a in answers}) == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=80), st.text("0123456789 -", max_size=30), st.sampled_from(["../admin", "9" * 5000])))
async def test_any_text_is_answered_as_a_code_that_never_was(api: RunningApi, text: str) -> None:
    async with api.http() as http:
        never = await http.post("/v1/records", json={"code": code_of(secrets.randbelow(RANDOM))})
        answers = [await http.post(path, json={"code": text}) for path in ("/v1/records", "/v1/records/erasure")]
        if text.isalnum():
            answers.append(await http.get(f"/v1/records/{text}"))
        assert never.status_code == 404 and alike([never, *answers])


async def test_too_many_tries_are_refused_by_an_answer_of_the_same_size_before_anything_is_looked_up(
    tmp_path: Path,
) -> None:
    async with running_api(tmp_path, rate_factor=1) as api:
        knows(api)
        async with api.http() as http:
            answers = [await http.post("/v1/records", json={"code": "1"}) for _ in range(21)]
            last = answers.pop()
            assert {one.status_code for one in answers} == {404}
            right = await http.get(f"/v1/records/{CODE}")
            erasing = await http.post("/v1/records/erasure", json={"code": CODE})
        assert [one.status_code for one in (last, right, erasing)] == [429] * 3
        assert {len(one.content) for one in (*answers, last, right, erasing)} == {len(last.content)}
        assert set(last.json()) == set(answers[0].json()) and last.headers["retry-after"] == "60"
        assert len(api.gateway.of(FindRecord)) == 20 and api.gateway.of(EraseByCode) == []


async def test_an_answer_is_never_kept_for_a_repeat(api: RunningApi, tmp_path: Path) -> None:
    async with api.http(headers={"Idempotency-Key": "k1"}) as http:
        assert (await http.post("/v1/records", json={"code": CODE})).status_code == 200
    assert CODE.encode() not in b"".join(path.read_bytes() for path in tmp_path.glob("api.db*"))
    assert HEX.encode() not in b"".join(path.read_bytes() for path in tmp_path.glob("api.db*"))


async def test_no_counter_moves_when_a_code_is_tried(api: RunningApi) -> None:
    async with api.http() as http:
        await http.get(f"/v1/records/{CODE}")
        await http.post("/v1/records", json={"code": "1"})
        assert "records" not in (await http.get("/metrics")).text


# --- council and officer ---------------------------------------------------------------------------------------------


async def signed_in(api: RunningApi, role: Role) -> httpx.AsyncClient:
    agent = api.site.add("Ada") if role is Role.AGENT else None
    http = api.http()
    http.cookies.set("fairtap_session", (await api.services.accounts.open_session(role, agent)).secret)
    return http


@pytest.mark.parametrize("role", [Role.COUNCIL, Role.DPO])
@pytest.mark.parametrize("kind", ["age", "quorum"])
async def test_council_and_officer_fetch_only_what_the_gateway_noted(api: RunningApi, role: Role, kind: Any) -> None:
    api.site.objects[(HEX, "caller", 1, kind)] = b"wrapped"
    path = f"/v1/recordings/{HEX}/sides/caller/1.{kind}"
    async with await signed_in(api, role) as http:
        answer = await http.get(path)
        assert (answer.status_code, answer.content) == (200, b"wrapped")
        assert api.gateway.of(FetchTogether) == [FetchTogether(role.value, HEX, "caller", 1, kind)]  # type: ignore[arg-type]  # one of the two
        api.gateway.answers["fetch_together"] = Refusal("role_not_named", "the agreement names nobody", 403)
        refused = await http.get(path)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:fairtap:problem:role-not-named")
    assert b"wrapped" not in refused.content


async def test_an_agent_has_no_way_to_a_quorum_object(api: RunningApi) -> None:
    async with await signed_in(api, Role.AGENT) as http:
        assert (await http.get(f"/v1/recordings/{HEX}/sides/caller/1.quorum")).status_code == 403
    assert api.gateway.of(FetchTogether) == []


async def test_an_agent_takes_back_the_own_side_and_no_other(api: RunningApi) -> None:
    api.gateway.answers["erase_own_side"] = {"erase_at": "2026-04-07T09:00:00Z"}
    async with await signed_in(api, Role.AGENT) as http:
        own = await http.delete(f"/v1/recordings/{HEX}/sides/agent")
        other = await http.delete(f"/v1/recordings/{HEX}/sides/caller")
    assert (own.status_code, own.json()) == (202, {"erase_at": "2026-04-07T09:00:00Z"})
    assert (other.status_code, other.json()["type"]) == (403, "urn:fairtap:problem:not-your-side")
    assert [one.recording for one in api.gateway.of(EraseOwnSide)] == [HEX]


async def test_agent_and_officer_hold_each_by_their_own_name(api: RunningApi) -> None:
    body = {"reason": "my defence", "until": "2026-04-30T00:00:00Z"}
    for role in (Role.AGENT, Role.DPO):
        async with await signed_in(api, role) as http:
            assert (await http.post(f"/v1/recordings/{HEX}/hold", json=body)).status_code == 200
            assert (await http.delete(f"/v1/recordings/{HEX}/hold")).status_code == 204
    assert [(one.by, one.agent is None) for one in api.gateway.of(HoldRecording)] == [("agent", False), ("dpo", True)]
    assert [one.by for one in api.gateway.of(LiftHold)] == ["agent", "dpo"]
