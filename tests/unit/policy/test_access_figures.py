"""What is told of who opened recordings: whole `min_calls` of a quarter, and nothing that is mostly about one agent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.access_figures import AccessCount, AccessFigures, named_accesses, tell_accesses
from policy.agreement.schema import StatisticsTerms
from tests.unit.policy.green import agreement

LIMITS = StatisticsTerms(min_agents=5, min_calls=20)
COACH = ("coach", "coaching")


def told(*counts: int) -> int | None:
    agents = {str(number): count for number, count in enumerate(counts)}
    (found,) = tell_accesses([AccessCount(*COACH, agents)], LIMITS, [COACH])
    return found.at_least


@pytest.mark.parametrize(
    ("counts", "expect"),
    [
        ((), None),
        ((100, 100, 100, 100), None),  # four agents
        ((5, 5, 5, 5, 4), None),  # 19 without the first
        ((5, 5, 5, 5, 5), 20),
        ((90, 5, 5, 5, 4), None),
        ((90, 5, 5, 5, 5), 100),
        ((8, 8, 8, 8, 7), 20),
        ((8, 8, 8, 8, 8), 40),
    ],
)
def test_it_is_rounded_down_and_never_about_few(counts, expect):
    assert told(*counts) == expect


@given(st.lists(st.integers(1, 60), max_size=9), st.integers(0, 8))
def test_what_one_agent_has_more_changes_no_figure_by_less_than_a_whole_step(counts, one):
    more = [count + (place == one) for place, count in enumerate(counts)]
    before, after = told(*counts), told(*more)
    assert (before or 0) % 20 == 0 and ((after or 0) - (before or 0)) % 20 == 0


def test_everybody_whom_the_agreement_names_is_listed_and_nobody_else():
    named = list(named_accesses(agreement()))
    assert named == [COACH, ("dpo", "dispute"), ("council", "dispute")]
    strange = AccessCount("coach", "dispute", dict.fromkeys("abcdef", 99))
    assert tell_accesses([strange], LIMITS, named) == tuple(AccessFigures(*one, None) for one in named)
