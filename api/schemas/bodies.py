"""What every area takes and gives: the strict body of a request, signed statements, names in paths."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

HEX = r"^[0-9a-f]{32}$"


Name = Annotated[str, StringConstraints(min_length=1, max_length=128, strip_whitespace=True)]


Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]


HexId = Annotated[str, Path(pattern=HEX, description="32 lower-case hexadecimal characters")]


CallRef = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="our own random reference of the call")]


CallName = Annotated[
    str, Path(pattern=r"^[!-~]{1,255}$", description="our own reference of the call, or its SIP Call-ID")
]


EpochName = Annotated[str, Path(pattern=r"^[0-9A-Z-]{8,32}$", description="such as `2026-W10` or `2026-03-01`")]


PurposeName = Literal["coaching", "process_quality", "dispute"]


Side = Literal["agent", "caller"]


class Body(BaseModel):
    """What comes in."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SignedStatement(Body):
    """Canonical JSON and its armoured SSHSIG, by the person's own key."""

    document: str = Field(max_length=16384)
    signature: str = Field(max_length=4096)


class Done(BaseModel):
    """What the gateway answered; its members depend on the command."""

    model_config = ConfigDict(extra="allow")
