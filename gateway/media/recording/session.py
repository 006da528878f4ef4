"""One side of one segment while its tap is open: queue, placement on the timeline, file; reports what came of it.

The tap only appends to a bounded queue. Placement is done once a second for all packets that came (numpy pays by the
batch), writing in a thread of its own. A side that is kept alone waits in memory for the leak meter, which works in
that thread too; a leak forgets the key at once. Nothing here can raise into the relay, and every session ends with one
`SegmentSealed` or `SegmentFailed`, or is discarded.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any, Final

from crypto.errors import CryptoError
from crypto.stream import CHUNK_BYTES
from gateway.clock import Clock
from gateway.media.plane import (
    LEAK,
    NO_MEDIA,
    TOO_SHORT,
    UNVETTED,
    CallRef,
    CodecSwitched,
    End,
    Record,
    RecordSide,
    Report,
    SegmentFailed,
    SegmentOpened,
    SegmentSealed,
)
from gateway.media.recording.intake import Intake
from gateway.media.recording.leak_meter import Verdict
from gateway.media.recording.segment_file import Headers, Opened, Openers, Payloads, Sealed, SegmentFile
from gateway.media.recording.timeline import Piece
from gateway.media.recording.vetting import Reference, Vetting
from gateway.rtp.payload_types import LAWS, Codec
from storage.errors import StorageError
from storage.names import SegmentKey

DRAIN_S: Final = 1.0
MAX_PENDING: Final = 16 * CHUNK_BYTES
"""Bytes handed to the writer thread and not on disk yet: two minutes; a slower disk ends the segment."""


class State(Enum):
    """Where a session stands; it only ever goes down this list."""

    WAITING = auto()
    """No packet yet: no file."""
    OPEN = auto()
    CLOSED = auto()
    """The tap is closed, the writer thread is at work on the end."""
    OVER = auto()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every session of a worker shares."""

    clock: Clock
    writer: Executor
    """A single thread, so that one session's jobs keep their order."""
    payloads: Payloads
    vault: Headers


