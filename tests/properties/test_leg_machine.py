"""Whatever happens around a leg, in whatever order: no tap without its proofs, none after its end, closing comes first.

The monitor keeps its own account of what was published, acknowledged, and durable, and holds every order against it.
"""

from dataclasses import dataclass, field, replace

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.call.effects import DiscardRecording, Effect, LeaveLeg, PlaneOrder, WriteDecision, WriteReceipt
from gateway.call.stage import Stage
from gateway.call.wish import Wish
from gateway.events import Heartbeat, LegLight, LightState
from gateway.media.plane import Play, Record, RecordingId, Stop
from policy.agreement.schema import Agreement
from policy.decision import ConsentState, Decision, Outcome, Purpose, Reason, Side
from policy.evaluate import evaluate
from policy.terms import Lane
from tests.peers.leg_bench import AGENT, CALLER, ENTRY, LINE, TICK_S, LegBench
from tests.unit.policy.green import agreement, example, per_leg

Key = tuple[RecordingId, int]
PAGES = ("page-1", "page-2")
LATE_S = 0.003
"""Ages are whole milliseconds, and the leg wakes for the next one."""
SPOILERS: list[tuple[str, object]] = [
    ("suspended", True), ("storage_available", False), ("seat_bound", False), ("blackout", True),
    ("clock_trusted", False), ("protected_party", None), ("key_available", False),
]  # fmt: skip
BOTH_SHOWN, ALONE_SHOWN = LightState.RECORDING_BOTH, LightState.RECORDING_AGENT
LANES = {Lane.CUSTOMER_REQUEST: Purpose.DISPUTE, Lane.AGENT_REQUEST: Purpose.COACHING}
STOP_ONLY = agreement(consent__withdrawal_effect="stop_only")


@dataclass(slots=True)
class Monitor:
    """What an auditor would know who sees orders, events and the disk, and nothing of the leg."""

    durable: set[Key] = field(default_factory=set)
    receipts: set[Purpose] = field(default_factory=set)
    published: dict[tuple[int, str], float] = field(default_factory=dict)
    light: LegLight | None = None
    shown_by: dict[str, float] = field(default_factory=dict)
    """Pages that acknowledged the present light's own event, and the newest publication each has acknowledged."""
    tapped: Key | None = None
    alone: bool = False
    """The open tap takes the agent's side only."""
    leaked: bool = False
    over: bool = False
    entered: dict[int, Lane] = field(default_factory=lambda: {ENTRY.entry: Lane.SAMPLE})
    """Every durable entry, and what it is for."""
    left: list[int] = field(default_factory=list)
    meant: dict[RecordingId, tuple[int, Lane | None, Purpose | None]] = field(default_factory=dict)
    """Entry, lane and purpose of each recording."""
    recorded: list[RecordingId] = field(default_factory=list)
    discarded: set[RecordingId] = field(default_factory=set)

    def event(self, event: LegLight | Heartbeat, now: float) -> None:
        if isinstance(event, LegLight):
            self.light, self.published, self.shown_by = event, {}, {}
        self.published[event.seq, event.nonce] = now

    def acknowledged(self, page: str, event: LegLight | Heartbeat) -> None:
        at = self.published.get((event.seq, event.nonce))
        if at is None or self.light is None or event.state is not self.light.state:
            return
        if event is self.light or page in self.shown_by:
            self.shown_by[page] = max(at, self.shown_by.get(page, at))

    def age(self, now: float) -> float:
        return now - max(self.shown_by.values(), default=float("-inf"))


WAYS = ["armed", "listening", "agreed", "lit", "lit", "lit", "opened", "opened", "asked", "wished", "wished"]
ENDINGS = [
    lambda machine: machine.line_is_lost(),
    lambda machine: machine.withdrawn_by_agent(),
    lambda machine: machine.withdrawn_by_code(),
    lambda machine: machine.caller_refused(),
    lambda machine: machine.agent_says_no(),
    lambda machine: machine.transferred(),
    lambda machine: machine.site_changes(),
    lambda machine: machine.worker_is_lost(),
    lambda machine: machine.a_write_fails(),
    lambda machine: machine.a_leak_is_found(),
    lambda machine: machine.call_ends(),
]


