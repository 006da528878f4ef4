"""The only place that reads the clock; everybody else is handed a `Clock` or a time.

Three names for three times: `now` (monotonic seconds, shared by all processes of one machine), `wallclock`
(aware UTC datetime) and, in media, `media_time` (RTP units). `ClockWatch` is the judge behind CLOCK_UNTRUSTED.
"""

import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "ClockWatch", "SystemClock"]


class Clock(Protocol):
    """What the engine, the workers and the API ask for the time."""

    def now(self) -> float:
        """Seconds of CLOCK_MONOTONIC."""
        ...

    def wallclock(self) -> datetime:
        """The present instant in UTC, aware."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        """Seconds of CLOCK_MONOTONIC."""
        return time.monotonic()

    def wallclock(self) -> datetime:
        """The present instant in UTC, aware."""
        return datetime.now(UTC)


@dataclass(slots=True)
class ClockWatch:
    """Judges the wall clock against the monotonic clock and against what was already written.

    The wall clock is not trusted once it moved back by more than 2 s, drifted from the monotonic clock by more
    than 2 s within a minute, or lies before the last durable entry (agreement.md §4). Distrust lasts until a whole
    minute was steady again, so that a jump there and back cannot be used to slip a recording in between.
    """

    tolerance_s: float = 2.0
    window_s: float = 60.0
    last_entry: datetime | None = None
    """Wall clock time of the newest durable entry."""
    _offsets: deque[tuple[float, float]] = field(default_factory=deque)
    _distrusted_until: float = float("-inf")

    def written(self, at: datetime) -> None:
        """Something durable has this time; what is written later under an earlier clock takes nothing of it back."""
        self.last_entry = max(self.last_entry or at, at)

    def observe(self, now: float, wallclock: datetime) -> bool:
        """Note one reading; True when the wall clock can be trusted at `now`."""
        offset = wallclock.timestamp() - now
        while self._offsets and self._offsets[0][0] < now - self.window_s:
            self._offsets.popleft()
        if any(abs(offset - earlier) > self.tolerance_s for _, earlier in self._offsets):
            self._distrusted_until = now + self.window_s
            self._offsets.clear()
        # every reading is judged, but one a second is kept: each decision of each call is a reading
        if not self._offsets or now >= self._offsets[-1][0] + 1.0:
            self._offsets.append((now, offset))
        if self.last_entry is not None and wallclock < self.last_entry - timedelta(seconds=self.tolerance_s):
            return False
        return now >= self._distrusted_until
