"""Calls with video or a fax: anchored as far as there are ports, never recorded, in no figure, and a sign of life."""

import structlog

from gateway.call.model import DialogTag, SdpMessage, SipCallId, relay_of
from gateway.call.stage import Stage
from gateway.engine.live_call import LiveCall
from gateway.engine.silence import OVER_AFTER_S, RECORDING_OVER_AFTER_S
from gateway.media.plane import (
    Address,
    Counted,
    FlowCount,
    FlowId,
    Forward,
    MediaTimeout,
    Play,
    Record,
    Secure,
    is_relay,
)
from gateway.rtp.quality import Quality
from gateway.sdp.session import parse_session
from policy.decision import Side
from tests.peers.engine_bench import EngineBench, sdp

CALL_ID = SipCallId("call-1")
VIDEO = b"m=video %d RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
HOSTS = {Side.CALLER: ("127.15.1.11", 4000), Side.AGENT: ("127.15.1.12", 5000)}


def with_video(side: Side, port: int = 6000) -> bytes:
    return sdp(*HOSTS[side]) + VIDEO % port


def fax(side: Side) -> bytes:
    return sdp(*HOSTS[side]).split(b"m=audio")[0] + b"m=image 6002 udptl t38\r\na=T38FaxVersion:0\r\n"


async def offer(bench: EngineBench, body: bytes, call_id: str = "call-1") -> bytes:
    return await bench.engine.offer(bench.new_call(call_id), SdpMessage(Side.CALLER, None, "offer", body))


async def say(bench: EngineBench, side: Side, role: str, body: bytes) -> bytes:
    message = SdpMessage(side, DialogTag("uas"), role, body)  # type: ignore[arg-type]  # a role
    return await bench.engine.answer(CALL_ID, message)


async def changed(bench: EngineBench, offerer: Side, offered: bytes, answered: bytes) -> None:
    """A re-INVITE and its answer."""
    answerer = Side.AGENT if offerer is Side.CALLER else Side.CALLER
    await say(bench, offerer, "offer", offered)
    await say(bench, answerer, "answer", answered)
    await bench.engine.finished()


def aimed(bench: EngineBench, flow: FlowId) -> Forward:
    """How a flow was ordered to go last."""
    return [order for order in bench.worker.orders if isinstance(order, Forward) and order.flow == flow][-1]


def count(live: LiveCall, packets: int, further: int, heard: Quality | None = None) -> Counted:
    flows = {
        FlowId(f"{live.call.ref}/{side.value}/{name}"): FlowCount(received, received, 0, 0, 0, 0, heard=heard)
        for side in Side
        for name, received in (("0", packets), ("relay-1", further))
    }
    return Counted(live.call.ref, flows)


async def test_a_video_that_is_added_goes_by_us_and_the_recording_goes_on_without_it(bench: EngineBench):
    live = await bench.opened()
    await changed(bench, Side.AGENT, with_video(Side.AGENT), with_video(Side.CALLER))
    assert bench.stage(live) is Stage.OPEN
    relays = {relay_of(live.call.ref, side, 1) for side in Side}
    assert relays <= set(live.call.negotiation.ports)
    for side in Side:
        forward = aimed(bench, relay_of(live.call.ref, side, 1))
        assert forward.remote == Address(HOSTS[side][0], 6000)
    await changed(bench, Side.AGENT, with_video(Side.AGENT, 0), with_video(Side.CALLER, 0))
    assert all(aimed(bench, flow).remote is None for flow in relays)
    assert bench.stage(live) is Stage.OPEN
    for order in bench.worker.orders:
        if isinstance(order, Play | Secure):
            assert not is_relay(order.flow)
        if isinstance(order, Record):
            assert not any(is_relay(flow) for side in order.sides for flow in side.taps)


async def test_a_fax_ends_the_recording_goes_by_us_and_gives_way_to_the_voice_again(bench: EngineBench):
    live = await bench.opened()
    await changed(bench, Side.CALLER, fax(Side.CALLER), fax(Side.AGENT))
    assert bench.stage(live) is not Stage.OPEN
    relays = {relay_of(live.call.ref, side, 0) for side in Side}
    assert {aimed(bench, flow).remote for flow in relays} == {Address(host, 6002) for host, _ in HOSTS.values()}
    assert not any(aimed(bench, flow).remote_rtcp for flow in relays)
    await changed(bench, Side.CALLER, sdp(*HOSTS[Side.CALLER]), sdp(*HOSTS[Side.AGENT]))
    assert {aimed(bench, flow).remote for flow in relays} == {None}
    assert live.call.negotiation.line() is not None


