"""Who gets in and how: passwords, codes, anchored keys, tokens; where cookies and origins are refused."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from api.agent_client import AgentClient, ClientKeys, ClientProblem
from api.roles import Role
from crypto import sshsig
from crypto.jcs import canonical
from crypto.ssh_key import SigningKey
from gateway.control.protocol import ClaimSeat, Enrol, Refusal, ReleaseSeat, SetConsent
from policy.terms import Purpose
from tests.peers.api_server import RunningApi, running_api

PASSWORD = "a long enough password"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with running_api(tmp_path) as running:
        yield running


async def code_of(api: RunningApi, agent: str) -> str:
    """Through the front door: a council's session made with its anchored key."""
    key = SigningKey.generate()
    api.site.keys["council"] = [str(SigningKey.generate().verify_key), str(key.verify_key)]
    async with api.http() as http:
        challenge = (await http.get("/v1/session/challenge")).json()
        message = canonical({"challenge": challenge["challenge"], "role": "council", "site": challenge["site"]})
        signature = sshsig.sign(key, challenge["namespace"], message)
        body = {"role": "council", "challenge": challenge["challenge"], "signature": signature}
        assert (await http.post("/v1/session", json=body)).status_code == 201
        answer = await http.post(f"/v1/agents/{agent}/codes", headers={"Idempotency-Key": "once"})
        assert answer.status_code == 201
        again = await http.post(f"/v1/agents/{agent}/codes", headers={"Idempotency-Key": "once"})
        assert again.json()["type"].endswith("repeat-unanswered")
        code: str = answer.json()["code"]
        return code


async def test_from_a_councils_code_to_a_signed_yes(api: RunningApi) -> None:
    agent = api.site.add("Ada")
    api.site.agree()
    code = await code_of(api, agent)
    async with api.http() as http:
        client = AgentClient(http, ClientKeys.generate(), api.clock)
        await client.enrol(code, "ada", PASSWORD)
        enrolled = api.gateway.of(Enrol)[0]
        assert enrolled.agent == agent
        await client.claim_seat("4711")
        await client.say_yes(Purpose.COACHING)
        await client.say_no(Purpose.COACHING)
        claim = api.gateway.of(ClaimSeat)[0]
        yes, no = api.gateway.of(SetConsent)
        assert (claim.agent, yes.agent, yes.answer, no.answer, no.statement) == (agent, agent, "yes", "no", None)
        for statement, namespace in (
            (enrolled.statement, "fairtap-enrol@v1"),
            (claim.statement, "fairtap-seat@v1"),
            (yes.statement, "fairtap-consent@v1"),
        ):
            sshsig.verify(client._keys.signing.verify_key, namespace, statement.document.encode(), statement.signature)
        await client.sign_out()
        assert api.gateway.of(ReleaseSeat)[0].agent == agent
        await client.sign_in("ada", PASSWORD)
        assert (await client.me())["id"] == agent


async def test_a_code_is_good_once_and_for_its_time(api: RunningApi) -> None:
    agent = api.site.add("Ada")
    accounts = api.services.accounts
    first, _ = await accounts.create_code(agent, Role.COUNCIL)
    second, lasts = await accounts.create_code(agent, Role.COUNCIL)
    async with api.http() as http:
        assert (await http.post("/v1/session", json={"code": first})).status_code == 401
        assert (await http.post("/v1/session", json={"code": second})).json()["role"] == "enrolling"
        assert (await http.post("/v1/session", json={"code": second})).json()["type"].endswith("code-invalid")
        third, _ = await accounts.create_code(agent, Role.COUNCIL)
        api.clock.ahead = timedelta(seconds=lasts + 1)
        assert (await http.post("/v1/session", json={"code": third})).status_code == 401


async def test_nothing_is_bound_when_the_gateway_refuses_the_enrolment(api: RunningApi) -> None:
    agent = api.site.add("Ada")
    code, _ = await api.services.accounts.create_code(agent, Role.COUNCIL)
    api.gateway.answers["enrol"] = Refusal("STATEMENT_INVALID", "the statement isn't signed by this key", 422)
    async with api.http() as http:
        client = AgentClient(http, ClientKeys.generate(), api.clock)
        with pytest.raises(ClientProblem, match="statement-invalid"):
            await client.enrol(code, "ada", PASSWORD)
        with pytest.raises(ClientProblem, match="sign-in-failed"):
            await client.sign_in("ada", PASSWORD)


async def test_a_sign_in_name_belongs_to_one_agent(api: RunningApi) -> None:
    accounts = api.services.accounts
    await accounts.enrol(api.site.add("Ada"), "ada", PASSWORD, None)
    code, _ = await accounts.create_code(api.site.add("Bo"), Role.DPO)
    async with api.http() as http:
        client = AgentClient(http, ClientKeys.generate(), api.clock)
        with pytest.raises(ClientProblem, match="login-taken"):
            await client.enrol(code, "ada", PASSWORD)
    assert api.gateway.of(Enrol) == []


async def test_wrong_passwords_block_for_longer_and_longer(api: RunningApi) -> None:
    await api.services.accounts.enrol(api.site.add("Ada"), "ada", PASSWORD, None)
    async with api.http() as http:
        wrong = {"login": "ada", "password": "not this one"}
        for _ in range(6):
            assert (await http.post("/v1/session", json=wrong)).status_code == 401
        blocked = await http.post("/v1/session", json={"login": "ada", "password": PASSWORD})
        assert blocked.status_code == 429 and blocked.headers["retry-after"] in ("1", "2"), (
            "two seconds, and time passes"
        )
        api.clock.ahead = timedelta(seconds=3)
        assert (await http.post("/v1/session", json={"login": "ada", "password": PASSWORD})).status_code == 201


