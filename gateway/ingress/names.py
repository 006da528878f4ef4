"""Names looked up without holding up anything: NAPTR and SRV by dnspython, addresses by the system (hosts file too).

Each question is asked once at a time; answers are kept as long as their records say, and an old one serves on while
nobody answers. A call waits for a name server for two seconds at most, and only where nothing is known yet.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import dns.asyncresolver
import dns.exception
import dns.resolver
import structlog

from gateway.clock import Clock
from gateway.sip.locating import Naptr, Srv

__all__ = ["Answer", "KnownNames", "LookupFailed", "Names", "SystemNames"]

log = structlog.get_logger()
T = TypeVar("T")
PATIENCE_S = 2.0
"""How long one question may take."""
NOTHING_TTL_S = 60.0
"""How long it is believed that a name has no records of a kind."""
HOST_TTL_S = 60.0
"""The system's resolver doesn't tell the records' own."""
MOST_TTL_S = 86_400.0
MOST_KEPT = 1024


class LookupFailed(Exception):
    """Nobody answered, or not sensibly."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """The records of one kind, and for how many seconds they hold."""

    records: tuple[T, ...]
    ttl_s: float


class Names(Protocol):
    """Who looks names up; raises `LookupFailed`. A name without records of a kind has an empty answer."""

    async def services(self, name: str) -> Answer[Naptr]:
        """NAPTR records."""
        ...

    async def servers(self, name: str) -> Answer[Srv]:
        """SRV records."""
        ...

    async def hosts(self, name: str) -> Answer[str]:
        """IPv4 and IPv6 addresses, the system's favourite first."""
        ...


class SystemNames:
    """The machine's own name servers, unless others are named."""

    def __init__(self, resolver: dns.asyncresolver.Resolver | None = None) -> None:
        self._resolver = resolver
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="names")
        """Of its own, so that a silent name server can't keep threads from whoever writes to disk."""

    async def services(self, name: str) -> Answer[Naptr]:
        """See `Names`."""
        found, ttl_s = await self._records(name, "NAPTR")
        records = [
            Naptr(r.order, r.preference, r.flags.decode("ascii", "replace"), r.service.decode("ascii", "replace"),
                  r.replacement.to_text(omit_final_dot=True))
            for r in found
        ]  # fmt: skip
        return Answer(tuple(records), ttl_s)

    async def servers(self, name: str) -> Answer[Srv]:
        """See `Names`."""
        found, ttl_s = await self._records(name, "SRV")
        records = [Srv(r.priority, r.weight, r.port, r.target.to_text(omit_final_dot=True)) for r in found]
        return Answer(tuple(records), ttl_s)

    async def hosts(self, name: str) -> Answer[str]:
        """See `Names`."""
        loop = asyncio.get_running_loop()
        asked = loop.run_in_executor(self._threads, lambda: socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM))
        try:
            found = await asyncio.wait_for(asked, PATIENCE_S)
        except (OSError, ValueError, TimeoutError):
            raise LookupFailed from None
        return Answer(tuple(dict.fromkeys(str(address[0]) for *_, address in found)), HOST_TTL_S)

    async def _records(self, name: str, kind: str) -> tuple[list, float]:  # type: ignore[type-arg]  # dnspython's own
        try:
            if self._resolver is None:
                self._resolver = dns.asyncresolver.Resolver()
            answer = await self._resolver.resolve(name, kind, lifetime=PATIENCE_S, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.resolver.NoResolverConfiguration):
            return [], NOTHING_TTL_S
        except (dns.exception.DNSException, OSError, ValueError):
            raise LookupFailed from None
        return list(answer.rrset or ()), float(answer.rrset.ttl if answer.rrset else NOTHING_TTL_S)


@dataclass(slots=True)
class _Kept:
    answer: Answer  # type: ignore[type-arg]  # of any kind
    until: float


class KnownNames:
    """What is known of names; looks up what isn't, or no longer."""

    def __init__(self, names: Names, clock: Clock) -> None:
        self._names = names
        self._clock = clock
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._asking: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def services(self, name: str) -> tuple[Naptr, ...]:
        """NAPTR records, none where nobody answers."""
        return await self._known("services", name, self._names.services)

    async def servers(self, name: str) -> tuple[Srv, ...]:
        """SRV records, none where nobody answers."""
        return await self._known("servers", name, self._names.servers)

    async def hosts(self, name: str) -> tuple[str, ...]:
        """Addresses, none where nobody answers."""
        return await self._known("hosts", name, self._names.hosts)

    async def _known(self, kind: str, name: str, ask: Callable[[str], Awaitable[Answer[T]]]) -> tuple[T, ...]:
        key = (kind, name.lower())
        kept = self._kept.get(key)
        if kept is None or self._clock.now() >= kept.until:
            if key not in self._asking:
                self._asking[key] = asyncio.create_task(self._ask(key, name, ask))
            await asyncio.shield(self._asking[key])  # several calls wait for one question
            kept = self._kept.get(key)
        return kept.answer.records if kept is not None else ()

    async def _ask(self, key: tuple[str, str], name: str, ask: Callable[[str], Awaitable[Answer[T]]]) -> None:
        try:
            answer = await ask(name)
            until = self._clock.now() + min(max(answer.ttl_s, 1.0), MOST_TTL_S)
            self._kept[key] = _Kept(answer, until)
            if len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        except LookupFailed:
            kept = self._kept.setdefault(key, _Kept(Answer((), 0.0), 0.0))  # what was known serves on
            kept.until = self._clock.now() + PATIENCE_S
            log.warning("a name server doesn't answer", kind=key[0])
        finally:
            del self._asking[key]
