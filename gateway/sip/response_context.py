"""The proxy's response contexts (RFC 3261 §16): one for each request, known by its transactions."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from gateway.sip.hop import Hop
from gateway.sip.message import Request, Response
from gateway.sip.proxy_events import ContextId
from gateway.sip.transaction import ClientKey, ServerKey

__all__ = ["Context", "Contexts", "Phase"]


class Phase(Enum):
    """How far a request is."""

    HELD = auto()
    """The ingress has it: not forwarded yet, or a local refusal waits for its decision."""
    CALLING = auto()
    RINGING = auto()
    """A provisional response came, so a CANCEL may be sent (RFC 3261 §9.1)."""
    CANCELLING = auto()
    ANSWERED = auto()


@dataclass(slots=True, eq=False)
class Context:
    """One request, where it went, and what came back."""

    id: ContextId
    server: ServerKey
    request: Request
    source: Hop
    mark: str
    """By which the request is known again when it comes back (RFC 5393 §4.2)."""
    phase: Phase = Phase.HELD
    cancelled: bool = False
    """By its sender."""
    client: ClientKey | None = None
    sent: Request | None = None
    hop: Hop | None = None
    said: int = 0
    """The highest provisional status that came from this hop."""
    rings_on: int = 0
    """How often timer C starts anew before it ends the call."""
    deadline: float | None = None
    """Monotonic."""
    seen: dict[bytes, Response | None] = field(default_factory=dict)
    """Responses as they came, and as they went on."""


class Contexts:
    """All contexts that aren't finished."""

    def __init__(self) -> None:
        self._all: dict[ContextId, Context] = {}
        self._servers: dict[ServerKey, Context] = {}
        self._clients: dict[ClientKey, Context] = {}
        self._of_source: Counter[str] = Counter()
        self._heap: list[tuple[float, int, Context]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._all)

    def open_of(self, host: str) -> int:
        """How many requests of one address are open."""
        return self._of_source[host]

    def get(self, context_id: ContextId) -> Context | None:
        """By its number."""
        return self._all.get(context_id)

    def of_server(self, key: ServerKey) -> Context | None:
        """By the transaction that its request came in."""
        return self._servers.get(key)

    def of_client(self, key: ClientKey) -> Context | None:
        """By the transaction that its request is now out in."""
        return self._clients.get(key)

    def open(self, server: ServerKey, request: Request, source: Hop, mark: str) -> Context:
        """A request came in."""
        self._count += 1
        context = Context(ContextId(self._count), server, request, source, mark)
        self._all[context.id] = context
        self._servers[server] = context
        self._of_source[source.host] += 1
        return context

    def went(self, context: Context, client: ClientKey, sent: Request, hop: Hop) -> None:
        """Its request is out, maybe once more."""
        self.lose(context)
        context.client, context.sent, context.hop, context.phase = client, sent, hop, Phase.CALLING
        context.said = 0
        self._clients[client] = context

    def lose(self, context: Context) -> None:
        """Its client transaction is over, or nobody's any more."""
        if context.client is not None:
            self._clients.pop(context.client, None)

    def finish(self, context: Context) -> None:
        """Nothing more comes."""
        context.deadline = None
        if self._all.pop(context.id, None) is not None:
            self._of_source[context.source.host] -= 1
            if not self._of_source[context.source.host]:
                del self._of_source[context.source.host]
        self._servers.pop(context.server, None)
        self.lose(context)

    def watch(self, context: Context, deadline: float | None) -> None:
        """Let it be `due` at that time, and no longer at another."""
        context.deadline = deadline
        if deadline is not None:
            self._count += 1
            heapq.heappush(self._heap, (deadline, self._count, context))

    def next_timeout(self) -> float | None:
        """When the next one is due."""
        while self._heap and self._heap[0][2].deadline != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> Iterator[Context]:
        """Those whose time has come, each once."""
        while self._heap and self._heap[0][0] <= now:
            deadline, _, context = heapq.heappop(self._heap)
            if context.deadline == deadline:
                context.deadline = None
                yield context
