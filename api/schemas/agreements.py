"""Running calls, the agreement in force, its acts, and the epochs of the draw."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from api.schemas.bodies import Body


class RunningCall(BaseModel):
    """A call that runs: no number, no recording state."""

    call: str
    since: str
    queue: str | None


class RunningCallList(BaseModel):
    """All running calls."""

    items: list[RunningCall]


class ConsentTextOut(BaseModel):
    """What a yes for a purpose says, by language, and the hash of each text, which the signed yes names."""

    purpose: str
    text: dict[str, str]
    sha256: dict[str, str]


class AgreementOut(BaseModel):
    """The agreement in force."""

    digest: str
    seq: int
    version: int
    demo: bool
    title: dict[str, str]
    start: str
    end: str
    home_office_separate: bool
    channels: list[str] = Field(description="by which a caller's yes may come")
    document: str
    consents: list[ConsentTextOut]
    rates: dict[str, str]
    """Percent by rule, as they are now: acts may have lowered what the document says."""
    asked_for: dict[str, str]
    """Lane to purpose of what agents may ask for in a call."""
    drawn_for: list[str]
    """Purposes that legs are drawn for."""
    suspended: bool
    warnings: list[str] = Field(description="what ends within 60 days, in the language of the request")


class Document(Body):
    """An agreement's YAML."""

    document: str = Field(min_length=1, max_length=262144)


class FaultOut(BaseModel):
    """One fault of an agreement."""

    field: str
    line: int | None
    said: str


class CheckResult(BaseModel):
    """The document alone, judged."""

    ok: bool
    digest: str | None
    faults: list[FaultOut]
    notes: list[str] = []


Figures = Annotated[dict[Annotated[str, StringConstraints(max_length=128)], int], Field(max_length=512)]


class DryRunAsked(Body):
    """An agreement's YAML and what to reckon with: by rule, by group, or for all under `*`."""

    document: str = Field(min_length=1, max_length=262144)
    legs: Figures = Field(default_factory=dict)
    """Of one agent in a week; empty: last month's published figures."""
    agents: Figures = Field(default_factory=dict)
    """Not given: the fewest that a rule needs."""


class ActOut(BaseModel):
    """One act of the chain."""

    seq: int
    type: str
    agreement: str
    digest: str
    at: str
    signed_by: list[str]
    session: str | None
    """The party whose session suspended, without a key."""
    document: str | None


class ActList(BaseModel):
    """The chain of acts, oldest first."""

    acts: list[ActOut]


class ActFile(BaseModel):
    """One act as `policy.act_file` writes it."""

    act: str
    """Canonical JSON, as signed."""
    signatures: dict[str, str]
    at: str
    document: str | None
    """The agreement that it carried, as canonical JSON."""
    session: str | None


class FirstAnchor(BaseModel):
    """A party's public keys as they were first anchored; acts may have replaced them."""

    role: str
    key: str
    recipient: str | None


class ActFiles(BaseModel):
    """The chain of acts in full, oldest first, and what it begins with."""

    anchors: list[FirstAnchor]
    acts: list[ActFile]


class ActDraft(Body):
    """An act to be made: its type and body, as `fairtap agreement` writes them."""

    type: str = Field(min_length=1, max_length=32)
    agreement: str = Field(min_length=1, max_length=64)
    body: dict[str, Any] = Field(max_length=16)


class SignedRates(Body):
    """A signed act of type `rates`."""

    document: str = Field(min_length=2, max_length=65536)
    """The act's canonical JSON, as drafted and signed."""
    signatures: dict[str, Annotated[str, StringConstraints(max_length=4096)]] = Field(min_length=1, max_length=8)


class SignedAct(Body):
    """A signed act, with the document where it puts one into force."""

    document: str | None = Field(default=None, min_length=1, max_length=262144)
    act: str = Field(min_length=2, max_length=65536)
    signatures: dict[str, Annotated[str, StringConstraints(max_length=4096)]] = Field(min_length=1, max_length=8)


class EpochCommitment(Body):
    """`csig`: SSHSIG over `{origin, e, c}`, namespace `fairtap-epoch@v1`, by an anchored key of the council."""

    c: str = Field(pattern=r"^[0-9a-f]{64}$")
    csig: str = Field(max_length=4096)


class EpochShare(Body):
    """The council's share of an epoch's draw."""

    share: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)


class Cosignature(Body):
    """A checkpoint as the log signed it, with one more signature line."""

    note: str = Field(max_length=65536)


class SealedOpening(BaseModel):
    """Which call an entry of an epoch's log stands for: an age file for the council, base64."""

    entry: int
    sealed: str


class SealedOpenings(BaseModel):
    """Openings in the order of the log, and where they go on."""

    items: list[SealedOpening]
    next: int | None


class Inventory(BaseModel):
    """What an epoch's root was made of, in its order."""

    e: str
    leaves: list[str]
