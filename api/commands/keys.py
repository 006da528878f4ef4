"""`fairtap keygen`, `sign`, `listen`: what people do with their own keys, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api import listen as listening
from api.commands.at_site import ApiAddress, Certificate, PasswordFile, finish_at_site, password_of, site_http
from api.commands.saying import AsJson, read_bytes, tell
from api.errors import CommandError
from api.evidence_fetch import checked_id
from api.hearing import fetch_sides
from api.key_files import make_keys, read_signing_key, sign_file
from api.listen import SideFile
from api.site_client import SiteClient
from policy.acts import ACT_NAMESPACE
from storage.names import folder_of

__all__ = ["keygen", "listen", "sign"]


def keygen(
    out: Path,
    kind: Annotated[str, typer.Option(help="agent or party")] = "agent",
    comment: Annotated[str, typer.Option(help="Stands in the public file.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make OUT.key (age identity), OUT.sign (OpenSSH Ed25519) and OUT.pub (both public keys)."""
    if kind not in ("agent", "party"):
        raise CommandError(f"--kind: `{kind}` isn't agent or party", 2)
    made = make_keys(out, comment)
    files = [str(path) for path in made.files]
    plain = {"kind": kind, "recipient": made.recipient, "signing_key": made.signing_key, "files": files}
    lines = (f"{made.files[2]}: {made.fingerprint}", f"keep {files[0]} and {files[1]} to yourself")
    tell(as_json, {**plain, "fingerprint": made.fingerprint}, *lines)


def sign(
    file: Path,
    key: Annotated[Path, typer.Option("-k", "--key", help="Your OUT.sign.")],
    namespace: Annotated[str, typer.Option("-n", "--namespace", help="What for, e.g. fairtap-session@v1.")],
    out: Annotated[Path | None, typer.Option(help="Without it: FILE.sig.")] = None,
) -> None:
    """Sign a file (SSHSIG), as `ssh-keygen -Y sign` does; acts are signed by `fairtap agreement sign`."""
    if namespace == ACT_NAMESPACE:
        raise CommandError(f"`{namespace}`: use `fairtap agreement sign`, which shows what is signed", 2)
    signature = sign_file(read_bytes(file), read_signing_key(key), namespace)
    target = out or file.with_name(file.name + ".sig")
    target.write_text(signature, encoding="ascii")
    typer.echo(str(target))


def listen(
    recording: Annotated[
        str, typer.Argument(help="A folder of a recording's files, or its id with --data-dir or --login.")
    ],
    identity: Annotated[
        Path,
        typer.Option("-i", "--identity", help="OUT.key of agent or coach, or of the officer where *.inner files lie."),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Write a stereo WAV; without it, play.")] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="The site's data folder, for an id.")] = None,
    login: Annotated[
        str | None, typer.Option("--login", help="Fetch it from the site: an own one, or one released to you.")
    ] = None,
    password_file: PasswordFile = None,
    api: ApiAddress = "http://127.0.0.1:8080",
    ca: Certificate = None,
    as_json: AsJson = False,
) -> None:
    """Open a recording in memory: agent left, caller right."""
    identities = listening.read_identities(identity)
    if data_dir is not None or login is not None:
        checked_id(recording)
    if login is not None:
        files = finish_at_site(_fetched(SiteClient(site_http(api, ca)), (login, password_of(password_file)), recording))
    elif data_dir is not None:
        folder = folder_of(recording)
        files = listening.find_sides(data_dir / "recordings" / folder, data_dir / "vault" / folder)
    else:
        files = listening.find_sides(Path(recording))
    sides = [listening.open_side(file, identities) for file in files]
    cut = [f"{one.side}-{one.seg}" for one in sides if not one.whole]
    if out is None:
        listening.play(sides)
    else:
        listening.write_wav(sides, out)
    lines = [f"{one.side} {one.seg}: {one.seconds:.1f} s" for one in sides]
    if cut:
        lines.append(f"cut by a crash, whole chunks kept: {', '.join(cut)}")
    tell(as_json, {"wav": None if out is None else str(out), "sides": listening.summary(sides)}, *lines)


async def _fetched(client: SiteClient, who: tuple[str, str], recording: str) -> list[SideFile]:
    async with client as site:
        await site.sign_in(*who)
        return await fetch_sides(site, recording)
