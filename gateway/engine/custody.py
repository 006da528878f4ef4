"""What becomes of recordings: decisions and receipts durable, segments sealed, failed, discarded or interrupted.

Between the media plane's reports and the index. A worker repeats a report until it hears `Settled`, which it does
once the row is durable, so that no crash of either side loses a segment.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from gateway.call.effects import WriteDecision, WriteReceipt, WriteStop
from gateway.clock import Clock
from gateway.engine.live_call import LiveCall, SideKey, SignedYes
from gateway.engine.site import Site
from gateway.media.plane import (
    LEAKS,
    NOTHING_KEPT,
    CallRef,
    RecordingId,
    SegmentFailed,
    SegmentOpened,
    SegmentSealed,
    Settled,
)
from policy.consent import RECEIPT_NAMESPACE, Receipt
from policy.decision import Outcome, Reason, Side, fold
from policy.retention import erase_receipt_at, erase_recording_at
from policy.terms import Lane
from storage import consents as stored
from storage.consents import Consents
from storage.decisions import DecisionRow, Decisions
from storage.errors import BlobStateError, ManifestError, RecordingState, RecordingUnknown, StorageError
from storage.names import SegmentKey
from storage.record_codes import RecordCodes
from storage.recordings import Begin, Recordings, SealFacts, State
from storage.recovery import interrupt_open, resume_discards

__all__ = ["Custody"]

log = structlog.get_logger()
DISCARD_WAIT_S = 2.0
"""How long a worker may take to drop its keys before the files are destroyed without its word."""
SETTLE_WAIT_S = 30.0
"""How long a leg's `out` waits for what became of its segments."""
RETRY_S = 5.0


@dataclass(slots=True)
class _Opening:
    live: LiveCall | None
    opened_at: float
    worker: int