async def test_where_ports_run_out_the_audio_has_them(bench: EngineBench):
    bench.worker.nearly_full = True
    with structlog.testing.capture_logs() as log:
        told = (await offer(bench, with_video(Side.CALLER))).decode()
        bench.worker.nearly_full = False
        answer = (await say(bench, Side.AGENT, "answer", with_video(Side.AGENT))).decode()
    live = bench.engine.calls[CALL_ID]
    assert "m=video 6000 RTP/AVP 96\r\nc=IN IP4 127.15.1.11" in told, "it keeps the address of its own"
    assert "m=video 6000 RTP/AVP 96\r\nc=IN IP4 127.15.1.12" in answer, "and so does its answer"
    ours = {address.port for address in live.call.negotiation.ports.values()}
    assert {parse_session(body.encode()).media[0].port for body in (told, answer)} == ours
    assert bench.engine.counters["further_lines_without_ports"] == 1
    assert bench.engine.counters["out_of_ports"] == bench.engine.counters["descriptions_passed_unchanged"] == 0
    (warning,) = [line for line in log if "video or fax" in line["event"]]
    assert set(warning) == {"event", "log_level", "call"}
    assert live.unchanged is None


async def test_a_fax_for_which_no_ports_are_left_keeps_its_addresses(bench: EngineBench):
    await bench.opened()
    bench.worker.nearly_full = True
    assert await say(bench, Side.CALLER, "offer", fax(Side.CALLER)) == fax(Side.CALLER)
    bench.worker.nearly_full = False
    assert await say(bench, Side.AGENT, "answer", fax(Side.AGENT)) == fax(Side.AGENT)


async def test_video_that_is_added_while_the_worker_is_away_leaves_the_audio_where_it_is(bench: EngineBench):
    live = await bench.opened()
    voice = {side: live.call.negotiation.ports[FlowId(f"{live.call.ref}/{side}/0")].port for side in Side}
    bench.worker.away = True
    for party, role, other in ((Side.CALLER, "offer", Side.AGENT), (Side.AGENT, "answer", Side.CALLER)):
        told = parse_session(await say(bench, party, role, with_video(party)))
        assert [media.port for media in told.media] == [voice[other], 6000]
    assert live.unchanged is None


async def test_a_running_fax_is_a_sign_of_life_and_a_running_video_is_no_word_for_a_recording(bench: EngineBench):
    live = await bench.opened()
    bench.engine.reports.take(0, MediaTimeout(FlowId(f"{live.call.ref}/caller/0"), 30.0))
    for step in range(2):
        bench.engine.reports.take(0, count(live, 100, 500 + step))
        assert live.call.leg is not None
        live.call.leg.indicator._pages["page-1"] = bench.clock.now()
        bench.clock.advance(RECORDING_OVER_AFTER_S / 2)
    assert bench.stage(live) is Stage.OPEN
    bench.engine.reports.take(0, count(live, 100, 600))
    assert bench.stage(live) is Stage.CLOSED, "nobody has said anything for two minutes"
    for step in range(5):
        bench.clock.advance(OVER_AFTER_S - 1)
        bench.engine.reports.take(0, count(live, 100, 700 + step))
    assert bench.engine.calls
    bench.clock.advance(OVER_AFTER_S)
    bench.engine.reports.take(0, count(live, 100, 704))
    assert not bench.engine.calls


async def test_how_a_call_was_heard_is_told_of_its_audio_alone(bench: EngineBench):
    await offer(bench, with_video(Side.CALLER))
    await say(bench, Side.AGENT, "answer", with_video(Side.AGENT))
    bench.engine.answered(CALL_ID, DialogTag("uas"))
    bench.engine.confirmed(CALL_ID)
    live = bench.engine.calls[CALL_ID]
    bench.engine.hang_up(CALL_ID)
    last = count(live, 0, 900, Quality(0.5, 500.0, None, 1.0))
    voice = {flow: FlowCount(0, 0, 0, 0, 0, 0) for flow in last.flows if not is_relay(flow)}
    bench.engine.reports.take(0, Counted(live.call.ref, {**last.flows, **voice}, final=True))
    told = bench.engine.reports.figures.told()
    assert {of_side["sum"] for measure in told.values() for of_side in measure.values()} == {0.0}
    total = bench.engine.pass_through.told(1, bench.clock.wallclock())["total"]
    assert (total["silent both"], total["legs heard"], total["legs lossy"]) == (1, 0, 0)
    assert bench.engine.counters["packets_relayed"] == 1800, "what passed is counted, whatever it was"


async def test_after_a_restart_a_video_is_negotiated_on(bench: EngineBench):
    await bench.answered()
    await changed(bench, Side.AGENT, with_video(Side.AGENT), with_video(Side.CALLER))
    ports = dict(bench.engine.calls[CALL_ID].call.negotiation.ports)
    bench.engine.calls.clear()
    bench.engine.by_ref.clear()
    assert bench.engine.adopt() == 1
    live = bench.engine.calls[CALL_ID]
    assert live.call.negotiation.ports == ports
    assert live.call.negotiation.relayed() == {1: "video"}
    await changed(bench, Side.CALLER, with_video(Side.CALLER, 7000), with_video(Side.AGENT))
    assert aimed(bench, relay_of(live.call.ref, Side.CALLER, 1)).remote == Address("127.15.1.11", 7000)
    assert live.call.negotiation.ports == ports
