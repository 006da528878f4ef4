"""How commands speak and read: results on stdout as text or JSON; errors are `CommandError`, one line on stderr."""

from __future__ import annotations

import asyncio
import json
import locale
import os
import re
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from api.catalogue import choose
from api.control_client import ask_once
from api.errors import CommandError, Problem
from api.home import Home
from gateway.control.protocol import Command
from policy.statements import LANGUAGES
from storage.named_file import MAX_BYTES, read_named, why_not

__all__ = ["AsJson", "ConfigFile", "Lang", "ask", "finish", "language_of", "read_bytes", "tell"]

T = TypeVar("T")
_LOCALE: Final = ("LC_ALL", "LC_MESSAGES", "LANG")
_AFTER_LANGUAGE: Final = re.compile(r"[_.@]")
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="fairtap.toml; without it, the one in this folder.", show_default=False)
]
Lang = Annotated[
    str | None, typer.Option("--lang", help="de, en or nb; without it, this machine's.", show_default=False)
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


def language_of(lang: str | None) -> str:
    """The language asked for, else the one of the locale, else English; raises `CommandError` for one we haven't."""
    if lang is None:
        # the variables themselves: on many a machine the locale that they name isn't installed
        named = next((text for name in _LOCALE if (text := os.environ.get(name))), None) or locale.getlocale()[0]
        return choose(_AFTER_LANGUAGE.split(named or "")[0], "")
    if lang not in LANGUAGES:
        raise CommandError(f"--lang: `{lang}` isn't de, en or nb", 2)
    return lang


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """A file that the caller named, of at most `limit` bytes; raises `CommandError`."""
    try:
        return read_named(path, limit)
    except OSError as error:
        raise CommandError(why_not(path, error), 2) from None
