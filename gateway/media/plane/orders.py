"""What the gateway orders of a media worker, with all that it needs to be done."""

from dataclasses import dataclass, field
from typing import Literal

from gateway.media.plane.values import (
    Address,
    CallRef,
    End,
    FlowId,
    FlowSpec,
    PlayMode,
    RecordingId,
    SideName,
    Srtp,
    SrtpKey,
)
from gateway.rtp.payload_types import Codec


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
    """All of it comes on one port; also of what has no RTCP, such as a fax."""
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
