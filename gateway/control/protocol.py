"""Commands to the gateway and its answers: one JSON object a line over the Unix socket `run/control.sock`.

`{"id": 7, "command": {...}}` is answered by `{"id": 7, "ok": {...}}` or by `{"id": 7, "error": {...}}` (`Refusal`) once
the effect is durable; `{"event": {...}}` lines come to a connection that sent `Watch`. Nothing is queued while the
gateway is away. The API says which agent or role its session stands for (`agent`, `by`); what a *yes* needs, a signed
statement, the gateway verifies itself whatever the API says.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from gateway.errors import GatewayError
from gateway.events import Event

__all__ = ["MAX_LINE", "Answer", "Command", "ControlError", "Refusal", "Request", "decode", "encode"]

MAX_LINE = 1024 * 1024
"""Longest line of either direction, in bytes."""


class ControlError(GatewayError):
    """A line on the control port that is neither request, answer nor event."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement of somebody's own key: canonical JSON text and its armoured SSHSIG."""

    document: str
    signature: str


# --- live: pages and lights -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Watch:
    """From now on send events on this connection; answered with `{}`."""

    kind: Literal["watch"] = "watch"


@dataclass(frozen=True, slots=True)
class PageOpened:
    """A page of an agent is connected; answered with the agent's `snapshot` event as `{"snapshot": {...}}`."""

    agent: str
    page: str
    """Random id of the connection."""
    kind: Literal["page_opened"] = "page_opened"


@dataclass(frozen=True, slots=True)
class PageClosed:
    """That page is gone. When a control connection breaks, all pages opened over it count as closed."""

    agent: str
    page: str
    kind: Literal["page_closed"] = "page_closed"


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """A page has shown an event: the very event, by `seq`, `nonce`, `call` and `state`."""

    agent: str
    page: str
    call: str
    seq: int
    nonce: str
    state: str
    shown: Literal["visible", "pip", "hidden"]
    kind: Literal["acknowledge"] = "acknowledge"


# --- the agent's own acts -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Enrol:
    """Bind an agent's keys: `{agent, recipient, from}` signed by the new acting key (`fairtap-enrol@v1`)."""

    agent: str
    signing_key: str
    """`ssh-ed25519 …` public key line."""
    statement: Signed
    kind: Literal["enrol"] = "enrol"


@dataclass(frozen=True, slots=True)
class ClaimSeat:
    """`{extension, session, seq}` signed by the agent (`fairtap-seat@v1`)."""

    agent: str
    statement: Signed
    kind: Literal["claim_seat"] = "claim_seat"


@dataclass(frozen=True, slots=True)
class ReleaseSeat:
    """The agent leaves the seat; needs no key."""

    agent: str
    kind: Literal["release_seat"] = "release_seat"


@dataclass(frozen=True, slots=True)
class SetConsent:
    """A standing consent: a yes needs the statement (`fairtap-consent@v1`), a no or unset doesn't."""

    agent: str
    purpose: str
    answer: Literal["yes", "no", "unset"]
    statement: Signed | None = None
    kind: Literal["set_consent"] = "set_consent"


@dataclass(frozen=True, slots=True)
class SetBlackout:
    """The agent wants no call recorded until further notice; no reason is asked or stored."""

    agent: str
    on: bool
    kind: Literal["set_blackout"] = "set_blackout"


@dataclass(frozen=True, slots=True)
class StopRecording:
    """The agent's Stop: final for this leg, within 300 ms; the agreement says whether the audio is discarded."""

    agent: str
    call: str
    kind: Literal["stop_recording"] = "stop_recording"


@dataclass(frozen=True, slots=True)
class CallerRefused:
    """The caller told the agent no: stop, and everything of this call is discarded."""

    agent: str
    call: str
    kind: Literal["caller_refused"] = "caller_refused"


