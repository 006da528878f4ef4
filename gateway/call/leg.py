"""One agent's part in a call, from its entry to its single outcome: asks, notices, lights, opens, stops. Sans-IO.

Theory of operation. Inputs (`entered`, `answered`, `pressed`, …) note what happened; each is followed by `reconsider`,
which overlays the leg's own facts on the gathered ones, lets the policy evaluate and takes the steps that follow from
the decision. Nothing else opens or closes a tap. Order is the safety: receipt durable → notice → light published and
acknowledged → decision durable → every gate once more → the order to record. Closing goes the other way round: the
order to stop is the first effect. Whatever stops a recording, but a pause, is final for the leg. Only a wish that is in
the books (`wished`) ends what goes on without a stop, and begins a way of its own (`wish`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gateway.call.asking import Question, play_to
from gateway.call.caller_word import CallerWord
from gateway.call.effects import (
    DiscardRecording,
    Effect,
    PlaneOrder,
    Publish,
    WriteDecision,
    WriteReceipt,
    WriteStop,
)
from gateway.call.indicator import Indicator
from gateway.call.model import Asked, Circumstances, EntryResult, Line
from gateway.call.notice import NOTICE_WAIT_S, Notice
from gateway.call.pausing import listen_for_codes
from gateway.call.reminder import Reminder
from gateway.call.stage import STEPS, Stage
from gateway.call.telling import closing_reasons, unrecorded_reasons
from gateway.call.wish import MOST_ASKINGS, Part, Wish, goes_first, leavings
from gateway.errors import GatewayError
from gateway.events import LightState
from gateway.media.plane import (
    CallRef,
    CodeHeard,
    DigitHeard,
    End,
    Listen,
    PlayEnded,
    Record,
    RecordingId,
    RecordSide,
    Stop,
)
from gateway.rtp.key_codes import KeyCodes
from policy.agreement.schema import Prompt
from policy.consent import nothing_said
from policy.decision import (
    ConsentState,
    Decision,
    Facts,
    Outcome,
    PerCallAnswer,
    Purpose,
    Reason,
    Side,
    pending,
)
from policy.evaluate import evaluate, evaluate_lane
from policy.intersection import Terms
from policy.terms import Lane, WithdrawalEffect

__all__ = ["Leg", "LegError"]

LIT_WAIT_S = 5.0
"""How long a page may take to acknowledge the light before the leg is given up."""
STALE_AFTER_S = 0.002
"""Ages are whole milliseconds: one more is surely stale, whatever the floating point says."""
WHILE_PAUSED = frozenset({Reason.PAUSED, Reason.INDICATOR_STALE})
WHILE_LIT = frozenset({Reason.INDICATOR_STALE})


class LegError(GatewayError):
    """A broken invariant of the leg's stages: the leg is dropped from recording, the call goes on."""


