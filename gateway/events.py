"""What the gateway tells while it happens: the events of the live feed, as plain values.

Best effort, snapshot first, one sequence number for each agent; whoever misses heartbeats must show *unknown, assume
recording*. Only an agent's own page gets that agent's events; nothing here carries a number or a SIP Call-ID.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

__all__ = [
    "Alarm",
    "CallEnded",
    "Event",
    "Heartbeat",
    "LegLight",
    "LightState",
    "RecordCode",
    "RecordingsChanged",
    "Snapshot",
]


class LightState(StrEnum):
    """What the agent's indicator shows (`unknown` is only ever made by the page itself)."""

    OFF = "off"
    ASKING = "asking"
    RECORDING_AGENT = "recording_agent"
    RECORDING_BOTH = "recording_both"
    PAUSED = "paused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LegLight:
    """The light of one leg changed, or is about to: a recording opens only once this very event was acknowledged."""

    agent: str
    call: str
    seq: int
    nonce: str
    state: LightState
    since: str
    """RFC 3339, UTC."""
    lane: str | None = None
    purpose: str | None = None
    why: str | None = None
    """A reason code where a recording ended or none is made."""
    keep_until: str | None = None
    """When the recording is erased at the latest, RFC 3339."""
    connected: bool = True
    """False with the last event of a leg: the agent's part in the call is over."""
    kind: Literal["leg"] = "leg"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Each second while a leg is asking, recording or paused: acknowledged like the leg's own event."""

    agent: str
    call: str
    seq: int
    nonce: str
    state: LightState
    kind: Literal["heartbeat"] = "heartbeat"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """First event to every page that opens: all legs of the agent as they are."""

    agent: str
    seq: int
    legs: tuple[LegLight, ...]
    record_codes: dict[str, str] = field(default_factory=dict, repr=False)
    """Call to the record code that is shown to the agent."""
    kind: Literal["snapshot"] = "snapshot"


@dataclass(frozen=True, slots=True)
class RecordCode:
    """A recording that was asked for has a code, which the agent may tell the caller: shown here, stored nowhere."""

    agent: str
    call: str
    code: str | None = field(repr=False)
    """20 digits; None: what it found is destroyed."""
    kind: Literal["record_code"] = "record_code"


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call is over; its reference is free of meaning from now on."""

    call: str
    kind: Literal["call_ended"] = "call_ended"


@dataclass(frozen=True, slots=True)
class RecordingsChanged:
    """The agent's list of recordings changed (sealed, interrupted, discarded)."""

    agent: str
    recording: str
    kind: Literal["recordings"] = "recordings"


@dataclass(frozen=True, slots=True)
class Alarm:
    """An operational alarm for admins: what failed and what to do, without persons."""

    code: str
    text: str
    kind: Literal["alarm"] = "alarm"


Event = LegLight | Heartbeat | Snapshot | RecordCode | CallEnded | RecordingsChanged | Alarm
