"""The agreement's file: YAML 1.2 in a narrow form, its lines, its digest, its times."""

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from policy.agreement.faults import FaultCode as F
from policy.agreement.load import AgreementRefused, canonical_document, load
from policy.agreement.tree import MAX_BYTES, MAX_DEPTH, MAX_NODES, Kind, scalar_kind
from policy.terms import Lane, Phase, Purpose
from tests.unit.policy.green import DELETED, EXAMPLE, edited, example, plain_example

TEXT = EXAMPLE.read_text()


def refused(text):
    with pytest.raises(AgreementRefused) as caught:
        load(text if isinstance(text, bytes) else text.encode())
    return caught.value.faults


def line_of(part, text=TEXT):
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_the_example_says_what_it_says():
    agreement = example()
    assert (agreement.id, agreement.version, agreement.demo) == ("bv-aufzeichnung-nord", 1, False)
    assert agreement.validity.start == datetime(2026, 2, 28, 23, tzinfo=UTC)  # Berlin, winter
    assert agreement.validity.end == datetime(2026, 8, 31, 22, tzinfo=UTC)  # Berlin, summer
    assert agreement.scope.groups == {"team-a": 8, "team-b": 8}
    assert agreement.lanes.sample is not None
    rates = {(rate.group, rate.phase): rate.ppm for rate in agreement.lanes.sample.rates}
    assert rates[("team-a", Phase.ONBOARDING)] == 200_000
    assert rates[("team-a", Phase.REGULAR)] == 30_000
    assert agreement.lanes.purpose(Lane.CUSTOMER_REQUEST) is Purpose.DISPUTE
    assert agreement.lanes.purpose(Lane.CAMPAIGN, "tarifwechsel-april") is Purpose.PROCESS_QUALITY
    assert agreement.lanes.purpose(Lane.CAMPAIGN, "other") is None
    assert agreement.retention.purposes[Purpose.DISPUTE].text == "P90D"
    assert agreement.council_powers is not None
    assert str(agreement.council_powers.dark) == "P2W"


@pytest.mark.parametrize(
    ("old", "new", "code", "field"),
    [
        ("jurisdiction: DE", "jurisdiction: NO", F.BOOLEAN, "jurisdiction"),
        ("jurisdiction: DE", "jurisdiction: off", F.BOOLEAN, "jurisdiction"),
        ('demo: "no"', "demo: no", F.BOOLEAN, "demo"),
        ("form: qes", "form: qes\n  form: wet_ink", F.DUPLICATE_KEY, "signed_document.form"),
        ("form: qes", "form: qes\n  scan: x.pdf", F.UNKNOWN_FIELD, "signed_document.scan"),
        ("council:\n", "council: &c\n", F.ANCHOR_OR_ALIAS, "parties.council"),
        ("{regions: [EU]}", "{regions: [*eu]}", F.ANCHOR_OR_ALIAS, "storage.regions[0]"),
        ("form: qes", "form: !!str qes", F.TAG, "signed_document.form"),
        ("form: qes", 'form: ! "qes"', F.TAG, "signed_document.form"),
        ("form: qes", "<<: {form: qes}", F.UNKNOWN_FIELD, "signed_document.<<"),
        ("form: qes", "form: ~", F.MISSING_FIELD, "signed_document.form"),
        ("form: qes", "form:", F.MISSING_FIELD, "signed_document.form"),
        ("version: 1", "version: 1.0", F.WRONG_TYPE, "version"),
        ("version: 1", "version: 0x1", F.WRONG_TYPE, "version"),
        ("version: 1", "version: 0", F.WRONG_VALUE, "version"),
        ("version: 1", "version: 99999999999999999999", F.WRONG_TYPE, "version"),
        ("  en:", "  no:", F.BOOLEAN, "title.no"),
    ],
)
def test_what_plain_yaml_would_let_pass(old, new, code, field):
    text = TEXT.replace(old, new, 1)
    fault = next(fault for fault in refused(text) if (fault.code, fault.field) == (code, field))
    line = new.strip().splitlines()[-1].strip()
    assert fault.line == line_of(line, text)


def test_the_line_of_a_fault_is_the_line_of_its_field():
    text = TEXT.replace('percent: "3"', 'percent: "33"')
    (fault, *_) = refused(text)
    assert (fault.line, fault.field) == (line_of('percent: "33"', text), "lanes.sample.rates[1].percent")
    assert str(fault) == (
        f"line {fault.line}: lanes.sample.rates[1].percent: 33 is above the ceiling of 20 percent for the regular phase"
    )