class Session:
    """Records one side. `failed` is called when it ends by itself, so that the tap can be taken off."""

    def __init__(
        self,
        record: Record,
        side: RecordSide,
        around: Surroundings,
        report: Callable[[Report], None],
        failed: Callable[["Session"], None],
    ) -> None:
        """Raises CryptoError or StorageError for recipients or ids that can't be used."""
        self.call: Final[CallRef] = record.call
        self.side: Final = side
        self.key: Final = SegmentKey(record.recording, record.seg, side.side)
        self._record, self._around = record, around
        self._report, self._failed = report, failed
        self._openers = Openers.parse(side.recipients, record.quorum)
        self._intake = Intake(record.opened_at, side.codecs, self._begin)
        self._vetting: Vetting | None = None
        self._state = State.WAITING
        self._timer: asyncio.Handle | None = None
        self._file: SegmentFile | None = None
        self._opened: Opened | None = None
        self._ready: list[Piece] = []
        self._ready_bytes = 0
        self._pending = 0
        self._switch_told = False
        if side.vetted_against is not None:
            if not set(side.codecs.values()) <= set(LAWS):
                raise StorageError("a codec can't be compared")
            self._vetting = Vetting(Reference(record.opened_at, side.codecs))
            # what the agent hears is taken in whether the agent's side sends or not
            self._timer = asyncio.get_running_loop().call_later(DRAIN_S, self._tick)

    @property
    def overflowed(self) -> int:
        """Packets that the queue had no room for."""
        return self._intake.overflowed

    @property
    def over(self) -> bool:
        """Whether its last report was made, or it was discarded."""
        return self._state is State.OVER

    def tap(self, arrival: float, packet: memoryview) -> None:
        """Copy one packet that was sent on; the datapath calls this, so it does next to nothing."""
        if self._intake.tap(arrival, packet) and self._timer is None:
            # the first packet opens the file at once
            self._timer = asyncio.get_running_loop().call_soon(self._tick)

    def hear(self, arrival: float, packet: memoryview) -> None:
        """Copy one packet of the party that isn't recorded, for the leak meter alone."""
        if self._vetting is not None:
            self._vetting.reference.tap(arrival, packet)

    def close(self, end: End, stopped_at: float) -> None:
        """The tap was taken off: store what came until now, seal, report."""
        if self._state in (State.CLOSED, State.OVER):
            return
        self._stop_timer()
        try:
            self._intake.drain(stopped_at)
            if self._intake.timeline is None or self._file is None:
                self._over(self._failure(NO_MEDIA))
                return
            ask = self._queue_last(self._intake.timeline.finish(stopped_at), stopped_at)
        except Exception as error:
            self._fail(error)
            return
        if self._vetting is not None and not self._vetting.reference.whole:
            self._leaked(UNVETTED)
            return
        self._state = State.CLOSED
        self._submit(partial(_seal, self._file, self._ready, ask), partial(self._sealed, end, stopped_at))
        self._ready = []

    def discard(self, done: Callable[[], None]) -> None:
        """The tap was taken off: forget audio and key; `done` is called when the writer thread has forgotten too."""
        self._stop_timer()
        self._state = State.OVER
        self._clear()
        file = self._file
        if file is None:
            done()
            return
        future = self._around.writer.submit(file.discard)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(done))

    # --- in the loop: from packets to pieces --------------------------------------------------------------------------

    def _tick(self) -> None:
        try:
            now = self._around.clock.now()
            self._intake.drain(now)
            timeline = self._intake.timeline
            if self._vetting is not None:
                self._vet(self._vetting, timeline.take(now) if timeline is not None else [], now)
            elif timeline is not None:
                self._queue(timeline.take(now))
            self._hand_over()
            if self._intake.switched and not self._switch_told:
                self._switch_told = True
                self._report(CodecSwitched(self.call, self._record.recording, self._record.seg))
        except Exception as error:
            # our fault: this side isn't recorded any more, the call goes on
            self._fail(error)
        if self._state in (State.WAITING, State.OPEN):
            self._timer = asyncio.get_running_loop().call_later(DRAIN_S, self._tick)

    def _begin(self, codec: Codec, arrival: float) -> None:
        """At the first packet to be stored: its codec is the segment's, and header and file are made now."""
        self._state = State.OPEN
        self._file = SegmentFile(self.key, codec, self._openers, self._around.payloads, self._around.vault)
        self._submit(self._file.open, partial(self._was_opened, arrival))

    def _vet(self, vetting: Vetting, pieces: list[Piece], now: float) -> None:
        """Let the leak meter judge what came of both sides; nothing is queued before it has."""
        vetting.reference.listen(now)
        if pieces:
            stretches = vetting.hold(pieces, self._intake.law)
            self._submit(partial(vetting.judge, stretches), partial(self._vetted, vetting))
        vetting.reference.forget_old()
        if not vetting.reference.whole:
            self._leaked(UNVETTED)

    def _vetted(self, vetting: Vetting, found: tuple[Verdict, int]) -> None:
        verdict, cleared = found
        if self._state is not State.OPEN:
            return  # what ends the segment asks the meter again
        if verdict is Verdict.LEAK:
            self._leaked(LEAK)
            return
        self._queue(vetting.release(cleared))
        try:
            self._hand_over()
        except StorageError as error:
            self._fail(error)

    def _queue_last(self, pieces: list[Piece], stopped_at: float) -> Callable[[], Verdict]:
        """Queue all there is; what the writer thread must ask before it writes that."""
        if self._vetting is None:
            self._queue(pieces)
            return _nothing_to_compare
        self._vetting.reference.listen(stopped_at, to_the_end=True)
        stretches = self._vetting.hold(pieces, self._intake.law)
        self._queue(self._vetting.release_all())
        return partial(self._vetting.finish, stretches)

    def _queue(self, pieces: list[Piece]) -> None:
        self._ready += pieces
        self._ready_bytes += sum(len(piece) for piece in pieces if isinstance(piece, bytes))

    def _hand_over(self) -> None:
        """Give the writer thread a chunk's worth at a time."""
        if self._file is None or not (self._ready_bytes >= CHUNK_BYTES or any(type(p) is int for p in self._ready)):
            return
        size = self._ready_bytes
        if self._pending + size > MAX_PENDING:
            raise StorageError("storage is too slow")
        self._pending += size
        self._submit(partial(self._file.add, self._ready), partial(self._added, size))
        self._ready, self._ready_bytes = [], 0

    # --- results of the writer thread ---------------------------------------------------------------------------------

    def _submit(self, job: Callable[[], Any], then: Callable[[Any], None]) -> None:
        loop = asyncio.get_running_loop()

        def finish(result: Any, error: BaseException | None) -> None:
            if self._state is State.OVER:
                return
            if error is not None:
                self._fail(error)
            else:
                then(result)

        def done(future: Any) -> None:
            error = future.exception()
            loop.call_soon_threadsafe(finish, None if error else future.result(), error)

        self._around.writer.submit(job).add_done_callback(done)

    def _was_opened(self, first_frame_at: float, opened: Opened) -> None:
        assert self._file is not None
        self._opened = opened
        self._report(
            SegmentOpened(
                call=self.call,
                recording=self._record.recording,
                seg=self._record.seg,
                side=self.side.side,
                key_commit=opened.key_commit,
                stanzas=opened.stanzas,
                container=self._file.container,
                first_frame_at=first_frame_at,
            )
        )

    def _added(self, size: int, _: None) -> None:
        self._pending -= size

    def _sealed(self, end: End, stopped_at: float, sealed: Sealed | Verdict) -> None:
        timeline = self._intake.timeline
        assert timeline is not None and self._file is not None and self._opened is not None, "sealed what wasn't opened"
        if isinstance(sealed, Verdict):
            self._over(self._failure(LEAK if sealed is Verdict.LEAK else TOO_SHORT))
            return
        self._over(
            SegmentSealed(
                call=self.call,
                recording=self._record.recording,
                seg=self._record.seg,
                side=self.side.side,
                end=end,
                sha256=sealed.sha256,
                bytes=sealed.size,
                chunks=sealed.chunks,
                key_commit=self._opened.key_commit,
                stanzas=self._opened.stanzas,
                container=self._file.container,
                started_at=self._record.opened_at,
                ended_at=stopped_at,
                frames=timeline.samples,
                gaps=timeline.gaps,
            )
        )

    def _fail(self, error: BaseException) -> None:
        if self._state is State.OVER:
            return
        if self._file is not None:
            self._around.writer.submit(self._file.abandon)
        # messages of these trees are one line without names; of anything else only the kind is told
        known = isinstance(error, StorageError | CryptoError)
        self._over(self._failure(str(error) if known else f"internal: {type(error).__name__}"))
        self._failed(self)

    def _leaked(self, why: str) -> None:
        """The caller may be heard on the agent's side: nothing of it stays."""
        if self._file is not None:
            self._around.writer.submit(self._file.discard)
        self._over(self._failure(why))
        self._failed(self)

    def _failure(self, reason: str) -> SegmentFailed:
        return SegmentFailed(self.call, self._record.recording, self._record.seg, self.side.side, reason)

    def _over(self, report: Report) -> None:
        self._stop_timer()
        self._state = State.OVER
        self._clear()
        self._report(report)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _clear(self) -> None:
        self._ready = []
        self._intake.clear()
        if self._vetting is not None:
            self._vetting.clear()


def _nothing_to_compare() -> Verdict:
    return Verdict.SILENT


def _seal(file: SegmentFile, pieces: list[Piece], ask: Callable[[], Verdict]) -> Sealed | Verdict:
    """The end of a file, or the verdict for which it must not stay."""
    verdict = ask()
    if verdict in (Verdict.LEAK, Verdict.BRIEF):
        file.discard()
        return verdict
    file.add(pieces)
    return file.seal()
