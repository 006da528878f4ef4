"""What a decision is made from (`Facts`) and what it says (`Decision`), with every reason code (agreement.md §4).

`evaluate.evaluate(facts)` makes decisions; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from policy.agreement.schema import Agreement
from policy.terms import ASKED_LANES, DRAWN_LANES, ConsentState, Lane, Phase, Purpose, Side

__all__ = [
    "ASKABLE",
    "ASKED_LANES",
    "DRAWN_LANES",
    "SITE_STATE",
    "CallerAnswer",
    "ConsentState",
    "Decision",
    "Facts",
    "Lane",
    "Outcome",
    "PerCallAnswer",
    "Phase",
    "Purpose",
    "Reason",
    "Rule",
    "Side",
    "StandingAnswer",
    "fold",
    "in_order",
    "pending",
]


class Reason(StrEnum):
    """Why a leg isn't recorded. The order of the members is the order in which reasons are listed."""

    NO_AGREEMENT = "NO_AGREEMENT"
    SIGNATURE_INVALID = "SIGNATURE_INVALID"
    CLOCK_UNTRUSTED = "CLOCK_UNTRUSTED"
    OUTSIDE_VALIDITY = "OUTSIDE_VALIDITY"
    EVALUATION_OVERDUE = "EVALUATION_OVERDUE"
    SUSPENDED = "SUSPENDED"
    EPOCH_DARK = "EPOCH_DARK"
    LOG_UNWITNESSED = "LOG_UNWITNESSED"
    STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE"
    MEDIA_UNSUPPORTED = "MEDIA_UNSUPPORTED"
    MEDIA_ENCRYPTED = "MEDIA_ENCRYPTED"
    KEY_UNAVAILABLE = "KEY_UNAVAILABLE"
    OUT_OF_SCOPE = "OUT_OF_SCOPE"
    PROTECTED_PARTY = "PROTECTED_PARTY"
    PARTY_UNKNOWN = "PARTY_UNKNOWN"
    PARTY_INTERNAL = "PARTY_INTERNAL"
    LEG_UNBOUND = "LEG_UNBOUND"
    BLACKOUT = "BLACKOUT"
    AGENT_NOT_INFORMED = "AGENT_NOT_INFORMED"
    LANE_NOT_AGREED = "LANE_NOT_AGREED"
    NOT_REQUESTED = "NOT_REQUESTED"
    CAMPAIGN_CLOSED = "CAMPAIGN_CLOSED"
    CAMPAIGN_FULL = "CAMPAIGN_FULL"
    NOT_DRAWN = "NOT_DRAWN"
    GROUP_TOO_SMALL = "GROUP_TOO_SMALL"
    CEILING = "CEILING"
    AGENT_CAP = "AGENT_CAP"
    AGENT_NO_OR_UNSET = "AGENT_NO_OR_UNSET"
    AGENT_PER_CALL_MISSING = "AGENT_PER_CALL_MISSING"
    AGENT_SCOPE = "AGENT_SCOPE"
    CALLER_REFUSED = "CALLER_REFUSED"
    CALLER_UNSET = "CALLER_UNSET"
    CONSENT_UNPROVEN = "CONSENT_UNPROVEN"
    WITHDRAWN_BY_AGENT = "WITHDRAWN_BY_AGENT"
    WITHDRAWN_BY_CALLER = "WITHDRAWN_BY_CALLER"
    LEG_LEAK = "LEG_LEAK"
    NO_MEDIA = "NO_MEDIA"
    PAUSED = "PAUSED"
    CALLER_NOTICE_MISSING = "CALLER_NOTICE_MISSING"
    INDICATOR_STALE = "INDICATOR_STALE"
    EVALUATION_ERROR = "EVALUATION_ERROR"
    NOT_SELECTED_OR_NOT_PERMITTED = "NOT_SELECTED_OR_NOT_PERMITTED"
    """What everybody but the agent sees of a reason that depends on a person; `evaluate` never returns it."""


SITE_STATE: frozenset[Reason] = frozenset(
    {
        Reason.NO_AGREEMENT,
        Reason.SIGNATURE_INVALID,
        Reason.CLOCK_UNTRUSTED,
        Reason.OUTSIDE_VALIDITY,
        Reason.EVALUATION_OVERDUE,
        Reason.SUSPENDED,
        Reason.EPOCH_DARK,
        Reason.LOG_UNWITNESSED,
        Reason.STORAGE_UNAVAILABLE,
        Reason.MEDIA_UNSUPPORTED,
        Reason.MEDIA_ENCRYPTED,
    }
)
"""The reasons that depend on no person: shown to admin and council as the site's state."""

ASKABLE: frozenset[Reason] = frozenset({Reason.CALLER_UNSET, Reason.CALLER_NOTICE_MISSING, Reason.INDICATOR_STALE})
"""The gates that asking, noticing and lighting open; a leg that fails nothing else is armed."""

_ORDER = {reason: place for place, reason in enumerate(Reason)}


class Outcome(StrEnum):
    """May the tap be open?"""

    RECORD = "RECORD"
    NO = "NO"


@dataclass(frozen=True, slots=True)
class Decision:
    """What `evaluate` says about one leg now.

    `RECORD` has no reasons and at least one side. `NO` has at least one reason and no side; its lane and purpose name
    what was tried (the lane to ask for, where the decision is pending), or are `None` where nothing was.
    """

    outcome: Outcome
    lane: Lane | None
    purpose: Purpose | None
    sides: frozenset[Side]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """The one rule a leg is drawn under, fixed when the leg is entered (see `draw_rules.rule_for`)."""

    lane: Lane
    purpose: Purpose
    ppm: int
    """The lowest rate, where it is a rule of several agreements."""
    name: str
    """`campaign/ID` or `sample/GROUP/PHASE`, as acts call it."""
    campaign: str | None = None


