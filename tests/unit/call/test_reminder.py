"""The reminder tone: at the agreed interval to both parties while a tap is open, and at no other time."""

import pytest

from gateway.media.plane import PlayEnded
from policy.intersection import combined
from tests.peers.leg_bench import AGENT, CALLER, LegBench
from tests.unit.policy.green import agreement, example

TONES = ["play tone-reminder between to caller", "play tone-reminder between to agent"]


def beeping(every: str = "PT15S") -> LegBench:
    return LegBench(agreement(indicator__beep_every=every))


def waited(bench: LegBench, seconds: float) -> list[str]:
    """Time passes under a page that acknowledges each second."""
    said = []
    for _ in range(round(seconds)):
        said += bench.wait(1)
        bench.acknowledge(bench.beats[-1])
    return said


def test_both_hear_it_at_the_interval_and_no_sooner():
    bench = beeping().opened()
    assert waited(bench, 14) == []
    assert waited(bench, 2) == TONES
    assert waited(bench, 13) == []
    assert waited(bench, 44) == TONES * 3


def test_without_one_agreed_nothing_sounds():
    assert waited(LegBench().opened(), 120) == []


def test_a_pause_ends_it_and_what_follows_begins_anew():
    bench = beeping().opened()
    waited(bench, 10)
    bench.leg.paused_by_call = True
    bench.step()
    assert TONES[0] not in waited(bench, 30)
    bench.leg.paused_by_call = False
    bench.step()
    bench.acknowledge()
    bench.decision_durable()
    assert waited(bench, 14) == []
    assert waited(bench, 2) == TONES


def test_a_stop_ends_it():
    bench = beeping().opened()
    bench.leg.caller_refused()
    bench.step()
    assert bench.wait(60) == []


@pytest.mark.parametrize("flow", [CALLER, AGENT])
def test_one_that_could_not_be_heard_comes_again_soon(flow):
    bench = beeping("PT30S").opened()
    assert waited(bench, 31) == TONES
    play = "reminder-1" if flow == CALLER else "reminder-1-agent"
    bench.leg.played(PlayEnded(play, flow, False, bench.now))
    assert waited(bench, 1) == []
    assert waited(bench, 2) == TONES
    # an old one's end changes nothing
    bench.leg.played(PlayEnded(play, flow, False, bench.now))
    assert waited(bench, 20) == []


def test_of_several_agreements_the_shortest_interval_counts():
    every = [agreement(indicator__beep_every=text) for text in ("PT1M", "PT20S")]
    assert combined([*every, example()]).beep_every_s == 20
    assert combined([example()]).beep_every_s is None
