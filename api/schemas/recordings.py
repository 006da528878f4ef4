"""Recordings, what is asked for, released, held and found by code."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.schemas.bodies import Body, Side


class SideOut(BaseModel):
    """One side of one segment."""

    side: str
    seg: int
    state: str
    bytes: int | None
    sha256: str | None
    started: str | None
    ended: str | None


class RecordingOut(BaseModel):
    """A recording of the agent's own."""

    id: str
    call: str
    lane: str
    purpose: str
    started: str
    ended: str | None
    state: str
    keep_until: str | None
    sides: list[SideOut]


class AccessOut(BaseModel):
    """One fetch by somebody else than the agent: by whom, for what purpose, of what."""

    at: str
    role: str
    what: str
    purpose: str
    side: str
    seg: int
    name: str | None = Field(default=None, description="the coach's; council and officer are told by their role")


class AccessList(BaseModel):
    """All fetches of a recording, oldest first."""

    accesses: list[AccessOut]


class Hold(Body):
    """Why nothing of a recording may be erased, and until when (RFC 3339, at most 90 days)."""

    reason: str = Field(min_length=1, max_length=500)
    until: str = Field(max_length=40)


class RecordAsked(Body):
    """A record code as the caller typed it."""

    code: str


class RecordSide(BaseModel):
    """One side of a record: `none`, `recording`, `kept` or `erased`; `erase_at`: when it goes, as was asked."""

    side: Side
    state: str
    seconds: int
    segments: list[int]
    erase_at: str | None


class RecordFound(BaseModel):
    """What there is of a record; days as ISO dates. Whose call it was isn't told."""

    recording: str
    day: str
    purpose: str
    keep_until: str
    held_until: str | None
    sides: list[RecordSide]


class SideErased(BaseModel):
    """When the side that its own person wants gone is erased."""

    erase_at: str


class RecordingPage(BaseModel):
    """Recordings, newest first, and where they go on."""

    items: list[RecordingOut]
    next: str | None
