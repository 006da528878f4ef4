"""What the engine lets through to the worker, and when: order is the safety, and a call that ends is over."""

import asyncio

import pytest

from gateway.call.stage import Stage
from gateway.engine.outs import OUT_AFTER_S
from gateway.media.plane import Discard, Record, SegmentFailed, SegmentOpened, Stop
from policy.decision import Side
from policy.state import State as ActState
from storage.recordings import State


def records(bench) -> list[Record]:
    return [order for order in bench.worker.orders if isinstance(order, Record)]


class Held:
    """A durable write that waits until the test lets it go."""

    def __init__(self, monkeypatch, owner: object, name: str) -> None:
        self.reached, self.go = asyncio.Event(), asyncio.Event()
        whole = getattr(owner, name)

        async def held(*args, **more):
            self.reached.set()
            await self.go.wait()
            return await whole(*args, **more)

        monkeypatch.setattr(owner, name, held)


async def test_the_decision_is_on_disk_before_the_order_goes_out(bench, monkeypatch):
    write = Held(monkeypatch, bench.custody, "decide")
    live = await bench.lit()
    bench.acknowledge(live)
    await write.reached.wait()
    assert not records(bench)
    write.go.set()
    await bench.engine.finished()
    assert len(records(bench)) == 1


@pytest.mark.parametrize(
    "ends",
    [
        lambda bench, live: bench.engine.ending(live.call.new.call_id),
        lambda bench, live: bench.engine.hang_up(live.call.new.call_id),
        lambda bench, live: bench.engine.reports.worker_lost(0),
        lambda bench, live: bench.engine.referred(live.call.new.call_id),
        lambda bench, live: live.call.leg.withdraw(Side.AGENT) or bench.engine.reconsider(live),
        lambda bench, live: bench.engine.lights.close_page(bench.agent, "page-1"),
        lambda bench, live: bench.site.seats.clear(),
        lambda bench, live: bench.site.enact(ActState(())),
        lambda bench, live: setattr(bench.site, "storage_available", False),
        lambda bench, live: bench.clock.step(-10),
    ],
    ids=["bye", "end", "worker", "transfer", "stop", "page", "seat", "agreement", "storage", "clock"],
)
async def test_what_closes_a_gate_while_the_decision_is_written_keeps_the_tap_shut(bench, monkeypatch, ends):
    write = Held(monkeypatch, bench.custody, "decide")
    live = await bench.lit()
    bench.acknowledge(live)
    await write.reached.wait()
    ends(bench, live)
    write.go.set()
    bench.engine.hang_up(live.call.new.call_id)
    await bench.engine.finished()
    assert not records(bench)
    recording = live.call.leg.way.recording
    assert recording is not None
    assert (await bench.folder.recordings.get(recording)).state is State.FAILED, "never opened, so nothing stays open"


async def test_a_side_that_cant_be_stored_ends_the_recording_and_its_light(bench):
    live = await bench.opened()
    order = records(bench)[0]
    failed = SegmentFailed(order.call, order.recording, order.seg, "caller", "disk is full")
    bench.engine.reports.take(0, failed)
    assert bench.stage(live) is Stage.CLOSED
    assert bench.worker.orders[-1].kind == "listen"
    assert "stop" in bench.worker.kinds()


async def test_a_side_without_media_ends_nothing(bench):
    live = await bench.opened()
    order = records(bench)[0]
    bench.engine.reports.take(0, SegmentFailed(order.call, order.recording, order.seg, "caller", "no_media"))
    assert bench.stage(live) is Stage.OPEN


async def test_nothing_of_a_discarded_recording_is_remembered(bench):
    live = await bench.opened()
    order = records(bench)[0]
    opened = SegmentOpened(order.call, order.recording, 1, "caller", "c" * 64, 1, "wav/PCMA", bench.clock.now())
    bench.engine.reports.take(0, opened)
    ordered = bench.worker.expect(Discard)
    live.call.leg.withdraw(Side.AGENT)
    bench.engine.reconsider(live)
    await ordered.wait()
    bench.custody.discarded(order.recording)
    await bench.engine.finished()
    assert (await bench.folder.recordings.get(order.recording)).state is State.DISCARDED
    assert not bench.custody._openings
    bench.engine.hang_up(live.call.new.call_id)
    await bench.engine.finished()
    assert bench.ledger.outs == ["discarded"]
    assert not bench.custody._live


