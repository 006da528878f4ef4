"""Whether the next hops answer: each is asked by OPTIONS, from the address that the gateway would ask from.

Only addresses: what a name leads to, the gateway itself looks up and asks (`probe_s`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.config import Config, SideConfig

__all__ = ["NextHop", "answers", "next_hops"]

WAIT_S: Final = 1.0
_HOP: Final = re.compile(r"(?:sips?:)?(?:\[([0-9a-fA-F:]+)\]|([0-9.]+))(?::([0-9]{1,5}))?(?:;.*)?\Z")


@dataclass(frozen=True, slots=True)
class NextHop:
    """A configured next hop that is an address."""

    side: str
    text: str
    """As configured."""
    host: str
    port: int
    stream: bool
    """TCP or TLS: that it can be reached is all that is asked."""
    source: str
    """Our address on that side."""


def next_hops(config: Config) -> Iterator[NextHop]:
    """Those of both sides."""
    for name, side in (("caller side", config.sip.caller_side), ("agent side", config.sip.agent_side)):
        for text in side.next_hops:
            found = _HOP.match(text)
            if found is not None and (source := _source(side, found[1] or found[2])) is not None:
                secure = text.startswith("sips:") or "transport=tls" in text
                port = int(found[3] or (5061 if secure else 5060))
                stream = secure or "transport=tcp" in text
                yield NextHop(name, text, found[1] or found[2], port, stream, source)


async def answers(hop: NextHop) -> bool:
    """Whether it answers within a second; whatever it answers, it is there."""
    try:
        async with asyncio.timeout(WAIT_S):
            return await (_connects(hop) if hop.stream else _replies(hop))
    except (OSError, TimeoutError):
        return False


async def _connects(hop: NextHop) -> bool:
    _, writer = await asyncio.open_connection(hop.host, hop.port, local_addr=(hop.source, 0))
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


class _Ear(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if data.startswith(b"SIP/2.0 ") and not self.heard.done():
            self.heard.set_result(True)

    def error_received(self, exc: Exception) -> None:
        if not self.heard.done():
            self.heard.set_exception(exc)


async def _replies(hop: NextHop) -> bool:
    loop = asyncio.get_running_loop()
    transport, ear = await loop.create_datagram_endpoint(
        _Ear, local_addr=(hop.source, 0), remote_addr=(hop.host, hop.port)
    )
    try:
        transport.sendto(_options(hop, *transport.get_extra_info("sockname")[:2]))
        return await ear.heard
    finally:
        transport.close()


def _options(hop: NextHop, host: str, port: int) -> bytes:
    us, them = f"{_in_uri(host)}:{port}", f"{_in_uri(hop.host)}:{hop.port}"
    lines = [
        f"OPTIONS sip:{them} SIP/2.0", f"Via: SIP/2.0/UDP {us};rport;branch=z9hG4bK{secrets.token_hex(8)}",
        f"From: <sip:doctor@{us}>;tag={secrets.token_hex(6)}", f"To: <sip:{them}>",
        f"Call-ID: {secrets.token_hex(12)}", "CSeq: 1 OPTIONS", "Max-Forwards: 1", "Content-Length: 0", "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


def _in_uri(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _source(side: SideConfig, host: str) -> str | None:
    """Our address on that side, of the next hop's own kind; None for a next hop that is no address."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    ours = (one.host for one in side.listeners if ipaddress.ip_address(one.host).version == version)
    return next(ours, "::" if version == 6 else "0.0.0.0")
