"""What others say about a running call: who is on it (the PBX), what the caller answered (an IVR, a header).

A *no* is believed from anybody who may say anything at all. A *yes* counts only as the agreement names it, and only
once its receipt is durable. The PBX's word may contradict an agent's own claim of a seat, never make one.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from gateway.call.effects import Effect, WriteReceipt
from gateway.call.leg import Leg
from gateway.call.model import Asked, Lease, NewCall, Private, SipCallId
from gateway.clock import Clock
from gateway.engine.errors import Refused
from gateway.engine.live_call import LiveCall
from gateway.engine.site import Site
from policy.agreement.schema import Prompt
from policy.consent import ivr_prompt
from policy.decision import Purpose
from policy.intersection import combined

__all__ = ["Calls", "Hearsay", "Spoken"]

LONGEST_LEASE_S = 10.0
SKEW = timedelta(seconds=5)
"""By how much an IVR's clock may be ahead of ours."""
UNPROVEN = "CONSENT_UNPROVEN: no agreement names this IVR with this prompt and purpose, or the times don't fit"
OLDEST = timedelta(hours=1)
"""An answer that was given earlier was given in another call."""


class Calls(Protocol):
    """What hearsay asks of the engine."""

    clock: Clock
    site: Site
    calls: dict[SipCallId, LiveCall]

    def apply(self, live: LiveCall, effects: Iterable[Effect]) -> None:
        """Do what the core wants."""

    def reconsider(self, live: LiveCall) -> None:
        """Let a call decide anew."""

    def take_over(self, live: LiveCall, new: NewCall) -> LiveCall:
        """Another agent has the call."""
        ...

    def step(self, live: LiveCall, step: Callable[[], list[Effect]]) -> None:
        """Take one step of the core and apply its effects."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A yes as an IVR tells it: by which prompt, when the prompt had ended, when the answer came. Times are UTC."""

    prompt_sha256: str
    prompt_end: datetime
    answered_at: datetime


