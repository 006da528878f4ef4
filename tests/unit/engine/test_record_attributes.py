"""RFC 7866 between a recording and the phones: who is told what by the descriptions that pass, and who may decline."""

import pytest

from gateway.call.model import DialogTag, SdpMessage, SipCallId
from gateway.call.stage import Stage
from gateway.media.plane import Discard, Stop
from policy.decision import Reason, Side
from tests.peers.engine_bench import sdp

CALL, UAS = SipCallId("call-1"), DialogTag("uas")


async def passed(bench, party=Side.AGENT, extra=b"") -> list[bytes]:
    """A re-offer of one party and the other's answer: the a=record lines that each was shown."""
    other = Side.CALLER if party is Side.AGENT else Side.AGENT
    messages = (SdpMessage(party, UAS, "offer", sdp() + extra), SdpMessage(other, UAS, "answer", sdp()))
    bodies = [await bench.engine.answer(CALL, message) for message in messages]
    await bench.engine.finished()
    return [b" ".join(line for line in body.splitlines() if line.startswith(b"a=record:")) for body in bodies]


async def test_whoever_understands_it_is_told_by_each_description_and_nobody_else(bench):
    live = await bench.opened()
    assert await passed(bench) == [b"", b""]
    bench.engine.record_aware(CALL, Side.CALLER, True)
    assert await passed(bench) == [b"a=record:on", b""], "the offer goes to the caller, the answer to the agent"
    bench.engine.record_aware(CALL, Side.AGENT, True)
    assert await passed(bench, Side.CALLER) == [b"a=record:on", b"a=record:on"]
    bench.engine.pause(live, "pbx", True)
    assert await passed(bench) == [b"a=record:paused", b"a=record:paused"]
    live.call.leg.withdraw(Side.AGENT)
    bench.engine.reconsider(live)
    assert await passed(bench) == [b"a=record:off", b"a=record:off"]
    bench.engine.record_aware(CALL, Side.CALLER, False)
    assert await passed(bench) == [b"", b"a=record:off"]


async def test_before_anything_is_recorded_it_says_off(bench):
    await bench.offer()
    bench.engine.record_aware(CALL, Side.CALLER, True)
    body = await bench.answer()
    assert body.count(b"a=record:off\r\n") == 1


@pytest.mark.parametrize("party", [Side.CALLER, Side.AGENT])
async def test_a_caller_s_phone_that_declines_while_it_is_recorded_ends_it_and_leaves_nothing(bench, party):
    live = await bench.opened()
    await passed(bench, party, b"a=recordpref:off\r\n")
    if party is Side.AGENT:  # whose own word is the stop on the page
        assert bench.stage(live) is Stage.OPEN
        return
    assert bench.stage(live) is Stage.CLOSED
    assert live.call.leg.told_reasons() == (Reason.CALLER_REFUSED,)
    orders = [type(order) for order in bench.worker.orders]
    assert orders.index(Stop) < orders.index(Discard)
