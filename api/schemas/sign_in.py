"""Signing in and out."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from api.schemas.bodies import Body


class PasswordSignIn(Body):
    """An agent's name and password."""

    login: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=256)


class CodeSignIn(Body):
    """A one-time enrolment code."""

    code: str = Field(min_length=8, max_length=64)


class KeySignIn(Body):
    """A challenge signed with an anchored key: `{challenge, role, site}`, namespace `fairtap-session@v1`."""

    role: Literal["council", "employer", "dpo"]
    challenge: str = Field(pattern=r"^[0-9a-f]{64}$")
    signature: str = Field(max_length=4096)


class Challenge(BaseModel):
    """What to sign: the canonical JSON of `{"challenge", "role", "site"}` with these values."""

    challenge: str
    site: str
    namespace: str
    expires_in: int


class SessionInfo(BaseModel):
    """A session, also set as a cookie."""

    role: str
    agent: str | None
    coach: str | None = None
    scopes: list[str]
    expires_in: int