async def test_neither_moment_nor_order_of_the_outs_says_what_was_kept(bench, monkeypatch):
    """What takes long to store ended first, a leg of which nothing was to be stored after it."""
    told: list[Stop] = []
    seal = bench.worker._end
    monkeypatch.setattr(bench.worker, "_end", told.append)
    monkeypatch.setattr(bench.ledger, "leave", noting := Noting())
    kept, refused = await bench.opened(), await bench.answered("call-2")
    bench.engine.hang_up(kept.call.new.call_id)
    bench.clock.advance(0.1)
    bench.engine.hang_up(refused.call.new.call_id)
    await refused.worked()
    bench.clock.advance(OUT_AFTER_S - 0.2)
    bench.engine.tick()
    for stop in told:
        seal(stop)
    await kept.worked()
    assert noting.entries == []
    bench.clock.advance(0.1)
    bench.engine.tick()
    await asyncio.wait(bench.engine._working)
    assert noting.entries == [kept.entered.entry.entry], "each after the same time"
    bench.clock.advance(0.1)
    bench.engine.tick()
    await asyncio.wait(bench.engine._working)
    assert noting.entries == [live.entered.entry.entry for live in (kept, refused)]


class Noting:
    """Ends, in the order in which they are said."""

    def __init__(self) -> None:
        self.entries: list[int] = []

    async def __call__(self, booked, *said) -> None:
        self.entries.append(booked.entry.entry)


async def test_who_goes_says_every_out_at_once(bench):
    live = await bench.answered()
    bench.engine.hang_up(live.call.new.call_id)
    await live.worked()
    assert bench.ledger.outs == []
    assert await bench.engine.finished() and bench.ledger.outs == ["not_recorded"]


async def test_a_step_that_fails_halfway_still_closes_the_tap(bench, monkeypatch):
    live = await bench.opened()

    def broken(*args, **more):
        raise RuntimeError("bug")

    monkeypatch.setattr(type(live.call.leg.way), "_pause", broken)
    live.call.leg.paused_by_call = True
    bench.engine.reconsider(live)
    assert "stop" in bench.worker.kinds()
    assert bench.stage(live) is Stage.CLOSED
    assert bench.engine.counters["evaluation_errors"] == 1


async def test_facts_that_cant_be_gathered_cost_the_recording_and_not_the_call(bench, monkeypatch):
    live = await bench.opened()
    monkeypatch.setattr(type(bench.site), "gather", None)
    bench.engine.reconsider(live)
    assert bench.stage(live) is Stage.CLOSED
    assert "stop" in bench.worker.kinds()
    await bench.answered("call-2")


async def test_a_call_id_that_isnt_utf8_hurts_no_call(bench):
    call_id = b"caf\xe9@example".decode("utf-8", "surrogateescape")
    live = await bench.answered(call_id)
    assert live.call.leg is not None and live.call.negotiation.line() is not None


async def test_a_disk_that_hangs_keeps_no_gateway_from_ending(bench, monkeypatch):
    write = Held(monkeypatch, bench.custody, "decide")
    live = await bench.lit()
    bench.acknowledge(live)
    await write.reached.wait()
    assert not await bench.engine.finished(within_s=0.0)
    write.go.set()
    assert await bench.engine.finished()


async def test_a_receipt_that_is_written_after_the_call_plays_nothing(bench, monkeypatch):
    write = Held(monkeypatch, bench.custody, "receipt")
    with pytest.raises(AssertionError):
        reaching = asyncio.ensure_future(bench.lit())
        await write.reached.wait()
        (live,) = bench.engine.calls.values()
        bench.engine.ending(live.call.new.call_id)
        before = bench.worker.kinds()
        write.go.set()
        await reaching
    assert bench.worker.kinds() == before


async def test_a_decision_that_fails_after_the_leg_closed_is_no_fault(bench, monkeypatch):
    live = await bench.lit()
    mend = bench.break_database()
    bench.acknowledge(live)
    bench.engine.referred(live.call.new.call_id)
    await bench.engine.finished()
    mend()
    assert bench.engine.counters["evaluation_errors"] == 0
    assert not records(bench)
