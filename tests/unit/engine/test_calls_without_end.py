"""Calls whose end nobody told of: the recording ends first, the call much later, and none that lives is cut off."""

from gateway.call.stage import Stage
from gateway.engine.silence import EXPIRED_OVER_AFTER_S, OVER_AFTER_S, RECORDING_OVER_AFTER_S, UNANCHORED_AFTER_S
from gateway.media.plane import Counted, FlowCount, FlowId, MediaTimeout, Query, Remove
from storage.decisions import Decisions


def fall_silent(bench, live) -> None:
    for side in ("caller", "agent"):
        bench.engine.reports.take(0, MediaTimeout(FlowId(f"{live.call.ref}/{side}/0"), 30.0))


def count(bench, live, received: int, rtcp: int = 0) -> None:
    """One survey and its answer."""
    bench.engine.reports.survey()
    flow = FlowCount(received, received, 0, 0, rtcp, 0)
    bench.engine.reports.take(0, Counted(live.call.ref, {FlowId(f"{live.call.ref}/caller/0"): flow}))


async def test_silence_ends_the_recording_and_at_last_the_call(bench):
    live = await bench.opened()
    fall_silent(bench, live)
    count(bench, live, 500)
    bench.clock.advance(RECORDING_OVER_AFTER_S - 1)
    live.call.leg.indicator._pages["page-1"] = bench.clock.now()
    count(bench, live, 500)
    assert bench.stage(live) is Stage.OPEN
    bench.clock.advance(1)
    count(bench, live, 500)
    assert bench.stage(live) is Stage.CLOSED
    assert bench.engine.calls, "the call itself goes on"
    bench.clock.advance(OVER_AFTER_S)
    count(bench, live, 500)
    assert not bench.engine.calls
    bench.engine.reports.survey()
    assert isinstance(bench.worker.orders[-1], Remove), "nothing is left to count"


async def test_a_call_of_which_anything_is_heard_goes_on(bench):
    live = await bench.answered()
    fall_silent(bench, live)
    for step in range(1, 20):
        bench.clock.advance(OVER_AFTER_S - 1)
        count(bench, live, 500 + step // 2, rtcp=(step + 1) // 2)
    assert bench.engine.calls


async def test_a_call_that_never_fell_silent_is_not_counted(bench):
    await bench.answered()
    bench.engine.reports.survey()
    assert not any(isinstance(order, Query) for order in bench.worker.orders)


async def test_a_call_taken_up_after_a_restart_is_counted(bench):
    live = await bench.answered()
    bench.engine.calls.clear()
    bench.engine.by_ref.clear()
    assert bench.engine.adopt() == 1
    bench.engine.reports.survey()
    assert bench.worker.orders[-1] == Query(live.call.ref)


async def test_a_call_without_ports_is_forgotten_at_last(bench):
    bench.worker.away = True
    await bench.offer()
    bench.clock.advance(UNANCHORED_AFTER_S)
    bench.engine.reports.survey()
    assert bench.engine.calls
    bench.clock.advance(1)
    bench.engine.reports.survey()
    assert not bench.engine.calls


async def test_the_last_decision_outlives_a_restart_so_that_a_clock_set_back_is_noticed(bench):
    decisions = Decisions(bench.folder.database)
    assert await decisions.newest() is None
    await bench.opened()
    bench.site.watch = type(bench.site.watch)(last_entry=await decisions.newest())
    assert bench.site.watch.observe(bench.clock.now(), bench.clock.wallclock())
    bench.clock.step(-60)
    bench.site.watch = type(bench.site.watch)(last_entry=await decisions.newest())
    assert not bench.site.watch.observe(bench.clock.now(), bench.clock.wallclock())


async def test_a_session_that_nobody_refreshes_is_over_once_it_is_silent_too(bench):
    """RFC 4028 §10: the parties have given it up, and their BYE was lost. Whoever talks on isn't cut off."""
    live = await bench.answered()
    call_id = live.call.new.call_id
    bench.engine.session_lasts(call_id, 90)
    bench.clock.advance(60)
    bench.engine.session_lasts(call_id, 90)
    for step in range(20):
        bench.clock.advance(10)
        count(bench, live, 100 + step)
    bench.clock.advance(EXPIRED_OVER_AFTER_S - 1)
    count(bench, live, 119)
    assert bench.engine.calls, "something was heard when the timer had run out already"
    bench.clock.advance(1)
    count(bench, live, 119)
    assert not bench.engine.calls


async def test_a_refreshed_session_may_be_silent(bench):
    live = await bench.answered()
    for _ in range(40):
        bench.engine.session_lasts(live.call.new.call_id, 90)
        bench.clock.advance(80)
        count(bench, live, 100)
    bench.engine.session_lasts(live.call.new.call_id, None)
    bench.clock.advance(EXPIRED_OVER_AFTER_S + 200)
    count(bench, live, 100)
    assert bench.engine.calls
