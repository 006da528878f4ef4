"""One side of one segment while its tap is open: queue, placement on the timeline, file; reports what came of it.

The tap only appends to a bounded list; what overflows is a counted gap, never back-pressure. Placement is done once a
second for all packets that came (numpy pays by the batch), writing in a thread of its own. Nothing here can raise into
the relay, and every session ends with one `SegmentSealed` or `SegmentFailed`, or is discarded.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from crypto.errors import CryptoError
from crypto.stream import CHUNK_BYTES
from gateway.clock import Clock
from gateway.media.plane import CallRef, End, Record, RecordSide, Report, SegmentFailed, SegmentOpened, SegmentSealed
from gateway.media.recording.container import container_name
from gateway.media.recording.segment_file import Headers, Opened, Openers, Payloads, Sealed, SegmentFile
from gateway.media.recording.timeline import Batch, Piece, Timeline
from gateway.rtp.g711 import SILENCE, transcode
from gateway.rtp.packet import HEADER_BYTES, headers, payload
from gateway.rtp.payload_types import Law
from storage.errors import StorageError
from storage.names import SegmentKey

DRAIN_S: Final = 1.0
MAX_QUEUED: Final = 1024
"""Packets between two drains: ten seconds' worth at 10 ms a packet."""
MAX_PENDING: Final = 16 * CHUNK_BYTES
"""Bytes handed to the writer thread and not on disk yet: two minutes; a slower disk ends the segment."""
MAX_PAYLOAD: Final = 2000
_EVENT_BYTES: Final = 4


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
        self.overflowed = 0
        """Packets that the queue had no room for."""
        self._record, self._around = record, around
        self._report, self._failed = report, failed
        self._openers = Openers.parse(side.recipients, record.quorum)
        self._laws: dict[int, Law] = {kind: _law(name) for kind, name in side.codecs.items()}
        self._state = State.WAITING
        self._arrivals: list[float] = []
        self._packets: list[bytes] = []
        self._overflow_since: float | None = None
        self._timer: asyncio.Handle | None = None
        self._law: Law = "PCMA"
        self._timeline: Timeline | None = None
        self._file: SegmentFile | None = None
        self._opened: Opened | None = None
        self._ready: list[Piece] = []
        self._ready_bytes = 0
        self._pending = 0

    @property
    def over(self) -> bool:
        """Whether its last report was made, or it was discarded."""
        return self._state is State.OVER

    def tap(self, arrival: float, packet: memoryview) -> None:
        """Copy one packet that was sent on; the datapath calls this, so it does next to nothing."""
        if arrival < self._record.opened_at or len(packet) < HEADER_BYTES:
            return
        if len(self._packets) >= MAX_QUEUED:
            self.overflowed += 1
            self._overflow_since = self._overflow_since or arrival
            return
        self._arrivals.append(arrival)
        self._packets.append(bytes(packet))
        if self._timer is None:
            # the first packet opens the file at once
            self._timer = asyncio.get_running_loop().call_soon(self._tick)

    def close(self, end: End, stopped_at: float) -> None:
        """The tap was taken off: store what came until now, seal, report."""
        if self._state in (State.CLOSED, State.OVER):
            return
        self._stop_timer()
        try:
            self._drain()
            if self._timeline is None or self._file is None:
                self._over(self._failure("no_media"))
                return
            self._queue(self._timeline.finish(stopped_at))
        except Exception as error:
            self._fail(error)
            return
        self._state = State.CLOSED
        self._submit(partial(_seal, self._file, self._ready), partial(self._sealed, end, stopped_at))
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
            self._drain()
            if self._timeline is not None:
                self._queue(self._timeline.take(self._around.clock.now()))
            self._hand_over()
        except Exception as error:
            # our fault: this side isn't recorded any more, the call goes on
            self._fail(error)
        if self._state in (State.WAITING, State.OPEN):
            self._timer = asyncio.get_running_loop().call_later(DRAIN_S, self._tick)

    def _drain(self) -> None:
        arrivals, packets = self._arrivals, self._packets
        if not packets:
            return
        self._arrivals, self._packets = [], []
        times, heads = np.array(arrivals), headers(packets)
        for ssrc in dict.fromkeys(heads["ssrc"].tolist()):
            chosen = np.flatnonzero(heads["ssrc"] == ssrc)
            self._place(ssrc, times[chosen], heads[chosen], [packets[index] for index in chosen.tolist()])
        if self._overflow_since is not None and self._timeline is not None:
            self._timeline.overflow(self._overflow_since, self._around.clock.now())
            self._overflow_since = None

    def _place(self, ssrc: int, times: NDArray[np.float64], heads: NDArray[Any], packets: list[bytes]) -> None:
        """One SSRC's packets of a drain onto the timeline; what isn't G.711 is never kept."""
        law = self._common_law(heads)
        if law is not None and len(set(map(len, packets))) == 1 and HEADER_BYTES < len(packets[0]) <= MAX_PAYLOAD:
            self._begin(law, float(times[0]))
            if law == self._law and self._timeline is not None:
                seqs, stamps = heads["seq"].astype(np.int64), heads["timestamp"].astype(np.int64)
                audio = [packet[HEADER_BYTES:] for packet in packets]
                self._timeline.place(Batch(ssrc, times, seqs, stamps, audio))
                return
        self._place_each(ssrc, times, heads, packets)

    def _common_law(self, heads: NDArray[Any]) -> Law | None:
        """The law of all packets, where they are plain ones of one payload type; None where they must be looked at."""
        kind = int(heads["kind"][0]) & 0x7F
        plain = (heads["flags"] == 0x80).all() and (heads["kind"] & 0x7F == kind).all()
        return self._laws.get(kind) if plain else None

    def _place_each(self, ssrc: int, times: NDArray[np.float64], heads: NDArray[Any], packets: list[bytes]) -> None:
        stored: list[int] = []
        payloads: list[bytes] = []
        for index, (packet, kind) in enumerate(zip(packets, (heads["kind"] & 0x7F).tolist(), strict=True)):
            law = self._laws.get(kind)
            audio = bytes(payload(packet))
            if law is None:
                self._note_digits(ssrc, heads, times, index, audio)
            elif 0 < len(audio) <= MAX_PAYLOAD:
                self._begin(law, float(times[index]))
                stored.append(index)
                payloads.append(transcode(audio, law, self._law))
        if stored and self._timeline is not None:
            seqs, stamps = heads["seq"][stored].astype(np.int64), heads["timestamp"][stored].astype(np.int64)
            self._timeline.place(Batch(ssrc, times[stored], seqs, stamps, payloads))

    def _note_digits(
        self, ssrc: int, heads: NDArray[Any], times: NDArray[np.float64], index: int, audio: bytes
    ) -> None:
        if self._timeline is not None and len(audio) == _EVENT_BYTES:
            self._timeline.digits(ssrc, int(heads["timestamp"][index]), float(times[index]))

    def _begin(self, law: Law, arrival: float) -> None:
        """At the first packet to be stored: its codec is the segment's, and header and file are made now."""
        if self._state is not State.WAITING:
            return
        self._state = State.OPEN
        self._law = law
        self._timeline = Timeline(self._record.opened_at, SILENCE[law])
        file = SegmentFile(self.key, law, self._openers, self._around.payloads, self._around.vault)
        self._file = file
        self._submit(file.open, partial(self._was_opened, arrival))

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
        self._opened = opened
        self._report(
            SegmentOpened(
                call=self.call,
                recording=self._record.recording,
                seg=self._record.seg,
                side=self.side.side,
                key_commit=opened.key_commit,
                stanzas=opened.stanzas,
                container=container_name(self._law),
                first_frame_at=first_frame_at,
            )
        )

    def _added(self, size: int, _: None) -> None:
        self._pending -= size

    def _sealed(self, end: End, stopped_at: float, sealed: Sealed) -> None:
        assert self._timeline is not None and self._opened is not None, "sealed what wasn't opened"
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
                container=container_name(self._law),
                started_at=self._record.opened_at,
                ended_at=stopped_at,
                frames=self._timeline.samples,
                gaps=self._timeline.gaps,
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
        self._arrivals, self._packets, self._ready = [], [], []


def _law(name: str) -> Law:
    if name == "PCMA":
        return "PCMA"
    if name == "PCMU":
        return "PCMU"
    raise StorageError("codec is neither PCMA nor PCMU")


def _seal(file: SegmentFile, pieces: list[Piece]) -> Sealed:
    file.add(pieces)
    return file.seal()
