"""How commands reach a site that may be elsewhere: its address, the certificate to trust, who signs in."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer

from api.commands.saying import read_bytes
from api.errors import CommandError

__all__ = ["ApiAddress", "Certificate", "Login", "PasswordFile", "password_of", "site_client"]

_SAFE: Final = re.compile(r"https://|http://(127(\.[0-9]{1,3}){3}|localhost|\[::1\])(:[0-9]{1,5})?/?$", re.ASCII)
ApiAddress = Annotated[str, typer.Option("--api", help="Where the site's API is.")]
Certificate = Annotated[Path | None, typer.Option("--ca", help="The certificate of a site that made its own.")]
Login = Annotated[str, typer.Option("--login", help="Your sign-in name.")]
PasswordFile = Annotated[Path | None, typer.Option("--password-file", help="Without it, the password is asked for.")]


def site_client(api: str, ca: Path | None) -> httpx.AsyncClient:
    """A client that sends the pages' own Origin. Raises CommandError before anything is sent."""
    if not _SAFE.match(api):
        raise CommandError(f"`{api}`: a password goes over https only, save on this machine", 2)
    try:
        verify = ssl.create_default_context(cafile=str(ca) if ca is not None else None)
        address = api.rstrip("/")
        return httpx.AsyncClient(base_url=address, headers={"Origin": address}, verify=verify, timeout=30.0)
    except (OSError, httpx.InvalidURL, ValueError) as error:
        raise CommandError(f"`--api` or `--ca` can't be used: {error}", 2) from None


def password_of(path: Path | None) -> str:
    """From a file, or asked for."""
    if path is None:
        asked: str = typer.prompt("password", hide_input=True, err=True)
        return asked
    return read_bytes(path).decode("utf-8", "replace").rstrip("\r\n")
