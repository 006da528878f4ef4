"""What orders and reports speak of: calls, flows, addresses, keys, ends, and why a side holds nothing."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, NewType

CallRef = NewType("CallRef", str)
"""Our own random reference of a call, 16 lower-case hex characters; never derived from the SIP Call-ID."""
FlowId = NewType("FlowId", str)
"""`{call ref}/{party}/{m-line index}`, party is `caller` or `agent`; `{call ref}/{party}/relay-{index}` of what is
only relayed (`is_relay`)."""
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


RELAY: Final = "relay-"


def is_relay(flow: FlowId) -> bool:
    """Whether a flow is only relayed: its very name says so, and no order can have it read, held back or changed."""
    return flow.rpartition("/")[2].startswith(RELAY)
