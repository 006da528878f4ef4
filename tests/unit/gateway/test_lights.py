"""Pages and lights: one sequence for each agent, acknowledgements of open pages and of the very event only."""

from datetime import UTC, datetime
from typing import Any

from gateway.call.indicator import Indicator
from gateway.engine.lights import Lights
from gateway.events import LegLight, LightState

AT = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
ALMA, BERT = "alma", "bert"


def shown(light: Indicator, state: LightState = LightState.RECORDING_BOTH, now: float = 10.0) -> LegLight:
    return light.show(state, now, AT)


def acknowledged(lights: Lights, page: str, event: LegLight, **changes) -> bool:
    said: dict[str, Any] = {
        "call": event.call,
        "seq": event.seq,
        "nonce": event.nonce,
        "state": event.state.value,
    } | changes
    return lights.acknowledge(event.agent, page, **said)


def test_numbers_grow_over_all_legs_of_an_agent_and_start_anew_for_another():
    lights = Lights()
    first, second, other = lights.indicator(ALMA, "a"), lights.indicator(ALMA, "b"), lights.indicator(BERT, "c")
    assert [shown(light).seq for light in (first, second, first, other)] == [1, 2, 3, 1]
    beat = second.heartbeat(11.0)
    assert beat is not None and beat.seq == 4


def test_a_page_first_sees_all_legs_as_they_are():
    lights = Lights()
    lit, dark = lights.indicator(ALMA, "a"), lights.indicator(ALMA, "b")
    event = shown(lit)
    assert dark.shown is None
    snapshot = lights.open_page(ALMA, "p1")
    assert (snapshot.agent, snapshot.seq, snapshot.legs) == (ALMA, 1, (event,))
    assert lights.open_page(BERT, "p2").legs == ()
    assert (lights.pages(ALMA), lights.pages(BERT), lights.pages("nobody")) == (1, 1, 0)


def test_an_open_page_acknowledges_the_very_event():
    lights = Lights()
    light = lights.indicator(ALMA, "a")
    lights.open_page(ALMA, "p")
    event = shown(light)
    assert acknowledged(lights, "p", event)
    assert light.age_ms(10.5) == 500


def test_nothing_else_counts_as_an_acknowledgement():
    lights = Lights()
    light, other = lights.indicator(ALMA, "a"), lights.indicator(ALMA, "b")
    lights.open_page(ALMA, "p")
    older, event, elsewhere = shown(light), shown(light), shown(other)
    lights.open_page(BERT, "q")
    assert not acknowledged(lights, "unopened", event)
    assert not acknowledged(lights, "q", event)
    assert not acknowledged(lights, "p", event, nonce="0" * 16)
    assert not acknowledged(lights, "p", event, seq=event.seq + 1)
    assert not acknowledged(lights, "p", event, state="off")
    assert not acknowledged(lights, "p", event, call="b")
    assert not acknowledged(lights, "p", elsewhere, call="a")
    assert not acknowledged(lights, "p", event, call="unknown")
    assert not acknowledged(lights, "p", older)
    assert light.age_ms(11.0) is None


def test_a_closed_page_takes_its_acknowledgements_with_it():
    lights = Lights()
    light = lights.indicator(ALMA, "a")
    lights.open_page(ALMA, "p")
    lights.open_page(ALMA, "q")
    event = shown(light)
    assert acknowledged(lights, "p", event)
    assert lights.close_page(ALMA, "p") == ("a",)
    assert light.age_ms(10.0) is None
    assert lights.pages(ALMA) == 1
    assert not acknowledged(lights, "p", event)
    assert lights.close_page(ALMA, "p") == ("a",)


def test_a_leg_that_is_over_has_no_light():
    lights = Lights()
    light = lights.indicator(ALMA, "a")
    lights.open_page(ALMA, "p")
    event = shown(light)
    assert list(lights.lit()) == [light]
    lights.forget(ALMA, "a")
    lights.forget(ALMA, "a")
    assert list(lights.lit()) == []
    assert not acknowledged(lights, "p", event)
    assert lights.open_page(ALMA, "q").legs == ()


def test_nonces_differ():
    light = Lights().indicator(ALMA, "a")
    assert len({shown(light).nonce for _ in range(50)}) == 50
