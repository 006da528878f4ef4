"""What becomes of a one-sided recording in which the caller may be heard: destroyed, whenever the worker tells it."""

from dataclasses import replace

import pytest

from gateway.call.stage import Stage
from gateway.media.plane import LEAK, TOO_SHORT, UNVETTED, DigitHeard, Discard, FlowId, PlayEnded, Record, SegmentFailed
from storage.errors import StorageUnavailable
from storage.recordings import State
from tests.peers.engine_bench import EngineBench


@pytest.fixture
async def alone(bench):
    """A recording of the agent's side alone, its tap open."""
    bench.enact(consent__mode="per_leg", consent__caller__on_refusal="agent_side", legal__per_leg_opinion="G-1")
    bench.say_yes()
    questions = bench.site.announcements.questions
    questions |= {name: replace(one, one_sided=True) for name, one in questions.items()}
    bench.engine.lights.open_page(bench.agent, "page-1")
    live = await bench.answered()
    caller, agent = (FlowId(f"{live.call.ref}/{side}/0") for side in ("caller", "agent"))
    bench.clock.advance(8)
    bench.engine.reports.take(0, PlayEnded("ask", caller, True, bench.clock.now()))
    bench.clock.advance(1)
    bench.engine.reports.take(0, DigitHeard(caller, "9", 100, bench.clock.now(), "rfc4733"))
    bench.engine.reports.take(0, PlayEnded("tone", agent, True, bench.clock.now()))
    bench.engine.reports.take(0, PlayEnded("notice", caller, True, bench.clock.now()))
    bench.acknowledge(live)
    await bench.engine.finished()
    assert bench.stage(live) is Stage.OPEN
    return live


def record(bench: EngineBench) -> Record:
    (order,) = [order for order in bench.worker.orders if isinstance(order, Record)]
    return order


def leak(bench: EngineBench, reason: str = LEAK) -> SegmentFailed:
    order = record(bench)
    return SegmentFailed(order.call, order.recording, order.seg, "agent", reason)


async def state(bench: EngineBench) -> State:
    return (await bench.folder.recordings.get(record(bench).recording)).state


@pytest.fixture
def telling_worker(bench, monkeypatch):
    """The worker finds the leak when the segment ends, and says so in place of sealing it."""
    monkeypatch.setattr(bench.worker, "_end", lambda stop: bench.worker.told(0, leak(bench)))


async def test_only_the_agents_side_is_ordered_compared_with_the_callers(bench, alone):
    (side,) = record(bench).sides
    assert (side.side, side.vetted_against) == ("agent", f"{alone.call.ref}/caller/0")


@pytest.mark.parametrize(("reason", "counted"), [(LEAK, 0), (UNVETTED, 1)])
async def test_a_leak_closes_the_leg_at_once_and_destroys_the_recording(bench, alone, reason, counted):
    ordered = bench.worker.expect(Discard)
    bench.engine.reports.take(0, leak(bench, reason))
    assert bench.stage(alone) is Stage.CLOSED
    await ordered.wait()
    bench.custody.discarded(record(bench).recording)
    bench.engine.hang_up(alone.call.new.call_id)
    await bench.engine.finished()
    assert await state(bench) is State.DISCARDED
    assert bench.ledger.outs == ["discarded"]
    assert bench.engine.counters["leaks_not_ruled_out"] == counted
    assert bench.custody.failures == 0
    assert not bench.custody._live and not bench.custody._openings


async def test_a_leak_that_is_found_when_the_call_ends_is_told_as_such(bench, alone, telling_worker):
    bench.engine.hang_up(alone.call.new.call_id)
    await bench.engine.finished()
    assert await state(bench) is State.DISCARDED
    assert bench.ledger.outs == ["discarded"]
    told = bench.engine.memory.get(alone.call.ref)
    assert (told.told_as, told.reasons) == ("discarded", ("LEG_LEAK",))


async def test_a_leak_that_is_found_after_another_stop_destroys_what_was_kept(bench, alone, telling_worker):
    bench.engine.referred(alone.call.new.call_id)
    assert bench.stage(alone) is Stage.CLOSED
    bench.engine.hang_up(alone.call.new.call_id)
    await bench.engine.finished()
    assert await state(bench) is State.DISCARDED
    assert bench.ledger.outs == ["discarded"]


async def test_a_segment_that_was_too_short_costs_neither_leg_nor_call(bench, alone):
    bench.engine.reports.take(0, leak(bench, TOO_SHORT))
    assert bench.stage(alone) is Stage.OPEN
    bench.engine.hang_up(alone.call.new.call_id)
    await bench.engine.finished()
    assert await state(bench) is State.FAILED
    assert bench.ledger.outs == ["not_recorded"]
    assert bench.custody.failures == 0


async def test_a_leak_that_is_told_after_a_restart_destroys_the_recording(bench, alone):
    bench.custody._openings.clear()
    bench.custody.take(0, leak(bench))
    while bench.custody._tasks:
        await next(iter(bench.custody._tasks))
    assert await state(bench) is State.DISCARDED


async def test_a_disk_that_refuses_is_asked_until_the_recording_is_gone(bench, alone, monkeypatch):
    monkeypatch.setattr("gateway.engine.custody.RETRY_S", 0.001)
    whole, refusals = bench.custody.recordings.intend_discard, iter([True, True])

    async def refusing(*args):
        if next(refusals, False):
            raise StorageUnavailable("database can't be written")
        await whole(*args)

    monkeypatch.setattr(bench.custody.recordings, "intend_discard", refusing)
    bench.custody.take(0, leak(bench))
    while bench.custody._tasks:
        await next(iter(bench.custody._tasks))
    assert await state(bench) is State.DISCARDED
