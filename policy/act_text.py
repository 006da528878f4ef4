"""What an act does, in plain sentences, German, English or Norwegian: what a party reads before it signs.

Says every field of the act, so that whatever is changed in it changes the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from crypto.ssh_key import VerifyKey
from policy.act_words import ACT_WORDS
from policy.acts import Act, Body, Evaluation, Narrow, NewAgreement, NewKey, Rates, Resolution, Resume, Suspend
from policy.agreement.schema import Agreement
from policy.message_words import PARTIES
from policy.percent import percent_text
from policy.plain import paragraphs
from policy.plain_words import WORDS

__all__ = ["act_said", "differences", "in_words", "signers_said"]

_LANE_NAMES: Final = 3
"""Parts of `sample/GROUP/PHASE`."""


def in_words(name: str, language: str, /, **values: object) -> str:
    """One line of `act_words`, its gaps filled; raises KeyError for another language than `de`, `en`, `nb`."""
    return ACT_WORDS[language][name].format_map(values)


def act_said(act: Act, language: str) -> tuple[str, ...]:
    """The act, a sentence each; what a document in it says is `plain.plain`."""
    first = in_words("first", language) if act.prev is None else in_words("after", language, prev=act.prev)
    head = in_words("head", language, seq=act.seq, agreement=act.agreement)
    return (head, *_body(act.body, language), first)


def signers_said(alternatives: Iterable[frozenset[str]], language: str) -> str:
    """Whose signatures are enough: one set of anchored roles or another, as `act_effects.who_signs` finds them."""
    names = PARTIES[language]
    sets = [f" {names['and']} ".join(names[role] for role in sorted(one)) for one in alternatives]
    return in_words("signers", language, who=f" {in_words('or', language)} ".join(sets))


def differences(old: Agreement, new: Agreement, language: str) -> tuple[str, ...]:
    """Where two agreements' texts differ: each sentence that goes, then each that comes, by paragraphs."""
    lines: list[str] = []
    for before, after in zip(paragraphs(old, language), paragraphs(new, language), strict=True):
        gone = [one for one in before.sentences if one not in after.sentences]
        come = [one for one in after.sentences if one not in before.sentences]
        lines += [in_words("was", language, text=one) for one in gone]
        lines += [in_words("becomes", language, text=one) for one in come]
    return tuple(lines) or (in_words("no_changes", language),)


def _body(body: Body, language: str) -> Iterator[str]:
    match body:
        case NewAgreement():
            yield in_words("agreement", language, digest=body.digest)
        case Narrow():
            yield in_words("narrow", language, digest=body.digest, narrows=body.narrows)
        case Rates():
            yield from _rates(body, language)
        case Suspend():
            yield in_words("suspend", language)
        case Resume():
            yield in_words("resume", language)
        case Evaluation():
            yield in_words("evaluation", language, date=_day(body.day, language))
        case NewKey():
            yield from _key(body, language)


def _rates(body: Rates, language: str) -> Iterator[str]:
    yield in_words("rates", language)
    for rule, ppm in body.rates.items():
        parts = rule.split("/")
        kind = parts[2] if len(parts) == _LANE_NAMES else "campaign"
        percent = percent_text(ppm) if language == "en" else percent_text(ppm).replace(".", ",")
        yield in_words(f"rate.{kind}", language, group=parts[1], percent=percent)
    if body.resolution is None:
        yield in_words("no_resolution", language)
    else:
        yield _resolution(body.resolution, language)
    named = body.opinion_ref is not None
    yield in_words("opinion" if named else "no_opinion", language, ref=body.opinion_ref)


def _key(body: NewKey, language: str) -> Iterator[str]:
    yield in_words("key", language, role=PARTIES[language][body.role])
    yield in_words("key.print", language, key=body.key, fingerprint=VerifyKey.parse(body.key).fingerprint())
    named = body.recipient is not None
    yield in_words("recipient" if named else "no_recipient", language, recipient=body.recipient)
    if body.resolution is None:
        yield in_words("key.old", language)
    else:
        yield in_words("key.lost", language)
        yield _resolution(body.resolution, language)


def _resolution(found: Resolution, language: str) -> str:
    return in_words("resolution", language, date=_day(found.day, language), minutes=found.minutes_sha256)


def _day(day: date, language: str) -> str:
    return day.strftime(WORDS[language]["date"])
