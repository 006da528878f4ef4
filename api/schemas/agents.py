"""Agents, their keys, consents and seats, and what they do in a call."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from api.schemas.bodies import HEX, Body, Name, PurposeName, SignedStatement, Word


class NewAgentLine(Body):
    """One name for the roster; grants nothing."""

    name: Name
    group: Word
    site: Word
    onboarding_from: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}-\d{2}$")
    home_office: bool = False


class NewAgents(Body):
    """Names for the roster."""

    agents: list[NewAgentLine] = Field(min_length=1, max_length=500)


class AgentLine(BaseModel):
    """A roster line as others than the agent see it."""

    id: str
    name: str
    group: str
    site: str
    enabled: bool
    enrolled: bool
    enrolments: int | None = Field(
        description="for council and DPO: how often keys were bound, which resets every answer; null for others"
    )


class AgentPage(BaseModel):
    """Roster lines and where they go on."""

    items: list[AgentLine]
    next: str | None


class Code(BaseModel):
    """An enrolment code, shown this once."""

    agent: str
    code: str
    expires_in: int


class Me(BaseModel):
    """Everything the API holds of the agent themselves; `bundle` is base64 of the sealed key bundle."""

    id: str
    name: str
    group: str
    site: str
    role: str
    session: str
    recipient: str | None
    signing_key: str | None
    extension: str | None
    seat_seq: int
    blackout: bool
    consents: dict[str, str]
    consent_seqs: dict[str, int]
    ask_again_at: dict[str, str] = Field(description="purpose refused → when the page may ask again by itself")
    enrolments: int = Field(description="how often keys were bound; each time after the first reset every answer")
    enrolled_from: str | None
    bundle: str | None


class Enrolment(Body):
    """The agent's new keys: public parts, the statement signed by the acting key, and the sealed bundle."""

    login: str = Field(pattern=r"^[a-z0-9][a-z0-9_.@-]{1,63}$")
    password: str = Field(min_length=12, max_length=256)
    signing_key: str = Field(max_length=1024)
    statement: SignedStatement
    bundle: str | None = Field(default=None, max_length=32768, description="base64 of an age file sealed by passphrase")


class ConsentAnswer(Body):
    """A standing answer: a yes carries the signed statement, a no or unset none."""

    answer: Literal["yes", "no", "unset"]
    statement: SignedStatement | None = None


class SeatClaim(Body):
    """A signed claim of an extension."""

    statement: SignedStatement


class Blackout(Body):
    """Whether the agent wants no call recorded until further notice."""

    on: bool


class Ack(Body):
    """An event was shown: its own `call`, `seq`, `state` and `nonce`; `page` as its snapshot named it."""

    call: str = Field(min_length=1, max_length=64)
    seq: int = Field(ge=0, lt=2**53)
    state: Literal["off", "asking", "recording_agent", "recording_both", "paused"]
    nonce: str = Field(min_length=1, max_length=128)
    shown: Literal["visible", "pip", "hidden"]
    page: str | None = Field(default=None, pattern=HEX)


class RecordRequest(Body):
    """The agent wants this call recorded: for the caller, or for themselves alone; signed as a yes in this call."""

    lane: Literal["customer_request", "agent_request"] = "customer_request"
    statement: SignedStatement


class InCallAnswer(Body):
    """The agent's own answer for this call."""

    purpose: PurposeName
    answer: Literal["yes", "no"]
    statement: SignedStatement | None = None


class CallerYes(Body):
    """The agent's own signed word that the caller said yes to this purpose."""

    purpose: PurposeName
    statement: SignedStatement
