"""The gateway's connections to its media workers: who can take a call, who is away, and that it never gives up."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.engine.workers import NoPorts, WorkerAway, Workers
from gateway.media.plane import (
    MAX_REPORT,
    Address,
    CallRef,
    Discarded,
    FlowId,
    FlowSpec,
    FlowState,
    Hello,
    Query,
    RecordingId,
    Remove,
    Report,
    Reserve,
    Reserved,
    ReserveFailed,
)
from tests.peers.worker_end import WorkerEnd

CALL, OTHER = CallRef("00112233aabbccdd"), CallRef("ffeeddcc33221100")
FLOW = FlowId(f"{CALL}/caller/0")
FLOWS = (FlowSpec(FLOW, "192.0.2.1"),)
PORTS = {FLOW: Address("192.0.2.1", 30000)}


class House:
    """Two workers and the gateway's connections to them."""

    def __init__(self, run_dir) -> None:
        self.ends = [WorkerEnd(run_dir / f"worker-{index}.sock", Hello(index, 100 + index)) for index in range(2)]
        self.told: list[tuple[int, Report]] = []
        self.lost: list[int] = []
        self._changed = asyncio.Event()
        self.workers = Workers(run_dir, 2, self._report, self._gone)

    def _report(self, worker: int, report: Report) -> None:
        self.told.append((worker, report))
        self._changed.set()

    def _gone(self, worker: int) -> None:
        self.lost.append(worker)
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def connected(self, *workers: int) -> None:
        await self.until(lambda: self.workers.connected == workers)


