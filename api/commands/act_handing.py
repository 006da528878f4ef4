"""What every act on the command line goes through: shown in plain sentences, confirmed, signed, handed in."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from api.commands.act_place import Place
from api.commands.saying import read_bytes, tell
from api.errors import CommandError
from api.key_files import read_signing_key, sign_file
from crypto.errors import CryptoError
from crypto.sshsig import Signature
from gateway.clock import SystemClock
from policy.act_effects import who_signs
from policy.act_text import act_said, differences, in_words, signers_said
from policy.acts import ACT_NAMESPACE, Act, parse_act
from policy.agreement.load import Agreement
from policy.errors import ActError
from policy.message_words import PARTIES
from policy.messages import say
from policy.plain import plain
from policy.state import State

__all__ = ["Handing", "confirm", "drafted", "hand_on", "post_act", "save", "shown", "write"]


@dataclass(frozen=True, slots=True)
class Handing:
    """How an act is handed on: where to, signed with what, told in which language."""

    place: Place
    out: Path | None
    yes: bool = False
    as_json: bool = False


def hand_on(handing: Handing, act: bytes, said: Sequence[str], document: str | None = None) -> None:
    place = handing.place
    if place.key is None or (handing.out is not None and place.api is not None):
        write(act, handing.out, said)
        return
    if handing.out is not None:
        raise CommandError("--out goes without --key: an act that is handed in isn't kept", 2)
    secret = read_signing_key(place.key)
    confirm(said, handing.yes, place.lang, as_json=handing.as_json)
    signed = {place.role: sign_file(act, secret, ACT_NAMESPACE)}
    post_act(place, act.decode(), signed, document, handing.as_json)


def write(act: bytes, out: Path | None, said: Sequence[str]) -> None:
    if out is None:
        typer.echo(act.decode(), nl=False)
        return
    save(out, act)
    tell(False, None, *said, "", str(out))


def post_act(place: Place, act: str, signed: dict[str, str], document: str | None, as_json: bool) -> None:
    answer = place.hand_in(act, signed, document)
    tell(as_json, answer, taken(answer, place.lang))


def taken(answer: dict[str, Any], language: str) -> str:
    """What holds now: an act that was taken may wait for the next epoch, or for its document's time."""
    taken = in_words("taken", language, seq=answer["seq"])
    if answer["suspended_by"]:
        by = ", ".join(PARTIES[language][one] for one in answer["suspended_by"])
        return f"{taken} {in_words('suspended', language, by=by)}"
    return f"{taken} {in_words('in_force' if answer['agreement'] else 'nothing_in_force', language, **answer)}"


def drafted(
    state: State, act: bytes, language: str, document: Agreement | None = None, narrows: Agreement | None = None
) -> tuple[str, ...]:
    """What is shown of a draft, and who has to sign it; one that nobody's signatures would help is refused now."""
    try:
        parsed, now = parse_act(act), SystemClock().wallclock()
        # a clock that is behind is the gateway's to judge: it takes a suspension all the same
        signers = who_signs(state, parsed, max(now, state.changed_at or now), document)
    except ActError as error:
        raise CommandError(say(error, language)) from None
    return (*shown(parsed, language, document, narrows), "", signers_said(signers, language))


def shown(
    act: Act, language: str, document: Agreement | None = None, narrows: Agreement | None = None
) -> tuple[str, ...]:
    """What is to be read before anybody signs."""
    lines = [*act_said(act, language)]
    if document is not None and narrows is not None:
        lines += ["", in_words("changes", language), "", *differences(narrows, document, language)]
    if document is not None:
        lines += ["", in_words("document", language), "", plain(document, language).rstrip("\n")]
    return tuple(lines)


def confirm(said: Sequence[str], yes: bool, language: str, *, as_json: bool = False) -> None:
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


def save(path: Path, data: bytes) -> None:
    """Over a file only an act of the same agreement, or a signature of the same key: anything else would be lost."""
    if path.exists() and _maker(read_bytes(path)) != _maker(data):
        raise CommandError(f"`{path}`: {os.strerror(errno.EEXIST)}")
    try:
        path.write_bytes(data)
    except OSError as error:
        raise CommandError(f"`{path}`: {error.strerror or error}") from None


def _maker(data: bytes) -> str | bytes:
    """Whose signature it is, or which agreement's act; of any other file, all of it."""
    try:
        return Signature.parse(data.decode("ascii")).key.line()
    except (UnicodeDecodeError, CryptoError):
        pass
    try:
        return parse_act(data).agreement
    except ActError:
        return data
