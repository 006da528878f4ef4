"""How often one sender may ask. Counted in memory by a keyed hash of who asks, never stored."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from api.errors import Problem

__all__ = ["Rates"]

LIMITS: Final = {
    "sign-in": RateLimitItemPerMinute(120),  # of one address: a whole office may sit behind one
    "name": RateLimitItemPerMinute(10),  # for one sign-in name, whoever tries
    "anonymous": RateLimitItemPerMinute(300),
    "known": RateLimitItemPerMinute(600),
    "machine": RateLimitItemPerMinute(30_000),  # a PBX says every few seconds who is on each of its calls
    "record": RateLimitItemPerMinute(20),  # tries with record codes, of one sender
    "records": RateLimitItemPerMinute(1200),  # and of all together
    "ack": RateLimitItemPerMinute(1200),
}


class Rates:
    """Counters of the running process."""

    def __init__(self, factor: int = 1) -> None:
        """`factor` multiplies every limit, for tests of something else."""
        self._factor = factor
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._key = secrets.token_bytes(32)

    async def spend(self, kind: str, who: str) -> None:
        """Count one request; raises `Problem` when it is one too many."""
        item = RateLimitItemPerMinute(LIMITS[kind].amount * self._factor)
        hashed = hashlib.blake2b(who.encode(), key=self._key, digest_size=16).hexdigest()
        if not await self._limiter.hit(item, kind, hashed):
            raise Problem("too-many-requests", 429, "too many requests; wait a minute", {"Retry-After": "60"})
