"""The questions and notices that callers hear."""

from __future__ import annotations

from pydantic import BaseModel


class AnnouncementOut(BaseModel):
    """A question that callers can be asked: its words, its keys, and the hash that an agreement names it by."""

    id: str
    language: str
    purpose: str
    text: str
    """Word for word what is said; it stands in the file that the hash is of."""
    one_sided: bool
    """It says that after a no the agent's side may be recorded alone."""
    consent_key: str
    refuse_key: str
    withdraw_code: str
    """As the notice after it says; empty where that notice can't be played."""
    sha256: str
    seconds: float
    own: bool
    """Recorded by the house; else shipped."""
    named: bool
    """An agreement in force names this very file."""


class AnnouncementsOut(BaseModel):
    """All of them, and what is wrong with those that agreements in force name."""

    announcements: list[AnnouncementOut]
    faults: list[str]
