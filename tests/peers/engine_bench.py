"""An engine over a real database, its workers replaced by a list of orders; the clock stands until it is moved.

Every leg of the one agent, at extension 200, is drawn. `answered` brings a call up to its leg; `opened` up to its tap.
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from crypto.x25519 import Identity
from gateway.call.model import DialogTag, EntryResult, NewCall, Private, SdpMessage, SipCallId
from gateway.call.stage import Stage
from gateway.config import Config
from gateway.engine.custody import Custody
from gateway.engine.engine import Engine
from gateway.engine.epoch_steps import EpochSteps
from gateway.engine.ids import Ids
from gateway.engine.ledger import Entered, Ledger, SealedShare, Wished
from gateway.engine.live_call import LiveCall
from gateway.engine.protected import ProtectedParties
from gateway.engine.site import Site
from gateway.engine.workers import NoPorts, WorkerAway
from gateway.event_bus import EventBus
from gateway.journal import CallJournal
from gateway.media.plane import (
    Address,
    CallRef,
    DigitHeard,
    FlowId,
    FlowSpec,
    Order,
    PlayEnded,
    Report,
    SegmentFailed,
    SideName,
    Stop,
    is_relay,
)
from policy.decision import CallerAnswer, ConsentState, Purpose, Side
from policy.state import State, Term
from storage.acts import Acts
from storage.consents import Consents, StandingConsent, Statement
from storage.decisions import Decisions
from storage.errors import StorageUnavailable
from storage.legs import Admission, Out, XKind
from storage.record_codes import RecordCodes
from storage.roster import NewAgent, Seat
from tests.peers.askable import askable
from tests.peers.manual_clock import ManualClock
from tests.peers.opened_epoch import OpenBook
from tests.peers.stored import Folder, enter, open_folder
from tests.unit.policy.green import SAMPLE_RULE, agreement

EXTENSION, OUTSIDE, PAGE = "200", "+4940111222", "page-1"
SIDES: tuple[SideName, SideName] = ("agent", "caller")
SDP = b"\r\n".join(
    [b"v=0", b"o=- 1 1 IN IP4 %s", b"s=-", b"c=IN IP4 %s", b"t=0 0", b"m=audio %d RTP/AVP 8 101",
     b"a=rtpmap:8 PCMA/8000", b"a=rtpmap:101 telephone-event/8000", b"a=%s", b""]
)  # fmt: skip


def sdp(host: str = "127.15.1.11", port: int = 4000, direction: str = "sendrecv") -> bytes:
    return SDP % (host.encode(), host.encode(), port, direction.encode())


class WorkerDouble:
    """Worker 0: takes orders and answers reservations at once."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.away = self.full = False
        self.nearly_full = False
        """There are ports for audio alone."""
        self.reserved: set[CallRef] = set()
        """Calls that were given ports."""
        self.told: Callable[[int, Report], None] = lambda worker, report: None
        self._expected: list[tuple[type, asyncio.Event]] = []
        self._ports = itertools.count(30000, 2)

    @property
    def connected(self) -> tuple[int, ...]:
        return () if self.away else (0,)

    def choose(self) -> int:
        if self.away:
            raise WorkerAway("no media worker is connected")
        return 0

    def send(self, worker: int, order: Order) -> bool:
        if not self.away:
            self.orders.append(order)
            if isinstance(order, Stop):
                asyncio.get_running_loop().call_soon(self._end, order)
            for kind, event in self._expected:
                if isinstance(order, kind):
                    event.set()
        return not self.away

    def _end(self, stop: Stop) -> None:
        """Nothing was said: both sides end without media."""
        for side in SIDES:
            self.told(0, SegmentFailed(stop.call, stop.recording, stop.seg, side, "no_media"))

    def expect(self, kind: type) -> asyncio.Event:
        """Set once an order of that kind comes."""
        event = asyncio.Event()
        self._expected.append((kind, event))
        return event

    def note_load(self, worker: int, change: int) -> None: ...

    async def reserve(self, worker: int, call: CallRef, flows: tuple[FlowSpec, ...]) -> dict[FlowId, Address]:
        await asyncio.sleep(0)
        if self.full or (self.nearly_full and any(is_relay(spec.flow) for spec in flows)):
            raise NoPorts("Ran out of ports")
        if self.away:
            raise WorkerAway("the media worker went away")
        self.reserved.add(call)
        return {spec.flow: Address(spec.local_host, next(self._ports)) for spec in flows}

    def kinds(self) -> list[str]:
        return [order.kind for order in self.orders]


