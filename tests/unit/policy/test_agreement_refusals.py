"""The fifteen refusals of an agreement, one document with one fault each: its code, its field, its line."""

import json
import re

import pytest

from policy.agreement.faults import FaultCode as F
from policy.agreement.load import AgreementRefused, load
from policy.agreement.sections import PROHIBITED
from tests.unit.policy.green import DELETED, edited, plain_example

RATES = "lanes/sample/rates"
CAMPAIGN = "lanes/campaigns/0"
HASH = "0" * 64

REFUSED = [
    # 1
    ({"validity/end": DELETED}, F.NO_END, "validity.end"),
    ({"validity/end": None}, F.NO_END, "validity.end"),
    ({"validity/end": "2026-03-01T00:00:00"}, F.END_BEFORE_START, "validity.end"),
    ({"validity/end": "2025-09-01T00:00:00"}, F.END_BEFORE_START, "validity.end"),
    ({"validity/end": "2028-03-01T00:00:01"}, F.VALIDITY_TOO_LONG, "validity.end"),
    (
        {"instrument": "duldung", "consent/agent/gate": "per_call", "validity/end": "2026-09-01T00:00:01"},
        F.VALIDITY_TOO_LONG,
        "validity.end",
    ),
    # 2
    ({f"{RATES}/1/percent": "20.0001"}, F.RATE_TOO_HIGH, "lanes.sample.rates[1].percent"),
    ({f"{RATES}/0/percent": "50.1"}, F.RATE_TOO_HIGH, "lanes.sample.rates[0].percent"),
    ({f"{RATES}/1/percent": "100"}, F.RATE_TOO_HIGH, "lanes.sample.rates[1].percent"),
    ({f"{CAMPAIGN}/percent": "20.1"}, F.RATE_TOO_HIGH, "lanes.campaigns[0].percent"),
    ({f"{CAMPAIGN}/percent": "15.1"}, F.RATE_SUM_TOO_HIGH, "lanes.campaigns[0].percent"),
    ({f"{RATES}/0/percent": "41"}, F.RATE_SUM_TOO_HIGH, "lanes.campaigns[0].percent"),
    # 3
    *[
        ({f"purposes/{purpose}": plain_example()["purposes"]["coaching"]}, F.PURPOSE_PROHIBITED, f"purposes.{purpose}")
        for purpose in PROHIBITED
    ],
    ({"lanes/sample/purpose": "ranking"}, F.PURPOSE_PROHIBITED, "lanes.sample.purpose"),
    ({"prohibited": [*PROHIBITED, "dispute"]}, F.PURPOSE_PROHIBITED, "purposes.dispute"),
    *[({"prohibited": [p for p in PROHIBITED if p != out]}, F.PROHIBITION_MISSING, "prohibited") for out in PROHIBITED],
    # 4
    ({f"{RATES}/1/agent": "a-17"}, F.PERSON_SELECTOR, "lanes.sample.rates[1].agent"),
    ({f"{RATES}/1/employment_type": "temp"}, F.PERSON_SELECTOR, "lanes.sample.rates[1].employment_type"),
    ({f"{CAMPAIGN}/extension": "4711"}, F.PERSON_SELECTOR, "lanes.campaigns[0].extension"),
    ({f"{CAMPAIGN}/rating": "low"}, F.PERSON_SELECTOR, "lanes.campaigns[0].rating"),
    ({"scope/groups/team-a/name": "x"}, F.PERSON_SELECTOR, "scope.groups.team-a.name"),
    ({"scope/absence": ["long"]}, F.PERSON_SELECTOR, "scope.absence"),
    ({"scope/contract_type": ["temp"]}, F.PERSON_SELECTOR, "scope.contract_type"),
    ({"lanes/agent_request/age": 50}, F.PERSON_SELECTOR, "lanes.agent_request.age"),
    ({"scope/groups/team-a/min_agents": 4}, F.MIN_AGENTS_TOO_LOW, "scope.groups.team-a.min_agents"),
    ({f"{CAMPAIGN}/min_eligible_agents": 4}, F.MIN_AGENTS_TOO_LOW, "lanes.campaigns[0].min_eligible_agents"),
    ({"statistics/min_agents": 4}, F.MIN_AGENTS_TOO_LOW, "statistics.min_agents"),
    ({"scope/queues": ["service-strom", "other"]}, F.WRONG_VALUE, "scope.queues[1]"),
    # 5
    ({"parties/council/anchor": DELETED}, F.ANCHOR_MISSING, "parties.council.anchor"),
    ({"parties/employer/anchor": DELETED}, F.ANCHOR_MISSING, "parties.employer.anchor"),
    ({"parties/dpo/anchor": None}, F.ANCHOR_MISSING, "parties.dpo.anchor"),
    ({"parties/council/anchor": "employer"}, F.ANCHOR_MISSING, "parties.council.anchor"),
    ({"change/raise/signatures": ["employer"]}, F.SIGNATURES_MISSING, "change.raise.signatures"),
    ({"change/raise/signatures": ["council"]}, F.SIGNATURES_MISSING, "change.raise.signatures"),
    ({"change/raise/needs": ["dpo_opinion"]}, F.RESOLUTION_MISSING, "change.raise.needs"),
    ({"parties/council/resolution": DELETED}, F.RESOLUTION_MISSING, "parties.council.resolution"),
    # 6
    ({"instrument": "duldung"}, F.AGENT_GATE_TOO_WEAK, "consent.agent.gate"),
    ({"instrument": "regelungsabrede"}, F.AGENT_GATE_TOO_WEAK, "consent.agent.gate"),
    # 7
    ({f"{CAMPAIGN}/announced_at": "2026-03-31"}, F.CAMPAIGN_NOTICE_TOO_SHORT, "lanes.campaigns[0].announced_at"),
    ({f"{CAMPAIGN}/announced_at": "2026-05-01"}, F.CAMPAIGN_NOTICE_TOO_SHORT, "lanes.campaigns[0].announced_at"),
    ({f"{CAMPAIGN}/end": DELETED}, F.CAMPAIGN_OPEN_ENDED, "lanes.campaigns[0].end"),
    ({f"{CAMPAIGN}/end": "2026-04-06T00:00:00"}, F.CAMPAIGN_OPEN_ENDED, "lanes.campaigns[0].end"),
    ({f"{CAMPAIGN}/max_recordings": DELETED}, F.CAMPAIGN_WITHOUT_COUNT, "lanes.campaigns[0].max_recordings"),
    # 8
    *[
        ({"jurisdiction": country, "consent/caller/model": "opt_out"}, F.OPT_OUT, "consent.caller.model")
        for country in ("DE", "NO", "DK", "AT", "NL")
    ],
    *[
        ({"jurisdiction": country, "consent/mode": "per_leg"}, F.PER_LEG_WITHOUT_OPINION, "consent.mode")
        for country in ("DE", "NO", "DK", "AT")
    ],
    # 9
    ({"indicator/caller_notice": "optional"}, F.NOT_MANDATORY, "indicator.caller_notice"),
    ({"indicator/agent_tone": "none"}, F.NOT_MANDATORY, "indicator.agent_tone"),
    ({"indicator/agent_tone": DELETED}, F.NOT_MANDATORY, "indicator.agent_tone"),
    ({"indicator/on_loss": "continue"}, F.NOT_MANDATORY, "indicator.on_loss"),
    ({"indicator/ack_max_age_ms": 5001}, F.LIGHT_AGE_TOO_LONG, "indicator.ack_max_age_ms"),
    ({"indicator": DELETED}, F.MISSING_FIELD, "indicator"),
    # 10
    ({"retention/coaching": "P43D"}, F.PERIOD_TOO_LONG, "retention.coaching"),
    ({"retention/process_quality": "P2M"}, F.PERIOD_TOO_LONG, "retention.process_quality"),
    ({"retention/dispute": "P37M"}, F.PERIOD_TOO_LONG, "retention.dispute"),
    ({"retention/receipts": "P6Y"}, F.PERIOD_TOO_LONG, "retention.receipts"),
    ({"retention/log": "P13M"}, F.PERIOD_TOO_LONG, "retention.log"),
    ({"access/1/ttl": "P15D"}, F.PERIOD_TOO_LONG, "access[1].ttl"),
    ({"pause/max": "PT601S"}, F.PERIOD_TOO_LONG, "pause.max"),
    ({"validity/evaluation/every": "P7M"}, F.PERIOD_TOO_LONG, "validity.evaluation.every"),
    ({"validity/evaluation/next_due": "2026-09-02"}, F.PERIOD_TOO_LONG, "validity.evaluation.next_due"),
    ({"validity/evaluation/next_due": "9999-12-31"}, F.PERIOD_TOO_LONG, "validity.evaluation.next_due"),
    # 11
    ({"purposes/coaching/legal_basis": DELETED}, F.PURPOSE_WITHOUT_GROUNDS, "purposes.coaching.legal_basis"),
    ({"purposes/coaching/necessity": " "}, F.PURPOSE_WITHOUT_GROUNDS, "purposes.coaching.necessity"),
    ({"purposes/coaching/milder_means": []}, F.PURPOSE_WITHOUT_GROUNDS, "purposes.coaching.milder_means"),
    ({"purposes/coaching/milder_means": DELETED}, F.PURPOSE_WITHOUT_GROUNDS, "purposes.coaching.milder_means"),
    ({"legal/dpia_ref": DELETED}, F.DPIA_MISSING, "legal.dpia_ref"),
    # 12
    ({"council_powers/clause_ref": DELETED}, F.POWERS_WITHOUT_CLAUSE, "council_powers.clause_ref"),
    ({"council_powers/clause_ref": ""}, F.POWERS_WITHOUT_CLAUSE, "council_powers.clause_ref"),
    # 13, what a JSON document can show; the rest is in test_agreement_file
    ({"surprise": "x"}, F.UNKNOWN_FIELD, "surprise"),
    ({"indicator/enabled": "no"}, F.UNKNOWN_FIELD, "indicator.enabled"),
    ({"lanes/statutory": {"purpose": "dispute"}}, F.UNKNOWN_FIELD, "lanes.statutory"),
    ({"purposes/quality": plain_example()["purposes"]["coaching"]}, F.UNKNOWN_FIELD, "purposes.quality"),
    ({"access/0/ttl": "P7D"}, F.UNKNOWN_FIELD, "access[0].ttl"),
    ({"demo": False}, F.BOOLEAN, "demo"),
    ({"jurisdiction": False}, F.BOOLEAN, "jurisdiction"),
    ({"council_powers/lower": True}, F.BOOLEAN, "council_powers.lower"),
    ({"statistics/min_calls": True}, F.BOOLEAN, "statistics.min_calls"),
    # 14
    ({"draw/epoch": "P1D"}, F.CAP_LONGER_THAN_EPOCH, "lanes.sample.caps.per_agent.P1W"),
    # 15
    ({"access/2": DELETED}, F.NO_QUORUM, "lanes.customer_request"),
    ({"access/2/purposes": ["coaching"]}, F.NO_QUORUM, "lanes.customer_request"),
    # fields that don't fit together or have no such value
    ({"retention/dispute": DELETED}, F.MISSING_FIELD, "retention.dispute"),
    ({"purposes/process_quality": DELETED}, F.WRONG_VALUE, "lanes.campaigns[0].purpose"),
    ({f"{RATES}/2/group": "team-a"}, F.WRONG_VALUE, "lanes.sample.rates[2].group"),
    ({f"{RATES}/2/group": "team-z"}, F.WRONG_VALUE, "lanes.sample.rates[2].group"),
    ({f"{RATES}/0/max_days": DELETED}, F.MISSING_FIELD, "lanes.sample.rates[0].max_days"),
    ({f"{RATES}/1/percent": 3}, F.WRONG_TYPE, "lanes.sample.rates[1].percent"),
    ({f"{RATES}/1/percent": 2.5}, F.WRONG_TYPE, "lanes.sample.rates[1].percent"),
    ({f"{RATES}/1/percent": "-1"}, F.WRONG_VALUE, "lanes.sample.rates[1].percent"),
    ({f"{RATES}/1/percent": "1e1"}, F.WRONG_VALUE, "lanes.sample.rates[1].percent"),
    ({f"{CAMPAIGN}/queue": "vertrieb"}, F.WRONG_VALUE, "lanes.campaigns[0].queue"),
    ({f"{CAMPAIGN}/id": "tarif wechsel"}, F.WRONG_VALUE, "lanes.campaigns[0].id"),
    ({"lanes/campaigns/1": plain_example()["lanes"]["campaigns"][0]}, F.WRONG_VALUE, "lanes.campaigns[1].id"),
    ({"lanes/sample/caps/per_agent": {}}, F.MISSING_FIELD, "lanes.sample.caps.per_agent"),
    ({"draw/epoch": "PT5M"}, F.WRONG_VALUE, "draw.epoch"),
    ({"demo": "yes", "draw/epoch": "PT11M", "lanes/sample/caps/per_agent": {}}, F.WRONG_VALUE, "draw.epoch"),
    ({"consent/caller/silence": "accept"}, F.WRONG_VALUE, "consent.caller.silence"),
    ({"consent/caller/on_refusal": "agent_side"}, F.WRONG_VALUE, "consent.caller.on_refusal"),
    ({"consent/caller/channels": ["header"]}, F.WRONG_VALUE, "consent.caller.channels[0]"),
    ({"consent/agent/refusal_visible_to": ["agent", "coach"]}, F.WRONG_VALUE, "consent.agent.refusal_visible_to"),
    ({"consent/prompts/0/refuse_key": "1"}, F.WRONG_VALUE, "consent.prompts[0].refuse_key"),
    ({"access/2/members": ["dpo"]}, F.WRONG_VALUE, "access[2].members"),
    ({"access/0/role": "supervisor"}, F.WRONG_VALUE, "access[0].role"),
    ({"validity/timezone": "Europe/Atlantis"}, F.WRONG_VALUE, "validity.timezone"),
    ({"validity/timezone": "../../etc/passwd"}, F.WRONG_VALUE, "validity.timezone"),
    ({"validity/timezone": "Factory"}, F.WRONG_VALUE, "validity.timezone"),
    ({"validity/timezone": "localtime"}, F.WRONG_VALUE, "validity.timezone"),
    ({"validity/timezone": "posixrules"}, F.WRONG_VALUE, "validity.timezone"),
    ({"validity/timezone": "right/Europe/Berlin"}, F.WRONG_VALUE, "validity.timezone"),
    ({"validity/timezone": "posix/Europe/Berlin"}, F.WRONG_VALUE, "validity.timezone"),
    ({"validity/timezone": "Etc/GMT-1"}, F.WRONG_VALUE, "validity.timezone"),
    ({"validity/timezone": "CET"}, F.WRONG_VALUE, "validity.timezone"),
    ({"validity/start": "2026-03-29T02:30:00"}, F.WRONG_VALUE, "validity.start"),
    ({"validity/start": "2025-10-26T02:30:00"}, F.WRONG_VALUE, "validity.start"),
    ({"validity/start": "2026-02-30T00:00:00"}, F.WRONG_VALUE, "validity.start"),
    ({"validity/start": "2026-03-01T00:00:00Z"}, F.WRONG_VALUE, "validity.start"),
    ({"apiVersion": "fairtap.agreement/v2"}, F.WRONG_VALUE, "apiVersion"),
    ({"version": "1"}, F.WRONG_TYPE, "version"),
    ({"signed_document/sha256": HASH.upper() + "A"}, F.WRONG_VALUE, "signed_document.sha256"),
    ({"title/de": "BV \u202enoitpmes"}, F.WRONG_VALUE, "title.de"),
    ({"legal/controllers": ["a\x1bb"]}, F.WRONG_VALUE, "legal.controllers[0]"),
    ({"title": {}}, F.MISSING_FIELD, "title"),
    ({"scope": "everything"}, F.WRONG_TYPE, "scope"),
    ({"scope/queues": "service"}, F.WRONG_TYPE, "scope.queues"),
    ({"scope/queues": ["a", "a"]}, F.WRONG_VALUE, "scope.queues[1]"),
    ({"pause/max": "10 minutes"}, F.WRONG_VALUE, "pause.max"),
]  # fmt: skip


