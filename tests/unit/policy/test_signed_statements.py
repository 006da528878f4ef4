"""What agents sign, and consent receipts: exact bytes, strict reading, one declared error."""

import json
from dataclasses import replace

import pytest

from crypto.x25519 import Identity
from policy.consent import Receipt, nothing_said, parse_receipt, standing_answer
from policy.decision import PerCallAnswer, StandingAnswer
from policy.errors import StatementError
from policy.statements import (
    CallerConsent,
    ConsentStatement,
    Enrolment,
    SeatClaim,
    parse_caller_consent,
    parse_consent,
    parse_enrolment,
    parse_seat,
)
from policy.terms import ConsentState, Purpose

SHA = "ab" * 32
AT = "2026-03-04T09:30:00Z"
RECIPIENT = str(Identity.generate().recipient)
CONSENT = ConsentStatement("a17", Purpose.COACHING, "yes", SHA, "de", False, 3, AT)
SEAT = SeatClaim("a17", "4711", "s" * 22, 9)
HOME = SeatClaim("a17", "4711", "s" * 22, 9, "home")
CALLER = CallerConsent("a17", "0f" * 8, Purpose.COACHING, "nb")
ENROLMENT = Enrolment("a17", RECIPIENT, AT)
RECEIPT = Receipt(
    jti="j1",
    leg="leg-1",
    purpose=Purpose.COACHING,
    outcome="yes",
    channel="dtmf",
    transport="inline",
    detector="rfc4733",
    prompt_id="ask-de-2",
    prompt_sha256=SHA,
    language="de",
    prompt_end=AT,
    answered_at="2026-03-04T09:30:02.250Z",
    agreement=SHA,
)
SIGNATURE = "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n"


def test_consent_s_bytes():
    assert CONSENT.canonical() == (
        b'{"agent":"a17","answer":"yes","at":"2026-03-04T09:30:00Z","language":"de","purpose":"coaching",'
        b'"scope":{"home_office":false},"seq":3,"text_sha256":"' + SHA.encode() + b'","type":"consent","v":1}'
    )


def test_seat_s_bytes():
    assert SEAT.canonical() == (
        b'{"agent":"a17","extension":"4711","seq":9,"session":"' + b"s" * 22 + b'","type":"seat","v":1}'
    )


def test_a_seat_claim_may_say_where():
    assert parse_seat(HOME.canonical()) == HOME and parse_seat(SEAT.canonical()).place is None


def test_enrolment_s_bytes():
    assert ENROLMENT.canonical() == f'{{"agent":"a17","from":"{AT}","recipient":"{RECIPIENT}"}}'.encode()


@pytest.mark.parametrize(
    ("statement", "parse"),
    [
        (CONSENT, parse_consent),
        (SEAT, parse_seat),
        (CALLER, parse_caller_consent),
        (ENROLMENT, parse_enrolment),
    ],
)
class TestEveryStatement:
    def test_prints_back(self, statement, parse):
        assert parse(statement.canonical()) == statement

    def test_needs_every_field_and_no_other(self, statement, parse):
        fields = json.loads(statement.canonical())
        for name in fields:
            left = {key: value for key, value in fields.items() if key != name}
            for wrong in (left, {**fields, "x": 1}, {**fields, name: None}, {**fields, name: [fields[name]]}):
                with pytest.raises(StatementError):
                    parse(canonical_bytes(wrong))

    def test_is_read_in_canonical_form_only(self, statement, parse):
        with pytest.raises(StatementError):
            parse(statement.canonical() + b"\n")
        with pytest.raises(StatementError):
            parse(json.dumps(json.loads(statement.canonical())).encode())

    def test_is_short(self, statement, parse):
        with pytest.raises(StatementError):
            parse(b" " * 5000)


