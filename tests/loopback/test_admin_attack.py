"""An admin with everything an admin has tries to have a vetoing agent's leg recorded, or to become that agent.

He has tokens, the shell, the files and databases of API and gateway, an identity provider of his own, the agent's
password (reset by hand), a copy of every statement the agent ever signed, the PBX's headers, the configuration and the
processes. He hasn't the agent's keys, nor the parties'. Each way ends at the very refusal that stops it, or in a call;
after each the leg is looked at through the agent's own eyes; in the end nothing of it was played, decided or stored,
while another agent's call was recorded all the time.
"""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from api.agent_client import AgentClient, ClientKeys, ClientProblem
from api.site_client import problem_of
from crypto.jcs import canonical
from crypto.sshsig import sign
from demo.agents import Desk
from demo.agreement import GROUP, QUEUE, SITE, sign_first
from demo.call import Call
from demo.correlate import find
from gateway.clock import SystemClock
from gateway.control.protocol import ClaimSeat, Command, SetConsent, Signed
from policy.acts import ACT_NAMESPACE
from policy.statements import CONSENT_NAMESPACE, ConsentStatement
from policy.terms import Purpose
from tests.peers.oidc_provider import Provider
from tests.peers.running_site import CONNECT_S, RunningSite, Talk, until

pytestmark = pytest.mark.timeout(180)
COACHING = Purpose.COACHING
CONSENT = "/agents/me/consents/coaching"
Refusal = tuple[int, str]
"""Status and the problem's code."""
NOT_PERMITTED = (403, "not-permitted")
BAD_SIGNATURE = (422, "sshsig-error")
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

    async def refused(
        self, wanted: Refusal, method: str, path: str, body: Any = None, http: httpx.AsyncClient | None = None
    ) -> None:
        """A request, by the thief unless `http` is somebody else's, that has to be refused just so."""
        headers = {"Origin": self.site.at.base_url, "Idempotency-Key": os.urandom(16).hex()}
        if method == "GET":
            headers.pop("Idempotency-Key")
        answer = await (http or self.thief._http).request(method, f"/v1{path}", json=body, headers=headers)
        assert answer.status_code >= 400, (method, path, answer.text)
        problem = problem_of(answer)
        assert (problem.status, problem.code) == wanted, (method, path, str(problem))

    async def denied(self, wanted: Refusal, work: Awaitable[object]) -> None:
        """The same of what a client of an agent's does."""
        with pytest.raises(ClientProblem) as problem:
            await work
        assert (problem.value.status, problem.value.code) == wanted, str(problem.value)

    async def rings(self, headers: list[tuple[str, str]]) -> tuple[Call, str]:
        """A call to the victim's phone that stands, with what its headers say; and the gateway's reference of it."""
        made = await self.site.caller.call(self.site.target(self.victim), via=self.site.gateway, headers=headers)
        async with asyncio.timeout(CONNECT_S):
            while (taken := await self.victim.phone.incoming.get()).dialog.call_id != made.dialog.call_id:
                await taken.close()
            taken.ring()
            taken.answer()
            await asyncio.gather(made.answered, taken.answered)
        return made, await self.site.ref(made.dialog.call_id)

    async def refused_at_the_port(self, code: str, command: Command) -> None:
        """A command on the gateway's own socket that has to be refused."""
        refusal = (await self.site.answer(command)).error
        assert refusal is not None and refusal.code == code, (command.kind, refusal)

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

    def most_agents(self) -> int:
        """How many agents' legs were entered in one epoch at most."""
        return max(row[0] for row in self.sql("fairtap.db", "SELECT count(DISTINCT a) FROM legs GROUP BY e"))

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
    await at.refused(NOT_PERMITTED, "PUT", CONSENT, body, at.admin)


async def a_reset_password_says_yes_without_a_key(at: Attack) -> None:
    await at.refused((422, "statement-needed"), "PUT", CONSENT, {"answer": "yes"})


