"""What the proxy core tells its ingress, as values; the ingress hands the `…Arrived` ones back to let them go on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from gateway.sip.hop import Hop, Side, Transport
from gateway.sip.message import Request, Response

ContextId = NewType("ContextId", int)
"""One request and its responses (RFC 3261 §16: response context); unique in a process."""


@dataclass(frozen=True, slots=True)
class Target:
    """A next hop as a URI names it."""

    host: str
    """IP literal without brackets or host name."""
    port: int | None
    """None: the URI named none, so RFC 3263 decides."""
    transport: Transport | None
    """None: the URI named none either."""


class Why(StrEnum):
    """Why a message went nowhere; for counters."""

    STRAY_RESPONSE = "stray_response"
    FOREIGN_VIA = "foreign_via"
    MALFORMED = "malformed"
    REFUSED = "refused"
    OVERLOAD = "overload"


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send `data` to `hop`; when that fails, hand this very event to `ProxyCore.transmit_failed`."""

    data: bytes
    hop: Hop
    branch: tuple[str, str, str] | None = None


@dataclass(frozen=True, slots=True)
class RequestArrived:
    """A request that waits for `ProxyCore.forward` or `answer`; never an ACK or CANCEL."""

    context: ContextId
    request: Request
    """With its Routes worked off, without our Via; the ingress may change body and headers in place."""
    source: Hop
    to_side: Side
    target: Target | None
    """From the Route set, or in a dialog from the request-URI; None: the configured next hop of `to_side`."""
    in_dialog: bool
    """Whether To has a tag."""
    registered: Target | None = None
    """Where the callee registered from through us: to be tried before `target`."""


@dataclass(frozen=True, slots=True)
class ToGateway:
    """An OPTIONS for the gateway itself; waits for `answer`."""

    context: ContextId
    request: Request
    source: Hop


@dataclass(frozen=True, slots=True)
class AckArrived:
    """An ACK for a 2xx; waits for `ProxyCore.forward_ack`."""

    request: Request
    source: Hop
    to_side: Side
    target: Target | None


@dataclass(frozen=True, slots=True)
class ResponseArrived:
    """A response that waits for `ProxyCore.forward_response`; several provisional and several 2xx may come."""

    context: ContextId
    response: Response
    """Without our Via; the ingress may change body and headers in place."""
    hop: Hop | None = None
    """Where the request had gone."""
    local: bool = False
    """Ours: 408 (nobody answered), 503 (can't be sent) or 487; `forward` to another hop is possible instead."""
    heard: bool = False
    """The hop had said something provisional before, so it is there (of local ones)."""
    received: bytes = b""
    """Recognises a retransmission, which goes on by itself as the first one did."""


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """Somebody took up an INVITE that was given up, and its sender has a refusal: waits for `ProxyCore.hang_up`."""

    ack: Request
    """As the caller would have sent it, without Via (RFC 3261 §13.2.2.4)."""
    bye: Request | None
    """None: it is out already, and the 2xx came again."""
    target: Target | None
    """From the Route set, or the Contact."""
    hop: Hop
    """Where the INVITE went: the way to take where `target` leads nowhere."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The sender of an INVITE took it back; the core has answered and passed it on, a final response still comes."""

    context: ContextId


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing more comes for this context."""

    context: ContextId


@dataclass(frozen=True, slots=True)
class Probed:
    """Whether a neighbour answered the OPTIONS that `ProxyCore.probe` sent it."""

    hop: Hop
    answered: bool


@dataclass(frozen=True, slots=True)
class Discarded:
    """A message was dropped or refused."""

    why: Why
    status: int = 0
    """Of the answer, 0 without one."""


Output = (
    Transmit
    | RequestArrived
    | ToGateway
    | AckArrived
    | ResponseArrived
    | Unclaimed
    | Cancelled
    | Finished
    | Discarded
    | Probed
)
