"""`fairtap agreement`: judge a document, show the one in force, make acts, sign them, hand them in."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from api.agreement_check import check as judge
from api.commands.saying import AsJson, ConfigFile, ask, finish, read_bytes, tell
from api.dry_run import legs_of_month, run_dry
from api.errors import CommandError
from api.home import Home, find_home
from api.key_files import read_signing_key, sign_file
from api.reads import AgreementInForce, MonthStatistics
from api.site import SiteFolder
from crypto.errors import CryptoError
from crypto.jcs import parse
from gateway.clock import SystemClock
from gateway.control.protocol import PostAct
from policy.acts import ACT_NAMESPACE, Body, NewAgreement, Rates, Resume, Suspend
from policy.agreement.load import Agreement, AgreementRefused, load
from policy.chain import fold
from policy.dry_run import EVERYBODY
from policy.errors import DryRunError, PolicyError
from policy.percent import parse_percent
from policy.plain import plain as plain_sentences
from policy.state import Anchor, State
from policy.statements import LANGUAGES
from storage.acts import Acts
from storage.database import Database
from storage.errors import StorageError

agreement = typer.Typer(help="The works agreement.", no_args_is_help=True)
Lang = Annotated[str, typer.Option(help="de, en or nb.")]
SignKey = Annotated[Path | None, typer.Option("-k", "--key", help="The party's OUT.sign.")]
SignRole = Annotated[str, typer.Option(help="Whose key it is: employer, council, council2, council3 or dpo.")]


@agreement.command("check")
def check(file: Path, lang: Lang = "en", as_json: AsJson = False) -> None:
    """Judge the document alone; rc 1 with one line per fault."""
    verdict = judge(read_bytes(file), _language(lang))
    faults = [{"field": one.field, "line": one.line, "said": one.said} for one in verdict.faults]
    if as_json:
        notes = list(verdict.notes)
        tell(True, {"ok": verdict.ok, "digest": verdict.digest, "faults": faults, "notes": notes})
    elif verdict.ok:
        tell(False, None, f"ok, digest {verdict.digest}", *verdict.notes)
    for fault in verdict.faults:
        typer.echo(str(fault), err=True)
    if not verdict.ok:
        raise typer.Exit(1)


@agreement.command("show")
def show(
    lang: Lang = "en",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """The agreement in force in plain sentences, as acts have left it, then its texts for agents and the document."""
    language, home = _language(lang), find_home(config)
    found = finish(_in_force(home))
    if found is None:
        raise CommandError("no agreement is in force: nothing is recorded")
    plain = {
        "digest": found.digest,
        "seq": found.seq,
        "start": found.start,
        "end": found.end,
        "document": found.document,
    }
    binding = finish(_state(home)).in_force(SystemClock().wallclock())
    texts = [plain_sentences(one, language) for one in binding]
    texts += [f"{one.text[language]}\n" for one in found.consents]
    tell(
        as_json,
        plain,
        f"act {found.seq}, digest {found.digest}, {found.start} to {found.end}",
        "",
        *texts,
        found.document,
    )


@agreement.command("dry-run")
def dry_run(
    file: Path,
    legs: Annotated[
        list[str] | None, typer.Option(help="Calls of one agent in a week: 60, or GROUP=60, or RULE=60; repeat.")
    ] = None,
    agents: Annotated[list[str] | None, typer.Option(help="Agents: 12, or GROUP=12, or RULE=12; repeat.")] = None,
    lang: Lang = "en",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """What a document would come to: each rule's effective rate, and where ceiling, caps and counts bind.

    Without --legs it reckons with last month's published figures of this site.
    """
    language, by_legs, by_agents = _language(lang), _figures("--legs", legs), _figures("--agents", agents)
    found = _loaded(file)
    if not by_legs:
        by_legs = legs_of_month(found, finish(_last_month(find_home(config))), by_agents)
    try:
        result = run_dry(found, by_legs, by_agents, language)
    except DryRunError as error:
        raise CommandError(f"{error} (--legs, --agents)") from None
    tell(as_json, asdict(result), *result.said)


@agreement.command("propose")
def propose(
    file: Path,
    out: Annotated[Path | None, typer.Option(help="Write the act there; without it, print it.")] = None,
    config: ConfigFile = None,
) -> None:
    """The act that would put this document into force: the bytes that both parties sign."""
    found = _loaded(file)
    act = finish(_state(find_home(config))).draft(found.id, NewAgreement(found.digest))
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
    answer = ask(find_home(config), PostAct(_text(act), _signatures(signature), _text(file)))
    tell(as_json, answer, _taken(answer))


@agreement.command("post")
def post(
    act: Annotated[Path, typer.Argument(help="The act that was signed.")],
    signature: Annotated[list[str], typer.Option(help="role=FILE, e.g. council=act.council.sig; repeat.")],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Hand in a signed act that carries no document: rates, suspend, resume, evaluation, key."""
    answer = ask(find_home(config), PostAct(_text(act), _signatures(signature)))
    tell(as_json, answer, _taken(answer))


