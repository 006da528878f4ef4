"""The seam below the worker: how packets get from a flow to its peer. Six verbs; one contract suite for all who do it.

Every implementation forwards first and taps second, takes packets of a flow only from the source that it latched onto,
and never hands a packet to a tap that wasn't open when it was received. What is only relayed (`is_relay`) is refused by
all that would read, keep or change it, and sent on whatever is in it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.media.plane import Address, CallRef, FlowCount, FlowId, FlowSpec, FlowState, Forward, Secure

Tap = Callable[[float, memoryview], None]
"""Takes arrival (monotonic seconds) and a packet that was sent on, decrypted; copies what it keeps, doesn't raise."""
Divert = Callable[[memoryview, float, bool], bool]
"""Takes a packet of a flow and its arrival instead of the flow's peer; True where it was sent on, changed or not. It is
decrypted, or else the last argument is False and nothing but its header can be read."""


class Outlet(Protocol):
    """Sends to the party of one flow."""

    def send(self, packet: bytes | bytearray | memoryview) -> bool:
        """Encrypted as the party expects it; False where its address isn't known, or the packet could not be sent."""
        ...

    def pass_on(self) -> bool:
        """Send the packet that is being diverted, as it came; False as above."""
        ...

    @property
    def own_ssrc(self) -> bool:
        """Whether what is sent must be under an SSRC apart from what is passed on.

        Under the key of one who sends, too, numbers that go on behind theirs would use a key stream twice, and whoever
        sees both legs could take the known sound off what was said (RFC 3711 §9.1).
        """
        ...

    @property
    def last_header(self) -> bytes:
        """First 12 bytes of the RTP packet that was forwarded to the party last; empty before the first."""
        ...


@dataclass(frozen=True, slots=True)
class Latched:
    """The sources that a flow has latched onto."""

    rtp: Address | None = None
    rtcp: Address | None = None


class Observer(Protocol):
    """What a datapath tells its worker; called from the packet path, rarely."""

    def media_seen(self, flow: FlowId, at: float, ssrc: int, payload_type: int, earlier: int | None) -> None:
        """The first packet of a flow, or the first one with another SSRC than the one before."""
        ...

    def unreadable(self, flow: FlowId) -> None:
        """What a flow's party sends can't be decrypted, and somebody wanted it to be."""
        ...

    def latched(self, flow: FlowId, sources: Latched) -> None:
        """A flow has learnt where its party sends from, or forgot it."""
        ...

    def catch_up(self) -> None:
        """Packets are there that are tapped, or whose sender or receiver no order names yet: do what was ordered."""
        ...


class Datapath(Protocol):
    """The relay of one worker."""

    def reserve(self, flows: Sequence[FlowSpec]) -> dict[FlowId, Address]:
        """Bind an even and an odd port for each flow; nothing is relayed yet. Raises OutOfPorts, binding none then."""
        ...

    def forward(self, order: Forward) -> None:
        """Relay a flow to its peer, or change how; an unchanged order does nothing. UnknownFlow, OrderRefused."""
        ...

    def secure(self, order: Secure) -> None:
        """Take over the keys of a flow. Raises UnknownFlow, OrderRefused."""
        ...

    def divert(self, flow: FlowId, divert: Divert | None) -> Outlet:
        """Hand what comes in on a flow to `divert` (None: forward it); its peer's outlet. UnknownFlow, OrderRefused."""
        ...

    def tap(self, flow: FlowId, tap: Tap | None) -> None:
        """Copy what is sent on from now, or stop. Raises UnknownFlow, OrderRefused."""
        ...

    def remove(self, flows: Sequence[FlowId]) -> dict[FlowId, FlowCount]:
        """Close the flows' ports and let them cool down; their last counters. Unknown flows are passed over."""
        ...

    def restore(self, flow: FlowId, local: Address) -> None:
        """Bind the ports that a flow had before this worker was started again. Raises OutOfPorts."""
        ...

    def relatch(self, flow: FlowId, sources: Latched) -> None:
        """Take packets of a restored flow from the sources that it knew. Raises UnknownFlow."""
        ...

    def count(self, flow: FlowId) -> FlowCount:
        """Counters of a flow. Raises UnknownFlow."""
        ...

    def state(self, flow: FlowId) -> FlowState:
        """Ports and target of a flow. Raises UnknownFlow."""
        ...


def call_of(flow: FlowId) -> CallRef:
    """The call that a flow's id names."""
    return CallRef(flow.partition("/")[0])