@dataclass(frozen=True, slots=True)
class CallerAgreed:
    """The caller told the agent yes: signed by the agent (`fairtap-caller-consent@v1`), where that is agreed."""

    agent: str
    call: str
    purpose: str
    statement: Signed
    kind: Literal["caller_agreed"] = "caller_agreed"


@dataclass(frozen=True, slots=True)
class ConsentInCall:
    """The agent's own answer for this call: a yes needs `{call, purpose, answer}` signed (`fairtap-consent@v1`)."""

    agent: str
    call: str
    purpose: str
    answer: Literal["yes", "no"]
    statement: Signed | None = None
    kind: Literal["consent_in_call"] = "consent_in_call"


# --- what machines say about a call; `call` is our reference or the SIP Call-ID ---------------------------------------


@dataclass(frozen=True, slots=True)
class AgentOnCall:
    """The PBX says for how long which extension is on a call (None: nobody); never whose extension that is."""

    call: str
    extension: str | None
    ttl_s: float
    queue: str | None = None
    kind: Literal["agent_on_call"] = "agent_on_call"


@dataclass(frozen=True, slots=True)
class CallerAnswered:
    """What a caller answered an IVR, for one purpose; a yes names its prompt by hash, and when it had ended."""

    call: str
    ivr: str
    """Name of the registered credential, which the agreement names as `ivr:NAME`."""
    purpose: str
    answer: Literal["yes", "no", "silence"]
    prompt_sha256: str | None = None
    prompt_end: str | None = None
    answered_at: str | None = None
    kind: Literal["caller_answered"] = "caller_answered"


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """The agent wants this call recorded, for the caller or for themselves: their signed yes to that lane's purpose.

    Answered once the wish is entered; then the caller is asked. Refused before that where it would be in vain.
    """

    agent: str
    call: str
    lane: Literal["customer_request", "agent_request"]
    statement: Signed
    kind: Literal["request_record"] = "request_record"


@dataclass(frozen=True, slots=True)
class PauseCall:
    """Pause (card data and the like) or resume; `by` is `agent:{id}` or `pbx`."""

    call: str
    by: str
    on: bool
    kind: Literal["pause_call"] = "pause_call"


@dataclass(frozen=True, slots=True)
class ReadCode:
    """Read the call's record code to the caller, digit by digit, twice; or stop reading it."""

    agent: str
    call: str
    on: bool = True
    kind: Literal["read_code"] = "read_code"


# --- records that were asked for, erasing and holding ---------------------------------------------------------------


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


# --- releases to coaches ---------------------------------------------------------------------------------------------


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


# --- reading and administration -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddAgents:
    """Names into the roster; answered with `{"agents": [{"id","name"}]}`. Grants nothing."""

    agents: tuple["NewAgent", ...]
    kind: Literal["add_agents"] = "add_agents"


@dataclass(frozen=True, slots=True)
class NewAgent:
    """A roster line as an admin may enter it."""

    name: str
    group: str
    site: str
    onboarding_from: str | None = None
    """ISO date on which the agent's onboarding began; None: regular."""
    home_office: bool = False


@dataclass(frozen=True, slots=True)
class DisableAgent:
    """Takes an agent off the roster: seat released, nothing recorded; recordings stay the agent's."""

    agent: str
    kind: Literal["disable_agent"] = "disable_agent"


@dataclass(frozen=True, slots=True)
class PostAct:
    """A signed act `{v,type,agreement,seq,prev,body}`: an agreement with its document, rates, suspend, resume, …"""

    act: str
    """Canonical JSON of the act."""
    signatures: dict[str, str]
    """Anchor role to armoured SSHSIG (`fairtap-act@v1`)."""
    document: str | None = None
    """The YAML, where the act puts one into force."""
    language: str = "en"
    """In which a refusal is told: de, en, nb."""
    kind: Literal["post_act"] = "post_act"


