"""Takes what an agent asks for in a call: refused before anything is written where it would be in vain, else entered.

The press is the agent's own signed yes for this call and purpose; whoever asks on without it is refused. The caller is
asked after the entry is durable (`call.wish`), so a wish that comes to nothing has entry and `out` all the same.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog

from gateway.call.effects import Effect
from gateway.call.leg import Leg
from gateway.call.model import Circumstances
from gateway.call.wish import Wish
from gateway.clock import Clock
from gateway.engine.errors import Refused
from gateway.engine.ledger import Ledger
from gateway.engine.live_call import LiveCall, SignedYes
from gateway.engine.site import Site
from policy.decision import ASKABLE, Reason
from policy.terms import Lane, Purpose
from storage.errors import StorageError

__all__ = ["Steps", "Wishing"]

log = structlog.get_logger()
SAID = {
    "call_over": "the call is over",
    "stop_is_final": "the recording of this call was stopped: that is final",
    "already_asked_for": "this is being asked for already, or something that comes first",
    "asked_often_enough": "the caller was asked in this call and stayed silent",
    "lane_not_agreed": "the agreement doesn't provide for that",
    "question_missing": "the agreement names no question of the catalogue that asks the caller for this purpose",
}
"""Refusals that aren't a reason of the policy's, and the one that the agreement alone gives."""


class Steps(Protocol):
    """What a wish asks of the engine."""

    def do(self, live: LiveCall, work: Callable[[], Awaitable[None]]) -> None:
        """Queue durable work of a call."""

    def gather(self, live: LiveCall, leg: Leg, now: float, wallclock: datetime) -> Circumstances:
        """What a decision needs to know now."""

    def step(self, live: LiveCall, step: Callable[[], list[Effect]]) -> None:
        """Take one step of the core and apply its effects."""

    def reconsider(self, live: LiveCall) -> None:
        """Let a call decide anew."""


class Wishing:
    """See the module."""

    def __init__(self, steps: Steps, *, clock: Clock, site: Site, ledger: Ledger) -> None:
        self._steps = steps
        self._clock = clock
        self._site = site
        self._ledger = ledger

    def purpose(self, live: LiveCall, leg: Leg, lane: Lane) -> Purpose:
        """What the agreements about this leg ask for in that lane; raises `Refused` where they don't."""
        about = self._site.about(leg.agent, live.call.new.queue)
        found = {one.lanes.purpose(lane) for one in about}
        purpose = found.pop() if len(found) == 1 else None
        if purpose is None:
            raise _refused("lane_not_agreed")
        return purpose

    async def ask(self, live: LiveCall, leg: Leg, lane: Lane, purpose: Purpose, yes: SignedYes) -> None:
        """Enter the agent's wish, which is their signed yes, and let the leg begin. Raises `Refused`."""
        self._refuse_in_vain(live, leg, lane, purpose)
        leg.wishing(lane)
        told: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._steps.do(live, partial(self._enter, live, leg, Wish(lane, purpose, 0), yes, told))
        refusal = await told
        if refusal is not None:
            raise _refused(refusal)

    def _refuse_in_vain(self, live: LiveCall, leg: Leg, lane: Lane, purpose: Purpose) -> None:
        code = leg.refuses(lane)
        if code is not None:
            raise _refused(code)
        now, wallclock = self._clock.now(), self._clock.wallclock()
        given = self._steps.gather(live, leg, now, wallclock)
        reasons = [one for one in leg.foreseen(given, lane, purpose, now).reasons if one not in ASKABLE]
        if reasons:
            listed = ", ".join(reason.value for reason in reasons)
            raise Refused(reasons[0].value.lower(), f"this call can't be recorded for that: {listed}")
        if purpose not in given.prompts and not leg.said.agreed(purpose):
            raise _refused("question_missing")

    async def _enter(
        self, live: LiveCall, leg: Leg, wish: Wish, yes: SignedYes, told: "asyncio.Future[str | None]"
    ) -> None:
        """In the call's own queue. Whatever happens, who waits is told."""
        refusal: str | None = "storage_unavailable"
        try:
            entry = await self._booked(live, leg, wish)
            refusal = Reason.AGENT_CAP.value.lower() if entry is None else None
            if entry is not None:
                live.said_yes[wish.purpose] = yes
                self._steps.step(live, partial(leg.wished, Wish(wish.lane, wish.purpose, entry)))
        except StorageError as error:
            self._site.storage_available = False  # until the next probe succeeds
            log.error("a wish could not be entered", fault=type(error).__name__)
        finally:
            if refusal is not None:
                leg.wishing(None)
            self._steps.reconsider(live)
            if not told.done():
                told.set_result(refusal)

    async def _booked(self, live: LiveCall, leg: Leg, wish: Wish) -> int | None:
        """The wish's entry, one for each lane and leg however often the caller is asked; None: the count is used up."""
        known = next((one.entry for one in leg.wishes if (one.lane, one.purpose) == (wish.lane, wish.purpose)), None)
        if known is not None:
            return known
        wallclock = self._clock.wallclock()
        wished = await self._ledger.wish(
            self._site.agents[leg.agent],
            self._site.about(leg.agent, live.call.new.queue) or self._site.agreements,
            wish.lane,
            call=live.call.ref,
            call_id=live.call.new.call_id,
            wallclock=wallclock,
        )
        if wished is None:
            return None
        self._site.watch.written(wallclock)
        live.wishes[wished.entry.entry] = wished
        return wished.entry.entry


def _refused(code: str) -> Refused:
    if code == "storage_unavailable":
        return Refused(code, "nothing can be written now, so nothing is recorded; the call goes on", 503)
    if code == Reason.AGENT_CAP.value.lower():
        return Refused(code, "this week's number of records on request is used up")
    return Refused(code, SAID[code])
