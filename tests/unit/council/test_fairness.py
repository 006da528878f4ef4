"""Tails and ranks against values worked out another way: fractions, enumeration, published tables."""

import math
import random
from collections import Counter
from fractions import Fraction
from itertools import combinations

import pytest

from council.fairness import Share, binomial, distribution, holm, judge, rank_sum, two_sided


def exact(n, p):
    return [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


@pytest.mark.parametrize(("n", "ppm"), [(1, 1), (10, 200_000), (60, 30_000), (400, 50_000), (5, 999_999)])
def test_the_binomial_is_exact(n, ppm):
    wanted = exact(n, Fraction(ppm, 1_000_000))
    found = binomial(n, ppm / 1_000_000)
    assert all(math.isclose(float(a), b, rel_tol=1e-9, abs_tol=1e-18) for a, b in zip(wanted, found, strict=False))
    assert sum(wanted[len(found) :]) < 1e-15


def test_rates_at_the_edges():
    assert binomial(7, 0.0) == [1.0]
    assert binomial(3, 1.0) == [0.0, 0.0, 0.0, 1.0]
    assert two_sided(binomial(7, 0.0), 1) == 0.0
    assert two_sided(binomial(7, 0.0), 0) == 1.0


def test_two_rates_are_convolved():
    found = distribution({100_000: 3, 500_000: 2})
    wanted = [0] * 6
    for i, a in enumerate(exact(3, Fraction(1, 10))):
        for j, b in enumerate(exact(2, Fraction(1, 2))):
            wanted[i + j] += a * b
    assert found == pytest.approx([float(one) for one in wanted])


def test_two_sided_takes_both_tails():
    values = exact(10, Fraction(1, 2))
    assert two_sided([float(v) for v in values], 1) == pytest.approx(22 / 1024)
    assert two_sided([float(v) for v in values], 5) == pytest.approx(1.0)


def test_holm_steps_down():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_an_agent_drawn_far_too_often_stands_first():
    shares = [Share("e", f"{i:032x}", Counter({50_000: 200}), 10, 8) for i in range(20)]
    found = judge([*shares, Share("e", "f" * 32, Counter({50_000: 200}), 40, 8)])
    assert found[0].share.agent == "f" * 32
    assert found[0].corrected < 1e-9
    assert all(one.corrected > 0.5 for one in found[1:])


def test_a_fair_draw_is_hardly_ever_an_alarm():
    dice = random.Random(8)
    alarms = 0
    for _ in range(100):
        shares = [
            Share("e", f"{i:032x}", Counter({30_000: 150}), sum(dice.random() < 0.03 for _ in range(150)))
            for i in range(10)
        ]
        alarms += judge(shares)[0].corrected < 0.01
    assert alarms <= 4


def test_the_rank_sum_is_counted_out_for_few():
    mine, theirs = [1.0, 2.5, 9.0], [3.0, 4.0, 5.0, 6.0]
    pool = sorted(mine + theirs)
    middle = 3 * 8 / 2
    here = abs(sum(pool.index(v) + 1 for v in mine) - middle)
    sums = [sum(c) for c in combinations(range(1, 8), 3)]
    assert rank_sum(mine, theirs) == pytest.approx(sum(abs(s - middle) >= here for s in sums) / len(sums))


def test_the_rank_sum_sees_longer_calls():
    dice = random.Random(4)
    others = [dice.expovariate(1 / 180) for _ in range(500)]
    assert rank_sum([dice.expovariate(1 / 180) for _ in range(30)], others) > 0.01
    assert rank_sum([dice.expovariate(1 / 600) for _ in range(30)], others) < 0.001


def test_the_rank_sum_of_nothing_or_of_equals_says_nothing():
    assert rank_sum([], [1.0]) == 1.0
    assert rank_sum([1.0], []) == 1.0
    assert rank_sum([5.0] * 30, [5.0] * 30) == 1.0
