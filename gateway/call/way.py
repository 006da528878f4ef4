"""One way of a leg to a tap, in one lane and for one purpose: asks, notices, lights, opens, pauses, ends. Sans-IO.

Theory of operation. The leg hands every step a `Moment`: what the engine gathered, the line, the decision of this very
instant. A step moves along `stage.STEPS` or stays; the leg repeats until it stays. Order is the safety: receipt durable
→ notice → light published and acknowledged → decision durable → every gate once more → the order to record. Closing
goes the other way round: the order to stop is the first effect. Whatever ends a way but a pause ends it for good.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.call.asking import Question, play_to
from gateway.call.caller_word import CallerWord
from gateway.call.effects import DiscardRecording, Effect, PlaneOrder, Publish, WriteDecision, WriteReceipt, WriteStop
from gateway.call.indicator import Indicator
from gateway.call.model import Asked, Circumstances, Line
from gateway.call.notice import NOTICE_WAIT_S, Notice
from gateway.call.pausing import listen_for_codes
from gateway.call.reminder import Reminder
from gateway.call.stage import STEPS, Stage
from gateway.call.telling import closing_reasons
from gateway.call.wish import Wish
from gateway.errors import GatewayError
from gateway.events import LightState
from gateway.media.plane import CallRef, DigitHeard, End, Listen, PlayEnded, Record, RecordingId, RecordSide, Stop
from gateway.rtp.key_codes import KeyCodes
from gateway.rtp.payload_types import LAWS
from policy.agreement.schema import Prompt
from policy.decision import Decision, Outcome, Purpose, Reason, Side, pending
from policy.intersection import Terms
from policy.terms import Lane, WithdrawalEffect

__all__ = ["SHOWN", "LegError", "Moment", "Way", "must_discard"]

MOST_SWITCHES = 20
"""Changes of codec in one recording before it is given up."""
LIT_WAIT_S = 5.0
"""How long a page may take to acknowledge the light before the leg is given up."""
STALE_AFTER_S = 0.002
"""Ages are whole milliseconds: one more is surely stale, whatever the floating point says."""
WHILE_PAUSED = frozenset({Reason.PAUSED, Reason.INDICATOR_STALE})
WHILE_LIT = frozenset({Reason.INDICATOR_STALE})
WITHDRAWALS = frozenset({Reason.WITHDRAWN_BY_AGENT, Reason.WITHDRAWN_BY_CALLER})
SHOWN: dict[LightState, frozenset[Side]] = {
    LightState.RECORDING_AGENT: frozenset({Side.AGENT}),
    LightState.RECORDING_BOTH: frozenset({Side.AGENT, Side.CALLER}),
}
"""Whose audio each light says is recorded."""


class LegError(GatewayError):
    """A broken invariant of the stages: the leg is dropped from recording, the call goes on."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a step stands on."""

    given: Circumstances
    line: Line | None
    decision: Decision
    decide: Callable[[], Decision]
    """The policy, asked once more within a step that changed a fact."""
    entry: int | None
    """The way's durable entry."""
    paused: bool
    """By the agent or by the PBX; a hold is the line's."""
    now: float
    wallclock: datetime


