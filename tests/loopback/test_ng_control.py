"""The ng control port over real sockets: the recorded requests of real proxies, retransmissions, garbage, streams."""

import asyncio
import json
import re
import time
import wave
from pathlib import Path
from typing import Any

import pytest

from gateway.call.model import NewCall, Private, SdpMessage, SipCallId, flow_of, relay_of
from gateway.config import Config
from gateway.ingress.ng_control import NgControl
from gateway.media.plane import (
    Address,
    Counted,
    FlowCount,
    FlowId,
    Forward,
    Play,
    Query,
    Remove,
    Srtp,
    StopPlay,
    Withhold,
    is_relay,
)  # fmt: skip
from gateway.ng import bencode
from gateway.sdp.session import parse_session
from policy.decision import Side
from tests.peers.engine_bench import EngineBench, sdp

HOST = "127.38.0.1"
SUPPORTED = {"ping", "offer", "answer", "delete", "query", "list", "statistics", "start recording", "stop recording"}
ANSWER_S = 0.05
KEPT_OF_THEIRS = re.compile(
    r"[vostmc]=|a=(?:rtpmap|fmtp|sendrecv|sendonly|recvonly|inactive|label|ssrc|mid|rtcp-mux)\b"
)
"""Lines of rtpengine's that a relay has, too; their order among attributes means nothing, nor does their ptime."""


class Proxy(asyncio.DatagramProtocol):
    """Asks with a cookie and waits for its reply."""

    def __init__(self) -> None:
        self.replies: asyncio.Queue[bytes] = asyncio.Queue()
        self.took: list[float] = []
        self._cookies = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.replies.put_nowait(data)

    async def raw(self, data: bytes) -> bytes:
        began = time.monotonic() - kept_waiting_s()
        self.transport.sendto(data)
        reply = await asyncio.wait_for(self.replies.get(), 2)
        self.took.append(time.monotonic() - kept_waiting_s() - began)
        return reply

    async def ask(self, **request: Any) -> dict[str, Any]:
        self._cookies += 1
        cookie = b"c%d" % self._cookies
        body = {name.replace("_", "-"): value for name, value in request.items()}
        body["command"] = body["command"].replace("-", " ")
        reply = await self.raw(cookie + b" " + bencode.encode(body))
        assert reply.startswith(cookie + b" ")
        return read(reply)


def kept_waiting_s() -> float:
    """For how long this thread, which is both proxy and control port, could have run and others had the processor."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def read(reply: bytes) -> dict[str, Any]:
    found = bencode.decode(reply.partition(b" ")[2])
    assert isinstance(found, dict)
    return {key: value.decode() if isinstance(value, bytes) else value for key, value in found.items()}


@pytest.fixture
async def bench(tmp_path):
    made = await EngineBench.make(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def control(bench, tmp_path):
    config = Config.model_validate(
        {"site": {"data_dir": tmp_path}, "ng": {"listen": [f"udp:{HOST}:0", f"tcp:{HOST}:0"]}}
    )
    made = NgControl(config, bench.engine, bench.clock)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def proxy(control):
    transport, made = await asyncio.get_running_loop().create_datagram_endpoint(
        Proxy, remote_addr=control.bound()[0], local_addr=(HOST, 0)
    )
    yield made
    transport.close()


def captured(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    entries = json.loads((folder / "decoded.json").read_text())
    return [(folder / entry["file"], entry) for entry in entries]


def expected(entries: list[tuple[Path, dict[str, Any]]], cookie: str) -> dict[str, Any] | None:
    return next((e["decoded"] for _, e in entries if e["cookie"] == cookie and e["dir"] != "client->media"), None)


def bencoded(folder: Path, entries: list[tuple[Path, dict[str, Any]]], cookie: str) -> str:
    """rtpengine's description: the decoded list leaves it out."""
    file = next(file for file, e in entries if e["cookie"] == cookie and e["dir"] != "client->media")
    return str(read(file.read_bytes())["sdp"])


def alike(ours: str, theirs: str) -> bool:
    """Whether every line that a relay can have of rtpengine's is there, addresses and ports apart."""

    def lines(text: str) -> set[str]:
        text = re.sub(r"(IN IP4) (?!0\.0\.0\.0)\S+", r"\1 ADDRESS", re.sub(r"(m=\w+) [1-9]\d*", r"\1 PORT", text))
        return {line for line in text.splitlines() if KEPT_OF_THEIRS.match(line)}

    return lines(theirs) <= lines(ours)


