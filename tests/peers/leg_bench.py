"""A leg with everything around it made by hand: its clock, its pages, its disk. Effects are kept as short words.

The bench does what the engine does: each input is followed by `reconsider`, and what the core wants written waits
until the test says that it is durable.
"""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Self

from gateway.call.caller_word import CallerWord
from gateway.call.effects import (
    DiscardRecording,
    Effect,
    LeaveLeg,
    PlaneOrder,
    Publish,
    WriteDecision,
    WriteReceipt,
    WriteStop,
)
from gateway.call.indicator import Indicator
from gateway.call.leg import Leg
from gateway.call.model import Circumstances, EntryResult, Line, flow_of
from gateway.events import Heartbeat, LegLight, LightState
from gateway.media.plane import (
    CallRef,
    CodeHeard,
    DigitHeard,
    FlowId,
    Listen,
    Order,
    Play,
    PlayEnded,
    Quorum,
    Record,
    RecordingId,
    Stop,
    StopPlay,
)
from gateway.rtp.key_codes import KeyCodes
from policy.agreement.schema import Agreement
from policy.decision import Purpose, Side
from policy.intersection import combined
from tests.unit.policy.green import NOW, SAMPLE_RULE, example, green

CALL = CallRef("00112233aabbccdd")
CALLER, AGENT = flow_of(CALL, Side.CALLER, 0), flow_of(CALL, Side.AGENT, 0)
LINE = Line(CALLER, AGENT, "PCMA", 8, {8: "PCMA", 0: "PCMU"}, 20, {101: 8000}, {101: 8000}, True)
ENTRY = EntryResult(7, SAMPLE_RULE, drawn=True, ceiling_ok=True, caps_ok=True, campaign_full=False)
PAGE = "page-1"
CODES = ["listen for *9", "listen for *7 *8"]
"""What an open tap listens for: to the caller, to the agent."""
BEGIN = 1000.0
TICK_S = 0.05