def stated(document, field):
    """The document gives that field, so its own line can be told."""
    place = json.loads(document)
    for part in re.findall(r"[^.\[\]]+", field):
        try:
            place = place[int(part) if isinstance(place, list) else part]
        except KeyError:
            return False
    return True


@pytest.mark.parametrize(("edits", "code", "field"), REFUSED)
def test_refused(edits, code, field):
    document = edited(edits)
    with pytest.raises(AgreementRefused) as refused:
        load(document)
    found = {(fault.code, fault.field): fault for fault in refused.value.faults}
    assert (code, field) in found
    fault = found[code, field]
    line = document.decode().splitlines()[fault.line - 1]
    if not field.endswith("]") and stated(document, field):
        assert f'"{field.rpartition(".")[2]}"' in line
    assert field in str(fault)
    assert "\n" not in str(fault)


def test_every_code_is_provoked_somewhere():
    told_in_test_agreement_file = {
        F.TOO_LARGE,
        F.NOT_UTF8,
        F.NOT_YAML,
        F.TOO_DEEP,
        F.TOO_MANY_VALUES,
        F.ANCHOR_OR_ALIAS,
        F.TAG,
        F.DUPLICATE_KEY,
    }
    assert {code for _, code, _ in REFUSED} | told_in_test_agreement_file == set(F)


