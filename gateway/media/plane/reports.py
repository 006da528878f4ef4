"""What a media worker reports to its gateway."""

from dataclasses import dataclass, field
from typing import Literal

from gateway.media.plane.values import Address, CallRef, End, FlowId, RecordingId, SideName
from gateway.rtp.quality import Quality


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