@dataclass(slots=True)
class Way:
    """See the module. `wish` None: the draw's."""

    call: CallRef
    said: CallerWord
    """What the caller said in this call: the call's, for whichever leg and way."""
    indicator: Indicator
    reminder: Reminder
    new_recording: Callable[[], RecordingId]
    wish: Wish | None = None
    turn: str = ""
    """Tells the playings of a later way from those of the first."""
    stage: Stage = Stage.IDLE
    lane: Lane | None = None
    """From the first step on; None: whichever lane the policy finds open."""
    recording: RecordingId | None = None
    seg: int = 0
    opened: int = 0
    """Segments whose taps were really opened."""
    ended_by: tuple[Reason, ...] = ()
    """Why it closed, where a stop closed it."""
    discarded: bool = False
    asked: bool = False
    """The caller was asked, and the question is over."""
    notice_played: bool = False
    writing: bool = False
    """A decision is on its way to the disk."""
    switched: bool = False
    """A party sends another codec than the open segment is of."""
    _switches: int = 0
    _codecs: dict[int, str] = field(default_factory=dict)
    """What the open segment may be of."""
    _sides: frozenset[Side] = frozenset()
    """Whose audio the open tap takes."""
    _question: Question | None = None
    _prompt: Prompt | None = None
    _code: KeyCodes | None = None
    _notice: Notice | None = None
    _deadline: float | None = None

    # --- what is heard -----------------------------------------------------------------------------------------------

    def pressed(self, report: DigitHeard) -> bool:
        """A key of the caller's; True where it withdraws."""
        if self._question is not None:
            self._question.pressed(report)
            return False
        if self._code is None:
            return False
        refuse_key = self._prompt.refuse_key if self._prompt is not None else None
        refused = self.stage in (Stage.NOTICING, Stage.LIT) and report.digit == refuse_key
        return refused or self._code.pressed(report.digit, report.began_at) is not None

    def played(self, report: PlayEnded) -> None:
        """A playing ended."""
        if self._question is not None:
            self._question.played(report)
        elif self._notice is not None:
            self._notice.played(report)
        else:
            self.reminder.played(report)

    def proven(self, purpose: Purpose, decision: Decision | None, line: Line | None, now: float) -> Iterator[Effect]:
        """The caller's yes is written: tell both that recording is about to start."""
        waits = self._notice is not None and not self._notice.begun
        if waits and decision is not None and decision.purpose is purpose:
            yield from self._tell(line, now)

    # --- steps -------------------------------------------------------------------------------------------------------

    def step(self, at: Moment) -> Iterator[Effect]:
        """The step that follows from where it stands."""
        return _STEP[self.stage](self, at)

    def next_timeout(self, ack_max_age_ms: int | None) -> float | None:
        """When a step must be taken at the latest; the age is None where no agreement holds."""
        times = [self._deadline]
        if self._question is not None:
            times.append(self._question.deadline)
        if self._notice is not None:
            times.append(self._notice.deadline)
        times.append(self.reminder.due)
        if self.stage is Stage.OPEN and ack_max_age_ms is not None:
            stale = self.indicator.stale_at(ack_max_age_ms)
            times.append(stale + STALE_AFTER_S if stale is not None else None)
        return min((time for time in times if time is not None), default=None)

    def held(self, line: Line | None) -> bool:
        """A party holds the other while we record: what is heard meanwhile isn't the conversation that was agreed."""
        return self.stage in (Stage.LIT, Stage.OPEN, Stage.PAUSED) and line is not None and not line.flowing

    # --- idle, prompting, listening ----------------------------------------------------------------------------------

    def _idle(self, at: Moment) -> Iterator[Effect]:
        decision, line, given = at.decision, at.line, at.given
        ready = at.entry is not None and line is not None and line.flowing
        asked = self.said.proven.get(decision.purpose) if decision.purpose is not None else None
        prompt = given.prompts.get(decision.purpose) if decision.purpose is not None else None
        prompt = asked.prompt if asked is not None and asked.prompt is not None else prompt
        if self.lane is not None and (prompt is None or not pending(decision)):
            yield from self.close(at, closing_reasons(decision, decision.reasons))
            return
        if not ready or line is None or prompt is None or given.pages < 1 or not pending(decision):
            if self.indicator.state is LightState.ASKING:
                yield Publish(self.indicator.show(LightState.OFF, at.now, at.wallclock))
            return
        channels = given.terms.channels if given.terms is not None else frozenset()
        self._prompt = prompt
        if self.said.agreed(decision.purpose) or self.said.refused(decision.purpose):
            self.lane = decision.lane
            yield from self._begin_notice(at)
        elif decision.purpose in self.said.silent and self.lane is None:
            yield from self.close(at, (Reason.CALLER_UNSET,))
            return
        elif "dtmf" in channels:
            self.lane = decision.lane
            self._question = Question(line, prompt, at.now, play=f"ask{self.turn}")
            self._go(Stage.PROMPTING)
            yield from self._question.open()
        elif "agent_key" not in channels or self.indicator.state is LightState.ASKING:
            return  # only an IVR can ask, or the agent is asking already
        yield self._show(LightState.ASKING, at)

    def _asking(self, at: Moment) -> Iterator[Effect]:
        question, decision = self._question, at.decision
        assert question is not None
        if at.line != question.line:
            question.cut()
        if not pending(decision):
            question.cut()
        question.advance(at.now)
        if self.said.agreed(decision.purpose) and pending(decision):  # the agent, or an IVR, brought a yes meanwhile
            self._question = None
            yield from question.close()
            yield from self._begin_notice(at)
            return
        if question.answer is None:
            if self.stage is Stage.PROMPTING and question.prompt_end is not None:
                self._go(Stage.LISTENING)
            return
        self._question, self.asked = None, True
        if question.answer == "yes" and decision.purpose is not None and question.prompt_end is not None:
            self._go(Stage.NOTICING)
            # keys are listened to and held back on: the caller may change their mind while the receipt is written
            self._code = KeyCodes((question.prompt.withdraw_code,))
            self._notice = Notice(question.prompt.language, False, at.now + NOTICE_WAIT_S, turn=self.turn)
            asked = Asked("dtmf", question.prompt.language, question.prompt)
            yield WriteReceipt(self.call, decision.purpose, "yes", asked, question.prompt_end, at.now)
            return
        yield from question.close()
        if question.answer == "no" and decision.purpose is not None:
            told = question.heard_out and question.prompt.id in at.given.one_sided
            self.said.refuse((decision.purpose,), "dtmf", told_one_sided=told or None)
            if pending(at.decide()):  # the agent's side may be kept alone
                yield from self._begin_notice(at)
                return
        reason = Reason.CALLER_REFUSED if question.answer == "no" else Reason.CALLER_UNSET
        others = tuple(r for r in decision.reasons if r not in (Reason.CALLER_NOTICE_MISSING, Reason.INDICATOR_STALE))
        yield from self.close(at, (reason,) if pending(decision) else others)

    # --- noticing and lit --------------------------------------------------------------------------------------------

    def _begin_notice(self, at: Moment) -> Iterator[Effect]:
        assert self._prompt is not None
        self._go(Stage.NOTICING)
        alone = self.said.refused(at.decision.purpose)
        self._notice = Notice(self._prompt.language, alone, at.now + NOTICE_WAIT_S, turn=self.turn)
        yield from self._tell(at.line, at.now)

    def _tell(self, line: Line | None, now: float) -> Iterator[Effect]:
        prompt, notice = self._prompt, self._notice
        if line is None or prompt is None or notice is None:
            return
        self._code = KeyCodes((prompt.withdraw_code,))
        yield from notice.open(line, now)

    def _noticing(self, at: Moment) -> Iterator[Effect]:
        notice, decision = self._notice, at.decision
        broken = at.line is None or not at.line.flowing or notice is None or notice.spoiled(at.now)
        if broken or not (pending(decision) or decision.outcome is Outcome.RECORD):
            yield from self.close(at, closing_reasons(decision, (Reason.CALLER_NOTICE_MISSING,)))
            return
        if notice is None or not notice.told:
            return
        self._notice, self.notice_played = None, True
        yield from self._light(at)

    def _light(self, at: Moment) -> Iterator[Effect]:
        self._go(Stage.LIT)
        self._deadline = at.now + LIT_WAIT_S
        alone = self.said.refused(at.decision.purpose)
        yield self._show(LightState.RECORDING_AGENT if alone else LightState.RECORDING_BOTH, at)

    def _lit(self, at: Moment) -> Iterator[Effect]:
        decision = at.decision
        if decision.outcome is Outcome.RECORD:
            if not self.writing and at.entry is not None:
                self.writing = True
                self.seg += 1
                self.recording = self.recording or self.new_recording()
                yield WriteDecision(self.call, self.recording, self.seg, at.entry, decision)
            return
        waited = self._deadline is not None and at.now >= self._deadline
        if self.writing and not waited and WHILE_LIT.issuperset(decision.reasons):
            return  # settled by `open`, which looks at every gate once more
        if not waited and Reason.PAUSED in decision.reasons and WHILE_PAUSED.issuperset(decision.reasons):
            yield self._pause(at)  # a hold, or a pause, before the tap opened
        elif waited or not WHILE_LIT.issuperset(decision.reasons):
            yield from self.close(at, closing_reasons(decision, (Reason.INDICATOR_STALE,)))

    def open(self, at: Moment) -> Iterator[Effect]:
        """The decision row is on disk, and this is the decision of now: the order to record, or none."""
        assert self.recording is not None
        decision, line, given = at.decision, at.line, at.given
        quorum = given.quorum if decision.lane is Lane.CUSTOMER_REQUEST else None
        keyless = not given.recipients or (quorum is None and decision.lane is Lane.CUSTOMER_REQUEST)
        shown = SHOWN.get(self.indicator.state)
        if decision.outcome is not Outcome.RECORD or decision.sides != shown or line is None or keyless:
            yield from self.unopened()
            yield from self.close(at, closing_reasons(decision, decision.reasons or (Reason.KEY_UNAVAILABLE,)))
            return
        self._go(Stage.OPEN)
        self.opened, self._deadline, self._sides = self.opened + 1, None, decision.sides
        self.switched, self._codecs = False, line.codecs
        sides = tuple(_record_sides(decision.sides, line, given.recipients))
        self.reminder.begin(given.terms.beep_every_s if given.terms is not None else None, at.now)
        yield PlaneOrder(Record(self.call, self.recording, self.seg, sides, at.now, quorum))
        yield from listen_for_codes(line, given.terms, self._prompt)

    def unopened(self) -> Iterator[Effect]:
        """The row of a decision whose tap stays shut says so."""
        if self.recording is not None:
            yield WriteStop(self.call, self.recording, self.seg, ("not opened",))

    # --- open, paused, closed ----------------------------------------------------------------------------------------

    def _open(self, at: Moment) -> Iterator[Effect]:
        decision = at.decision
        if decision.outcome is Outcome.RECORD:
            if decision.sides != self._sides:  # a no that came while both were recorded: nothing of it may stay
                yield from self.close(at, (Reason.CALLER_REFUSED,))
                return
            # what a new description leaves out needs nothing new
            more = at.line is not None and not at.line.codecs.items() <= self._codecs.items()
            if self.switched or more:
                yield from self._change_codec(at)
                return
            yield from self.reminder.advance(at.line, at.now)
            return
        if decision.reasons == (Reason.PAUSED,):
            yield from self.stop_segment(End.PAUSED, decision.reasons)
            yield self._pause(at)
            return
        yield from self.close(at, decision.reasons)

    def _change_codec(self, at: Moment) -> Iterator[Effect]:
        """Another codec needs another file, which needs all gates again: as after a pause that is over at once."""
        self._switches += 1
        if self._switches > MOST_SWITCHES:
            yield from self.close(at, (Reason.MEDIA_UNSUPPORTED,))
            return
        yield from self.stop_segment(End.PAUSED, (Reason.PAUSED,))
        yield self._pause(at)

    def _pause(self, at: Moment) -> Publish:
        self._go(Stage.PAUSED)
        terms = at.given.terms
        longest = terms.pause_max.after(at.wallclock) - at.wallclock if terms else timedelta()
        self._deadline = at.now + longest.total_seconds()
        return self._show(LightState.PAUSED, at)

    def _paused(self, at: Moment) -> Iterator[Effect]:
        waited = self._deadline is not None and at.now >= self._deadline
        if waited or not WHILE_PAUSED.issuperset(at.decision.reasons):
            yield from self.close(at, closing_reasons(at.decision, (Reason.PAUSED,)))
        elif not (at.paused or self.held(at.line)):
            yield from self._light(at)

    def stop_segment(self, end: End, why: tuple[Reason, ...]) -> Iterator[Effect]:
        """The order first, the row after it."""
        assert self.recording is not None
        yield PlaneOrder(Stop(self.call, self.recording, self.seg, end))
        yield WriteStop(self.call, self.recording, self.seg, tuple(reason.value for reason in why))

    def close(self, at: Moment, reasons: tuple[Reason, ...]) -> Iterator[Effect]:
        """Final for this way."""
        yield from self.end(at.line, at.given.terms, End.STOPPED, reasons, at.now, at.wallclock)

    def end(
        self,
        line: Line | None,
        terms: Terms | None,
        end: End,
        reasons: tuple[Reason, ...],
        now: float,
        wallclock: datetime,
    ) -> Iterator[Effect]:
        """Wind up, wherever it stands: the order to stop comes first, the light goes out after it."""
        was, notice = self.stage, self._notice
        if self._question is not None:
            yield from self._question.close()
        self._go(Stage.CLOSED)
        self.ended_by, self._question, self._notice, self._deadline, self._code = reasons, None, None, None, None
        if line is not None and notice is not None:
            yield from notice.close(line)
        if self.recording is not None and was in (Stage.OPEN, Stage.PAUSED, Stage.LIT):
            yield from self._end_recording(was, reasons, terms, end)
        if line is not None and was in (Stage.OPEN, Stage.PAUSED):
            yield play_to(line.agent_flow, "tone-end", "tone-end", line, "beneath")
        if line is not None and was in (Stage.NOTICING, Stage.LIT, Stage.OPEN, Stage.PAUSED):
            yield PlaneOrder(Listen(line.caller_flow, False))
        if line is not None and was in (Stage.LIT, Stage.OPEN, Stage.PAUSED) and self.opened:
            yield PlaneOrder(Listen(line.agent_flow, False))
        if self.indicator.state is not LightState.OFF or self.lane is not None:
            why = reasons[0].value if reasons else None
            yield Publish(self.indicator.show(LightState.OFF, now, wallclock, why=why))

    def _end_recording(
        self, was: Stage, reasons: tuple[Reason, ...], terms: Terms | None, end: End
    ) -> Iterator[Effect]:
        assert self.recording is not None
        discarding = self.opened > 0 and must_discard(reasons, terms)
        if was is Stage.OPEN and discarding:
            # the intent to destroy is written before the worker hears of it, and the tap doesn't wait for a disk
            yield PlaneOrder(Stop(self.call, self.recording, self.seg, End.STOPPED))
        elif was is Stage.OPEN:
            yield from self.stop_segment(end, reasons)
        if discarding:
            yield self.discard()

    def discard(self) -> DiscardRecording:
        """Everything of it is destroyed."""
        assert self.recording is not None
        self.discarded = True
        return DiscardRecording(self.call, self.recording)

    def cut_question(self) -> None:
        """The leg is over: whoever was being asked said nothing."""
        if self._question is not None:
            self._question.cut()
            self._question = None

    # --- small parts -------------------------------------------------------------------------------------------------

    def _show(self, state: LightState, at: Moment) -> Publish:
        decision, terms, keep = at.decision, at.given.terms, None
        if terms is not None and decision.purpose is not None:
            until = terms.keep_until(decision.purpose, at.wallclock)
            keep = until.isoformat(timespec="seconds").replace("+00:00", "Z")
        lane = decision.lane.value if decision.lane else None
        purpose = decision.purpose.value if decision.purpose else None
        why = decision.reasons[0].value if state is LightState.PAUSED and decision.reasons else None
        return Publish(
            self.indicator.show(state, at.now, at.wallclock, lane=lane, purpose=purpose, why=why, keep_until=keep)
        )

    def _go(self, stage: Stage) -> None:
        if stage not in STEPS[self.stage]:
            raise LegError(f"a leg cannot go from `{self.stage}` to `{stage}`")
        self.reminder.end()
        self.stage = stage


