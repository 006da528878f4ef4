"""Recordings that exist: found by code, erased, held, fetched together, released to coaches."""

from dataclasses import dataclass, field
from typing import Literal

from gateway.control.protocol.agents import Signed


@dataclass(frozen=True, slots=True)
class FindRecord:
    """What there is of the record with this code, as a caller typed it; whose it is isn't said."""

    code: str = field(repr=False)
    kind: Literal["find_record"] = "find_record"


@dataclass(frozen=True, slots=True)
class EraseByCode:
    """The caller wants their own side gone; answered with `{"erase_at": …}`."""

    code: str = field(repr=False)
    kind: Literal["erase_by_code"] = "erase_by_code"


@dataclass(frozen=True, slots=True)
class EraseOwnSide:
    """An agent takes their own side of a kept recording back, without any key; answered with `{"erase_at": …}`."""

    agent: str
    recording: str
    kind: Literal["erase_own_side"] = "erase_own_side"


@dataclass(frozen=True, slots=True)
class FetchTogether:
    """Council or officer fetch their part of a recording: durable in its list of accesses before this is answered."""

    role: Literal["council", "dpo"]
    recording: str
    side: Literal["agent", "caller"]
    seg: int
    what: Literal["quorum", "age"]
    kind: Literal["fetch_together"] = "fetch_together"


@dataclass(frozen=True, slots=True)
class RecordingAccesses:
    """Who else fetched something of an agent's own recording; answered with `{"accesses": […]}`."""

    agent: str
    recording: str
    kind: Literal["recording_accesses"] = "recording_accesses"


@dataclass(frozen=True, slots=True)
class HoldRecording:
    """Nothing of a recording is erased until `until` (RFC 3339); nobody may listen for it. `agent`: an own one only."""

    by: Literal["agent", "dpo"]
    agent: str | None
    recording: str
    reason: str
    until: str
    kind: Literal["hold_recording"] = "hold_recording"


@dataclass(frozen=True, slots=True)
class LiftHold:
    """End one's own hold."""

    by: Literal["agent", "dpo"]
    agent: str | None
    recording: str
    kind: Literal["lift_hold"] = "lift_hold"


@dataclass(frozen=True, slots=True)
class AddCoach:
    """A name that council or officer entered; answered with `{"id": …}`. Grants nothing before the coach enrols."""

    name: str = field(repr=False)
    kind: Literal["add_coach"] = "add_coach"


@dataclass(frozen=True, slots=True)
class EnrolCoach:
    """New keys of a coach, signed by the new key itself (`fairtap-enrol@v1`); the API spent an enrolment code."""

    coach: str
    signing_key: str
    statement: Signed
    kind: Literal["enrol_coach"] = "enrol_coach"


@dataclass(frozen=True, slots=True)
class DisableCoach:
    """No release goes to this coach any more; all that stand end."""

    coach: str
    kind: Literal["disable_coach"] = "disable_coach"


@dataclass(frozen=True, slots=True)
class ReleasedSide:
    """One side of one segment: the agent's statement (`fairtap-release@v1`) and the header that it names."""

    statement: Signed
    header: str
    """Base64 of the age header for the coach's recipient."""


@dataclass(frozen=True, slots=True)
class ReleaseRecording:
    """The agent lets one coach hear a recording; answered with `{"release", "until", "evaluations_left"}`."""

    agent: str
    recording: str
    sides: tuple[ReleasedSide, ...]
    kind: Literal["release_recording"] = "release_recording"


@dataclass(frozen=True, slots=True)
class RevokeRelease:
    """The agent takes a release back: refused from now on, its headers destroyed."""

    agent: str
    recording: str
    release: str
    kind: Literal["revoke_release"] = "revoke_release"


@dataclass(frozen=True, slots=True)
class RecordingReleases:
    """Answered with `{"releases": [{"id","coach","name","purpose","at","until","revoked_at","sides"}]}`."""

    agent: str
    recording: str
    kind: Literal["recording_releases"] = "recording_releases"


@dataclass(frozen=True, slots=True)
class ReleasedTo:
    """What a coach may hear now: `{"releases": [{"id","recording","purpose","day","until","sides"}]}`, newest first."""

    coach: str
    kind: Literal["released_to"] = "released_to"


@dataclass(frozen=True, slots=True)
class FetchReleased:
    """A coach fetches a side that was released to them; noted before it is answered with `{"release": id}`."""

    coach: str
    recording: str
    side: str
    seg: int
    purpose: str | None = None
    """What the coach wants it for, where they say so: another one than released is refused."""
    kind: Literal["fetch_released"] = "fetch_released"