async def a_reset_password_says_yes_with_the_admins_key(at: Attack) -> None:
    body = {"answer": "yes", "statement": await at.forged((await at.thief.me())["id"])}
    await at.refused(BAD_SIGNATURE, "PUT", CONSENT, body)
    await at.denied(BAD_SIGNATURE, at.thief.say_yes(COACHING, "de"))


async def a_yes_of_this_morning_is_replayed(at: Attack) -> None:
    await at.refused((409, "stale-consent"), "PUT", CONSENT, {"answer": "yes", "statement": at.said})


async def a_yes_is_given_in_this_very_call(at: Attack) -> None:
    assert at.talk is not None
    path, body = f"/agents/me/calls/{at.talk.ref}/consent", {"purpose": "coaching", "answer": "yes"}
    await at.refused((422, "statement-needed"), "POST", path, body)
    for statement in (at.said, await at.forged((await at.thief.me())["id"])):
        await at.refused(BAD_SIGNATURE, "POST", path, body | {"statement": statement})


async def he_enrols_himself_with_keys_of_his_own(at: Attack) -> None:
    await at.denied((401, "code-invalid"), at.thief.enrol(at.code, "somebody", PASSWORD))  # spent
    statement = {"document": "{}", "signature": "-"}
    body = {"login": "somebody", "password": PASSWORD, "signing_key": "x", "statement": statement}
    for http in (at.thief._http, at.admin):
        await at.refused(NOT_PERMITTED, "POST", "/agents/me/enrolment", body, http)


async def he_makes_an_enrolment_code(at: Attack) -> None:
    agent = (await at.thief.me())["id"]
    for http in (at.thief._http, at.admin):
        await at.refused(NOT_PERMITTED, "POST", f"/agents/{agent}/codes", None, http)


async def he_makes_a_token_of_an_agent(at: Attack) -> None:
    rc, said = await fairtap(at, "token", "create", "--role", "agent", "--label", "mine")
    assert rc == 2 and "only admin and pbx tokens are made here" in said
    rc, out = await fairtap(at, "token", "create", "--role", "admin", "--label", "mine", "--scope", "me:act", "--json")
    assert rc == 0, out  # a token without any scope: what the role hasn't isn't granted
    token = {"Authorization": f"Bearer {json.loads(out)['token']}"}
    async with httpx.AsyncClient(base_url=at.site.at.base_url, headers=token) as http:
        await at.refused(NOT_PERMITTED, "PUT", CONSENT, {"answer": "yes", "statement": at.said}, http)


async def a_provider_of_his_own_vouches_for_him(at: Attack) -> None:
    """OIDC: a provider that signs whatever he likes; he names it in the configuration, and shows its tokens."""
    agent = (await at.thief.me())["id"]
    async with Provider() as provider:
        file = at.site.folder / "oidc.toml"
        text = (at.site.folder / "fairtap.toml").read_text()
        assert text.count("[api]\n") == 1
        file.write_text(text.replace("[api]\n", f'[api]\noidc_issuer = "{provider.issuer}"\n'))
        for command in ("doctor", "run"):  # nothing starts with it
            rc, said = await fairtap(at, command, config=str(file))
            assert rc == 2 and "api.oidc_issuer: sign-in by OIDC is not built" in said, said
        for claims in (
            {"sub": agent, "role": "agent", "agent": agent},
            {"sub": at.victim.keys.name, "scope": "me:act"},
        ):
            header = {"Authorization": f"Bearer {provider.token(claims)}"}
            async with httpx.AsyncClient(base_url=at.site.at.base_url, headers=header) as http:
                await at.refused((401, "token-invalid"), "GET", "/agents/me", None, http)
                body = {"answer": "yes", "statement": at.said}
                await at.refused((401, "token-invalid"), "PUT", CONSENT, body, http)
        assert provider.asked == 0  # nobody looked whose key it was


