"""A leg that two agreements are about goes by the stricter of each of their terms, whichever stands first."""

from datetime import timedelta

import pytest

from gateway.call.stage import Stage
from policy.decision import Side
from policy.intersection import combined
from policy.terms import Purpose
from tests.peers.leg_bench import LegBench
from tests.unit.policy.green import NOW, agreement, example

STRICTER = agreement(
    id="bv-konzern",
    indicator__ack_max_age_ms=1500,
    pause__max="PT2M",
    retention__coaching="P7D",
    validity__end="2026-04-19T00:00:00",
)
STOPS_ONLY = agreement(consent__withdrawal_effect="stop_only")
ORDERS = pytest.mark.parametrize("agreements", [(example(), STRICTER), (STRICTER, example())])


@ORDERS
def test_the_shorter_pause_ends_it(agreements):
    bench = LegBench(*agreements).opened()
    bench.leg.paused_by_call = True
    bench.step()
    assert "light off PAUSED" not in bench.wait(119)
    assert "light off PAUSED" in bench.wait(1.1)


@ORDERS
def test_the_light_is_lost_by_the_stricter_one(agreements):
    bench = LegBench(*agreements).opened()
    assert bench.wait(1.4) == []
    assert "light off INDICATOR_STALE" in bench.wait(0.2)


@ORDERS
def test_the_earlier_end_is_the_instant(agreements):
    bench = LegBench(*agreements).opened()
    due = bench.leg.next_timeout(bench.now, STRICTER.validity.end - timedelta(seconds=1))
    assert due == pytest.approx(bench.now + 1)


@ORDERS
def test_the_shorter_retention_is_shown(agreements):
    kept = combined(agreements).keep_until(Purpose.COACHING, NOW)
    light = LegBench(*agreements).opened().light
    assert light.keep_until is not None and light.keep_until[:10] == f"{kept:%Y-%m-%d}" == "2026-03-11"


@pytest.mark.parametrize("agreements", [(STOPS_ONLY, STRICTER), (STRICTER, STOPS_ONLY)])
@pytest.mark.parametrize("by", list(Side))
def test_a_withdrawal_discards_if_one_of_them_says_so(agreements, by):
    bench = LegBench(*agreements).opened()
    bench.leg.withdraw(by)
    assert bench.step()[:2] == ["STOP 1 stopped", "discard"]


def test_without_a_common_question_nobody_is_asked():
    prompt = {"id": "ask-de-3", "language": "de", "sha256": "1" * 64, "consent_key": "1", "refuse_key": "9"}
    asks_otherwise = agreement(id="bv-konzern", consent__prompts=[{**prompt, "withdraw_code": "*9"}])
    bench = LegBench(example(), asks_otherwise).armed()
    assert bench.step() == [] and bench.leg.stage is Stage.IDLE


def test_one_agreements_yes_in_this_call_is_asked_for_by_both():
    bench = LegBench(example(), agreement(id="bv-konzern", consent__agent__gate="per_call")).armed()
    assert bench.step() == []
