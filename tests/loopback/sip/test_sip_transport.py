"""SIP sockets on loopback: who gets in, what comes out where, and what each fault costs."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.clock import SystemClock
from gateway.config import ConfigError, LimitsConfig, SideConfig
from gateway.ingress.sip_transport import MAX_OF_SOURCE, SipTransport
from gateway.ingress.source_limits import SourceLimits
from gateway.sip.build import build_response
from gateway.sip.errors import SipSyntaxError
from gateway.sip.framer import StreamFramer
from gateway.sip.hop import Hop, Side, Transport
from gateway.sip.message import Request, Response, parse_datagram
from gateway.sip.proxy_core import ProxyCore
from gateway.sip.proxy_events import AckArrived, Output, RequestArrived, ResponseArrived, Transmit
from gateway.sip.timers import SipTimers

CALLER_NET, AGENT_NET, STRANGER = "127.61.1.{}", "127.61.2.{}", "127.61.9.9"
LIMITS = SourceLimits(LimitsConfig(), SystemClock())
UDP, TCP = Transport.UDP, Transport.TCP


def options(branch: str = "z9hG4bKa", method: str = "OPTIONS", more: str = "") -> bytes:
    return (
        f"{method} sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 127.61.1.7;rport;branch={branch}\r\nFrom: <sip:a@x>;tag=1\r\n"
        f"To: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n{more}Content-Length: 0\r\n\r\n"
    ).encode()


RESPONSE = options().replace(b"OPTIONS sip:x SIP/2.0", b"SIP/2.0 200 OK")


class Inbox:
    """A receiver that keeps everything."""

    def __init__(self) -> None:
        self.items: asyncio.Queue[tuple[object, Hop]] = asyncio.Queue()
        self.failed: asyncio.Queue[Transmit] = asyncio.Queue()
        self.on_error: Callable[[SipSyntaxError, Hop], None] = lambda error, source: None

    def received(self, message: Request | Response, source: Hop) -> None:
        self.items.put_nowait((message, source))

    def malformed(self, error: SipSyntaxError, source: Hop) -> None:
        self.items.put_nowait((error, source))
        self.on_error(error, source)

    def send_failed(self, event: Transmit) -> None:
        self.failed.put_nowait(event)

    async def next(self) -> tuple[object, Hop]:
        return await asyncio.wait_for(self.items.get(), 5)


def sides() -> dict[Side, SideConfig]:
    def config(net: str) -> SideConfig:
        host = net.format(20)
        return SideConfig(
            listen=[f"udp:{host}:0", f"tcp:{host}:0"], peers=[net.format(0) + "/25"], media_address=net.format(20)
        )

    return {Side.CALLER: config(CALLER_NET), Side.AGENT: config(AGENT_NET)}


@pytest.fixture
async def transport() -> AsyncIterator[SipTransport]:
    made = SipTransport(sides(), LIMITS, message_timeout_s=0.3)
    made.bind()
    yield made
    await made.close()


@pytest.fixture
async def inbox(transport: SipTransport) -> Inbox:
    made = Inbox()
    await transport.serve(made)
    return made


def udp_socket(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind((host, 0))
    return sock


async def answer_on(sock: socket.socket) -> bytes:
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 65_536), 5)


async def connect(transport: SipTransport, host: str = "127.61.1.7", side: Side = Side.CALLER):
    where = transport.bound(side, TCP)[0]
    return await asyncio.open_connection(*where, local_addr=(host, 0))


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


async def test_a_peers_datagram_arrives_and_its_answer_leaves_by_the_same_socket(
    transport: SipTransport, inbox: Inbox
) -> None:
    with udp_socket("127.61.1.7") as peer:
        peer.sendto(options(), transport.bound(Side.CALLER, UDP)[0])
        message, source = await inbox.next()
        assert isinstance(message, Request)
        assert (source.side, source.transport, (source.host, source.port)) == (Side.CALLER, UDP, peer.getsockname())
        transport.send(Transmit(b"answer", source))
        peer.settimeout(5)
        data, where = await asyncio.to_thread(peer.recvfrom, 100)
        assert (data, where) == (b"answer", transport.bound(Side.CALLER, UDP)[0])


async def test_sides_are_told_by_their_listeners(transport: SipTransport, inbox: Inbox) -> None:
    with udp_socket("127.61.2.7") as peer:
        peer.sendto(options(), transport.bound(Side.CALLER, UDP)[0])
        peer.sendto(options(), transport.bound(Side.AGENT, UDP)[0])
        _, source = await inbox.next()
        assert source.side is Side.AGENT and transport.counters["no_peer"] == 1


async def test_strangers_requests_and_noise_are_dropped_and_counted(transport: SipTransport, inbox: Inbox) -> None:
    with udp_socket(STRANGER) as stranger, udp_socket("127.61.1.7") as peer:
        for data in (options(), b"noise", b"SIP/2.0 noise", b"SIP/2.0 99 x\r\n\r\n"):
            stranger.sendto(data, transport.bound(Side.CALLER, UDP)[0])
        await until(lambda: transport.counters["no_peer"] == 4)
        stranger.sendto(RESPONSE, transport.bound(Side.CALLER, UDP)[0])
        message, _ = await inbox.next()
        assert isinstance(message, Response), "the branch vouches for a response"
        peer.sendto(b"\r\n\r\n", transport.bound(Side.CALLER, UDP)[0])
        peer.sendto(b"noise", transport.bound(Side.CALLER, UDP)[0])
        error, _ = await inbox.next()
        assert isinstance(error, SipSyntaxError) and transport.counters["no_peer"] == 4


async def test_a_peer_with_a_port() -> None:
    with udp_socket("127.61.1.7") as right, udp_socket("127.61.1.7") as wrong:
        config = SideConfig(listen=["udp:127.61.1.20:0"], peers=[f"127.61.1.7:{right.getsockname()[1]}"])
        transport, inbox = SipTransport({Side.CALLER: config}, LIMITS), Inbox()
        transport.bind()
        await transport.serve(inbox)
        wrong.sendto(options(), transport.bound(Side.CALLER, UDP)[0])
        right.sendto(options(), transport.bound(Side.CALLER, UDP)[0])
        _, source = await inbox.next()
        assert source.port == right.getsockname()[1] and transport.counters["no_peer"] == 1
        await transport.close()


async def test_a_receiver_that_fails_costs_one_message(transport: SipTransport, inbox: Inbox) -> None:
    def fail(error: SipSyntaxError, source: Hop) -> None:
        raise RuntimeError

    inbox.on_error = fail
    _reader, writer = await connect(transport)
    with udp_socket("127.61.1.7") as peer:
        peer.sendto(b"noise", transport.bound(Side.CALLER, UDP)[0])
        await inbox.next()
        peer.sendto(options(), transport.bound(Side.CALLER, UDP)[0])
        assert isinstance((await inbox.next())[0], Request)
    writer.write(options(more="Bad Name: x\r\n") + options())
    assert isinstance((await inbox.next())[0], SipSyntaxError)
    assert isinstance((await inbox.next())[0], Request)
    assert transport.counters["faults"] == 2
    writer.close()


async def test_a_stream_in_pieces_keepalive_and_answers_on_the_same_connection(
    transport: SipTransport, inbox: Inbox
) -> None:
    reader, writer = await connect(transport)
    data = options("z9hG4bK1") + options("z9hG4bK2")
    writer.write(data[:40])
    await writer.drain()
    writer.write(data[40:] + b"\r\n\r\n")
    (first, _), (second, source) = await inbox.next(), await inbox.next()
    assert isinstance(first, Request) and isinstance(second, Request)
    assert first.to_bytes() + second.to_bytes() == data
    assert await asyncio.wait_for(reader.readexactly(2), 5) == b"\r\n"
    transport.send(Transmit(b"by number", source))
    assert await asyncio.wait_for(reader.readexactly(9), 5) == b"by number"
    transport.send(Transmit(b"by address", Hop(source.side, TCP, source.host, source.port)))
    assert await asyncio.wait_for(reader.readexactly(10), 5) == b"by address"
    writer.close()


async def test_strangers_do_not_get_a_connection(transport: SipTransport, inbox: Inbox) -> None:
    reader, writer = await connect(transport, STRANGER)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 5)
    assert transport.counters["no_peer"] == 1
    writer.close()


async def test_what_cannot_be_framed_is_answered_and_closed(transport: SipTransport, inbox: Inbox) -> None:
    def answer(error: SipSyntaxError, source: Hop) -> None:
        assert error.request is not None
        transport.send(Transmit(build_response(error.request, error.status).to_bytes(), source))

    inbox.on_error = answer
    reader, writer = await connect(transport)
    writer.write(options().replace(b"Content-Length: 0", b"Content-Length: -1"))
    everything = await asyncio.wait_for(reader.read(), 5)
    assert everything.startswith(b"SIP/2.0 400 ")
    assert transport.counters["stream_broken"] == 1
    writer.close()


async def test_a_half_message_does_not_stay(transport: SipTransport, inbox: Inbox) -> None:
    reader, writer = await connect(transport)
    writer.write(options() + options()[:50])
    assert isinstance((await inbox.next())[0], Request)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    assert transport.counters["stream_slow"] == 1
    writer.close()


async def test_who_connects_and_says_nothing_does_not_stay(transport: SipTransport, inbox: Inbox) -> None:
    reader, writer = await connect(transport)
    lively, other = await connect(transport)
    other.write(b"\r\n\r\n")
    assert await asyncio.wait_for(lively.read(2), 5) == b"\r\n"
    assert await asyncio.wait_for(reader.read(), 5) == b""
    other.write(options())
    assert isinstance((await inbox.next())[0], Request), "whoever kept alive may go on"
    writer.close()
    other.close()


async def test_a_stream_that_floods_is_read_slowly_and_loses_nothing() -> None:
    slow = SourceLimits(LimitsConfig(messages_per_s=100, calls_per_s=100), SystemClock())
    transport, inbox = SipTransport(sides(), slow), Inbox()
    transport.bind()
    await transport.serve(inbox)
    host, port = transport.bound(Side.CALLER, TCP)[0]
    _, writer = await asyncio.open_connection(host, port, local_addr=("127.61.1.7", 0))
    writer.write(options() * 230)  # 200 at once, the rest with time
    for _ in range(230):
        await inbox.next()
    assert slow.counters["flood_slowed"] >= 1
    assert slow.counters["flood_dropped"] == 0
    writer.close()
    await transport.close()


async def test_one_address_has_so_many_connections_and_no_more(transport: SipTransport, inbox: Inbox) -> None:
    writers = [(await connect(transport))[1] for _ in range(MAX_OF_SOURCE)]
    reader, writer = await connect(transport)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    assert transport.counters["too_many_connections"] == 1
    for other in (writer, *writers):
        other.close()


async def test_one_connection_for_all_messages_to_a_neighbour(transport: SipTransport, inbox: Inbox) -> None:
    accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    server = await asyncio.start_server(lambda *pair: accepted.put_nowait(pair), "127.61.2.5", 0)
    hop = Hop(Side.AGENT, TCP, *server.sockets[0].getsockname())
    for data in (b"one ", b"two "):
        transport.send(Transmit(data, hop))
    reader, writer = await asyncio.wait_for(accepted.get(), 5)
    assert await asyncio.wait_for(reader.readexactly(8), 5) == b"one two "
    assert writer.get_extra_info("peername")[0] == "127.61.2.20", "from the side's own address"
    transport.send(Transmit(b"three", hop))
    assert await asyncio.wait_for(reader.readexactly(5), 5) == b"three"
    writer.write(options())
    message, source = await inbox.next()
    assert isinstance(message, Request) and (source.side, source.host) == (Side.AGENT, "127.61.2.5")
    assert accepted.empty()
    writer.close()
    await until(lambda: not transport._connections)
    transport.send(Transmit(b"four", Hop(Side.AGENT, TCP, hop.host, hop.port, source.connection)))
    reader, writer = await asyncio.wait_for(accepted.get(), 5)
    assert await asyncio.wait_for(reader.readexactly(4), 5) == b"four", "a lost connection is opened anew"
    writer.close()
    server.close()


async def test_failures_are_told_later_with_the_event(transport: SipTransport, inbox: Inbox) -> None:
    with socket.socket() as closed:
        closed.bind(("127.61.2.6", 0))
        events = [
            Transmit(b"x", Hop(Side.AGENT, TCP, *closed.getsockname()), ("agent", "z9hG4bKa", "INVITE")),
            Transmit(b"x" * 70_000, Hop(Side.AGENT, UDP, "127.61.2.6", 5060), ("agent", "z9hG4bKb", "INVITE")),
            Transmit(b"x", Hop(Side.AGENT, UDP, "::1", 5060)),
            Transmit(b"x", Hop(Side.AGENT, UDP, "name.invalid", 5060)),
        ]
        for event in events:
            transport.send(event)
            assert inbox.failed.empty(), "never from within `send`"
        failed = [await asyncio.wait_for(inbox.failed.get(), 10) for _ in events]
    assert sorted(map(repr, failed)) == sorted(map(repr, events))
    assert transport.counters["connect_failed"] == 1


async def test_nothing_is_lost_before_serving(transport: SipTransport) -> None:
    with udp_socket("127.61.1.7") as peer:
        peer.sendto(options(), transport.bound(Side.CALLER, UDP)[0])
        _, writer = await connect(transport)
        writer.write(options())
        inbox = Inbox()
        await transport.serve(inbox)
        found = {(await inbox.next())[1].transport for _ in range(2)}
        assert found == {UDP, TCP}
        writer.close()


@pytest.mark.parametrize(
    ("listen", "advertised", "expected"),
    [
        (["udp:127.61.1.20:0"], "", "127.61.1.20"),
        (["udp:0.0.0.0:0"], "", "127.61.1.99"),
        (["udp:127.61.1.20:0"], "sip.example.com", "sip.example.com"),
        (["udp:127.61.1.20:0"], "[2001:db8::1]:5070", "[2001:db8::1]"),
    ],
)
async def test_what_a_side_calls_itself(listen: list[str], advertised: str, expected: str) -> None:
    config = SideConfig(listen=listen, peers=["127.61.1.0/24"], advertised=advertised, media_address="127.61.1.99")
    transport = SipTransport({Side.CALLER: config}, LIMITS)
    transport.bind()
    port = transport.bound(Side.CALLER, UDP)[0][1]
    names = transport.addresses()[Side.CALLER]
    assert names.advertised == {UDP: (expected, 5070 if ":5070" in advertised else port)}
    assert all(alias[1] == port for alias in names.aliases)
    await transport.close()


async def test_a_name_that_is_none_is_refused() -> None:
    config = SideConfig(listen=["udp:127.61.1.20:0"], peers=["127.61.1.0/24"], advertised="not a host")
    transport = SipTransport({Side.CALLER: config}, LIMITS)
    transport.bind()
    with pytest.raises(ConfigError, match="advertised"):
        transport.addresses()
    await transport.close()


async def test_a_taken_address_leaves_nothing_open() -> None:
    with udp_socket("127.61.1.20") as taken:
        config = SideConfig(
            listen=["tcp:127.61.1.20:0", f"udp:127.61.1.20:{taken.getsockname()[1]}"], peers=["127.61.1.0/24"]
        )
        transport = SipTransport({Side.CALLER: config}, LIMITS)
        with pytest.raises(ConfigError, match=r"caller_side\.listen: `udp:.*in use"):
            transport.bind()
        assert transport.bound(Side.CALLER, TCP) == []


class Glue:
    """The core on real sockets with an ingress that lets everything go on."""

    def __init__(self, core: ProxyCore, transport: SipTransport, next_hop: Hop) -> None:
        self.core, self.transport, self.next_hop = core, transport, next_hop

    def received(self, message: Request | Response, source: Hop) -> None:
        self.act(self.core.receive(message, source, asyncio.get_running_loop().time()))

    def malformed(self, error: SipSyntaxError, source: Hop) -> None:
        self.act(self.core.receive_error(error, source))

    def send_failed(self, event: Transmit) -> None:
        self.act(self.core.transmit_failed(event, asyncio.get_running_loop().time()))

    def act(self, outputs: list[Output]) -> None:
        now = asyncio.get_running_loop().time()
        for event in outputs:
            match event:
                case Transmit():
                    self.transport.send(event)
                case RequestArrived():
                    self.act(self.core.forward(event, self.hop(event), now))
                case AckArrived():
                    self.act(self.core.forward_ack(event, self.hop(event)))
                case ResponseArrived():
                    self.act(self.core.forward_response(event, now))
                case _:
                    pass

    def hop(self, event: RequestArrived | AckArrived) -> Hop:
        target = event.target
        if target is None:
            return self.next_hop
        return Hop(event.to_side, target.transport or UDP, target.host, target.port or 5060)


async def test_a_call_from_udp_to_tcp_and_back(transport: SipTransport) -> None:
    arrivals: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    server = await asyncio.start_server(lambda *pair: arrivals.put_nowait(pair), "127.61.2.5", 0)
    agent = server.sockets[0].getsockname()
    ids = itertools.count()
    core = ProxyCore(transport.addresses(), SipTimers.RFC3261, lambda: f"id{next(ids)}")
    await transport.serve(Glue(core, transport, Hop(Side.AGENT, TCP, *agent)))
    gateway = transport.bound(Side.CALLER, UDP)[0]
    with udp_socket("127.61.1.7") as caller:
        host, port = caller.getsockname()
        caller.sendto(options(method="INVITE", more=f"Contact: <sip:a@{host}:{port}>\r\n"), gateway)
        assert (await answer_on(caller)).startswith(b"SIP/2.0 100")
        reader, writer = await asyncio.wait_for(arrivals.get(), 5)
        framer = StreamFramer()

        async def at_agent() -> Request:
            items = framer.feed(await asyncio.wait_for(reader.read(65_536), 5))
            assert isinstance(items[0], Request)
            return items[0]

        invite = await at_agent()
        routes = invite.all("record-route")
        assert [";transport=tcp;" in route for route in routes] == [True, False]
        extra = [("Record-Route", route) for route in routes] + [
            ("Contact", f"<sip:b@{agent[0]}:{agent[1]};transport=tcp>")
        ]
        writer.write(build_response(invite, 200, "", "agent", extra).to_bytes())
        answer = parse_datagram(await answer_on(caller))
        assert isinstance(answer, Response) and answer.status == 200
        bye = options("z9hG4bKbye", "BYE").replace(
            b"sip:x SIP", f"sip:b@{agent[0]}:{agent[1]};transport=tcp SIP".encode()
        )
        route_set = "".join(f"Route: {route}\r\n" for route in reversed(answer.all("record-route"))).encode()
        bye = bye.replace(b"To: <sip:b@x>\r\n", b"To: <sip:b@x>;tag=agent\r\n" + route_set)
        caller.sendto(bye, gateway)
        got = await at_agent()
        assert got.method == "BYE" and got.all("route") == []
        writer.write(build_response(got, 200).to_bytes())
        assert b"CSeq: 1 BYE" in await answer_on(caller)
        writer.close()
    server.close()
