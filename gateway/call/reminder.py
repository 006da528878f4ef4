"""The tone that reminds both parties of an open recording, at the interval that the agreement names. Sans-IO.

It is mixed beneath what they hear, never into what is stored. Whatever else is being played goes first; the tone is
tried again a moment later.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.call.asking import play_to
from gateway.call.effects import Effect
from gateway.call.model import Line
from gateway.media.plane import PlayEnded

__all__ = ["Reminder"]

SOUND: Final = "tone-reminder"
PLAY: Final = "reminder"
GAIN_DB: Final = -12.0
AGAIN_S: Final = 2.0
"""When it is tried again that couldn't be heard."""


@dataclass(slots=True)
class Reminder:
    """Of one leg; no two of its tones have the same reference."""

    due: float | None = None
    """None: no recording is open, or no tone is agreed."""
    _every_s: float | None = None
    _count: int = 0

    def begin(self, every_s: float | None, now: float) -> None:
        """A tap was opened."""
        self._every_s = every_s
        self.due = None if every_s is None else now + every_s

    def end(self) -> None:
        """It was closed."""
        self.due = None

    def advance(self, line: Line | None, now: float) -> Iterator[Effect]:
        """The tones that are due: one to each party."""
        if self.due is None or self._every_s is None or now < self.due or line is None:
            return
        # from when it was due, so that the interval doesn't drift; what a stall left out isn't made up for
        self.due = max(self.due + self._every_s, now + self._every_s / 2)
        self._count += 1
        yield play_to(line.caller_flow, f"{PLAY}-{self._count}", SOUND, line, "between", GAIN_DB)
        yield play_to(line.agent_flow, f"{PLAY}-{self._count}-agent", SOUND, line, "between", GAIN_DB)

    def played(self, report: PlayEnded) -> None:
        """A playing ended; one of ours that wasn't heard is repeated soon."""
        current = f"{PLAY}-{self._count}"
        if self.due is not None and not report.complete and report.play in (current, f"{current}-agent"):
            self.due = min(self.due, report.ended_at + AGAIN_S)
