"""`fairtap agreement`: judge a document, show the one in force, make an act, sign it, put it into force."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from api.agreement_check import check as judge
from api.commands.saying import AsJson, ConfigFile, ask, finish, read_bytes, tell
from api.errors import CommandError
from api.home import Home, find_home
from api.key_files import read_signing_key, sign_file
from api.reads import AgreementInForce
from api.site import SiteFolder
from crypto.errors import CryptoError
from crypto.jcs import canonical, parse
from gateway.clock import SystemClock
from gateway.control.protocol import Activate
from policy.agreement.load import AgreementRefused, load
from storage.acts import AGREEMENT, Acts
from storage.database import Database
from storage.errors import StorageError

agreement = typer.Typer(help="The works agreement.", no_args_is_help=True)
ACT_NAMESPACE = "fairtap-act@v1"


@agreement.command("check")
def check(file: Path, as_json: AsJson = False) -> None:
    """Judge the document alone; rc 1 with one line per fault."""
    verdict = judge(read_bytes(file))
    faults = [{"field": one.field, "line": one.line, "said": one.said} for one in verdict.faults]
    if as_json:
        tell(True, {"ok": verdict.ok, "digest": verdict.digest, "faults": faults})
    elif verdict.ok:
        tell(False, None, f"ok, digest {verdict.digest}")
    for fault in verdict.faults:
        typer.echo(str(fault), err=True)
    if not verdict.ok:
        raise typer.Exit(1)


@agreement.command("show")
def show(
    lang: Annotated[str, typer.Option(help="de, en or nb: the texts that agents are shown.")] = "en",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """The agreement in force: its texts for agents, then the document."""
    if lang not in ("de", "en", "nb"):
        raise CommandError(f"--lang: `{lang}` isn't de, en or nb", 2)
    found = finish(_in_force(find_home(config)))
    if found is None:
        raise CommandError("no agreement is in force: nothing is recorded")
    plain = {
        "digest": found.digest,
        "seq": found.seq,
        "start": found.start,
        "end": found.end,
        "document": found.document,
    }
    texts = [f"{one.text[lang]}\n" for one in found.consents]
    tell(
        as_json,
        plain,
        f"act {found.seq}, digest {found.digest}, {found.start} to {found.end}",
        "",
        *texts,
        found.document,
    )


@agreement.command("propose")
def propose(
    file: Path,
    out: Annotated[Path | None, typer.Option(help="Write the act there; without it, print it.")] = None,
    config: ConfigFile = None,
) -> None:
    """The act that would put this document into force: the bytes that both parties sign."""
    try:
        digest, name = (found := load(read_bytes(file))).digest, found.id
    except AgreementRefused as refused:
        raise CommandError(f"`{file}`: {refused}; see `fairtap agreement check {file}`") from None
    seq, prev = finish(_head(find_home(config)))
    act = canonical(
        {"v": 1, "type": AGREEMENT, "agreement": name, "seq": seq, "prev": prev, "body": {"digest": digest}}
    )
    if out is None:
        typer.echo(act.decode(), nl=False)
    else:
        out.write_bytes(act)


@agreement.command("sign")
def sign(
    act: Path,
    key: Annotated[Path, typer.Option("-k", "--key", help="The party's OUT.sign.")],
    out: Annotated[Path | None, typer.Option(help="Without it: ACT.sig.")] = None,
) -> None:
    """Sign an act with a party's own key; works offline. `ssh-keygen -Y sign -n fairtap-act@v1` does the same."""
    data = read_bytes(act)
    try:
        parse(data)
    except CryptoError as error:
        raise CommandError(f"`{act}` isn't an act as `propose` writes it: {error}") from None
    target = out or act.with_name(act.name + ".sig")
    target.write_text(sign_file(data, read_signing_key(key), ACT_NAMESPACE), encoding="ascii")
    typer.echo(str(target))


@agreement.command("activate")
def activate(
    file: Path,
    act: Annotated[Path, typer.Option(help="The act that was signed.")],
    signature: Annotated[list[str], typer.Option(help="role=FILE, e.g. council=act.council.sig; repeat.")],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Put an agreement into force; the gateway verifies the parties' signatures."""
    signatures: dict[str, str] = {}
    for one in signature:
        role, equals, path = one.partition("=")
        if not equals or not path:
            raise CommandError(f"--signature: `{one}` isn't role=FILE", 2)
        signatures[role] = _text(Path(path))
    answer = ask(find_home(config), Activate(_text(file), _text(act), signatures))
    tell(as_json, answer, "in force")


def _text(path: Path) -> str:
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError:
        raise CommandError(f"`{path}` isn't text") from None


async def _in_force(home: Home) -> AgreementInForce | None:
    async with SiteFolder(home.config, SystemClock()) as site:
        return await site.agreement()


async def _head(home: Home) -> tuple[int, Any]:
    try:
        database = await Database.open(home.config.database_url, read_only=True)
    except StorageError as error:
        raise CommandError(f"the site's database can't be read: {error}; run `fairtap init` first") from None
    try:
        return await Acts(database).head()
    finally:
        await database.close()
