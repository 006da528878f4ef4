"""Descriptions that name a host get its address first, since packets are taken and sent by address alone.

A name that nobody here knows leaves an offer as it is: its call passes un-anchored. The answer to an offer that already
leads here can't be left alone, or one party would hear nothing: it is taken to mean the host that sent it.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Mapping, Sequence

from gateway.call.model import SdpMessage
from gateway.sdp.errors import SdpError
from gateway.sdp.host_names import host_names, with_addresses
from gateway.sdp.session import is_address, parse_session
from policy.decision import Side

__all__ = ["FindHosts", "located"]

FindHosts = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a name, the best first; none where it isn't known. It takes seconds at most."""


async def located(message: SdpMessage, find: FindHosts, ours: Mapping[Side, str]) -> bytes:
    """The body with addresses for the names in it; `ours` is our media address towards each party."""
    try:
        session = parse_session(message.body)
    except SdpError:
        return message.body
    names = host_names(session)
    if not names:
        return message.body
    version = ipaddress.ip_address(ours[message.party]).version
    found = {}
    answers = await asyncio.gather(*map(find, names))  # all at once: a message waits for the slowest, not for their sum
    for name, addresses in zip(names, answers, strict=True):
        known = filter(is_address, addresses)
        host = next((host for host in known if ipaddress.ip_address(host).version == version), None)
        if host is not None:
            found[name] = host
        elif message.role == "answer" and is_address(message.source or ""):
            found[name] = message.source or ""
    return with_addresses(session, found)


async def nobody_knows(name: str) -> Sequence[str]:
    """Where there is nobody to ask."""
    return ()
