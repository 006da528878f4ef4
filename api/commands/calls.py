"""`fairtap explain` and `fairtap find`: why a call was (not) recorded, and our reference for a SIP Call-ID."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from api.commands.saying import AsJson, ConfigFile, ask, tell
from api.errors import CommandError
from api.home import find_home
from gateway.control.protocol import Explain, FindCall

__all__ = ["explain", "find"]

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


def _said(value: object) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value) or "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
