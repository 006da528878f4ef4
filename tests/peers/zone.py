"""Name servers of a test: records by name, what was asked, and silence on demand."""

import asyncio
from collections import Counter
from typing import Any

from gateway.ingress.locator import Locator
from gateway.ingress.names import Answer, KnownNames, LookupFailed
from gateway.sip.locating import Naptr, Srv
from tests.peers.manual_clock import ManualClock


class Zone:
    """Fill `naptr`, `srv` and `a`."""

    def __init__(self, ttl_s: float = 300.0) -> None:
        self.naptr: dict[str, list[Naptr]] = {}
        self.srv: dict[str, list[Srv]] = {}
        self.a: dict[str, list[str]] = {}
        self.ttl_s = ttl_s
        self.silent = False
        self.asked: Counter[str] = Counter()

    async def services(self, name: str) -> Answer[Naptr]:
        return await self._answer(self.naptr, name)

    async def servers(self, name: str) -> Answer[Srv]:
        return await self._answer(self.srv, name)

    async def hosts(self, name: str) -> Answer[str]:
        return await self._answer(self.a, name)

    async def _answer(self, records: dict[str, Any], name: str) -> Answer[Any]:
        self.asked[name] += 1
        await asyncio.sleep(0)
        if self.silent:
            raise LookupFailed
        return Answer(tuple(records.get(name, ())), self.ttl_s)

    def locator(self, clock: ManualClock | None = None, versions: frozenset[int] = frozenset({4, 6})) -> Locator:
        """Always the first of equals that the lot may fall on."""
        return Locator(KnownNames(self, clock or ManualClock()), versions, lambda most: 0)
