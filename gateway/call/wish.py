"""What an agent asks for in a call, and what a leg keeps of the ways to a tap that are over. Sans-IO.

A leg is on one way to a tap at a time: one lane, one purpose, one recording. A wish that is in the books ends the way
that the leg is on, as long as its lane comes first in the order of lanes, and begins its own: question, notice, light,
decision. What was recorded until then is kept. When the leg ends, every entry of it gets its one `out`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.call.effects import LeaveLeg
from gateway.call.telling import told_as
from gateway.media.plane import CallRef, RecordingId
from policy.decision import CallerAnswer, Reason
from policy.terms import Lane, Purpose

__all__ = ["MOST_ASKINGS", "Part", "Wish", "goes_first", "leavings"]

MOST_ASKINGS = {Lane.CUSTOMER_REQUEST: 3, Lane.AGENT_REQUEST: 1}
"""How often a caller is asked in one leg: who wants a record may have missed the keys, a favour is asked once."""
_ORDER = {lane: place for place, lane in enumerate(Lane)}


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for, with its durable entry."""

    lane: Lane
    purpose: Purpose
    entry: int


@dataclass(frozen=True, slots=True)
class Part:
    """One way to a tap, as it ended."""

    entry: int | None
    recording: RecordingId | None
    """Begun on disk, whether or not its tap was ever open."""
    opened: bool
    discarded: bool
    cut: bool
    """A stop ended it before the leg did."""
    reasons: tuple[Reason, ...]
    answer: CallerAnswer | None = None
    """The caller's last word, where the leg was drawn."""


def goes_first(lane: Lane, other: Lane | None) -> bool:
    """Whether a wish in `lane` ends the way that a leg is on in the `other`."""
    return other is None or _ORDER[lane] < _ORDER[other]


def leavings(call: CallRef, entries: Sequence[int], parts: Sequence[Part]) -> Iterator[LeaveLeg]:
    """The single `out` of each entry of a leg: what was opened counts, else what was tried last."""
    for entry in entries:
        mine = [part for part in parts if part.entry == entry]
        if not mine:
            yield LeaveLeg(call, entry, "not_recorded", (), None, last=entry == entries[-1])
            continue
        last = next((part for part in mine if part.opened), mine[-1])
        yield LeaveLeg(
            call,
            entry,
            told_as(opened=last.opened, discarded=last.discarded, cut=last.cut),
            tuple(reason.value for reason in last.reasons),
            last.recording if last.opened else None,
            last.answer,
            entry == entries[-1],
            tuple(part.recording for part in mine if part.recording is not None),
        )
