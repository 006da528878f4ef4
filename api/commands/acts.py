"""`fairtap agreement propose`, `narrow`, `rates`, …: acts drafted, shown in plain sentences, signed, handed in.

One shape for all: without a key the act is written, for its parties to sign anywhere (`sign`) and anybody to hand in;
with a key it is shown, signed and handed in at once, where one signature is enough.
"""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path
from typing import Annotated, Final

import typer

from api.commands.act_handing import Handing, confirm, drafted, hand_on, post_act, save, shown, write
from api.commands.act_place import Api, Certificate, Place, SignInKey, SignRole
from api.commands.agreement import agreement, load_document, read_text
from api.commands.saying import AsJson, ConfigFile, Lang, language_of, read_bytes
from api.errors import CommandError
from api.key_files import read_public_keys, read_signing_key, sign_file
from gateway.clock import SystemClock
from policy.act_text import in_words
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
from policy.messages import say
from policy.percent import parse_percent
from policy.state import State

__all__ = ["agreement"]

MAX_MINUTES: Final = 256 * 1024 * 1024
"""Bytes of the council's minutes, of which only the digest is taken: a scan may be large."""
Name = Annotated[str, typer.Option("--agreement", help="Its id; without it, the one in force.")]
Out = Annotated[Path | None, typer.Option(help="Write the act there and show it; without it, print the act alone.")]
SignKey = Annotated[Path | None, typer.Option("-k", "--key", help="The party's OUT.sign: show, sign and hand in.")]
Yes = Annotated[bool, typer.Option("--yes", help="Sign what is shown without asking; needed without a terminal.")]
Signatures = Annotated[list[str], typer.Option(help="role=FILE, e.g. council=act.council.sig; repeat.")]
ActFile = Annotated[Path, typer.Argument(help="The act, as the other commands write it.")]
ResolvedOn = Annotated[str, typer.Option("--resolution", help="Day of the council's resolution, e.g. 2026-03-03.")]
Minutes = Annotated[Path | None, typer.Option(help="The minutes of that resolution; only their digest is taken.")]


# -- drafts


@agreement.command("propose")
def propose(
    file: Path,
    out: Out = None,
    key: SignInKey = None,
    role: SignRole = "council",
    lang: Lang = None,
    config: ConfigFile = None,
    api: Api = None,
    ca: Certificate = None,
) -> None:
    """The act that puts a document into force. Employer and council `sign` it, then `activate` it."""
    language = language_of(lang)
    found, state = load_document(file, language), Place(config, language, api, ca, role, key).state()
    act = state.draft(found.id, NewAgreement(found.digest))
    write(act, out, drafted(state, act, language, found))


@agreement.command("narrow")
def narrow(
    file: Path,
    narrows: Annotated[
        Path | None, typer.Option(help="The one that it narrows, as signed; else what's in force.")
    ] = None,
    out: Out = None,
    key: SignKey = None,
    role: SignRole = "council",
    yes: Yes = False,
    lang: Lang = None,
    config: ConfigFile = None,
    api: Api = None,
    ca: Certificate = None,
    as_json: AsJson = False,
) -> None:
    """Put a narrower document into the place of one in force, at once: what one party may do alone, it signs alone."""
    language = language_of(lang)
    place = Place(config, language, api, ca, role, key)
    found, state = load_document(file, language), place.state()
    old = _narrowed(state, found, load_document(narrows, language).digest if narrows is not None else "", language)
    act = state.draft(found.id, Narrow(found.digest, old.digest))
    hand_on(Handing(place, out, yes, as_json), act, drafted(state, act, language, found, old), read_text(file))


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
    api: Api = None,
    ca: Certificate = None,
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
    _make(body, name, Handing(Place(config, language_of(lang), api, ca, role, key), out, yes, as_json))


@agreement.command("suspend")
def suspend(
    name: Name = "",
    out: Out = None,
    key: SignKey = None,
    role: SignRole = "council",
    yes: Yes = False,
    lang: Lang = None,
    config: ConfigFile = None,
    api: Api = None,
    ca: Certificate = None,
    as_json: AsJson = False,
) -> None:
    """Stop all recording within a second; calls go on."""
    _make(Suspend(), name, Handing(Place(config, language_of(lang), api, ca, role, key), out, yes, as_json))


@agreement.command("resume")
def resume(
    name: Name = "",
    out: Out = None,
    key: SignKey = None,
    role: SignRole = "council",
    yes: Yes = False,
    lang: Lang = None,
    config: ConfigFile = None,
    api: Api = None,
    ca: Certificate = None,
    as_json: AsJson = False,
) -> None:
    """Take a suspension back: whoever suspended, and the council always."""
    _make(Resume(), name, Handing(Place(config, language_of(lang), api, ca, role, key), out, yes, as_json))


@agreement.command("evaluation")
def evaluation(
    day: Annotated[str, typer.Argument(help="On which both parties evaluated it, e.g. 2026-06-01.")],
    name: Name = "",
    out: Out = None,
    key: SignInKey = None,
    role: SignRole = "council",
    lang: Lang = None,
    config: ConfigFile = None,
    api: Api = None,
    ca: Certificate = None,
) -> None:
    """The act by which employer and council sign off an evaluation: both `sign` it, then `post` it."""
    language = language_of(lang)
    state = Place(config, language, api, ca, role, key).state()
    act = state.draft(_named(state, name, language), Evaluation(_day(day, "DAY")))
    write(act, out, drafted(state, act, language))


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
    api: Api = None,
    ca: Certificate = None,
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
    _make(body, name, Handing(Place(config, language_of(lang), api, ca, role or of, old), out, yes, as_json))


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
    confirm(shown(parsed, language, new, old), yes, language)
    target = out or act.with_name(act.name + ".sig")
    save(target, sign_file(data, secret, ACT_NAMESPACE).encode("ascii"))
    typer.echo(str(target))


@agreement.command("activate")
def activate(
    file: Path,
    act: Annotated[Path, typer.Option(help="The act that was signed.")],
    signature: Signatures,
    key: SignInKey = None,
    role: SignRole = "council",
    lang: Lang = None,
    config: ConfigFile = None,
    api: Api = None,
    ca: Certificate = None,
    as_json: AsJson = False,
) -> None:
    """Hand in a signed act with its document (`propose`, `narrow`); the gateway verifies the signatures."""
    place = Place(config, language_of(lang), api, ca, role, key)
    post_act(place, read_text(act), _signatures(signature), read_text(file), as_json)


@agreement.command("post")
def post(
    act: Annotated[Path, typer.Argument(help="The act that was signed.")],
    signature: Signatures,
    key: SignInKey = None,
    role: SignRole = "council",
    lang: Lang = None,
    config: ConfigFile = None,
    api: Api = None,
    ca: Certificate = None,
    as_json: AsJson = False,
) -> None:
    """Hand in a signed act that carries no document: rates, suspend, resume, evaluation, key."""
    place = Place(config, language_of(lang), api, ca, role, key)
    post_act(place, read_text(act), _signatures(signature), None, as_json)


# -- parts


def _make(body: Body, name: str, handing: Handing) -> None:
    state, language = handing.place.state(), handing.place.lang
    act = state.draft(_named(state, name, language), body)
    hand_on(handing, act, drafted(state, act, language))


def _named(state: State, name: str, language: str) -> str:
    found = name or next((one.id for one in state.in_force(SystemClock().wallclock())), "")
    if not found:
        raise CommandError(in_words("nothing_in_force", language))
    return found


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
