"""Fetches one recording of an agent's own, with all that proves it, into the folder of an evidence bundle.

What the site doesn't hand out (erased, or not published yet) is left out; `verify-recording` then says so. What the
site answers is checked for its form here, and for its truth there.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import httpx

from api.errors import CommandError
from api.evidence_files import MAX_BYTES, MAX_PAYLOAD, SIGNERS
from crypto import age
from crypto.errors import CryptoError
from crypto.signed_note import VerifierKey
from crypto.ssh_key import allowed_signers_line
from crypto.x25519 import Identity
from policy.errors import StatementError
from policy.opening import OUT_KIND, OutOpening, parse_out_opening
from storage.errors import ManifestError
from storage.manifest import NAMESPACE, Manifest

__all__ = ["Fetched", "fetch_evidence", "sign_in"]

RECORDING: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
SUFFIXES: Final = ("manifest.json", "manifest.sig", "opening", "age")
MAX_SIDES: Final = 2 * 9_999


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was written, and what the site didn't hand out."""

    files: tuple[str, ...]
    missing: tuple[str, ...]


async def sign_in(http: httpx.AsyncClient, login: str, password: str) -> None:
    """Open the agent's session, kept in the client's cookies; raises `CommandError`."""
    try:
        answer = await http.post("/v1/session", json={"login": login, "password": password})
    except httpx.HTTPError as error:
        raise CommandError(f"the site can't be reached, or doesn't answer: {type(error).__name__}") from None
    if answer.status_code >= 400:
        raise CommandError(f"the site refused to sign `{login}` in ({answer.status_code})")


async def fetch_evidence(
    http: httpx.AsyncClient, recording: str, out: Path, identities: Sequence[Identity] = ()
) -> Fetched:
    """Write the bundle into `out`, readable by its owner only; `http` is signed in. Raises `CommandError`.

    With the agent's key also the leg's end in the log, opened: sealed, it can't be told which leg's it is.
    """
    if not RECORDING.fullmatch(recording):
        raise CommandError(f"`{recording}` isn't a recording's id", 2)
    try:
        return await _fetch(http, recording, out, identities)
    except httpx.HTTPError as error:
        raise CommandError(f"the site can't be reached, or doesn't answer: {type(error).__name__}") from None
    except (KeyError, TypeError, ValueError):
        raise CommandError("the site's answer isn't one of this API") from None
    except OSError as error:
        raise CommandError(f"`{out}`: {error.strerror or error}") from None


async def _fetch(http: httpx.AsyncClient, recording: str, out: Path, identities: Sequence[Identity]) -> Fetched:
    told = await _json(http, f"/v1/recordings/{recording}")
    _make(out)
    written: list[str] = []
    missing: list[str] = []
    for side, seg in _sides(told):
        for suffix in SUFFIXES:
            name = f"{recording}-{side}-{seg}.{suffix}"
            there = await _download(http, f"/v1/recordings/{recording}/sides/{side}/{seg}.{suffix}", out / name)
            (written if there else missing).append(name)
    kept = _manifests(out, written)
    if kept:
        _write(out / SIGNERS, _signers(kept[0]))
        written.append(SIGNERS)
    if kept and identities:
        async for name, data in _legs(http, identities, {hashlib.sha256(one).hexdigest() for one in kept}):
            _write(out / name, data)
            written.append(name)
    return Fetched(tuple(written), tuple(missing))


def _sides(told: dict[str, Any]) -> Iterator[tuple[str, int]]:
    for one in told["sides"][:MAX_SIDES]:
        side, seg = one["side"], one["seg"]
        if side not in ("agent", "caller") or type(seg) is not int or not 1 <= seg <= 9_999:
            raise ValueError("not a segment")
        yield side, seg


async def _legs(
    http: httpx.AsyncClient, identities: Sequence[Identity], digests: set[str]
) -> AsyncIterator[tuple[str, bytes]]:
    """Files of each of the agent's legs whose end commits to one of these manifests."""
    cursor: int | None = 0
    while cursor is not None:
        page = await _json(http, f"/v1/agents/me/draws?cursor={cursor}&limit=100")
        for item in page["items"]:
            told = _opened_end(item["sealed"], identities) if item["kind"] == OUT_KIND else None
            if told is None or not digests & set(told.manifests):
                continue
            stem, there = f"leg-{told.entry}", item["entry"]
            yield f"{stem}.out", told.line()
            yield f"{stem}.entry", there["entry"].encode()
            if there["proof"] is not None:
                yield f"{stem}.tlog-proof", there["proof"].encode()
        if page["next"] is not None and page["next"] <= cursor:
            raise ValueError("the list goes round")
        cursor = page["next"]


def _opened_end(sealed: str, identities: Sequence[Identity]) -> OutOpening | None:
    """None for one that isn't for this key or has another form: a proof less, never a wrong one."""
    try:
        return parse_out_opening(age.decrypt(base64.b64decode(sealed), identities).rstrip(b" "))
    except (CryptoError, StatementError):
        return None


def _signers(manifest: bytes) -> bytes:
    """The key that the manifest names, for `ssh-keygen -Y verify -I gateway`."""
    try:
        key = VerifierKey.parse(Manifest.parse(manifest).gateway).key
    except (ManifestError, CryptoError) as error:
        raise CommandError(f"the site handed out a manifest that can't be read: {error}") from None
    return allowed_signers_line("gateway", key, (NAMESPACE,)).encode()


async def _json(http: httpx.AsyncClient, path: str) -> dict[str, Any]:
    answer = await http.get(path)
    if answer.status_code == 404:
        raise CommandError("there is no such recording of yours")
    if answer.status_code >= 400:
        raise CommandError(f"the site refused ({answer.status_code}): sign in as the agent whose recording it is")
    found: dict[str, Any] = answer.json()
    return found


async def _download(http: httpx.AsyncClient, path: str, target: Path) -> bool:
    """Whether it is there; a file that breaks off doesn't stay."""
    limit = MAX_PAYLOAD if target.suffix == ".age" else MAX_BYTES
    async with http.stream("GET", path) as answer:
        if answer.status_code == 404:
            return False
        answer.raise_for_status()
        try:
            with _opened(target) as file:
                async for piece in answer.aiter_bytes():
                    limit -= file.write(piece)
                    if limit < 0:
                        raise CommandError(f"`{target.name}` is larger than any such file")
        except BaseException:
            os.unlink(target)
            raise
    return True


def _make(out: Path) -> None:
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise CommandError(f"`{out}` isn't empty: name a folder of the bundle's own")


def _manifests(out: Path, written: list[str]) -> list[bytes]:
    return [(out / name).read_bytes() for name in written if name.endswith(".manifest.json")]


def _write(path: Path, data: bytes) -> None:
    with _opened(path) as file:
        file.write(data)


def _opened(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
