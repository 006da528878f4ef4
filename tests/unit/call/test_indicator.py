"""The light: which acknowledgements count, by whose clock they age, and that an earlier light's never do."""

import itertools
from dataclasses import replace

import pytest

from gateway.call.indicator import Indicator
from gateway.events import LegLight, LightState
from tests.unit.policy.green import NOW

RECORDING = LightState.RECORDING_BOTH


@pytest.fixture
def light():
    numbers, nonces = itertools.count(1), itertools.count(1000)
    return Indicator("agent", "call", lambda: next(numbers), lambda: f"{next(nonces):016x}")


def show(light: Indicator, now: float, state: LightState = RECORDING) -> LegLight:
    return light.show(state, now, NOW)


def acknowledge(light: Indicator, event, page: str = "page", **changes) -> bool:
    event = replace(event, **changes)
    return light.acknowledge(page, event.seq, event.nonce, event.state.value)


def test_dark_before_anything_was_shown(light):
    assert light.state is LightState.OFF
    assert light.age_ms(1.0) is None
    assert light.stale_at(3000) is None
    assert light.heartbeat(1.0) is None
    assert not light.acknowledge("page", 1, "", "off")


def test_an_event_says_what_it_must(light):
    event = light.show(LightState.PAUSED, 5.0, NOW, lane="sample", purpose="coaching", why="PAUSED", keep_until="x")
    assert (event.agent, event.call, event.seq, event.state) == ("agent", "call", 1, LightState.PAUSED)
    assert (event.lane, event.purpose, event.why, event.keep_until) == ("sample", "coaching", "PAUSED", "x")
    assert event.since == "2026-03-04T09:30:00.000Z"
    assert event.connected
    assert show(light, 6.0).nonce != event.nonce


def test_age_counts_from_the_publication_not_from_the_acknowledgement(light):
    event = show(light, 100.0)
    assert acknowledge(light, event)
    assert light.age_ms(100.25) == 250
    assert light.stale_at(3000) == 103.0
    assert acknowledge(light, event)  # again, later: as old as its event
    assert light.age_ms(102.0) == 2000


@pytest.mark.parametrize(
    "changes", [{"nonce": "0" * 16}, {"seq": 2}, {"state": LightState.RECORDING_AGENT}, {"state": LightState.OFF}]
)
def test_an_acknowledgement_of_something_else_counts_for_nothing(light, changes):
    event = show(light, 100.0)
    assert not acknowledge(light, event, **changes)
    assert light.age_ms(100.0) is None


def test_a_changed_light_forgets_every_earlier_acknowledgement(light):
    first = show(light, 100.0)
    assert acknowledge(light, first)
    beat = light.heartbeat(101.0)
    second = show(light, 102.0)
    assert light.age_ms(102.0) is None
    assert not acknowledge(light, first)
    assert not acknowledge(light, beat)
    assert acknowledge(light, second)


def test_a_heartbeat_keeps_fresh_only_a_page_that_showed_the_light(light):
    event = show(light, 100.0)
    beat = light.heartbeat(101.0)
    assert beat.seq == event.seq + 1
    assert beat.state is RECORDING
    assert not acknowledge(light, beat)
    assert acknowledge(light, event)
    assert not acknowledge(light, beat, page="other")
    assert acknowledge(light, beat)
    assert light.age_ms(101.5) == 500
    assert acknowledge(light, event)  # held back: it makes nothing older
    assert light.age_ms(101.5) == 500


@pytest.mark.parametrize("state", [LightState.OFF, LightState.UNKNOWN])
def test_no_heartbeat_where_nothing_is_on(light, state):
    show(light, 100.0, state)
    assert light.heartbeat(101.0) is None


@pytest.mark.parametrize("state", [LightState.ASKING, LightState.PAUSED, LightState.RECORDING_AGENT, RECORDING])
def test_a_heartbeat_each_time_one_is_asked_for(light, state):
    show(light, 100.0, state)
    assert light.heartbeat(101.0).state is state


def test_one_fresh_page_suffices_and_a_closed_one_takes_its_acknowledgements_along(light):
    event = show(light, 100.0)
    assert acknowledge(light, event, page="one")
    assert acknowledge(light, event, page="two")
    assert acknowledge(light, light.heartbeat(101.0), page="two")
    assert light.age_ms(101.0) == 0
    light.page_closed("two")
    assert light.age_ms(101.0) == 1000
    light.page_closed("one")
    light.page_closed("never opened")
    assert light.age_ms(101.0) is None
    assert light.stale_at(3000) is None


def test_the_own_event_of_a_long_call_may_still_be_acknowledged_and_old_heartbeats_may_not(light):
    event = show(light, 100.0)
    beats = [light.heartbeat(100.0 + second) for second in range(1, 200)]
    assert acknowledge(light, event)
    assert not acknowledge(light, beats[0])
    assert acknowledge(light, beats[-1])
    assert light.age_ms(299.0) == 0
