"""An attacker with every published figure, in generated worlds: nothing about few calls or agents can be worked out.

The attacker solves for every run of stages in every union of rules, by elimination over exact fractions, and compares
neighbouring worlds. The worlds know who each agent is; what is published was made without that.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from policy.agreement.schema import StatisticsTerms
from policy.statistics import AnswerCount, Funnel, LegCount, MonthCounts, Statistics, publish

GROUPS = {"a": ("sample/onboarding/a", "sample/regular/a"), "b": ("sample/regular/b",)}
CAMPAIGN = "campaign/april"
RULES = (CAMPAIGN, *GROUPS["a"], *GROUPS["b"])
STAGES = ("no", "cap", "unanswered", "yes", "kept")
"""How far a leg came; a caller's no is one of the unanswered."""
FROM = {"legs": 0, "drawn": 1, "selected": 2, "yes": 3, "kept": 4}
PLACES = (("hamburg", "dtmf"), ("hamburg", "ivr:front"))
LIMITS = StatisticsTerms(min_agents=3, min_calls=6)


@dataclass(frozen=True)
class Leg:
    """One leg as it truly was."""

    rule: str
    epoch: int
    agent: int
    stage: str
    refused: bool
    channel: int

    @property
    def out(self) -> str:
        return self.stage if self.stage in ("no", "cap") else "hit"


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
            refused = draw(st.integers(0, 12)) if stage == "unanswered" else 0
            for number in range(draw(sizes)):
                channel = draw(st.sampled_from([0, 1])) if number == 0 else number % 7 == 3
                legs.append(Leg(rule, number % 2, number // 2 % some, stage, number < refused, int(channel)))
    return tuple(legs)


def counts_of(world: World) -> MonthCounts:
    """As the gateway counts it: a pseudonym for each agent and epoch."""
    legs = tuple(LegCount(leg.rule, f"W{leg.epoch}", f"p{leg.epoch}{leg.agent}", leg.out, 1) for leg in world)
    answered = [leg for leg in world if leg.refused or leg.stage in ("yes", "kept")]
    answers = tuple(AnswerCount(leg.rule, *PLACES[leg.channel], "no" if leg.refused else "yes", 1) for leg in answered)
    kept = {rule: sum(leg.rule == rule and leg.stage == "kept" for leg in world) for rule in RULES}
    return MonthCounts(legs, answers, kept)


def told(world: World) -> Statistics:
    return publish(counts_of(world), LIMITS, rules=RULES, channels=PLACES)


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
        # who answered isn't counted by agent: there it is the agents of all legs that came so far
        wider = [leg for leg in world if leg.rule in rules and STAGES.index(leg.stage) >= min(first, 2)]
        wider = wider if last >= 2 else legs
        assert len({(leg.rule, leg.agent) for leg in wider}) >= LIMITS.min_agents, (rules, first, last)


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
    """Swapped for what another world has there and withholds as well, it changes nothing at all."""
    one, two = told(world), told(other)
    swapped = {rule for group in GROUPS for rule in GROUPS[group] if withheld(one, group) and withheld(two, group)}
    group, rival = one.groups[0], two.groups[0]
    for place, rule in enumerate(GROUPS["a"]):
        if group.rules[place].funnel.legs is rival.rules[place].funnel.legs is None and not withheld(one, "a"):
            swapped |= {rule} if group.rules[1 - place].funnel.legs is not None else set()
    if one.campaigns[0].funnel.legs is two.campaigns[0].funnel.legs is None:
        swapped.add(CAMPAIGN)
    hybrid = [leg for leg in world if leg.rule not in swapped] + [leg for leg in other if leg.rule in swapped]
    assert told(tuple(hybrid)) == one


@settings(max_examples=60)
@given(worlds(), st.data())
def test_no_figure_says_that_an_agent_refuses_or_agrees(world: World, data: st.DataObject) -> None:
    """Nor that all of them do; and what the draw did is told alike, whatever an agent says."""
    found = told(world)
    for rules, funnel in lines(found):
        selected = [leg for leg in world if leg.rule in rules and leg.out == "hit"]
        if funnel.yes is not None and funnel.selected is not None:
            assert len(selected) - funnel.yes >= LIMITS.min_calls  # not everybody agreed
            assert funnel.yes >= LIMITS.min_calls  # and not everybody refused
    vetoing = data.draw(st.integers(0, 5))
    without = tuple(
        Leg(leg.rule, leg.epoch, leg.agent, "unanswered", False, leg.channel)
        if leg.agent == vetoing and leg.out == "hit"
        else leg
        for leg in world
    )
    for before, after in zip(lines(found), lines(told(without)), strict=True):
        names = ("legs", "drawn", "capped", "selected")
        assert [getattr(before[1], name) for name in names] == [getattr(after[1], name) for name in names]


@settings(max_examples=60)
@given(worlds())
def test_rates_and_bins_are_about_enough(world: World) -> None:
    found = told(world)
    shown = {rule for rules, funnel in lines(found) if funnel.yes is not None for rule in rules}
    for place, channel in enumerate(found.channels):
        if channel.yes_percent is None:
            continue
        hits = [leg for leg in world if leg.out == "hit"]
        refused = [leg for leg in hits if leg.refused and leg.channel == place]
        agreed = [leg for leg in hits if leg.stage in ("yes", "kept") and leg.channel == place]
        assert min(len(refused), len(agreed)) >= LIMITS.min_calls
        # with yes and rate the refusals are known, nearly, and so is what remains of the selected legs
        of_shown = [leg for leg in hits if leg.rule in shown and leg.stage == "unanswered" and not leg.refused]
        assert len(of_shown) >= LIMITS.min_calls
    for one in found.hits_per_agent:
        assert one.least <= one.most and one.agents >= LIMITS.min_agents
    assert all(a.most < b.least for a, b in zip(found.hits_per_agent, found.hits_per_agent[1:], strict=False))
