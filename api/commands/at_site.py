"""How commands reach a site that may be elsewhere: its address, the certificate to trust, who signs in."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import httpx
import typer

from api.commands.saying import read_bytes
from api.errors import ApiError, CommandError
from crypto.errors import CryptoError
from storage.errors import ManifestError
from storage.named_file import read_named

__all__ = [
    "ApiAddress",
    "Certificate",
    "Login",
    "PasswordFile",
    "finish_at_site",
    "password_of",
    "site_http",
]

T = TypeVar("T")
_SAFE: Final = re.compile(r"https://|http://(127(\.[0-9]{1,3}){3}|localhost|\[::1\])(:[0-9]{1,5})?/?$", re.ASCII)
ApiAddress = Annotated[str, typer.Option("--api", help="Where the site's API is.")]
Certificate = Annotated[Path | None, typer.Option("--ca", help="The certificate of a site that made its own.")]
Login = Annotated[str, typer.Option("--login", help="Your sign-in name.")]
PasswordFile = Annotated[Path | None, typer.Option("--password-file", help="Without it, the password is asked for.")]


def _trusting(ca: Path | None) -> ssl.SSLContext:
    """Trusts the certificates of that file, or the machine's; raises OSError, ValueError."""
    return ssl.create_default_context(cadata=None if ca is None else read_named(ca).decode("ascii"))


def site_http(api: str, ca: Path | None) -> httpx.AsyncClient:
    """What reaches the site. Raises CommandError before anything is sent."""
    if not _SAFE.match(api):
        raise CommandError(f"`{api}`: a password goes over https only, save on this machine", 2)
    try:
        verify = _trusting(ca)
        address = api.rstrip("/")
        return httpx.AsyncClient(base_url=address, verify=verify, timeout=30.0)
    except (OSError, httpx.InvalidURL, ValueError) as error:
        raise CommandError(f"`--api` or `--ca` can't be used: {error}", 2) from None


def password_of(path: Path | None) -> str:
    """From a file, or asked for."""
    if path is None:
        asked: str = typer.prompt("password", hide_input=True, err=True)
        return asked
    return read_bytes(path).decode("utf-8", "replace").rstrip("\r\n")


def finish_at_site(work: Coroutine[Any, Any, T]) -> T:
    """Run it; what the site, its log or the disk says no to becomes the command's one line."""
    try:
        return asyncio.run(work)
    except httpx.HTTPError as error:
        raise CommandError(f"the site can't be reached, or doesn't answer: {type(error).__name__}") from None
    except CommandError:
        raise
    except (ApiError, CryptoError, ManifestError) as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"`{error.filename}`: {error.strerror or error}") from None
    except (KeyError, TypeError, ValueError):
        raise CommandError("the site's answer isn't one of this API") from None
