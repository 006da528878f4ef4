"""`fairtap announcement`: questions to callers, shipped ones and recordings of your own. They grant nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from api.commands.saying import AsJson, ConfigFile, tell
from api.errors import CommandError
from api.home import find_home
from api.supervisor import child_environment

__all__ = ["announcement"]

announcement = typer.Typer(help="What callers are asked: shipped, or recorded by you.", no_args_is_help=True)
_LINE = (
    '- {{id: {id}, language: {language}, sha256: "{sha256}", consent_key: "{consent_key}", refuse_key: "{refuse_key}",'
    ' withdraw_code: "{withdraw_code}"}}'
)


@announcement.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="A WAV: mono or stereo, 16 or 24 bit, 8 to 96 kHz, up to 10 s.")],
    name: Annotated[str, typer.Option("--id", help="A new one; it stays with this recording for ever.")],
    language: Annotated[str, typer.Option(help="de, en or nb.")],
    purpose: Annotated[str, typer.Option(help="What it asks for: coaching, process_quality or dispute.")],
    text: Annotated[str, typer.Option(help="Word for word what is said, with digits for keys.")],
    yes: Annotated[str, typer.Option(help="The key that it names for yes.")] = "1",
    no: Annotated[str, typer.Option(help="The key that it names for no.")] = "9",
    one_sided: Annotated[bool, typer.Option("--one-sided", help="It says what may be recorded after a no.")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Judge a recording, bring it to a phone's sound and loudness, keep it, and print the line for the agreement."""
    words = ["--id", name, "--language", language, "--purpose", purpose, "--text", text, "--yes", yes, "--no", no]
    kept, _ = _gateway(config, "add", *words, *(["--one-sided"] if one_sided else []), "--", str(file))
    told = f"{name}: {kept['seconds']} s, kept; nobody is asked with it until the agreement names it:"
    tell(as_json, kept, told, _LINE.format(**kept))


@announcement.command("list")
def list_(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Every question with its words and the line for the agreement; rc 1 where a file is altered or missing."""
    found, rc = _gateway(config, "list")
    lines = []
    for one in found["announcements"]:
        about = (one["language"], one["purpose"], f"{one['seconds']} s", "your own" if one["own"] else "shipped")
        lines += [f"{one['id']}  ({', '.join(about)})", f"  {one['text']}", f"  {_LINE.format(**one)}"]
    _finish(as_json, found, lines, rc)


@announcement.command("check")
def check(agreement: Path, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Whether every prompt that an agreement names can be played here, to the byte; rc 1 where one can't."""
    found, rc = _gateway(config, "check", "--", str(agreement))
    whole = [one["id"] for one in found["announcements"] if one["fault"] is None]
    _finish(as_json, found, [f"{name}: can be played" for name in whole], rc)


def _finish(as_json: bool, found: dict[str, Any], lines: list[str], rc: int) -> None:
    tell(as_json, found, *lines)
    for fault in found["faults"]:
        typer.echo(fault, err=True)
    if rc:
        raise typer.Exit(rc)


def _gateway(config: Path | None, action: str, *words: str) -> tuple[dict[str, Any], int]:
    """Have the gateway's own code do it; what it told, and its rc."""
    home = find_home(config, make=config is None)
    command = [sys.executable, "-m", "gateway", "announcement", action, "--config", str(home.file), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=child_environment())
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        said = (done.stderr.strip().splitlines() or ["the gateway's code could not do it"])[-1]
        raise CommandError(said.removeprefix("gateway: "), done.returncode or 1) from None
    return told, done.returncode
