"""What no proxy in its senses sends to the ng port: each is answered, costs little and leaves no port behind."""

import asyncio
import contextlib
from typing import Any

import pytest

from gateway.ingress.ng_control import MAX_DATAGRAM
from tests.loopback.test_ng_control import HOST, Proxy, answered, bench, control, offered, proxy, read
from tests.peers.engine_bench import sdp

__all__ = ["bench", "control", "proxy"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"d7:command4:ping7:command5:offere", "pong"),
        (b"d7:command4:ping1:xi-5e1:yi007e1:zi-0ee", "pong"),
        (b"d07:command4:pinge", "pong"),
        (b"d-7:command4:pinge", "Could not decode dictionary"),
        (b"d7:command4:ping1:xi--5ee", "Could not decode dictionary"),
        (b"l" * 5_000 + b"e" * 5_000, "Could not decode dictionary"),
        (b"d7:command4:ping1:x" + b"li1e" * 5_000 + b"e" * 5_001, "Could not decode dictionary"),
        (b"d7:commandi5ee", 'Dictionary contains no key "command"'),
        (b"d7:commandl4:pingee", 'Dictionary contains no key "command"'),
        (b"d7:command4:\xff\xfe\x00\x80e", "Unrecognized command"),
    ],
)
async def test_odd_dictionaries_under_the_longest_cookie(proxy, bench, body, says):
    cookie = b"c" * 255
    reply = await proxy.raw(cookie + b" " + body)
    assert reply.startswith(cookie + b" ") and says in {*read(reply).values()}
    assert bench.engine.counters["faults"] == 0


async def test_a_reply_too_long_for_a_datagram_is_an_error_and_not_silence(proxy, bench):
    """Silence has a proxy give the whole node up for a minute."""
    for number in range(64):
        tag = f"{number:02}" + "y" * 1_000
        await proxy.ask(command="offer", call_id="call-1", from_tag="A", sdp=sdp())
        body = sdp("127.15.1.12", 5000)
        await proxy.ask(command="answer", call_id="call-1", from_tag="A", to_tag=tag, label=f"l{number}", sdp=body)
    told = await proxy.ask(command="query", call_id="call-1", from_tag="A")
    assert told["error-reason"] == "Reply is too long for a datagram: ask over TCP"
    assert bench.engine.counters["ng_send_failed"] == 0 and MAX_DATAGRAM == 65_507


@pytest.mark.parametrize("sender", ["not an address", "192.0.2.1\r\na=evil", "host.example.com", ""])
async def test_a_sender_that_is_no_address_gets_into_no_description(proxy, sender):
    flags = ["SIP source address"]
    told = await offered(proxy, received_from=["IP4", sender], flags=flags)
    assert told["result"] == "ok"
    assert "evil" not in told["sdp"] and (not sender or sender not in told["sdp"])


@pytest.mark.parametrize("noise", [b" " + b"z" * 65_000, b"\xff d" + b"z" * 65_000, b"c" * 300 + b" d", b"a\x01b d"])
async def test_a_stream_without_a_cookie_that_could_be_answered_is_closed(control, bench, noise):
    """It was read on, and kept, for as long as it went on."""
    reader, writer = await asyncio.open_connection(*control.bound()[1])
    try:
        writer.write(noise)
        with contextlib.suppress(ConnectionError):  # closed with our bytes unread
            assert await asyncio.wait_for(reader.read(), 2) == b""
    finally:
        writer.close()
    assert bench.engine.counters["ng_without_cookie"] == 1


@pytest.mark.parametrize("line", [b"m=x 0 y 8\r\n", b"m=audio 5000 RTP/AVP 8\r\n"])
async def test_thousands_of_m_lines_take_no_ports(proxy, bench, line):
    body = sdp() + line * (60_000 // len(line))
    assert (await offered(proxy, sdp=body))["error-reason"] == "Failed to parse SDP"
    assert not bench.worker.reserved and not bench.engine.calls


async def test_whoever_answers_before_an_offer_makes_no_call(proxy, bench):
    assert (await answered(proxy))["error-reason"] == "Unknown call-id"
    assert not bench.worker.reserved and not bench.engine.calls


async def test_a_delete_while_ports_are_being_reserved_gives_them_back(proxy, control, bench):
    asked, go_on, reserve = asyncio.Event(), asyncio.Event(), bench.worker.reserve

    async def slow(*order: Any) -> Any:
        asked.set()
        await go_on.wait()
        return await reserve(*order)

    bench.worker.reserve = slow
    transport, other = await beside(control)
    try:
        offering = asyncio.create_task(offered(proxy))
        await asyncio.wait_for(asked.wait(), 2)
        assert (await other.ask(command="delete", call_id="call-1", from_tag="A"))["result"] == "ok"
        go_on.set()
        assert (await offering)["error-reason"] == "Invalid dialogue association"
    finally:
        transport.close()
    assert not bench.engine.calls
    assert bench.worker.kinds()[-1] == "remove"


async def test_offers_of_one_call_at_once_make_one_call(control, bench):
    ends = [await beside(control) for _ in range(8)]
    try:
        asks = (
            end.ask(command="offer", call_id="call-1", from_tag="AB"[n % 2], sdp=sdp())
            for n, (_, end) in enumerate(ends)
        )
        told = await asyncio.gather(*asks)
    finally:
        for transport, _ in ends:
            transport.close()
    assert {one["result"] for one in told} == {"ok"}
    assert list(bench.engine.calls) == ["call-1"] and len(bench.worker.reserved) == 1
    assert bench.engine.counters["faults"] == 0


async def test_two_calls_with_swapped_tags_stay_apart(proxy, bench):
    for call_id, tags in (("call-1", ("A", "B")), ("call-2", ("B", "A"))):
        await proxy.ask(command="offer", call_id=call_id, from_tag=tags[0], sdp=sdp())
        body = sdp("127.15.1.12", 5000)
        told = await proxy.ask(command="answer", call_id=call_id, from_tag=tags[0], to_tag=tags[1], sdp=body)
        assert told["result"] == "ok"
    assert (await proxy.ask(command="delete", call_id="call-1", from_tag="B", to_tag="A"))["result"] == "ok"
    assert "call-2" in bench.engine.calls
    assert bench.engine.counters["faults"] == 0


async def beside(control: Any) -> tuple[asyncio.DatagramTransport, Proxy]:
    """Another process of that proxy."""
    made = asyncio.get_running_loop().create_datagram_endpoint
    return await made(Proxy, remote_addr=control.bound()[0], local_addr=(HOST, 0))
