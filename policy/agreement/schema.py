"""The works agreement as values: one frozen dataclass per section of the document.

Made only by `policy.agreement.load.load`, which has checked every rule by then; instants are UTC, percents are ppm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from enum import StrEnum

from policy.period import Period
from policy.terms import Gate, Lane, Mode, Phase, Purpose, WithdrawalEffect

KEEP_AGENT_SIDE = "agent_side"
"""`on_refusal`: keep the agent's side alone (mode `per_leg` only); else `record_nothing`."""


class Instrument(StrEnum):
    """The legal form of the agreement."""

    BETRIEBSVEREINBARUNG = "betriebsvereinbarung"
    GESAMTBV = "gesamtbv"
    KONZERNBV = "konzernbv"
    DIENSTVEREINBARUNG = "dienstvereinbarung"
    TARIFVERTRAG = "tarifvertrag"
    EINIGUNGSSTELLENSPRUCH = "einigungsstellenspruch"
    REGELUNGSABREDE = "regelungsabrede"
    DULDUNG = "duldung"
    NO_AVTALE = "no_avtale"


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """The signed form that this file is the executable annex of."""

    sha256: str
    form: str


@dataclass(frozen=True, slots=True)
class Employer:
    """The employer: name and the name of its anchored key."""

    name: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """The council's resolution that approved the agreement."""

    date: date
    minutes_sha256: str


@dataclass(frozen=True, slots=True)
class Council:
    """The works council: name, kind of body, name of its anchored key, its resolution."""

    name: str
    body: str
    anchor: str
    resolution: Resolution


@dataclass(frozen=True, slots=True)
class Dpo:
    """The data-protection officer: name of the anchored key, reference of the opinion."""

    anchor: str
    opinion_ref: str


@dataclass(frozen=True, slots=True)
class Parties:
    """Who signs."""

    employer: Employer
    council: Council
    dpo: Dpo


@dataclass(frozen=True, slots=True)
class EvaluationTerms:
    """How often the parties evaluate, and when next; overdue means suspended."""

    every: Period
    next_due: date


@dataclass(frozen=True, slots=True)
class Validity:
    """Half-open: the agreement holds for `start <= wallclock < end` (both UTC)."""

    start: datetime
    end: datetime
    timezone: str
    zone: tzinfo
    evaluation: EvaluationTerms


@dataclass(frozen=True, slots=True)
class Legal:
    """References to the legal ground work."""

    dpia_ref: str | None
    after_effect: str
    controllers: tuple[str, ...]
    consultation: date | None
    per_leg_opinion: str | None


@dataclass(frozen=True, slots=True)
class Scope:
    """Where the agreement applies; `groups` maps a group to its `min_agents`."""

    sites: tuple[str, ...]
    queues: tuple[str, ...]
    excluded_queues: tuple[str, ...]
    groups: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Grounds:
    """Why a purpose is permitted."""

    legal_basis: str
    necessity: str
    milder_means: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DrawTerms:
    """Length of an epoch and how old the council's cosignature may be."""

    epoch: Period
    cosign_max_age: Period


@dataclass(frozen=True, slots=True)
class Rate:
    """One line of the sample lane: the ceiling and draw probability (ppm) of a group in a phase."""

    group: str
    phase: Phase
    ppm: int
    max_days: int | None


@dataclass(frozen=True, slots=True)
class Caps:
    """At most so many hits per agent in a local day and in an ISO week; `None` = no cap stated."""

    per_day: int | None
    per_week: int | None


@dataclass(frozen=True, slots=True)
class SampleLane:
    """Drawn legs of everyday work."""

    purpose: Purpose
    rates: tuple[Rate, ...]
    caps: Caps


@dataclass(frozen=True, slots=True)
class Campaign:
    """Drawn legs of one queue in an announced window (UTC, half-open)."""

    id: str
    purpose: Purpose
    queue: str
    start: datetime
    end: datetime
    announced_at: date
    max_recordings: int
    ppm: int
    min_eligible_agents: int


