"""`fairtap agreement propose`, `narrow`, `rates`, …: acts drafted, shown in plain sentences, signed, handed in.

One shape for all: without a key the act is written, for its parties to sign anywhere (`sign`) and anybody to hand in;
with a key it is shown, signed and handed in at once, where one signature is enough.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from api.commands.agreement import agreement, load_document, read_text, state_of
from api.commands.saying import AsJson, ConfigFile, Lang, ask, finish, language_of, read_bytes, tell
from api.errors import CommandError
from api.home import find_home
from api.key_files import read_public_keys, read_signing_key, sign_file
from gateway.clock import SystemClock
from gateway.control.protocol import PostAct
from policy.act_effects import who_signs
from policy.act_text import act_said, differences, in_words, signers_said
from policy.acts import (
    ACT_NAMESPACE,
    ROLES,
    WITH_RECIPIENT,
    Act,
    Body,
    Evaluation,
    Narrow,
    NewAgreement,
    NewKey,
    Rates,
    Resolution,
    Resume,
    Suspend,
    parse_act,
)
from policy.agreement.load import Agreement
from policy.errors import ActError, ActFault, WrongDocument
from policy.message_words import PARTIES
from policy.messages import say
from policy.percent import parse_percent
from policy.plain import plain
from policy.state import State

__all__ = ["agreement"]

MAX_MINUTES: Final = 256 * 1024 * 1024
"""Bytes of the council's minutes, of which only the digest is taken: a scan may be large."""
Name = Annotated[str, typer.Option("--agreement", help="Its id; without it, the one in force.")]
Out = Annotated[Path | None, typer.Option(help="Write the act there and show it; without it, print the act alone.")]
SignKey = Annotated[Path | None, typer.Option("-k", "--key", help="The party's OUT.sign: show, sign and hand in.")]
SignRole = Annotated[str, typer.Option(help="Whose key it is: employer, council, council2, council3 or dpo.")]
Yes = Annotated[bool, typer.Option("--yes", help="Sign what is shown without asking; needed without a terminal.")]
Signatures = Annotated[list[str], typer.Option(help="role=FILE, e.g. council=act.council.sig; repeat.")]
ActFile = Annotated[Path, typer.Argument(help="The act, as the other commands write it.")]
ResolvedOn = Annotated[str, typer.Option("--resolution", help="Day of the council's resolution, e.g. 2026-03-03.")]
Minutes = Annotated[Path | None, typer.Option(help="The minutes of that resolution; only their digest is taken.")]


@dataclass(frozen=True, slots=True)
class Handing:
    """How an act is handed on: where to, signed with what, told in which language."""

    config: Path | None
    lang: str
    out: Path | None
    key: Path | None
    role: str
    yes: bool
    as_json: bool


# -- drafts


@agreement.command("propose")
def propose(file: Path, out: Out = None, lang: Lang = None, config: ConfigFile = None) -> None:
    """The act that puts a document into force. Employer and council `sign` it, then `activate` it."""
    language = language_of(lang)
    found, state = load_document(file, language), finish(state_of(find_home(config), language))
    act = state.draft(found.id, NewAgreement(found.digest))
    _write(act, out, _drafted(state, act, language, found))


