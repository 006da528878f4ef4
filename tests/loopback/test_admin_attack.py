"""An admin with everything an admin has tries to have a vetoing agent's leg recorded, or to become that agent.

He has tokens, the shell, the files and databases of API and gateway, the agent's password (reset by hand), a copy of
every statement the agent ever signed, the PBX's headers, the configuration and the processes. He hasn't the agent's
keys, nor the parties'. After each way the leg is looked at through the agent's own eyes; in the end nothing of it was
played, decided or stored, while another agent's call was recorded all the time.
"""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import sys
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from api.agent_client import AgentClient, ClientKeys, ClientProblem
from crypto.jcs import canonical
from crypto.sshsig import sign
from demo.agents import Desk
from demo.agreement import GROUP, QUEUE, SITE, sign_first
from demo.correlate import find
from gateway.clock import SystemClock
from gateway.control.protocol import SetConsent, Signed
from policy.acts import ACT_NAMESPACE
from policy.statements import CONSENT_NAMESPACE, ConsentStatement
from policy.terms import Purpose
from tests.peers.running_site import CONNECT_S, RunningSite, Talk, until

pytestmark = pytest.mark.timeout(180)
COACHING = Purpose.COACHING
PASSWORD = "a password that the admin chose"
VETO = "AGENT_NO_OR_UNSET"


@dataclass
class Attack:
    """The admin's place in the house."""

    site: RunningSite
    victim: Desk
    willing: Desk
    admin: httpx.AsyncClient
    thief: AgentClient
    """Signed in as the victim with the reset password; holds keys of the admin's own."""
    code: str
    """The victim's enrolment code, spent long ago."""
    said: dict[str, str]
    """The victim's signed yes of this morning, copied from the database before the no."""
    keys: ClientKeys = field(default_factory=ClientKeys.generate)
    talk: Talk | None = None

    async def refused(self, method: str, path: str, body: Any = None, http: httpx.AsyncClient | None = None) -> int:
        """The status of a request that has to be refused."""
        client = http or self.thief._http
        headers = {"Origin": self.site.at.base_url, "Idempotency-Key": os.urandom(16).hex()}
        if method == "GET":
            headers.pop("Idempotency-Key")
        status = (await client.request(method, f"/v1{path}", json=body, headers=headers)).status_code
        assert 400 <= status < 500, (method, path, status)
        return status

    async def forged(self, agent: str, answer: str = "yes", seq: int = 99) -> dict[str, str]:
        """A standing yes in the victim's name, signed with the admin's own key."""
        texts = {one["purpose"]: one["sha256"] for one in (await self.thief.agreement())["consents"]}
        text = texts["coaching"]["de"]
        said = ConsentStatement(agent, COACHING, answer, text, "de", False, seq, "2026-03-01T09:30:00Z").canonical()
        return {"document": said.decode(), "signature": sign(self.keys.signing, CONSENT_NAMESPACE, said)}

    def sql(self, name: str, query: str, *values: object) -> list[Any]:
        """By hand, in `fairtap.db` or `api.db`."""
        with contextlib.closing(sqlite3.connect(self.site.data / name, timeout=20)) as database, database:
            return database.execute(query, values).fetchall()

    async def still_refused(self, way: str) -> None:
        """The victim's own view of the leg that stands."""
        assert self.talk is not None
        said = await self.site.explained(self.victim, self.talk.ref)
        assert said is not None and said["outcome"] == "not_recorded" and said["drawn"], (way, said)
        assert {VETO, "LEG_UNBOUND"} & set(said["reasons"]), (way, said)

    async def drawn(self) -> Talk:
        """Another drawn call of the victim's."""
        self.talk = await self.site.drawn_call(self.victim)
        return self.talk

    async def restart(self) -> None:
        """The gateway, by its process id; the supervisor brings it back."""
        old = self.site.processes["gateway"]
        os.kill(old, signal.SIGKILL)
        await self.site.restarted("gateway", old)

        async def answers() -> bool:
            with contextlib.suppress(ClientProblem):  # the API finds it again, and it knows of no such call
                return await self.site.explained(self.victim, "0" * 16) is None
            return False

        await until(answers)


