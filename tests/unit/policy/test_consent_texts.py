"""What agents read before a standing answer: made from the agreement, in three languages."""

import pytest

from policy.agreement.load import load
from policy.statements import LANGUAGES
from policy.terms import Purpose
from policy.texts import consent_text, current_texts, text_sha256
from tests.unit.policy.green import DELETED, agreement, edited, example, per_leg

COACHING, DISPUTE = Purpose.COACHING, Purpose.DISPUTE


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("purpose", Purpose)
def test_says_purpose_scope_retention_and_that_a_no_costs_nothing(language, purpose):
    text = consent_text(example(), purpose, language)
    grounds = example().purposes[purpose]
    refusal = {"de": "hat keine Nachteile", "en": "has no disadvantages", "nb": "har ingen ulemper"}[language]
    days = {"de": "Tagen", "en": "days", "nb": "dager"}[language]
    number = "90" if purpose is DISPUTE else "14"
    for part in (purpose.value, grounds.necessity, "service-gas", "hamburg", f"{number} {days}", refusal):
        assert part in text
    assert "{" not in text


CHANGES_THE_TEXT = [
    {"retention/coaching": "P7D"},
    {"purposes/coaching/necessity": "something else"},
    {"purposes/coaching/legal_basis": "Art. 6(1)(a) GDPR"},
    {"scope/queues": ["service-strom"], "lanes/campaigns": []},
    {"scope/sites": ["hamburg"]},
    {"access/1": DELETED},
    {"legal/controllers": ["Muster Service GmbH"]},
    {"consent/agent/gate": "per_call"},
    {"consent/agent/home_office_separate": "no"},
    {"consent/withdrawal_effect": "stop_only"},
    {"consent/mode": "per_leg", "legal/per_leg_opinion": "G-1", "consent/caller/on_refusal": "agent_side"},
    {"lanes/agent_request": DELETED},
]


@pytest.mark.parametrize("edits", CHANGES_THE_TEXT)
def test_a_change_that_matters_is_a_new_text_in_every_language(edits):
    assert current_texts(load(edited(edits)), COACHING).isdisjoint(current_texts(example(), COACHING))


@pytest.mark.parametrize(
    "edits",
    [
        {"version": 2},
        {"validity/end": "2026-08-01T00:00:00"},
        {"lanes/sample/rates/1/percent": "1"},
        {"lanes/sample/caps/per_agent/P1D": 1},
        {"retention/dispute": "P30D"},
    ],
)
def test_what_asks_nobody_again(edits):
    assert current_texts(load(edited(edits)), COACHING) == current_texts(example(), COACHING)


def test_one_hash_per_language():
    texts = {consent_text(example(), COACHING, language) for language in LANGUAGES}
    assert current_texts(example(), COACHING) == {text_sha256(text) for text in texts}
    assert len(texts) == 3


def test_a_purpose_that_is_not_agreed_has_no_text():
    without = load(edited({"purposes/process_quality": DELETED, "retention/process_quality": DELETED,
                           "lanes/campaigns": [], "access/0/purposes": ["coaching", "dispute"]}))  # fmt: skip
    assert current_texts(without, Purpose.PROCESS_QUALITY) == frozenset()


def test_a_record_on_request_is_asked_for_in_each_call_whatever_the_gate():
    assert "You are asked in every call." in consent_text(example(), DISPUTE, "en")
    assert "Your yes holds until you withdraw it." in consent_text(example(), COACHING, "en")


def test_says_so_where_the_agent_s_side_may_be_kept_alone():
    assert "your side alone may be kept" in consent_text(per_leg(), COACHING, "en")
    assert "your side alone may be kept" not in consent_text(per_leg(), DISPUTE, "en")
    assert "your side alone may be kept" not in consent_text(example(), COACHING, "en")


def test_one_of_a_unit_is_singular():
    text = consent_text(agreement(retention__coaching="P1D"), COACHING, "en")
    assert "after 1 day at the latest" in text
