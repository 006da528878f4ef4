"""Commands to the gateway and its answers: one JSON object a line over the Unix socket `run/control.sock`.

`{"id": 7, "command": {...}}` is answered by `{"id": 7, "ok": {...}}` or by `{"id": 7, "error": {...}}` (`Refusal`) once
the effect is durable; `{"event": {...}}` lines come to a connection that sent `Watch`. Nothing is queued while the
gateway is away. The API says which agent or role its session stands for (`agent`, `by`); what a *yes* needs, a signed
statement, the gateway verifies itself whatever the API says. The commands' shapes are in the modules beside.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from gateway.control.protocol.agents import (
    Acknowledge,
    CallerAgreed,
    CallerRefused,
    ClaimSeat,
    ConsentInCall,
    Enrol,
    PageClosed,
    PageOpened,
    ReleaseSeat,
    SetBlackout,
    SetConsent,
    Signed,
    StopRecording,
    Watch,
)
from gateway.control.protocol.calls import (
    AgentOnCall,
    CallerAnswered,
    CallLadder,
    Explain,
    FindCall,
    PauseCall,
    ReadCode,
    RequestRecord,
    RunningCalls,
)
from gateway.control.protocol.house import (
    AddAgents,
    CommitEpoch,
    CosignLog,
    DisableAgent,
    DraftAct,
    EpochRoster,
    Epochs,
    FetchAnnouncement,
    ListAnnouncements,
    NewAgent,
    PassedThrough,
    PostAct,
    ShareEpoch,
    Status,
    SuspendRecording,
)
from gateway.control.protocol.records import (
    AddCoach,
    DisableCoach,
    EnrolCoach,
    EraseByCode,
    EraseOwnSide,
    FetchReleased,
    FetchTogether,
    FindRecord,
    HoldRecording,
    LiftHold,
    RecordingAccesses,
    RecordingReleases,
    ReleasedSide,
    ReleasedTo,
    ReleaseRecording,
    RevokeRelease,
)
from gateway.errors import GatewayError
from gateway.events import Event

__all__ = [
    "MAX_LINE", "Acknowledge", "AddAgents", "AddCoach", "AgentOnCall", "Answer", "CallLadder", "CallerAgreed",
    "CallerAnswered", "CallerRefused", "ClaimSeat", "Command", "CommitEpoch", "ConsentInCall", "ControlError",
    "CosignLog", "DisableAgent", "DisableCoach", "DraftAct", "Enrol", "EnrolCoach", "EpochRoster", "Epochs",
    "EraseByCode", "EraseOwnSide", "Explain", "FetchAnnouncement", "FetchReleased", "FetchTogether", "FindCall",
    "FindRecord", "HoldRecording", "LiftHold", "ListAnnouncements", "NewAgent", "PageClosed", "PageOpened",
    "PassedThrough", "PauseCall", "PostAct", "ReadCode", "RecordingAccesses", "RecordingReleases", "Refusal",
    "ReleaseRecording", "ReleaseSeat", "ReleasedSide", "ReleasedTo", "Request", "RequestRecord", "RevokeRelease",
    "RunningCalls", "SetBlackout", "SetConsent", "ShareEpoch", "Signed", "Status", "StopRecording", "SuspendRecording",
    "Told", "Watch", "decode", "encode",
]  # fmt: skip

MAX_LINE = 1024 * 1024
"""Longest line of either direction, in bytes."""


class ControlError(GatewayError):
    """A line on the control port that is neither request, answer nor event."""


Command = (
    Watch
    | PageOpened
    | PageClosed
    | Acknowledge
    | Enrol
    | ClaimSeat
    | ReleaseSeat
    | SetConsent
    | SetBlackout
    | StopRecording
    | CallerRefused
    | CallerAgreed
    | ConsentInCall
    | RequestRecord
    | AgentOnCall
    | CallerAnswered
    | PauseCall
    | ReadCode
    | FindRecord
    | EraseByCode
    | EraseOwnSide
    | FetchTogether
    | RecordingAccesses
    | HoldRecording
    | LiftHold
    | AddCoach
    | EnrolCoach
    | DisableCoach
    | ReleaseRecording
    | RevokeRelease
    | RecordingReleases
    | ReleasedTo
    | FetchReleased
    | AddAgents
    | DisableAgent
    | PostAct
    | DraftAct
    | SuspendRecording
    | CommitEpoch
    | ShareEpoch
    | CosignLog
    | Epochs
    | EpochRoster
    | RunningCalls
    | Explain
    | FindCall
    | CallLadder
    | Status
    | PassedThrough
    | ListAnnouncements
    | FetchAnnouncement
)


@dataclass(frozen=True, slots=True)
class Request:
    """A command with the caller's own number for it."""

    id: int
    command: Annotated[Command, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a command was not done: a stable code, one sentence, and the HTTP status that fits."""

    code: str
    message: str
    status: int = 409


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request: `ok` or `error`."""

    id: int
    ok: dict[str, Any] | None = None
    error: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """An event on a connection that watches."""

    event: Annotated[Event, Field(discriminator="kind")]


_LINE: TypeAdapter[Request | Answer | Told] = TypeAdapter(Request | Answer | Told)
_SHAPES: dict[str, TypeAdapter[Any]] = {
    "command": TypeAdapter(Request),
    "event": TypeAdapter(Told),
    "ok": TypeAdapter(Answer),
}


def encode(line: Request | Answer | Told) -> bytes:
    """One line, newline included."""
    return _LINE.dump_json(line) + b"\n"


def decode(line: bytes, shape: Literal["request", "reply"]) -> Request | Answer | Told:
    """Read what a peer sent: a `request` on the gateway's end, an answer or event (`reply`) on the API's."""
    if len(line) > MAX_LINE:
        raise ControlError("line too long")
    try:
        if shape == "request":
            return _SHAPES["command"].validate_json(line)  # type: ignore[no-any-return]  # the table's values are of Any
        told = b'"event"' in line[:12]
        return _SHAPES["event" if told else "ok"].validate_json(line)  # type: ignore[no-any-return]  # likewise
    except ValidationError as error:
        raise ControlError(f"not a {shape}: {error.error_count()} faults") from None