def canonical_bytes(fields):
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("parse", "statement", "change"),
    [
        (parse_consent, CONSENT, {"type": "seat"}),
        (parse_consent, CONSENT, {"v": 2}),
        (parse_consent, CONSENT, {"v": True}),
        (parse_consent, CONSENT, {"answer": "unset"}),
        (parse_consent, CONSENT, {"purpose": "ranking"}),
        (parse_consent, CONSENT, {"language": "fr"}),
        (parse_consent, CONSENT, {"seq": 0}),
        (parse_consent, CONSENT, {"seq": True}),
        (parse_consent, CONSENT, {"scope": {"home_office": "no"}}),
        (parse_consent, CONSENT, {"scope": {}}),
        (parse_consent, CONSENT, {"at": "2026-02-30T09:30:00Z"}),
        (parse_consent, CONSENT, {"at": "2026-03-04T09:30:00+01:00"}),
        (parse_consent, CONSENT, {"text_sha256": SHA.upper()}),
        (parse_seat, SEAT, {"extension": "47 11"}),
        (parse_seat, SEAT, {"extension": "4711\n"}),
        (parse_seat, SEAT, {"session": "short"}),
        (parse_seat, HOME, {"place": "beach"}),
        (parse_seat, HOME, {"place": None}),
        (parse_caller_consent, CALLER, {"answer": "no"}),
        (parse_caller_consent, CALLER, {"call": "1"}),
        (parse_enrolment, ENROLMENT, {"recipient": RECIPIENT[:-1] + ("q" if RECIPIENT[-1] != "q" else "p")}),
        (parse_enrolment, ENROLMENT, {"recipient": RECIPIENT.upper()}),
        (parse_enrolment, ENROLMENT, {"recipient": "age1" + "q" * 58}),
    ],
)
def test_a_wrong_value_is_refused_without_repeating_it(parse, statement, change):
    with pytest.raises(StatementError) as refused:
        parse(canonical_bytes({**json.loads(statement.canonical()), **change}))
    (value,) = change.values()
    assert "\n" not in str(refused.value)
    if isinstance(value, str) and len(value) > 4:
        assert value not in str(refused.value)


class TestReceipts:
    def test_prints_back_with_its_signature(self):
        kept = RECEIPT.signed(SIGNATURE)
        assert parse_receipt(kept) == (RECEIPT, SIGNATURE)
        assert json.loads(kept) == {**json.loads(RECEIPT.canonical()), "signature": SIGNATURE}

    def test_has_the_fields_of_the_contract_and_no_other(self):
        names = """v jti leg purpose outcome channel transport detector prompt_id prompt_sha256 language prompt_end
        answered_at agreement signature"""
        assert set(json.loads(RECEIPT.signed(SIGNATURE))) == set(names.split())

    def test_is_written_for_a_yes_and_its_withdrawal_only(self):
        withdrawn = replace(RECEIPT, outcome="withdrawn")
        assert parse_receipt(withdrawn.signed(SIGNATURE))[0] == withdrawn
        for outcome in ("no", "unset", "refused"):
            with pytest.raises(StatementError):
                parse_receipt(replace(RECEIPT, outcome=outcome).signed(SIGNATURE))

    def test_only_an_agent_s_key_needs_no_prompt(self):
        spoken = replace(RECEIPT, channel="agent_key", prompt_id=None, prompt_sha256=None, prompt_end=None)
        assert parse_receipt(spoken.signed(SIGNATURE))[0] == spoken
        for wrong in (replace(spoken, channel="dtmf"), replace(spoken, prompt_id="ask-de-2")):
            with pytest.raises(StatementError):
                parse_receipt(wrong.signed(SIGNATURE))


class TestStandingAnswers:
    @pytest.mark.parametrize("answer", [ConsentState.NO, ConsentState.UNSET])
    def test_whatever_is_no_yes_stays_as_it_is(self, answer):
        assert standing_answer(answer, True, None, {SHA}) == StandingAnswer(answer, True)

    def test_a_yes_holds_for_the_text_that_was_shown(self):
        assert standing_answer(ConsentState.YES, False, SHA, {SHA}) == StandingAnswer(ConsentState.YES)
        for texts in ({"cd" * 32}, ()):
            assert standing_answer(ConsentState.YES, False, SHA, texts) == StandingAnswer(ConsentState.UNSET)
        assert standing_answer(ConsentState.YES, False, None, {SHA}).answer is ConsentState.UNSET

    def test_a_yes_may_hold_at_home(self):
        assert standing_answer(ConsentState.YES, True, SHA, {SHA}).home_office

    def test_a_call_starts_with_no_answer_for_any_purpose(self):
        assert nothing_said() == {purpose: PerCallAnswer(ConsentState.UNSET) for purpose in Purpose}
