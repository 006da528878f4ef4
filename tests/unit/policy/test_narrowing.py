"""The table of narrowing: how each kind of field compares, and that every field of a document is seen."""

import pytest

from policy.agreement.leaves import leaves
from policy.narrowing import COUNCIL, EMPLOYER, TABLE, Kind, compare, who_may
from tests.unit.policy.green import DELETED, agreement, example, plain_example

N, W, O = Kind.NARROWER, Kind.WIDER, Kind.OTHER  # noqa: E741 - read as a table below
RATES = plain_example()["lanes"]["sample"]["rates"]
PROMPTS = plain_example()["consent"]["prompts"]
CAMPAIGNS = plain_example()["lanes"]["campaigns"]
ACCESS = plain_example()["access"]

ONE_FIELD = [
    ({"lanes__sample__rates__1__percent": "2.9999"}, "lanes.sample.rates[team-a/regular].percent", N),
    ({"lanes__sample__rates__1__percent": "3.0001"}, "lanes.sample.rates[team-a/regular].percent", W),
    ({"lanes__campaigns__0__percent": "9"}, "lanes.campaigns[tarifwechsel-april].percent", N),
    ({"lanes__campaigns__0__max_recordings": 59}, "lanes.campaigns[tarifwechsel-april].max_recordings", N),
    ({"lanes__campaigns__0__max_recordings": 61}, "lanes.campaigns[tarifwechsel-april].max_recordings", W),
    ({"lanes__campaigns__0__min_eligible_agents": 9}, "lanes.campaigns[tarifwechsel-april].min_eligible_agents", N),
    ({"lanes__campaigns__0__min_eligible_agents": 7}, "lanes.campaigns[tarifwechsel-april].min_eligible_agents", W),
    ({"lanes__campaigns__0__end": "2026-04-17T00:00:00"}, "lanes.campaigns[tarifwechsel-april].end", O),
    ({"lanes__campaigns__0__start": "2026-04-07T00:00:00"}, "lanes.campaigns[tarifwechsel-april].start", O),
    ({"lanes__sample__rates__0__max_days": 41}, "lanes.sample.rates[team-a/onboarding].max_days", O),
    ({"lanes__sample__caps__per_agent__P1D": 1}, "lanes.sample.caps.per_agent.P1D", N),
    ({"lanes__sample__caps__per_agent__P1D": DELETED}, "lanes.sample.caps.per_agent.P1D", W),
    ({"lanes__sample__caps__per_agent__P1W": 6}, "lanes.sample.caps.per_agent.P1W", W),
    ({"lanes__customer_request__per_agent__P1W": 2}, "lanes.customer_request.per_agent.P1W", N),
    ({"lanes__customer_request__per_agent__P1W": 4}, "lanes.customer_request.per_agent.P1W", W),
    ({"lanes__customer_request__per_agent": DELETED}, "lanes.customer_request.per_agent.P1W", W),
    ({"lanes__sample__purpose": "process_quality"}, "lanes.sample.purpose", O),
    ({"lanes__agent_request": DELETED}, "lanes.agent_request.purpose", N),
    ({"evaluations__per_agent_per_year": 9}, "evaluations.per_agent_per_year", N),
    ({"evaluations__per_agent_per_year": 11}, "evaluations.per_agent_per_year", W),
    ({"validity__end": "2026-08-31T23:59:59"}, "validity.end", N),
    ({"validity__end": "2026-09-01T00:00:01"}, "validity.end", W),
    ({"validity__start": "2026-03-01T00:00:01"}, "validity.start", N),
    ({"validity__start": "2026-02-28T00:00:00"}, "validity.start", W),
    ({"validity__evaluation__every": "P2M"}, "validity.evaluation.every", O),
    ({"validity__evaluation__next_due": "2026-05-31"}, "validity.evaluation.next_due", O),
    ({"scope__sites": ["hamburg"]}, "scope.sites", N),
    ({"scope__sites": ["hamburg", "home-office", "bremen"]}, "scope.sites", W),
    ({"scope__sites": ["hamburg", "bremen"]}, "scope.sites", O),
    ({"scope__queues": ["service-strom"]}, "scope.queues", N),
    ({"scope__excluded_queues": ["gesundheit", "sucht"]}, "scope.excluded_queues", N),
    ({"scope__excluded_queues": []}, "scope.excluded_queues", W),
    ({"scope__groups__team-a__min_agents": 9}, "scope.groups.team-a.min_agents", N),
    ({"scope__groups__team-a__min_agents": 7}, "scope.groups.team-a.min_agents", W),
    ({"scope__groups__team-c": {"min_agents": 8}}, "scope.groups.team-c.min_agents", W),
    ({"purposes__coaching__necessity": "another"}, "purposes.coaching.necessity", O),
    ({"purposes__coaching__milder_means": ["side-by-side", "talks"]}, "purposes.coaching.milder_means", O),
    ({"consent__caller__channels": ["dtmf"]}, "consent.caller.channels", N),
    ({"consent__caller__channels": ["dtmf", "ivr:front", "agent_key", "ivr:back"]}, "consent.caller.channels", W),
    ({"consent__agent__gate": "standing_and_per_call"}, "consent.agent.gate", O),
    ({"consent__agent__home_office_separate": "no"}, "consent.agent.home_office_separate", O),
    ({"consent__withdrawal_effect": "stop_only"}, "consent.withdrawal_effect", O),
    ({"consent__prompts__0__sha256": "0" * 64}, "consent.prompts[ask-de-2].sha256", O),
    ({"indicator__ack_max_age_ms": 2999}, "indicator.ack_max_age_ms", N),
    ({"indicator__ack_max_age_ms": 3001}, "indicator.ack_max_age_ms", W),
    ({"indicator__beep_every": "PT30S"}, "indicator.beep_every", O),
    ({"pause__max": "PT9M"}, "pause.max", N),
    ({"pause__triggers": ["dtmf"]}, "pause.triggers", O),
    ({"access__1__purposes": ["coaching", "process_quality"]}, "access[coach].purposes", W),
    ({"access__0__purposes": ["coaching", "process_quality"]}, "access[agent].purposes", N),
    ({"access__1__ttl": "P8D"}, "access[coach].ttl", W),
    ({"access__1__ttl": "P1W"}, "access[coach].ttl", O),
    ({"retention__coaching": "P13D"}, "retention.coaching", N),
    ({"retention__coaching": "P15D"}, "retention.coaching", W),
    ({"retention__coaching": "P1M"}, "retention.coaching", O),
    ({"retention__log": "P11M"}, "retention.log", N),
    ({"retention__receipts": "P4Y"}, "retention.receipts", W),
    ({"storage__regions": ["EU", "NO"]}, "storage.regions", W),
    ({"statistics__min_agents": 6}, "statistics.min_agents", N),
    ({"statistics__min_calls": 19}, "statistics.min_calls", W),
    ({"council_powers__lower": "no"}, "council_powers.lower", O),
    ({"council_powers__dark": DELETED}, "council_powers.dark", O),
    ({"change__raise__needs": ["council_resolution"]}, "change.raise.needs", O),
    ({"change__raise__signatures": ["employer", "council", "dpo"]}, "change.raise.signatures", O),
    ({"parties__employer__name": "Other GmbH"}, "parties.employer.name", O),
    ({"legal__dpia_ref": "DPIA-2"}, "legal.dpia_ref", O),
    ({"prohibited": [*sorted(example().prohibited), "haircuts"]}, "prohibited", N),
    ({"draw__epoch": "P1W", "draw__cosign_max_age": "P7D"}, "draw.cosign_max_age", O),
    ({"instrument": "gesamtbv"}, "instrument", O),
    ({"title__de": "Eine andere"}, "title.de", O),
    ({"title__nb": "Avtalen"}, "title.nb", W),
    ({"legal__consultation": DELETED}, "legal.consultation", O),
]


