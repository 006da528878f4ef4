"""One agent's part in a call, from its entry to its single outcome: what is known of it, and its ways. Sans-IO.

Theory of operation. Inputs (`answer_in_call`, `withdraw`, `pressed`, …) note what happened; each is followed by
`reconsider`, which overlays the leg's own facts on the gathered ones, lets the policy evaluate and has the present
`Way` take the steps that follow from the decision. Nothing else opens or closes a tap. Whatever stops a recording, but
a pause, is final for the leg. Only a wish that is in the books (`wished`) ends what goes on without a stop, and begins
a way of its own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.call.caller_word import CallerWord
from gateway.call.effects import DiscardRecording, Effect, Publish
from gateway.call.indicator import Indicator
from gateway.call.model import Asked, Circumstances, EntryResult, Line
from gateway.call.reminder import Reminder
from gateway.call.stage import Stage
from gateway.call.telling import unrecorded_reasons
from gateway.call.way import SHOWN, Moment, Way, must_discard
from gateway.call.wish import MOST_ASKINGS, Part, Wish, goes_first, leavings
from gateway.events import LightState
from gateway.media.plane import CallRef, CodeHeard, DigitHeard, End, PlayEnded, RecordingId
from policy.consent import nothing_said
from policy.decision import CallerAnswer, ConsentState, Decision, Facts, PerCallAnswer, Purpose, Reason, Side
from policy.evaluate import evaluate, evaluate_lane
from policy.intersection import Terms
from policy.terms import Lane

__all__ = ["Leg"]


@dataclass(slots=True)
class Leg:
    """See the module. `new_recording` gives random recording ids."""

    call: CallRef
    agent: str
    indicator: Indicator
    new_recording: Callable[[], RecordingId]
    said: CallerWord
    """What the caller said in this call: the call's, for whichever leg."""
    entry: EntryResult | None = None
    """Of the draw; a wish has its own."""
    confirmed: bool = False
    """The initial ACK was seen: both media directions are known."""
    media_encrypted: bool = False
    party_changed: bool = False
    paused_by_call: bool = False
    unbound: bool = False
    """The PBX said that another extension is on this leg than the one that was claimed."""
    left: bool = False
    number: int = 1
    """Of the call's legs: a transfer that a PBX hides begins another."""
    per_call: dict[Purpose, PerCallAnswer] = field(default_factory=dict)
    decision: Decision | None = None
    """The newest evaluation."""
    wishes: list[Wish] = field(default_factory=list)
    """All that are in the books."""
    earlier: list[Part] = field(default_factory=list)
    """Ways that are over."""
    way: Way = field(init=False)
    """The one it is on: the draw's, until a wish begins its own."""
    _wishing: Lane | None = None
    """A wish is on its way into the books."""
    _turning: Wish | None = None
    """It is in the books: its own way begins as soon as nothing is being written."""
    _askings: dict[Lane, int] = field(default_factory=dict)
    """How often the caller was asked in ways that are over."""
    _withdrawn_by_agent: bool = False
    _withdrawn_by_caller: bool = False
    _refused_aloud: bool = False
    """The caller told the agent no: whatever the agreement says, nothing of the call is kept."""
    _leaked: bool = False
    """The caller's voice was found on the agent's side, or nobody can say that it isn't there."""
    _reminder: Reminder = field(default_factory=Reminder)
    _line: Line | None = None
    _terms: Terms | None = None

    def __post_init__(self) -> None:
        self.way = self._new_way(None)

    def _new_way(self, wish: Wish | None) -> Way:
        turn = f"-{len(self.earlier) + 1}" if self.earlier else ""
        if self.number > 1:
            turn = f"-leg{self.number}{turn}"  # what was played for the one before ends for that one
        lane = wish.lane if wish is not None else None
        return Way(self.call, self.said, self.indicator, self._reminder, self.new_recording, wish, turn, lane=lane)

    @property
    def stage(self) -> Stage:
        """Of the way it is on."""
        return self.way.stage

    # --- inputs: each only notes; the engine calls `reconsider` after it ---------------------------------------------

    def answer_in_call(self, purpose: Purpose, answer: ConsentState) -> None:
        """The agent's own answer for this call, given unprompted; a no to what is being recorded withdraws."""
        self.per_call[purpose] = PerCallAnswer(answer, unprompted=True)
        recorded = self.decision.purpose if self.decision and self.stage in (Stage.OPEN, Stage.PAUSED) else None
        if answer is ConsentState.NO and recorded is purpose:
            self.withdraw(Side.AGENT)

    def withdraw(self, by: Side) -> None:
        """Stop by the agent, or by the caller's code."""
        if by is Side.AGENT:
            self._withdrawn_by_agent = True
        else:
            self._withdrawn_by_caller = True

    def caller_refused(self) -> None:
        """The caller told the agent no: for every purpose, and whatever was recorded goes."""
        self._withdrawn_by_caller = self._refused_aloud = True
        self.said.refuse(Purpose, "agent_key")

    def follow_withdrawal(self, later: "Leg") -> None:
        """The caller withdrew in a later leg of the call: that is for the whole call."""
        self._withdrawn_by_caller = self._withdrawn_by_caller or later._withdrawn_by_caller
        self._refused_aloud = self._refused_aloud or later._refused_aloud

    def leaked(self, recording: RecordingId) -> None:
        """The caller may be heard on the agent's side of this recording, which is being destroyed."""
        if recording != self.way.recording:
            return
        if self.stage is Stage.CLOSED:
            self.way.discarded = True
        self._leaked = True

    def pressed(self, report: DigitHeard) -> None:
        """A key of the caller's."""
        if self._line is not None and report.flow == self._line.caller_flow and self.way.pressed(report):
            self._withdrawn_by_caller = True

    def code_heard(self, report: CodeHeard) -> None:
        """While a tap may be open only whole codes are told: the caller's for withdrawing."""
        if self._line is not None and report.flow == self._line.caller_flow:
            self._withdrawn_by_caller = True

    def played(self, report: PlayEnded) -> None:
        """A playing ended."""
        self.way.played(report)

    # --- the one place that decides ----------------------------------------------------------------------------------

    def reconsider(self, given: Circumstances, line: Line | None, now: float, wallclock: datetime) -> list[Effect]:
        """Evaluate and take every step that follows."""
        if self.resting:
            return []
        self._line, self._terms = line, given.terms
        effects = list(self._discard_kept()) if self.stage is Stage.CLOSED else []
        if self._turning is not None and not self.way.writing:
            effects.extend(self._turn(self._turning, now, wallclock))
        while self.stage is not Stage.CLOSED:
            before, at = self.stage, self._moment(given, now, wallclock)
            if before is Stage.IDLE and self._wishing is not None:
                break
            effects.extend(self.way.step(at))
            effects.extend(self._after(now))
            if self.stage is before:
                break
        return effects

    @property
    def resting(self) -> bool:
        """Nothing that happens can lead anywhere, but a wish."""
        over = self.stage is Stage.CLOSED and self._turning is None
        return self.left or (over and not (self._withdrawn and self._kept))

    def _moment(self, given: Circumstances, now: float, wallclock: datetime) -> Moment:
        def decide() -> Decision:
            """Once on its way, a leg stays in its lane: a recording has one purpose."""
            facts = self.facts(given.facts, now)
            return evaluate(facts) if self.way.lane is None else evaluate_lane(facts, self.way.lane)

        self.decision = decide()
        entry = self._entry if self.confirmed else None
        return Moment(given, self._line, self.decision, decide, entry, self.paused_by_call, now, wallclock)

    def _after(self, now: float) -> Iterator[Effect]:
        """What a way that closed leaves to do."""
        if self.stage is Stage.CLOSED:
            yield from self._discard_kept()
            yield from self._withdrawal_receipts(now)

    def facts(self, gathered: Facts, now: float) -> Facts:
        """The gathered facts with the leg's own laid over them."""
        entry, wished = self.entry, self.way.wish.lane if self.way.wish is not None else None
        return replace(
            gathered,
            rule=entry.rule if entry else None,
            drawn=entry.drawn if entry else None,
            ceiling_ok=entry.ceiling_ok if entry else None,
            caps_ok=entry.caps_ok if entry else None,
            campaign_full=entry.campaign_full if entry else None,
            party_known=not self.party_changed,
            media_supported=self.media_encrypted or self._recordable,
            media_encrypted=self.media_encrypted,
            no_media=False,
            leak_ok=not self._leaked,
            caller_wants_record=False,
            agent_wants_record=wished is Lane.CUSTOMER_REQUEST,
            agent_request=wished is Lane.AGENT_REQUEST,
            wish_caps_ok=wished is not None,
            agent_per_call=nothing_said() | self.per_call,
            seat_bound=gathered.seat_bound if not self.unbound else False,
            caller={purpose: self._proven(purpose, answer) for purpose, answer in self.said.answers.items()},
            withdrawn_by_agent=self._withdrawn_by_agent,
            withdrawn_by_caller=self._withdrawn_by_caller,
            caller_notice_played=self.way.notice_played,
            ack_age_ms=self.indicator.age_ms(now) if self.indicator.state in SHOWN else None,
            paused=self.paused_by_call or self.way.held(self._line),
        )

    def _proven(self, purpose: Purpose, answer: CallerAnswer) -> CallerAnswer:
        """A yes proves nothing any more once an agreement about the leg doesn't name the question that it answered."""
        asked = self.said.proven.get(purpose)
        if asked is None or asked.prompt is None or self._terms is None:
            return answer
        words = asked.prompt.sha256
        named = all(any(one.sha256 == words for one in each.consent.prompts) for each in self._terms.agreements)
        return answer if named or answer.answer is not ConsentState.YES else replace(answer, receipt=False)

    @property
    def _recordable(self) -> bool:
        """The line is one that is recorded; the agent's side alone only where it can be compared with the caller's."""
        purpose = self.decision.purpose if self.decision is not None else None
        alone = purpose is not None and self.said.refused(purpose)
        return self._line is not None and (self._line.plain or not alone)

    def codec_switched(self, recording: RecordingId, seg: int) -> None:
        """A party sends another codec than the open segment is of."""
        if (recording, seg) == (self.way.recording, self.way.seg):
            self.way.switched = True

    def next_timeout(self, now: float, wallclock: datetime) -> float | None:
        """When `reconsider` must be called at the latest."""
        if self.stage in (Stage.IDLE, Stage.CLOSED) or self.left:
            return None
        times = [self.way.next_timeout(self._terms.ack_max_age_ms if self._terms is not None else None)]
        if self._terms is not None:
            times += [now + (end - wallclock).total_seconds() for end in self._ends(self._terms)]
        return min((time for time in times if time is not None), default=None)

    def _ends(self, terms: Terms) -> Iterator[datetime]:
        """Instants at which the clock alone ends a recording."""
        yield terms.ends_at
        campaign = self.entry.rule.campaign if self.entry is not None and self.entry.rule is not None else None
        yield from (c.end for one in terms.agreements for c in one.lanes.campaigns if c.id == campaign)

    # --- wishes ------------------------------------------------------------------------------------------------------

    def refuses(self, lane: Lane) -> str | None:
        """Why nothing can be asked for in this lane now: a stable code; None where it can."""
        if self.left:
            return "call_over"
        if self.way.opened and self.stage is Stage.CLOSED:
            return "stop_is_final"
        if self._wishing is not None or self._turning is not None:
            return "already_asked_for"
        if self.stage is not Stage.CLOSED and not goes_first(lane, self.way.lane):
            return "already_asked_for"
        asked_now = int(self.way.asked and self.way.lane is lane)
        if self._askings.get(lane, 0) + asked_now >= MOST_ASKINGS[lane]:
            return "asked_often_enough"
        return None

    def foreseen(self, given: Circumstances, lane: Lane, purpose: Purpose, now: float) -> Decision:
        """What the policy would say if the agent's wish for that purpose stood, before anything is written."""
        facts = self.facts(given.facts, now)
        return evaluate_lane(
            replace(
                facts,
                agent_wants_record=lane is Lane.CUSTOMER_REQUEST,
                agent_request=lane is Lane.AGENT_REQUEST,
                wish_caps_ok=True,
                agent_per_call={**(facts.agent_per_call or {}), purpose: PerCallAnswer(ConsentState.YES, True)},
            ),
            lane,
        )

    def wishing(self, lane: Lane | None) -> None:
        """A wish is on its way into the books, or (None) didn't get there: no other way begins meanwhile."""
        self._wishing = lane

    def wished(self, wish: Wish) -> list[Effect]:
        """It is in the books, with the agent's own yes for its purpose."""
        self._wishing = None
        known = wish in self.wishes  # asked for again: it has its entry, and with it its `out` when the leg leaves
        if not known:
            self.wishes.append(wish)
        if self.left:
            return [] if known else list(leavings(self.call, (wish.entry,), ()))
        self.answer_in_call(wish.purpose, ConsentState.YES)
        self._turning = wish
        return []

    def _turn(self, wish: Wish, now: float, wallclock: datetime) -> Iterator[Effect]:
        """What goes on ends and is kept; the wish's own way begins."""
        self._turning = None
        if self.stage is Stage.CLOSED and self.way.opened:
            return  # stopped while the wish was written: final
        if self.stage not in (Stage.IDLE, Stage.CLOSED):
            yield from self.way.end(self._line, self._terms, End.NORMAL, (), now, wallclock)
        if self.way.asked and self.way.lane is not None:
            self._askings[self.way.lane] = self._askings.get(self.way.lane, 0) + 1
        self.earlier.append(self._part())
        self.way = self._new_way(wish)

    @property
    def _entry(self) -> int | None:
        """Of the way it is on."""
        if self.way.wish is not None:
            return self.way.wish.entry
        return self.entry.entry if self.entry is not None else None

    def _part(self) -> Part:
        rule = self.entry.rule if self.entry is not None and self.way.wish is None else None
        return Part(
            entry=self._entry,
            recording=self.way.recording,
            opened=self.way.opened > 0,
            discarded=self.way.discarded,
            cut=bool(self.way.ended_by),
            reasons=self.told_reasons(),
            answer=self.said.answers.get(rule.purpose) if rule is not None else None,
        )

    # --- durable work is done ----------------------------------------------------------------------------------------

    def introduce(self, now: float, wallclock: datetime) -> list[Effect]:
        """The call stands: the agent's pages know it from now on, dark, so that something can be asked for in it."""
        if self.indicator.shown is not None or self.left:
            return []
        return [Publish(self.indicator.show(LightState.OFF, now, wallclock))]

    def hand_over(self, now: float, wallclock: datetime) -> list[Effect]:
        """Another agent has the call: this one's pages forget it. What was recorded stays with the leg to its end."""
        if self.indicator.shown is None or self.left:
            return []
        return [Publish(self.indicator.show(LightState.OFF, now, wallclock, connected=False))]

    def receipt_written(self, purpose: Purpose, asked: Asked, now: float) -> list[Effect]:
        """The yes is proven: tell the caller and the agent that recording is about to start."""
        if not self.said.written(purpose, asked):
            return list(self.said.withdrawals(now, (purpose,)))
        if self.left or self.stage is Stage.CLOSED:
            return list(self._withdrawal_receipts(now))
        return list(self.way.proven(purpose, self.decision, self._line, now))

    def decision_durable(
        self, given: Circumstances, line: Line | None, now: float, wallclock: datetime
    ) -> list[Effect]:
        """The decision row is on disk: all gates once more, and only then the order to record."""
        self.way.writing = False
        if self.left or self.stage is not Stage.LIT or self.way.recording is None or self._turning is not None:
            return list(self.way.unopened())
        self._line, self._terms = line, given.terms
        return [*self.way.open(self._moment(given, now, wallclock)), *self._after(now)]

    def decision_failed(self, now: float, wallclock: datetime) -> list[Effect]:
        """The decision could not be made durable: the tap stays closed."""
        self.way.writing = False
        return self.abandon(now, wallclock, (Reason.STORAGE_UNAVAILABLE,))

    def abandon(self, now: float, wallclock: datetime, reasons: tuple[Reason, ...]) -> list[Effect]:
        """Give the leg up for recording: something it needs is gone."""
        if self.stage is Stage.CLOSED or self.left:
            return []
        ending = self.way.end(self._line, self._terms, End.STOPPED, reasons, now, wallclock)
        return [*ending, *self._after(now)]

    # --- withdrawal --------------------------------------------------------------------------------------------------

    @property
    def _withdrawn(self) -> bool:
        return self._withdrawn_by_agent or self._withdrawn_by_caller

    @property
    def _kept(self) -> bool:
        """Something of this leg is recorded and over."""
        ended = self.stage is Stage.CLOSED and self.way.opened > 0 and not self.way.discarded
        return ended or any(part.opened and not part.discarded for part in self.earlier)

    def _discard_kept(self) -> Iterator[Effect]:
        """A withdrawal is for the whole call: what an earlier stop or a wish left goes too."""
        reason = Reason.CALLER_REFUSED if self._refused_aloud else Reason.WITHDRAWN_BY_CALLER
        if not (self._withdrawn and self._kept and must_discard((reason,), self._terms)):
            return
        if self.stage is Stage.CLOSED and self.way.opened and not self.way.discarded:
            yield self.way.discard()
        for place, part in enumerate(self.earlier):
            if part.opened and part.recording is not None and not part.discarded:
                self.earlier[place] = replace(part, discarded=True)
                yield DiscardRecording(self.call, part.recording)

    def _withdrawal_receipts(self, now: float) -> Iterator[Effect]:
        """A yes that was withdrawn leaves a receipt of that; a no leaves none."""
        if self._withdrawn_by_caller:
            yield from self.said.withdrawals(now)

    # --- the end -----------------------------------------------------------------------------------------------------

    def leave(self, now: float, wallclock: datetime) -> list[Effect]:
        """The agent's part in the call is over; a recording that runs until here ends as `normal`."""
        if self.left:
            return []
        effects: list[Effect] = []
        self.way.cut_question()
        if self.stage is Stage.OPEN:
            effects.extend(self.way.stop_segment(End.NORMAL, ()))
        self.left = True
        if self.indicator.shown is not None:
            why = self.way.ended_by[0].value if self.way.ended_by else None
            effects.append(Publish(self.indicator.show(LightState.OFF, now, wallclock, why=why, connected=False)))
        effects.extend(leavings(self.call, self.entries, (*self.earlier, self._part())))
        return effects

    @property
    def entries(self) -> tuple[int, ...]:
        """All that wait for their `out`: the draw's, and those of wishes."""
        drawn = (self.entry.entry,) if self.entry is not None else ()
        return (*drawn, *(wish.entry for wish in self.wishes))

    def told_reasons(self) -> tuple[Reason, ...]:
        """Why the leg isn't (or no longer) recorded, as its agent may know it."""
        if self.way.ended_by:
            return self.way.ended_by
        if self.way.opened or self.decision is None:
            return ()
        return unrecorded_reasons(self.decision)
