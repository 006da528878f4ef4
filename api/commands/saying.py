"""How commands speak: results on stdout as text or JSON, errors raised as `CommandError` for the one line on stderr."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from api.control_client import ask_once
from api.errors import CommandError, Problem
from api.home import Home
from gateway.control.protocol import Command

__all__ = ["AsJson", "ConfigFile", "ask", "finish", "read_bytes", "tell"]

T = TypeVar("T")
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="fairtap.toml; without it, the one in this folder.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]


def tell(as_json: bool, result: Any, *lines: str) -> None:
    """Print a result: as JSON, or as lines."""
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    for line in lines:
        typer.echo(line)


def ask(home: Home, command: Command) -> dict[str, Any]:
    """Have the running gateway do a command."""
    return finish(ask_once(home.socket, command))


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run asynchronous work to its end; a problem becomes the command's one line."""
    try:
        return asyncio.run(work)
    except Problem as problem:
        raise CommandError(problem.detail) from None


def read_bytes(path: Path) -> bytes:
    """A file that the caller named."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"`{path}`: {error.strerror or error}") from None