TURNED = {"title.nb": O}
"""What goes needn't be narrower where it was wider when it came."""


@pytest.mark.parametrize(("edits", "field", "kind"), ONE_FIELD)
def test_one_field(edits, field, kind):
    found = compare(example(), agreement(**edits))
    (change,) = found.changes
    assert (change.field, change.kind) == (field, kind)
    if kind is not N:
        assert who_may(found, example().council_powers) == frozenset()


@pytest.mark.parametrize(("edits", "field", "kind"), ONE_FIELD)
def test_the_other_way_round(edits, field, kind):
    other = agreement(**edits)
    (change,) = compare(other, example()).changes
    assert change.field == field
    assert change.kind is TURNED.get(field, {N: W, W: N, O: O}[kind])


def test_what_is_the_same_in_another_order_is_no_change():
    reordered = {
        "scope__queues": ["service-gas", "service-strom"],
        "prohibited": sorted(example().prohibited, reverse=True),
        "consent__caller__channels": ["agent_key", "dtmf", "ivr:front"],
        "access__0__purposes": ["dispute", "coaching", "process_quality"],
    }
    assert compare(example(), agreement(**reordered, version=2)).changes == ()
    assert who_may(compare(example(), agreement(version=2)), example().council_powers) == frozenset()


@pytest.mark.parametrize(
    ("edits", "field"),
    [
        ({"lanes__sample__rates": RATES[::-1]}, "lanes.sample.rates.order"),
        ({"access": ACCESS[::-1]}, "access.order"),
        ({"consent__prompts": [{**PROMPTS[0], "id": "a"}, PROMPTS[0]]}, "consent.prompts[a].language"),
        ({"version": 0 + 1, "lanes__campaigns": []}, "lanes.campaigns[tarifwechsel-april].percent"),
    ],
)
def test_lines_that_move_come_or_go_take_both(edits, field):
    found = compare(example(), agreement(**edits))
    assert field in {change.field for change in found.changes} and not found.only_narrows
    assert who_may(found, example().council_powers) == frozenset()


