"""`fairtap run`, `init`, `doctor`: the processes, the data folder, and what is wrong with either."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from api import pbx_lines as pbx
from api.accounts import first_token
from api.commands.saying import AsJson, ConfigFile, finish, tell
from api.doctor import examine
from api.errors import CommandError
from api.home import DEFAULT_NAME, Home, find_home, initialised
from api.serve import api_database, split_listen
from api.supervisor import Supervisor, child_environment, children_of
from api.tls_pair import TlsPair, make_tls_pair
from gateway.clock import SystemClock

__all__ = ["doctor", "init", "run"]

Anchors = Annotated[list[str] | None, typer.Option("--anchor", help="role=KEYFILE, e.g. council=council.pub; repeat.")]


def run(config: ConfigFile = None) -> None:
    """Serve: gateway, media workers and API under one supervisor, until SIGTERM."""
    home = find_home(config, make=config is None)
    if not initialised(home):
        if config is not None:
            raise CommandError(f"`{home.data_dir}` isn't set up; run `fairtap init --config {config}` first")
        _initialise(home, [], _tell_line)
    _tell_line(f"serving on {_url(home)}, data in {home.data_dir}; stop with Ctrl-C or SIGTERM")
    supervisor = Supervisor(
        children_of(home.config, home.file), clock=SystemClock(), say=_tell_event, drain_s=home.config.drain_s
    )
    raise typer.Exit(asyncio.run(supervisor.run()))


def init(
    config: ConfigFile = None,
    anchor: Anchors = None,
    pbx_kind: Annotated[str | None, typer.Option("--pbx", help=" | ".join(pbx.PBX_KINDS))] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Also make a self-signed TLS pair for the API.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make data folder, gateway key, database and anchors; print the first admin token, once."""
    if pbx_kind is not None and pbx_kind not in pbx.PBX_KINDS:
        raise CommandError(f"--pbx: `{pbx_kind}` isn't one of {', '.join(pbx.PBX_KINDS)}", 2)
    made = config or Path(DEFAULT_NAME)
    fresh = not made.exists()
    home = find_home(config, make=True)
    result: dict[str, Any] = {"config": str(home.file), "data_dir": str(home.data_dir), "config_made": fresh}
    say = (lambda _: None) if as_json else _tell_line
    result["gateway"], result["admin_token"] = _initialise(home, anchor or [], say)
    result["tls"] = _tls(home, say) if tls else None
    if pbx_kind is not None:
        lines = pbx.pbx_lines(pbx_kind, home.config)
        result["pbx"] = {"put_in": lines.put_in, "undo": lines.undo}
        for line in ("", f"for {pbx_kind}:", *lines.put_in, "to undo:", *lines.undo):
            say(line)
    if as_json:
        tell(True, result)


def doctor(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Check configuration, ports, limits, disk, database, gateway; say what to do."""
    home = find_home(config)
    findings = finish(examine(home))
    lines = [f"{'ok  ' if one.ok else 'BAD '} {one.what}: {one.said}" for one in findings]
    wrong = [one for one in findings if not one.ok]
    tell(as_json, {"ok": not wrong, "checks": [one.plain() for one in findings]}, *lines)
    if wrong:
        raise CommandError(f"{len(wrong)} of {len(findings)} checks failed; first: {wrong[0].what}: {wrong[0].said}")


def _initialise(home: Home, anchors: list[str], say: Any) -> tuple[dict[str, Any], str | None]:
    """The gateway makes its part, being the only writer there; then the API's database and first token."""
    command = [sys.executable, "-m", "gateway", "init", "--config", str(home.file)]
    for one in anchors:
        command += ["--anchor", one]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=child_environment())
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["the gateway could not make its data folder"])[-1]
        raise CommandError(said, done.returncode)
    made = _members(done.stdout)
    say(f"data folder {home.data_dir}, gateway key {made.get('gateway')}")
    say(f"the log's key, for `fairtap-council init --log-key`: {made.get('log_key')}")
    for role, fingerprint in made.get("anchors", {}).items():
        say(f"anchor {role}: {fingerprint}")
    token = finish(first_token(api_database(home.config), SystemClock()))
    if token is not None:
        say(f"admin token, shown only now: {token}")
    return made, token


def _tls(home: Home, say: Any) -> dict[str, str]:
    host, _ = split_listen(home.config.api.listen)
    pair: TlsPair = make_tls_pair(home.data_dir / "keys", host, SystemClock().wallclock())
    for line in ("TLS pair made; put into [api]:", f'tls_cert = "{pair.certificate}"', f'tls_key = "{pair.key}"'):
        say(line)
    say(f"certificate SHA-256 {pair.sha256}")
    return {"certificate": str(pair.certificate), "key": str(pair.key), "sha256": pair.sha256}


def _members(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _url(home: Home) -> str:
    api = home.config.api
    return api.public_url or f"{'https' if api.tls_cert else 'http'}://{api.listen}"


def _tell_line(line: str) -> None:
    typer.echo(line)
    sys.stdout.flush()


def _tell_event(event: str, members: dict[str, Any]) -> None:
    _tell_line(" ".join([event, *(f"{name}={value}" for name, value in members.items())]))
