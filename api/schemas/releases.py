"""Bodies of requests and answers around coaches and releases."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.schemas.bodies import Body, Name, Side, SignedStatement
from api.schemas.draws import ProvenOut

__all__ = [
    "CoachCode",
    "CoachKeyOut",
    "CoachList",
    "CoachMe",
    "CoachOut",
    "NewCoach",
    "NewRelease",
    "ReleaseList",
    "ReleaseMade",
    "ReleaseOut",
    "ReleasedOut",
    "ReleasedPage",
    "ReleasedSideIn",
    "SegmentName",
]


class ReleasedSideIn(Body):
    """One side of one segment: the agent's statement, and the age header for the coach in base64."""

    statement: SignedStatement
    header: str = Field(max_length=6000)


class NewRelease(Body):
    """All that one coach may hear of a recording; each side's statement carries the same id, coach, purpose and end."""

    sides: list[ReleasedSideIn] = Field(min_length=1, max_length=200)


class ReleaseMade(BaseModel):
    """A release that stands, and how many more recordings of the agent may be released in this year."""

    release: str
    until: str
    evaluations_left: int


class SegmentName(BaseModel):
    """One side of one segment."""

    side: Side
    seg: int


class ReleaseOut(BaseModel):
    """A release as its agent sees it, standing or over."""

    id: str
    coach: str
    name: str
    purpose: str
    at: str
    until: str
    revoked_at: str | None
    sides: list[SegmentName]


class ReleaseList(BaseModel):
    """All releases of a recording, oldest first."""

    releases: list[ReleaseOut]


class ReleasedOut(BaseModel):
    """What a coach may hear: to the day, without the agent's name."""

    id: str = Field(description="of the recording")
    release: str
    purpose: str
    day: str
    until: str
    sides: list[SegmentName]


class ReleasedPage(BaseModel):
    """Everything that is released to a coach now, newest first."""

    items: list[ReleasedOut]
    next: None = None


class NewCoach(Body):
    """A coach's name, as agents will see it."""

    name: Name


class CoachCode(BaseModel):
    """A coach's enrolment code, shown this once."""

    coach: str
    code: str
    expires_in: int


class CoachKeyOut(BaseModel):
    """A coach's enrolment: signed by the coach's own key, and the log's `key` entry with what opens it."""

    recipient: str
    words: str = Field(description="six words of the recipient, to compare with the coach")
    signing_key: str
    statement: SignedStatement
    told: dict[str, str | None]
    salt: str
    entry: ProvenOut


class CoachOut(BaseModel):
    """A coach whom an agent may release to."""

    id: str
    name: str
    key: CoachKeyOut


class CoachList(BaseModel):
    """All coaches with keys, by name."""

    coaches: list[CoachOut]


class CoachMe(BaseModel):
    """The coach's own data; `bundle` is base64 of the sealed key bundle."""

    id: str
    name: str
    role: str
    session: str
    recipient: str | None
    words: str | None
    signing_key: str | None
    bundle: str | None
