"""The agent's light of one leg: what was published, which page acknowledged it, how old that is. Sans-IO.

An acknowledgement counts by the moment at which the gateway *published* what it acknowledges, so a held-back or
replayed one is as old as its event. Opening needs an acknowledgement of the leg's own event; heartbeats only keep it
fresh.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from gateway.events import Heartbeat, LegLight, LightState

__all__ = ["LIT_STATES", "Indicator"]

LIT_STATES = frozenset({LightState.RECORDING_AGENT, LightState.RECORDING_BOTH})
BEATING = LIT_STATES | {LightState.ASKING, LightState.PAUSED}
"""States in which a heartbeat is sent each second."""


@dataclass(slots=True)
class Indicator:
    """One leg's light. `next_seq` and `nonce` come from outside: sequence numbers are the agent's, not the leg's."""

    agent: str
    call: str
    next_seq: Callable[[], int]
    nonce: Callable[[], str]
    shown: LegLight | None = None
    """The light as it was last published."""
    _published: dict[tuple[int, str], float] = field(default_factory=dict)
    """What may be acknowledged for the present light, and when it was published."""
    _pages: dict[str, float] = field(default_factory=dict)
    """Page to the publication time of the newest event it acknowledged."""

    @property
    def state(self) -> LightState:
        """What the light shows now."""
        return self.shown.state if self.shown is not None else LightState.OFF

    def show(
        self,
        state: LightState,
        now: float,
        wallclock: datetime,
        *,
        lane: str | None = None,
        purpose: str | None = None,
        why: str | None = None,
        keep_until: str | None = None,
        connected: bool = True,
    ) -> LegLight:
        """Change the light; earlier acknowledgements no longer count."""
        light = LegLight(
            agent=self.agent,
            call=self.call,
            seq=self.next_seq(),
            nonce=self.nonce(),
            state=state,
            since=wallclock.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            lane=lane,
            purpose=purpose,
            why=why,
            keep_until=keep_until,
            connected=connected,
        )
        self.shown = light
        self._published = {(light.seq, light.nonce): now}
        self._pages.clear()
        return light

    def heartbeat(self, now: float) -> Heartbeat | None:
        """The next heartbeat, or None where the light needs none."""
        if self.state not in BEATING:
            return None
        beat = Heartbeat(self.agent, self.call, self.next_seq(), self.nonce(), self.state)
        self._published[(beat.seq, beat.nonce)] = now
        while len(self._published) > 32:
            oldest = min((key for key in self._published if not self._is_light(key)), key=self._published.__getitem__)
            del self._published[oldest]
        return beat

    def acknowledge(self, page: str, seq: int, nonce: str, state: str) -> bool:
        """A page says that it showed an event; True if this very event was published for the present light."""
        published = self._published.get((seq, nonce))
        if published is None or state != self.state.value:
            return False
        if page not in self._pages and not self._is_light((seq, nonce)):
            return False  # INVARIANT: a page's first acknowledgement is of the leg's own event
        self._pages[page] = max(published, self._pages.get(page, published))
        return True

    def page_closed(self, page: str) -> None:
        """A page is gone, and its acknowledgements with it."""
        self._pages.pop(page, None)

    def age_ms(self, now: float) -> int | None:
        """Age of the freshest acknowledgement of any open page; None: there is none for the present light."""
        if not self._pages:
            return None
        return max(0, int((now - max(self._pages.values())) * 1000))

    def stale_at(self, max_age_ms: int) -> float | None:
        """When the freshest acknowledgement will be too old."""
        return max(self._pages.values()) + max_age_ms / 1000 if self._pages else None

    def _is_light(self, key: tuple[int, str]) -> bool:
        return self.shown is not None and key == (self.shown.seq, self.shown.nonce)
