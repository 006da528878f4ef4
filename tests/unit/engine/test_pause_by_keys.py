"""The agent's phone pauses and resumes by keys, where that is agreed; no other key reaches the gateway's process."""

from gateway.call.pausing import PAUSE_CODE, RESUME_CODE
from gateway.call.stage import Stage
from gateway.media.plane import CodeHeard, End, FlowId, Listen, Record, Stop
from policy.decision import Reason


def press(bench, live, code: str, party: str = "agent") -> None:
    bench.engine.reports.take(0, CodeHeard(FlowId(f"{live.call.ref}/{party}/0"), code))


def listens(bench, party: str) -> list[Listen]:
    return [order for order in bench.worker.orders if isinstance(order, Listen) and f"/{party}/" in order.flow]


async def test_the_agents_keys_pause_and_resume_in_a_new_segment(bench):
    live = await bench.opened()
    press(bench, live, PAUSE_CODE)
    assert bench.stage(live) is Stage.PAUSED
    assert [order.end for order in bench.worker.orders if isinstance(order, Stop)] == [End.PAUSED]
    press(bench, live, RESUME_CODE)
    assert bench.stage(live) is Stage.LIT
    bench.acknowledge(live)
    await bench.engine.finished()
    assert [order.seg for order in bench.worker.orders if isinstance(order, Record)] == [1, 2]


async def test_a_pause_that_lasts_too_long_stops_the_leg(bench):
    live = await bench.opened()
    press(bench, live, PAUSE_CODE)
    bench.clock.advance(600)
    bench.engine.tick()
    assert bench.stage(live) is Stage.CLOSED and live.call.leg.way.ended_by == (Reason.PAUSED,)


async def test_the_caller_pauses_nothing_and_their_code_withdraws(bench):
    live = await bench.opened()
    press(bench, live, "*9", "caller")
    assert bench.stage(live) is Stage.CLOSED and live.call.leg.way.discarded


async def test_while_a_tap_is_open_only_codes_are_told(bench):
    live = await bench.opened()
    assert [order.codes for order in listens(bench, "agent")] == [(PAUSE_CODE, RESUME_CODE)]
    assert listens(bench, "caller")[-1].codes == ("*9",)
    bench.engine.hang_up(live.call.new.call_id)


async def test_the_agents_keys_are_listened_for_only_where_they_may_pause(bench):
    bench.enact(pause__triggers=["api"])
    await bench.opened()
    assert listens(bench, "agent") == []
    assert listens(bench, "caller")[-1].codes == ("*9",)


async def test_after_a_stop_nobody_listens(bench):
    live = await bench.opened()
    press(bench, live, "*9", "caller")
    assert [listens(bench, party)[-1].on for party in ("caller", "agent")] == [False, False]