@dataclass(frozen=True, slots=True)
class CustomerRequestLane:
    """Legs that both the caller and the agent want recorded."""

    purpose: Purpose
    per_week: int | None


@dataclass(frozen=True, slots=True)
class AgentRequestLane:
    """Legs that the agent wants recorded for themselves."""

    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Lanes:
    """The lanes that are agreed on; `None` or empty = not agreed."""

    sample: SampleLane | None
    campaigns: tuple[Campaign, ...]
    customer_request: CustomerRequestLane | None
    agent_request: AgentRequestLane | None

    def purpose(self, lane: Lane, campaign: str | None = None) -> Purpose | None:
        """The purpose of a lane (of that campaign), or `None` where it isn't agreed."""
        if lane is Lane.CAMPAIGN:
            return next((c.purpose for c in self.campaigns if c.id == campaign), None)
        section = {
            Lane.SAMPLE: self.sample,
            Lane.CUSTOMER_REQUEST: self.customer_request,
            Lane.AGENT_REQUEST: self.agent_request,
        }[lane]
        return section.purpose if section is not None else None


@dataclass(frozen=True, slots=True)
class CallerTerms:
    """How the caller is asked. `channels` holds `dtmf`, `agent_key` and `ivr:NAME`."""

    model: str
    channels: tuple[str, ...]
    silence: str
    on_refusal: str


@dataclass(frozen=True, slots=True)
class AgentTerms:
    """How the agent is asked."""

    gate: Gate
    home_office_separate: bool
    refusal_visible_to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One consent prompt: its audio's hash and the keys it announces."""

    id: str
    language: str
    sha256: str
    consent_key: str
    refuse_key: str
    withdraw_code: str


@dataclass(frozen=True, slots=True)
class ConsentTerms:
    """Everything about asking."""

    mode: Mode
    caller: CallerTerms
    agent: AgentTerms
    withdrawal_effect: WithdrawalEffect
    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class IndicatorTerms:
    """The live light; everything but the age is mandatory. `beep_every` None = no beep."""

    ack_max_age_ms: int
    on_loss: str
    caller_notice: str
    agent_tone: str
    beep_every: Period | None


@dataclass(frozen=True, slots=True)
class PauseTerms:
    """Who may pause, how long at most."""

    triggers: tuple[str, ...]
    max: Period
    on_timeout: str


@dataclass(frozen=True, slots=True)
class AccessLine:
    """What a role may open, and who has to release it."""

    role: str
    purposes: tuple[Purpose, ...]
    release: str | None
    ttl: Period | None
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RetentionTerms:
    """How long recordings of a purpose, receipts and the log are kept."""

    purposes: Mapping[Purpose, Period]
    receipts: Period
    log: Period


@dataclass(frozen=True, slots=True)
class StatisticsTerms:
    """The smallest group and count that a figure may speak about."""

    min_agents: int
    min_calls: int


@dataclass(frozen=True, slots=True)
class CouncilPowers:
    """What the council may do alone, under which clause."""

    lower: bool
    suspend: bool
    dark: Period | None
    clause_ref: str


@dataclass(frozen=True, slots=True)
class ChangeTerms:
    """Who must sign a raise and what it needs."""

    signatures: tuple[str, ...]
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """The whole document; `digest` is the SHA-256 (hex) of its canonical JSON."""

    id: str
    version: int
    demo: bool
    title: Mapping[str, str]
    instrument: Instrument
    jurisdiction: str
    signed_document: SignedDocument
    parties: Parties
    validity: Validity
    legal: Legal
    scope: Scope
    purposes: Mapping[Purpose, Grounds]
    prohibited: frozenset[str]
    draw: DrawTerms
    lanes: Lanes
    consent: ConsentTerms
    indicator: IndicatorTerms
    pause: PauseTerms
    access: tuple[AccessLine, ...]
    evaluations_per_year: int
    retention: RetentionTerms
    storage_regions: tuple[str, ...]
    statistics: StatisticsTerms
    council_powers: CouncilPowers | None
    change: ChangeTerms
    digest: str
