"""An attacker with every published figure, in generated worlds: nothing about few calls or agents can be worked out.

The attacker solves for every run of stages in every union of rules, by elimination over exact fractions, and compares
neighbouring worlds. The worlds know who each agent is; what is published was made without that.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from policy.agreement.schema import StatisticsTerms
from policy.statistics import AnswerCount, Funnel, LegCount, MonthCounts, QuarterCounts, Statistics, publish

GROUPS = {"a": ("sample/onboarding/a", "sample/regular/a"), "b": ("sample/regular/b",)}
CAMPAIGN = "campaign/april"
RULES = (CAMPAIGN, *GROUPS["a"], *GROUPS["b"])
STAGES = ("no", "cap", "hit")
"""How far the draw let a leg come; what agents and callers said is told as rates alone."""
FROM = {"legs": 0, "drawn": 1, "selected": 2}
PLACES = (("hamburg", "dtmf"), ("hamburg", "ivr:front"))
ANSWERS = (None, "no", "yes")
LIMITS = StatisticsTerms(min_agents=3, min_calls=6)


@dataclass(frozen=True)
class Leg:
    """One leg as it truly was."""

    rule: str
    epoch: int
    agent: int
    stage: str
    answer: str | None
    """Of the caller of a hit."""
    channel: int


World = tuple[Leg, ...]
sizes = st.one_of(st.sampled_from([0, 0, 1, 5, 6, 7, 12, 13]), st.integers(0, 40))


@st.composite
def worlds(draw) -> World:
    """Each stage of each rule has its own size and its own agents."""
    legs = []
    for rule in RULES:
        agents = draw(st.integers(1, 6))
        for stage in STAGES:
            some = draw(st.sampled_from([agents, agents, 1, 2]))
            answers = draw(st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=7)) if stage == "hit" else [None]
            for number in range(draw(sizes)):
                answer = answers[number % len(answers)]
                legs.append(Leg(rule, number % 2, number // 2 % some, stage, answer, int(number % 7 == 3)))
    return tuple(legs)


def counts_of(world: World) -> MonthCounts:
    """As the gateway counts it: a pseudonym for each agent and epoch."""
    return MonthCounts(
        tuple(LegCount(leg.rule, f"W{leg.epoch}", f"p{leg.epoch}{leg.agent}", leg.stage, 1) for leg in world)
    )


def quarter_of(world: World) -> QuarterCounts:
    """Its answers and hits."""
    answers = (AnswerCount(*PLACES[leg.channel], leg.answer, 1) for leg in world if leg.answer is not None)
    return QuarterCounts(sum(leg.stage == "hit" for leg in world), tuple(answers))


def told(world: World) -> Statistics:
    return publish(counts_of(world), quarter_of(world), LIMITS, of_quarter=LIMITS, rules=RULES, channels=PLACES)


def lines(found: Statistics) -> Iterator[tuple[tuple[str, ...], Funnel]]:
    """Every published line with the rules that it is about."""
    for group in found.groups:
        yield GROUPS[group.group], group.funnel
        for name, rule in zip(GROUPS[group.group], group.rules, strict=True):
            yield (name,), rule.funnel
    yield (CAMPAIGN,), found.campaigns[0].funnel


Vector = tuple[Fraction, ...]


def quantity(rules: tuple[str, ...], first: int, last: int) -> Vector:
    """The legs of these rules whose stage lies between two, as a sum of unknowns."""
    return tuple(Fraction(rule in rules and first <= place <= last) for rule in RULES for place in range(len(STAGES)))


def equations(found: Statistics) -> list[Vector]:
    end = len(STAGES) - 1
    known = []
    for rules, funnel in lines(found):
        known += [quantity(rules, FROM[name], end) for name in FROM if getattr(funnel, name) is not None]
        known += [quantity(rules, 1, 1)] if funnel.capped is not None else []
    return known


def reduced(vector: Vector, basis: dict[int, Vector]) -> Vector:
    for pivot, row in basis.items():
        if vector[pivot]:
            factor = vector[pivot]
            vector = tuple(one - factor * other for one, other in zip(vector, row, strict=True))
    return vector


def solved(known: list[Vector]) -> dict[int, Vector]:
    basis: dict[int, Vector] = {}
    for vector in known:
        rest = reduced(vector, basis)
        pivot = next((place for place, value in enumerate(rest) if value), None)
        if pivot is not None:
            row = tuple(value / rest[pivot] for value in rest)
            basis = {place: reduced(other, {pivot: row}) for place, other in basis.items()} | {pivot: row}
    return basis


def quantities() -> Iterator[tuple[tuple[str, ...], int, int]]:
    for many in range(1, len(RULES) + 1):
        for rules in combinations(RULES, many):
            for first in range(len(STAGES)):
                for last in range(first, len(STAGES)):
                    yield rules, first, last


def test_the_attacker_finds_what_can_be_found() -> None:
    """Two rules and their total: he knows the third."""
    end = len(STAGES) - 1
    known = solved([quantity(GROUPS["a"], 0, end), quantity(GROUPS["a"][:1], 0, end)])
    assert not any(reduced(quantity(GROUPS["a"][1:], 0, end), known))
    assert any(reduced(quantity(GROUPS["b"], 0, end), known))
    assert any(reduced(quantity(GROUPS["a"][1:], 0, 0), known))


@settings(max_examples=60)
@given(worlds())
def test_whatever_can_be_worked_out_is_about_enough_calls_and_agents(world: World) -> None:
    known = solved(equations(told(world)))
    for rules, first, last in quantities():
        if any(reduced(quantity(rules, first, last), known)):
            continue
        legs = [leg for leg in world if leg.rule in rules and first <= STAGES.index(leg.stage) <= last]
        assert len(legs) >= LIMITS.min_calls, (rules, first, last)
        assert len({(leg.rule, leg.agent) for leg in legs}) >= LIMITS.min_agents, (rules, first, last)


@settings(max_examples=60)
@given(worlds())
def test_what_is_told_is_true(world: World) -> None:
    for rules, funnel in lines(told(world)):
        for name, first in FROM.items():
            figure = getattr(funnel, name)
            true = sum(leg.rule in rules and STAGES.index(leg.stage) >= first for leg in world)
            assert figure in (None, true)


def withheld(found: Statistics, group: str) -> bool:
    of = next(one for one in found.groups if one.group == group)
    return of.funnel.legs is None and all(rule.funnel.legs is None for rule in of.rules)


@settings(max_examples=60)
@given(worlds(), worlds())
def test_what_is_withheld_leaves_no_trace_in_what_is_told(world: World, other: World) -> None:
    """Swapped for what another world has there and withholds as well, it changes no count.

    Rates are of all callers who answered at the site, and too coarse to be taken apart.
    """
    one, two = told(world), told(other)
    swapped = {rule for group in GROUPS for rule in GROUPS[group] if withheld(one, group) and withheld(two, group)}
    group, rival = one.groups[0], two.groups[0]
    for place, rule in enumerate(GROUPS["a"]):
        if group.rules[place].funnel.legs is rival.rules[place].funnel.legs is None and not withheld(one, "a"):
            swapped |= {rule} if group.rules[1 - place].funnel.legs is not None else set()
    if one.campaigns[0].funnel.legs is two.campaigns[0].funnel.legs is None:
        swapped.add(CAMPAIGN)
    hybrid = [leg for leg in world if leg.rule not in swapped] + [leg for leg in other if leg.rule in swapped]
    assert replace(told(tuple(hybrid)), channels=()) == replace(one, channels=())


@settings(max_examples=60)
@given(worlds(), st.data())
def test_no_count_depends_on_what_agents_and_callers_say(world: World, data: st.DataObject) -> None:
    """A rate may: it is about callers who were asked, in tens."""
    vetoing = data.draw(st.integers(0, 5))
    without = tuple(replace(leg, answer=None) if leg.agent == vetoing else leg for leg in world)
    assert replace(told(without), channels=()) == replace(told(world), channels=())


@settings(max_examples=60)
@given(worlds())
def test_rates_and_bins_are_about_enough(world: World) -> None:
    found = told(world)
    for place, channel in enumerate(found.channels):
        if channel.yes_percent is None:
            continue
        answers = [leg.answer for leg in world if leg.answer is not None and leg.channel == place]
        assert len(answers) >= LIMITS.min_calls and channel.yes_percent % 10 == 0
        assert abs(channel.yes_percent - 100 * answers.count("yes") / len(answers)) <= 5
        assert sum(leg.stage == "hit" for leg in world) >= 2 * LIMITS.min_calls
    for one in found.hits_per_agent:
        assert one.least <= one.most and one.agents >= LIMITS.min_agents
    assert all(a.most < b.least for a, b in zip(found.hits_per_agent, found.hits_per_agent[1:], strict=False))
