"""What PBX and IVR say about a call."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from api.schemas.bodies import Body, PurposeName

UtcTime = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z$")]


class OnCall(Body):
    """Which extension is on the call for the next seconds; null: nobody is any more."""

    extension: str | None = Field(pattern=r"^[A-Za-z0-9*#+._-]{1,32}$")
    ttl_s: int = Field(default=10, ge=1, le=10)
    queue: str | None = Field(default=None, pattern=r"^[!-~]{1,64}$")


class CallerAnswer(Body):
    """What the caller answered for one purpose. A yes names the prompt by its hash, when it had ended, and its time."""

    purpose: PurposeName
    answer: Literal["yes", "no", "silence"]
    prompt_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    prompt_end: UtcTime | None = None
    answered_at: UtcTime | None = None


class NewIvr(Body):
    """An IVR as the agreement names it: `ivr:NAME`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")


class IvrCredential(BaseModel):
    """The bearer token of an IVR, shown this once."""

    name: str
    token: str
