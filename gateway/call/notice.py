"""Telling both that recording is about to start: an announcement to the caller, a tone to the agent. Sans-IO.

Comes after the proof of the caller's yes is written, or at once where the call has that yes already, or only the agent
is going to be recorded. Whatever cuts a playing, or takes too long, spoils the notice: then nothing is recorded.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.call.asking import play_to
from gateway.call.effects import Effect, PlaneOrder
from gateway.call.model import Line
from gateway.media.plane import Listen, PlayEnded, StopPlay

__all__ = ["NOTICE_WAIT_S", "Notice"]

NOTICE_WAIT_S = 15.0
"""How long the proof, and then announcement and tone, may take."""


@dataclass(slots=True)
class Notice:
    """One telling, in the language of the question."""

    language: str
    one_sided: bool
    """Only the agent is going to be recorded, and the announcement says so."""
    deadline: float
    """When waiting is over: for the proof first, for the playings once they began."""
    begun: bool = False
    """The playings are ordered: until then the proof is waited for."""
    turn: str = ""
    """Tells the playings of a leg's later notices from those of its first."""
    _playing: set[str] = field(default_factory=set)
    _failed: bool = False

    def open(self, line: Line, now: float) -> Iterator[Effect]:
        """Play; the caller's keys are listened to and held back."""
        self.deadline, self.begun = now + NOTICE_WAIT_S, True
        self._playing = {f"notice{self.turn}", f"tone{self.turn}"}
        yield PlaneOrder(Listen(line.caller_flow, True, line.caller_events, hold_back=True))
        sound = f"notice-side-{self.language}-1" if self.one_sided else f"notice-{self.language}-1"
        yield play_to(line.caller_flow, f"notice{self.turn}", sound, line, "instead")
        yield play_to(line.agent_flow, f"tone{self.turn}", "tone-start", line, "beneath")

    def played(self, report: PlayEnded) -> None:
        """A playing ended."""
        if report.play in self._playing:
            self._playing.discard(report.play)
            self._failed = self._failed or not report.complete

    def spoiled(self, now: float) -> bool:
        """It was cut, or took too long."""
        return self._failed or now >= self.deadline

    @property
    def told(self) -> bool:
        """Both heard it to its end."""
        return self.begun and not self._playing and not self._failed

    def close(self, line: Line) -> Iterator[Effect]:
        """Stop the announcement."""
        yield PlaneOrder(StopPlay(f"notice{self.turn}", line.caller_flow))