@pytest.mark.quiet
async def test_every_recorded_request_is_answered_at_once_and_as_rtpengine_did(proxy, vectors):
    """Same result wherever both can do it; what this relay can't do says `error`, so that the proxy fails over."""
    asked = agreed = 0
    for folder in sorted(path for path in (vectors / "ng").iterdir() if (path / "decoded.json").is_file()):
        entries = captured(folder)
        for file, entry in entries:
            if entry["dir"] != "client->media" or not file.is_file():
                continue
            # cut in the middle, under a cookie of its own, it is refused as quickly
            cookie, _, body = file.read_bytes().partition(b" ")
            assert read(await proxy.raw(b"cut-" + cookie + b" " + body[: len(body) // 2]))["result"] == "error"
            reply = read(await proxy.raw(file.read_bytes()))
            theirs = expected(entries, entry["cookie"])
            asked += 1
            if entry["command"] not in SUPPORTED:
                assert reply["result"] == "error"
            elif theirs is not None and theirs.get("result") == reply["result"]:
                agreed += 1
                if "warning" in reply:  # of a call that this relay refused to take
                    continue
                if "sdp" in theirs:
                    assert alike(reply["sdp"], bencoded(folder, entries, entry["cookie"])), entry["decoded"]
                assert set(theirs) - {"recordings", "warning"} <= {*reply, "error-reason"}, entry["command"]
            else:
                assert reply["result"] in ("error", "ok", "pong")
    assert asked > 130
    assert agreed > 0.85 * asked, (agreed, asked)
    # also where figures are asked for and, as here, the worker never says them: 30 ms are waited for those
    assert max(proxy.took) < ANSWER_S


@pytest.mark.parametrize(
    "body", [b"", b"d", b"i1e", b"le", b"d3:foo3:bare", b"\xff" * 40, b"d7:command4:pin", b"4:ping"]
)
async def test_garbage_with_a_cookie_is_answered(proxy, body):
    reply = await proxy.raw(b"x1 " + body)
    assert reply.startswith(b"x1 ")
    assert read(reply)["result"] == "error"


async def test_garbage_without_a_cookie_is_counted_and_harms_nobody(proxy, bench):
    proxy.transport.sendto(b"\x00\x01nothing")
    assert await proxy.ask(command="ping") == {"result": "pong"}
    assert bench.engine.counters["ng_without_cookie"] == 1


@pytest.mark.parametrize("command", ["subscribe request", "publish", "start forwarding", "no such thing"])
async def test_nobody_listens_in(proxy, command):
    assert (await proxy.ask(command=command))["result"] == "error"


async def test_an_unknown_command_has_rtpengines_words(proxy):
    assert (await proxy.ask(command="no such thing"))["error-reason"] == "Unrecognized command"


async def offered(proxy: Proxy, call_id: str = "call-1", **more: Any) -> dict[str, Any]:
    told = {"metadata": "agent:200|queue:service-strom|outside:+4940111222", "sdp": sdp(), **more}
    return await proxy.ask(command="offer", call_id=call_id, from_tag="A", **told)


async def answered(proxy: Proxy, call_id: str = "call-1") -> dict[str, Any]:
    body = sdp("127.15.1.12", 5000)
    return await proxy.ask(command="answer", call_id=call_id, from_tag="A", to_tag="B", sdp=body)


async def opened(control, bench):
    """A recorded call, as if the proxy had made it."""
    live = await bench.opened()
    control._calls._known_calls.begin(live.call.new.call_id, HOST)
    return live


async def test_a_proxy_has_srtp_begin_and_end_here(proxy, bench):
    key = "inline:" + "A" * 40
    secure = sdp("127.15.1.12", 5000).replace(b"RTP/AVP", b"RTP/SAVP") + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 %s\r\n"
    sent = (await offered(proxy, transport_protocol="RTP/SAVP"))["sdp"]
    assert "RTP/SAVP" in sent and sent.count("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:") == 1
    told = {"call_id": "call-1", "from_tag": "A", "to_tag": "B", "sdp": secure % key.encode()}
    back = (await proxy.ask(command="answer", **told))["sdp"]
    assert "RTP/AVP" in back and "a=crypto" not in back
    assert {order.srtp for order in bench.worker.orders if isinstance(order, Forward)} == {Srtp.NONE, Srtp.ENDED}
    # the other way round, and an answer that was to be what it can't
    body = secure % key.encode()
    ask = {"command": "offer", "call_id": "call-2", "from_tag": "A", "sdp": body}
    assert "a=crypto" not in (await proxy.ask(**ask, transport_protocol="RTP/AVP"))["sdp"]
    answer = {"command": "answer", "call_id": "call-2", "from_tag": "A", "to_tag": "B", "sdp": sdp("127.15.1.12", 5000)}
    assert "RTP/SAVP" in (await proxy.ask(**answer, transport_protocol="RTP/SAVP"))["sdp"]
    await proxy.ask(**{**ask, "call_id": "call-3"})
    refused = await proxy.ask(**{**answer, "call_id": "call-3", "sdp": body}, transport_protocol="RTP/AVP")
    assert refused["error-reason"] == "Transport protocol can't be changed"


async def test_a_retransmission_gets_the_same_reply_and_does_nothing_anew(proxy, bench):
    message = b"again " + bencode.encode(
        {"command": "offer", "call-id": "call-1", "from-tag": "A", "sdp": sdp()}  # type: ignore[dict-item]  # text too
    )
    first, orders = await proxy.raw(message), len(bench.worker.orders)
    assert await proxy.raw(message) == first
    assert len(bench.worker.orders) == orders
    assert bench.engine.counters["ng_retransmissions"] == 1


async def test_a_wish_after_the_answer_begins_the_leg_and_one_before_it_does_not(proxy, bench):
    await offered(proxy)
    assert (await proxy.ask(command="start-recording", call_id="call-1", from_tag="A"))["result"] == "ok"
    live = bench.engine.calls["call-1"]
    await answered(proxy)
    assert not bench.ledger.entered
    # as from a reply route: swapped tags
    assert (await proxy.ask(command="start-recording", call_id="call-1", from_tag="B", to_tag="A"))["result"] == "ok"
    await bench.engine.finished()
    assert live.call.leg.confirmed
    assert live.agent == bench.agent
    assert bench.ledger.entered == [live.call.ref]


async def test_without_agent_and_outside_party_nobody_is_on_the_leg(proxy, bench):
    await offered(proxy, metadata="agent:200|queue:service-strom")
    await answered(proxy)
    await proxy.ask(command="start-recording", call_id="call-1", from_tag="A")
    assert bench.engine.calls["call-1"].call.leg is None


async def test_pause_and_resume_and_stop_reach_the_leg(proxy, control, bench):
    live = await opened(control, bench)

    async def ask(command: str) -> str:
        return (await proxy.ask(command=command, call_id="call-1", from_tag="uac"))["result"]

    assert await ask("pause-recording") == "ok"
    assert live.call.leg.stage == "paused"
    assert await ask("start-recording") == "ok"
    assert live.call.leg.stage == "lit"
    assert await ask("stop-recording") == "ok"
    assert live.call.leg.stage == "closed"
    assert [reason.value for reason in live.call.leg.way.ended_by] == ["NOT_REQUESTED"]


async def test_a_call_belongs_to_the_host_that_made_it(proxy, control, bench):
    await offered(proxy)
    loop = asyncio.get_running_loop()
    transport, other = await loop.create_datagram_endpoint(
        Proxy, remote_addr=control.bound()[0], local_addr=("127.38.0.2", 0)
    )
    try:
        assert (await answered(other))["error-reason"] == "Unknown call-id"
        assert (await other.ask(command="delete", call_id="call-1", from_tag="A"))["result"] == "ok"
    finally:
        transport.close()
    assert "call-1" in bench.engine.calls
    assert (await answered(proxy))["result"] == "ok"


async def test_a_call_that_came_in_by_sip_is_no_proxys(proxy, bench):
    new = NewCall(SipCallId("by-sip"), "A", Side.CALLER, Private("200"), None, None)
    await bench.engine.offer(new, SdpMessage(Side.CALLER, None, "offer", sdp()))
    assert b"by-sip" not in (await proxy.ask(command="list"))["calls"]
    for command in ("start recording", "stop recording", "block media", "query"):
        assert (await proxy.ask(command=command, call_id="by-sip"))["error-reason"] == "Unknown call-id"
    assert (await offered(proxy, "by-sip"))["error-reason"] == "Unknown call-id"
    await proxy.ask(command="delete", call_id="by-sip", from_tag="A")
    assert "by-sip" in bench.engine.calls


async def test_a_call_taken_up_after_a_restart_is_gone_on_with(proxy, control, bench):
    await offered(proxy)
    await answered(proxy)
    bench.engine.calls.clear()
    bench.engine.by_ref.clear()
    assert bench.engine.adopt() == 1
    control._calls._known_calls.forget(SipCallId("call-1"))
    assert (await proxy.ask(command="query", call_id="call-1"))["result"] == "ok"


async def test_delete_may_come_twice_and_without_a_to_tag(proxy, bench):
    await offered(proxy)
    await answered(proxy)
    (ref,) = bench.engine.by_ref
    told = await proxy.ask(command="delete", call_id="call-1", from_tag="A")
    assert told["result"] == "ok" and told["created"] > 0
    rungs, _ = bench.engine.ladder.rungs(ref)
    assert [(rung.by.value, rung.said) for rung in rungs] == [
        ("caller", "ng offer SDP"), ("agent", "ng answer SDP"), ("caller", "ng delete"),
    ]  # fmt: skip
    assert bench.engine.calls == {}
    again = await proxy.ask(command="delete", call_id="call-1", from_tag="A")
    assert again == {"warning": "Call-ID not found or tags didn't match", "result": "ok"}


async def test_a_branch_that_lost_does_not_take_the_call_along(proxy, bench):
    await offered(proxy)
    await answered(proxy)
    await proxy.ask(command="answer", call_id="call-1", from_tag="A", to_tag="C", sdp=sdp("127.15.1.13", 6000))
    await proxy.ask(command="start-recording", call_id="call-1", from_tag="A")
    chosen = bench.engine.calls["call-1"].call.answered_dialog
    loser = "B" if chosen == "C" else "C"
    await proxy.ask(command="delete", call_id="call-1", from_tag="A", to_tag=loser)
    assert "call-1" in bench.engine.calls


async def test_a_branch_that_lost_is_known_by_its_via(proxy, bench):
    for branch in ("z9.0", "z9.1"):
        await offered(proxy, via_branch=branch)
    await proxy.ask(command="delete", call_id="call-1", from_tag="A", via_branch="z9.0")
    assert "call-1" in bench.engine.calls
    body = sdp("127.15.1.12", 5000)
    await proxy.ask(command="answer", call_id="call-1", from_tag="A", to_tag="B", via_branch="z9.1", sdp=body)
    await proxy.ask(command="start-recording", call_id="call-1", from_tag="A")
    await proxy.ask(command="delete", call_id="call-1", from_tag="A", via_branch="z9.0")
    assert "call-1" in bench.engine.calls
    await proxy.ask(command="delete", call_id="call-1", from_tag="A", via_branch="z9.1")
    assert bench.engine.calls == {}


async def test_a_call_that_nobody_wished_to_have_recorded_is_counted_as_one_in_which_both_spoke(proxy, bench):
    await offered(proxy)
    await answered(proxy)
    (ref,) = bench.engine.by_ref
    spoken = FlowCount(60, 60, 0, 0, 0, 0)
    counted = bench.worker.expect(Query)
    deleting = asyncio.create_task(proxy.ask(command="delete", call_id="call-1", from_tag="A"))
    await counted.wait()
    flows = {FlowId(f"{ref}/{side}/0"): spoken for side in ("caller", "agent")}
    bench.engine.reports.take(0, Counted(ref, flows))
    await deleting
    total = bench.engine.pass_through.told(7, bench.clock.wallclock())["total"]
    assert (total["answered"], total["codec PCMA"], total["hindered no_wish"], total["recordable"]) == (1, 1, 1, 0)


async def test_without_a_wish_the_branch_whose_media_flows_is_the_call(proxy, bench):
    await offered(proxy)
    for tag in ("F1", "F2"):
        body = sdp("127.15.1.12", 5000)
        await proxy.ask(command="answer", call_id="call-1", from_tag="A", to_tag=tag, sdp=body)
    await proxy.ask(command="delete", call_id="call-1", from_tag="A", to_tag="F1")
    await proxy.ask(command="delete", call_id="call-1", from_tag="A", to_tag="never-spoke")
    assert "call-1" in bench.engine.calls
    await proxy.ask(command="delete", call_id="call-1", from_tag="F2", to_tag="A")
    assert bench.engine.calls == {}


async def test_the_last_branch_that_failed_takes_the_call_along(proxy, bench):
    await offered(proxy, via_branch="z9.0")
    await proxy.ask(command="delete", call_id="call-1", from_tag="A", via_branch="z9.0")
    assert bench.engine.calls == {}


async def test_what_is_withheld_reaches_the_worker_and_is_said_again_after_every_answer(proxy, bench):
    async def ask(command: str, **more: Any) -> dict[str, Any]:
        return await proxy.ask(command=command, call_id="call-1", **more)

    def withheld() -> list[tuple[str, str, str, tuple[int, ...]]]:
        orders = [order for order in bench.worker.orders if isinstance(order, Withhold)]
        bench.worker.orders.clear()
        return [(order.flow.split("/")[1], order.keys, order.audio, order.events) for order in orders]

    await offered(proxy, label="outside")
    assert (await ask("block-DTMF", from_tag="A"))["result"] == "ok"
    withheld()
    await answered(proxy)
    assert withheld() == [("caller", "blocked", "passed", (101,))]
    await ask("silence-media", label="outside")
    await ask("block-media", from_tag="B")
    assert ("agent", "passed", "blocked", (101,)) in withheld()
    await ask("block-media", address="127.15.1.11")
    assert withheld()[0] == ("caller", "blocked", "blocked", (101,))
    await ask("unblock-media", from_tag="A", flags=["all"])
    assert withheld() == [("caller", "blocked", "silenced", (101,)), ("agent", "passed", "passed", (101,))]
    await ask("unblock-DTMF")
    await ask("unsilence-media")
    assert withheld()[-2:] == [("caller", "passed", "passed", (101,)), ("agent", "passed", "passed", (101,))]
    assert (await ask("block-DTMF", from_tag="X"))["error-reason"] == "From-tag given, but no such tag exists"
    assert (await ask("block-DTMF", label="X"))["error-reason"] == "No matching label in call"
    assert withheld() == []


async def test_withholding_changes_nothing_of_what_the_recorder_may_do(proxy, control, bench):
    live = await opened(control, bench)
    before = len(bench.worker.orders)
    for command in ("block-DTMF", "silence-media", "block-media", "unblock-media", "unsilence-media", "unblock-DTMF"):
        assert (await proxy.ask(command=command, call_id="call-1", from_tag="uac"))["result"] == "ok"
    await bench.engine.finished()
    assert {order.kind for order in bench.worker.orders[before:]} == {"withhold"}
    assert live.call.leg.stage == "open"


async def test_a_sound_of_the_folder_is_played_and_nothing_else_and_never_while_a_caller_is_asked(
    proxy, control, bench, tmp_path
):
    def plays() -> list[tuple[str, str, str, int]]:
        found = [order for order in bench.worker.orders if isinstance(order, Play | StopPlay)]
        bench.worker.orders.clear()
        return [
            (order.kind, order.flow.split("/")[1], getattr(order, "sound", ""), len(getattr(order, "then", ())))
            for order in found
        ]

    async def ask(command: str, **more: Any) -> dict[str, Any]:
        return await proxy.ask(command=command, call_id="call-1", **more)

    (tmp_path / "sounds").mkdir()
    with wave.open(str(tmp_path / "sounds" / "busy.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(8000))
    live = await opened(control, bench)
    plays()
    told = await ask("play-media", from_tag="uac", file="/usr/share/busy.wav", repeat_times="3")
    assert told == {"result": "ok", "duration": 1500}
    assert plays() == [("play", "caller", "sounds/busy", 2)]
    await ask("stop-media", from_tag="uas")
    await ask("stop-media", from_tag="uac")
    assert plays() == [("stop_play", "caller", "", 0)]
    assert live.call.leg.stage == "open"
    for name in ("../fairtap", "..", "ask-en-2", "tone-start.wav", "", "busy\0"):
        assert (await ask("play-media", from_tag="uac", file=name))["result"] == "error"
    assert (await ask("play-media", from_tag="uac"))["result"] == "error"
    bench.engine.hang_up("call-1")
    await bench.lit()
    plays()
    assert (await ask("play-media", from_tag="uac", file="busy"))[
        "error-reason"
    ] == "Not while a party is asked or told"
    assert plays() == []


async def test_a_wish_that_comes_with_a_description_begins_nothing(proxy, bench):
    await offered(proxy, record_call="yes")
    body = sdp("127.15.1.12", 5000)
    await proxy.ask(command="answer", call_id="call-1", from_tag="A", to_tag="B", sdp=body, record_call="yes")
    assert bench.engine.calls["call-1"].call.leg is None
    assert bench.engine.counters["ng_recording_asked_before_answer"] == 2


async def test_an_unknown_key_is_ignored_and_said_once(proxy, bench, caplog):
    for _ in range(2):
        assert await proxy.ask(command="ping", frobnicate="x", **{"+49 30 1234": "x"}) == {"result": "pong"}
    assert bench.engine.counters["ng_unknown_keys"] == 4


async def test_what_this_relay_cannot_do_is_an_error(proxy, bench):
    assert (await offered(proxy, address_family="IP6"))["result"] == "error"
    assert (await offered(proxy, codec={"transcode": ["G729"]}))["error-reason"] == "Transcoding is not supported"
    assert (await proxy.ask(command="play-DTMF", call_id="call-1"))["result"] == "error"
    assert bench.engine.calls == {}
    assert bench.engine.counters["ng_unsupported"] == 2


async def test_a_query_says_what_came_and_names_no_address(proxy, bench):
    await offered(proxy, label="outside")
    await answered(proxy)
    told = await proxy.ask(command="query", call_id="call-1")
    assert set(told["tags"]) == {"A", "B"}
    assert told["tags"]["A"]["label"] == b"outside"
    (media,) = told["tags"]["B"]["medias"]
    assert (media["index"], media["type"], len(media["streams"])) == (1, b"audio", 2)
    assert "127.15.1" not in str(told)


async def test_video_and_a_fax_of_a_proxys_call_go_by_us_and_are_told_in_a_query(proxy, bench):
    video, fax = b"m=video %d RTP/SAVPF 96\r\n", b"m=image %d udptl t38\r\na=T38FaxVersion:0\r\n"

    def with_both(host: str, port: int) -> bytes:
        return sdp(host, port) + video % (port + 10) + fax % (port + 20)

    told = [
        (await offered(proxy, sdp=with_both("127.15.1.11", 4000)))["sdp"],
        (await proxy.ask(
            command="answer", call_id="call-1", from_tag="A", to_tag="B", sdp=with_both("127.15.1.12", 5000)
        ))["sdp"],
    ]  # fmt: skip
    live = bench.engine.calls[SipCallId("call-1")]
    for body, side in zip(told, (Side.AGENT, Side.CALLER), strict=True):
        ours = [flow_of(live.call.ref, side, 0), *(relay_of(live.call.ref, side, index) for index in (1, 2))]
        ports = [live.call.negotiation.ports[flow].port for flow in ours]
        assert [media.port for media in parse_session(body.encode()).media] == ports
        assert [media.proto for media in parse_session(body.encode()).media] == ["RTP/AVP", "RTP/SAVPF", "udptl"]
        assert body.count("a=sendrecv") == 3 and body.count("a=rtcp:") == 2
        assert "127.15.1.1" not in body.partition("s=")[2]
    assert (await proxy.ask(command="block media", call_id="call-1", all="all"))["result"] == "ok"
    assert not any(isinstance(order, Withhold) and is_relay(order.flow) for order in bench.worker.orders)
    answer = await proxy.ask(command="query", call_id="call-1")
    medias = answer["tags"]["A"]["medias"]
    assert [(media["index"], media["type"]) for media in medias] == [(1, b"audio"), (2, b"video"), (3, b"image")]
    assert "127.15.1" not in str(answer)
    assert (await proxy.ask(command="delete", call_id="call-1", from_tag="A"))["result"] == "ok"
    assert isinstance(bench.worker.orders[-1], Remove)


async def test_without_a_worker_the_proxy_is_told_to_take_another_node(proxy, bench):
    bench.worker.away = True
    assert (await offered(proxy))["error-reason"] == "Parallel session limit reached"
    told = await offered(proxy, "call-2", supports=["load limit"])
    assert told == {"result": "load limit", "message": "Load limit exceeded"}


async def test_whatever_else_cannot_be_described_is_said_in_rtpengines_words(proxy, bench):
    """`Ran out of ports` is for nothing but that."""
    nowhere = sdp("carrier.invalid-name.example", 5000)
    assert (await offered(proxy, sdp=b"no sdp"))["error-reason"] == "Failed to parse SDP"
    assert (await offered(proxy, sdp=nowhere))["error-reason"] == "Incomplete SDP specification"
    await offered(proxy)
    asked = {"command": "answer", "call_id": "call-1", "from_tag": "A", "to_tag": "B"}
    assert (await proxy.ask(**asked, sdp=nowhere))["error-reason"] == "Incomplete SDP specification"
    swapped = {**asked, "from_tag": "B", "to_tag": "A", "sdp": sdp()}
    assert (await proxy.ask(**swapped))["error-reason"] == "Invalid dialogue association", "who offered answers"
    assert (await answered(proxy))["result"] == "ok"
    bench.worker.full = True
    assert (await offered(proxy, "call-2"))["error-reason"] == "Ran out of ports"


@pytest.mark.parametrize("again", [False, True])
async def test_a_host_that_nobody_knows_is_the_sender_of_an_answer_and_no_offer(proxy, bench, again):
    """As over SIP: an offer may still go around us, its answer can't any more."""
    nowhere, sender = sdp("carrier.invalid-name.example", 5000), {"received_from": ["IP4", "127.15.2.12"]}
    if again:
        await offered(proxy)
        await answered(proxy)
    tags = {"call_id": "call-1", "from_tag": "A", **({"to_tag": "B"} if again else {})}
    refused = await proxy.ask(command="offer", **tags, sdp=nowhere, **sender)
    assert refused["error-reason"] == "Incomplete SDP specification"
    await proxy.ask(command="offer", **tags, sdp=sdp())
    asked = {"command": "answer", "call_id": "call-1", "from_tag": "A", "to_tag": "B", "sdp": nowhere}
    assert (await proxy.ask(**asked))["error-reason"] == "Incomplete SDP specification", "the proxy names no sender"
    bench.worker.orders.clear()
    assert (await proxy.ask(**asked, **sender))["result"] == "ok"
    (target,) = {
        order.remote for order in bench.worker.orders if isinstance(order, Forward) and "/agent/" in order.flow
    }
    assert target == Address("127.15.2.12", 5000)


async def test_while_draining_new_calls_are_refused_and_running_ones_go_on(proxy, control):
    await offered(proxy)
    control.drain()
    assert (await offered(proxy, "call-2"))["error-reason"] == "Parallel session limit reached"
    told = await offered(proxy, "call-2", supports=["load limit"])
    assert told == {"result": "load limit", "message": "Load limit exceeded"}
    assert (await answered(proxy))["result"] == "ok"


async def test_over_a_stream_messages_need_no_separator_and_may_come_in_pieces(control):
    reader, writer = await asyncio.open_connection(*control.bound()[1])
    ping = bencode.encode({"command": b"ping"})
    try:
        for piece in (b"a ", ping[:5], ping[5:] + b"b " + ping + b"c d"):
            writer.write(piece)
            await writer.drain()
        expected = b"a d6:result4:ponge" + b"b d6:result4:ponge"
        assert await asyncio.wait_for(reader.readexactly(len(expected)), 2) == expected
        writer.write(b"x\xff")
        assert b"Could not decode" in await asyncio.wait_for(reader.read(), 2)
    finally:
        writer.close()


async def test_more_streams_than_there_may_be_are_closed_and_the_others_go_on(control, bench, monkeypatch):
    monkeypatch.setattr("gateway.ingress.ng_control.MAX_CONNECTIONS", 1)
    reader, writer = await asyncio.open_connection(*control.bound()[1])
    writer.write(b"a " + bencode.encode({"command": b"ping"}))
    await asyncio.wait_for(reader.readexactly(len(b"a d6:result4:ponge")), 2)
    other_reader, other = await asyncio.open_connection(*control.bound()[1])
    assert await asyncio.wait_for(other_reader.read(), 2) == b""
    assert bench.engine.counters["ng_too_many_connections"] == 1
    writer.write(b"b " + bencode.encode({"command": b"ping"}))
    assert (await asyncio.wait_for(reader.readexactly(18), 2)).startswith(b"b ")
    for end in (writer, other):
        end.close()


async def test_a_stream_that_does_not_read_is_given_up(control, monkeypatch):
    """Else a few of them would be all that there may be, for ever."""
    monkeypatch.setattr("gateway.ingress.ng_control.IDLE_S", 0.2)
    _, writer = await asyncio.open_connection(*control.bound()[1], limit=1024)
    asked = b"".join(b"%0250d " % number + bencode.encode({"command": b"ping"}) for number in range(500))
    with pytest.raises(ConnectionError):
        for _ in range(200):
            writer.write(asked)
            await asyncio.wait_for(writer.drain(), 5)
    assert not control._streams
    writer.close()
