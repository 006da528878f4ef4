"""All open taps of a worker: opens, stops, discards and interrupts sessions as ordered.

At most one session taps a flow. A tap is taken off before anything else is done about its session.
"""

from collections.abc import Callable
from functools import partial

from crypto.errors import CryptoError
from gateway.media.datapath.base import Datapath, call_of
from gateway.media.errors import MediaError, OrderRefused, UnknownFlow
from gateway.media.plane import (
    CallRef,
    Discard,
    Discarded,
    End,
    FlowId,
    Record,
    RecordingId,
    RecordSide,
    Report,
    SegmentFailed,
    Stop,
    is_relay,
)
from gateway.media.recording.session import Session, Surroundings
from storage.errors import StorageError


class Recorder:
    """The sessions of one worker, by the flow that they tap."""

    def __init__(self, datapath: Datapath, around: Surroundings, report: Callable[[Report], None]) -> None:
        self._datapath, self._around, self._report = datapath, around, report
        self._open: dict[FlowId, Session] = {}
        self._closing: set[Session] = set()

    @property
    def tapped(self) -> frozenset[FlowId]:
        """Flows whose packets are copied now."""
        return frozenset(flow for session in self._open.values() for flow in session.side.taps)

    def record(self, order: Record) -> None:
        """Open the taps of a segment; a side that can't be recorded is reported as failed."""
        for side in order.sides:
            try:
                self._begin(order, side)
            except (StorageError, CryptoError, MediaError) as error:
                self._report(SegmentFailed(order.call, order.recording, order.seg, side.side, str(error)))

    def stop(self, order: Stop, now: float) -> None:
        """Close the taps of a segment and seal it."""
        for session in self._sessions(order.recording):
            if session.key.seg == order.seg:
                self._close(session, order.end, now)

    def discard(self, order: Discard) -> None:
        """Close all taps of a recording and drop its keys; `Discarded` follows once the writer has dropped them too."""
        found = self._sessions(order.recording)
        found += [session for session in self._closing if session.key.recording == order.recording and not session.over]
        waiting = set(found)
        if not waiting:
            self._report(Discarded(order.call, order.recording))

        def done(session: Session) -> None:
            waiting.discard(session)
            if not waiting:
                self._report(Discarded(order.call, order.recording))

        for session in found:
            self._untap(session)
            session.discard(partial(done, session))

    def close_call(self, call: CallRef, end: End, now: float) -> None:
        """Close the taps of a call."""
        for session in [session for flow, session in self._open.items() if call_of(flow) == call]:
            self._close(session, end, now)

    def close_all(self, end: End, now: float) -> None:
        """Close every tap."""
        for session in list(self._open.values()):
            self._untap(session)
        for session in list(self._closing):
            session.close(end, now)

    def _begin(self, order: Record, side: RecordSide) -> None:
        for flow in side.taps:
            if call_of(flow) != order.call:
                raise UnknownFlow("flow is another call's")
            if is_relay(flow):
                raise OrderRefused("that flow is only relayed")
            if flow in self.tapped:
                raise StorageError("flow is being recorded already")
            self._datapath.count(flow)  # that both are there is known before anything is opened
        session = Session(order, side, self._around, self._report, self._untap)
        self._open[side.flow] = session
        self._datapath.tap(side.flow, session.tap)
        if side.vetted_against is not None:
            self._datapath.tap(side.vetted_against, session.hear)

    def _sessions(self, recording: RecordingId) -> list[Session]:
        return [session for session in self._open.values() if session.key.recording == recording]

    def _close(self, session: Session, end: End, now: float) -> None:
        self._untap(session)
        session.close(end, now)

    def _untap(self, session: Session) -> None:
        if self._open.get(session.side.flow) is session:
            del self._open[session.side.flow]
            for flow in session.side.taps:
                self._datapath.tap(flow, None)
            self._closing = {other for other in self._closing if not other.over} | {session}