class LegMachine(RuleBasedStateMachine):
    """The world around one leg."""

    def __init__(self) -> None:
        super().__init__()
        self.monitor = Monitor()
        self.receipts: list[WriteReceipt] = []
        self.wish: Wish | None = None
        self.stop_only = False
        self.decision: WriteDecision | None = None
        self.events: list[LegLight | Heartbeat] = []
        self.open_pages = {PAGES[0]}
        self.withdrawn = False

    @initialize(under=st.sampled_from([example(), STOP_ONLY, per_leg()]), way=st.sampled_from(WAYS), says=st.booleans())
    def begin(self, under: Agreement, way: str, says: bool) -> None:
        """`says`: the caller says yes; a no leads on where the agent's side may be kept alone."""
        self.bench, self.stop_only = LegBench(under), under is STOP_ONLY
        self.bench.one_sided = frozenset({"ask-de-2"})
        self.max_age = self.bench.agreements[0].indicator.ack_max_age_ms / 1000
        self.seen = 0
        self.bench.armed()
        self.look()
        for step in ("armed", "listening", "agreed", "lit", "opened", "asked", "wished"):
            if step == "listening":
                self.playings_end(True)
            elif step == "agreed":
                self.press("1" if says or under is not per_leg() else "9", 100)
            elif step == "lit":
                self.receipt_is_durable()
                self.playings_end(True)
                self.playings_end(True)
            elif step == "opened":
                self.acknowledge(0, PAGES[0])
                self.decision_is_durable()
            elif step == "asked":
                self.something_is_asked_for(Lane.CUSTOMER_REQUEST)
            elif step == "wished":
                self.wish_is_written(True)
                self.the_wish_goes_its_way("1")
            if step == way:
                return

    # --- what the engine does, and what the monitor makes of it -------------------------------------------------------

    def look(self) -> None:
        self.bench.step()
        self.audit()

    def audit(self) -> None:
        """Hold every new effect against the account."""
        new = self.bench.effects[self.seen :]
        self.seen = len(self.bench.effects)
        was_tapped = self.monitor.tapped
        for effect in new:
            self.audit_one(effect)
        if was_tapped is not None and (self.monitor.tapped != was_tapped or self.bench.leg.left):
            first = new[0]
            assert isinstance(first, PlaneOrder) and isinstance(first.order, Stop), "the tap closes first"

    def audit_one(self, effect: Effect) -> None:
        monitor, now = self.monitor, self.bench.now
        match effect:
            case PlaneOrder(Record() as order):
                key = (order.recording, order.seg)
                assert not monitor.over, "closed is final"
                assert monitor.tapped is None
                assert key in monitor.durable, "the decision is durable"
                entry, lane, purpose = monitor.meant[order.recording]
                assert monitor.entered[entry] is lane, "its own entry is durable"
                assert (order.quorum is not None) == (lane is Lane.CUSTOMER_REQUEST)
                assert (monitor.light and (monitor.light.lane, monitor.light.purpose)) == (lane, purpose)
                self.audit_sides(order, purpose)
                assert self.open_pages & monitor.shown_by.keys(), "an open page showed this very light"
                assert monitor.age(now) <= self.max_age + 0.001
                assert order.opened_at == now
                assert self.now_decided().outcome is Outcome.RECORD, "every gate once more"
                assert self.bench.line is not None and self.bench.line.flowing
                monitor.durable.discard(key)  # for one opening only
                monitor.tapped = key
                monitor.recorded.append(order.recording)
            case PlaneOrder(Stop() as order):
                assert monitor.tapped == (order.recording, order.seg)
                monitor.tapped = None
            case PlaneOrder(Play()):
                assert not monitor.over, "nobody is asked or told anything after a stop"
            case DiscardRecording(recording=recording):
                assert monitor.tapped is None
                assert recording not in monitor.discarded
                monitor.discarded.add(recording)
            case WriteReceipt(outcome="yes"):
                self.receipts.append(effect)
            case WriteDecision():
                assert self.decision is None, "one at a time"
                assert effect.decision.outcome is Outcome.RECORD
                self.decision = effect
                meant = (effect.entry, effect.decision.lane, effect.decision.purpose)
                assert monitor.meant.setdefault(effect.recording, meant) == meant, "one lane, one purpose"
            case LeaveLeg(entry=entry):
                monitor.left.append(entry)
            case _:
                if hasattr(effect, "event"):
                    monitor.event(effect.event, now)
                    self.events.append(effect.event)

    def audit_sides(self, order: Record, purpose: Purpose | None) -> None:
        """Both after a proven yes; else, where that was agreed, the agent's alone, compared with the caller's."""
        monitor = self.monitor
        assert monitor.light is not None
        monitor.alone = [side.side for side in order.sides] == ["agent"]
        if monitor.alone:
            assert self.bench.agreements == (per_leg(),) and not monitor.leaked
            assert monitor.light.state is ALONE_SHOWN
            assert order.sides[0].vetted_against == CALLER
        else:
            assert purpose in monitor.receipts, "the yes to this very purpose is proven"
            assert monitor.light.state is BOTH_SHOWN
            assert [side.vetted_against for side in order.sides] == [None, None]

    def now_decided(self) -> Decision:
        bench = self.bench
        return evaluate(bench.leg.facts(bench.circumstances().facts, bench.now))

    # --- what happens -------------------------------------------------------------------------------------------------

    @rule(ticks=st.sampled_from([1, 10, 25, 65, 120]), beats=st.booleans(), disk=st.booleans())
    def time_passes(self, ticks: int, beats: bool, disk: bool) -> None:
        """As the engine's jobs let it; `beats`: the open pages acknowledge each heartbeat; `disk`: it is quick."""
        for tick in range(1, ticks + 1):
            self.bench.now += TICK_S
            if tick % 20 == 0 and (beat := self.bench.indicator.heartbeat(self.bench.now)) is not None:
                self.monitor.event(beat, self.bench.now)
                self.events.append(beat)
                for page in sorted(self.open_pages) if beats else ():
                    self.acknowledge(-1, page)
            due = self.bench.leg.next_timeout(self.bench.now, self.bench.wallclock)
            if tick % 20 == 0 or (due is not None and due <= self.bench.now):
                self.look()
            if disk:
                self.decision_is_durable()
            self.check_open(TICK_S)

    @precondition(lambda self: self.receipts)
    @rule()
    def receipt_is_durable(self) -> None:
        if not self.receipts:
            return
        receipt = self.receipts.pop(0)
        self.monitor.receipts.add(receipt.purpose)
        self.bench.take(self.bench.leg.receipt_written(receipt.purpose, receipt.asked, self.bench.now))
        self.look()

    @precondition(lambda self: self.decision is not None)
    @rule(spoiler=st.sampled_from(SPOILERS))
    def decision_is_durable_too_late(self, spoiler: tuple[str, object]) -> None:
        """Something changed meanwhile that nobody told the leg."""
        self.bench.changes = dict([spoiler])
        self.decision_is_durable()

    @precondition(lambda self: self.decision is not None)
    @rule()
    def decision_is_durable(self) -> None:
        if self.decision is None:
            return
        self.monitor.durable.add((self.decision.recording, self.decision.seg))
        self.decision = None
        self.bench.decision_durable()
        self.audit()

    @rule(complete=st.booleans())
    def playings_end(self, complete: bool) -> None:
        turn = f"-{len(self.bench.leg.earlier) + 1}" if self.bench.leg.earlier else ""
        for play in ("ask", "notice", f"ask{turn}", f"ask{turn}-agent", f"tone{turn}", f"notice{turn}", "tone-end"):
            self.bench.played(play, complete)
            self.audit()

    @rule(key=st.sampled_from("19*2"), ms=st.sampled_from([20, 100]), early=st.booleans(), agent=st.booleans())
    def key(self, key: str, ms: int, early: bool, agent: bool) -> None:
        flow = AGENT if agent else CALLER
        self.bench.pressed(key, ms, self.bench.now - 8.0 if early else None, flow)
        self.audit()

    def press(self, keys: str, ms: int) -> None:
        self.bench.pressed(keys, ms)
        self.audit()

    @precondition(lambda self: self.events)
    @rule(which=st.integers(-3, 2), page=st.sampled_from(PAGES))
    def acknowledge(self, which: int, page: str) -> None:
        """An event of now or of before; by a page that may be gone, which `Lights` would refuse."""
        own = self.monitor.light
        if not self.events or page not in self.open_pages or own is None:
            return
        event = own if which >= 0 else self.events[max(which, -len(self.events))]
        self.monitor.acknowledged(page, event)
        self.bench.acknowledge(event, page)
        self.audit()

    @rule(page=st.sampled_from(PAGES), nonce=st.text("0123456789abcdef", min_size=16, max_size=16))
    def acknowledge_made_up(self, page: str, nonce: str) -> None:
        if self.monitor.light is not None:
            self.bench.acknowledge(replace(self.monitor.light, nonce=nonce), page)
        self.audit()

    @rule(page=st.sampled_from(PAGES), opens=st.booleans())
    def page(self, page: str, opens: bool) -> None:
        if opens:
            self.open_pages.add(page)
        else:
            self.open_pages.discard(page)
            self.monitor.shown_by.pop(page, None)
            self.bench.indicator.page_closed(page)
        self.bench.pages = len(self.open_pages)
        self.look()

    @rule(flowing=st.booleans())
    def hold(self, flowing: bool) -> None:
        self.bench.line = replace(LINE, flowing=flowing)
        self.look()

    @rule(on=st.booleans())
    def pause(self, on: bool) -> None:
        self.bench.leg.paused_by_call = on
        self.look()

    @rule(which=st.integers(0, 2 * len(ENDINGS)))
    def something_ends_it(self, which: int) -> None:
        """Rarely, or no leg would come far."""
        if which < len(ENDINGS):
            ENDINGS[which](self)
            self.look()

    @precondition(lambda self: self.wish is None)
    @rule(lane=st.sampled_from(list(LANES)))
    def something_is_asked_for(self, lane: Lane) -> None:
        """The agent presses; the wish is on its way into the books, unless it is refused."""
        leg = self.bench.leg
        if leg.refuses(lane) is None:
            entries = {lane: entry for entry, lane in self.monitor.entered.items()}
            self.wish = Wish(lane, LANES[lane], entries.get(lane, 100 + len(entries)))
            leg.wishing(lane)
            self.look()

    @precondition(lambda self: self.wish is not None)
    @rule(disk=st.booleans())
    def wish_is_written(self, disk: bool) -> None:
        """Or it isn't."""
        wish, self.wish = self.wish, None
        if wish is None or not disk:
            self.bench.leg.wishing(None)
        else:
            self.monitor.entered[wish.entry] = wish.lane
            self.bench.take(self.bench.leg.wished(wish))
            self.audit()
        self.look()

    @precondition(lambda self: any(wish.entry in self.monitor.entered for wish in self.bench.leg.wishes))
    @rule(press=st.sampled_from("119"))
    def the_wish_goes_its_way(self, press: str) -> None:
        """Everybody does their part, so that many ways are walked to their end."""
        self.playings_end(True)
        self.press(press, 100)
        while self.receipts:
            self.receipt_is_durable()
        self.playings_end(True)
        for page in sorted(self.open_pages):
            self.acknowledge(0, page)
        self.decision_is_durable()

    @rule()
    def site_recovers(self) -> None:
        self.bench.changes = {}
        self.look()

    def line_is_lost(self) -> None:
        self.bench.line = None

    def withdrawn_by_agent(self) -> None:
        self.withdrawn = self.withdrawn or not self.bench.leg.left
        self.bench.leg.withdraw(Side.AGENT)

    def withdrawn_by_code(self) -> None:
        self.press("*9", 100)

    def caller_refused(self) -> None:
        self.withdrawn = self.withdrawn or not self.bench.leg.left
        self.bench.leg.caller_refused()

    def agent_says_no(self) -> None:
        for purpose in (Purpose.COACHING, Purpose.DISPUTE):
            self.bench.leg.answer_in_call(purpose, ConsentState.NO)

    def transferred(self) -> None:
        self.bench.leg.party_changed = True

    def site_changes(self) -> None:
        name, value = SPOILERS[len(self.bench.effects) % len(SPOILERS)]
        self.bench.changes = {name: value}

    def worker_is_lost(self) -> None:
        bench = self.bench
        bench.take(bench.leg.abandon(bench.now, bench.wallclock, (Reason.STORAGE_UNAVAILABLE,)))
        self.audit()

    def a_write_fails(self) -> None:
        if self.decision is not None:
            self.decision = None
            self.bench.decision_failed()
        elif self.receipts:
            self.receipts.pop()
            self.worker_is_lost()
        self.audit()

    def a_leak_is_found(self) -> None:
        """Which a worker tells of the agent's side alone."""
        recording = self.bench.leg.way.recording
        if recording is not None and self.monitor.alone:
            self.monitor.leaked = True
            self.bench.leg.leaked(recording)
            self.look()
            assert self.monitor.tapped is None
            assert self.bench.leg.way.discarded or self.bench.leg.left

    def call_ends(self) -> None:
        self.bench.leave()
        self.audit()

    # --- what is always true ------------------------------------------------------------------------------------------

    @invariant()
    def open_is_open(self) -> None:
        """The leg knows of a tap exactly where one was ordered."""
        if not hasattr(self, "bench"):
            return
        leg, monitor = self.bench.leg, self.monitor
        assert (leg.stage is Stage.OPEN and not leg.left) == (monitor.tapped is not None)
        monitor.over = monitor.over or leg.left or (leg.stage is Stage.CLOSED and leg.way.opened > 0)
        assert not (self.withdrawn and monitor.tapped)
        if leg.left:
            assert sorted(monitor.left) == sorted(monitor.entered), "each entry has its one `out`"
        if self.withdrawn and not self.stop_only:
            assert monitor.discarded == set(monitor.recorded), "a withdrawal is for the whole call"
        self.check_open(0.0)

    def check_open(self, slack: float) -> None:
        """P4: while a tap is open, the decision is RECORD and some open page's acknowledgement is fresh."""
        if self.monitor.tapped is None:
            return
        assert self.monitor.age(self.bench.now) <= self.max_age + slack + LATE_S
        assert self.now_decided().outcome is Outcome.RECORD or slack
        assert self.open_pages & self.monitor.shown_by.keys()


TestLegMachine = LegMachine.TestCase
TestLegMachine.settings = settings(max_examples=400, stateful_step_count=25)
