"""The plain sentences of an agreement say every field: whatever changes, the text changes, in every language."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import date, datetime, timedelta
from enum import Enum
from string import Formatter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.agreement.leaves import leaves
from policy.agreement.schema import Agreement, Instrument
from policy.agreement.sections import PROHIBITED
from policy.period import Period, parse_period
from policy.plain import paragraphs, plain, remarks
from policy.plain_words import UNITS, WORDS
from policy.terms import Purpose
from tests.unit.policy.green import NOW, example, per_leg

LANGUAGES = sorted(WORDS)
CHOICES: dict[str, tuple[str, ...]] = {
    "form": ("qes", "wet_ink"),
    "after_effect": ("restrictions_only", "none"),
    "model": ("opt_in", "opt_out"),
    "on_refusal": ("record_nothing", "agent_side"),
    "language": ("de", "en", "nb"),
    "consent_key": ("1", "2"),
    "refuse_key": ("9", "8"),
    "withdraw_code": ("*9", "*8"),
}
ITEMS: dict[str, tuple[str, ...]] = {
    "channels": ("dtmf", "agent_key", "ivr:front", "ivr:back"),
    "triggers": ("dtmf", "api"),
    "refusal_visible_to": ("agent",),
    "purposes": tuple(Purpose),
    "members": ("dpo", "council"),
    "signatures": ("employer", "council", "dpo"),
    "needs": ("council_resolution", "dpo_opinion"),
    "prohibited": (*PROHIBITED, "haircuts"),
}
WHEN_MISSING: dict[str, Any] = {
    "beep_every": parse_period("PT30S"),
    "per_leg_opinion": "G-1",
}
FIXED = frozenset(
    ["zone", "digest", "on_loss", "caller_notice", "agent_tone", "silence", "on_timeout", "release", "role", "phase"]
)
"""Derived, or with one accepted value only; role and phase name a line, which comes and goes as a whole."""
OPTIONAL = frozenset(
    [
        "sample",
        "customer_request",
        "agent_request",
        "council_powers",
        "dark",
        "per_day",
        "per_week",
        "dpia_ref",
        "consultation",
    ]
)
PERIODS = [parse_period(text) for text in ("P1D", "P7D", "P1W", "P3M", "P1M", "P1Y", "PT10M", "PT1H", "PT1S")]


def variants(name: str, value: Any) -> Iterator[Any]:
    """Other values of the same kind."""
    if value is None:
        yield from [WHEN_MISSING[name]] if name in WHEN_MISSING else []
    elif name in CHOICES:
        yield from (one for one in CHOICES[name] if one != value)
    elif isinstance(value, Enum):
        yield from (one for one in type(value) if one is not value)
    elif isinstance(value, Period):
        yield from (one for one in PERIODS if one != value)
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value + 10)
    elif isinstance(value, str):
        yield from (value + "x", "x" + value)
    elif isinstance(value, datetime):
        yield from (value + gap for gap in (timedelta(seconds=1), timedelta(hours=1), timedelta(days=365)))
    elif isinstance(value, date):
        yield from (value + timedelta(days=1), value + timedelta(days=365))
    elif isinstance(value, Mapping):
        yield from ({key: one for key, one in value.items() if key != gone} for gone in value)
        yield from ({**value, key: other} for key, one in value.items() for other in changed(str(key), one))
    elif isinstance(value, frozenset):
        yield from (value - {one} for one in value)
        yield from (value | {one} for one in ITEMS[name] if one not in value)
    elif isinstance(value, tuple):
        yield from (tuple(one for one in value if one is not gone) for gone in value)
        yield tuple(reversed(value))
        yield from ((*value, one) for one in ITEMS.get(name, ("more",)) if one not in value and not lines(value))
        yield from (
            (*value[:at], other, *value[at + 1 :])
            for at, one in enumerate(value)
            if is_dataclass(one)
            for other in changed(name, one)
        )


def lines(value: tuple[Any, ...]) -> bool:
    return bool(value) and is_dataclass(value[0])


def changed(name: str, value: Any) -> Iterator[Any]:
    """The value with one field changed somewhere inside."""
    if not is_dataclass(value) or isinstance(value, Period | type):
        yield from variants(name, value)
        return
    for field in fields(value):
        if field.name in FIXED or (field.name == "members" and not getattr(value, field.name)):
            continue  # only a quorum has members
        for other in changed(field.name, getattr(value, field.name)):
            yield replace(value, **{field.name: other})
        if field.name in OPTIONAL:
            yield replace(value, **{field.name: None})


def single_changes() -> list[Agreement]:
    return [one for one in changed("", example()) if leaves(one) != leaves(example())]


CHANGED = single_changes()
ALWAYS_THERE = [path for path in leaves(example()) if not path.endswith(".order")]


def differs(one: Agreement, other: Agreement) -> set[str]:
    first, second = leaves(one), leaves(other)
    return {path for path in first.keys() | second.keys() if first.get(path, ...) != second.get(path, ...)}


def test_every_field_is_changed_by_some_variant():
    touched = {path for one in CHANGED for path in differs(example(), one)}
    fixed = {path for path in ALWAYS_THERE if path.rpartition(".")[2] in FIXED | {"group", "id"}}
    missing = {path for path in ALWAYS_THERE if leaves(example())[path] in (None, ())}
    assert set(ALWAYS_THERE) - touched - fixed - missing == set()
    assert len(CHANGED) > 300


@pytest.mark.parametrize("language", LANGUAGES)
def test_changing_any_field_changes_the_text(language):
    before = plain(example(), language)
    for one in CHANGED:
        assert plain(one, language) != before, differs(example(), one)


@given(st.data())
def test_two_agreements_that_differ_read_differently(data):
    """A few changes on both sides: no two of them hide each other."""
    first = second = example()
    for _ in range(data.draw(st.integers(0, 3))):
        first = data.draw(st.sampled_from(list(changed("", first))))
    for _ in range(data.draw(st.integers(1, 3))):
        second = data.draw(st.sampled_from(list(changed("", second))))
    assert (plain(first, "de") == plain(second, "de")) == (leaves(first) == leaves(second)), differs(first, second)


def gaps(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text)} - {None}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_whole_and_says_what_it_is_about(language):
    assert WORDS[language].keys() == WORDS["de"].keys() and UNITS[language].keys() == UNITS["de"].keys()
    for key, text in WORDS[language].items():
        assert gaps(text) == gaps(WORDS["de"][key]), key
    for paragraph in paragraphs(example(), language):
        assert paragraph.heading and paragraph.sentences
        for sentence in paragraph.sentences:
            assert sentence[0].isupper()
            assert sentence.rstrip().endswith((".", ":")) and "{" not in sentence


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_agrees_to_keep_one_side_is_told_what_that_takes(language):
    sentence = WORDS[language]["one_sided"]
    assert sentence in plain(per_leg(), language) and sentence in remarks(per_leg(), language, NOW)
    assert sentence not in plain(example(), language) and sentence not in remarks(example(), language, NOW)


def test_every_word_of_the_document_has_its_own():
    for words in WORDS.values():
        for key in (*Instrument, *Purpose, *PROHIBITED, *ITEMS["needs"], *ITEMS["triggers"], "agent_key"):
            assert words[key]


def test_numbers_and_times_are_written_as_people_write_them():
    told = {language: plain(example(), language) for language in LANGUAGES}
    assert "höchstens 3 % der Gespräche" in told["de"] and "at most 3% of the calls" in told["en"]
    assert "von 01.03.2026, 00:00 Uhr bis 01.09.2026, 00:00 Uhr" in told["de"]
    assert "from 2026-03-01 00:00 to 2026-09-01 00:00" in told["en"]
    assert "fra 01.03.2026 kl. 00:00 til 01.09.2026 kl. 00:00" in told["nb"]
    assert "8 Tage" in told["de"] and "1 week" in told["en"] and "12 måneder" in told["nb"]