@dataclass
class LedgerDouble:
    """Draws every leg (or, not `drawn`, none); counts what it was asked. Wishes, or all (`real`), go into the books."""

    folder: Folder
    books: Ledger
    drawn: bool = True
    real: bool = False
    x: list[XKind] = field(default_factory=list)
    entered: list[str] = field(default_factory=list)
    outs: list[str] = field(default_factory=list)
    answers: list[CallerAnswer | None] = field(default_factory=list)
    hold: asyncio.Event | None = None

    async def enter(self, agent, agreements, *, queue, call, call_id, wallclock, acts) -> Entered | None:
        if self.real:
            return await self.books.enter(
                agent, agreements, queue=queue, call=call, call_id=call_id, wallclock=wallclock
            )
        entry = await enter(self.folder)
        self.entered.append(call)
        result = EntryResult(entry.entry, SAMPLE_RULE, self.drawn, True, True, False)
        return Entered(result, entry, Admission(Out.HIT if self.drawn else Out.NO), agreements[0])

    async def wish(self, agent, agreements, lane, *, call, call_id, wallclock) -> Wished | None:
        return await self.books.wish(agent, agreements, lane, call=call, call_id=call_id, wallclock=wallclock)

    async def enter_x(self, agreements, kind: XKind, wallclock) -> None:
        self.x.append(kind)

    async def leave(self, entered, told_as: str, reasons, manifests, answer: CallerAnswer | None) -> Out:
        self.outs.append(told_as)
        if self.real or isinstance(entered, Wished):
            return await self.books.leave(entered, told_as, reasons, manifests, answer)
        self.answers.append(answer)
        return Out.HIT


async def published(origin: str) -> None:
    """The log isn't read here."""