@pytest.fixture
async def house(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.engine.workers.RECONNECT_S", 0.001)
    here = House(tmp_path)
    for end in here.ends:
        await end.start()
    here.workers.start()
    await here.connected(0, 1)
    yield here
    await here.workers.close()
    for end in here.ends:
        await end.stop()


async def test_a_worker_may_carry_calls_on_all_the_ports_there_are(tmp_path, monkeypatch):
    """A gateway that was started again would never reach it otherwise."""
    monkeypatch.setattr("gateway.engine.workers.RECONNECT_S", 0.001)
    here, pairs = House(tmp_path), 65_536 // 2
    state = FlowState(
        FlowId(f"{CALL}/caller/relay-31"), Address("2001:db8:ffff:ffff:ffff:ffff:ffff:fff0", 65_534),
        FlowId(f"{CALL}/agent/relay-31"), Address("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 65_534),
    )  # fmt: skip
    carried: dict[CallRef, tuple[FlowState, ...]] = {
        CallRef(f"{number:016x}"): (state, state) for number in range(pairs // 2)
    }
    here.ends[0].hello = Hello(0, 100, carried)
    await here.ends[0].start()
    here.workers.start()
    await here.connected(0)
    assert here.told == [(0, Hello(0, 100, carried))]
    await here.workers.close()
    await here.ends[0].stop()


async def test_a_worker_counts_as_connected_once_it_said_who_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.engine.workers.RECONNECT_S", 0.001)
    here = House(tmp_path)
    end = here.ends[0]
    end.hello = None
    await end.start()
    here.workers.start()
    await end.connected()
    assert here.workers.connected == ()
    assert not here.workers.send(0, Query(CALL))
    end.report(Hello(0, 7))
    await here.connected(0)
    assert here.told == [(0, Hello(0, 7))]
    await here.workers.close()
    await end.stop()


async def test_what_a_worker_carries_is_told_first(house):
    assert sorted(house.told) == [(0, Hello(0, 100)), (1, Hello(1, 101))]


async def test_orders_go_to_their_worker_and_reports_come_with_its_number(house):
    assert house.workers.send(1, Remove(CALL))
    assert await house.ends[1].order(Remove) == Remove(CALL)
    assert house.ends[0].orders.empty()
    report = Discarded(CALL, RecordingId("ab" * 16))
    house.ends[1].report(report)
    await house.until(lambda: (1, report) in house.told)


async def test_the_worker_with_the_fewest_calls_is_chosen(house):
    assert house.workers.choose() == 0
    house.workers.note_load(0, +1)
    assert house.workers.choose() == 1
    house.workers.note_load(1, +1)
    house.workers.note_load(1, +1)
    assert house.workers.choose() == 0
    house.workers.note_load(1, -1)
    house.workers.note_load(1, -1)
    assert house.workers.choose() == 1


async def test_a_worker_that_is_away_gets_no_call_and_no_order(house):
    await house.ends[0].stop()
    await house.until(lambda: house.lost == [0])
    assert house.workers.connected == (1,)
    house.workers.note_load(1, +5)
    assert house.workers.choose() == 1
    assert not house.workers.send(0, Query(CALL))
    with pytest.raises(WorkerAway):
        await house.workers.reserve(0, CALL, FLOWS)
    await house.ends[1].stop()
    await house.until(lambda: house.lost == [0, 1])
    with pytest.raises(WorkerAway):
        house.workers.choose()


async def test_a_worker_that_comes_again_tells_again_and_is_used_again(house):
    await house.ends[0].stop()
    await house.until(lambda: house.lost == [0])
    house.told.clear()
    house.ends[0].hello = Hello(0, 999)
    await house.ends[0].start()
    await house.connected(0, 1)
    assert house.told == [(0, Hello(0, 999))]
    assert house.workers.send(0, Query(CALL))
    assert await house.ends[0].order(Query) == Query(CALL)


@pytest.mark.parametrize("line", [b"garbage\n", b"x" * (MAX_REPORT + 10) + b"\n", b'{"kind":"remove","call":"c"}\n'])
async def test_garbage_breaks_the_connection_which_is_made_again(house, line):
    house.ends[0].write(line)
    await house.until(lambda: house.lost == [0])
    await house.connected(0, 1)
    assert house.ends[0].connections == 2
    assert house.workers.send(0, Query(CALL))


async def test_who_was_never_connected_is_never_lost(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.engine.workers.RECONNECT_S", 0.0)
    here = House(tmp_path)
    here.workers.start()
    for _ in range(20):
        await asyncio.sleep(0)
    await here.workers.close()
    assert here.lost == [] and here.told == []


# --- ports -----------------------------------------------------------------------------------------------------------


async def test_reserved_ports_come_back_to_who_asked(house):
    asked = asyncio.create_task(house.workers.reserve(0, CALL, FLOWS))
    other = asyncio.create_task(house.workers.reserve(0, OTHER, ()))
    assert await house.ends[0].order(Reserve) == Reserve(CALL, FLOWS)
    await house.ends[0].order(Reserve)
    house.ends[0].report(Reserved(OTHER, {}), Reserved(CALL, PORTS))
    assert await asked == PORTS and await other == {}
    assert len(house.told) == 2  # reservations are nobody else's matter


async def test_two_reservations_of_one_call_get_their_own_ports(house):
    more = Address("192.0.2.1", 30010)
    first = asyncio.create_task(house.workers.reserve(0, CALL, FLOWS))
    await house.ends[0].order(Reserve)
    second = asyncio.create_task(house.workers.reserve(0, CALL, FLOWS))
    await house.ends[0].order(Reserve)
    house.ends[1].report(Reserved(CALL, {FLOW: Address("10.9.9.9", 9)}))  # another worker's word is nobody's answer
    house.ends[0].report(Reserved(CALL, PORTS), Reserved(CALL, {FLOW: more}))
    assert await first == PORTS and await second == {FLOW: more}


async def test_no_ports_is_said_in_the_worker_s_words(house):
    asked = asyncio.create_task(house.workers.reserve(0, CALL, FLOWS))
    await house.ends[0].order(Reserve)
    house.ends[0].report(ReserveFailed(CALL, "Ran out of ports"))
    with pytest.raises(NoPorts, match="Ran out of ports"):
        await asked


async def test_a_worker_that_doesn_t_answer_is_away(house, monkeypatch):
    monkeypatch.setattr("gateway.engine.workers.RESERVE_TIMEOUT_S", 0.01)
    with pytest.raises(WorkerAway):
        await house.workers.reserve(0, CALL, FLOWS)
    house.ends[0].report(Reserved(CALL, PORTS), Reserved(CALL, PORTS), Hello(0, 5))
    await house.until(lambda: (0, Hello(0, 5)) in house.told)  # answers that come too late harm nothing


async def test_a_worker_that_goes_while_it_is_asked_is_away_at_once(house):
    asked = asyncio.create_task(house.workers.reserve(0, CALL, FLOWS))
    await house.ends[0].order(Reserve)
    house.ends[0].hang_up()
    await house.until(lambda: house.lost == [0])
    async with asyncio.timeout(0.5):
        with pytest.raises(WorkerAway):
            await asked


async def test_closing_ends_the_connections_and_loses_nobody_silently(house):
    await house.workers.close()
    assert sorted(house.lost) == [0, 1]
    assert house.workers.connected == ()
