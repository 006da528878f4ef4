"""The seam between gateway and media workers: orders in, reports out, plain values only.

A *flow* is one audio m-line's media as one party sends it, received on ports that face that party. A call has two
flows in one worker; what comes in on a flow goes out of its peer flow. Orders and reports travel as one JSON object
a line over a Unix socket (`encode`, `decode_order`, `decode_report`). Times are monotonic seconds of this machine.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal, NewType

from pydantic import Field, TypeAdapter, ValidationError

from gateway.errors import GatewayError
from gateway.rtp.payload_types import Codec
from gateway.rtp.quality import Quality

__all__ = [
    "Address",
    "CallRef",
    "End",
    "FlowId",
    "Order",
    "PlaneError",
    "PlayMode",
    "Quorum",
    "RecordingId",
    "Report",
    "SideName",
    "Srtp",
    "SrtpKey",
    "decode_order",
    "decode_report",
    "encode",
]

CallRef = NewType("CallRef", str)
"""Our own random reference of a call, 16 lower-case hex characters; never derived from the SIP Call-ID."""
FlowId = NewType("FlowId", str)
"""`{call ref}/{party}/{m-line index}`, party is `caller` or `agent`."""
RecordingId = NewType("RecordingId", str)
"""32 lower-case hex characters, random."""
SideName = Literal["agent", "caller"]
PlayMode = Literal["instead", "beneath", "between"]
LEAK = "leak"
"""Why a side failed: the other party's voice is in it. Its key is forgotten already; the whole recording must go."""
UNVETTED = "leak can't be ruled out"
"""The same, where what the other party said couldn't be compared with it."""
LEAKS = frozenset({LEAK, UNVETTED})
NO_MEDIA = "no_media"
"""Why a side has no file: nothing came of it."""
TOO_SHORT = "too short to compare"
"""Why a side that is kept alone has no file: its segment was over before the other party's voice could be ruled out."""
NOTHING_KEPT = frozenset({NO_MEDIA, TOO_SHORT})
"""Nothing of a side is on disk, and nothing went wrong."""
MAX_LINE = 256 * 1024
"""Longest line of either direction, in bytes."""


class PlaneError(GatewayError):
    """A line on the worker's socket that isn't an order or a report."""


class End(StrEnum):
    """Why a segment ended, as the manifest says it."""

    NORMAL = "normal"
    PAUSED = "paused"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"


class Srtp(StrEnum):
    """What a party's media is wrapped in, and where that ends."""

    NONE = "none"
    THROUGH = "through"
    """Encrypted between the two parties; relayed as it is."""
    ENDED = "ended"
    """Encrypted between this party and us; the other party speaks plain RTP."""


@dataclass(frozen=True, slots=True, repr=False)
class SrtpKey:
    """A key of SDES: it travels in `Secure` alone and is in no journal, log or report."""

    suite: str
    """As RFC 4568 §6.2 names it."""
    key: str
    """Base64 of master key and master salt."""

    def __repr__(self) -> str:
        return f"SrtpKey({self.suite}, <redacted>)"