class EngineBench:
    """See the module; made by `make`."""

    engine: Engine
    config: Config
    folder: Folder
    agent: str
    clock: ManualClock
    worker: WorkerDouble
    bus: EventBus
    site: Site
    ledger: LedgerDouble
    custody: Custody
    epochs: EpochSteps

    @classmethod
    async def make(
        cls, root: Path, placement: str = "phones", sides: Mapping[str, object] | None = None
    ) -> "EngineBench":
        self = cls()
        self.clock, self.worker, self.bus = ManualClock(), WorkerDouble(), EventBus()
        self.folder = folder = await open_folder(root)
        new = NewAgent("Alma Beispiel", "team-a", "hamburg")
        self.agent = str(await folder.roster.add(new, self.clock.wallclock()))
        consents = Consents(folder.database)
        self.site = Site(
            clock=self.clock, roster=folder.roster, consents=consents, acts=Acts(folder.database),
            announcements=askable(()), protected=ProtectedParties(b"k" * 32, frozenset()), book=OpenBook(),
        )  # fmt: skip
        self.epochs = EpochSteps(
            folder.epochs, book=self.site.book, site=self.site, clock=self.clock, name="hamburg",
            key=folder.key.verify_key, publish=published, recordings=folder.recordings,
        )  # fmt: skip
        self.ledger = LedgerDouble(folder, Ledger("hamburg", folder.legs, folder.epochs, self.site.book, SealedShare()))
        self.custody = Custody(
            recordings=folder.recordings, decisions=Decisions(folder.database), consents=consents,
            codes=RecordCodes(folder.database, bytes(32)), key=folder.key, clock=self.clock,
            settle=self.worker.send, changed=lambda agent, recording: None, alarm=lambda text: None,
        )  # fmt: skip
        sip = {"identity": {"placement": placement}, **(sides or {})}
        self.config = config = Config.model_validate({"site": {"data_dir": root}, "sip": sip})
        self.engine = Engine(
            config=config, clock=self.clock, ids=Ids(), site=self.site, ledger=self.ledger,  # type: ignore[arg-type]  # a double
            custody=self.custody, workers=self.worker, bus=self.bus, journal=CallJournal(config.run_dir),  # type: ignore[arg-type]  # a double
        )  # fmt: skip
        self.worker.told = self.engine.reports.take
        await self._agree()
        return self

    async def _agree(self) -> None:
        site, at = self.site, self.clock.wallclock()
        await site.load_agent(self.agent)
        self.enact()
        self.say_yes()
        site.announcements = askable(site.agreements[0].consent.prompts)
        for number in range(8):
            site.agents[f"colleague-{number}"] = site.agents[self.agent]
        row = site.agents[self.agent]
        object.__setattr__(row, "recipient", str(Identity.generate().recipient))
        site.seats[EXTENSION] = Seat(row.id, EXTENSION, "session-1", 1, at, at.replace(year=at.year + 1), "{}", "s")

    def enact(self, **edits: object) -> None:
        """Put the example into force, with `a__b=value` edits."""
        found = agreement(**({"demo": "yes"} | edits))
        self.site.enact(State((), terms=(Term(found, 1, found.validity.start, found.validity.end),)))

    def say_yes(self) -> None:
        """The agent's standing yes to every purpose, to the texts in force."""
        at, texts = self.clock.wallclock(), self.site.texts
        said = {p: Statement("{}", "signature", min(texts[p]), "de", 1) for p in Purpose}
        yes = {p: StandingConsent(p, ConsentState.YES, 1, False, said[p], at) for p in Purpose}
        self.site.standing[self.agent] = yes

    async def close(self) -> None:
        await self.engine.finished()
        await self.folder.database.close()

    # --- a call ------------------------------------------------------------------------------------------------------

    def new_call(self, call_id: str = "call-1", extension: str | None = EXTENSION, outside: str = OUTSIDE) -> NewCall:
        told = Private(extension) if extension else None
        return NewCall(SipCallId(call_id), "uac", Side.CALLER, told, "service-strom", Private(outside))

    async def offer(self, call_id: str = "call-1", **more: str) -> bytes:
        new = self.new_call(call_id, **more)
        return await self.engine.offer(new, SdpMessage(Side.CALLER, None, "offer", sdp()))

    async def answer(self, call_id: str = "call-1", tag: str = "uas") -> bytes:
        said = SdpMessage(Side.AGENT, DialogTag(tag), "answer", sdp("127.15.1.12", 5000))
        return await self.engine.answer(SipCallId(call_id), said)

    async def answered(self, call_id: str = "call-1", **more: str) -> LiveCall:
        """Up to the ACK, entered and drawn."""
        await self.offer(call_id, **more)
        await self.answer(call_id)
        self.engine.answered(SipCallId(call_id), DialogTag("uas"))
        self.engine.confirmed(SipCallId(call_id))
        await self.engine.finished()
        return self.engine.calls[SipCallId(call_id)]

    async def lit(self) -> LiveCall:
        """Up to the light that waits for its acknowledgement."""
        self.engine.lights.open_page(self.agent, PAGE)
        live = await self.answered()
        await self.agree(live)
        assert self.stage(live) is Stage.LIT
        return live

    async def agree(self, live: LiveCall, question_s: float = 8.0) -> None:
        """The caller hears the question and says yes; both hear what they have to."""
        caller, agent = (FlowId(f"{live.call.ref}/{side}/0") for side in ("caller", "agent"))
        self.clock.advance(question_s)
        self.engine.reports.take(0, PlayEnded("ask", caller, True, self.clock.now()))
        self.clock.advance(question_s / 8)
        self.engine.reports.take(0, DigitHeard(caller, "1", 100, self.clock.now(), "rfc4733"))
        await self.engine.finished()
        self.engine.reports.take(0, PlayEnded("tone", agent, True, self.clock.now()))
        self.engine.reports.take(0, PlayEnded("notice", caller, True, self.clock.now()))

    async def opened(self) -> LiveCall:
        """Up to the open tap."""
        live = await self.lit()
        self.acknowledge(live)
        await self.engine.finished()
        assert self.stage(live) is Stage.OPEN
        return live

    def acknowledge(self, live: LiveCall, page: str = PAGE) -> bool:
        leg = live.call.leg
        assert leg is not None and leg.indicator.shown is not None
        shown = leg.indicator.shown
        counted = self.engine.lights.acknowledge(
            self.agent, page, live.call.ref, shown.seq, shown.nonce, shown.state.value
        )
        self.engine.reconsider(live)
        return counted

    @staticmethod
    def stage(live: LiveCall) -> Stage:
        assert live.call.leg is not None
        return live.call.leg.stage

    def break_database(self) -> Callable[[], None]:
        """Every write fails from now on; returns what mends it."""
        whole = self.folder.database.write

        async def broken(work: object) -> object:
            raise StorageUnavailable("database can't be written")

        self.folder.database.write = broken  # type: ignore[method-assign,assignment]  # a disk that fails
        return lambda: setattr(self.folder.database, "write", whole)