# --- the ways, each while a drawn call of the victim's stands ---------------------------------------------------------


async def an_admins_token_says_yes_for_him(at: Attack) -> None:
    body = {"answer": "yes", "statement": await at.forged((await at.thief.me())["id"])}
    for path in ("/agents/me/consents/coaching", f"/agents/{(await at.thief.me())['id']}/consents/coaching"):
        await at.refused("PUT", path, body, at.admin)


async def a_reset_password_says_yes_without_a_key(at: Attack) -> None:
    assert await at.refused("PUT", "/agents/me/consents/coaching", {"answer": "yes"}) == 422


async def a_reset_password_says_yes_with_the_admins_key(at: Attack) -> None:
    body = {"answer": "yes", "statement": await at.forged((await at.thief.me())["id"])}
    assert await at.refused("PUT", "/agents/me/consents/coaching", body) == 422
    with pytest.raises(ClientProblem):
        await at.thief.say_yes(COACHING, "de")


async def a_yes_of_this_morning_is_replayed(at: Attack) -> None:
    body = {"answer": "yes", "statement": at.said}
    assert await at.refused("PUT", "/agents/me/consents/coaching", body) == 409


async def a_yes_is_given_in_this_very_call(at: Attack) -> None:
    assert at.talk is not None
    body = {"purpose": "coaching", "answer": "yes"}
    for more in ({}, {"statement": at.said}, {"statement": await at.forged((await at.thief.me())["id"])}):
        await at.refused("POST", f"/agents/me/calls/{at.talk.ref}/consent", body | more)


async def he_enrols_himself_with_keys_of_his_own(at: Attack) -> None:
    with pytest.raises(ClientProblem):
        await at.thief.enrol(at.code, "somebody", PASSWORD)  # spent
    statement = {"document": "{}", "signature": "-"}
    body = {"login": "somebody", "password": PASSWORD, "signing_key": "x", "statement": statement}
    for http in (at.thief._http, at.admin):
        assert await at.refused("POST", "/agents/me/enrolment", body, http) == 403


async def he_makes_an_enrolment_code(at: Attack) -> None:
    agent = (await at.thief.me())["id"]
    for http in (at.thief._http, at.admin):
        assert await at.refused("POST", f"/agents/{agent}/codes", None, http) == 403


async def he_makes_a_token_of_an_agent(at: Attack) -> None:
    assert (await fairtap(at, "token", "create", "--role", "agent", "--label", "mine"))[0] == 2
    rc, out = await fairtap(at, "token", "create", "--role", "admin", "--label", "mine", "--scope", "me:act", "--json")
    if rc == 0:  # a scope that the role hasn't isn't granted
        token = {"Authorization": f"Bearer {json.loads(out)['token']}"}
        async with httpx.AsyncClient(base_url=at.site.at.base_url, headers=token) as http:
            body = {"answer": "yes", "statement": at.said}
            assert await at.refused("PUT", "/agents/me/consents/coaching", body, http) == 403


async def he_enters_the_agent_a_second_time(at: Attack) -> None:
    line = {"name": "Test agent 1", "group": GROUP, "site": SITE}
    added = await at.admin.post("/v1/agents", json={"agents": [line]}, headers={"Idempotency-Key": "a" * 32})
    assert added.status_code == 201


async def he_claims_the_seat_for_somebody_else(at: Attack) -> None:
    for extension in (at.victim.extension, "999"):
        with pytest.raises(ClientProblem):
            await at.thief.claim_seat(extension)


