"""A recording as a value: its states and their table, its segments, and what begins and seals it. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Row

from policy.terms import Lane, Purpose
from storage.legs import LegEntry
from storage.manifest import Ingress, Media
from storage.names import AgentId, SegmentKey


class State(StrEnum):
    """Where a recording is in its life; one that was erased has no row."""

    OPEN = "open"
    """Its leg goes on: segments may come."""
    KEPT = "kept"
    INTERRUPTED = "interrupted"
    """The gateway or a worker died; what was whole is kept."""
    FAILED = "failed"
    """Nothing of it could be stored."""
    DISCARDING = "discarding"
    """The intent to destroy it is durable."""
    DISCARDED = "discarded"
    ERASING = "erasing"
    """Its retention is over, or its owner wants it gone: the intent is durable, the row goes last."""


NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.OPEN: frozenset({State.KEPT, State.INTERRUPTED, State.FAILED, State.DISCARDING, State.ERASING}),
    State.KEPT: frozenset({State.DISCARDING, State.ERASING}),
    State.INTERRUPTED: frozenset({State.DISCARDING, State.ERASING}),
    State.FAILED: frozenset({State.DISCARDING, State.ERASING}),
    State.DISCARDING: frozenset({State.DISCARDED, State.ERASING}),
    State.DISCARDED: frozenset({State.ERASING}),
    State.ERASING: frozenset(),
}
ENDED: Final = frozenset(State) - {State.OPEN, State.DISCARDING}
GOING: Final = frozenset({State.DISCARDING, State.DISCARDED, State.ERASING})
"""Nothing is written to a recording any more, and what still comes is destroyed."""


class SegmentState(StrEnum):
    """Where one side of a segment is."""

    OPEN = "open"
    SEALED = "sealed"
    FAILED = "failed"
    ERASED = "erased"
    """Its own person wanted it gone: what opened it is destroyed, and the payload; the row stays for the log."""


@dataclass(frozen=True, slots=True)
class Begin:
    """What is known of a recording when its first tap is about to open."""

    recording: str
    agent: str
    call_ref: str
    leg: LegEntry
    origin: str
    """Of the log that holds the leg's entry."""
    lane: Lane
    purpose: Purpose
    agreement: str
    """Digest (hex)."""
    consents: tuple[str, ...]
    """Digests (hex) of the statements and receipts it stands on."""
    recipients: tuple[str, ...]
    """`age1…`, the owner's."""
    erase_at: datetime
    ingress: Ingress = "inline"
    media: Media = "rtp"


@dataclass(frozen=True, slots=True)
class SealFacts:
    """What the writer of a payload reports at its end."""

    sha256: str
    bytes: int
    chunks: int
    key_commit: str
    stanzas: int
    container: str
    started: datetime
    ended: datetime
    gaps: tuple[tuple[int, int, str], ...] = ()
    """(start ms, end ms, why)."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One side of one segment as the index has it; what isn't known (yet) is None."""

    key: SegmentKey
    state: SegmentState
    key_commit: str | None
    stanzas: int | None
    container: str | None
    opened_at: datetime | None
    end: str | None
    reason: str | None
    """Why it failed."""
    sha256: str | None
    bytes: int | None
    chunks: int | None
    manifest_sha256: str | None
    started: datetime | None
    ended: datetime | None


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording as the index has it."""

    id: str
    agent: AgentId
    call_ref: str
    entry: int
    lane: Lane
    purpose: Purpose
    agreement: str
    state: State
    erase_at: datetime
    begun_at: datetime
    ended_at: datetime | None
    segments: tuple[Segment, ...]

    @property
    def manifests(self) -> tuple[str, ...]:
        """Digests (hex) of the manifests that are kept, in the order of segments: what `out` commits to."""
        return tuple(segment.manifest_sha256 for segment in self.segments if segment.manifest_sha256 is not None)


def recording_of(row: Row[Any], parts: tuple[Segment, ...]) -> Recording:
    """The value behind a row and its segments."""
    return Recording(
        id=row.id,
        agent=AgentId(row.agent),
        call_ref=row.call_ref,
        entry=row.entry,
        lane=Lane(row.lane),
        purpose=Purpose(row.purpose),
        agreement=row.agreement,
        state=State(row.state),
        erase_at=row.erase_at,
        begun_at=row.begun_at,
        ended_at=row.ended_at,
        segments=parts,
    )


def segment_of(row: Row[Any]) -> Segment:
    """The value behind a segment's row."""
    return Segment(
        key=SegmentKey(row.recording, row.seg, row.side),
        state=SegmentState(row.state),
        key_commit=row.key_commit,
        stanzas=row.stanzas,
        container=row.container,
        opened_at=row.opened_at,
        end=row.end,
        reason=row.reason,
        sha256=row.sha256,
        bytes=row.bytes,
        chunks=row.chunks,
        manifest_sha256=row.manifest_sha256,
        started=row.started,
        ended=row.ended,
    )
