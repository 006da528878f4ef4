"""A clock that stands until it is moved."""

from datetime import UTC, datetime, timedelta


class ManualClock:
    """`Clock` by hand: both times move together with `advance`, the wall clock alone with `step`."""

    def __init__(self, wallclock: datetime = datetime(2026, 3, 4, 9, 30, tzinfo=UTC), now: float = 1000.0) -> None:
        self._now = now
        self._wallclock = wallclock

    def now(self) -> float:
        return self._now

    def wallclock(self) -> datetime:
        return self._wallclock

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self._now += seconds
        self._wallclock += timedelta(seconds=seconds)

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self._wallclock += timedelta(seconds=seconds)
