"""Fetches one recording of an agent's own, with all that proves it, into the folder of an evidence bundle.

What the site doesn't hand out (erased, or not published yet) is left out; `verify-recording` then says so. What the
site answers is checked for its form here, and for its truth there.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from api.errors import CommandError
from api.evidence_files import MAX_BYTES, MAX_PAYLOAD, SIGNERS
from api.site_client import SiteClient, private_file
from crypto import age
from crypto.errors import CryptoError
from crypto.signed_note import VerifierKey
from crypto.ssh_key import allowed_signers_line
from crypto.x25519 import Identity
from policy.errors import StatementError
from policy.opening import OUT_KIND, OutOpening, parse_out_opening
from storage.errors import ManifestError
from storage.manifest import NAMESPACE, Manifest
from storage.names import MAX_SEGMENT, SIDES, is_id

__all__ = ["Fetched", "checked_id", "fetch_evidence", "named_sides", "new_folder"]

SUFFIXES: Final = ("manifest.json", "manifest.sig", "opening", "age")
MAX_SIDES: Final = 2 * MAX_SEGMENT


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was written, and what the site didn't hand out."""

    files: tuple[str, ...]
    missing: tuple[str, ...]


async def fetch_evidence(site: SiteClient, recording: str, out: Path, identities: Sequence[Identity] = ()) -> Fetched:
    """Write the bundle into `out`, readable by its owner only; `site` is signed in. Raises ApiError, httpx.HTTPError,
    OSError, and ValueError, KeyError or TypeError for what isn't an answer of this API.

    With the agent's key also the leg's end in the log, opened: sealed, it can't be told which leg's it is.
    """
    told = await site.ask("GET", f"/recordings/{checked_id(recording)}")
    new_folder(out)
    written: list[str] = []
    missing: list[str] = []
    for side, seg in named_sides(told["sides"]):
        for suffix in SUFFIXES:
            name = f"{recording}-{side}-{seg}.{suffix}"
            limit = MAX_PAYLOAD if suffix == "age" else MAX_BYTES
            there = await site.save(f"/recordings/{recording}/sides/{side}/{seg}.{suffix}", out / name, limit)
            (written if there else missing).append(name)
    kept = _manifests(out, written)
    if kept:
        _write(out / SIGNERS, _signers(kept[0]))
        written.append(SIGNERS)
    if kept and identities:
        async for name, data in _legs(site, identities, {hashlib.sha256(one).hexdigest() for one in kept}):
            _write(out / name, data)
            written.append(name)
    return Fetched(tuple(written), tuple(missing))


def checked_id(told: object) -> str:
    """A recording's id, which becomes part of paths. Raises CommandError."""
    if not isinstance(told, str) or not is_id(told):
        raise CommandError(f"`{told}` isn't a recording's id", 2)
    return told


def named_sides(sides: list[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    """Side and segment of each, checked, since they become part of paths. Raises ValueError."""
    for one in sides[:MAX_SIDES]:
        side, seg = one["side"], one["seg"]
        if side not in SIDES or type(seg) is not int or not 1 <= seg <= MAX_SEGMENT:
            raise ValueError("not a segment")
        yield side, seg


async def _legs(
    site: SiteClient, identities: Sequence[Identity], digests: set[str]
) -> AsyncIterator[tuple[str, bytes]]:
    """Files of each of the agent's legs whose end commits to one of these manifests."""
    cursor: int | None = 0
    while cursor is not None:
        page = await site.ask("GET", f"/agents/me/draws?cursor={cursor}&limit=100")
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


def new_folder(out: Path) -> None:
    """Make it for its owner alone. Raises CommandError where it holds something."""
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise CommandError(f"`{out}` isn't empty: name a folder of the bundle's own")


def _manifests(out: Path, written: list[str]) -> list[bytes]:
    return [(out / name).read_bytes() for name in written if name.endswith(".manifest.json")]


def _write(path: Path, data: bytes) -> None:
    with private_file(path) as file:
        file.write(data)