@agreement.command("narrow")
def narrow(
    file: Path,
    narrows: Annotated[str, typer.Option(help="Digest of the document that it narrows; else the one in force.")] = "",
    out: Out = None,
    key: SignKey = None,
    role: SignRole = "council",
    yes: Yes = False,
    lang: Lang = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Put a narrower document into the place of one in force, at once: what one party may do alone, it signs alone."""
    language = language_of(lang)
    found, state = load_document(file, language), finish(state_of(find_home(config), language))
    old = _narrowed(state, found, narrows, language)
    act = state.draft(found.id, Narrow(found.digest, old.digest))
    handing = Handing(config, language, out, key, role, yes, as_json)
    _hand_on(handing, act, _drafted(state, act, language, found, old), read_text(file))


@agreement.command("rates")
def rates(
    rate: Annotated[list[str], typer.Argument(help="RULE=PERCENT, e.g. sample/team-a/regular=2; repeat.")],
    resolution: ResolvedOn = "",
    minutes: Minutes = None,
    opinion: Annotated[str, typer.Option(help="Reference of the officer's opinion, which a raise needs.")] = "",
    name: Name = "",
    out: Out = None,
    key: SignKey = None,
    role: SignRole = "council",
    yes: Yes = False,
    lang: Lang = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Other percentages. Alone the council only lowers; a raise takes both, a resolution and an opinion.

    A lower one holds from the next call on, a higher one from the next epoch.
    """
    wanted = {}
    for one in rate:
        rule, equals, percent = one.rpartition("=")
        ppm = parse_percent(percent)
        if not equals or ppm is None:
            raise CommandError(f"`{one}` isn't RULE=PERCENT, such as sample/team-a/regular=2", 2)
        wanted[rule] = ppm
    body = Rates(wanted, _resolution(resolution, minutes), opinion or None)
    _make(body, name, Handing(config, language_of(lang), out, key, role, yes, as_json))


@agreement.command("suspend")
def suspend(
    name: Name = "",
    out: Out = None,
    key: SignKey = None,
    role: SignRole = "council",
    yes: Yes = False,
    lang: Lang = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Stop all recording within a second; calls go on."""
    _make(Suspend(), name, Handing(config, language_of(lang), out, key, role, yes, as_json))


@agreement.command("resume")
def resume(
    name: Name = "",
    out: Out = None,
    key: SignKey = None,
    role: SignRole = "council",
    yes: Yes = False,
    lang: Lang = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Take a suspension back: whoever suspended, and the council always."""
    _make(Resume(), name, Handing(config, language_of(lang), out, key, role, yes, as_json))


@agreement.command("evaluation")
def evaluation(
    day: Annotated[str, typer.Argument(help="On which both parties evaluated it, e.g. 2026-06-01.")],
    name: Name = "",
    out: Out = None,
    lang: Lang = None,
    config: ConfigFile = None,
) -> None:
    """The act by which employer and council sign off an evaluation: both `sign` it, then `post` it."""
    body = Evaluation(_day(day, "DAY"))
    _make(body, name, Handing(config, language_of(lang), out, None, "", yes=False, as_json=False))


@agreement.command("key")
def key(
    of: Annotated[str, typer.Argument(help="Whose: employer, council, council2, council3 or dpo.")],
    public: Annotated[Path, typer.Argument(help="OUT.pub of the new key.")],
    resolution: ResolvedOn = "",
    minutes: Minutes = None,
    name: Name = "",
    out: Out = None,
    old: SignKey = None,
    role: SignRole = "",
    yes: Yes = False,
    lang: Lang = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Anchor another key of a party, signed with the one that it replaces; the council adds council2 and council3.

    In place of a lost key: with a new --resolution, signed by the other party and the officer; from 14 days later on.
    """
    if of not in ROLES:
        raise CommandError(f"`{of}` isn't {', '.join(ROLES[:-1])} or {ROLES[-1]}", 2)
    found = read_public_keys(public)
    recipient = found.recipient if of in WITH_RECIPIENT else None
    body = NewKey(of, found.signing_key, recipient, _resolution(resolution, minutes))
    _make(body, name, Handing(config, language_of(lang), out, old, role or of, yes, as_json))


# -- signing and handing in


@agreement.command("sign")
def sign(
    act: ActFile,
    key: Annotated[Path, typer.Option("-k", "--key", help="The party's OUT.sign.")],
    document: Annotated[Path | None, typer.Option(help="The agreement that the act puts into force.")] = None,
    narrows: Annotated[Path | None, typer.Option(help="The one that it narrows: shows what changes.")] = None,
    out: Annotated[Path | None, typer.Option(help="Without it: ACT.sig.")] = None,
    yes: Yes = False,
    lang: Lang = None,
) -> None:
    """Show what an act does, ask, and sign it with a party's own key; works offline, and needs no site.

    `ssh-keygen -Y sign -n fairtap-act@v1` makes the same signature, and shows nothing.
    """
    language = language_of(lang)
    data = read_bytes(act)
    try:
        parsed = parse_act(data)
    except ActError as error:
        raise CommandError(in_words("no_act", language, file=act, why=say(error, language))) from None
    new = _carried(parsed, document, language)
    old = _replaced(parsed, narrows, language) if narrows is not None else None
    secret = read_signing_key(key)
    _confirm(_shown(parsed, language, new, old), yes, language)
    target = out or act.with_name(act.name + ".sig")
    _save(target, sign_file(data, secret, ACT_NAMESPACE).encode("ascii"))
    typer.echo(str(target))


@agreement.command("activate")
def activate(
    file: Path,
    act: Annotated[Path, typer.Option(help="The act that was signed.")],
    signature: Signatures,
    lang: Lang = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Hand in a signed act with its document (`propose`, `narrow`); the gateway verifies the signatures."""
    _post(read_text(act), _signatures(signature), read_text(file), language_of(lang), config, as_json)


@agreement.command("post")
def post(
    act: Annotated[Path, typer.Argument(help="The act that was signed.")],
    signature: Signatures,
    lang: Lang = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Hand in a signed act that carries no document: rates, suspend, resume, evaluation, key."""
    _post(read_text(act), _signatures(signature), None, language_of(lang), config, as_json)


# -- parts


def _make(body: Body, name: str, handing: Handing) -> None:
    state = finish(state_of(find_home(handing.config), handing.lang))
    found = name or next((one.id for one in state.in_force(SystemClock().wallclock())), "")
    if not found:
        raise CommandError(in_words("nothing_in_force", handing.lang))
    act = state.draft(found, body)
    _hand_on(handing, act, _drafted(state, act, handing.lang))


def _hand_on(handing: Handing, act: bytes, said: Sequence[str], document: str | None = None) -> None:
    if handing.key is None:
        _write(act, handing.out, said)
        return
    if handing.out is not None:
        raise CommandError("--out goes without --key: an act that is handed in isn't kept", 2)
    secret = read_signing_key(handing.key)
    _confirm(said, handing.yes, handing.lang, as_json=handing.as_json)
    signed = {handing.role: sign_file(act, secret, ACT_NAMESPACE)}
    _post(act.decode(), signed, document, handing.lang, handing.config, handing.as_json)


def _write(act: bytes, out: Path | None, said: Sequence[str]) -> None:
    if out is None:
        typer.echo(act.decode(), nl=False)
        return
    _save(out, act)
    tell(False, None, *said, "", str(out))


def _post(
    act: str, signed: dict[str, str], document: str | None, language: str, config: Path | None, as_json: bool
) -> None:
    answer = ask(find_home(config), PostAct(act, signed, document, language))
    tell(as_json, answer, _taken(answer, language))


def _taken(answer: dict[str, Any], language: str) -> str:
    """What holds now: an act that was taken may wait for the next epoch, or for its document's time."""
    taken = in_words("taken", language, seq=answer["seq"])
    if answer["suspended_by"]:
        by = ", ".join(PARTIES[language][one] for one in answer["suspended_by"])
        return f"{taken} {in_words('suspended', language, by=by)}"
    return f"{taken} {in_words('in_force' if answer['agreement'] else 'nothing_in_force', language, **answer)}"


def _drafted(
    state: State, act: bytes, language: str, document: Agreement | None = None, narrows: Agreement | None = None
) -> tuple[str, ...]:
    """What is shown of a draft, and who has to sign it; one that nobody's signatures would help is refused now."""
    try:
        parsed, now = parse_act(act), SystemClock().wallclock()
        # a clock that is behind is the gateway's to judge: it takes a suspension all the same
        signers = who_signs(state, parsed, max(now, state.changed_at or now), document)
    except ActError as error:
        raise CommandError(say(error, language)) from None
    return (*_shown(parsed, language, document, narrows), "", signers_said(signers, language))


def _shown(
    act: Act, language: str, document: Agreement | None = None, narrows: Agreement | None = None
) -> tuple[str, ...]:
    """What is to be read before anybody signs."""
    lines = [*act_said(act, language)]
    if document is not None and narrows is not None:
        lines += ["", in_words("changes", language), "", *differences(narrows, document, language)]
    if document is not None:
        lines += ["", in_words("document", language), "", plain(document, language).rstrip("\n")]
    return tuple(lines)


def _confirm(said: Sequence[str], yes: bool, language: str, *, as_json: bool = False) -> None:
    for line in said:
        typer.echo(line, err=as_json)
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError(in_words("unshown", language), 2)
    typer.echo(in_words("ask", language), nl=False, err=True)
    typer.echo(" ", nl=False, err=True)
    answer = sys.stdin.readline().strip().lower()
    if not answer or not in_words("yes", language).startswith(answer):
        raise CommandError(in_words("unsigned", language))


def _carried(act: Act, file: Path | None, language: str) -> Agreement | None:
    """The document of an act that names one: the very one, or nothing is signed."""
    if not isinstance(act.body, NewAgreement | Narrow):
        if file is not None:
            raise CommandError(in_words("document_unwanted", language), 2)
        return None
    if file is None:
        raise CommandError(in_words("document_wanted", language), 2)
    found = load_document(file, language)
    if found.digest != act.body.digest or found.id != act.agreement:
        raise CommandError(say(WrongDocument(ActFault.DOCUMENT_DIFFERS), language))
    return found


def _replaced(act: Act, file: Path, language: str) -> Agreement:
    found = load_document(file, language)
    if not isinstance(act.body, Narrow) or act.body.narrows != found.digest:
        raise CommandError(in_words("narrows_wrong", language, file=file))
    return found


def _narrowed(state: State, new: Agreement, digest: str, language: str) -> Agreement:
    """The document that `new` narrows, with every raise that was signed for it."""
    now = SystemClock().wallclock()
    current = state.current(new.id, now)
    terms = [*([current] if current is not None else []), *state.ahead(now)]
    of = (one for one in terms if one.agreement.id == new.id and digest in ("", one.agreement.digest))
    found = next(of, None)
    if found is None:
        fault = ActFault.NARROWS_ANOTHER if digest else ActFault.UNKNOWN_AGREEMENT
        raise CommandError(say(WrongDocument(fault, agreement=new.id), language))
    return found.agreed


def _signatures(given: list[str]) -> dict[str, str]:
    signatures: dict[str, str] = {}
    for one in given:
        role, equals, path = one.partition("=")
        if not equals or not path:
            raise CommandError(f"--signature: `{one}` isn't role=FILE", 2)
        signatures[role] = read_text(Path(path))
    return signatures


def _resolution(day: str, minutes: Path | None) -> Resolution | None:
    if not day and minutes is None:
        return None
    if not day or minutes is None:
        raise CommandError("--resolution and --minutes go together", 2)
    digest = hashlib.sha256(read_bytes(minutes, MAX_MINUTES)).hexdigest()
    return Resolution(_day(day, "--resolution"), digest)


def _day(text: str, what: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{what}: `{text}` isn't a day, such as 2026-03-03", 2) from None


def _save(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise CommandError(f"`{path}`: {error.strerror or error}") from None