async def headers_name_a_willing_agents_extension(at: Attack) -> None:
    headers = [("X-Fairtap-Extension", at.willing.extension), ("X-Fairtap-Queue", QUEUE), ("X-Fairtap-Consent", "yes")]
    made = await at.site.caller.call(at.site.target(at.victim), via=at.site.gateway, headers=headers)
    async with asyncio.timeout(CONNECT_S):
        while (taken := await at.victim.phone.incoming.get()).dialog.call_id != made.dialog.call_id:
            await taken.close()
        taken.ring()
        taken.answer()
        await asyncio.gather(made.answered, taken.answered)
    ref = await at.site.ref(made.dialog.call_id)
    assert await at.site.explained(at.willing, ref) is None and await at.site.explained(at.victim, ref) is None
    await made.bye()


async def he_acknowledges_a_light_that_nobody_sees(at: Attack) -> None:
    assert at.talk is not None
    light = {"call": at.talk.ref, "seq": 1, "state": "recording_both", "nonce": "0" * 16}
    async with contextlib.aclosing(at.thief.live()) as events:  # type: ignore[type-var]  # it is a generator
        async for event in events:
            assert event.kind == "snapshot"
            await at.thief.acknowledge(light)  # taken and worth nothing
            break


async def he_signs_an_act_with_his_own_key(at: Attack) -> None:
    acts = (await at.admin.get("/v1/agreements")).json()["acts"]
    document = acts[0]["document"]
    own = sign_first(document, {"employer": at.keys.signing, "council": at.keys.signing})
    again = {"document": document, "act": own.act, "signatures": own.signatures}
    assert await at.refused("POST", "/acts", again, at.admin) == 422
    draft = await at.admin.get(f"/v1/agreements/{acts[0]['agreement']}/rates/draft?rates=sample/team-a/regular=20")
    act = draft.json()["act"]
    signed = {role: sign(at.keys.signing, ACT_NAMESPACE, act.encode()) for role in ("employer", "council")}
    assert await at.refused("POST", "/acts", {"act": act, "signatures": signed}, at.admin) == 422


async def he_speaks_to_the_control_port_himself(at: Attack) -> None:
    agent = (await at.thief.me())["id"]
    forged = await at.forged(agent)
    for statement in (None, Signed(**at.said), Signed(**forged)):
        with pytest.raises(AssertionError):  # the gateway's refusal
            await at.site.command(SetConsent(agent, "coaching", "yes", statement))


async def the_configuration_says_yes(at: Attack) -> None:
    file = at.site.folder / "attack.toml"
    file.write_text((at.site.folder / "fairtap.toml").read_text() + '[consent]\nagent = "none"\n')
    rc, said = await fairtap(at, "doctor", config=str(file))
    assert rc != 0 and "consent" in said, said


WHILE_IT_STANDS = (
    an_admins_token_says_yes_for_him,
    a_reset_password_says_yes_without_a_key,
    a_reset_password_says_yes_with_the_admins_key,
    a_yes_of_this_morning_is_replayed,
    a_yes_is_given_in_this_very_call,
    he_enrols_himself_with_keys_of_his_own,
    he_makes_an_enrolment_code,
    he_makes_a_token_of_an_agent,
    he_enters_the_agent_a_second_time,
    he_claims_the_seat_for_somebody_else,
    headers_name_a_willing_agents_extension,
    he_acknowledges_a_light_that_nobody_sees,
    he_signs_an_act_with_his_own_key,
    he_speaks_to_the_control_port_himself,
    the_configuration_says_yes,
)

# --- the ways that need the gateway to start anew ---------------------------------------------------------------------


def rows_say_yes(at: Attack) -> None:
    at.sql("fairtap.db", "UPDATE consents SET answer = 'yes'")


def rows_carry_a_forged_yes(at: Attack) -> None:
    said = json.loads(at.said["document"]) | {"seq": 50}
    document = canonical(said)
    at.sql(
        "fairtap.db",
        "INSERT INTO consents"
        " (agent, purpose, seq, answer, home_office, text_sha256, language, statement, signature, at)"
        " SELECT agent, purpose, 50, 'yes', 0, ?, 'de', ?, ?, at FROM consents WHERE agent = ? LIMIT 1",
        said["text_sha256"], document.decode(), sign(at.keys.signing, CONSENT_NAMESPACE, document), said["agent"],
    )  # fmt: skip


