"""The inline way in over an engine bench: messages in as text, what would have been sent out as parsed messages."""

import asyncio
import itertools
from pathlib import Path

from gateway.config import Config
from gateway.ingress.identity import Identity
from gateway.ingress.next_hop import NextHops
from gateway.ingress.sip_proxy import SipProxy
from gateway.ingress.source_limits import SourceLimits
from gateway.sip.hop import Hop, Side, Transport
from gateway.sip.message import Request, Response, parse_datagram
from gateway.sip.proxy_core import ProxyCore
from gateway.sip.proxy_events import Target, Transmit
from gateway.sip.routing import SideAddresses
from gateway.sip.timers import SipTimers
from tests.peers.engine_bench import EngineBench, sdp

PBX, PHONES = ("127.15.2.11", 5060), ("127.15.2.12", 5060)
TRUNK_SIDE, PHONE_SIDE = ("127.15.2.1", 5060), ("127.15.2.2", 5060)


class Nowhere:
    """Names lead nowhere."""

    async def places(self, target: Target, offered: frozenset[Transport]) -> tuple[()]:
        return ()


class ProxyBench:
    """The PBX is on the caller side; `phones` are the agent side's next hops, by default one with all of them."""

    def __init__(
        self,
        engine: EngineBench,
        root: Path,
        phones: tuple[str, ...] = ("127.15.2.12:5060",),
        peers: tuple[str, str] = (PBX[0], "127.15.2.12/30"),
        **limits: float,
    ) -> None:
        sides = {
            "caller_side": {"listen": ["udp:127.15.2.1:5060"], "peers": [peers[0]], "next_hops": [f"{PBX[0]}:5060"]},
            "agent_side": {
                "listen": ["udp:127.15.2.2:5060", "tcp:127.15.2.2:5060"],
                "peers": [peers[1]],
                "next_hops": list(phones),
            },
        }
        config = Config.model_validate({"site": {"data_dir": root}, "sip": {**sides, "limits": limits}})
        numbers = itertools.count(1)
        places = {Side.CALLER: TRUNK_SIDE, Side.AGENT: PHONE_SIDE}
        core = ProxyCore(
            {side: SideAddresses({Transport.UDP: place}, frozenset({place})) for side, place in places.items()},
            SipTimers.TESTING,
            lambda: f"{next(numbers):016x}",
            refuses=SourceLimits(config.sip.limits, engine.clock).refuses,
        )
        hops = {side: NextHops.of(side, part, Nowhere()) for side, part in (
            (Side.CALLER, config.sip.caller_side), (Side.AGENT, config.sip.agent_side))}  # fmt: skip
        self.engine, self.clock = engine.engine, engine.clock
        self.proxy = SipProxy(core, engine.engine, Identity(config.sip.identity), hops, engine.clock)
        self.proxy.transport = self
        self.sent: list[tuple[Hop, Request | Response]] = []
        self._branches = itertools.count(1)

    def send(self, event: Transmit) -> None:
        message = parse_datagram(event.data)
        assert isinstance(message, Request | Response)
        self.sent.append((event.hop, message))

    async def settle(self) -> None:
        """Until every message that came in was passed on or answered."""
        for _ in range(20):
            await asyncio.sleep(0)
        while self.proxy._tasks:
            await asyncio.wait(tuple(self.proxy._tasks))
        await self.engine.finished()

    def requests(self, method: str, to: tuple[str, int] = PHONES) -> list[Request]:
        found = [message for hop, message in self.sent if (hop.host, hop.port) == to]
        return [message for message in found if isinstance(message, Request) and message.method == method]

    def responses(self, to: tuple[str, int] = PBX) -> list[Response]:
        found = [message for hop, message in self.sent if (hop.host, hop.port) == to]
        return [message for message in found if isinstance(message, Response)]

    def statuses(self, to: tuple[str, int] = PBX) -> list[int]:
        return [message.status for message in self.responses(to)]

    async def request(
        self, method: str, user: str = "200", *, call_id: str = "call-1", to_tag: str = "", cseq: int = 1,
        extra: tuple[str, ...] = (), body: bytes = b"", source: tuple[str, int] = PBX,
        to_us: tuple[str, int] | None = None, uri: str = "", branch: int = 0,
        from_tag: str = "uac",
    ) -> None:  # fmt: skip
        """A request of the PBX's (or `source`), to our own address where `to_us` is it, again where `branch` is old."""
        caller = source == PBX
        uri = f"sip:{to_us[0]}:{to_us[1]}" if to_us is not None else uri or f"sip:{user}@{PHONE_SIDE[0]}"
        tags = (f";tag={from_tag}", f";tag={to_tag}" if to_tag else "")
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {source[0]}:{source[1]};branch=z9hG4bKb{branch or next(self._branches)}",
            "Max-Forwards: 70",
            f"From: <sip:+4940111222@example.com>{tags[0]}",
            f"To: <sip:200@example.com>{tags[1]}",
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:x@{source[0]}:{source[1]}>",
            *extra,
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        message = parse_datagram("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        assert isinstance(message, Request)
        side, number = (Side.CALLER, 1) if caller else (Side.AGENT, 2)
        self.proxy.received(message, Hop(side, Transport.UDP, *source, number))
        await self.settle()

    async def invite(self, user: str = "200", **more: object) -> Request:
        """An INVITE with SDP; what went on to the phones."""
        await self.request("INVITE", user, body=sdp(), **more)  # type: ignore[arg-type]  # passed through
        return self.requests("INVITE")[-1]

    async def respond(
        self, to: Request, status: int, tag: str = "uas", body: bytes = b"", source: tuple[str, int] = PHONES,
        extra: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        """A phone's response, or that of another `source`."""
        via = "\r\n".join(f"Via: {value}" for value in to.all("via"))
        kind = "".join(f"{line}\r\n" for line in extra) + ("Content-Type: application/sdp\r\n" if body else "")
        text = (
            f"SIP/2.0 {status} Said\r\n{via}\r\nFrom: {to.get('from')}\r\nTo: {to.get('to')};tag={tag}\r\n"
            f"Call-ID: {to.get('call-id')}\r\nCSeq: {to.get('cseq')}\r\n{kind}Content-Length: {len(body)}\r\n\r\n"
        )
        message = parse_datagram(text.encode() + body)
        assert isinstance(message, Response)
        side, number = (Side.CALLER, 1) if source == PBX else (Side.AGENT, 2)
        self.proxy.received(message, Hop(side, Transport.UDP, *source, number))
        await self.settle()

    async def silence(self, seconds: float) -> None:
        """Time passes, and nobody says anything."""
        for _ in range(40):
            self.clock.advance(seconds / 40)
            self.proxy._advance()
            await self.settle()

    async def fail(self, method: str) -> Hop:
        """The transport can't send the newest request to the phones, which is of that kind."""
        hop, request = next((hop, message) for hop, message in reversed(self.sent) if hop.side is Side.AGENT)
        assert isinstance(request, Request) and request.method == method
        branch = (Side.AGENT.value, request.all("via")[0].partition("branch=")[2], method)
        self.proxy.send_failed(Transmit(request.to_bytes(), hop, branch))
        await self.settle()
        return hop

    async def answer(self, to: Request, tag: str = "uas") -> None:
        await self.respond(to, 200, tag, sdp("127.15.1.12", 5000))
