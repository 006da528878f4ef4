"""`fairtap erase`, `hold`, `unhold`, `export`: what people in recordings, and the officer for a case, do from a shell.

The agent signs in by name, council and officer by their anchored key, a caller has a record code and no account. Codes
and passwords are asked for or read from files: what stands in a command line is seen by everybody on the machine.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from api.commands.at_site import ApiAddress, Certificate, PasswordFile, finish_at_site, password_of, site_http
from api.commands.saying import AsJson, read_bytes, tell
from api.errors import CommandError
from api.evidence_fetch import checked_id
from api.key_files import read_signing_key
from api.site_client import SiteClient
from api.subject_export import export_agent, export_record
from crypto.ssh_key import SigningKey
from gateway.clock import SystemClock
from policy.record_code import parse_code

__all__ = ["erase", "export", "hold", "unhold"]

MAX_DAYS: Final = 90
PROGRESS_AFTER_S: Final = 2.0
PARTIES: Final = ("council", "dpo")

Recording = Annotated[str, typer.Argument(metavar="REC", help="The recording's id.")]
AgentLogin = Annotated[str | None, typer.Option("--login", help="As an agent: your sign-in name.")]
PartyKey = Annotated[Path | None, typer.Option("-k", "--key", help="As council or officer: your anchored OUT.sign.")]
CodeFile = Annotated[Path | None, typer.Option("--code-file", help="Holds the record code; without it: asked for.")]
API: Final = "http://127.0.0.1:8080"


def erase(
    recording: Annotated[
        str | None,
        typer.Argument(metavar="[REC]", help="As its agent: the recording's id. Without it: by record code."),
    ] = None,
    login: AgentLogin = None,
    password_file: PasswordFile = None,
    code_file: CodeFile = None,
    api: ApiAddress = API,
    ca: Certificate = None,
    as_json: AsJson = False,
) -> None:
    """Have your own side erased, a day from now: an agent's by REC, a caller's by record code."""
    if (recording is None) != (login is None) or (recording is not None and code_file is not None):
        raise CommandError("an agent names REC and --login; a caller neither, but the record code", 2)
    person = None if recording is None else _person(login, password_file, None, checked_id(recording))
    code = _code(code_file) if person is None else ""

    async def work() -> str:
        async with SiteClient(site_http(api, ca)) as site:
            if person is None:
                done = await site.ask("POST", "/records/erasure", {"code": code})
            else:
                await person.sign_in(site)
                done = await site.ask("DELETE", f"/recordings/{recording}/sides/agent")
            return str(done["erase_at"])

    at = finish_at_site(work())
    tell(as_json, {"recording": recording, "erase_at": at}, f"your side is erased {at}; a hold from before delays it")


def hold(
    recording: Recording,
    reason: Annotated[str, typer.Option(help="Why it mustn't be erased; 1 to 500 characters.")],
    days: Annotated[int, typer.Option(min=1, max=MAX_DAYS, help="For how long.")] = MAX_DAYS,
    login: AgentLogin = None,
    password_file: PasswordFile = None,
    key: PartyKey = None,
    api: ApiAddress = API,
    ca: Certificate = None,
    as_json: AsJson = False,
) -> None:
    """Keep a recording from being erased for a while, as its agent or as the officer; nobody may listen by that."""
    checked_id(recording)
    person = _person(login, password_file, key, "dpo")
    # a minute less, so that a clock of ours that is ahead doesn't ask for too much
    until = SystemClock().wallclock() + timedelta(days=days, minutes=-1)
    body = {"reason": reason, "until": until.strftime("%Y-%m-%dT%H:%M:%SZ")}

    async def work() -> str:
        async with SiteClient(site_http(api, ca)) as site:
            await person.sign_in(site)
            await site.ask("POST", f"/recordings/{recording}/hold", body)
            return body["until"]

    ends = finish_at_site(work())
    tell(as_json, {"recording": recording, "until": ends}, f"held until {ends}; `fairtap unhold` ends it")


def unhold(
    recording: Recording,
    login: AgentLogin = None,
    password_file: PasswordFile = None,
    key: PartyKey = None,
    api: ApiAddress = API,
    ca: Certificate = None,
    as_json: AsJson = False,
) -> None:
    """End your own hold; what was due meanwhile is erased."""
    checked_id(recording)
    person = _person(login, password_file, key, "dpo")

    async def work() -> None:
        async with SiteClient(site_http(api, ca)) as site:
            await person.sign_in(site)
            await site.ask("DELETE", f"/recordings/{recording}/hold")

    finish_at_site(work())
    tell(as_json, {"recording": recording}, "no hold of yours stands any more")


def export(
    out: Annotated[Path, typer.Option("--out", help="The folder to write, new or empty.")],
    login: AgentLogin = None,
    password_file: PasswordFile = None,
    key: PartyKey = None,
    role: Annotated[str, typer.Option(help="Whose key it is: council or dpo.")] = "dpo",
    code_file: CodeFile = None,
    api: ApiAddress = API,
    ca: Certificate = None,
    as_json: AsJson = False,
) -> None:
    """A copy of what is kept about you: an agent's all, a caller's record by its code.

    For council and officer, who open a caller's record together, its sealed files come with it.
    """
    if role not in PARTIES:
        raise CommandError("--role: council or dpo", 2)
    if login is not None and (key is not None or code_file is not None):
        raise CommandError("an agent gives --login alone; --key and --code-file are for a caller's record", 2)
    person = _person(login, password_file, key, role) if login is not None or key is not None else None
    code = _code(code_file) if login is None else ""

    async def work() -> list[str]:
        async with SiteClient(site_http(api, ca), asyncio.sleep) as site:
            if person is not None:
                await person.sign_in(site)
            if login is not None:
                return await export_agent(site, out, _progress())
            return await export_record(site, code, out, key is not None)

    files = finish_at_site(work())
    tell(as_json, {"out": str(out), "files": files}, f"{len(files)} files in {out}, sealed as the site keeps them")


def _progress() -> Callable[[int, int], None]:
    """A line that counts, once it takes long."""
    clock = SystemClock()
    started = clock.now()

    def tell(done: int, total: int) -> None:
        if clock.now() - started > PROGRESS_AFTER_S:
            typer.echo(f"\r{done} of {total} recordings …", err=True, nl=not sys.stderr.isatty())

    return tell


@dataclass(frozen=True, slots=True)
class _Person:
    """Who signs in: an agent by name and password, or a party by its key."""

    name: str
    secret: str | SigningKey

    async def sign_in(self, site: SiteClient) -> None:
        if isinstance(self.secret, SigningKey):
            await site.sign_in_by_key(self.name, self.secret)
        else:
            await site.sign_in(self.name, self.secret)


def _person(login: str | None, password_file: Path | None, key: Path | None, role: str) -> _Person:
    if key is not None and login is None:
        return _Person(role, read_signing_key(key))
    if login is None or key is not None:
        raise CommandError("sign in: --login as an agent, or --key with the officer's anchored key", 2)
    return _Person(login, password_of(password_file))


def _code(path: Path | None) -> str:
    said = (
        typer.prompt("record code", err=True) if path is None else read_bytes(path).decode("utf-8", "replace").strip()
    )
    code = parse_code(said)
    if code is None:
        raise CommandError("that isn't a record code: it has 20 digits, the last of which fits the others", 2)
    return code