@dataclass(frozen=True, slots=True)
class Address:
    """An IP literal and a UDP port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """A flow to reserve ports for."""

    flow: FlowId
    local_host: str
    """The media address of the side that the party is on."""


# --- orders ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reserve:
    """Bind an RTP and an RTCP port (even, odd) for each flow; answered by `Reserved` or `ReserveFailed`."""

    call: CallRef
    flows: tuple[FlowSpec, ...]
    kind: Literal["reserve"] = "reserve"


@dataclass(frozen=True, slots=True)
class Forward:
    """Relay what arrives on `flow` out of `to`; sent again when an offer/answer changed an address.

    `remote` is where the party's SDP says it receives (None: held, not known yet, or port 0): the first target
    for packets towards the party, and the address or network that its packets must come from until latched.
    """

    flow: FlowId
    to: FlowId
    remote: Address | None
    remote_rtcp: Address | None
    rtcp_mux: bool = False
    any_source: bool = False
    """True where the peer entry allows NAT: latch onto the first source whatever its address."""
    nat_networks: tuple[str, ...] = ()
    """Further networks that the first packet may come from (the peer networks of the party's side)."""
    srtp: Srtp = Srtp.NONE
    kind: Literal["forward"] = "forward"


@dataclass(frozen=True, slots=True)
class Secure:
    """The keys of a flow whose `Forward` says that it is encrypted: sent before that one, and whenever they change.

    A worker keeps them in memory only. Without them it relays what goes through, and can neither record it nor listen
    or play; what would have to be opened or sealed on the way is dropped.
    """

    flow: FlowId
    opens: SrtpKey | None
    """What the party encrypts with; None: not known, or of a kind that we can't read."""
    seals: SrtpKey | None
    """What the party expects that to be encrypted with which it gets."""
    kind: Literal["secure"] = "secure"


@dataclass(frozen=True, slots=True)
class Play:
    """Play a sound of the catalogue to the party of `flow`, with continuous sequence numbers and timestamps.

    `instead`: what the other party says is held back meanwhile; `beneath`: mixed under it, or alone where the other
    party sends nothing; `between`: the same, but only where nothing else is being played, which goes first. Answered by
    `PlayEnded`, once.
    """

    play: str
    """Reference of this playing, unique within the call."""
    flow: FlowId
    sound: str
    """Id in the catalogue, such as `ask-de-2`."""
    mode: PlayMode
    codec: Codec
    payload_type: int
    ptime_ms: int = 20
    gain_db: float = 0.0
    then: tuple[str, ...] = ()
    """Further sounds, right behind it: such as the digits of a record code. They are in no log."""
    sha256: str = ""
    """What the file of `sound` must hash to, as the agreement names it; empty: a sound that is shipped."""
    kind: Literal["play"] = "play"


@dataclass(frozen=True, slots=True)
class StopPlay:
    """End a playing early; its `PlayEnded` says `complete: false`."""

    play: str
    flow: FlowId
    kind: Literal["stop_play"] = "stop_play"


@dataclass(frozen=True, slots=True)
class Listen:
    """Report the digits that the party of `flow` presses, until `Listen` with `on=False`."""

    flow: FlowId
    on: bool
    events: dict[int, int] = field(default_factory=dict)
    """Clock rate of each negotiated telephone-event payload type; none: look for in-band digits instead (Goertzel)."""
    hold_back: bool = False
    """True: the events aren't forwarded."""
    codes: tuple[str, ...] = ()
    """Report only that one of these was pressed (`CodeHeard`), and no other key: what else is typed is nobody's."""
    kind: Literal["listen"] = "listen"


@dataclass(frozen=True, slots=True)
class Withhold:
    """What of a flow its peer doesn't get, until the next such order: forwarding only.

    What is played, listened for and held back by others stays as it is. What isn't sent on as it came isn't tapped.
    """

    flow: FlowId
    keys: Literal["passed", "blocked"] = "passed"
    audio: Literal["passed", "silenced", "blocked"] = "passed"
    """`silenced` sends silence in its place, or nothing where the codec isn't G.711."""
    events: tuple[int, ...] = ()
    """Payload types of telephone-event: what is keys, and what audio."""
    kind: Literal["withhold"] = "withhold"

    @property
    def nothing(self) -> bool:
        """Whether everything is sent on."""
        return self.keys == self.audio == "passed"


@dataclass(frozen=True, slots=True)
class RecordSide:
    """One side of a recording: whose audio, to whom it is encrypted, which codecs may be stored."""

    side: SideName
    flow: FlowId
    recipients: tuple[str, ...]
    """`age1…` recipients, in the order of the header's stanzas."""
    codecs: dict[int, str]
    """Payload type to codec (`rtp.payload_types.Codec`); all else (telephone-event, comfort noise) is never stored."""
    vetted_against: FlowId | None = None
    """Set where this side is kept alone: the other party's flow, heard in memory by the leak meter and never stored."""

    @property
    def taps(self) -> tuple[FlowId, ...]:
        """Every flow that is copied for this side."""
        return (self.flow,) if self.vetted_against is None else (self.flow, self.vetted_against)


@dataclass(frozen=True, slots=True)
class Quorum:
    """Who opens a recording together, besides its owner: `age1…` recipients, as the parties are anchored."""

    council: tuple[str, ...]
    """Any one of them opens the outer file."""
    dpo: str


@dataclass(frozen=True, slots=True)
class Record:
    """Open the taps for one segment of a recording; the decision behind it is already durable."""

    call: CallRef
    recording: RecordingId
    seg: int
    sides: tuple[RecordSide, ...]
    opened_at: float
    """Zero of the segment's timeline, monotonic seconds: nothing that was received earlier is stored."""
    quorum: Quorum | None = None
    """Set: a quorum object is durable beside each side's header before any of its audio is."""
    kind: Literal["record"] = "record"


@dataclass(frozen=True, slots=True)
class Stop:
    """Close the taps of a segment and seal it; answered by `SegmentSealed` or `SegmentFailed` for each side."""

    call: CallRef
    recording: RecordingId
    seg: int
    end: End
    kind: Literal["stop"] = "stop"


@dataclass(frozen=True, slots=True)
class Discard:
    """Close all taps of a recording and drop its keys; answered by `Discarded`. Erasing files is the gateway's part."""

    call: CallRef
    recording: RecordingId
    kind: Literal["discard"] = "discard"


@dataclass(frozen=True, slots=True)
class Remove:
    """End a call: seal what is open as `normal`, close its ports, let them cool down."""

    call: CallRef
    kind: Literal["remove"] = "remove"


@dataclass(frozen=True, slots=True)
class Query:
    """Ask for the counters of a call's flows; answered by `Counted`."""

    call: CallRef
    kind: Literal["query"] = "query"


@dataclass(frozen=True, slots=True)
class Settled:
    """The gateway has made a report durable: a worker keeps `SegmentSealed`/`SegmentFailed` until it hears this."""

    recording: RecordingId
    seg: int
    side: SideName
    kind: Literal["settled"] = "settled"


# --- reports --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FlowState:
    """A flow as a worker holds it, told to a gateway that (re)connects."""

    flow: FlowId
    local: Address
    to: FlowId | None
    remote: Address | None


@dataclass(frozen=True, slots=True)
class Hello:
    """First line on every connection: what this worker carries. Recordings are never carried over a connection."""

    worker: int
    pid: int
    calls: dict[CallRef, tuple[FlowState, ...]] = field(default_factory=dict)
    kind: Literal["hello"] = "hello"


@dataclass(frozen=True, slots=True)
class Reserved:
    """The ports bound for a call, by flow; RTCP is on the next port."""

    call: CallRef
    ports: dict[FlowId, Address]
    kind: Literal["reserved"] = "reserved"


@dataclass(frozen=True, slots=True)
class ReserveFailed:
    """No ports: the reason in the words of ng (`Ran out of ports`)."""

    call: CallRef
    reason: str
    kind: Literal["reserve_failed"] = "reserve_failed"


@dataclass(frozen=True, slots=True)
class MediaSeen:
    """The first packet of an SSRC from a party: at the start (`earlier` None) and whenever it changes."""

    flow: FlowId
    at: float
    ssrc: int
    payload_type: int
    earlier: int | None = None
    kind: Literal["media_seen"] = "media_seen"


@dataclass(frozen=True, slots=True)
class MediaUnreadable:
    """What a party sends can't be decrypted, though somebody records it, listens or plays; told once for a key."""

    flow: FlowId
    kind: Literal["media_unreadable"] = "media_unreadable"


@dataclass(frozen=True, slots=True)
class KeysLost:
    """A worker that was started again has no keys of a call that it decrypted on the way: its parties hear nothing."""

    call: CallRef
    kind: Literal["keys_lost"] = "keys_lost"


@dataclass(frozen=True, slots=True)
class MediaTimeout:
    """Nothing arrived on a flow for `silent_s` seconds; told once until media comes again."""

    flow: FlowId
    silent_s: float
    kind: Literal["media_timeout"] = "media_timeout"


@dataclass(frozen=True, slots=True)
class DigitHeard:
    """One key press, reported once at its end: from RFC 4733 events, or in-band where those weren't negotiated."""

    flow: FlowId
    digit: str
    duration_ms: int
    began_at: float
    detector: Literal["rfc4733", "inband"]
    kind: Literal["digit_heard"] = "digit_heard"


@dataclass(frozen=True, slots=True)
class CodeHeard:
    """One of the codes that were listened for was pressed."""

    flow: FlowId
    code: str
    kind: Literal["code_heard"] = "code_heard"


@dataclass(frozen=True, slots=True)
class PlayEnded:
    """A playing is over; `complete` means that every frame was sent while media could flow to the party."""

    play: str
    flow: FlowId
    complete: bool
    ended_at: float
    """When the last frame was sent."""
    kind: Literal["play_ended"] = "play_ended"


@dataclass(frozen=True, slots=True)
class SegmentOpened:
    """The first frame of a side reached its encryption: header and key commitment stand in vault and recordings."""

    call: CallRef
    recording: RecordingId
    seg: int
    side: SideName
    key_commit: str
    stanzas: int
    container: str
    """As in `SegmentSealed`."""
    first_frame_at: float
    kind: Literal["segment_opened"] = "segment_opened"


@dataclass(frozen=True, slots=True)
class Gap:
    """Silence that was put in for what did not arrive, in ms from the segment's start."""

    start_ms: int
    end_ms: int
    why: Literal["loss", "dtx", "overflow", "digits"]


@dataclass(frozen=True, slots=True)
class SegmentSealed:
    """A side's segment is complete and on disk; everything the manifest needs."""

    call: CallRef
    recording: RecordingId
    seg: int
    side: SideName
    end: End
    sha256: str
    """Of the payload object."""
    bytes: int
    chunks: int
    key_commit: str
    stanzas: int
    container: str
    """`wav/PCMA`, `wav/PCMU`, `wav/G722`, `wav/G729` or `ogg/opus`; mono."""
    started_at: float
    ended_at: float
    frames: int
    """Samples written at 8 kHz, silence included."""
    gaps: tuple[Gap, ...]
    kind: Literal["segment_sealed"] = "segment_sealed"


@dataclass(frozen=True, slots=True)
class SegmentFailed:
    """A side ended without a file: one of `NOTHING_KEPT` or `LEAKS`, or why it failed."""

    call: CallRef
    recording: RecordingId
    seg: int
    side: SideName
    reason: str
    kind: Literal["segment_failed"] = "segment_failed"


@dataclass(frozen=True, slots=True)
class CodecSwitched:
    """A party sends another negotiated codec than this segment is of: what is to be kept of it needs a new segment."""

    call: CallRef
    recording: RecordingId
    seg: int
    kind: Literal["codec_switched"] = "codec_switched"


@dataclass(frozen=True, slots=True)
class Discarded:
    """All taps of a recording are closed and its file keys forgotten."""

    call: CallRef
    recording: RecordingId
    kind: Literal["discarded"] = "discarded"


@dataclass(frozen=True, slots=True)
class FlowCount:
    """Counters of one flow; `received` counts what came from the latched source, `forwarded` what was sent on."""

    received: int
    forwarded: int
    wrong_source: int
    send_failed: int
    rtcp: int
    tapped: int
    lost: int = 0
    """Of what the party sent: sequence numbers that never came."""
    heard: Quality | None = None
    """How well the party hears the other one, by its own RTCP; None where it sends none, or none that can be read."""
    unreadable: int = 0
    """Packets that were to be decrypted on their way and could not be: nobody got them."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Answer to `Query`, and told once more when a call is removed."""

    call: CallRef
    flows: dict[FlowId, FlowCount]
    final: bool = False
    kind: Literal["counted"] = "counted"


Order = (
    Reserve
    | Forward
    | Secure
    | Play
    | StopPlay
    | Listen
    | Withhold
    | Record
    | Stop
    | Discard
    | Remove
    | Query
    | Settled
)
Report = (
    Hello
    | Reserved
    | ReserveFailed
    | MediaSeen
    | MediaUnreadable
    | KeysLost
    | MediaTimeout
    | DigitHeard
    | CodeHeard
    | PlayEnded
    | SegmentOpened
    | SegmentSealed
    | SegmentFailed
    | CodecSwitched
    | Discarded
    | Counted
)

_ORDER: TypeAdapter[Order] = TypeAdapter(Annotated[Order, Field(discriminator="kind")])
_REPORT: TypeAdapter[Report] = TypeAdapter(Annotated[Report, Field(discriminator="kind")])
_ANY: TypeAdapter[Order | Report] = TypeAdapter(Annotated[Order | Report, Field(discriminator="kind")])


def encode(value: Order | Report) -> bytes:
    """One line, newline included."""
    return _ANY.dump_json(value) + b"\n"


def decode_order(line: bytes) -> Order:
    """Read one line of the gateway's; raises `PlaneError`."""
    try:
        return _ORDER.validate_json(line)
    except ValidationError as error:
        raise PlaneError(f"not an order: {error.error_count()} faults") from None


def decode_report(line: bytes) -> Report:
    """Read one line of a worker's; raises `PlaneError`."""
    try:
        return _REPORT.validate_json(line)
    except ValidationError as error:
        raise PlaneError(f"not a report: {error.error_count()} faults") from None