def an_anchor_is_his_own(at: Attack) -> None:
    at.sql("fairtap.db", "UPDATE anchors SET key = ? WHERE role = 'council'", at.keys.signing.verify_key.line())


AFTER_A_RESTART = (rows_say_yes, rows_carry_a_forged_yes)


async def fairtap(at: Attack, *arguments: str, config: str | None = None) -> tuple[int, str]:
    """A command on the shell: return code and all that it says."""
    command = [sys.executable, "-c", "import sys; from api.cli import main; sys.exit(main())", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, "--config", config or str(at.site.folder / "fairtap.toml"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, (out + err).decode()


@contextlib.asynccontextmanager
async def attacked(site: RunningSite):
    """The house in the state that the admin finds."""
    victim, willing = site.desks
    agent = (await victim.client.me())["id"]
    await victim.client.say_no(COACHING)
    headers = {"Authorization": f"Bearer {site.house.admin_token}"}
    async with (
        httpx.AsyncClient(base_url=site.at.base_url, headers=headers, timeout=20) as admin,
        httpx.AsyncClient(base_url=site.at.base_url, timeout=20) as http,
    ):
        keys = ClientKeys.generate()
        at = Attack(site, victim, willing, admin, AgentClient(http, keys, SystemClock()), "", {}, keys)
        query = "SELECT statement, signature FROM consents WHERE agent = ? AND answer = 'yes'"
        ((document, signature),) = at.sql("fairtap.db", query, agent)
        at.said = {"document": document, "signature": signature}
        at.code = site.codes[0]
        at.sql("api.db", "UPDATE accounts SET password = ? WHERE agent = ?", PasswordHasher().hash(PASSWORD), agent)
        await at.thief.sign_in(victim.keys.name, PASSWORD)
        yield at


async def test_no_way_of_an_admins_makes_a_vetoing_agents_leg_record(tmp_path):
    async with RunningSite(tmp_path, desks=2) as site, attacked(site) as at:
        recorded, stands = await asyncio.gather(site.recorded_call(at.willing), at.drawn())
        for way in WHILE_IT_STANDS:
            await way(at)
            await at.still_refused(way.__name__)
        said = await site.explained(at.willing, recorded.ref)
        assert said is not None and said["outcome"] == "recording"  # all the time, another's call was
        await at.thief._call("DELETE", "/agents/me/seat")  # what a session can do without a key: end things
        await at.still_refused("the seat given back")
        heard = find(site.prompt_end, stands.caller.heard)
        assert heard.strength < 0.3  # the caller wasn't even asked
        await asyncio.gather(recorded.hang_up(), stands.hang_up())
        await at.victim.client.claim_seat(at.victim.extension)
        for change in AFTER_A_RESTART:
            change(at)
            await at.restart()
            talk = await at.drawn()
            await at.still_refused(change.__name__)
            await talk.hang_up()
        an_anchor_is_his_own(at)
        await at.restart()
        talk = await site.call(at.willing)  # whose yes stands: the chain of acts doesn't hold any more, for nobody
        assert (await site.status())["site_state"] == ["SIGNATURE_INVALID"]
        assert (await at.site.explained(at.willing, talk.ref) or {"outcome": "not_recorded"})[
            "outcome"
        ] == "not_recorded"
        await talk.hang_up()
        await site.quiet()
        listed = await at.willing.client.recordings()
        rows = at.sql("fairtap.db", "SELECT DISTINCT call_ref FROM decisions WHERE outcome = 'RECORD'")
        folders = [path for path in (site.data / "recordings").glob("*/*") if any(path.iterdir())]
        assert [one["call"] for one in listed] == [recorded.ref] and rows == [(recorded.ref,)]
        assert [folder.name for folder in folders] == [listed[0]["id"]]
        assert await at.victim.client.recordings() == []
