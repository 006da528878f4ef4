"""`fairtap evidence`, `verify-recording`: a recording with all that proves it, fetched by its agent, checked offline.

What a bundle says of itself is printed without control characters: whoever made it may have forged it.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from api.commands.at_site import ApiAddress, Certificate, Login, PasswordFile, finish_at_site, password_of, site_http
from api.commands.saying import AsJson, read_bytes, tell
from api.errors import CommandError
from api.evidence_check import Report, Segment, check_segments, signer_of
from api.evidence_fetch import Fetched, checked_id, fetch_evidence
from api.evidence_files import read_bundle
from api.evidence_log import check_log
from api.listen import read_identities
from api.site_client import SiteClient
from crypto.errors import CryptoError
from crypto.signed_note import VerifierKey
from crypto.ssh_key import VerifyKey
from storage.manifest import Private

__all__ = ["evidence", "verify_recording"]

_SSH_KEY = re.compile(r"ssh-ed25519 [A-Za-z0-9+/=]+")


def evidence(
    recording: Annotated[str, typer.Argument(help="The recording's id.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write.")],
    login: Login,
    identity: Annotated[
        Path | None, typer.Option("-i", "--identity", help="OUT.key of the agent; without it, no proof of the log.")
    ] = None,
    password_file: PasswordFile = None,
    api: ApiAddress = "http://127.0.0.1:8080",
    ca: Certificate = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a recording of your own as an evidence bundle: age files, manifests, openings, the log's proofs."""
    checked_id(recording)
    identities = read_identities(identity) if identity is not None else []
    client, password = SiteClient(site_http(api, ca)), password_of(password_file)

    async def work() -> Fetched:
        async with client as site:
            await site.sign_in(login, password)
            return await fetch_evidence(site, recording, out, identities)

    done = finish_at_site(work())
    lines = [f"{len(done.files)} files in {out}", *(f"not handed out: {name}" for name in done.missing)]
    tell(as_json, asdict(done), *lines, f"check them with `fairtap verify-recording {out} -i YOUR.key`")


def verify_recording(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An evidence bundle.")],
    identity: Annotated[Path | None, typer.Option("-i", "--identity", help="OUT.key of the agent.")] = None,
    vkey: Annotated[Path | None, typer.Option(help="A file with the gateway's key, as you know it.")] = None,
    log: Annotated[Path | None, typer.Option(help="A copy of the site's log, as `fairtap-council sync` makes.")] = None,
    as_json: AsJson = False,
) -> int:
    """Check a recording offline: signature, payload, key commitment, opening, the log's proof; rc 1 with findings."""
    if log is not None and not log.is_dir():
        raise CommandError(f"`{log}` is no folder", 2)
    given = _read_vkey(vkey) if vkey is not None else None
    identities = read_identities(identity) if identity is not None else []
    bundle, report = read_bundle(folder), Report()
    key = signer_of(bundle, given, report)
    check_segments(bundle, key, identities, report)
    check_log(bundle, key, log, report)
    tell(as_json, _plain(report), *_lines(report))
    return 1 if report.findings else 0


def _read_vkey(path: Path) -> VerifyKey:
    """A verifier key as manifests name it, a public key, or an allowed_signers line."""
    text = read_bytes(path).decode("utf-8", "replace").strip().split("\n", 1)[0]
    try:
        match = _SSH_KEY.search(text)
        return VerifyKey.parse(match[0]) if match is not None else VerifierKey.parse(text).key
    except CryptoError as error:
        raise CommandError(f"`{path}`: {error}", 2) from None


def _plain(report: Report) -> dict[str, Any]:
    return {
        "findings": [asdict(one) for one in report.findings],
        "segments": [_segment(one) for one in report.segments],
        "entries": report.entries,
        "unchecked": report.unchecked,
    }


def _segment(one: Segment) -> dict[str, Any]:
    found = one.manifest
    return {
        "name": one.name,
        "recording": found.id if found is not None else None,
        "end": found.end if found is not None else None,
        "chunks": found.payload.chunks if found is not None else None,
        "whole_chunks": one.whole_chunks,
        "private": one.private.to_json() if one.private is not None else None,
    }


def _lines(report: Report) -> list[str]:
    lines = [line for one in report.segments for line in _about(one)]
    lines += [f"in the log: {entry}" for entry in report.entries]
    lines += [f"not checked: {said}" for said in report.unchecked]
    lines += [f"{one.check}: {one.place}: {one.sentence}" for one in report.findings]
    lines.append(f"{len(report.findings)} findings" if report.findings else "no findings")
    return ["".join(sign if sign.isprintable() else "?" for sign in line) for line in lines]


def _about(one: Segment) -> list[str]:
    if one.manifest is None:
        return [f"{one.name}: no manifest that can be read"]
    told = one.manifest
    opened = f", {one.whole_chunks} of them opened" if one.whole_chunks is not None else ""
    first = f"{one.name}: {told.payload.bytes} bytes, {told.payload.chunks} chunks{opened}, end {told.end}"
    return [first, *(_gaps(one.private) if one.private is not None else ())]


def _gaps(private: Private) -> list[str]:
    times = f"  {private.lane}, {private.purpose}, {private.to_json()['started']} to {private.to_json()['ended']}"
    return [times, *(f"  gap {start}-{end} ms: {why}" for start, end, why in private.gaps)]