class Custody:
    """See the module. `settle` sends `Settled` to a worker."""

    def __init__(
        self,
        *,
        recordings: Recordings,
        decisions: Decisions,
        consents: Consents,
        codes: RecordCodes,
        key: SigningKey,
        clock: Clock,
        settle: Callable[[int, Settled], object],
        changed: Callable[[str, str], None],
        alarm: Callable[[str], None],
    ) -> None:
        self.recordings = recordings
        self.codes = codes
        self.failures = 0
        """Decisions to record that ended neither stored nor discarded, `no_media` apart."""
        self._decisions = decisions
        self._consents = consents
        self._key = key
        self._clock = clock
        self._settle = settle
        self.changed = changed
        self._alarm = alarm
        self._openings: dict[SideKey, _Opening] = {}
        self._live: dict[str, LiveCall] = {}
        """Recordings whose legs are not over."""
        self._discards: dict[str, asyncio.Event] = {}
        self._pids: dict[int, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: set[SideKey] = set()

    # --- before the tap ----------------------------------------------------------------------------------------------

    async def receipt(
        self,
        effect: WriteReceipt,
        agreement: str,
        detector: str,
        now: float,
        wallclock: datetime,
        keep_until: datetime,
    ) -> str:
        """Write a signed receipt; its digest. `detector` heard the answer. Raises `StorageError`."""
        asked, prompt, heard_out = effect.asked, effect.asked.prompt, effect.prompt_end
        receipt = Receipt(
            jti=secrets.token_hex(16),
            leg=effect.call,
            purpose=effect.purpose,
            outcome=effect.outcome,
            channel=asked.channel,
            transport="rtp" if asked.channel == "dtmf" else "api",
            detector=detector,
            prompt_id=prompt.id if prompt is not None else None,
            prompt_sha256=prompt.sha256 if prompt is not None else None,
            language=asked.language,
            prompt_end=None if heard_out is None else _instant(wallclock - timedelta(seconds=now - heard_out)),
            answered_at=_instant(wallclock - timedelta(seconds=now - effect.answered_at)),
            agreement=agreement,
        )
        signature = await asyncio.to_thread(sign, self._key, RECEIPT_NAMESPACE, receipt.canonical())
        kept = stored.Receipt(
            jti=receipt.jti,
            call_ref=effect.call,
            recording=None,
            outcome=stored.ReceiptOutcome(effect.outcome),
            document=receipt.signed(signature),
            signature=signature,
            at=wallclock,
            keep_until=keep_until,
        )
        await self._consents.add_receipt(kept)
        return kept.digest

    async def decide(self, live: LiveCall, effect: WriteDecision, site: Site, wallclock: datetime) -> None:
        """Make a decision to record durable, and the recording's row with the first. Raises `StorageError`."""
        entered, leg, decision = live.booked(effect.entry), live.call.leg, effect.decision
        if entered is None or leg is None or decision.lane is None or decision.purpose is None or live.agent is None:
            raise StorageError("a decision without its leg")
        agent = site.agents[live.agent]
        agreements = site.about(agent.id, live.call.new.queue) or (entered.agreement,)
        said = site.standing.get(agent.id, {}).get(decision.purpose)
        self._live[effect.recording], live.entry_of[effect.recording] = live, effect.entry
        statements = (said.statement.digest,) if said is not None and said.statement is not None else ()
        receipts = (live.consents[decision.purpose],) if decision.purpose in live.consents else ()
        if effect.seg == 1:
            erase_at = erase_recording_at(agreements, decision.purpose, wallclock)
            yes = live.said_yes.get(decision.purpose)
            in_call = (
                (await self._keep_yes(effect, yes, wallclock, erase_receipt_at(agreements, erase_at)),) if yes else ()
            )
            begin = Begin(
                recording=effect.recording,
                agent=agent.id,
                call_ref=effect.call,
                leg=entered.entry,
                origin=entered.entry.origin,
                lane=decision.lane,
                purpose=decision.purpose,
                agreement=entered.agreement.digest,
                consents=(*statements, *in_call, *receipts),
                recipients=(agent.recipient,) if agent.recipient is not None else (),
                erase_at=erase_at,
                media="srtp" if live.call.negotiation.secured else "rtp",
            )
            await self.recordings.begin(begin, wallclock)
            if decision.lane is Lane.CUSTOMER_REQUEST:
                live.record_code = await self.codes.issue(effect.recording, wallclock)
                live.coded = effect.recording
        await self._decisions.write(
            DecisionRow(
                call_ref=effect.call,
                entry=effect.entry,
                recording=effect.recording,
                seg=effect.seg,
                outcome=decision.outcome,
                lane=decision.lane,
                purpose=decision.purpose,
                sides=decision.sides,
                reasons=decision.reasons,
                agreement=entered.agreement.digest,
                at=wallclock,
            )
        )

    async def _keep_yes(self, effect: WriteDecision, yes: SignedYes, at: datetime, keep_until: datetime) -> str:
        """The agent's yes in the call, beside the recording that stands on it; its digest."""
        kept = stored.Receipt(
            jti=secrets.token_hex(16),
            call_ref=effect.call,
            recording=effect.recording,
            outcome=stored.ReceiptOutcome.YES,
            document=yes.document,
            signature=yes.signature,
            at=at,
            keep_until=keep_until,
        )
        await self._consents.add_receipt(kept)
        return kept.digest

    def tap_ordered(self, live: LiveCall, key: SideKey, opened_at: float) -> None:
        """The order to record a side goes out now."""
        live.opened(key)
        if live.call.worker is not None:
            self._openings[key] = _Opening(live, opened_at, live.call.worker)

    # --- after it ----------------------------------------------------------------------------------------------------

    async def stop(self, live: LiveCall, effect: WriteStop, wallclock: datetime) -> None:
        """Note that a tap was closed. Raises `StorageError`.

        Who refused or withdrew is never stored for a leg (agreement.md §5): a person's reason is folded before the row.
        """
        known = {reason.value for reason in Reason}
        await self._decisions.write(
            DecisionRow(
                call_ref=effect.call,
                entry=live.entry_of.get(effect.recording),
                recording=effect.recording,
                seg=effect.seg,
                outcome=Outcome.NO,
                lane=None,
                purpose=None,
                sides=frozenset(),
                reasons=fold(Reason(why) for why in effect.why if why in known),
                agreement=None,
                at=wallclock,
            )
        )

    def take(self, worker: int, report: SegmentOpened | SegmentSealed | SegmentFailed) -> None:
        """A worker tells of a segment; made durable in the background, and confirmed then."""
        key = (report.recording, report.seg, report.side)
        if isinstance(report, SegmentOpened):
            self._spawn(self._opened(report))
        elif key not in self._busy:
            self._busy.add(key)
            self._spawn(self._ended(worker, key, report))

    async def settled(self, live: LiveCall, begun: Sequence[RecordingId]) -> bool:
        """Wait until what became of a leg's segments is durable, and close what was begun; whether anything is kept."""
        try:
            await asyncio.wait_for(live.settled.wait(), SETTLE_WAIT_S if live.unsettled else 0.0)
        except TimeoutError:
            if live.unsettled:
                self._not_stored(live.call.ref, "no word of its segments")
        live.manifests.clear()
        return any([await self._closed(live, recording) for recording in begun])

    def _not_stored(self, call: CallRef, reason: str) -> None:
        """A decision to record that ends neither as a stored side nor by a discard, nor without media: an alarm."""
        self.failures += 1
        log.error("decided but not stored", call=call, reason=reason)
        self._alarm("a side that was to be recorded isn't stored: check disk and media workers")

    async def _closed(self, live: LiveCall, recording: RecordingId) -> bool:
        self._live.pop(recording, None)
        try:
            found = await self.recordings.close(recording, self._clock.wallclock())
        except RecordingUnknown:
            return False  # the decision never reached the disk
        except StorageError as error:
            log.error("a recording could not be closed", call=live.call.ref, fault=type(error).__name__)
            return False
        live.manifests += found.manifests
        if live.agent is not None:
            self.changed(live.agent, recording)
        return found.state in (State.KEPT, State.INTERRUPTED)

    # --- discarding --------------------------------------------------------------------------------------------------

    async def intend_discard(self, recording: RecordingId, wallclock: datetime) -> None:
        """Raises `StorageError`."""
        await self.recordings.intend_discard(recording, wallclock)

    def expect_discarded(self, recording: RecordingId) -> asyncio.Event:
        """The event that the worker's word sets; asked for before the order goes out."""
        return self._discards.setdefault(recording, asyncio.Event())

    def discarded(self, recording: RecordingId) -> None:
        """The worker has dropped the keys."""
        if recording in self._discards:
            self._discards[recording].set()

    async def finish_discard(self, recording: RecordingId, acknowledged: asyncio.Event) -> None:
        """Destroy everything of a recording; tried until the disk allows it."""
        try:
            await asyncio.wait_for(acknowledged.wait(), DISCARD_WAIT_S)
        except TimeoutError:
            log.error("a worker did not confirm a discard")
        finally:
            self._discards.pop(recording, None)
        while True:
            wallclock = self._clock.wallclock()
            try:
                await self.recordings.intend_discard(recording, wallclock)
                await self.recordings.complete_discard(recording, wallclock)
                break
            except StorageError as error:
                log.error("a discard is not complete, trying again", fault=type(error).__name__)
                await asyncio.sleep(RETRY_S)
        for key in [key for key in self._openings if key[0] == recording]:
            self._over(key)  # a worker tells nothing more of what it discarded

    # --- workers and restarts ----------------------------------------------------------------------------------------

    def worker_connected(self, worker: int, pid: int) -> None:
        """A worker told who it is; when it is another than before, what the earlier one had open is interrupted."""
        was, self._pids[worker] = self._pids.get(worker), pid
        if was is not None and was != pid:
            gone = [key for key, opening in self._openings.items() if opening.worker == worker]
            self._spawn(self._interrupt(worker, gone))

    async def resume(self) -> None:
        """On start: discards first. Segments that a live worker still carries are told by it."""
        for _ in await resume_discards(self.recordings, self._clock.wallclock()):
            log.info("a discard was completed")

    async def interrupt_leftovers(self) -> None:
        """After the workers had their time to report: everything that an earlier run left open is interrupted."""
        for _ in await interrupt_open(self.recordings, self._clock.wallclock(), carried=self._carried(-1)):
            log.warning("a recording was interrupted")

    async def _interrupt(self, worker: int, gone: list[SideKey]) -> None:
        while True:
            try:
                await interrupt_open(self.recordings, self._clock.wallclock(), carried=self._carried(worker))
                break
            except StorageError as error:
                log.error("a lost recording could not be ended, trying again", fault=type(error).__name__)
                await asyncio.sleep(RETRY_S)
        for key in gone:
            self._over(key)

    def _carried(self, lost: int) -> list[SegmentKey]:
        """Segments that are still somebody's: of legs that go on, or on their way to the index."""
        openings = [key for key, opening in self._openings.items() if opening.worker != lost]
        paused = [
            (recording, max(live.call.leg.way.seg, 1), side.value)
            for recording, live in self._live.items()
            if live.call.worker != lost and live.call.leg is not None
            for side in Side
        ]
        return [SegmentKey(*key) for key in (*openings, *paused)]

    # --- segments ----------------------------------------------------------------------------------------------------

    async def _opened(self, report: SegmentOpened) -> None:
        opening = self._openings.get((report.recording, report.seg, report.side))
        began = opening.opened_at if opening is not None else report.first_frame_at
        try:
            await self.recordings.segment_opened(
                report.recording,
                report.seg,
                report.side,
                key_commit=report.key_commit,
                stanzas=report.stanzas,
                container=report.container,
                at=self._at(began),
            )
        except StorageError as error:
            log.error("an opened segment could not be noted", fault=type(error).__name__)

    async def _ended(self, worker: int, key: SideKey, report: SegmentSealed | SegmentFailed) -> None:
        """Durable, then confirmed; a disk that refuses is asked again, the worker keeps its report meanwhile."""
        while True:
            try:
                await self._write_end(report)
                break
            except (RecordingState, RecordingUnknown):
                break  # discarded or erased meanwhile: nothing to keep, and asking again changes nothing
            except (BlobStateError, ManifestError) as error:
                log.error("a segment can't be sealed as it lies there", fault=type(error).__name__)
                report = SegmentFailed(report.call, report.recording, report.seg, report.side, "unsealable")
            except StorageError as error:
                log.error("a segment's end could not be written, trying again", fault=type(error).__name__)
                await asyncio.sleep(RETRY_S)
        if isinstance(report, SegmentFailed) and report.reason not in NOTHING_KEPT | LEAKS:
            self._not_stored(report.call, report.reason)
        self._busy.discard(key)
        self._over(key)
        self._settle(worker, Settled(*key))

    async def _write_end(self, report: SegmentSealed | SegmentFailed) -> None:
        key = (report.recording, report.seg, report.side)
        if isinstance(report, SegmentFailed) and report.reason in LEAKS:
            await self._destroy(key, self._clock.wallclock())
            return
        if isinstance(report, SegmentFailed):
            await self.recordings.failed(*key, report.reason, self._clock.wallclock())
            return
        facts = SealFacts(
            sha256=report.sha256,
            bytes=report.bytes,
            chunks=report.chunks,
            key_commit=report.key_commit,
            stanzas=report.stanzas,
            container=report.container,
            started=self._at(report.started_at),
            ended=self._at(report.ended_at),
            gaps=tuple((gap.start_ms, gap.end_ms, gap.why) for gap in report.gaps),
        )
        await self.recordings.seal(*key, facts, report.end.value)

    async def _destroy(self, key: SideKey, wallclock: datetime) -> None:
        """A leak: everything of the recording goes, its earlier segments too, whatever has become of its leg."""
        opening = self._openings.get(key)
        if opening is not None and opening.live is not None:
            opening.live.leaked.add(key[0])
        await self.recordings.intend_discard(key[0], wallclock)
        await self.recordings.complete_discard(key[0], wallclock)

    def _over(self, key: SideKey) -> None:
        opening = self._openings.pop(key, None)
        if opening is not None and opening.live is not None:
            opening.live.settle(key)

    def _at(self, moment: float) -> datetime:
        """The wall clock at a monotonic moment of the near past."""
        return self._clock.wallclock() - timedelta(seconds=self._clock.now() - moment)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("work on a recording failed", fault=type(task.exception()).__name__)


def _instant(wallclock: datetime) -> str:
    return wallclock.isoformat(timespec="milliseconds").replace("+00:00", "Z")