ACCEPTED = [
    {},
    {"validity/end": "2028-03-01T00:00:00"},
    {"instrument": "duldung", "consent/agent/gate": "per_call", "validity/end": "2026-09-01T00:00:00"},
    {"instrument": "no_avtale", "jurisdiction": "NO", "legal/dpia_ref": DELETED},
    {f"{RATES}/1/percent": "20", "lanes/campaigns": []},
    {f"{RATES}/0/percent": "40"},
    {f"{RATES}/1/percent": "0"},
    {f"{CAMPAIGN}/percent": "15"},
    {f"{CAMPAIGN}/announced_at": "2026-03-30"},
    {"scope/groups/team-a/min_agents": 5},
    {"consent/mode": "per_leg", "legal/per_leg_opinion": "G-7", "consent/caller/on_refusal": "agent_side"},
    {"jurisdiction": "NL", "consent/mode": "per_leg"},
    {"indicator/ack_max_age_ms": 5000, "indicator/beep_every": "PT30S"},
    {"pause/max": "PT600S", "access/1/ttl": "P2W", "validity/evaluation/every": "P6M"},
    {"validity/evaluation/next_due": "2026-09-01"},
    {"draw/epoch": "P1D", "lanes/sample/caps/per_agent": {"P1D": 2}},
    {"demo": "yes", "draw/epoch": "PT1M", "lanes/sample/caps": DELETED},
    {"council_powers": DELETED},
    {"lanes/customer_request": DELETED, "access/2": DELETED},
    {"lanes/sample": DELETED, "lanes/campaigns": DELETED},
]


@pytest.mark.parametrize("edits", ACCEPTED)
def test_accepted(edits):
    load(edited(edits))


def test_all_faults_are_told_at_once_in_the_order_of_lines():
    edits = {f"{RATES}/1/percent": "99", "surprise": "x", "legal/dpia_ref": DELETED, "parties/dpo/anchor": DELETED}
    with pytest.raises(AgreementRefused) as refused:
        load(edited(edits))
    faults = refused.value.faults
    assert {fault.code for fault in faults} >= {F.RATE_TOO_HIGH, F.UNKNOWN_FIELD, F.DPIA_MISSING, F.ANCHOR_MISSING}
    assert [fault.line for fault in faults] == sorted(fault.line for fault in faults)


def test_a_field_that_could_not_be_read_is_told_once():
    with pytest.raises(AgreementRefused) as refused:
        load(edited({"validity/end": "soon"}))
    assert [(fault.code, fault.field) for fault in refused.value.faults] == [(F.WRONG_VALUE, "validity.end")]
