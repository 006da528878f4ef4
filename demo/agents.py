"""An agent at a desk of the demo: a phone that answers, and a page that shows the live light and acknowledges it."""

import asyncio
import contextlib
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from api.agent_client import AgentClient
from demo.keys import Keys
from demo.phone import Phone
from gateway.clock import Clock


@dataclass(frozen=True, slots=True)
class Light:
    """The light of one leg as the agent's page was told."""

    call: str
    state: str
    why: str | None


class Desk:
    """One agent with phone and page; use it as a context manager."""

    def __init__(self, base_url: str, keys: Keys, extension: str, phone: Phone, clock: Clock) -> None:
        self.keys = keys
        self.extension = extension
        self.phone = phone
        self._http = httpx.AsyncClient(base_url=base_url)
        self.client = AgentClient(self._http, keys.keys, clock)
        self._lights: dict[str, Light] = {}
        self._changed = asyncio.Condition()
        self._page: asyncio.Task[None] | None = None
        self._shown = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close_page()
        await self._http.aclose()

    async def open_page(self) -> None:
        """Open the live feed; from now on each event is acknowledged as soon as it is shown."""
        self._page = asyncio.get_running_loop().create_task(self._watch())
        await asyncio.wait_for(self._shown.wait(), 10)

    async def close_page(self) -> None:
        """Close the live feed: nothing is shown or acknowledged any more."""
        if self._page is not None:
            self._page.cancel()
            await asyncio.gather(self._page, return_exceptions=True)
        self._page = None
        self._shown.clear()
        self._lights.clear()

    async def light(self, *states: str) -> Light:
        """The light of the one call at this desk, as soon as it is in one of these states."""
        async with self._changed:
            while True:
                for light in self._lights.values():
                    if light.state in states:
                        return light
                await self._changed.wait()

    async def be_ready(self) -> None:
        """Between two calls: page open, no light of an earlier call."""
        async with self._changed:
            self._lights.clear()
        if self._page is None or self._page.done():
            await self.open_page()

    async def _watch(self) -> None:
        async with contextlib.aclosing(self.client.live()) as events:  # type: ignore[type-var]  # it is a generator
            async for event in events:
                legs: list[dict[str, Any]] = event.data.get("legs", []) if event.kind == "snapshot" else []
                if event.kind == "leg":
                    legs = [event.data]
                await self._take(legs)
                if event.kind == "snapshot":
                    self._shown.set()

    async def _take(self, legs: list[dict[str, Any]]) -> None:
        async with self._changed:
            for leg in legs:
                self._lights[leg["call"]] = Light(leg["call"], leg["state"], leg["why"])
            self._changed.notify_all()