@agreement.command("rates")
def rates(
    rate: Annotated[list[str], typer.Argument(help="RULE=PERCENT, e.g. sample/team-a/regular=2; repeat.")],
    name: Annotated[str, typer.Option("--agreement", help="Its id; without it, the one in force.")] = "",
    key: SignKey = None,
    role: SignRole = "council",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Other percentages: with a key sign and hand in, without one print the act. Alone the council only lowers.

    A lower one holds from the next call on, a higher one from the next epoch.
    """
    wanted = {}
    for one in rate:
        rule, equals, percent = one.rpartition("=")
        ppm = parse_percent(percent)
        if not equals or ppm is None:
            raise CommandError(f"`{one}` isn't RULE=PERCENT, such as sample/team-a/regular=2", 2)
        wanted[rule] = ppm
    _act(Rates(wanted), name, key, role, config, as_json)


@agreement.command("suspend")
def suspend(
    name: Annotated[str, typer.Option("--agreement", help="Its id; without it, the one in force.")] = "",
    key: SignKey = None,
    role: SignRole = "council",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Stop all recording within a second; calls go on. With a key sign and hand in, without one print the act."""
    _act(Suspend(), name, key, role, config, as_json)


@agreement.command("resume")
def resume(
    name: Annotated[str, typer.Option("--agreement", help="Its id; without it, the one in force.")] = "",
    key: SignKey = None,
    role: SignRole = "council",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Take a suspension back: whoever suspended, and the council always. Like `suspend`, but it needs the key."""
    _act(Resume(), name, key, role, config, as_json)


def _act(body: Body, name: str, key: Path | None, role: str, config: Path | None, as_json: bool) -> None:
    home = find_home(config)
    state = finish(_state(home))
    found = name or next((one.id for one in state.in_force(SystemClock().wallclock())), "")
    if not found:
        raise CommandError("no agreement is in force: nothing is recorded")
    act = state.draft(found, body)
    if key is None:
        typer.echo(act.decode(), nl=False)
        return
    signed = {role: sign_file(act, read_signing_key(key), ACT_NAMESPACE)}
    answer = ask(home, PostAct(act.decode(), signed))
    tell(as_json, answer, _taken(answer))


def _taken(answer: dict[str, Any]) -> str:
    """What holds now: an act that was taken may wait for the next epoch, or for its document's time."""
    now = f"`{answer['agreement']}`, version {answer['version']}" if answer["agreement"] else "no agreement"
    by = " and ".join(answer["suspended_by"])
    stands = f"suspended by {by}, nothing is recorded" if by else f"in force now: {now}"
    return f"act {answer['seq']} is taken; {stands}"


def _signatures(given: list[str]) -> dict[str, str]:
    signatures: dict[str, str] = {}
    for one in given:
        role, equals, path = one.partition("=")
        if not equals or not path:
            raise CommandError(f"--signature: `{one}` isn't role=FILE", 2)
        signatures[role] = _text(Path(path))
    return signatures


def _language(lang: str) -> str:
    if lang not in LANGUAGES:
        raise CommandError(f"--lang: `{lang}` isn't de, en or nb", 2)
    return lang


def _loaded(file: Path) -> Agreement:
    try:
        return load(read_bytes(file))
    except AgreementRefused as refused:
        raise CommandError(f"`{file}`: {refused}; see `fairtap agreement check {file}`") from None


def _figures(option: str, given: list[str] | None) -> dict[str, int]:
    figures = {}
    for one in given or ():
        name, _, figure = one.rpartition("=")
        if not figure.isascii() or not figure.isdigit() or len(figure) > 6:
            raise CommandError(f"{option}: `{one}` isn't a whole number, or NAME=NUMBER", 2)
        figures[name or EVERYBODY] = int(figure)
    return figures


async def _last_month(home: Home) -> MonthStatistics:
    async with SiteFolder(home.config, SystemClock()) as site:
        return await site.statistics(None)


def _text(path: Path) -> str:
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError:
        raise CommandError(f"`{path}` isn't text") from None


async def _in_force(home: Home) -> AgreementInForce | None:
    async with SiteFolder(home.config, SystemClock()) as site:
        return await site.agreement()


async def _state(home: Home) -> State:
    try:
        database = await Database.open(home.config.database_url, read_only=True)
    except StorageError as error:
        raise CommandError(f"the site's database can't be read: {error}; run `fairtap init` first") from None
    try:
        acts = Acts(database)
        anchors = [Anchor(one.role, one.key, one.recipient) for one in await acts.anchors()]
        return fold(anchors, await acts.chain())
    except (CryptoError, PolicyError) as error:
        raise CommandError(f"the chain of acts doesn't hold: {error}") from None
    finally:
        await database.close()