def test_a_missing_field_names_the_section_it_is_missing_in():
    text = TEXT.replace("    body: BR\n", "")
    (fault,) = refused(text)
    assert (fault.code, fault.field) == (F.MISSING_FIELD, "parties.council.body")
    assert fault.line == line_of('name: "Betriebsrat Nord"', text)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", F.NOT_YAML),
        (b"# nothing\n", F.NOT_YAML),
        (b"- a\n- b\n", F.NOT_YAML),
        (b"just text", F.NOT_YAML),
        (b"a: [1, 2", F.NOT_YAML),
        (b"a: b: c: d", F.NOT_YAML),
        (b"a: \x00", F.NOT_YAML),
        (b"\xff\xfea", F.NOT_UTF8),
        (TEXT.encode("utf-16"), F.NOT_UTF8),
        (TEXT.encode("latin-1"), F.NOT_UTF8),
        (TEXT.encode() + b"\n---\na: b\n", F.NOT_YAML),
        (b"%YAML 1.1\n---\n" + TEXT.encode(), F.NOT_YAML),
        (b"%TAG ! tag:example.com,2000:\n---\n" + TEXT.encode(), F.TAG),
        (b"? [a]\n: b\n", F.WRONG_TYPE),
        (b"1: b\n", F.WRONG_TYPE),
        (b"a: " + b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), F.TOO_DEEP),
        (b"a: " + b"[" * 100_000, F.TOO_DEEP),
        (b"a: " + b"{a: " * 60_000, F.TOO_DEEP),
        (b"a: [" + b"1," * (MAX_NODES + 1) + b"]", F.TOO_MANY_VALUES),
        (TEXT.encode() + b"#" * MAX_BYTES, F.TOO_LARGE),
        (b"a: &a [x]\nb: [*a, *a]\n", F.ANCHOR_OR_ALIAS),
    ],
)
def test_a_file_that_is_no_agreement(data, code):
    assert [fault.code for fault in refused(data)] == [code]


def test_yaml_1_2_may_be_said():
    assert load(b"%YAML 1.2\n---\n" + TEXT.encode()) == example()


def test_a_file_of_the_greatest_size_is_read():
    data = TEXT.encode()
    assert load(data + b"#" * (MAX_BYTES - len(data))) == example()


def test_the_digest_is_of_the_content_not_of_the_layout():
    assert load(edited({})).digest == example().digest
    assert load(TEXT.replace("form: qes ", 'form: "qes" ').encode()).digest == example().digest
    assert load(edited({"version": 2})).digest != example().digest


def test_the_digest_is_sha256_of_canonical_json():
    text = json.dumps(plain_example(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert example().digest == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("3", Kind.INTEGER),
        ("-3", Kind.INTEGER),
        ("03", Kind.NUMBER),
        ("3.0", Kind.NUMBER),
        ("1e3", Kind.NUMBER),
        ("1_000", Kind.NUMBER),
        (".inf", Kind.NUMBER),
        ("0o17", Kind.NUMBER),
        ("yes", Kind.BOOLEAN),
        ("No", Kind.BOOLEAN),
        ("TRUE", Kind.BOOLEAN),
        ("n", Kind.BOOLEAN),
        ("null", Kind.NULL),
        ("~", Kind.NULL),
        ("2026-03-01", Kind.STRING),
        ("P1W", Kind.STRING),
        ("none", Kind.STRING),
    ],
)
def test_unquoted_scalars(text, kind):
    assert scalar_kind(text, quoted=False) is kind
    assert scalar_kind(text, quoted=True) is Kind.STRING


def test_the_zones_come_in_as_an_argument():
    def no_zone(name):
        raise OSError(name)

    with pytest.raises(AgreementRefused) as caught:
        load(TEXT.encode(), zones=no_zone)
    assert [fault.field for fault in caught.value.faults] == ["validity.timezone"]
    assert load(TEXT.encode(), zones=lambda name: UTC).validity.start == datetime(2026, 3, 1, tzinfo=UTC)


def test_the_end_is_the_local_end_on_both_sides_of_the_clock_change():
    winter = load(edited({"validity/end": "2026-03-29T01:59:59"})).validity.end
    summer = load(edited({"validity/end": "2026-03-29T03:00:00"})).validity.end
    assert winter == datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC)
    assert summer == datetime(2026, 3, 29, 1, tzinfo=UTC)


def test_an_error_message_is_short_and_shows_no_more_than_it_must():
    (fault,) = refused(edited({"id": "x" * 1900 + " "}))
    assert len(str(fault)) < 200


def test_optional_sections_may_be_absent():
    agreement = load(edited({"council_powers": DELETED, "lanes/agent_request": DELETED}))
    assert agreement.council_powers is None
    assert agreement.lanes.agent_request is None


def test_the_canonical_json_of_an_agreement_is_the_same_agreement():
    data = canonical_document(EXAMPLE.read_bytes())
    assert load(data) == example()
    assert hashlib.sha256(data).hexdigest() == example().digest
    assert canonical_document(data) == data


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'{"demo":false}', F.BOOLEAN),
        (b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", F.TOO_DEEP),
        (b'{"a":[' + b"1," * MAX_NODES + b"1]}", F.TOO_MANY_VALUES),
        (b'{"' + b"a" * 129 + b'":1}', F.WRONG_TYPE),
        (b'{"demo":null}', F.MISSING_FIELD),
    ],
)
def test_canonical_json_has_the_limits_of_yaml(data, code):
    assert code in {fault.code for fault in refused(data)}


def test_canonical_json_needs_no_yaml_library():
    program = "import sys, policy.chain, policy.agreement.load as l; l.load(sys.stdin.buffer.read());"
    program += "sys.exit(any(name.split('.')[0] in ('ruamel', 'pydantic') for name in sys.modules))"
    subprocess.run([sys.executable, "-c", program], input=canonical_document(EXAMPLE.read_bytes()), check=True)
