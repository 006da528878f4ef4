"""The seam between gateway and media workers: orders in, reports out, plain values only.

A *flow* is one m-line's media as one party sends it, received on ports that face that party. A call has two for each
m-line, in one worker; what comes in on a flow goes out of its peer flow. One that isn't of audio is a *relay*
(`is_relay`): it can be reserved, forwarded, counted and removed, and nothing else. Orders and reports travel as one
JSON object a line over a Unix socket (`encode`, `decode_order`, `decode_report`). Times are monotonic seconds of this
machine.
"""

from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from gateway.errors import GatewayError
from gateway.media.plane.orders import (
    Discard,
    Forward,
    Listen,
    Play,
    Query,
    Quorum,
    Record,
    RecordSide,
    Remove,
    Reserve,
    Secure,
    Settled,
    Stop,
    StopPlay,
    Withhold,
)
from gateway.media.plane.reports import (
    CodecSwitched,
    CodeHeard,
    Counted,
    DigitHeard,
    Discarded,
    FlowCount,
    FlowState,
    Gap,
    Hello,
    KeysLost,
    MediaSeen,
    MediaTimeout,
    MediaUnreadable,
    PlayEnded,
    Reserved,
    ReserveFailed,
    SegmentFailed,
    SegmentOpened,
    SegmentSealed,
)
from gateway.media.plane.values import (
    LEAK,
    LEAKS,
    NO_MEDIA,
    NOTHING_KEPT,
    RELAY,
    TOO_SHORT,
    UNVETTED,
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
    is_relay,
)

__all__ = [
    "LEAK",
    "LEAKS",
    "MAX_LINE",
    "MAX_REPORT",
    "NOTHING_KEPT",
    "NO_MEDIA",
    "RELAY",
    "TOO_SHORT",
    "UNVETTED",
    "Address",
    "CallRef",
    "CodeHeard",
    "CodecSwitched",
    "Counted",
    "DigitHeard",
    "Discard",
    "Discarded",
    "End",
    "FlowCount",
    "FlowId",
    "FlowSpec",
    "FlowState",
    "Forward",
    "Gap",
    "Hello",
    "KeysLost",
    "Listen",
    "MediaSeen",
    "MediaTimeout",
    "MediaUnreadable",
    "Order",
    "PlaneError",
    "Play",
    "PlayEnded",
    "PlayMode",
    "Query",
    "Quorum",
    "Record",
    "RecordSide",
    "RecordingId",
    "Remove",
    "Report",
    "Reserve",
    "ReserveFailed",
    "Reserved",
    "Secure",
    "SegmentFailed",
    "SegmentOpened",
    "SegmentSealed",
    "Settled",
    "SideName",
    "Srtp",
    "SrtpKey",
    "Stop",
    "StopPlay",
    "Withhold",
    "decode_order",
    "decode_report",
    "encode",
    "is_relay",
]  # fmt: skip

MAX_LINE = 256 * 1024
"""Longest order, in bytes."""
MAX_REPORT = 16 * 1024 * 1024
"""Longest report: a worker's hello has each of its flows, for which there may be as many as it has pairs of ports."""


class PlaneError(GatewayError):
    """A line on the worker's socket that isn't an order or a report."""


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
