"""No ports are left: the new call runs without us, what runs goes on, one counter and one line say so."""

import structlog

from gateway.call.model import DialogTag, SipCallId
from gateway.call.stage import Stage
from gateway.media.plane import Remove
from tests.peers.engine_bench import EngineBench, sdp


async def test_a_call_without_ports_passes_unchanged_and_harms_no_other(bench: EngineBench):
    running = await bench.opened()
    before = list(bench.worker.orders)
    bench.worker.full = True
    with structlog.testing.capture_logs() as log:
        assert await bench.offer("call-2") == sdp()
        assert await bench.answer("call-2") == sdp("127.15.1.12", 5000)
    bench.engine.answered(SipCallId("call-2"), DialogTag("uas"))
    bench.engine.confirmed(SipCallId("call-2"))
    await bench.engine.finished()
    other = bench.engine.calls[SipCallId("call-2")]
    assert other.call.negotiation.ports == {}
    assert other.call.leg is None or not other.call.leg.way.opened
    assert bench.worker.orders == before, "nothing was ordered for it"
    assert bench.stage(running) is Stage.OPEN
    assert bench.engine.counters["out_of_ports"] == 2
    assert bench.engine.counters["faults"] == 0
    told = [line for line in log if "no media ports" in line["event"]]
    assert [set(line) for line in told] == [{"event", "log_level", "call"}] * 2
    assert {line["call"] for line in told} == {other.call.ref}
    # it is gone without a trace, and with ports again the next one is ours
    bench.engine.hang_up(SipCallId("call-2"))
    bench.worker.full = False
    assert await bench.offer("call-3") != sdp()
    bench.engine.hang_up(SipCallId("call-3"))
    bench.engine.hang_up(running.call.new.call_id)
    await bench.engine.finished()
    assert not bench.engine.calls
    assert sum(isinstance(order, Remove) for order in bench.worker.orders) == 3
