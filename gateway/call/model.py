"""The values that the call core takes in: who called whom, SDP as it passes, what the engine gathered. No I/O.

Roles follow the side, never the direction: AGENT is whoever is behind the agent side, CALLER the outside party,
whoever dialled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NewType

from gateway.media.plane import RELAY, CallRef, FlowId, Quorum, is_relay
from gateway.rtp.payload_types import Codec
from policy.agreement.schema import Prompt
from policy.decision import Facts, Purpose, Rule, Side
from policy.intersection import Terms

__all__ = [
    "Asked",
    "CallRef",
    "Circumstances",
    "DialogTag",
    "EntryResult",
    "Lease",
    "Line",
    "NewCall",
    "Private",
    "SdpMessage",
    "SipCallId",
    "flow_of",
    "relay_index",
    "relay_of",
]

SipCallId = NewType("SipCallId", str)
DialogTag = NewType("DialogTag", str)
"""The callee's tag: tells the dialogs of one forked call apart."""


@dataclass(frozen=True, slots=True)
class Private:
    """A number, name or extension on its way through: prints as `<redacted>`."""

    value: str

    def __repr__(self) -> str:
        return "<redacted>"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class NewCall:
    """What the initial INVITE said."""

    call_id: SipCallId
    uac_tag: str
    uac: Side
    """Which party called: fixed for ever."""
    extension: Private | None
    """The agent's extension as the trusted side told it; whose it is only a seat claim can say."""
    queue: str | None
    outside: Private | None
    """The outside party's number or user part; None when withheld."""
    also_said: tuple[Private, ...] = ()
    """What other sources said for `extension`: where that is another agent's seat, the leg is nobody's."""
    called: Private | None = None
    """The number that was called, whoever called: the caller is asked in its language."""

    def __repr__(self) -> str:
        return f"NewCall(uac={self.uac})"


@dataclass(frozen=True, slots=True)
class Lease:
    """The PBX says that this extension is on the call, until `until` (monotonic seconds) unless it says so again."""

    extension: Private
    until: float


@dataclass(frozen=True, slots=True)
class SdpMessage:
    """One SDP body on its way from `party` to the other; `dialog` is None until a response named it."""

    party: Side
    dialog: DialogTag | None
    role: Literal["offer", "answer"]
    body: bytes = field(repr=False)
    profile: str | None = None
    """What an offer's audio is to be told as, such as RTP/AVP; None: as it is, or as it was told before."""
    strict: bool = False
    """An offer that can't be told like that isn't to go on at all."""
    source: str | None = field(default=None, repr=False)
    """The host that sent it, where that is known."""


@dataclass(frozen=True, slots=True)
class Line:
    """The one audio m-line of an answered call, as far as asking and recording need it."""

    caller_flow: FlowId
    agent_flow: FlowId
    codec: Codec
    """That sounds are played in."""
    payload_type: int
    """Of `codec`, towards both parties."""
    codecs: dict[int, str]
    """All payload types that may be stored."""
    ptime_ms: int
    caller_events: dict[int, int]
    """Clock rate of each telephone-event payload type that the caller may send; none if not negotiated."""
    agent_events: dict[int, int]
    """The same of the agent."""
    flowing: bool
    """Both directions are sendrecv with an address: not held, not early."""
    plain: bool = True
    """They speak G.711: sounds can be mixed beneath what they say, and the sides be compared."""


@dataclass(frozen=True, slots=True)
class EntryResult:
    """What entering and drawing a leg gave, both durable."""

    entry: int
    """The leg's entry, to which `out` refers."""
    rule: Rule | None
    drawn: bool
    ceiling_ok: bool
    caps_ok: bool
    campaign_full: bool | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """How a caller was asked for a yes: what its receipt tells of it."""

    channel: str
    """As the agreement names it: `dtmf`, `agent_key`, `ivr:NAME`."""
    language: str
    prompt: Prompt | None
    """None: the agent asked, in words of their own."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the engine gathered for one step: facts of site and agent, and what asking and recording would use."""

    facts: Facts
    """Site and agent facts filled in; the leg overlays its own."""
    terms: Terms | None
    """What the agreements about this leg say together; None where there is none."""
    prompts: Mapping[Purpose, Prompt] = field(hash=False)
    """Their common prompts that the catalogue really has, by hash, and that ask for this purpose."""
    recipients: tuple[str, ...]
    pages: int
    """Live pages of the agent."""
    quorum: Quorum | None = None
    """Who opens a record that a caller asked for, besides its agent; None: it can't be made."""
    one_sided: frozenset[str] = frozenset()
    """Ids of the prompts that say what may be recorded after a no."""


def flow_of(call: CallRef, party: Side, mline: int) -> FlowId:
    """The name of an audio m-line's flow."""
    return FlowId(f"{call}/{party.value}/{mline}")


def relay_of(call: CallRef, party: Side, mline: int) -> FlowId:
    """The name of the flow of an m-line that is only relayed."""
    return FlowId(f"{call}/{party.value}/{RELAY}{mline}")


def relay_index(flow: FlowId) -> int | None:
    """The m-line of a flow that is only relayed; None for audio."""
    return int(flow.rpartition(RELAY)[2]) if is_relay(flow) else None
