"""Pages of agents and the lights they show: who watches, in which order events go out, which are acknowledged."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.call.indicator import Indicator
from gateway.events import LegLight, Snapshot

__all__ = ["Lights"]


@dataclass(slots=True)
class _Agent:
    seq: int = 0
    pages: set[str] = field(default_factory=set)
    legs: dict[str, Indicator] = field(default_factory=dict)
    """By call reference."""
    codes: dict[str, str] = field(default_factory=dict, repr=False)
    """Record codes, likewise."""


class Lights:
    """All agents' lights. One sequence of numbers for each agent, over all legs and pages."""

    def __init__(self) -> None:
        self._agents: dict[str, _Agent] = {}

    def indicator(self, agent: str, call: str) -> Indicator:
        """The light of a new leg."""
        of = self._of(agent)
        light = Indicator(agent, call, lambda: self._next(of), lambda: secrets.token_hex(8))
        of.legs[call] = light
        return light

    def forget(self, agent: str, call: str) -> None:
        """The leg is over."""
        self._of(agent).legs.pop(call, None)
        self._of(agent).codes.pop(call, None)

    def show_code(self, agent: str, call: str, code: str | None) -> bool:
        """Let every page of the agent show a call's record code, or none; False: they do already."""
        codes = self._of(agent).codes
        shown = codes.pop(call, None)
        if code is not None:
            codes[call] = code
        return shown != code

    def pages(self, agent: str) -> int:
        """Live pages of an agent."""
        return len(self._of(agent).pages)

    def open_page(self, agent: str, page: str) -> Snapshot:
        """A page connects; what it must show first."""
        of = self._of(agent)
        of.pages.add(page)
        shown = tuple(light.shown for light in of.legs.values() if isinstance(light.shown, LegLight))
        return Snapshot(agent, of.seq, shown, dict(of.codes))

    def close_page(self, agent: str, page: str) -> tuple[str, ...]:
        """A page is gone; the calls whose light it may have been."""
        of = self._of(agent)
        of.pages.discard(page)
        for light in of.legs.values():
            light.page_closed(page)
        return tuple(of.legs)

    def acknowledge(self, agent: str, page: str, call: str, seq: int, nonce: str, state: str) -> bool:
        """A page showed an event; True if it counts for that call's light."""
        of = self._of(agent)
        light = of.legs.get(call)
        return light is not None and page in of.pages and light.acknowledge(page, seq, nonce, state)

    def lit(self) -> Iterator[Indicator]:
        """Every light there is."""
        for of in self._agents.values():
            yield from of.legs.values()

    def _of(self, agent: str) -> _Agent:
        return self._agents.setdefault(agent, _Agent())

    @staticmethod
    def _next(of: _Agent) -> int:
        of.seq += 1
        return of.seq
