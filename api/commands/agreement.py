"""`fairtap agreement`: judge a document, show the one in force, try one out. Acts are in `acts`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from api.agreement_check import check as judge
from api.commands.act_place import Api, Certificate, Place, SignInKey, SignRole
from api.commands.saying import AsJson, ConfigFile, Lang, finish, language_of, read_bytes, tell
from api.dry_run import legs_of_month, run_dry
from api.errors import CommandError
from api.home import Home, find_home
from api.reads import MonthStatistics
from api.site import SiteFolder, carries
from gateway.clock import SystemClock
from policy.act_text import in_words
from policy.agreement.load import Agreement, AgreementRefused, load
from policy.dry_run import EVERYBODY
from policy.endings import ends_soon
from policy.errors import DryRunError
from policy.messages import say_fault, say_warning
from policy.plain import plain as plain_sentences
from policy.texts import consent_text

__all__ = ["agreement", "load_document", "read_text"]

agreement = typer.Typer(help="The works agreement.", no_args_is_help=True)


@agreement.command("check")
def check(file: Path, lang: Lang = None, as_json: AsJson = False) -> None:
    """Judge the document alone; rc 1 with one line per fault."""
    verdict = judge(read_bytes(file), language_of(lang), SystemClock().wallclock())
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
    key: SignInKey = None,
    role: SignRole = "council",
    lang: Lang = None,
    config: ConfigFile = None,
    api: Api = None,
    ca: Certificate = None,
    as_json: AsJson = False,
) -> None:
    """What is in force in plain sentences, as acts have left it, then its texts for agents and the document."""
    language = language_of(lang)
    state, posts = Place(config, language, api, ca, role, key).chain()
    now = SystemClock().wallclock()
    terms = sorted(state.terms_in_force(now), key=lambda one: one.agreement.validity.end, reverse=True)
    if not terms:
        raise CommandError(in_words("nothing_in_force", language))
    shown, said = [], list[str]()
    for term in terms:
        one = term.at(now)
        signed = next((post.document for post in reversed(posts) if carries(post, one.digest)), None) or b""
        document, validity = signed.decode("utf-8", "replace"), one.validity
        start, end = validity.start.isoformat(), validity.end.isoformat()
        shown.append({"digest": one.digest, "seq": term.seq, "start": start, "end": end, "document": document})
        warned = [say_warning(ending, language) for ending in ends_soon(one, now, term.evaluated)]
        said += [in_words("stands", language, seq=term.seq, digest=one.digest), *warned, ""]
        said.append(plain_sentences(one, language))
        said += [f"{consent_text(one, purpose, language)}\n" for purpose in one.purposes]
        said += [in_words("as_signed", language), "", document]
    tell(as_json, {**shown[0], "beside": shown[1:]}, *said)


@agreement.command("dry-run")
def dry_run(
    file: Path,
    legs: Annotated[
        list[str] | None, typer.Option(help="Calls of one agent in a week: 60, or GROUP=60, or RULE=60; repeat.")
    ] = None,
    agents: Annotated[list[str] | None, typer.Option(help="Agents: 12, or GROUP=12, or RULE=12; repeat.")] = None,
    lang: Lang = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """What a document would come to: each rule's effective rate, and where ceiling, caps and counts bind.

    Without --legs it reckons with last month's published figures of this site.
    """
    language, by_legs, by_agents = language_of(lang), _figures("--legs", legs), _figures("--agents", agents)
    found = load_document(file, language)
    if not by_legs:
        by_legs = legs_of_month(found, finish(_last_month(find_home(config))), by_agents)
    try:
        result = run_dry(found, by_legs, by_agents, language)
    except DryRunError as error:
        raise CommandError(f"{error} (--legs, --agents)") from None
    tell(as_json, asdict(result), *result.said)


def load_document(file: Path, language: str) -> Agreement:
    """A document that a command was given; raises `CommandError` with its first fault in that language."""
    try:
        return load(read_bytes(file))
    except AgreementRefused as refused:
        why = say_fault(refused.faults[0], language).rstrip(".")
        raise CommandError(in_words("no_agreement", language, file=file, why=why)) from None


def read_text(path: Path) -> str:
    """A file of text that a command was given; raises `CommandError`."""
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError:
        raise CommandError(f"`{path}` isn't text") from None


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
