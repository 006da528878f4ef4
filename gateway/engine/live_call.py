"""One call as the engine holds it: the core's `Call`, its entry, its durable work in order, its unsettled segments."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

import structlog

from gateway.call.core import Call
from gateway.call.effects import LeaveLeg
from gateway.engine.call_facts import CallFacts
from gateway.engine.ledger import Entered, Wished
from gateway.media.plane import RecordingId, SideName
from policy.decision import Purpose

__all__ = ["LiveCall", "SideKey", "SignedYes", "Unchanged"]

log = structlog.get_logger()
SideKey = tuple[RecordingId, int, SideName]
"""Recording, segment, side."""


class Unchanged(Enum):
    """Why a description went on as it came."""

    NO_WORKER = auto()
    NO_PORTS = auto()
    NOT_UNDERSTOOD = auto()
    """It can't be read, or names no place that media can be sent to."""
    NO_OFFER = auto()
    """An answer to nothing."""
    FAULT = auto()
    """Ours."""


@dataclass(frozen=True, slots=True)
class SignedYes:
    """What the agent signed for this call."""

    document: bytes
    signature: str


@dataclass(slots=True, eq=False)
class LiveCall:
    """See the module. Durable work runs in its own task, so that no SIP message ever waits for a disk."""

    call: Call
    began_at: float = 0.0
    """Monotonic seconds."""
    lasts_until: float | None = None
    """When its session timer is over, unless somebody refreshes it (monotonic)."""
    unchanged: Unchanged | None = None
    """Why its latest description went on as it came; None where our ports are in it."""
    agent: str | None = None
    entered: Entered | None = None
    wishes: dict[int, Wished] = field(default_factory=dict)
    """What was asked for in it, by entry."""
    unsettled: set[SideKey] = field(default_factory=set)
    """Sides whose taps were opened and whose end is not durable yet."""
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    manifests: list[str] = field(default_factory=list)
    """Digests of the manifests of this leg, for its `out`."""
    consents: dict[Purpose, str] = field(default_factory=dict)
    """Digest of the receipt of the caller's yes, by purpose: what a recording stands on."""
    pausers: frozenset[str] = frozenset()
    """Who paused it; each of them must resume."""
    said_yes: dict[Purpose, SignedYes] = field(default_factory=dict)
    texts_read: set[str] = field(default_factory=set)
    """Hashes of the texts that the agent's signed words for this call name."""
    """The agent's own yes in this call, by purpose: written with the first recording that stands on it, else never."""
    entry_of: dict[RecordingId, int] = field(default_factory=dict)
    """The entry that each recording of the leg is under."""
    told: tuple[str, tuple[str, ...], str | None] | None = None
    """What became of the leg, as far as it is durable: word, reasons, recording."""
    record_code: str | None = field(default=None, repr=False)
    """Of a recording that was asked for: in memory only, for the agent's page and the caller's ear."""
    coded: RecordingId | None = None
    """The recording that `record_code` finds."""
    leaked: set[RecordingId] = field(default_factory=set)
    """Recordings that were destroyed because the caller may be heard on the agent's side."""
    named: bool = False
    """The PBX said, once at least, who is on it."""
    facts: CallFacts | None = None
    """What an admin's figures are made of; None until its first answer is confirmed."""
    before: list["LiveCall"] = field(default_factory=list)
    """Earlier legs of the same call, whose agents a PBX transferred away: they leave with it."""
    interrupted: bool = False
    over: bool = False
    leaving: LeaveLeg | None = None
    _work: asyncio.Queue[Callable[[], Awaitable[None]]] = field(default_factory=asyncio.Queue)
    _task: asyncio.Task[None] | None = None

    def legs(self) -> Iterator["LiveCall"]:
        """This one and those before it."""
        yield self
        yield from reversed(self.before)

    def do(self, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Queue durable work of this call; it runs in the order given, in the task that is returned."""
        self._work.put_nowait(work)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return self._task

    def booked(self, entry: int) -> Entered | Wished | None:
        """What an entry of this leg stands for."""
        if self.entered is not None and self.entered.entry.entry == entry:
            return self.entered
        return self.wishes.get(entry)

    async def worked(self) -> None:
        """Until everything that is queued now is done."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def _run(self) -> None:
        while not self._work.empty():
            work = self._work.get_nowait()
            try:
                await work()
            except Exception:
                log.exception("work of a call failed", call=self.call.ref)

    def opened(self, key: SideKey) -> None:
        """A tap is about to be opened."""
        self.unsettled.add(key)
        self.settled.clear()

    def settle(self, key: SideKey) -> None:
        """What became of a side is durable."""
        self.unsettled.discard(key)
        if not self.unsettled:
            self.settled.set()