class Hearsay:
    """See the module."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    # --- who is on it ------------------------------------------------------------------------------------------------

    def lease(self, live: LiveCall, extension: str | None, ttl_s: float, queue: str | None = None) -> None:
        """For so long this extension is on the call; None: nobody is. Said again and again, or the leg stops."""
        call, now = live.call, self._calls.clock.now()
        told = Private(extension) if extension else None
        call.lease = Lease(told, now + min(ttl_s, LONGEST_LEASE_S)) if told is not None else None
        live.named = live.named or told is not None
        if call.leg is None and call.needs_lease and told is not None:
            call.new = replace(call.new, extension=told, queue=queue or call.new.queue)
            self.seat(live)
        elif call.leg is not None and call.needs_lease:
            live = self._moved(live, told, queue)
        elif call.leg is not None and told is not None and told != call.new.extension:
            call.leg.unbound = True
        self._calls.reconsider(live)

    def _moved(self, live: LiveCall, told: Private | None, queue: str | None) -> LiveCall:
        """Where the PBX put somebody else on: the leg before ends, for good; the next agent's own may begin.

        Each agent has one leg in a call: whoever comes back isn't drawn a second time.
        """
        call = live.call
        if told == call.new.extension or call.leg is None:
            return live
        call.leg.party_changed = True
        self._calls.reconsider(live)  # closes the tap first
        new = replace(call.new, extension=told, queue=queue or call.new.queue, also_said=())
        agent = self._calls.site.claimant(new) if told is not None else None
        if agent is None or call.answered_dialog is None or agent in {leg.agent for leg in live.legs()}:
            return live
        follower = self._calls.take_over(live, new)
        self.seat(follower)
        return follower

    def seat(self, live: LiveCall) -> None:
        """Where the PBX says who is on an answered call: the leg of the agent who claims that seat begins."""
        call = live.call
        held = call.lease is not None and self._calls.clock.now() < call.lease.until
        if not held or call.answered_dialog is None or call.leg is not None:
            return
        live.agent = self._calls.site.claimant(call.new)
        if live.agent is not None:
            self._calls.apply(live, call.seat(live.agent))

    # --- what the caller answered ------------------------------------------------------------------------------------

    def caller_refused(self, call_id: SipCallId) -> None:
        """A header says so: a no for every purpose."""
        live = self._calls.calls.get(call_id)
        if live is not None:
            self._refuse(live, tuple(Purpose), None)

    def ivr_refused(self, live: LiveCall, ivr: str, purpose: Purpose) -> None:
        """The caller said no to an IVR; a yes to this purpose is taken back, and what was recorded for it goes."""
        self._refuse(live, (purpose,), f"ivr:{ivr}")

    def ivr_heard_nothing(self, live: LiveCall, purpose: Purpose) -> None:
        """The caller was asked and stayed silent: nobody asks them again, and no earlier answer changes."""
        live.call.said.silent.add(purpose)
        self._calls.reconsider(live)

    def ivr_agreed(self, live: LiveCall, ivr: str, purpose: Purpose, spoken: Spoken | None) -> None:
        """The caller said yes to an IVR; raises `Refused` unless the agreement names it, and the prompt by its hash."""
        said, channel = live.call.said, f"ivr:{ivr}"
        if said.refused(purpose):
            raise Refused("no_is_final", "the caller said no to this purpose in this call", 409)
        if purpose in said.proven:
            return
        now, wallclock = self._calls.clock.now(), self._calls.clock.wallclock()
        agreements = self._calls.site.agreements
        prompt = ivr_prompt(agreements, ivr, spoken.prompt_sha256, purpose) if spoken is not None else None
        fits = prompt is not None and self._fits(prompt, purpose)
        if prompt is None or spoken is None or not fits or not _plausible(spoken, wallclock):
            said.unproven(purpose, channel)
            self._calls.reconsider(live)
            raise Refused(
                "consent_unproven", "CONSENT_UNPROVEN: the agreement names no such IVR, prompt or purpose", 422
            )
        asked = Asked(channel, prompt.language, prompt)
        ended, answered = ((at - wallclock).total_seconds() + now for at in (spoken.prompt_end, spoken.answered_at))
        self._calls.apply(live, [WriteReceipt(live.call.ref, purpose, "yes", asked, ended, answered)])

    def _fits(self, prompt: Prompt, purpose: Purpose) -> bool:
        """Not where it is a question of ours for something else, or our notice would name other keys for stopping."""
        there = self._calls.site.announcements
        told = there.notices.get(prompt.language) == prompt.withdraw_code
        return told and there.asks_for(prompt) in (None, purpose)

    def agent_told_yes(self, live: LiveCall, leg: Leg, purpose: Purpose, language: str) -> None:
        """The leg's agent signed that the caller said yes; raises `Refused` unless every agreement takes that."""
        said = live.call.said
        agreements = self._calls.site.about(leg.agent, live.call.new.queue)
        if not agreements or "agent_key" not in combined(agreements).channels:
            raise Refused("channel_not_agreed", "the agreement doesn't take a caller's yes from the agent", 409)
        if said.refused(purpose):
            raise Refused("no_is_final", "the caller said no to this purpose in this call", 409)
        if purpose not in said.proven:
            asked, now = Asked("agent_key", language, None), self._calls.clock.now()
            self._calls.apply(live, [WriteReceipt(live.call.ref, purpose, "yes", asked, None, now)])

    def _refuse(self, live: LiveCall, purposes: tuple[Purpose, ...], channel: str | None) -> None:
        live.call.said.refuse(purposes, channel)
        self._calls.reconsider(live)  # closes the tap first
        self._calls.apply(live, live.call.said.withdrawals(self._calls.clock.now(), purposes))


def _plausible(spoken: Spoken, wallclock: datetime) -> bool:
    """The answer came after the whole prompt, in this call's time."""
    return wallclock - OLDEST <= spoken.prompt_end <= spoken.answered_at <= wallclock + SKEW
