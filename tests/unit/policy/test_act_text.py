"""What is shown before an act is signed: every field of it, in three languages, and what a narrower one changes."""

from dataclasses import replace
from datetime import date
from string import Formatter

import pytest

from policy.act_text import act_said, differences
from policy.act_words import ACT_WORDS
from policy.acts import (
    Act,
    ActType,
    Body,
    Evaluation,
    Narrow,
    NewAgreement,
    NewKey,
    Rates,
    Resolution,
    Resume,
    Suspend,
    type_of,
)
from tests.unit.policy.green import agreement, example
from tests.unit.policy.parties import key, recipient

A, B, PREV = "a" * 64, "b" * 64, "c" * 64
RESOLVED, OTHER = Resolution(date(2026, 3, 3), A), Resolution(date(2026, 3, 4), A)
RATES = {"sample/team-a/regular": 20_000, "sample/team-b/onboarding": 25_000, "campaign/april": 100_000}
LANGUAGES = sorted(ACT_WORDS)


def new_key(**changes: object) -> NewKey:
    body = NewKey("council", str(key("council").verify_key), recipient("council"))
    return replace(body, **changes)  # type: ignore[arg-type]  # fields by name


BODIES: dict[ActType, tuple[Body, ...]] = {
    ActType.AGREEMENT: (NewAgreement(A), NewAgreement(B)),
    ActType.NARROW: (Narrow(A, B), Narrow(B, A), Narrow(A, A)),
    ActType.RATES: (
        Rates(RATES),
        Rates(RATES | {"sample/team-a/regular": 30_000}),
        Rates(RATES | {"sample/team-a/onboarding": 20_000}),
        Rates({name: ppm for name, ppm in RATES.items() if "april" not in name} | {"campaign/may": 100_000}),
        Rates(RATES, RESOLVED),
        Rates(RATES, OTHER),
        Rates(RATES, replace(RESOLVED, minutes_sha256=B)),
        Rates(RATES, RESOLVED, "DSB-1"),
        Rates(RATES, RESOLVED, "DSB-2"),
    ),
    ActType.SUSPEND: (Suspend(),),
    ActType.RESUME: (Resume(),),
    ActType.EVALUATION: (Evaluation(date(2026, 6, 1)), Evaluation(date(2026, 6, 2))),
    ActType.KEY: (
        new_key(),
        new_key(role="council2"),
        new_key(key=str(key("council2").verify_key)),
        new_key(recipient=recipient("dpo")),
        new_key(recipient=None),
        new_key(resolution=RESOLVED),
        new_key(resolution=OTHER),
    ),
}


def act(body: Body, seq: int = 2, agreement: str = "bv-nord", prev: str | None = PREV) -> Act:
    return Act(type_of(body), agreement, seq, prev, body)


def test_every_type_of_act_is_here() -> None:
    assert set(BODIES) == set(ActType)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ActType)
def test_whatever_is_changed_in_an_act_changes_what_is_shown(kind: ActType, language: str) -> None:
    acts = [act(body) for body in BODIES[kind]]
    first = BODIES[kind][0]
    acts += [act(first, 3), act(first, agreement="bv-sued"), act(first, prev=A), act(first, 1, prev=None)]
    texts = ["\n".join(act_said(one, language)) for one in acts]
    assert len(set(texts)) == len(texts) == len({one.digest for one in acts})
    assert not any("{" in text or "None" in text for text in texts)


@pytest.mark.parametrize("kind", ActType)
def test_each_language_has_its_own_sentences(kind: ActType) -> None:
    for body in BODIES[kind]:
        assert len({act_said(act(body), language) for language in LANGUAGES}) == len(LANGUAGES)


def test_the_three_languages_have_the_same_lines_with_the_same_gaps() -> None:
    def gaps(text: str) -> set[str | None]:
        return {name for _, name, _, _ in Formatter().parse(text)}

    (name, words), *others = ACT_WORDS.items()
    for other, theirs in others:
        assert words.keys() == theirs.keys(), (name, other)
        assert [line for line in words if gaps(words[line]) != gaps(theirs[line])] == []


def test_percentages_are_written_as_the_language_does() -> None:
    said = {language: act_said(act(BODIES[ActType.RATES][0]), language) for language in LANGUAGES}
    assert "Gruppe „team-b“, Einarbeitung: künftig höchstens 2,5 % der Gespräche." in said["de"]
    assert "Group `team-b`, onboarding: from now on at most 2.5% of the calls." in said["en"]
    assert "Kampanje «april»: heretter høyst 10 % av samtalene." in said["nb"]


def test_a_narrower_documents_changes_are_shown_by_sentence() -> None:
    shorter = agreement(validity__end="2026-08-01T00:00:00")
    said = differences(example(), shorter, "de")
    assert [line.partition(":")[0] for line in said] == ["Bisher", "Künftig"]
    assert "01.09.2026" in said[0] and "01.08.2026" in said[1]
    assert differences(example(), example(), "de") == ("Es ändert sich kein Satz.",)
