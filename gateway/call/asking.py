"""The question to the caller: one prompt, five seconds to answer, one answer. Sans-IO.

Only a digit that began after the last prompt frame can be a yes; the refuse key counts at any time; everything that
cuts the prompt or the line leaves the answer unset. What the digits were is never kept, only yes or no.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gateway.call.effects import Effect, PlaneOrder
from gateway.call.model import Line
from gateway.media.plane import DigitHeard, FlowId, Listen, Play, PlayEnded, PlayMode, StopPlay
from policy.agreement.schema import Prompt

__all__ = ["ANSWER_S", "ASK_MAX_S", "Question", "play_to"]

ANSWER_S = 5.0
"""How long the caller may take after the prompt."""
ASK_MAX_S = 15.0
"""Prompt and answer together."""
MIN_EVENT_MS = 40
"""A shorter telephone-event isn't a yes."""
AGENT_GAIN_DB = -12.0
"""How softly the agent hears the prompt."""

Answer = Literal["yes", "no", "unset"]


@dataclass(slots=True)
class Question:
    """One asking of one caller."""

    line: Line
    prompt: Prompt
    began_at: float
    prompt_end: float | None = None
    """When the last prompt frame was sent."""
    answer: Answer | None = None
    """None while the question is open."""
    heard_out: bool = False
    """The answer was given after the last word of the prompt."""

    play: str = "ask"
    """Reference of the prompt's playing to the caller."""

    def open(self) -> Iterator[Effect]:
        """Start listening, then play: no key press may be forwarded from here on."""
        line, sound, sha256 = self.line, self.prompt.id, self.prompt.sha256
        yield PlaneOrder(Listen(line.caller_flow, True, line.caller_events, hold_back=True))
        yield play_to(line.caller_flow, self.play, sound, line, "instead", sha256=sha256)
        if line.plain:  # in place of what the caller says it would be in the way
            yield play_to(line.agent_flow, f"{self.play}-agent", sound, line, "beneath", AGENT_GAIN_DB, sha256)

    def played(self, report: PlayEnded) -> None:
        """The prompt ended; cut short is no question, so there is no answer either."""
        if report.play != self.play or self.answer is not None:
            return
        if report.complete:
            self.prompt_end = report.ended_at
        else:
            self.answer = "unset"

    def pressed(self, report: DigitHeard) -> None:
        """A key press of the caller's."""
        if self.answer is not None or report.flow != self.line.caller_flow:
            return
        if report.digit == self.prompt.refuse_key:
            self.answer, self.heard_out = "no", self._after(report)
        elif report.digit == self.prompt.consent_key and self._counts(report):
            self.answer, self.heard_out = "yes", True

    def _counts(self, report: DigitHeard) -> bool:
        return self._after(report) and report.duration_ms >= MIN_EVENT_MS

    def _after(self, report: DigitHeard) -> bool:
        return self.prompt_end is not None and report.began_at >= self.prompt_end

    def cut(self) -> None:
        """Hold, transfer, hang-up or changed media: silence."""
        if self.answer is None:
            self.answer = "unset"

    def advance(self, now: float) -> None:
        """Let time pass."""
        if self.answer is None and now >= self.deadline:
            self.answer = "unset"

    @property
    def deadline(self) -> float:
        """When silence becomes a no."""
        latest = self.began_at + ASK_MAX_S
        return latest if self.prompt_end is None else min(latest, self.prompt_end + ANSWER_S)

    def close(self) -> Iterator[Effect]:
        """Stop playing and listening, whatever the answer was."""
        if self.prompt_end is None:
            yield PlaneOrder(StopPlay(self.play, self.line.caller_flow))
            yield PlaneOrder(StopPlay(f"{self.play}-agent", self.line.agent_flow))
        yield PlaneOrder(Listen(self.line.caller_flow, False))


def play_to(
    flow: FlowId, play: str, sound: str, line: Line, mode: PlayMode, gain_db: float = 0.0, sha256: str = ""
) -> PlaneOrder:
    """Order a sound into a flow, in the call's codec: a shipped one, or the one of this hash."""
    order = Play(play, flow, sound, mode, line.codec, line.payload_type, line.ptime_ms, gain_db, sha256=sha256)
    return PlaneOrder(order)
