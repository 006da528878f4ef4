"""From the descriptions of a call to the orders for its media: asked, told and recorded in what the parties speak."""

import pytest

from audio import libopus
from gateway.call.model import DialogTag, SdpMessage, SipCallId
from gateway.call.stage import Stage
from gateway.media.plane import DigitHeard, FlowId, Listen, Play, PlayEnded, Record
from policy.decision import Side
from tests.peers.engine_bench import PAGE, EngineBench

OPUS = "m=audio {port} RTP/AVP 111 110\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:110 telephone-event/48000\r\n"
G722 = "m=audio {port} RTP/AVP 9 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
G729 = "m=audio {port} RTP/AVP 18 101\r\na=rtpmap:18 G729/8000\r\na=rtpmap:101 telephone-event/8000\r\n"


def described(media: str, host: str, port: int) -> bytes:
    return f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n{media.format(port=port)}".encode()


async def answered(bench: EngineBench, media: str):
    call, tag = SipCallId("call-1"), DialogTag("uas")
    bench.engine.lights.open_page(bench.agent, PAGE)
    offer = SdpMessage(Side.CALLER, None, "offer", described(media, "127.15.1.11", 4000))
    await bench.engine.offer(bench.new_call(), offer)
    await bench.engine.answer(call, SdpMessage(Side.AGENT, tag, "answer", described(media, "127.15.1.12", 5000)))
    bench.engine.answered(call, tag)
    bench.engine.confirmed(call)
    await bench.engine.finished()
    return bench.engine.calls[call]


@pytest.mark.parametrize(
    ("media", "codec", "kind", "events"),
    [
        pytest.param(
            *(OPUS, "OPUS", 111, {110: 48_000}),
            marks=pytest.mark.skipif(not libopus.available(), reason="no libopus here (Debian: libopus0)"),
        ),
        (G722, "G722", 9, {101: 8000}),
    ],
    ids=["opus", "g722"],
)
async def test_a_wideband_call_is_asked_told_and_recorded_in_its_codec(bench, media, codec, kind, events):
    live = await answered(bench, media)
    caller, agent = (FlowId(f"{live.call.ref}/{side}/0") for side in ("caller", "agent"))
    bench.clock.advance(8)
    bench.engine.reports.take(0, PlayEnded("ask", caller, True, bench.clock.now()))
    bench.clock.advance(1)
    bench.engine.reports.take(0, DigitHeard(caller, "1", 100, bench.clock.now(), "rfc4733"))
    await bench.engine.finished()
    bench.engine.reports.take(0, PlayEnded("tone", agent, True, bench.clock.now()))
    bench.engine.reports.take(0, PlayEnded("notice", caller, True, bench.clock.now()))
    bench.acknowledge(live)
    await bench.engine.finished()
    assert bench.stage(live) is Stage.OPEN
    plays = [order for order in bench.worker.orders if isinstance(order, Play)]
    assert {(play.codec, play.payload_type) for play in plays} == {(codec, kind)}
    assert [play.flow for play in plays] == [caller, caller, agent], "the question, the notice, and a tone to the agent"
    heard = [order.events for order in bench.worker.orders if isinstance(order, Listen) and order.on]
    assert heard
    assert all(one == events for one in heard)
    (record,) = [order for order in bench.worker.orders if isinstance(order, Record)]
    assert [side.codecs for side in record.sides] == [{kind: codec}] * 2


async def test_a_call_in_g729_alone_is_relayed_and_says_why_it_isnt_recorded(bench):
    live = await answered(bench, G729)
    assert not [order for order in bench.worker.orders if isinstance(order, Play | Record)]
    assert "MEDIA_UNSUPPORTED" in bench.engine.reasons(live)
