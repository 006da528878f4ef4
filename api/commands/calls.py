"""`fairtap explain`, `find`, `ladder`, `passthrough`: why a call was (not) recorded, signalling, a week's figures."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Annotated

import typer

from api.commands.saying import AsJson, ConfigFile, ask, tell
from api.errors import CommandError
from api.home import find_home
from api.passed_lines import passed_lines
from api.supervisor import child_environment
from gateway.control.protocol import CallLadder, Explain, FindCall, PassedThrough

__all__ = ["explain", "find", "ladder", "passthrough", "testcall"]

CallId = Annotated[str, typer.Option("--call-id", help="As in the SIP message.")]


def explain(call: str, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Why this call was (not) recorded, as far as the shell may know: reasons of persons are theirs alone."""
    answer = ask(find_home(config), Explain(call))
    lines = [f"{name}: {_said(value)}" for name, value in answer.items()]
    tell(as_json, answer, *lines)


def find(call_id: CallId, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Our random reference for the SIP Call-ID of a running call."""
    answer = ask(find_home(config), FindCall(call_id))
    if answer.get("call") is None:
        raise CommandError("no running call has this Call-ID")
    tell(as_json, answer, str(answer["call"]))


def ladder(call: str, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """The signalling of a call of the last 24 hours, and how well a running one is heard; no numbers, no addresses."""
    answer = ask(find_home(config), CallLadder(call))
    arrows = {"caller": "caller ─► agent ", "agent": "caller ◄─ agent "}
    lines = [f"{rung['after_s']:10.3f} s  {arrows[rung['by']]}  {rung['said']}" for rung in answer["rungs"]]
    if answer["missed"]:
        lines.append(f"and {answer['missed']} more that weren't kept")
    for flow, measures in answer.get("media", {}).items():
        said = ", ".join(f"{name} {value}" for name, value in measures.items())
        lines.append(f"{flow} hears: {said or 'nothing known (no RTCP)'}")
    tell(as_json, answer, *lines)


def passthrough(
    days: Annotated[int, typer.Option(min=1, max=14, help="How many days, today included.")] = 7,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """What passed in the last days, and what could not have been recorded: counts, no persons, nothing of recording."""
    answer = ask(find_home(config), PassedThrough(days))
    tell(as_json, answer, *passed_lines(answer["total"], answer["hindrances"]), *(_day(one) for one in answer["days"]))


def testcall(
    config: ConfigFile = None,
    caller: Annotated[str | None, typer.Option(help="An own address among the caller side's peers.")] = None,
    phone: Annotated[str | None, typer.Option(help="The same for the agent side.")] = None,
    as_json: AsJson = False,
) -> None:
    """Place a call through the running gateway, both ends ours, and say what was heard; nobody is recorded."""
    words = ["--config", str(find_home(config).file), *(["--json"] if as_json else [])]
    for option, value in (("--caller", caller), ("--phone", phone)):
        words += [option, value] if value else []
    # a phone is no part of the API: it is a program of its own
    ended = subprocess.run([sys.executable, "-m", "demo.testcall", *words], env=child_environment(), check=False)
    raise typer.Exit(ended.returncode)


def _day(counts: dict[str, int | str]) -> str:
    return f"{counts['day']}  calls: {counts.get('calls', 0)}, answered: {counts.get('answered', 0)}"


def _said(value: object) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value) or "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
