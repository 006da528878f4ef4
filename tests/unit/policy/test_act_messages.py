"""Every fault has words in three languages, each filled in; nothing that comes in leaves a gap."""

from datetime import timedelta
from string import Formatter

import pytest

from policy.agreement.faults import Fault, FaultCode
from policy.endings import Ends, warnings_between
from policy.errors import ActError, ActFault
from policy.message_words import ACTS, ENDS, FAULTS, PARTIES
from policy.messages import say, say_fault, say_warning
from tests.unit.policy.green import NOW, example

VALUES: dict[str, str | tuple[str, ...]] = {
    "fields": ("lanes.sample.rates[team-a/regular].percent",),
    "missing": ("employer", "dpo"),
    "field": "seq",
}
VALUES |= {"role": "council", "next": "7", "agreement": "bv", "rule": "sample/a/regular", "day": "2026-03-04"}
VALUES |= {"version": "3"}
LANGUAGES = sorted(PARTIES)


def names(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("fault", [*ActFault, "must_sign_all"])
def test_an_acts_fault_says_the_same_things_in_every_language(fault):
    texts = ACTS[fault]
    assert sorted(texts) == LANGUAGES and len(set(texts.values())) == 3
    assert len({frozenset(names(text)) for text in texts.values()}) == 1


@pytest.mark.parametrize("fault", ActFault)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_is_a_sentence(fault, language):
    wanted = names(ACTS[fault]["en"])
    told = say(ActError(fault, **{name: VALUES[name] for name in wanted}), language)
    assert told.endswith(".") and not names(told) and told.isprintable()
    if "fields" in wanted:
        assert VALUES["fields"][0] in told
    if "missing" in wanted:
        assert f"{PARTIES[language]['employer']} {PARTIES[language]['and']} {PARTIES[language]['dpo']}" in told


def test_who_must_sign_is_told_without_fields_too():
    told = say(ActError(ActFault.MUST_SIGN_TOO, missing=("council",), fields=()), "de")
    assert told == "Diese Unterschriften allein genügen nicht. Es muss noch unterschreiben: Betriebsrat."


@pytest.mark.parametrize("code", FaultCode)
def test_a_documents_fault_names_line_and_field_in_every_language(code):
    fault = Fault(code, "validity.end", 12, "is not so")
    assert say_fault(fault, "en") == "line 12: validity.end: is not so"
    for language in ("de", "nb"):
        told = say_fault(fault, language)
        assert "12" in told and "validity.end" in told and FAULTS[code][language] in told


def test_warnings_say_how_many_days():
    agreement = example()
    end = agreement.validity.end
    told = [
        say_warning(one, "de") for one in warnings_between(agreement, NOW, end) if one.ending.what is Ends.AGREEMENT
    ]
    assert [text.split(" ")[1] for text in told[:5]] == ["60", "30", "14", "7", "3"]
    assert told[5].startswith("Morgen endet") and len(told) == 6
    assert set(Ends) == set(ENDS)
    first = warnings_between(agreement, NOW - timedelta(days=90), end)[0]
    assert say_warning(first, "xx") == say_warning(first, "en")
