"""`fairtap agent` and `fairtap token`: names on the roster, tokens of admins and PBXs. No account comes from here."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api.accounts import Accounts
from api.commands.saying import AsJson, ConfigFile, ask, finish, tell
from api.database import Database
from api.errors import CommandError
from api.home import Home, find_home
from api.roles import TOKEN_ROLES, Role
from api.serve import api_database
from api.site import SiteFolder
from gateway.clock import SystemClock
from gateway.control.protocol import AddAgents, DisableAgent, NewAgent

agent = typer.Typer(help="Names on the roster; grants nothing.", no_args_is_help=True)
token = typer.Typer(help="Tokens of admins and PBXs.", no_args_is_help=True)


@agent.command("add")
def add_agent(
    name: str,
    group: Annotated[str, typer.Option(help="The agreement's name of the team.")],
    site: Annotated[str, typer.Option(help="The agreement's name of the site.")],
    onboarding_from: Annotated[str | None, typer.Option(help="YYYY-MM-DD; without it: regular.")] = None,
    home_office: bool = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Put a name on the roster. An enrolment code comes from council or DPO."""
    new = NewAgent(name, group, site, onboarding_from, home_office)
    answer = ask(find_home(config), AddAgents((new,)))
    tell(as_json, answer, *(f"{one['id']}  {one['name']}" for one in answer.get("agents", ())))


@agent.command("list")
def list_agents(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """The roster as entered."""
    rows = finish(_agents(find_home(config)))
    lines = [f"{row['id']}  {row['name']}  {row['group']}  {row['site']}{_notes(row)}" for row in rows]
    tell(as_json, {"agents": rows}, *lines)


@agent.command("disable")
def disable_agent(agent_id: str, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Off the roster: seat released, no sign-in, nothing recorded any more."""
    home = find_home(config)
    answer = ask(home, DisableAgent(agent_id))
    finish(_disable(home, agent_id))
    tell(as_json, {"disabled": agent_id, **answer}, f"{agent_id} is disabled")


@token.command("create")
def create_token(
    role: Annotated[str, typer.Option(help="admin or pbx")],
    label: Annotated[str, typer.Option(help="What it is for.")],
    scope: Annotated[list[str] | None, typer.Option(help="Fewer than the role's; repeat.")] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="How long it holds; without it: until revoked.")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """A bearer token, shown once."""
    if role not in TOKEN_ROLES:
        raise CommandError("--role: only admin and pbx tokens are made here; council or DPO let others in", 2)
    home = find_home(config)
    scopes = frozenset(scope) if scope else None
    lasts = None if days is None else days * 86400
    secret = finish(_create_token(home, Role(role), label, scopes, lasts))
    tell(as_json, {"token": secret, "role": role, "label": label}, secret)


@token.command("list")
def list_tokens(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """All tokens, without their secrets."""
    rows = finish(_tokens(find_home(config)))
    lines = [f"{row['ref']}  {row['role']}  {row['label']}{'  revoked' if row['revoked'] else ''}" for row in rows]
    tell(as_json, {"tokens": rows}, *lines)


@token.command("revoke")
def revoke_token(ref: str, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """End a token by its reference."""
    if not finish(_revoke(find_home(config), ref)):
        raise CommandError(f"no token `{ref}`; see `fairtap token list`")
    tell(as_json, {"revoked": ref}, f"{ref} is revoked")


async def _agents(home: Home) -> list[dict[str, Any]]:
    async with SiteFolder(home.config, SystemClock()) as site:
        rows = await site.agents("", 1_000_000)
    return [
        {
            "id": row.id, "name": row.name, "group": row.group, "site": row.site, "enabled": row.enabled,
            "enrolled": row.recipient is not None,
        }
        for row in rows
    ]  # fmt: skip


def _notes(row: dict[str, Any]) -> str:
    notes = [word for word, there in (("disabled", not row["enabled"]), ("enrolled", row["enrolled"])) if there]
    return f"  ({', '.join(notes)})" if notes else ""


async def _disable(home: Home, agent_id: str) -> None:
    async with Database(api_database(home.config)) as database:
        await Accounts(database, SystemClock()).disable(agent_id)


async def _create_token(home: Home, role: Role, label: str, scopes: frozenset[str] | None, lasts: int | None) -> str:
    async with Database(api_database(home.config)) as database:
        return await Accounts(database, SystemClock()).create_token(role, label, scopes, lasts)


async def _tokens(home: Home) -> list[dict[str, Any]]:
    async with Database(api_database(home.config)) as database:
        return await Accounts(database, SystemClock()).list_tokens()


async def _revoke(home: Home, ref: str) -> bool:
    async with Database(api_database(home.config)) as database:
        return await Accounts(database, SystemClock()).revoke_token(ref)
