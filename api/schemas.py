"""Bodies of requests and answers. Strict: an unknown member, or a number where text is meant, is refused."""

from __future__ import annotations

from base64 import b64decode
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.reads import DrawnEpoch, DrawRow, OwnDraws, Proven

__all__ = ["CallName", "CallRef", "HexId", "PurposeName", "Side"]

_HEX = r"^[0-9a-f]{32}$"
Name = Annotated[str, StringConstraints(min_length=1, max_length=128, strip_whitespace=True)]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]
HexId = Annotated[str, Path(pattern=_HEX, description="32 lower-case hexadecimal characters")]
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


# --- sign-in ------------------------------------------------------------------------------------------------------


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


# --- agents -------------------------------------------------------------------------------------------------------


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
    page: str | None = Field(default=None, pattern=_HEX)


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


# --- what machines say about a call -------------------------------------------------------------------------------

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


# --- announcements ------------------------------------------------------------------------------------------------


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


# --- calls, agreement, recordings ---------------------------------------------------------------------------------


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


class ActFiles(BaseModel):
    """The chain of acts in full, oldest first."""

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
    """Digests of the manifests that an epoch's root was made of, in its order."""

    e: str
    manifests: list[str]


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


class OwnEntry(BaseModel):
    """An entry of the log about the agent: its leaf, what opens its commitment, a tlog-proof once it is published."""

    id: int
    origin: str
    index: int
    kind: str
    told: dict[str, str | int | None]
    salt: str
    entry: str
    proof: str | None


class OwnEntryPage(BaseModel):
    """Entries, oldest first, and where they go on."""

    items: list[OwnEntry]
    next: int | None


class ProvenOut(BaseModel):
    """A leaf of the log, with a tlog-proof once it is published."""

    origin: str
    index: int
    entry: str
    proof: str | None


class OwnDraw(BaseModel):
    """An entry of one of the agent's legs; what opens it, an age file for the agent in base64."""

    id: int
    kind: str
    sealed: str
    entry: ProvenOut

    def told(self) -> DrawRow:
        """As it is checked. Raises ValueError for what isn't base64."""
        return DrawRow(self.id, self.kind, b64decode(self.sealed, validate=True), Proven(**self.entry.model_dump()))


class DrawnEpochOut(BaseModel):
    """What the legs of an epoch were drawn from: commitments, shares once they are revealed, rates (ppm) by rule."""

    name: str
    ecommit: ProvenOut | None
    reveal: ProvenOut | None
    rates: dict[str, list[int]]


class OwnDrawPage(BaseModel):
    """Entries of legs, oldest first, the epochs they are of, and where they go on."""

    items: list[OwnDraw]
    epochs: list[DrawnEpochOut]
    next: int | None

    def told(self) -> OwnDraws:
        """As they are checked. Raises ValueError for what isn't base64."""
        return OwnDraws(
            [one.told() for one in self.items],
            [DrawnEpoch(one.name, _proven(one.ecommit), _proven(one.reveal), one.rates) for one in self.epochs],
        )


def _proven(one: ProvenOut | None) -> Proven | None:
    return None if one is None else Proven(**one.model_dump())


# --- statistics ---------------------------------------------------------------------------------------------------

Figure = Annotated[int | None, Field(description="a count; null: withheld")]


class FunnelOut(BaseModel):
    """How many agent legs came how far."""

    legs: Figure = Field(description="under this rule")
    drawn: Figure = Field(description="chosen by the draw")
    capped: Figure = Field(description="drawn, but above ceiling or cap")
    selected: Figure = Field(description="to be recorded if both sides agree")
    yes: Figure = Field(
        description="the caller said yes; the rest said no, stayed silent or wasn't asked: never told apart, since "
        "that would tell how many agents refuse"
    )
    kept: Figure = Field(description="a recording was there when the leg ended")


class RuleFiguresOut(BaseModel):
    """Of one sample rate."""

    phase: Literal["onboarding", "regular"]
    funnel: FunnelOut


class GroupFiguresOut(BaseModel):
    """Of one group: over all its sample rates, and of each."""

    group: str
    funnel: FunnelOut
    rules: list[RuleFiguresOut]


class CampaignFiguresOut(BaseModel):
    """Of one campaign."""

    campaign: str
    funnel: FunnelOut


class ChannelFiguresOut(BaseModel):
    """Of one way to ask callers."""

    site: str
    channel: str
    yes_percent: Figure = Field(description="of a hundred callers who answered; null: withheld")


class BinOut(BaseModel):
    """How often an agent had so many hits in an epoch, over what is told above; no names, no order."""

    least: int
    most: int
    agents: int


class FiguresOut(BaseModel):
    """All figures of a month."""

    groups: list[GroupFiguresOut]
    campaigns: list[CampaignFiguresOut]
    channels: list[ChannelFiguresOut]
    hits_per_agent: list[BinOut] = Field(description="empty: withheld")


class LimitsOut(BaseModel):
    """Nothing is told about fewer."""

    min_agents: int
    min_calls: int


class StatisticsOut(BaseModel):
    """One calendar month."""

    month: str
    timezones: list[str]
    epochs: list[str] = Field(description="lengths, such as P1W")
    limits: LimitsOut
    figures: FiguresOut


class Done(BaseModel):
    """What the gateway answered; its members depend on the command."""

    model_config = ConfigDict(extra="allow")


Anything = dict[str, Any]