class LegBench:
    """`leg` under test; `said` is everything it wanted, in order, `effects` the same as values."""

    def __init__(self, *agreements: Agreement) -> None:
        self.agreements = agreements or (example(),)
        self.now = BEGIN
        self.pages = 1
        self.recipients: tuple[str, ...] = ("age1qqq",)
        self.quorum: Quorum | None = Quorum(("age1ccc",), "age1ddd")
        self.one_sided: frozenset[str] = frozenset()
        """Prompts that say what may be recorded after a no."""
        self.line: Line | None = LINE
        self.changes: dict[str, object] = {}
        """Gathered facts that differ from all green."""
        self.effects: list[Effect] = []
        self.beats: list[Heartbeat] = []
        self.codes = KeyCodes(("*9",))
        """As a worker watches for the caller's."""
        numbers = itertools.count(1)
        self.indicator = Indicator("agent", CALL, lambda: next(numbers), lambda: f"{next(numbers):016x}")
        ids = itertools.count(1)
        self.leg = Leg(CALL, "agent", self.indicator, lambda: RecordingId(f"{next(ids):032x}"), CallerWord(CALL))

    @property
    def wallclock(self) -> datetime:
        return NOW.astimezone(UTC) + timedelta(seconds=self.now - BEGIN)

    @property
    def said(self) -> list[str]:
        return [word(effect) for effect in self.effects]

    @property
    def records(self) -> list[Record]:
        """Every order to open taps."""
        orders = [effect.order for effect in self.effects if isinstance(effect, PlaneOrder)]
        return [order for order in orders if isinstance(order, Record)]

    @property
    def light(self) -> LegLight:
        assert self.indicator.shown is not None
        return self.indicator.shown

    def circumstances(self) -> Circumstances:
        terms = combined(self.agreements)
        facts = replace(green(agreements=self.agreements), wallclock=self.wallclock, **self.changes)  # type: ignore[arg-type]  # any fact
        prompts = dict.fromkeys(Purpose, terms.prompts[0]) if terms.prompts else {}
        return Circumstances(facts, terms, prompts, self.recipients, self.pages, self.quorum, self.one_sided)

    # --- what the engine does ----------------------------------------------------------------------------------------

    def take(self, effects: list[Effect]) -> list[str]:
        self.effects += effects
        return [word(effect) for effect in effects]

    def step(self) -> list[str]:
        """Reconsider; what came of it."""
        return self.take(self.leg.reconsider(self.circumstances(), self.line, self.now, self.wallclock))

    def wait(self, seconds: float) -> list[str]:
        """Let time pass as the engine's jobs do: 50 ms at a time, with a heartbeat and a look each second."""
        said, begin = [], self.now
        for tick in range(1, round(seconds / TICK_S) + 1):
            self.now = begin + tick * TICK_S
            due = self.leg.next_timeout(self.now, self.wallclock)
            second = tick % round(1 / TICK_S) == 0
            if second and (beat := self.indicator.heartbeat(self.now)) is not None:
                self.beats.append(beat)
            if second or (due is not None and due <= self.now):
                said += self.step()
        return said

    def receipt_durable(self) -> list[str]:
        receipt = self._last(WriteReceipt)
        return self.take(self.leg.receipt_written(receipt.purpose, receipt.asked, self.now)) + self.step()

    def decision_durable(self) -> list[str]:
        return self.take(self.leg.decision_durable(self.circumstances(), self.line, self.now, self.wallclock))

    def decision_failed(self) -> list[str]:
        return self.take(self.leg.decision_failed(self.now, self.wallclock))

    def leave(self) -> list[str]:
        return self.take(self.leg.leave(self.now, self.wallclock))

    # --- what happens ------------------------------------------------------------------------------------------------

    def played(self, play: str, complete: bool = True) -> list[str]:
        flow = AGENT if play.startswith("tone") or play.endswith("-agent") else CALLER
        self.leg.played(PlayEnded(play, flow, complete, self.now))
        return self.step()

    def pressed(self, digits: str, duration_ms: int = 100, began_at: float | None = None, flow=CALLER) -> list[str]:
        said = []
        for digit in digits:
            at = self.now if began_at is None else began_at
            if self._listening(flow).codes:
                code = self.codes.pressed(digit, at)
                if code is not None:
                    self.leg.code_heard(CodeHeard(flow, code))
            else:
                self.leg.pressed(DigitHeard(flow, digit, duration_ms, at, "rfc4733"))
            said += self.step()
        return said

    def _listening(self, flow: str) -> Listen:
        """What a worker last was told to listen for."""
        orders = [effect.order for effect in self.effects if isinstance(effect, PlaneOrder)]
        told = [order for order in orders if isinstance(order, Listen) and order.flow == flow]
        return told[-1] if told else Listen(FlowId(flow), False)

    def acknowledge(self, light: LegLight | Heartbeat | None = None, page: str = PAGE) -> list[str]:
        shown = light or self.light
        self.indicator.acknowledge(page, shown.seq, shown.nonce, shown.state.value)
        return self.step()

    # --- the way there -----------------------------------------------------------------------------------------------

    def armed(self) -> Self:
        self.leg.confirmed, self.leg.entry = True, ENTRY
        return self

    def listening(self) -> Self:
        self.armed().step()
        self.now += 8
        self.played("ask")
        return self

    def agreed(self) -> Self:
        self.listening()
        self.now += 1
        self.pressed("1")
        return self

    def lit(self) -> Self:
        self.agreed().receipt_durable()
        self.now += 3
        self.played("tone")
        self.played("notice")
        return self

    def opened(self) -> Self:
        self.lit().acknowledge()
        self.decision_durable()
        return self

    def _last(self, kind: type[WriteReceipt]) -> WriteReceipt:
        return next(effect for effect in reversed(self.effects) if isinstance(effect, kind))


def word(effect: Effect) -> str:
    """An effect in a few words."""
    match effect:
        case PlaneOrder(order):
            return _order(order)
        case Publish(event):
            why = f" {event.why}" if event.why and event.state is not LightState.PAUSED else ""
            return f"light {event.state.value}{why}" + ("" if event.connected else ", gone")
        case WriteReceipt(outcome=outcome):
            return f"receipt {outcome}"
        case WriteDecision(seg=seg):
            return f"decision {seg}"
        case WriteStop(seg=seg, why=why):
            return f"note stop {seg} {' '.join(why)}".rstrip()
        case DiscardRecording():
            return "discard"
        case LeaveLeg(told_as=told, reasons=reasons):
            return f"leave {told} {' '.join(reasons)}".rstrip()
        case _:
            return type(effect).__name__


def _order(order: Order) -> str:
    match order:
        case Listen(on=on, hold_back=hold_back, codes=codes):
            if codes:
                return f"listen for {' '.join(codes)}"
            return f"listen {'on' if on else 'off'}" + (", hold back" if hold_back else "")
        case Play(flow=flow, sound=sound, mode=mode):
            return f"play {sound} {mode} to {flow.split('/')[1]}"
        case StopPlay(play=play):
            return f"stop playing {play}"
        case Record(seg=seg, sides=sides):
            return f"RECORD {seg} {'+'.join(side.side for side in sides)}"
        case Stop(seg=seg, end=end):
            return f"STOP {seg} {end.value}"
        case _:
            return order.kind
