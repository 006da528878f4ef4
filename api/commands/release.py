"""`fairtap enrol` and `release`: what agents and coaches do with their own keys at a site, without a browser."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer

from api.agent_client import AgentClient
from api.coach_client import CoachClient
from api.commands.at_site import ApiAddress, Certificate, Login, PasswordFile, finish_at_site, password_of, site_http
from api.commands.saying import AsJson, tell
from api.errors import CommandError
from api.key_files import read_signing_key
from api.keyed_client import ClientKeys
from api.listen import read_identities
from api.releasing import CheckedCoach
from crypto.errors import CryptoError
from crypto.ssh_key import VerifyKey
from gateway.clock import SystemClock
from policy.key_words import key_words
from storage.named_file import read_named

__all__ = ["enrol", "release"]

Identity = Annotated[Path, typer.Option("-i", "--identity", help="Your OUT.key.")]
Key = Annotated[Path, typer.Option("-k", "--key", help="Your OUT.sign.")]
DAYS: Final = 7
_SSH_KEY: Final = re.compile(r"ssh-ed25519 [A-Za-z0-9+/=]+")


def enrol(
    code: Annotated[str, typer.Argument(help="The code from council or data-protection officer.")],
    login: Login,
    identity: Identity,
    key: Key,
    password_file: PasswordFile = None,
    api: ApiAddress = "http://127.0.0.1:8080",
    ca: Certificate = None,
    as_json: AsJson = False,
) -> None:
    """Spend an enrolment code: bind keys that `fairtap keygen` made to you, agent or coach, and set a password."""
    keys, client = _keys(identity, key), site_http(api, ca)
    who = finish_at_site(_enrolled(client, keys, code, (login, password_of(password_file))))
    words = key_words(str(keys.identity.recipient))
    lines = [f"enrolled as {who['role']}; sign in as {login}"]
    if who["role"] == "coach":
        lines.append(f"agents who release to you will compare these words with you: {words}")
    tell(as_json, {"id": who["id"], "role": who["role"], "words": words}, *lines)


def release(
    recording: Annotated[str, typer.Argument(help="The recording's id.")],
    login: Login,
    identity: Identity,
    key: Key,
    to: Annotated[str | None, typer.Option("--to", help="The coach's id; without it, coaches are listed.")] = None,
    words: Annotated[str | None, typer.Option(help="The six words that the coach told you.")] = None,
    days: Annotated[int, typer.Option(min=1, max=14, help="How long the coach may hear it.")] = DAYS,
    revoke: Annotated[str | None, typer.Option(help="Take this release back.")] = None,
    gateway: Annotated[
        Path | None, typer.Option(help="The gateway's key, as you know it; else the one that the recording names.")
    ] = None,
    password_file: PasswordFile = None,
    api: ApiAddress = "http://127.0.0.1:8080",
    ca: Certificate = None,
    as_json: AsJson = False,
) -> None:
    """Let one coach hear a recording of yours for a while, take that back, or see who may hear it and who did."""
    keys, client = _keys(identity, key), site_http(api, ca)
    known = _gateway_key(gateway) if gateway is not None else None
    password = password_of(password_file)

    async def work() -> tuple[Any, list[str]]:
        async with AgentClient(client, keys, SystemClock()) as agent:
            await agent.sign_in(login, password)
            if revoke is not None:
                await agent.revoke(recording, revoke)
                return {"revoked": revoke}, [f"{revoke} is taken back: refused from now on"]
            if to is None:
                return await _shown(agent, recording)
            coach = await agent.coach(to, known or await agent.gateway_key(recording))
            _compare(coach, words)
            # a minute less, so that a clock of ours that is ahead doesn't ask for too much
            until = SystemClock().wallclock() + timedelta(days=days, minutes=-1)
            done = await agent.release(recording, coach, until)
            left = f"{done['evaluations_left']} more recordings of yours can be released in this year"
            said = f"{coach.name} may hear it until {done['until']}; take it back with --revoke {done['release']}"
            return done, [said, left]

    result, lines = finish_at_site(work())
    tell(as_json, result, *lines)


async def _shown(agent: AgentClient, recording: str) -> tuple[Any, list[str]]:
    releases, heard = await agent.releases(recording), await agent.accesses(recording)
    # without their words: these have to come from the coach
    told = [{"id": one["id"], "name": one["name"]} for one in await agent.coaches()]
    lines = [f"coach {one['id']}  {one['name']}" for one in told]
    for one in releases:
        end = f"taken back {one['revoked_at']}" if one["revoked_at"] else f"until {one['until']}"
        lines.append(f"release {one['id']}  {one['name']}  {one['purpose']}  {end}")
    lines += [f"heard {one['at']}  {one['name'] or one['role']}  {one['purpose']}  {one['side']}" for one in heard]
    return {"coaches": told, "releases": releases, "accesses": heard}, lines or ["no coach has keys yet"]


def _compare(coach: CheckedCoach, words: str | None) -> None:
    said = words if words is not None else typer.prompt(f"the six words that {coach.name} told you", err=True)
    if " ".join(said.lower().replace("-", " ").split()) != coach.words:
        raise CommandError("these aren't the words of the coach's key: nothing was released")


async def _enrolled(client: httpx.AsyncClient, keys: ClientKeys, code: str, account: tuple[str, str]) -> dict[str, Any]:
    async with AgentClient(client, keys, SystemClock()) as agent:
        session = await agent.spend(code)
        person = CoachClient(client, keys, SystemClock()) if session["coach"] is not None else agent
        await person.bind(*account)
        return await person.me()


def _keys(identity: Path, key: Path) -> ClientKeys:
    return ClientKeys(read_identities(identity)[0], read_signing_key(key))


def _gateway_key(path: Path) -> VerifyKey:
    try:
        match = _SSH_KEY.search(read_named(path).decode("utf-8", "replace"))
        return VerifyKey.parse(match[0] if match is not None else "")
    except OSError as error:
        raise CommandError(f"`{path}`: {error.strerror or error}") from None
    except CryptoError:
        raise CommandError(f"`{path}` has no ssh-ed25519 key") from None
