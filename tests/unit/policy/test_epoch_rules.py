"""The lines that an epoch's `r` counts through: their order is part of the log's format."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from policy.agreement.load import load
from policy.agreement.schema import Agreement
from policy.epoch_rules import EpochRules
from policy.state import State, Term
from policy.terms import Phase
from tests.unit.policy.green import edited

START = datetime(2026, 4, 5, 22, tzinfo=UTC)
END = START + timedelta(days=7)
AT = START + timedelta(days=2)
A_ONBOARDING = {"group": "team-a", "phase": "onboarding", "percent": "20", "max_days": 42}
A_REGULAR = {"group": "team-a", "phase": "regular", "percent": "10"}
B_REGULAR = {"group": "team-b", "phase": "regular", "percent": "5"}
CAMPAIGN = {
    "id": "april", "purpose": "process_quality", "queue": "gas", "announced_at": "2026-03-01", "percent": "10",
    "start": "2026-04-08T12:00:00", "end": "2026-04-30T00:00:00", "min_eligible_agents": 8, "max_recordings": 9,
}  # fmt: skip


def agreement(name, queues, lines, *, sites=("hamburg",), excluded=(), campaigns=(), **edits) -> Agreement:
    scope = {"scope/sites": list(sites), "scope/queues": list(queues), "scope/excluded_queues": list(excluded)}
    lanes = {"lanes/sample/rates": list(lines), "lanes/campaigns": list(campaigns)}
    return load(edited({"id": name, **scope, **lanes, **edits}))


def state(seq: int, *agreements: Agreement, since: datetime | None = None) -> State:
    terms = (Term(one, 1, since or one.validity.start, one.validity.end) for one in agreements)
    return State((), seq=seq, terms=tuple(terms))


def lines(*states: State) -> list[str]:
    """Every line as it is printed here: agreements, then the rule."""
    rules = EpochRules((START, END), states, 0)
    found = {}
    for one in states:
        for at in (START, AT, END - timedelta(hours=1)):
            in_force = one.in_force(at)
            for place, ruled in rules.listed(in_force):
                found[place] = f"{'+'.join(a.id for a in ruled.agreements)} {ruled.rule.name}"
    return [found[place] for place in sorted(found)]


NORTH = agreement("nord", ["strom", "gas"], [A_ONBOARDING, A_REGULAR, B_REGULAR], campaigns=[CAMPAIGN])
SOUTH = agreement("sued", ["gas", "wasser"], [B_REGULAR, A_REGULAR])


def test_one_agreements_rules_are_numbered_as_it_lists_them():
    assert lines(state(1, NORTH)) == [
        "nord campaign/april",
        "nord sample/team-a/onboarding",
        "nord sample/team-a/regular",
        "nord sample/team-b/regular",
    ]


def test_each_agreements_come_first_then_what_those_that_overlap_have_in_common():
    both = lines(state(1, NORTH, SOUTH))
    assert both[:4] == lines(state(1, NORTH))
    assert both[4:6] == ["sued sample/team-b/regular", "sued sample/team-a/regular"]
    assert both[6:] == ["nord+sued sample/team-a/regular", "nord+sued sample/team-b/regular"]


@pytest.mark.parametrize(
    "other",
    [
        agreement("sued", ["wasser"], [A_REGULAR]),
        agreement("sued", ["gas"], [A_REGULAR], sites=["kiel"]),
        agreement("sued", ["wasser"], [A_REGULAR], excluded=["gas", "strom"]),
        agreement("sued", ["gas"], [A_REGULAR], excluded=["gas"]),
        agreement("sued", ["gas"], [A_REGULAR], **{"lanes/sample/purpose": "process_quality"}),
    ],
    ids=["another queue", "another site", "excludes the queues", "excludes its own queue", "another purpose"],
)
def test_where_no_leg_falls_under_both_nothing_is_in_common(other):
    assert not [line for line in lines(state(1, NORTH, other)) if "+" in line]


def test_three_that_overlap_differently_have_a_line_for_each_set():
    third = agreement("west", ["gas"], [A_REGULAR], sites=["kiel"])
    wide = replace(SOUTH, scope=replace(SOUTH.scope, sites=("hamburg", "kiel")))
    common = [line for line in lines(state(1, NORTH, wide, third)) if "+" in line]
    assert common == [
        "nord+sued sample/team-a/regular",
        "nord+sued sample/team-b/regular",
        "sued+west sample/team-a/regular",
    ]


def test_an_act_adds_lines_and_moves_none():
    narrowed = agreement("nord", ["gas"], [A_REGULAR], version=2)
    newcomer = agreement("west", ["gas"], [A_REGULAR])
    before = lines(state(1, NORTH, SOUTH))
    after = lines(state(1, NORTH, SOUTH), state(2, narrowed, SOUTH, newcomer))
    assert after[: len(before)] == before
    assert after[len(before) :] == ["west sample/team-a/regular", "nord+sued+west sample/team-a/regular"]


def test_what_the_clock_brings_within_the_epoch_is_listed_from_the_start():
    """Whoever checks the log knows days, not hours: a document that takes over at noon has lines of its own."""
    successor = agreement("nord", ["gas"], [A_REGULAR], version=2)
    noon = Term(successor, 2, AT, successor.validity.end)
    one = replace(state(2, NORTH), terms=(*state(1, NORTH).terms, noon))
    rules = EpochRules((START, END), [one], 0)
    places = [
        found[0]
        for at in (AT - timedelta(hours=1), AT)
        if (found := rules.find(one.in_force(at), queue="gas", group="team-a", phase=Phase.REGULAR, wallclock=at))
    ]
    assert places == [2, 4]


def test_what_isnt_in_the_acts_is_not_drawn():
    for states, about in (([state(1, NORTH)], SOUTH), ([], NORTH)):
        rules = EpochRules((START, END), states, 0)
        assert rules.find([about], queue="gas", group="team-a", phase=Phase.REGULAR, wallclock=AT) is None


def test_a_leg_counts_for_each_agreement_at_its_own_rate_and_is_drawn_at_the_lowest():
    lower = agreement("sued", ["gas"], [{**A_REGULAR, "percent": "2.5"}])
    rules = EpochRules((START, END), [state(1, NORTH, lower)], 0)
    found = rules.find([NORTH, lower], queue="gas", group="team-a", phase=Phase.REGULAR, wallclock=AT)
    assert found is not None
    place, ruled = found
    assert ruled.rule.ppm == 25_000
    assert [(one.agreement, one.ppm, one.places) for one in ruled.ceilings] == [
        ("nord", 100_000, frozenset({2, place})),
        ("sued", 25_000, frozenset({4, place})),
    ]