@dataclass(frozen=True, slots=True)
class StandingAnswer:
    """An agent's standing answer for a purpose."""

    answer: ConsentState
    home_office: bool = False
    """The answer holds at the agent's home too."""


@dataclass(frozen=True, slots=True)
class PerCallAnswer:
    """An agent's answer for a purpose in this very call."""

    answer: ConsentState
    unprompted: bool = False
    """Nobody asked: the agent started it. Only such a yes can stand in for a standing one."""


@dataclass(frozen=True, slots=True)
class CallerAnswer:
    """The caller's answer for a purpose in this call."""

    answer: ConsentState
    channel: str | None = None
    """`dtmf`, `agent_key` or `ivr:NAME`: a yes counts only by a channel the agreement names."""
    receipt: bool | None = None
    """A receipt of that yes is written (and names a prompt the agreement names)."""
    told_one_sided: bool | None = None
    """The prompt said that the agent's side may be kept alone after a no."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything one decision needs. `None` always means "input missing", and a missing input denies.

    Facts name no agent: two agents with the same group, phase, answers and counters get the same decision.
    """

    # the site
    wallclock: datetime | None = None
    """Aware."""
    clock_trusted: bool | None = None
    agreements: tuple[Agreement, ...] | None = None
    """The agreements in force by their acts; empty or `None`: nothing is permitted."""
    signatures_valid: bool | None = None
    suspended: bool | None = None
    evaluation_overdue: bool | None = None
    epoch_dark: bool | None = None
    draw_authority_ready: bool | None = None
    log_unwitnessed: bool | None = None
    restored: bool | None = None
    """An older state of the site was put back, and the council hasn't cosigned its log since."""
    storage_available: bool | None = None

    # the leg and its agent
    site: str | None = None
    queue: str | None = None
    group: str | None = None
    phase: Phase | None = None
    group_size: int | None = None
    """Agents of the group that count towards `min_agents`."""
    campaign_agents: int | None = None
    """Agents that count towards the campaign's `min_eligible_agents`; needed only under a campaign's rule."""
    seat_bound: bool | None = None
    key_available: bool | None = None
    """The agent's recipient is known."""
    blackout: bool | None = None
    agent_informed: bool | None = None
    """The agent has been shown the agreement's current version."""
    home_office: bool | None = None
    """The agent works at home now."""

    # the outside party
    protected_party: bool | None = None
    party_known: bool | None = None
    """Exactly this agent and one outside party are on the leg (no third party, no unexplained stream)."""
    party_internal: bool | None = None
    """The outside party is staff, an internal number or another agent."""

    # the media
    media_supported: bool | None = None
    media_encrypted: bool | None = None
    """The media can't be decrypted here."""
    no_media: bool | None = None
    """Media was waited for and didn't come."""
    leak_ok: bool | None = None
    """The leak meter's verdict; needed only where the agent's side would be kept alone."""

    # the draw
    rule: Rule | None = None
    drawn: bool | None = None
    ceiling_ok: bool | None = None
    caps_ok: bool | None = None
    campaign_full: bool | None = None
    """The campaign's `max_recordings` is reached; needed only under a campaign's rule."""

    # the wishes
    caller_wants_record: bool | None = None
    agent_wants_record: bool | None = None
    """The agent pressed "the customer wants a record"."""
    agent_request: bool | None = None
    """The agent wants this leg recorded for themselves."""
    wish_caps_ok: bool | None = None
    """The agent's weekly count of customer requests isn't used up."""
    quorum_ready: bool | None = None
    """The recipients who together open what a caller asked for are anchored; needed only for that lane."""

    # the answers
    agent_standing: Mapping[Purpose, StandingAnswer] | None = field(default=None, hash=False)
    """A purpose that is absent is a missing input, not `UNSET`."""
    agent_per_call: Mapping[Purpose, PerCallAnswer] | None = field(default=None, hash=False)
    """A purpose that is absent is a missing input, not `UNSET`: it could have been a no."""
    caller: Mapping[Purpose, CallerAnswer] | None = field(default=None, hash=False)
    """A purpose that is absent was never answered: `UNSET`."""
    withdrawn_by_agent: bool | None = None
    withdrawn_by_caller: bool | None = None

    # notice, light, pause
    caller_notice_played: bool | None = None
    ack_age_ms: int | None = None
    """Age of the freshest acknowledgement of this leg's own event, by the gateway's clock; `None`: there is none."""
    paused: bool | None = None


def in_order(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Each reason once, in the order of `Reason`."""
    return tuple(sorted(set(reasons), key=_ORDER.__getitem__))


def pending(decision: Decision) -> bool:
    """The leg is armed: all that fails is what asking, noticing and lighting will open."""
    return decision.outcome is Outcome.NO and bool(decision.reasons) and ASKABLE.issuperset(decision.reasons)


def fold(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """What everybody but the agent may see.

    Site states as they are; any other reason becomes `NOT_SELECTED_OR_NOT_PERMITTED`, and only where no site state
    explains the leg: shown beside one, it would tell that the leg would otherwise have been recorded or not.
    """
    given = in_order(reasons)
    site = tuple(reason for reason in given if reason in SITE_STATE)
    if site or not given:
        return site
    return (Reason.NOT_SELECTED_OR_NOT_PERMITTED,)
