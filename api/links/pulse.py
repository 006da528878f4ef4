"""Notices a PBX that has gone silent: a link that hears nothing would go on saying what was true before.

An idle PBX tells nothing for hours, and a connection over a dead network doesn't break by itself. So it is asked
something harmless every two seconds; where nothing comes for as long as a lease lasts, the connection is given up.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

__all__ = ["PATIENCE", "Patience", "Pulse", "kept_alive"]


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something is asked, and how long nothing may come."""

    ask_s: float
    dead_s: float


PATIENCE: Final = Patience(2.0, 6.0)


class Pulse:
    """Told of everything that comes."""

    def __init__(self) -> None:
        self.heard_at = asyncio.get_running_loop().time()

    def beat(self) -> None:
        """Something came."""
        self.heard_at = asyncio.get_running_loop().time()


@asynccontextmanager
async def kept_alive(
    writer: asyncio.StreamWriter, ask: Callable[[], Awaitable[None]], patience: Patience
) -> AsyncIterator[Pulse]:
    """While it lasts, `ask` is called every so often; after too long without a beat the connection is cut."""
    pulse = Pulse()
    asking = asyncio.create_task(_ask(pulse, writer, ask, patience))
    try:
        yield pulse
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def _ask(
    pulse: Pulse, writer: asyncio.StreamWriter, ask: Callable[[], Awaitable[None]], patience: Patience
) -> None:
    while asyncio.get_running_loop().time() - pulse.heard_at < patience.dead_s:
        await asyncio.sleep(patience.ask_s)
        await ask()
    writer.transport.abort()
