"""What an agent's page tells and asks: the live feed, lights, and the agent's own acts."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement of somebody's own key: canonical JSON text and its armoured SSHSIG."""

    document: str
    signature: str


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