async def he_enters_the_agent_a_second_time(at: Attack) -> None:
    """A double with the victim's name: nobody lets it in but council and officer, and no call becomes its own."""
    line = {"name": "Test agent 1", "group": GROUP, "site": SITE}
    added = await at.admin.post("/v1/agents", json={"agents": [line]}, headers={"Idempotency-Key": "a" * 32})
    assert added.status_code == 201
    (double,) = (one["id"] for one in added.json()["agents"])
    for http in (at.thief._http, at.admin):
        await at.refused(NOT_PERMITTED, "POST", f"/agents/{double}/codes", None, http)
    await at.denied((401, "code-invalid"), at.thief.enrol(at.code, "double", PASSWORD))
    body = {"statement": {"document": "{}", "signature": "-"}}
    await at.refused(NOT_PERMITTED, "PUT", "/agents/me/seat", body, at.admin)
    await at.refused_at_the_port("not_enrolled", SetConsent(double, "coaching", "yes", Signed(**at.said)))
    await at.refused_at_the_port("not_enrolled", ClaimSeat(double, Signed(**await at.forged(double))))
    nobodys, _ = await at.rings([("X-Fairtap-Extension", "177"), ("X-Fairtap-Queue", QUEUE)])
    victims, ref = await at.rings(at.site.headers(at.victim))
    said = await until(lambda: at.site.explained(at.victim, ref))
    assert said["outcome"] == "not_recorded" and at.most_agents() == 2  # the leg is the victim's own, none a double's
    await asyncio.gather(nobodys.bye(), victims.bye())


async def he_claims_the_seat_for_somebody_else(at: Attack) -> None:
    for extension in (at.victim.extension, "999"):
        await at.denied(BAD_SIGNATURE, at.thief.claim_seat(extension))


async def headers_name_a_willing_agents_extension(at: Attack) -> None:
    headers = [("X-Fairtap-Extension", at.willing.extension), ("X-Fairtap-Queue", QUEUE), ("X-Fairtap-Consent", "yes")]
    made, ref = await at.rings(headers)
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
    await at.refused((422, "bad-signature"), "POST", "/acts", again, at.admin)
    draft = await at.admin.get(f"/v1/agreements/{acts[0]['agreement']}/rates/draft?rates=sample/team-a/regular=20")
    act = draft.json()["act"]
    signed = {role: sign(at.keys.signing, ACT_NAMESPACE, act.encode()) for role in ("employer", "council")}
    await at.refused((422, "bad-signature"), "POST", "/acts", {"act": act, "signatures": signed}, at.admin)


async def he_speaks_to_the_control_port_himself(at: Attack) -> None:
    agent = (await at.thief.me())["id"]
    forged = await at.forged(agent)
    ways = {"statement_missing": None, "stale_consent": Signed(**at.said), "sshsig_error": Signed(**forged)}
    for code, statement in ways.items():
        await at.refused_at_the_port(code, SetConsent(agent, "coaching", "yes", statement))


async def the_configuration_says_yes(at: Attack) -> None:
    file = at.site.folder / "attack.toml"
    file.write_text((at.site.folder / "fairtap.toml").read_text() + '[consent]\nagent = "none"\n')
    rc, said = await fairtap(at, "doctor", config=str(file))
    assert rc == 2 and "consent: unknown key" in said, said


WHILE_IT_STANDS = (
    an_admins_token_says_yes_for_him,
    a_reset_password_says_yes_without_a_key,
    a_reset_password_says_yes_with_the_admins_key,
    a_yes_of_this_morning_is_replayed,
    a_yes_is_given_in_this_very_call,
    he_enrols_himself_with_keys_of_his_own,
    he_makes_an_enrolment_code,
    he_makes_a_token_of_an_agent,
    a_provider_of_his_own_vouches_for_him,
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
        await at.thief.ask("DELETE", "/agents/me/seat")  # what a session can do without a key: end things
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
        assert await at.victim.client.recordings() == [] and at.most_agents() == 2
