"""An agent's release of one side of a recording to a coach, and whether the agreements permit it (crypto.md §2).

Sans-IO: the statement's form, and every condition that needs no key. Signature, recipient and header are the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from crypto.jcs import canonical
from policy.agreement.schema import AccessLine, Agreement
from policy.statements import RECIPIENT, SHA256, Fields, recipient_of
from policy.terms import Lane, Purpose, Side

RELEASE_NAMESPACE: Final = "fairtap-release@v1"
MAX_SEGMENT: Final = 9_999
EVALUATION_YEAR: Final = timedelta(days=366)
"""How long a release counts as an evaluation: never less than twelve months."""
PLAYS: Final = 20
"""Recordings that one person may play in `PLAY_WINDOW`, each as often as it is fetched."""
PLAY_WINDOW: Final = timedelta(hours=1)
_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Release:
    """One side of one segment, for one coach; the sides that are released together carry the same `id`."""

    id: str
    """16 random bytes of the agent's client."""
    recording: str
    side: Side
    seg: int
    to: str
    """The coach."""
    recipient: str
    """`age1…` of the coach, as the agent checked it; the JSON field is `to_key`."""
    purpose: Purpose
    until: str
    """UTC, `2026-03-08T09:30:00Z`."""
    header_sha256: str
    """Of the age header that wraps the file key to that recipient."""

    def canonical(self) -> bytes:
        """The bytes to sign under `RELEASE_NAMESPACE`."""
        return canonical(
            {
                "v": 1,
                "id": self.id,
                "rec": self.recording,
                "side": self.side.value,
                "seg": self.seg,
                "to": self.to,
                "to_key": self.recipient,
                "purpose": self.purpose.value,
                "until": self.until,
                "header_sha256": self.header_sha256,
            }
        )

    @property
    def until_at(self) -> datetime:
        """The instant at which it ends."""
        return datetime.fromisoformat(self.until)


def parse_release(data: bytes) -> Release:
    """Read a release; raises `StatementError`, and nothing else."""
    fields = Fields.read(data, "v id rec side seg to to_key purpose until header_sha256")
    fields.integer("v", 1, 1)
    return Release(
        id=fields.text("id", _ID),
        recording=fields.text("rec", _ID),
        side=Side(fields.one_of("side", [side.value for side in Side])),
        seg=fields.integer("seg", 1, MAX_SEGMENT),
        to=fields.text("to", _ID),
        recipient=recipient_of(fields.text("to_key", RECIPIENT), "to_key"),
        purpose=Purpose(fields.one_of("purpose", [purpose.value for purpose in Purpose])),
        until=fields.instant("until"),
        header_sha256=fields.text("header_sha256", SHA256),
    )


class ReleaseFault(StrEnum):
    """Why a release isn't taken; the value is the code that clients see."""

    ROLE_NOT_NAMED = "role_not_named"
    LANE_PRIVATE = "lane_private"
    PURPOSE_DIFFERS = "purpose_differs"
    ONE_SIDED = "one_sided_not_evidence"
    UNTIL_PAST = "until_past"
    UNTIL_LATE = "until_late"


SAID: Final = {
    ReleaseFault.ROLE_NOT_NAMED: "the agreement lets no coach hear recordings of this purpose",
    ReleaseFault.LANE_PRIVATE: "what an agent had recorded for themselves can't be released",
    ReleaseFault.PURPOSE_DIFFERS: "the release names another purpose than the recording was made for",
    ReleaseFault.ONE_SIDED: "one side alone proves nothing: it can't be released for a dispute",
    ReleaseFault.UNTIL_PAST: "the release ends before it begins",
    ReleaseFault.UNTIL_LATE: "the release ends later than agreement and retention permit",
}


@dataclass(frozen=True, slots=True)
class Released:
    """The recording that a release is about, as the index has it."""

    lane: Lane
    purpose: Purpose
    erase_at: datetime
    kept: frozenset[Side]
    """Sides with a sealed segment."""


def release_fault(
    agreements: Sequence[Agreement],
    recording: Released,
    releases: Collection[Release],
    wallclock: datetime,
) -> ReleaseFault | None:
    """The first condition that releases of one recording, all for one coach, don't meet under all agreements in force.

    `releases` isn't empty, and alike but for side, segment and header.
    """
    first = next(iter(releases))
    if recording.lane is Lane.AGENT_REQUEST:
        return ReleaseFault.LANE_PRIVATE
    if first.purpose is not recording.purpose:
        return ReleaseFault.PURPOSE_DIFFERS
    latest = latest_until(agreements, recording, wallclock)
    if latest is None:
        return ReleaseFault.ROLE_NOT_NAMED
    shown = {release.side for release in releases} & recording.kept
    if first.purpose is Purpose.DISPUTE and shown != set(Side):
        return ReleaseFault.ONE_SIDED
    if first.until_at <= wallclock:
        return ReleaseFault.UNTIL_PAST
    return ReleaseFault.UNTIL_LATE if first.until_at > latest else None


def latest_until(agreements: Sequence[Agreement], recording: Released, wallclock: datetime) -> datetime | None:
    """The latest end of a release made now; None where an agreement in force doesn't name coaches, or none is."""
    lines = [coach_line(agreement, recording.purpose) for agreement in agreements]
    ends = [line.ttl.after(wallclock) for line in lines if line is not None and line.ttl is not None]
    return min((*ends, recording.erase_at)) if lines and len(ends) == len(lines) else None


def coach_line(agreement: Agreement, purpose: Purpose) -> AccessLine | None:
    """The line that lets coaches hear a purpose's recordings."""
    return next((line for line in agreement.access if line.role == "coach" and purpose in line.purposes), None)


def may_hear(agreements: Sequence[Agreement], purpose: Purpose) -> bool:
    """Whether every agreement in force lets coaches hear what is released to them for a purpose."""
    return bool(agreements) and all(coach_line(agreement, purpose) is not None for agreement in agreements)


def evaluations_left(agreements: Sequence[Agreement], counted: int) -> int:
    """How many more of an agent's recordings may be released, after `counted` within `EVALUATION_YEAR`."""
    return max(0, min((agreement.evaluations_per_year for agreement in agreements), default=0) - counted)
