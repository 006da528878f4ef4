"""When the wall clock is trusted (agreement.md §4, CLOCK_UNTRUSTED), and how soon again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import ClockWatch, SystemClock
from tests.peers.manual_clock import ManualClock


def observe(watch: ClockWatch, clock: ManualClock) -> bool:
    return watch.observe(clock.now(), clock.wallclock())


def steady(watch: ClockWatch, clock: ManualClock, seconds: int) -> list[bool]:
    """What the watch says, once a second, while both clocks go evenly."""
    said = []
    for _ in range(seconds):
        clock.advance(1.0)
        said.append(observe(watch, clock))
    return said


def test_a_steady_clock_is_trusted_from_the_first_reading():
    watch, clock = ClockWatch(), ManualClock()
    assert observe(watch, clock)
    assert all(steady(watch, clock, 200))


@pytest.mark.parametrize("step", [-2.1, -3600.0, 2.1, 86400.0])
def test_a_step_over_two_seconds_is_noticed_at_once(step):
    watch, clock = ClockWatch(), ManualClock()
    observe(watch, clock)
    clock.advance(1.0)
    clock.step(step)
    assert not observe(watch, clock)


@pytest.mark.parametrize("step", [-1.9, 1.9])
def test_a_small_step_is_forgiven(step):
    watch, clock = ClockWatch(), ManualClock()
    observe(watch, clock)
    clock.step(step)
    assert observe(watch, clock)


def test_trust_returns_after_a_whole_steady_minute_and_not_before():
    watch, clock = ClockWatch(), ManualClock()
    observe(watch, clock)
    clock.step(-10.0)
    assert not observe(watch, clock)
    assert steady(watch, clock, 61) == [False] * 59 + [True] * 2


def test_a_jump_there_and_back_starts_the_minute_anew():
    watch, clock = ClockWatch(), ManualClock()
    observe(watch, clock)
    clock.step(-10.0)
    assert not observe(watch, clock)
    assert not any(steady(watch, clock, 30))
    clock.step(+10.0)
    assert not observe(watch, clock)
    assert not any(steady(watch, clock, 59))
    assert steady(watch, clock, 1) == [True]


def test_drift_of_more_than_two_seconds_within_a_minute_is_noticed():
    watch, clock = ClockWatch(), ManualClock()
    said = []
    for _ in range(60):
        clock.advance(1.0)
        clock.step(0.05)
        said.append(observe(watch, clock))
    assert said[:40] == [True] * 40
    assert not any(said[42:])


def test_slow_drift_is_not_a_jump():
    watch, clock = ClockWatch(), ManualClock()
    said = []
    for _ in range(600):
        clock.advance(1.0)
        clock.step(0.02)
        said.append(observe(watch, clock))
    assert all(said)


def test_a_time_before_the_last_entry_is_not_trusted_until_it_is_past():
    watch, clock = ClockWatch(), ManualClock()
    watch.last_entry = clock.wallclock() + timedelta(seconds=10)
    assert steady(watch, clock, 12) == [False] * 7 + [True] * 5


@given(st.lists(st.tuples(st.floats(0.0, 30.0), st.floats(-5.0, 5.0)), max_size=30))
def test_never_trusted_within_a_minute_of_a_jump(moves):
    watch, clock = ClockWatch(), ManualClock()
    observe(watch, clock)
    jumped = float("-inf")
    for seconds, step in moves:
        clock.advance(seconds)
        clock.step(step)
        # more than both tolerances together: no reading before it can be within tolerance of what follows
        if abs(step) > 4.0:
            jumped = clock.now()
        trusted = observe(watch, clock)
        assert not (trusted and clock.now() < jumped + watch.window_s)


def test_the_system_clock_is_monotonic_and_aware():
    clock = SystemClock()
    first, second = clock.now(), clock.now()
    assert second >= first
    assert clock.wallclock().tzinfo is UTC
    assert abs((clock.wallclock() - datetime.now(UTC)).total_seconds()) < 60


def test_what_is_written_under_an_earlier_clock_brings_no_trust_back():
    watch, clock = ClockWatch(), ManualClock()
    watch.written(clock.wallclock())
    clock.step(-3600.0)
    watch.written(clock.wallclock())
    assert not any(steady(watch, clock, 120))
