"""What becomes of recordings, over real files and a real index, with the reports that a media worker would send."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crypto import age
from crypto.sshsig import verify
from crypto.x25519 import Identity
from gateway.call.caller_word import CallerWord
from gateway.call.core import Call
from gateway.call.effects import WriteDecision, WriteReceipt, WriteStop
from gateway.call.leg import Leg
from gateway.call.model import Asked, EntryResult, NewCall, SipCallId
from gateway.call.negotiation import Negotiation
from gateway.engine.custody import Custody
from gateway.engine.ledger import Entered
from gateway.engine.lights import Lights
from gateway.engine.live_call import LiveCall
from gateway.media.plane import (
    CallRef,
    End,
    Gap,
    RecordingId,
    SegmentFailed,
    SegmentOpened,
    SegmentSealed,
    Settled,
    SideName,
)
from policy.consent import RECEIPT_NAMESPACE, parse_receipt
from policy.decision import Decision, Lane, Outcome, Purpose, Reason, Side
from storage.blobs import Kind
from storage.consents import Consents
from storage.decisions import Decisions
from storage.errors import StorageError, StorageUnavailable
from storage.legs import Admission, Out
from storage.names import SegmentKey
from storage.record_codes import RecordCodes
from storage.recordings import Recordings, SegmentState, State
from storage.vault import Secret
from tests.peers.enacted import House
from tests.peers.stored import WorkerSide, enter
from tests.unit.policy.green import SAMPLE_RULE, example

CALL, OTHER_CALL = CallRef("00112233aabbccdd"), CallRef("ffeeddcc33221100")
REC, OTHER = RecordingId("ab" * 16), RecordingId("cd" * 16)
SIDES: tuple[SideName, SideName] = ("agent", "caller")
RECORD = Decision(Outcome.RECORD, Lane.SAMPLE, Purpose.COACHING, frozenset(Side), ())
AUDIO = b"said by the agent"


class Moody(Recordings):
    """The index on a disk that refuses the next few times."""

    refusing = 0

    def _ask(self) -> None:
        if self.refusing:
            self.refusing -= 1
            raise StorageUnavailable("disk full")

    async def seal(self, *args, **kwargs):
        self._ask()
        return await super().seal(*args, **kwargs)

    async def failed(self, *args, **kwargs):
        self._ask()
        return await super().failed(*args, **kwargs)

    async def complete_discard(self, *args, **kwargs):
        self._ask()
        return await super().complete_discard(*args, **kwargs)


class Bench:
    """A custody, one enrolled agent, and what it told worker and pages."""

    def __init__(self, house: House, agent: str, key: Identity) -> None:
        self.house, self.agent, self.key = house, agent, key
        self.folder, self.clock, self.site = house.folder, house.clock, house.site
        self.recordings = Moody(self.folder.database, self.folder.sealer)
        self.decisions, self.consents = Decisions(self.folder.database), Consents(self.folder.database)
        self.settled: asyncio.Queue[tuple[int, Settled]] = asyncio.Queue()
        self.changed: list[tuple[str, str]] = []
        self.alarms: list[str] = []
        self.custody = self.fresh()

    def fresh(self) -> Custody:
        """Custody as a gateway that starts has it."""
        return Custody(
            recordings=self.recordings,
            decisions=self.decisions,
            consents=self.consents,
            codes=RecordCodes(self.folder.database, bytes(32)),
            key=self.folder.key,
            clock=self.clock,
            settle=lambda worker, settled: self.settled.put_nowait((worker, settled)),
            changed=lambda agent, recording: self.changed.append((agent, recording)),
            alarm=self.alarms.append,
        )

    async def live(self, recording: RecordingId = REC, call: CallRef = CALL, worker: int = 0) -> LiveCall:
        """A leg whose decision to record is durable and whose taps are ordered."""
        made = self.undecided(recording, call, worker)
        entry = await enter(self.folder)
        made.entered = Entered(
            EntryResult(entry.entry, SAMPLE_RULE, True, True, True), entry, Admission(Out.HIT), example()
        )
        await self.custody.decide(
            made, WriteDecision(call, recording, 1, entry.entry, RECORD), self.site, self.clock.wallclock()
        )
        for side in SIDES:
            self.custody.tap_ordered(made, (recording, 1, side), self.clock.now())
        return made

    def undecided(self, recording: RecordingId = REC, call: CallRef = CALL, worker: int = 0) -> LiveCall:
        leg = Leg(call, self.agent, Lights().indicator(self.agent, call), lambda: recording, CallerWord(call))
        leg.way.recording, leg.way.seg, leg.way.opened = recording, 1, 1
        new = NewCall(SipCallId(call), "t", Side.CALLER, None, None, None)
        made = Call(call, new, Negotiation(call), worker, self.clock.wallclock(), lambda agent, said: leg)
        made.leg = leg
        return LiveCall(made, agent=self.agent)

    def opens(self, side: SideName, recording: RecordingId = REC, call: CallRef = CALL, worker: int = 0) -> WorkerSide:
        """A worker begins to write a side, and tells."""
        written = WorkerSide(self.folder.sealer, SegmentKey(recording, 1, side), self.key)
        now = self.clock.now()
        self.custody.take(worker, SegmentOpened(call, recording, 1, side, written.key_commit, 1, "wav/PCMA", now))
        return written

    def sealed(self, written: WorkerSide, call: CallRef = CALL, end: End = End.NORMAL) -> SegmentSealed:
        """A worker ends a side; its report."""
        facts, now = written.finish(AUDIO), self.clock.now()
        side: SideName = "agent" if written.key.side == "agent" else "caller"
        return SegmentSealed(
            call, RecordingId(written.key.recording), 1, side, end, facts.sha256, facts.bytes, facts.chunks,
            facts.key_commit, 1, facts.container, now - 2.0, now - 0.5, 12_000, (Gap(20, 40, "loss"),),
        )  # fmt: skip

    async def told(self) -> tuple[int, Settled]:
        async with asyncio.timeout(5):
            return await self.settled.get()

    async def state(self, recording: RecordingId = REC) -> State:
        return (await self.recordings.get(recording)).state

    async def until_open(self, count: int, recording: RecordingId = REC) -> None:
        async with asyncio.timeout(5):
            while len((await self.recordings.get(recording)).segments) < count:
                pass

    def files(self, recording: RecordingId = REC) -> list[str]:
        root: Path = self.folder.root
        found = [path for top in ("recordings", "vault") for path in (root / top).rglob("*") if path.is_file()]
        return sorted(path.name for path in found if path.parent.name == recording)


@pytest.fixture
async def bench(folder, monkeypatch) -> Bench:
    monkeypatch.setattr("gateway.engine.custody.RETRY_S", 0.0)
    house, key = House.over(folder, protected=None), Identity.generate()
    return Bench(house, await house.hire(key=key), key)


# --- before the tap --------------------------------------------------------------------------------------------------


async def test_a_receipt_says_how_and_when_and_is_signed_by_the_gateway(bench):
    prompt, *_ = example().consent.prompts
    at, keep = datetime(2026, 3, 4, 9, 30, tzinfo=UTC), datetime(2029, 3, 4, tzinfo=UTC)
    effect = WriteReceipt(
        CALL, Purpose.COACHING, "yes", Asked("dtmf", "de", prompt), prompt_end=1000.0, answered_at=1002.5
    )
    digest = await bench.custody.receipt(effect, "e" * 64, "inband", 1003.0, at, keep)
    (kept,) = await bench.consents.receipts(call_ref=CALL)
    receipt, signature = parse_receipt(kept.document)
    verify(bench.folder.key.verify_key, RECEIPT_NAMESPACE, receipt.canonical(), signature)
    assert (receipt.prompt_end, receipt.answered_at) == ("2026-03-04T09:29:57.000Z", "2026-03-04T09:29:59.500Z")
    assert (receipt.outcome, receipt.channel, receipt.detector, receipt.prompt_id) == (
        "yes",
        "dtmf",
        "inband",
        prompt.id,
    )
    assert digest == hashlib.sha256(kept.document).hexdigest()
    assert kept.keep_until == keep


async def test_a_decision_is_durable_with_its_recording(bench):
    live = bench.undecided()
    entry = await enter(bench.folder)
    live.entered = Entered(
        EntryResult(entry.entry, SAMPLE_RULE, True, True, True), entry, Admission(Out.HIT), example()
    )
    live.consents[Purpose.COACHING] = "c" * 64
    for seg in (1, 2):
        effect = WriteDecision(CALL, REC, seg, entry.entry, RECORD)
        await bench.custody.decide(live, effect, bench.site, bench.clock.wallclock())
    found = await bench.recordings.get(REC)
    assert (found.agent, found.call_ref, found.entry, found.state) == (bench.agent, CALL, entry.entry, State.OPEN)
    assert found.erase_at == bench.clock.wallclock() + timedelta(days=14)
    row = await bench.recordings.row(REC)
    assert (row.consents, row.recipients) == (["c" * 64], [str(bench.key.recipient)])
    rows = await bench.decisions.of_recording(REC)
    assert [(row.seg, row.outcome, row.sides) for row in rows] == [
        (seg, Outcome.RECORD, frozenset(Side)) for seg in (1, 2)
    ]


@pytest.mark.parametrize("lacking", ["entry", "agent", "leg", "lane"])
async def test_a_decision_without_its_leg_is_refused(bench, lacking):
    live, decision = bench.undecided(), RECORD
    entry = await enter(bench.folder)
    live.entered = Entered(
        EntryResult(entry.entry, SAMPLE_RULE, True, True, True), entry, Admission(Out.HIT), example()
    )
    if lacking == "entry":
        live.entered = None
    elif lacking == "agent":
        live.agent = None
    elif lacking == "leg":
        live.call.leg = None
    else:
        decision = Decision(Outcome.RECORD, None, None, frozenset(), ())
    with pytest.raises(StorageError):
        await bench.custody.decide(live, WriteDecision(CALL, REC, 1, 1, decision), bench.site, bench.clock.wallclock())
    assert await bench.recordings.count() == 0 and await bench.decisions.of_recording(REC) == []


@pytest.mark.parametrize(
    ("why", "kept"),
    [
        (("SUSPENDED", "not opened"), Reason.SUSPENDED),
        (("AGENT_NO_OR_UNSET",), Reason.NOT_SELECTED_OR_NOT_PERMITTED),
        (("CALLER_REFUSED", "WITHDRAWN_BY_CALLER"), Reason.NOT_SELECTED_OR_NOT_PERMITTED),
        (("WITHDRAWN_BY_AGENT",), Reason.NOT_SELECTED_OR_NOT_PERMITTED),
        (("INDICATOR_STALE",), Reason.NOT_SELECTED_OR_NOT_PERMITTED),
    ],
)
async def test_a_stop_is_noted_and_never_who_wanted_it(bench, why, kept):
    live = await bench.live()
    await bench.custody.stop(live, WriteStop(CALL, REC, 1, why), bench.clock.wallclock())
    stop = (await bench.decisions.of_recording(REC))[-1]
    assert (stop.outcome, stop.reasons, stop.sides) == (Outcome.NO, (kept,), frozenset())


# --- sealed and failed -----------------------------------------------------------------------------------------------


async def test_a_sealed_side_gets_its_manifest_and_only_then_the_worker_is_told(bench):
    live = await bench.live()
    bench.custody.take(3, bench.sealed(bench.opens("agent", worker=3)))
    assert await bench.told() == (3, Settled(REC, 1, "agent"))
    (segment,) = (await bench.recordings.get(REC)).segments
    assert (segment.state, segment.end) == (SegmentState.SEALED, "normal")
    assert segment.ended == bench.clock.wallclock() - timedelta(seconds=0.5)
    key = SegmentKey(REC, 1, "agent")
    signed = bench.folder.sealer.signed(key)
    assert signed is not None and signed.digest == segment.manifest_sha256
    data = bench.folder.sealer.vault.read(key, Secret.HEADER) + bench.folder.sealer.blobs.read(key, Kind.PAYLOAD)
    assert age.decrypt(data, [bench.key]) == AUDIO
    assert not live.settled.is_set()


async def test_a_leg_is_settled_once_all_its_sides_are(bench):
    live = await bench.live()
    agent, caller = (bench.opens(side) for side in SIDES)
    waiting = asyncio.create_task(bench.custody.settled(live, [REC]))
    bench.custody.take(0, bench.sealed(agent))
    await bench.told()
    assert not waiting.done()
    bench.custody.take(0, bench.sealed(caller))
    assert await waiting is True
    assert await bench.state() is State.KEPT
    assert live.manifests == list((await bench.recordings.get(REC)).manifests) and len(live.manifests) == 2
    assert bench.changed == [(bench.agent, REC)]
    assert bench.custody.failures == 0 and bench.alarms == []


async def test_a_side_without_media_is_no_fault_and_the_other_is_kept(bench):
    live = await bench.live()
    bench.custody.take(0, bench.sealed(bench.opens("agent")))
    bench.custody.take(0, SegmentFailed(CALL, REC, 1, "caller", "no_media"))
    assert await bench.custody.settled(live, [REC]) is True
    assert bench.custody.failures == 0 and bench.alarms == []
    assert len(live.manifests) == 1
    assert {Settled(REC, 1, side) for side in SIDES} == {(await bench.told())[1], (await bench.told())[1]}


async def test_a_recording_of_which_nothing_was_stored_is_none(bench):
    live = await bench.live()
    bench.opens("agent")
    await bench.until_open(1)
    for side in SIDES:
        bench.custody.take(0, SegmentFailed(CALL, REC, 1, side, "storage_failed"))
    assert await bench.custody.settled(live, [REC]) is False
    assert await bench.state() is State.FAILED
    assert bench.custody.failures == len(bench.alarms) == 2
    assert "isn't stored" in bench.alarms[0] and CALL not in bench.alarms[0]
    assert bench.files() == []


async def test_a_repeated_report_is_confirmed_again_and_changes_nothing(bench):
    await bench.live()
    report = bench.sealed(bench.opens("agent"))
    for _ in range(2):
        bench.custody.take(0, report)
        await bench.told()
    assert len((await bench.recordings.get(REC)).segments) == 1
    again = bench.fresh()
    again.take(0, report)
    assert await bench.told() == (0, Settled(REC, 1, "agent"))


async def test_a_report_that_comes_while_it_is_written_is_confirmed_once(bench):
    await bench.live()
    report = bench.sealed(bench.opens("agent"))
    bench.custody.take(0, report)
    bench.custody.take(0, report)
    await bench.told()
    bench.custody.take(0, bench.sealed(bench.opens("caller")))
    assert (await bench.told())[1].side == "caller"


async def test_a_disk_that_refuses_is_asked_until_it_takes_the_segment(bench):
    live = await bench.live()
    bench.recordings.refusing = 3
    bench.custody.take(0, bench.sealed(bench.opens("agent")))
    bench.custody.take(0, SegmentFailed(CALL, REC, 1, "caller", "no_media"))
    assert await bench.custody.settled(live, [REC]) is True
    assert bench.recordings.refusing == 0
    assert await bench.state() is State.KEPT


async def test_what_is_of_no_recording_any_more_is_confirmed(bench):
    """Erased meanwhile: else the worker would tell it for ever."""
    live = await bench.live()
    report = bench.sealed(bench.opens("agent"))
    await bench.recordings.erase(REC)
    bench.custody.take(0, report)
    bench.custody.take(0, SegmentFailed(CALL, REC, 1, "caller", "no_media"))
    assert {(await bench.told())[1].side, (await bench.told())[1].side} == set(SIDES)
    assert live.settled.is_set()


async def test_a_leg_doesn_t_wait_for_ever_for_its_segments(bench, monkeypatch):
    monkeypatch.setattr("gateway.engine.custody.SETTLE_WAIT_S", 0.0)
    live = await bench.live()
    bench.opens("agent")
    await bench.until_open(1)
    assert await bench.custody.settled(live, [REC]) is False
    assert bench.custody.failures == len(bench.alarms) == 1


async def test_a_leg_that_was_never_recorded_is_settled_at_once(bench):
    live = bench.undecided()
    assert live.call.leg is not None
    assert await bench.custody.settled(live, []) is False
    assert bench.custody.failures == 0 and bench.changed == []


# --- discarding ------------------------------------------------------------------------------------------------------


async def discard(bench: Bench, *, confirmed: bool = True) -> None:
    await bench.custody.intend_discard(REC, bench.clock.wallclock())
    acknowledged = bench.custody.expect_discarded(REC)
    if confirmed:
        bench.custody.discarded(REC)
    async with asyncio.timeout(5):
        await bench.custody.finish_discard(REC, acknowledged)


async def test_a_discard_destroys_every_file_and_settles_the_leg(bench):
    live = await bench.live()
    bench.custody.take(0, bench.sealed(bench.opens("agent")))
    await bench.told()
    bench.opens("caller").chunk(7)
    assert len(bench.files()) > 4
    await discard(bench)
    assert bench.files() == []
    assert await bench.state() is State.DISCARDED
    assert live.settled.is_set()
    assert await bench.custody.settled(live, [REC]) is False


async def test_a_worker_that_says_nothing_doesn_t_keep_the_files(bench, monkeypatch):
    monkeypatch.setattr("gateway.engine.custody.DISCARD_WAIT_S", 0.0)
    await bench.live()
    bench.opens("agent").chunk(7)
    await discard(bench, confirmed=False)
    assert bench.files() == [] and await bench.state() is State.DISCARDED


async def test_a_discard_is_tried_until_the_disk_allows_it(bench):
    await bench.live()
    bench.opens("agent").chunk(7)
    bench.recordings.refusing = 2
    await discard(bench)
    assert bench.files() == [] and await bench.state() is State.DISCARDED


async def test_a_segment_that_is_sealed_after_the_discard_is_destroyed_and_confirmed(bench):
    await bench.live()
    report = bench.sealed(bench.opens("agent"))
    await bench.custody.intend_discard(REC, bench.clock.wallclock())
    bench.custody.take(0, report)
    assert await bench.told() == (0, Settled(REC, 1, "agent"))
    assert bench.files() == []


async def test_a_word_about_a_discard_that_nobody_awaits_is_nothing(bench):
    bench.custody.discarded(OTHER)
    assert not bench.custody.expect_discarded(OTHER).is_set()


# --- workers and restarts --------------------------------------------------------------------------------------------


async def test_a_worker_in_place_of_another_interrupts_what_that_one_had_open(bench):
    bench.custody.worker_connected(0, 100)
    bench.custody.worker_connected(1, 200)
    lost, kept = await bench.live(), await bench.live(OTHER, OTHER_CALL, worker=1)
    written, bare = bench.opens("agent"), bench.opens("caller")
    written.chunk(7)
    bench.opens("agent", OTHER, OTHER_CALL, worker=1)
    await bench.until_open(2)
    await bench.until_open(1, OTHER)
    bench.custody.worker_connected(0, 101)
    async with asyncio.timeout(5):
        await lost.settled.wait()
    assert await bench.state() is State.INTERRUPTED
    ended = {segment.key.side: segment for segment in (await bench.recordings.get(REC)).segments}
    assert (ended["agent"].state, ended["agent"].end, ended["agent"].chunks) == (SegmentState.SEALED, "interrupted", 1)
    assert ended["caller"].state is SegmentState.FAILED and bare.key.side == "caller"
    assert not kept.settled.is_set() and await bench.state(OTHER) is State.OPEN
    assert await bench.custody.settled(lost, [REC]) is True


async def test_the_same_worker_again_interrupts_nothing(bench):
    bench.custody.worker_connected(0, 100)
    live = await bench.live()
    written = bench.opens("agent")
    await bench.until_open(1)
    bench.custody.worker_connected(0, 100)
    bench.custody.take(0, bench.sealed(written))
    await bench.told()
    assert await bench.state() is State.OPEN and not live.settled.is_set()


async def test_a_restart_completes_discards_first(bench):
    await bench.live()
    bench.opens("agent").chunk(7)
    await bench.custody.intend_discard(REC, bench.clock.wallclock())
    await bench.fresh().resume()
    assert bench.files() == [] and await bench.state() is State.DISCARDED


async def test_a_restart_interrupts_what_no_worker_tells_of(bench):
    await bench.live()
    bench.opens("agent").chunk(7)
    await bench.until_open(1)
    await bench.fresh().interrupt_leftovers()
    assert await bench.state() is State.INTERRUPTED


async def test_what_a_worker_told_after_the_restart_is_kept(bench):
    await bench.live()
    report = bench.sealed(bench.opens("agent"))
    await bench.until_open(1)
    bench.custody = bench.fresh()
    bench.custody.take(0, report)
    await bench.told()
    await bench.custody.interrupt_leftovers()
    (segment,) = (await bench.recordings.get(REC)).segments
    assert segment.end == "normal"
    assert await bench.state() is State.INTERRUPTED  # nobody saw the leg's own end


async def test_legs_that_go_on_are_no_leftovers(bench):
    await bench.live()
    await bench.custody.interrupt_leftovers()
    assert await bench.state() is State.OPEN


@pytest.mark.parametrize("lane", [Lane.CUSTOMER_REQUEST, Lane.AGENT_REQUEST, Lane.SAMPLE])
async def test_only_a_recording_that_the_caller_wanted_has_a_code(bench, lane):
    live = bench.undecided()
    entry = await enter(bench.folder)
    made = EntryResult(entry.entry, SAMPLE_RULE, True, True, True)
    live.entered = Entered(made, entry, Admission(Out.HIT), example())
    purpose = Purpose.DISPUTE if lane is Lane.CUSTOMER_REQUEST else Purpose.COACHING
    decided = WriteDecision(CALL, REC, 1, entry.entry, Decision(Outcome.RECORD, lane, purpose, frozenset(Side), ()))
    await bench.custody.decide(live, decided, bench.site, bench.clock.wallclock())
    found = await bench.custody.codes.find(live.record_code or "")
    assert found == (REC if lane is Lane.CUSTOMER_REQUEST else None)
