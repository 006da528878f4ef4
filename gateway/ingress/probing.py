"""Whether the configured next hops are there: an OPTIONS to each every few seconds (RFC 3261 §11), and what calls show.

Of what passes, only what can't be sent shows a hop gone, or an INVITE without even 100: that is its own to say.
Whoever doesn't answer is tried last, never left out; one who is never asked (`probe_s` 0), for a while only. A side
none of whose next hops answers makes the gateway say 503 to the other side's OPTIONS, so that a peer with another way
takes it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from gateway.clock import Clock
from gateway.ingress.next_hop import NextHops
from gateway.sip.hop import Hop, Side, Transport

__all__ = ["Probing"]

log = structlog.get_logger()
MISSED = 2
"""Unanswered probes until a hop counts as silent; one is enough where it never answered."""

SHUNNED_S = 60.0
"""For how long a hop that nobody probes is tried last after it left a call without any answer."""
MOST_SHUNNED = 256

_Place = tuple[Side, Transport, str, int]


@dataclass(slots=True)
class _Seen:
    waiting: bool = False
    missed: int = 0
    answered: bool = False
    """At any time."""
    silent: bool = False


class Probing:
    """`ask` sends an OPTIONS; what comes of it is told with `answered` or `failed`."""

    def __init__(self, hops: Mapping[Side, NextHops], ask: Callable[[Hop], None], clock: Clock) -> None:
        self._hops = hops
        self._ask = ask
        self._clock = clock
        self._shunned: dict[_Place, float] = {}
        """Until when, of hops that aren't probed."""
        self._seen: dict[_Place, _Seen] = {}
        self._standing: dict[Side, list[Hop]] = {}

    async def run(self, side: Side, every_s: float) -> None:
        """Probe one side for ever."""
        while True:
            await self.round(side)
            await asyncio.sleep(every_s)

    async def round(self, side: Side) -> None:
        """Judge the last round's silence, and ask everybody again."""
        found = await self._hops[side].standing()
        gone = {_place(hop) for hop in self._standing.get(side, [])} - {_place(hop) for hop in found}
        for place in gone:
            self._seen.pop(place, None)
        self._standing[side] = found
        for hop in found:
            seen = self._seen.setdefault(_place(hop), _Seen())
            if seen.waiting:
                seen.missed += 1
                if seen.missed >= MISSED or not seen.answered:
                    self._fall_silent(seen, side)
            seen.waiting = True
            self._ask(hop)

    def answered(self, hop: Hop) -> None:
        """Something came from it."""
        seen = self._seen.get(_place(hop))
        self._shunned.pop(_place(hop), None)
        if seen is None:
            return
        if seen.silent:
            log.info("a next hop answers again", side=hop.side.value)
        seen.waiting, seen.missed, seen.answered, seen.silent = False, 0, True, False

    def failed(self, hop: Hop) -> None:
        """It can't be reached, or left an INVITE without any answer, even 100."""
        seen = self._seen.get(_place(hop))
        if seen is not None:
            seen.waiting = False
            self._fall_silent(seen, hop.side)
            return
        self._shunned[_place(hop)] = self._clock.now() + SHUNNED_S
        if len(self._shunned) > MOST_SHUNNED:
            del self._shunned[next(iter(self._shunned))]

    def silent(self, hop: Hop) -> bool:
        """Whether it left our last questions unanswered."""
        seen = self._seen.get(_place(hop))
        if seen is None:
            return self._shunned.get(_place(hop), 0.0) > self._clock.now()
        return seen.silent

    def in_order(self, hops: Iterable[Hop]) -> list[Hop]:
        """The configured order, but whoever is silent last."""
        return sorted(hops, key=self.silent)

    def ready(self, side: Side) -> bool:
        """Whether a call to this side has somewhere to go, as far as we know."""
        hops = self._hops[side]
        if not hops.configured:
            return bool(hops.config.peers)
        standing = self._standing.get(side)
        return standing is None or not all(self.silent(hop) for hop in standing)

    @staticmethod
    def _fall_silent(seen: _Seen, side: Side) -> None:
        if not seen.silent:
            log.warning("a next hop doesn't answer: calls try it last", side=side.value)
        seen.silent = True


def _place(hop: Hop) -> _Place:
    return hop.side, hop.transport, hop.host, hop.port