@dataclass(frozen=True, slots=True)
class DraftAct:
    """The bytes to sign for an act that would follow the last one; answered with `{"act": …}`."""

    type: str
    agreement: str
    body: dict[str, Any]
    language: str = "en"
    """In which a refusal is told: de, en, nb."""
    kind: Literal["draft_act"] = "draft_act"


@dataclass(frozen=True, slots=True)
class SuspendRecording:
    """A party's session stops all recording at once; the one act that needs no key."""

    agreement: str
    party: Literal["employer", "council"]
    kind: Literal["suspend_recording"] = "suspend_recording"


@dataclass(frozen=True, slots=True)
class CommitEpoch:
    """The council's signed commitment to its share of an epoch; answered with the epoch as `Epochs` tells it."""

    epoch: str
    c: str
    """hex32."""
    csig: str
    """Armoured SSHSIG over `{origin, e, c}` (`fairtap-epoch@v1`)."""
    kind: Literal["commit_epoch"] = "commit_epoch"


@dataclass(frozen=True, slots=True)
class ShareEpoch:
    """The council's share of an epoch, hex32, after a cosigned checkpoint holds the epoch's `ecommit`."""

    epoch: str
    share: str = field(repr=False)
    kind: Literal["share_epoch"] = "share_epoch"


@dataclass(frozen=True, slots=True)
class CosignLog:
    """A checkpoint of ours with the council's cosignature under it; answered with `{"origin","size","at"}`."""

    note: str
    kind: Literal["cosign_log"] = "cosign_log"


@dataclass(frozen=True, slots=True)
class Epochs:
    """Answered with `{"epochs": [{"epoch","origin","start","end","state","inventory"}]}`, in time.

    Also those not committed to, and for some weeks those that are over. `inventory`: there is one to fetch.
    """

    kind: Literal["epochs"] = "epochs"


@dataclass(frozen=True, slots=True)
class EpochRoster:
    """An epoch's two lists: `{"leaves": [{"a","group","phase"}], "names": […]}`; nothing ties one to the other."""

    epoch: str
    kind: Literal["epoch_roster"] = "epoch_roster"


@dataclass(frozen=True, slots=True)
class RunningCalls:
    """Answered with `{"calls": [{"call","since","queue"}]}`: no numbers, no recording state."""

    kind: Literal["running_calls"] = "running_calls"


@dataclass(frozen=True, slots=True)
class Explain:
    """Why a call was (not) recorded, as far as the asker may know; `agent` set: that agent's own leg in full."""

    call: str
    agent: str | None = None
    kind: Literal["explain"] = "explain"


@dataclass(frozen=True, slots=True)
class FindCall:
    """Our reference for a SIP Call-ID of a running call; answered with `{"call": …|null}`."""

    call_id: str
    kind: Literal["find_call"] = "find_call"


@dataclass(frozen=True, slots=True)
class CallLadder:
    """A call's signalling: `{"rungs": [{"after_s", "by", "said"}], "missed": n, "media": {}}`, or `call_unknown`.

    `media`, while the call runs: by side and m-line (`caller/0`) what is known of how well the party hears.
    """

    call: str
    kind: Literal["call_ladder"] = "call_ladder"


@dataclass(frozen=True, slots=True)
class Status:
    """Site state, health of workers and storage, counters; no persons."""

    kind: Literal["status"] = "status"


@dataclass(frozen=True, slots=True)
class PassedThrough:
    """Figures of the last days' calls as a plain proxy sees them; nothing of recording, no persons."""

    days: int
    kind: Literal["passed_through"] = "passed_through"


@dataclass(frozen=True, slots=True)
class ListAnnouncements:
    """Every question that can be asked, with its words, its hash, and whether an agreement in force names it."""

    kind: Literal["list_announcements"] = "list_announcements"


@dataclass(frozen=True, slots=True)
class FetchAnnouncement:
    """One question's file, to be listened to: exactly the bytes whose hash the agreement names."""

    id: str
    kind: Literal["fetch_announcement"] = "fetch_announcement"


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
