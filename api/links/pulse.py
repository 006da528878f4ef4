"""Notices a PBX that has gone silent: a link that hears nothing would go on saying what was true before.

An idle PBX tells nothing for hours, and a connection over a dead network doesn't break by itself. So it is asked
something harmless every two seconds; where nothing comes for as long as a lease lasts, the connection is given up.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from gateway.clock import Clock, SystemClock

__all__ = ["PATIENCE", "Patience", "Pulse", "kept_alive"]


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something is asked, and how long nothing may come."""

    ask_s: float
    dead_s: float
    clock: Clock = field(default_factory=SystemClock)


PATIENCE: Final = Patience(2.0, 6.0)


class Pulse:
    """Told of everything that comes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.beat()

    def beat(self) -> None:
        """Something came."""
        self.heard_at = self._clock.now()

    @property
    def silent_s(self) -> float:
        """How long nothing came."""
        return self._clock.now() - self.heard_at


@asynccontextmanager
async def kept_alive(
    writer: asyncio.StreamWriter, ask: Callable[[], Awaitable[None]], patience: Patience
) -> AsyncIterator[Pulse]:
    """While it lasts, `ask` is called every so often; after too long without a beat the connection is cut."""
    pulse = Pulse(patience.clock)
    asking = asyncio.create_task(_ask(pulse, writer, ask, patience))
    try:
        yield pulse
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def _ask(
    pulse: Pulse, writer: asyncio.StreamWriter, ask: Callable[[], Awaitable[None]], patience: Patience
) -> None:
    while pulse.silent_s < patience.dead_s:
        await asyncio.sleep(patience.ask_s)
        await ask()
    writer.transport.abort()
