"""`fairtap link asterisk|freeswitch`: tells the gateway who is on each trunk call, for as long as it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import httpx
import typer

from api.commands.saying import read_bytes
from api.errors import CommandError
from api.links.asterisk import Asterisk
from api.links.errors import LinkError
from api.links.freeswitch import FreeSwitch
from api.links.lease import Pbx, keep_linked

__all__ = ["link"]

link = typer.Typer(help="Tell the gateway who is on each trunk call (placement `trunk`).", no_args_is_help=True)

Trunk = Annotated[str, typer.Option(help="The PBX's name of its endpoint, gateway or profile towards Fairtap.")]
SecretFile = Annotated[Path, typer.Option(help="A file with the PBX's password.")]
TokenFile = Annotated[Path, typer.Option(help="A file with a token of `fairtap token create --role pbx`.")]
Api = Annotated[str, typer.Option(help="Where the gateway's API is.")]
Queue = Annotated[str | None, typer.Option(help="The queue of these calls, as the agreement names it.")]


@link.command("asterisk")
def asterisk(
    trunk: Trunk,
    secret_file: SecretFile,
    token_file: TokenFile,
    user: Annotated[str, typer.Option(help="As in manager.conf; `read = call,reporting`, `write = call,reporting`.")],
    host: Annotated[str, typer.Option(help="Where the manager interface listens.")] = "127.0.0.1",
    port: int = 5038,
    api: Api = "http://127.0.0.1:8080",
    queue: Queue = None,
) -> None:
    """Asterisk and FreePBX, by the manager interface."""
    secret = _line(secret_file)
    _run(lambda: Asterisk(host, port, user, secret, trunk), api, _line(token_file), queue)


@link.command("freeswitch")
def freeswitch(
    trunk: Trunk,
    secret_file: SecretFile,
    token_file: TokenFile,
    host: Annotated[str, typer.Option(help="Where the event socket listens.")] = "127.0.0.1",
    port: int = 8021,
    api: Api = "http://127.0.0.1:8080",
    queue: Queue = None,
) -> None:
    """FreeSWITCH, by the event socket."""
    secret = _line(secret_file)
    _run(lambda: FreeSwitch(host, port, secret, trunk), api, _line(token_file), queue)


def _line(path: Path) -> str:
    text = read_bytes(path).decode("utf-8", "replace").strip()
    if not text or "\n" in text:
        raise CommandError(f"`{path}`: one line is expected")
    return text


def _run(make: Callable[[], Pbx], api: str, token: str, queue: str | None) -> None:
    try:
        asyncio.run(_keep_linked(make, api, token, queue))
    except LinkError as error:
        raise CommandError(str(error)) from None


async def _keep_linked(make: Callable[[], Pbx], api: str, token: str, queue: str | None) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=api, headers=headers, timeout=2.0) as http:
        await keep_linked(make, http, queue)
