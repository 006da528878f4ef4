"""The draw over many legs: uniform, independent of agent and counter, and never over the rate at any prefix."""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest

from crypto.draw import agent_key, combine, draw_output, drawn
from policy.draw_rules import ceiling_ok

ORIGIN, EPOCH = "hamburg/fairtap/2026-01", "2026-W10"
HOST, COUNCIL = bytes(range(32)), bytes(range(32, 64))
AGENTS, LEGS = 100, 10_000
BINS = 256


def outputs(agent: int, legs: int) -> list[int]:
    """u of an agent's legs 1, 2, 3, …, under frozen shares."""
    a = f"{agent:032x}"
    host, council = agent_key("host", ORIGIN, EPOCH, a, HOST), agent_key("council", ORIGIN, EPOCH, a, COUNCIL)
    return [combine(draw_output(host, n), draw_output(council, n)) for n in range(1, legs + 1)]


def test_a_million_draws_are_uniform_by_chi_square():
    u = np.array([outputs(agent, LEGS) for agent in range(AGENTS)], dtype=np.uint64)
    for bits in (u >> np.uint64(56), u & np.uint64(255)):
        counted = np.bincount(bits.astype(np.int64).ravel(), minlength=BINS)
        expected = u.size / BINS
        statistic = float(((counted - expected) ** 2 / expected).sum())
        # 255 degrees of freedom: spread 22.6; the shares are frozen, so this is either always so or never
        assert abs(statistic - (BINS - 1)) < 5 * (2 * (BINS - 1)) ** 0.5
    mean = u.astype(np.float64) / 2.0**64
    assert abs(mean.mean(axis=1) - 0.5).max() < 5 / (12 * LEGS) ** 0.5  # no agent is luckier
    assert abs(np.corrcoef(mean[:, :-1].ravel(), mean[:, 1:].ravel())[0, 1]) < 0.005  # nor the next leg foretold


@pytest.mark.parametrize("percent", ["0.5", "3", "20"])
def test_hits_stay_under_the_rate_at_every_prefix_of_ten_thousand_legs(percent):
    ppm, hits = int(Fraction(percent) * 10_000), 0
    streams = [iter(outputs(agent, LEGS // 10)) for agent in range(10)]
    for legs in range(1, LEGS + 1):
        if drawn(next(streams[legs % 10]), ppm) and ceiling_ok(ppm, legs=legs, hits=hits):
            hits += 1
        assert hits <= ceil(Fraction(ppm, 1_000_000) * legs)
    assert hits > 0.6 * ppm * LEGS / 1_000_000  # and not far under it