async def test_unknown_names_and_wrong_passwords_answer_alike(api: RunningApi) -> None:
    await api.services.accounts.enrol(api.site.add("Ada"), "ada", PASSWORD, None)
    async with api.http() as http:
        answers = [
            (await http.post("/v1/session", json={"login": login, "password": "not this one"})).json()
            for login in ("ada", "nobody")
        ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("fault", ["other key", "other role", "other site", "other namespace", "spent", "stale"])
async def test_a_challenge_must_be_fresh_and_signed_by_the_roles_own_key(api: RunningApi, fault: str) -> None:
    key = SigningKey.generate()
    api.site.keys["dpo"] = [str(key.verify_key)]
    api.site.keys["council"] = [str(SigningKey.generate().verify_key)]
    async with api.http() as http:
        nonce = (await http.get("/v1/session/challenge")).json()["challenge"]
        signed = {
            "challenge": nonce,
            "role": "employer" if fault == "other role" else "dpo",
            "site": "elsewhere" if fault == "other site" else "test",
        }
        namespace = "fairtap-act@v1" if fault == "other namespace" else "fairtap-session@v1"
        signer = SigningKey.generate() if fault == "other key" else key
        body = {"role": "dpo", "challenge": nonce, "signature": sshsig.sign(signer, namespace, canonical(signed))}
        if fault == "spent":
            assert (await http.post("/v1/session", json=body)).status_code == 201
        if fault == "stale":
            api.clock.ahead = timedelta(seconds=301)
        answer = await http.post("/v1/session", json=body)
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:fairtap:problem:signature-invalid")


async def test_tokens_are_for_admin_and_pbx_only_and_can_be_narrowed_and_revoked(api: RunningApi) -> None:
    accounts = api.services.accounts
    for role in set(Role) - {Role.ADMIN, Role.PBX}:
        with pytest.raises(Exception, match="only admin and pbx"):
            await accounts.create_token(role, "x")
    token = await accounts.create_token(Role.ADMIN, "names", frozenset({"agents:read", "codes:create", "me:act"}))
    async with api.http(headers={"Authorization": f"Bearer {token}"}) as http:
        assert (await http.get("/v1/session")).json()["scopes"] == ["agents:read"]
        assert (await http.get("/v1/agents")).status_code == 200
        assert (await http.get("/v1/calls")).status_code == 403
        await accounts.revoke_token(str((await accounts.list_tokens())[0]["ref"]))
        assert (await http.get("/v1/agents")).json()["type"].endswith("token-invalid")
    assert token not in str(await accounts.list_tokens())


async def test_a_cookie_from_a_foreign_page_is_refused(api: RunningApi) -> None:
    agent = api.site.add("Ada")
    session = await api.services.accounts.open_session(Role.AGENT, agent)
    async with api.http(cookies={"fairtap_session": session.secret}) as http:
        for origin in ("https://evil.example", "null", api.url.replace("http:", "https:"), ""):
            for method, path in (
                ("PUT", "/v1/agents/me/blackout"),
                ("DELETE", "/v1/agents/me/seat"),
                ("DELETE", "/v1/session"),
            ):
                answer = await http.request(method, path, json={"on": True}, headers={"Origin": origin})
                assert (answer.status_code, answer.json()["type"]) == (403, "urn:fairtap:problem:foreign-origin")
        del http.headers["Origin"]
        assert (await http.put("/v1/agents/me/blackout", json={"on": True})).status_code == 403
        assert api.gateway.of(ReleaseSeat) == []
        assert (await http.get("/v1/agents/me")).status_code == 200


async def test_the_cookie_is_http_only_and_lax_and_ends_with_the_session(api: RunningApi) -> None:
    await api.services.accounts.enrol(api.site.add("Ada"), "ada", PASSWORD, None)
    async with api.http() as http:
        answer = await http.post("/v1/session", json={"login": "ada", "password": PASSWORD})
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie
        api.clock.ahead = timedelta(hours=12, seconds=1)
        assert (await http.get("/v1/agents/me")).status_code == 401


async def test_secrets_lie_in_the_database_as_hashes_only(api: RunningApi, tmp_path: Path) -> None:
    agent = api.site.add("Ada")
    accounts = api.services.accounts
    code, _ = await accounts.create_code(agent, Role.DPO)
    token = await accounts.create_token(Role.PBX, "pbx")
    session = await accounts.open_session(Role.AGENT, agent)
    await accounts.enrol(agent, "ada", PASSWORD, None)
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("api.db*"))
    assert b"argon2" in stored
    for secret in (code, token, session.secret, PASSWORD):
        assert secret.encode() not in stored


async def test_a_disabled_agent_is_out_at_once(api: RunningApi) -> None:
    agent = api.site.add("Ada")
    await api.services.accounts.enrol(agent, "ada", PASSWORD, None)
    token = await api.services.accounts.create_token(Role.ADMIN, "a")
    async with api.http() as http, api.http(headers={"Authorization": f"Bearer {token}"}) as admin:
        await http.post("/v1/session", json={"login": "ada", "password": PASSWORD})
        assert (await admin.delete(f"/v1/agents/{agent}")).status_code == 204
        assert (await http.get("/v1/agents/me")).status_code == 401
        assert (await http.post("/v1/session", json={"login": "ada", "password": PASSWORD})).status_code == 401


async def test_too_many_requests_are_told_to_wait(tmp_path: Path) -> None:
    async with running_api(tmp_path, rate_factor=1) as api, api.http() as http:
        wrong = {"login": "nobody", "password": "x"}
        statuses = [(await http.post("/v1/session", json=wrong)).status_code for _ in range(11)]
        assert statuses == [401] * 10 + [429]