@dataclass(slots=True)
class Leg:
    """See the module. `new_recording` gives random recording ids."""

    call: CallRef
    agent: str
    indicator: Indicator
    new_recording: Callable[[], RecordingId]
    said: CallerWord
    """What the caller said in this call: the call's, for whichever leg."""
    stage: Stage = Stage.IDLE
    lane: Lane | None = None
    """Of the way it is on, from the first step on; None: whichever lane the policy finds open."""
    entry: EntryResult | None = None
    """Of the draw; a wish has its own."""
    confirmed: bool = False
    """The initial ACK was seen: both media directions are known."""
    media_encrypted: bool = False
    party_changed: bool = False
    paused_by_call: bool = False
    recording: RecordingId | None = None
    seg: int = 0
    opened: int = 0
    """Segments whose taps were really opened."""
    decision: Decision | None = None
    """The newest evaluation."""
    ended_by: tuple[Reason, ...] = ()
    """Why it closed, where a stop closed it."""
    discarded: bool = False
    left: bool = False
    per_call: dict[Purpose, PerCallAnswer] = field(default_factory=dict)
    unbound: bool = False
    """The PBX said that another extension is on this leg than the one that was claimed."""
    wish: Wish | None = None
    """Whose way it is on; None: the draw's."""
    wishes: list[Wish] = field(default_factory=list)
    """All that are in the books."""
    earlier: list[Part] = field(default_factory=list)
    """Ways that are over."""
    _wishing: Lane | None = None
    """A wish is on its way into the books."""
    _turning: Wish | None = None
    """It is in the books: its own way begins as soon as nothing is being written."""
    _askings: dict[Lane, int] = field(default_factory=dict)
    _withdrawn_by_agent: bool = False
    _withdrawn_by_caller: bool = False
    _refused_aloud: bool = False
    """The caller told the agent no: whatever the agreement says, nothing of the call is kept."""
    _leaked: bool = False
    """The caller's voice was found on the agent's side, or nobody can say that it isn't there."""
    _sides: frozenset[Side] = frozenset()
    """Whose audio the open tap takes."""
    _notice_played: bool = False
    _question: Question | None = None
    _prompt: Prompt | None = None
    _code: KeyCodes | None = None
    _notice: Notice | None = None
    _reminder: Reminder = field(default_factory=Reminder)
    _writing: bool = False
    """A decision is on its way to the disk."""
    _line: Line | None = None
    _deadline: float | None = None
    _terms: Terms | None = None

    # --- inputs: each only notes; the engine calls `reconsider` after it ---------------------------------------------

    def answer_in_call(self, purpose: Purpose, answer: ConsentState) -> None:
        """The agent's own answer for this call, given unprompted."""
        self.per_call[purpose] = PerCallAnswer(answer, unprompted=True)

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

    def leaked(self, recording: RecordingId) -> None:
        """The caller may be heard on the agent's side of this recording, which is being destroyed."""
        if recording != self.recording:
            return
        if self.stage is Stage.CLOSED:
            self.discarded = True
        self._leaked = True

    def pressed(self, report: DigitHeard) -> None:
        """A key of the caller's."""
        if self._line is None or report.flow != self._line.caller_flow:
            return
        if self._question is not None:
            self._question.pressed(report)
        elif self._code is not None:
            refused = self.stage in (Stage.NOTICING, Stage.LIT) and report.digit == self._refuse_key
            if refused or self._code.pressed(report.digit, report.began_at):
                self._withdrawn_by_caller = True

    def code_heard(self, report: CodeHeard) -> None:
        """While a tap may be open only whole codes are told: the caller's for withdrawing."""
        if self._line is not None and report.flow == self._line.caller_flow:
            self._withdrawn_by_caller = True

    def played(self, report: PlayEnded) -> None:
        """A playing ended."""
        if self._question is not None:
            self._question.played(report)
        elif self._notice is not None:
            self._notice.played(report)
        else:
            self._reminder.played(report)

    # --- the one place that decides ----------------------------------------------------------------------------------

    def reconsider(self, given: Circumstances, line: Line | None, now: float, wallclock: datetime) -> list[Effect]:
        """Evaluate and take every step that follows."""
        if self.resting:
            return []
        self._line, self._terms = line, given.terms
        effects = list(self._discard_kept()) if self.stage is Stage.CLOSED else []
        if self._turning is not None and not self._writing:
            effects.extend(self._turn(self._turning, now, wallclock))
        while self.stage is not Stage.CLOSED:
            before = self.stage
            self.decision = self._decide(given.facts, now)
            effects.extend(_STEP[before](self, given, self.decision, now, wallclock))
            if self.stage is before:
                break
        return effects

    @property
    def resting(self) -> bool:
        """Nothing that happens can lead anywhere, but a wish."""
        over = self.stage is Stage.CLOSED and self._turning is None
        return self.left or (over and not (self._withdrawn and self._kept))

    def _decide(self, gathered: Facts, now: float) -> Decision:
        """Once on its way, a leg stays in its lane: a recording has one purpose."""
        facts = self.facts(gathered, now)
        return evaluate(facts) if self.lane is None else evaluate_lane(facts, self.lane)

    def facts(self, gathered: Facts, now: float) -> Facts:
        """The gathered facts with the leg's own laid over them."""
        entry, wished = self.entry, self.wish.lane if self.wish is not None else None
        return replace(
            gathered,
            rule=entry.rule if entry else None,
            drawn=entry.drawn if entry else None,
            ceiling_ok=entry.ceiling_ok if entry else None,
            caps_ok=entry.caps_ok if entry else None,
            campaign_full=entry.campaign_full if entry else None,
            party_known=not self.party_changed,
            media_supported=self._line is not None or self.media_encrypted,
            media_encrypted=self.media_encrypted,
            no_media=False,
            leak_ok=not self._leaked,
            caller_wants_record=False,
            agent_wants_record=wished is Lane.CUSTOMER_REQUEST,
            agent_request=wished is Lane.AGENT_REQUEST,
            wish_caps_ok=wished is not None,
            agent_per_call=nothing_said() | self.per_call,
            seat_bound=gathered.seat_bound if not self.unbound else False,
            caller=dict(self.said.answers),
            withdrawn_by_agent=self._withdrawn_by_agent,
            withdrawn_by_caller=self._withdrawn_by_caller,
            caller_notice_played=self._notice_played,
            ack_age_ms=self.indicator.age_ms(now) if self.indicator.state in _SHOWN else None,
            paused=self.paused_by_call or self._held,
        )

    def next_timeout(self, now: float, wallclock: datetime) -> float | None:
        """When `reconsider` must be called at the latest."""
        if self.stage in (Stage.IDLE, Stage.CLOSED) or self.left:
            return None
        times = [self._deadline]
        if self._terms is not None:
            times += [now + (end - wallclock).total_seconds() for end in self._ends(self._terms)]
        if self._question is not None:
            times.append(self._question.deadline)
        if self._notice is not None:
            times.append(self._notice.deadline)
        times.append(self._reminder.due)
        if self.stage is Stage.OPEN and self._terms is not None:
            stale = self.indicator.stale_at(self._terms.ack_max_age_ms)
            times.append(stale + STALE_AFTER_S if stale is not None else None)
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
        if self.opened and self.stage is Stage.CLOSED:
            return "stop_is_final"
        if self._wishing is not None or self._turning is not None:
            return "already_asked_for"
        if self.stage is not Stage.CLOSED and not goes_first(lane, self.lane):
            return "already_asked_for"
        if self._askings.get(lane, 0) >= MOST_ASKINGS[lane]:
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
        if wish not in self.wishes:
            self.wishes.append(wish)
        if self.left:
            return list(leavings(self.call, (wish.entry,), ()))
        self.answer_in_call(wish.purpose, ConsentState.YES)
        self._turning = wish
        return []

    def _turn(self, wish: Wish, now: float, wallclock: datetime) -> Iterator[Effect]:
        """What goes on ends and is kept; the wish's own way begins."""
        self._turning = None
        if self.stage is Stage.CLOSED and self.opened:
            return  # stopped while the wish was written: final
        if self.stage is Stage.CLOSED:
            self._go(Stage.IDLE)
        elif self.stage is not Stage.IDLE:
            yield from self._wind_up(Stage.IDLE, (), now, wallclock)
        self.earlier.append(self._part())
        self.wish, self.lane, self.recording, self.seg, self.opened = wish, wish.lane, None, 0, 0
        self.discarded, self.ended_by, self._notice_played, self._prompt = False, (), False, None

    @property
    def _entry(self) -> int | None:
        """Of the way it is on."""
        if self.wish is not None:
            return self.wish.entry
        return self.entry.entry if self.entry is not None else None

    def _part(self) -> Part:
        rule = self.entry.rule if self.entry is not None and self.wish is None else None
        return Part(
            entry=self._entry,
            recording=self.recording,
            opened=self.opened > 0,
            discarded=self.discarded,
            cut=bool(self.ended_by),
            reasons=self.told_reasons(),
            answer=self.said.answers.get(rule.purpose) if rule is not None else None,
        )

    # --- idle, prompting, listening ----------------------------------------------------------------------------------

    def introduce(self, now: float, wallclock: datetime) -> list[Effect]:
        """The call stands: the agent's pages know it from now on, dark, so that something can be asked for in it."""
        if self.indicator.shown is not None or self.left:
            return []
        return [Publish(self.indicator.show(LightState.OFF, now, wallclock))]

    def _idle(self, given: Circumstances, decision: Decision, now: float, wallclock: datetime) -> Iterator[Effect]:
        line = self._line
        if self._wishing is not None:
            return
        ready = self.confirmed and self._entry is not None and line is not None and line.flowing
        asked = self.said.proven.get(decision.purpose) if decision.purpose is not None else None
        prompt = given.prompts.get(decision.purpose) if decision.purpose is not None else None
        prompt = asked.prompt if asked is not None and asked.prompt is not None else prompt
        if self.lane is not None and (prompt is None or not pending(decision)):
            yield from self._close(now, wallclock, closing_reasons(decision, decision.reasons))
            return
        if not ready or line is None or prompt is None or given.pages < 1 or not pending(decision):
            if self.indicator.state is LightState.ASKING:
                yield Publish(self.indicator.show(LightState.OFF, now, wallclock))
            return
        channels = given.terms.channels if given.terms is not None else frozenset()
        self._prompt = prompt
        if self.said.agreed(decision.purpose) or self.said.refused(decision.purpose):
            self.lane = decision.lane
            yield from self._begin_notice(now)
        elif decision.purpose in self.said.silent and self.lane is None:
            yield from self._close(now, wallclock, (Reason.CALLER_UNSET,))
            return
        elif "dtmf" in channels:
            self.lane = decision.lane
            self._question = Question(line, prompt, now, play=f"ask{self._suffix}")
            self._go(Stage.PROMPTING)
            yield from self._question.open()
        elif "agent_key" not in channels or self.indicator.state is LightState.ASKING:
            return  # only an IVR can ask, or the agent is asking already
        yield self._show(LightState.ASKING, given, decision, now, wallclock)

    def _asking(self, given: Circumstances, decision: Decision, now: float, wallclock: datetime) -> Iterator[Effect]:
        question = self._question
        assert question is not None
        if self._line != question.line:
            question.cut()
        if not pending(decision):
            question.cut()
        question.advance(now)
        if self.said.agreed(decision.purpose) and pending(decision):  # the agent, or an IVR, brought a yes meanwhile
            self._question = None
            yield from question.close()
            yield from self._begin_notice(now)
            return
        if question.answer is None:
            if self.stage is Stage.PROMPTING and question.prompt_end is not None:
                self._go(Stage.LISTENING)
            return
        self._question = None
        if self.lane is not None:
            self._askings[self.lane] = self._askings.get(self.lane, 0) + 1
        if question.answer == "yes" and decision.purpose is not None and question.prompt_end is not None:
            self._go(Stage.NOTICING)
            # keys are listened to and held back on: the caller may change their mind while the receipt is written
            self._code = KeyCodes((question.prompt.withdraw_code,))
            self._notice = Notice(question.prompt.language, False, now + NOTICE_WAIT_S, turn=self._suffix)
            asked = Asked("dtmf", question.prompt.language, question.prompt)
            yield WriteReceipt(self.call, decision.purpose, "yes", asked, question.prompt_end, now)
            return
        yield from question.close()
        if question.answer == "no" and decision.purpose is not None:
            told = question.heard_out and question.prompt.id in given.one_sided
            self.said.refuse((decision.purpose,), "dtmf", told_one_sided=told or None)
            if pending(self._decide(given.facts, now)):  # the agent's side may be kept alone
                yield from self._begin_notice(now)
                return
        reason = Reason.CALLER_REFUSED if question.answer == "no" else Reason.CALLER_UNSET
        others = tuple(r for r in decision.reasons if r not in (Reason.CALLER_NOTICE_MISSING, Reason.INDICATOR_STALE))
        yield from self._close(now, wallclock, (reason,) if pending(decision) else others)

    # --- noticing and lit --------------------------------------------------------------------------------------------

    def receipt_written(self, purpose: Purpose, asked: Asked, now: float) -> list[Effect]:
        """The yes is proven: tell the caller and the agent that recording is about to start."""
        if not self.said.written(purpose, asked):
            return list(self.said.withdrawals(now, (purpose,)))
        if self.left or self.stage is Stage.CLOSED:
            return list(self._withdrawal_receipts(now))
        waits = self._notice is not None and not self._notice.begun
        mine = self.decision is not None and self.decision.purpose is purpose
        return list(self._tell(now)) if waits and mine else []

    def _begin_notice(self, now: float) -> Iterator[Effect]:
        assert self._prompt is not None
        self._go(Stage.NOTICING)
        alone = self.decision is not None and self.said.refused(self.decision.purpose)
        self._notice = Notice(self._prompt.language, alone, now + NOTICE_WAIT_S, turn=self._suffix)
        yield from self._tell(now)

    def _tell(self, now: float) -> Iterator[Effect]:
        line, prompt, notice = self._line, self._prompt, self._notice
        if line is None or prompt is None or notice is None:
            return
        self._code = KeyCodes((prompt.withdraw_code,))
        yield from notice.open(line, now)

    def _noticing(self, given: Circumstances, decision: Decision, now: float, wallclock: datetime) -> Iterator[Effect]:
        notice = self._notice
        broken = self._line is None or not self._line.flowing or notice is None or notice.spoiled(now)
        if broken or not (pending(decision) or decision.outcome is Outcome.RECORD):
            yield from self._close(now, wallclock, closing_reasons(decision, (Reason.CALLER_NOTICE_MISSING,)))
            return
        if notice is None or not notice.told:
            return
        self._notice, self._notice_played = None, True
        yield from self._light(given, decision, now, wallclock)

    def _light(self, given: Circumstances, decision: Decision, now: float, wallclock: datetime) -> Iterator[Effect]:
        self._go(Stage.LIT)
        self._deadline = now + LIT_WAIT_S
        alone = self.said.refused(decision.purpose)
        state = LightState.RECORDING_AGENT if alone else LightState.RECORDING_BOTH
        yield self._show(state, given, decision, now, wallclock)

    def _lit(self, given: Circumstances, decision: Decision, now: float, wallclock: datetime) -> Iterator[Effect]:
        if decision.outcome is Outcome.RECORD:
            if not self._writing and (entry := self._entry) is not None:
                self._writing = True
                self.seg += 1
                self.recording = self.recording or self.new_recording()
                yield WriteDecision(self.call, self.recording, self.seg, entry, decision)
            return
        waited = self._deadline is not None and now >= self._deadline
        if self._writing and not waited and WHILE_LIT.issuperset(decision.reasons):
            return  # settled by `decision_durable`, which evaluates once more
        if not waited and Reason.PAUSED in decision.reasons and WHILE_PAUSED.issuperset(decision.reasons):
            yield self._pause(given, decision, now, wallclock)  # a hold, or a pause, before the tap opened
        elif waited or not WHILE_LIT.issuperset(decision.reasons):
            yield from self._close(now, wallclock, closing_reasons(decision, (Reason.INDICATOR_STALE,)))

    def decision_durable(
        self, given: Circumstances, line: Line | None, now: float, wallclock: datetime
    ) -> list[Effect]:
        """The decision row is on disk: all gates once more, and only then the order to record."""
        self._writing = False
        if self.left or self.stage is not Stage.LIT or self.recording is None or self._turning is not None:
            return self._unopened()
        self._line, self._terms = line, given.terms
        self.decision = decision = self._decide(given.facts, now)
        quorum = given.quorum if decision.lane is Lane.CUSTOMER_REQUEST else None
        keyless = not given.recipients or (quorum is None and decision.lane is Lane.CUSTOMER_REQUEST)
        shown = _SHOWN.get(self.indicator.state)
        if decision.outcome is not Outcome.RECORD or decision.sides != shown or line is None or keyless:
            effects = self._unopened()
            reasons = closing_reasons(decision, decision.reasons or (Reason.KEY_UNAVAILABLE,))
            return [*effects, *self._close(now, wallclock, reasons)]
        self._go(Stage.OPEN)
        self.opened, self._deadline, self._sides = self.opened + 1, None, decision.sides
        sides = tuple(_record_sides(decision.sides, line, given.recipients))
        record = PlaneOrder(Record(self.call, self.recording, self.seg, sides, now, quorum))
        self._reminder.begin(given.terms.beep_every_s if given.terms is not None else None, now)
        return [record, *listen_for_codes(line, given.terms, self._prompt)]

    def decision_failed(self, now: float, wallclock: datetime) -> list[Effect]:
        """The decision could not be made durable: the tap stays closed."""
        self._writing = False
        return self.abandon(now, wallclock, (Reason.STORAGE_UNAVAILABLE,))

    def abandon(self, now: float, wallclock: datetime, reasons: tuple[Reason, ...]) -> list[Effect]:
        """Give the leg up for recording: something it needs is gone."""
        if self.stage is Stage.CLOSED or self.left:
            return []
        return list(self._close(now, wallclock, reasons))

    @property
    def _suffix(self) -> str:
        """Tells the playings of a later way from those of the first."""
        return f"-{len(self.earlier) + 1}" if self.earlier else ""

    def _unopened(self) -> list[Effect]:
        if self.recording is None:
            return []
        return [WriteStop(self.call, self.recording, self.seg, ("not opened",))]

    # --- open, paused, closed ----------------------------------------------------------------------------------------

    def _open(self, given: Circumstances, decision: Decision, now: float, wallclock: datetime) -> Iterator[Effect]:
        if decision.outcome is Outcome.RECORD:
            if decision.sides != self._sides:  # a no that came while both were recorded: nothing of it may stay
                yield from self._close(now, wallclock, (Reason.CALLER_REFUSED,))
                return
            yield from self._reminder.advance(self._line, now)
            return
        if decision.reasons == (Reason.PAUSED,):
            yield from self._stop_segment(End.PAUSED, decision.reasons)
            yield self._pause(given, decision, now, wallclock)
            return
        yield from self._close(now, wallclock, decision.reasons)

    def _pause(self, given: Circumstances, decision: Decision, now: float, wallclock: datetime) -> Publish:
        self._go(Stage.PAUSED)
        longest = given.terms.pause_max.after(wallclock) - wallclock if given.terms else timedelta()
        self._deadline = now + longest.total_seconds()
        return self._show(LightState.PAUSED, given, decision, now, wallclock)

    def _paused(self, given: Circumstances, decision: Decision, now: float, wallclock: datetime) -> Iterator[Effect]:
        waited = self._deadline is not None and now >= self._deadline
        if waited or not WHILE_PAUSED.issuperset(decision.reasons):
            yield from self._close(now, wallclock, closing_reasons(decision, (Reason.PAUSED,)))
        elif not (self.paused_by_call or self._held):
            yield from self._light(given, decision, now, wallclock)

    def _stop_segment(self, end: End, why: tuple[Reason, ...]) -> Iterator[Effect]:
        assert self.recording is not None
        yield PlaneOrder(Stop(self.call, self.recording, self.seg, end))
        yield WriteStop(self.call, self.recording, self.seg, tuple(reason.value for reason in why))

    def _close(self, now: float, wallclock: datetime, reasons: tuple[Reason, ...]) -> Iterator[Effect]:
        """Final for the way it is on."""
        yield from self._wind_up(Stage.CLOSED, reasons, now, wallclock)
        yield from self._discard_kept()
        yield from self._withdrawal_receipts(now)

    @property
    def _withdrawn(self) -> bool:
        return self._withdrawn_by_agent or self._withdrawn_by_caller

    @property
    def _kept(self) -> bool:
        """Something of this leg is recorded and over."""
        ended = self.stage is Stage.CLOSED and self.opened > 0 and not self.discarded
        return ended or any(part.opened and not part.discarded for part in self.earlier)

    def _discard_kept(self) -> Iterator[Effect]:
        """A withdrawal is for the whole call: what an earlier stop or a wish left goes too."""
        reason = Reason.CALLER_REFUSED if self._refused_aloud else Reason.WITHDRAWN_BY_CALLER
        if not (self._withdrawn and self._kept and self._must_discard((reason,))):
            return
        if self.stage is Stage.CLOSED and self.opened and not self.discarded and self.recording is not None:
            self.discarded = True
            yield DiscardRecording(self.call, self.recording)
        for place, part in enumerate(self.earlier):
            if part.opened and part.recording is not None and not part.discarded:
                self.earlier[place] = replace(part, discarded=True)
                yield DiscardRecording(self.call, part.recording)

    def _wind_up(self, to: Stage, reasons: tuple[Reason, ...], now: float, wallclock: datetime) -> Iterator[Effect]:
        """The order to stop comes first, the light goes out after it."""
        was, line = self.stage, self._line
        if self._question is not None:
            yield from self._question.close()
            self._question = None
        notice, self._notice = self._notice, None
        self._go(to)
        self.ended_by, self._deadline, self._code = reasons, None, None
        if line is not None and notice is not None:
            yield from notice.close(line)
        if self.recording is not None and was in (Stage.OPEN, Stage.PAUSED, Stage.LIT):
            yield from self._end_recording(was, reasons, End.NORMAL if to is Stage.IDLE else End.STOPPED)
        if line is not None and was in (Stage.OPEN, Stage.PAUSED):
            yield play_to(line.agent_flow, "tone-end", "tone-end", line, "beneath")
        if line is not None and was in (Stage.NOTICING, Stage.LIT, Stage.OPEN, Stage.PAUSED):
            yield PlaneOrder(Listen(line.caller_flow, False, line.caller_events))
        if line is not None and was in (Stage.LIT, Stage.OPEN, Stage.PAUSED) and self.opened:
            yield PlaneOrder(Listen(line.agent_flow, False, line.agent_events))
        if self.indicator.state is not LightState.OFF or self.lane is not None:
            why = reasons[0].value if reasons else None
            yield Publish(self.indicator.show(LightState.OFF, now, wallclock, why=why))

    def _withdrawal_receipts(self, now: float) -> Iterator[Effect]:
        """A yes that was withdrawn leaves a receipt of that; a no leaves none."""
        if self._withdrawn_by_caller:
            yield from self.said.withdrawals(now)

    def _end_recording(self, was: Stage, reasons: tuple[Reason, ...], end: End) -> Iterator[Effect]:
        assert self.recording is not None
        discarding = self.opened > 0 and self._must_discard(reasons)
        if was is Stage.OPEN and discarding:
            # the intent to destroy is written before the worker hears of it, and the tap doesn't wait for a disk
            yield PlaneOrder(Stop(self.call, self.recording, self.seg, End.STOPPED))
        elif was is Stage.OPEN:
            yield from self._stop_segment(end, reasons)
        if discarding:
            self.discarded = True
            yield DiscardRecording(self.call, self.recording)

    def _must_discard(self, reasons: tuple[Reason, ...]) -> bool:
        if Reason.CALLER_REFUSED in reasons or Reason.LEG_LEAK in reasons:
            return True
        withdrawn = Reason.WITHDRAWN_BY_AGENT in reasons or Reason.WITHDRAWN_BY_CALLER in reasons
        kept = self._terms is not None and self._terms.withdrawal_effect is WithdrawalEffect.STOP_ONLY
        return withdrawn and not kept

    # --- the end -----------------------------------------------------------------------------------------------------

    def leave(self, now: float, wallclock: datetime) -> list[Effect]:
        """The agent's part in the call is over; a recording that runs until here ends as `normal`."""
        if self.left:
            return []
        effects: list[Effect] = []
        if self._question is not None:
            self._question.cut()
            self._question = None
        if self.stage is Stage.OPEN:
            effects.extend(self._stop_segment(End.NORMAL, ()))
        self.left = True
        if self.indicator.shown is not None:
            why = self.ended_by[0].value if self.ended_by else None
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
        if self.ended_by:
            return self.ended_by
        if self.opened or self.decision is None:
            return ()
        return unrecorded_reasons(self.decision)

    # --- small parts -------------------------------------------------------------------------------------------------

    def _show(
        self, state: LightState, given: Circumstances, decision: Decision, now: float, wallclock: datetime
    ) -> Publish:
        keep = None
        if given.terms is not None and decision.purpose is not None:
            until = given.terms.keep_until(decision.purpose, wallclock)
            keep = until.isoformat(timespec="seconds").replace("+00:00", "Z")
        lane = decision.lane.value if decision.lane else None
        purpose = decision.purpose.value if decision.purpose else None
        why = decision.reasons[0].value if state is LightState.PAUSED and decision.reasons else None
        light = self.indicator.show(state, now, wallclock, lane=lane, purpose=purpose, why=why, keep_until=keep)
        return Publish(light)

    @property
    def _held(self) -> bool:
        """A party holds the other while we record: what is heard meanwhile isn't the conversation that was agreed."""
        return self.stage in (Stage.LIT, Stage.OPEN, Stage.PAUSED) and self._line is not None and not self._line.flowing

    @property
    def _refuse_key(self) -> str | None:
        return self._prompt.refuse_key if self._prompt is not None else None

    def _go(self, stage: Stage) -> None:
        if stage not in STEPS[self.stage]:
            raise LegError(f"a leg cannot go from `{self.stage}` to `{stage}`")
        self._reminder.end()
        self.stage = stage


_SHOWN: dict[LightState, frozenset[Side]] = {
    LightState.RECORDING_AGENT: frozenset({Side.AGENT}),
    LightState.RECORDING_BOTH: frozenset({Side.AGENT, Side.CALLER}),
}

_STEP: dict[Stage, Callable[[Leg, Circumstances, Decision, float, datetime], Iterator[Effect]]] = {
    Stage.IDLE: Leg._idle,
    Stage.PROMPTING: Leg._asking,
    Stage.LISTENING: Leg._asking,
    Stage.NOTICING: Leg._noticing,
    Stage.LIT: Leg._lit,
    Stage.OPEN: Leg._open,
    Stage.PAUSED: Leg._paused,
}


def _record_sides(sides: frozenset[Side], line: Line, recipients: tuple[str, ...]) -> Iterator[RecordSide]:
    """Each side that is recorded; the agent's alone is compared with what the agent hears."""
    flows = {Side.AGENT: line.agent_flow, Side.CALLER: line.caller_flow}
    against = line.caller_flow if Side.CALLER not in sides else None
    for side in sorted(sides):
        yield RecordSide(side.value, flows[side], recipients, line.codecs, against)