@pytest.mark.parametrize(
    ("edits", "order"),
    [
        ({"lanes__sample__rates": RATES[1:]}, "lanes.sample.rates.order"),
        ({"lanes__campaigns": []}, "lanes.campaigns.order"),
        ({"consent__prompts": [{**PROMPTS[0], "id": "a"}, *PROMPTS]}, "consent.prompts.order"),
        ({"access": [ACCESS[0], *ACCESS[2:]]}, "access.order"),
    ],
)
def test_lines_that_come_or_go_leave_the_order_of_the_others(edits, order):
    """So a line without which nothing more is recorded or seen is narrower, and not another document."""
    found = compare(example(), agreement(**edits))
    assert found.changes and order not in {change.field for change in found.changes}
    assert order in leaves(example())


def test_an_older_version_is_no_narrowing():
    found = compare(agreement(version=3), agreement(version=2, lanes__sample__rates__1__percent="2"))
    assert who_may(found, example().council_powers) == frozenset()


def test_the_tables_fields_exist():
    """A name that no document has would compare nothing."""
    known = leaves(example())
    for pattern, _, _ in TABLE:
        assert any(pattern.fullmatch(path) for path in known), pattern.pattern


def test_two_lines_of_one_role_are_two_lines():
    twice = agreement(access=[*ACCESS, {**ACCESS[1], "purposes": ["process_quality"]}])
    assert "access[coach#3].purposes" in leaves(twice)
    assert {change.kind for change in compare(example(), twice).changes} == {W}


FACTORS = [
    ("0.5", ["10", "1.5", "2.5"], "5", 30, {}, True),
    ("a third, to a ppm", ["6.6667", "1", "1.6667"], "3.3333", 20, {}, True),
    ("counts are rounded down", ["14", "2.1", "3.5"], "7", 42, {}, True),
    ("a count rounded up", ["18.02", "2.703", "4.505"], "9.01", 55, {}, False),
    ("a count left", ["10", "1.5", "2.5"], "5", 60, {}, False),
    ("a rate left", ["10", "1.5", "5"], "5", 30, {}, False),
    ("all to nothing", ["0", "0", "0"], "0", 0, {}, True),
    ("one count to nothing", ["0.2", "0.03", "0.05"], "0.1", 0, {}, False),
    ("down to a count of one", ["0.2", "0.03", "0.05"], "0.1", 1, {}, True),
    ("with the caps", ["10", "1.5", "2.5"], "5", 30, {"lanes__sample__caps__per_agent__P1D": 1}, True),
    ("a cap by another factor", ["10", "1.5", "2.5"], "5", 30, {"lanes__sample__caps__per_agent__P1W": 4}, False),
    ("a cap raised", ["10", "1.5", "2.5"], "5", 30, {"lanes__sample__caps__per_agent__P1W": 6}, False),
    ("a queue dropped with it", ["10", "1.5", "2.5"], "5", 30, {"scope__queues": ["service-strom"]}, False),
    ("nothing lowered", ["20", "3", "5"], "10", 60, {"lanes__sample__caps__per_agent__P1D": 1}, False),
]


@pytest.mark.parametrize(("name", "rates", "campaign", "count", "more", "accepted"), FACTORS)
def test_the_employers_factor(name, rates, campaign, count, more, accepted):
    edits = {f"lanes__sample__rates__{place}__percent": percent for place, percent in enumerate(rates)}
    edits |= {"lanes__campaigns__0__percent": campaign, "lanes__campaigns__0__max_recordings": count}
    found = compare(example(), agreement(**edits, **more))
    assert (EMPLOYER in who_may(found, None)) is accepted, found


def test_powers_come_from_the_older_document():
    found = compare(example(), agreement(lanes__sample__rates__1__percent="2"))
    powers = example().council_powers
    assert who_may(found, powers) == {COUNCIL}
    assert who_may(found, None) == frozenset()
    assert who_may(found, agreement(council_powers__lower="no").council_powers) == frozenset()
    assert who_may(found, agreement(council_powers__suspend="no").council_powers) == {COUNCIL}


def test_the_council_lowers_rates_caps_and_counts_at_once():
    edits = {"lanes__sample__rates__1__percent": "2", "lanes__campaigns__0__max_recordings": 5}
    found = compare(example(), agreement(**edits, lanes__sample__caps__per_agent__P1D=1))
    assert who_may(found, example().council_powers) == {COUNCIL}


def test_both_businesses_at_once_take_both():
    found = compare(example(), agreement(lanes__sample__rates__1__percent="2", validity__end="2026-08-01T00:00:00"))
    assert found.only_narrows and who_may(found, example().council_powers) == frozenset()


def test_one_raise_among_reductions_is_a_raise():
    lower, higher = {"lanes__sample__rates__1__percent": "2"}, {"lanes__sample__caps__per_agent__P1W": 6}
    assert not compare(example(), agreement(**lower)).widens
    assert compare(example(), agreement(**higher)).widens
    mixed = compare(example(), agreement(**lower, **higher))
    assert mixed.widens and not mixed.only_narrows
    assert not compare(example(), example()).widens
    assert not compare(example(), agreement(consent__agent__gate="standing_and_per_call")).widens
