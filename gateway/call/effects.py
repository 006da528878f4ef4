"""What the call core wants done. The engine does it, in this order, and reports back what it must."""

from dataclasses import dataclass

from gateway.call.model import Asked
from gateway.events import LegLight
from gateway.media import plane
from gateway.media.plane import CallRef, RecordingId
from policy.decision import CallerAnswer, Decision, Purpose

__all__ = [
    "DiscardRecording",
    "Effect",
    "EnterLeg",
    "LeaveLeg",
    "PlaneOrder",
    "Publish",
    "WriteDecision",
    "WriteReceipt",
    "WriteStop",
]


@dataclass(frozen=True, slots=True)
class PlaneOrder:
    """An order to the media worker of this call."""

    order: plane.Order


@dataclass(frozen=True, slots=True)
class Publish:
    """An event for the pages of the leg's agent."""

    event: LegLight


@dataclass(frozen=True, slots=True)
class EnterLeg:
    """Enter the leg and draw; answered by `Call.entered`."""

    agent: str


@dataclass(frozen=True, slots=True)
class WriteReceipt:
    """A yes, or the withdrawal of one: never a refusal, never silence."""

    call: CallRef
    purpose: Purpose
    outcome: str
    asked: Asked
    prompt_end: float | None
    """None: no prompt was played."""
    answered_at: float


@dataclass(frozen=True, slots=True)
class WriteDecision:
    """Make the decision to record durable; answered by `Call.decision_durable` (or `decision_failed`)."""

    call: CallRef
    recording: RecordingId
    seg: int
    entry: int
    decision: Decision


@dataclass(frozen=True, slots=True)
class WriteStop:
    """The tap is closed (the order is out): note why, durable."""

    call: CallRef
    recording: RecordingId
    seg: int
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DiscardRecording:
    """Intent durable, worker drops keys, everything of the recording erased; then `out` may be written."""

    call: CallRef
    recording: RecordingId


@dataclass(frozen=True, slots=True)
class LeaveLeg:
    """The agent's part is over: the single `out` of one of the leg's entries."""

    call: CallRef
    entry: int
    told_as: str
    """`recorded`, `recorded (cut)`, `discarded`, `interrupted` or `not_recorded`."""
    reasons: tuple[str, ...]
    recording: RecordingId | None
    answer: CallerAnswer | None = None
    """The caller's last word on the purpose the leg was drawn for: counted, never kept with the leg."""
    last: bool = True
    """Of the leg's: what became of it is known with this one."""
    begun: tuple[RecordingId, ...] = ()
    """Every recording of this entry that has a row: each is closed before the `out`."""


Effect = PlaneOrder | Publish | EnterLeg | WriteReceipt | WriteDecision | WriteStop | DiscardRecording | LeaveLeg