_STEP: dict[Stage, Callable[[Way, Moment], Iterator[Effect]]] = {
    Stage.IDLE: Way._idle,
    Stage.PROMPTING: Way._asking,
    Stage.LISTENING: Way._asking,
    Stage.NOTICING: Way._noticing,
    Stage.LIT: Way._lit,
    Stage.OPEN: Way._open,
    Stage.PAUSED: Way._paused,
}


def must_discard(reasons: tuple[Reason, ...], terms: Terms | None) -> bool:
    """Whether what ended for these reasons is destroyed (agreement.md §4)."""
    if Reason.CALLER_REFUSED in reasons or Reason.LEG_LEAK in reasons:
        return True
    withdrawn = not WITHDRAWALS.isdisjoint(reasons)
    kept = terms is not None and terms.withdrawal_effect is WithdrawalEffect.STOP_ONLY
    return withdrawn and not kept


def _record_sides(sides: frozenset[Side], line: Line, recipients: tuple[str, ...]) -> Iterator[RecordSide]:
    """Each side that is recorded; the agent's alone is compared with what the agent hears."""
    flows = {Side.AGENT: line.agent_flow, Side.CALLER: line.caller_flow}
    against = line.caller_flow if Side.CALLER not in sides else None
    codecs = dict(line.codecs)
    if against is not None:
        codecs = {kind: name for kind, name in codecs.items() if name in LAWS}
    for side in sorted(sides):
        yield RecordSide(side.value, flows[side], recipients, codecs, against)
