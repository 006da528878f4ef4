"""One call: its media negotiation and its agent leg, behind four verbs and the reports of the media plane. Sans-IO.

Theory of operation. The engine holds one `Call` for each initial INVITE and tells it, in order, what happened: SDP
that passes (`describe`), the first 2xx (`answered`), the ACK (`confirmed`), a transfer (`referred`), the end
(`hang_up`), and whatever the media plane, the agent and the API report. Inputs return effects; the engine applies them
and feeds back what they promise to answer. There is no await, no clock and no dice in here: `now`, `wallclock`,
references and nonces come in. A call without ports, or one that outlived a restart, is relayed and never recorded.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.call.caller_word import CallerWord
from gateway.call.effects import Effect, EnterLeg, PlaneOrder
from gateway.call.leg import Leg
from gateway.call.model import Asked, Circumstances, DialogTag, EntryResult, Lease, NewCall, SdpMessage
from gateway.call.negotiation import Negotiation
from gateway.call.stage import Stage
from gateway.media.plane import CallRef, MediaSeen, PlayEnded, Remove
from gateway.sdp.record import RecordState, declines, with_record
from policy.decision import Purpose, Side

__all__ = ["Call"]

EXPLAINED_S = 3.0
"""How long after new SDP from a party a changed SSRC counts as explained by it."""


@dataclass(slots=True)
class Call:
    """See the module. `worker` None: no ports, the call passes un-anchored."""

    ref: CallRef
    new: NewCall
    negotiation: Negotiation
    worker: int | None
    since: datetime
    make_leg: Callable[[str, CallerWord], Leg]
    """Makes the leg of an agent."""
    adopted: bool = False
    """It outlived a restart: relayed, never recorded."""
    needs_lease: bool = False
    """A PBX hides who is on it: a leg has an agent only while the PBX says so."""
    lease: Lease | None = None
    leg: Leg | None = None
    answered_dialog: DialogTag | None = None
    record_aware: set[Side] = field(default_factory=set)
    """Who is told in descriptions whether the call is recorded (RFC 7866)."""
    _confirmed: bool = False
    _described_at: dict[Side, float] = field(default_factory=dict)
    said: CallerWord = field(init=False)
    """What the caller said about being recorded, from before anybody answered."""

    def __post_init__(self) -> None:
        self.said = CallerWord(self.ref)

    # --- signalling --------------------------------------------------------------------------------------------------

    def describe(self, message: SdpMessage, now: float) -> tuple[bytes, list[Effect]]:
        """SDP on its way; returns what goes on in its place. Raises `SdpError`, `NegotiationError`."""
        if not self.negotiation.fixed or message.dialog == self.negotiation.chosen:
            self._described_at[message.party] = now  # what another branch says explains nothing of this one
        if message.party is Side.CALLER and declines(message.body):  # from anybody else it means nothing here
            self.said.refuse(Purpose, None)
        body, effects = self.negotiation.describe(message)
        to = Side.AGENT if message.party is Side.CALLER else Side.CALLER
        return with_record(body, self._record_state) if to in self.record_aware else body, effects

    @property
    def _record_state(self) -> RecordState:
        stage = self.leg.stage if self.leg is not None and not self.leg.left else None
        return "on" if stage is Stage.OPEN else "paused" if stage is Stage.PAUSED else "off"

    def identify(self, new: NewCall) -> None:
        """Whoever forked the call before us sent an INVITE to each phone: the one that was answered tells the agent."""
        same = (new.uac, new.uac_tag) == (self.new.uac, self.new.uac_tag)
        self.new = new if same else replace(self.new, extension=None)

    def answered(self, dialog: DialogTag, agent: str | None) -> list[Effect]:
        """A 2xx to the initial INVITE: the first one fixes the branch, and with it the agent's leg."""
        if self.answered_dialog is not None:
            return []
        self.answered_dialog = dialog
        return [*self.negotiation.fix(dialog), *(self.seat(agent) if agent is not None else ())]

    def seat(self, agent: str) -> list[Effect]:
        """This agent's leg begins."""
        if self.leg is not None or self.worker is None or self.adopted:
            return []
        self.leg = self.make_leg(agent, self.said)
        self.leg.confirmed = self._confirmed
        return [EnterLeg(agent)]

    def confirmed(self) -> None:
        """The ACK of the initial 2xx passed."""
        self._confirmed = True
        if self.leg is not None:
            self.leg.confirmed = True

    def referred(self) -> None:
        """One party transfers the other, or somebody takes the call over: a party change."""
        if self.leg is not None:
            self.leg.party_changed = True

    def taken_over(self, new: NewCall, now: float) -> "Call":
        """The same call, after a transfer that a PBX hides: another agent's leg may begin in it.

        What the caller said is the call's and holds on. The agent's side may sound from elsewhere: that is explained.
        """
        call = Call(
            self.ref, new, self.negotiation, self.worker, self.since, self.make_leg, self.adopted, self.needs_lease
        )
        call.lease, call.answered_dialog, call.said = self.lease, self.answered_dialog, self.said
        call.record_aware, call._confirmed = self.record_aware, self._confirmed
        call._described_at = {**self._described_at, Side.AGENT: now}
        return call

    def end_leg(self, now: float, wallclock: datetime) -> list[Effect]:
        """A BYE passed: the leg is over at once, the ports stay for what is still on the wire."""
        return self.leg.leave(now, wallclock) if self.leg is not None else []

    def hang_up(self, now: float, wallclock: datetime) -> list[Effect]:
        """The call is over: the leg leaves first, then the ports go."""
        effects = self.end_leg(now, wallclock)
        if self.worker is not None:
            effects.append(PlaneOrder(Remove(self.ref)))
        return effects

    # --- the leg -----------------------------------------------------------------------------------------------------

    def entered(self, result: EntryResult) -> None:
        """The leg is in the books and drawn."""
        if self.leg is not None:
            self.leg.entry = result

    def media_seen(self, report: MediaSeen) -> None:
        """A party sends under a new SSRC; one that no signalling explains is a party change."""
        if report.earlier is None or self.leg is None:
            return
        party = Side.AGENT if f"/{Side.AGENT.value}/" in report.flow else Side.CALLER
        described = self._described_at.get(party)
        if described is None or abs(report.at - described) > EXPLAINED_S:
            self.leg.party_changed = True

    def played(self, report: PlayEnded) -> None:
        """A playing ended."""
        if self.leg is not None:
            self.leg.played(report)

    def receipt_written(self, purpose: Purpose, asked: Asked, now: float) -> list[Effect]:
        """The caller's yes is proven, whether or not anybody answered yet."""
        if self.leg is not None:
            return self.leg.receipt_written(purpose, asked, now)
        return [] if self.said.written(purpose, asked) else list(self.said.withdrawals(now, (purpose,)))

    def next_timeout(self, now: float, wallclock: datetime) -> float | None:
        """When `reconsider` must be called at the latest."""
        if self.leg is None or self.leg.stage is Stage.CLOSED:
            return None
        times = [self.leg.next_timeout(now, wallclock), self.lease.until if self.needs_lease and self.lease else None]
        return min((time for time in times if time is not None), default=None)

    def reconsider(self, given: Circumstances, now: float, wallclock: datetime) -> list[Effect]:
        """Let the leg decide anew."""
        if self.leg is None:
            return []
        if self.needs_lease and (self.lease is None or now >= self.lease.until):
            self.leg.party_changed = True  # the PBX no longer says who is on it: final for the leg
        self.leg.media_encrypted = self.negotiation.encrypted
        known = self.leg.introduce(now, wallclock) if self._confirmed else []
        return known + self.leg.reconsider(given, self.negotiation.line(), now, wallclock)
