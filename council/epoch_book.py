"""V4, V6, V7 and V9 for one epoch: its counters, its outcomes, its counts, and the draw computed again.

Legs lie in arrays, some thirty bytes each, since the draw can be computed only after the reveal.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from council.fairness import Share
from council.finding import Code, Findings
from crypto.draw import agent_key, combine, draw_output, drawn
from policy import log_entry
from policy.decision import Reason
from policy.epochs import RosterLeaf
from policy.log_rules import Ruled

NONE, NO, CAP, HIT, WISH = range(5)
_OUTS: Final = {"no": NO, "cap": CAP, "hit": HIT, "wish": WISH}
_TOO_MANY: Final = {
    Reason.CEILING: Code.CEILING,
    Reason.AGENT_CAP: Code.AGENT_CAP,
    Reason.CAMPAIGN_FULL: Code.CAMPAIGN_FULL,
}
NO_RULE: Final = 0xFFFF
_NOWHERE: Final = 0xFFFFFFFF
_MOST_SKIPPED: Final = 1_000
"""Counters that a gap may skip before its agent's legs are no longer told apart."""


class Counted:
    """The counters of one kind of one agent: 1, 2, 3, …; where in `outs` each lies."""

    __slots__ = ("places",)

    def __init__(self) -> None:
        self.places = array("I")

    def take(self, n: int, place: int, outs: bytearray) -> Code | None:
        """The next counter; says what is wrong with it."""
        before = len(self.places)
        if n <= before:
            if outs[self.places[n - 1]] != NONE if self.places[n - 1] != _NOWHERE else True:
                self.places[n - 1] = place
            return Code.COUNTER_REPEATED
        if n - before <= _MOST_SKIPPED:
            self.places.extend([_NOWHERE] * (n - before - 1))
        self.places.append(place)
        return Code.COUNTER_GAP if n > before + 1 else None

    def place(self, n: int) -> int:
        """Where counter `n` lies; `_NOWHERE` where it doesn't."""
        return self.places[n - 1] if n <= len(self.places) else _NOWHERE


@dataclass(slots=True)
class EpochBook:
    """One epoch as the log tells it. `roster` None: not at hand; `day` None: opened within the epoch, no `day` yet."""

    name: str
    findings: Findings
    ecommit: log_entry.ECommit | None = None
    ecommit_at: int = 0
    roster: Mapping[str, RosterLeaf] | None = None
    open: bool = False
    over: bool = False
    closed: log_entry.EClose | None = None
    reveal: log_entry.Reveal | None = None
    day: int | None = 0
    first_leg: int | None = None
    x: Counter[str] = field(default_factory=Counter)
    drawn: int | None = None
    """Legs that the draw drew, once it was computed again."""
    figures: Counter[str] = field(default_factory=Counter)
    _names: list[str] = field(default_factory=list)
    _agents: dict[str, int] = field(default_factory=dict)
    _ruled: list[Ruled] = field(default_factory=list)
    _places_of_ruled: dict[int, int] = field(default_factory=dict)
    _counted: dict[tuple[str, bool], Counted] = field(default_factory=dict)
    _agent: array[int] = field(default_factory=lambda: array("I"))
    _entry: array[int] = field(default_factory=lambda: array("Q"))
    _n: array[int] = field(default_factory=lambda: array("Q"))
    _rule: array[int] = field(default_factory=lambda: array("H"))
    _under: array[int] = field(default_factory=lambda: array("H"))
    _day: array[int] = field(default_factory=lambda: array("H"))
    _outs: bytearray = field(default_factory=bytearray)
    _wish_outs: bytearray = field(default_factory=bytearray)
    _wish_entry: array[int] = field(default_factory=lambda: array("Q"))

    # -- legs

    @property
    def begun(self) -> bool:
        """A leg was entered in it, or counted without an agent."""
        return self.first_leg is not None or self.x.total() > 0

    def call(self, index: int, entry: log_entry.Call, ruled: Ruled | None) -> None:
        """A leg is entered: inside the epoch, under its agent's next counter (V3, V4)."""
        if not self.open or self.over or self.closed is not None:
            self.findings.at(Code.LEG_OUTSIDE_EPOCH, index, epoch=self.name)
        self.first_leg = index if self.first_leg is None else self.first_leg
        self._count(index, entry.a, entry.n, len(self._outs), self._outs, wish=False)
        agent = self._agents.setdefault(entry.a, len(self._names))
        if agent == len(self._names):
            self._names.append(entry.a)
        self._agent.append(agent)
        self._entry.append(index)
        self._n.append(entry.n)
        self._rule.append(NO_RULE if entry.r is None else min(entry.r, NO_RULE - 1))
        self._under.append(NO_RULE if ruled is None else self._place_of(ruled))
        self._day.append(self.day or 0)
        self._outs.append(NONE)

    def wish(self, index: int, entry: log_entry.Wish) -> None:
        """A record was asked for, under the agent's own counter of wishes; in a dark epoch too."""
        self._count(index, entry.a, entry.n, len(self._wish_outs), self._wish_outs, wish=True)
        self._wish_entry.append(index)
        self._wish_outs.append(NONE)

    def _count(self, index: int, a: str, n: int, place: int, outs: bytearray, *, wish: bool) -> None:
        counted = self._counted.get((a, wish))
        if counted is None:
            counted = self._counted[(a, wish)] = Counted()
        expected = len(counted.places) + 1
        wrong = counted.take(n, place, outs)
        if wrong is not None:
            self.findings.at(wrong, index, n=n, expected=expected)

    def _place_of(self, ruled: Ruled) -> int:
        place = self._places_of_ruled.get(id(ruled))
        if place is None:  # the list keeps the object, so that its id stays its own
            place = self._places_of_ruled[id(ruled)] = len(self._ruled)
            self._ruled.append(ruled)
        return place

    def out(self, index: int, entry: log_entry.Out) -> bool:
        """The one end of a leg or wish (V6); whether it is one."""
        said = _OUTS[entry.o]
        outs = self._wish_outs if said == WISH else self._outs
        counted = self._counted.get((entry.a, said == WISH))
        place = counted.place(entry.n) if counted is not None else _NOWHERE
        if place == _NOWHERE:
            self.findings.at(Code.OUT_WITHOUT_LEG, index, epoch=self.name)
        elif outs[place] != NONE:
            self.findings.at(Code.OUT_REPEATED, index, epoch=self.name)
        else:
            outs[place] = said
            if self.closed is not None:
                self.findings.at(Code.OUT_LATE, index, epoch=self.name)
            return True
        return False

    # -- the epoch's end

    def count(self) -> Counter[str]:
        """Legs, hits, caps, wishes as the log has them."""
        if self._outs or self._wish_outs:
            outs = self._outs
            self.figures = Counter(legs=len(outs), hits=outs.count(HIT), caps=outs.count(CAP), open=outs.count(NONE))
            self.figures["wishes"] = len(self._wish_outs)
        return self.figures

    def missing_outs(self) -> None:
        """Every leg and wish of a closed epoch has its `out` (V6)."""
        for outs, entries in ((self._outs, self._entry), (self._wish_outs, self._wish_entry)):
            place = outs.find(NONE)
            while place >= 0:
                self.findings.at(Code.OUT_MISSING, entries[place], epoch=self.name)
                place = outs.find(NONE, place + 1)

    def compare_counts(self, index: int, said: log_entry.EClose) -> None:
        """What `eclose` reports equals the entries (V9)."""
        wrong = [f"x/{kind}" for kind in log_entry.X_KINDS if said.x[kind] != self.x[kind]]
        if self.roster is not None:
            legs, hits = self._by_group(self.roster)
            told = {group: (one.legs, one.hits) for group, one in said.groups.items()}
            groups = sorted(told.keys() | legs.keys())
            wrong += [group for group in groups if told.get(group, (0, 0)) != (legs[group], hits[group])]
        elif sum(one.hits for one in said.groups.values()) != self._outs.count(HIT):
            wrong.append("*")
        for what in wrong:
            self.findings.at(Code.ECLOSE_COUNTS, index, epoch=self.name, what=what)

    def _by_group(self, roster: Mapping[str, RosterLeaf]) -> tuple[Counter[str], Counter[str]]:
        legs: Counter[str] = Counter()
        hits: Counter[str] = Counter()
        groups = [roster[name].group if name in roster else None for name in self._names]
        for agent, out in zip(self._agent, self._outs, strict=True):
            group = groups[agent]
            if group is not None:
                legs[group] += 1
                hits[group] += out == HIT
        return legs, hits

    # -- the draw, computed again

    def replay(self, host: bytes, council: bytes, origin: str, campaigns: Counter[str]) -> list[Share]:
        """Every outcome follows from the shares, the ceiling and the caps, in log order (V7)."""
        legs_of: Counter[int] = Counter()
        hits_of: Counter[int] = Counter()
        hits_on: Counter[tuple[int, int]] = Counter()
        hits_by: Counter[int] = Counter()
        rates: list[Counter[int]] = [Counter() for _ in self._names]
        drawn_by: Counter[int] = Counter()
        keys = [
            (agent_key("host", origin, self.name, a, host), agent_key("council", origin, self.name, a, council))
            for a in self._names
        ]
        for place, agent in enumerate(self._agent):
            rule, under, said, day = self._rule[place], self._under[place], self._outs[place], self._day[place]
            if rule == NO_RULE or (self.roster is not None and self._names[agent] not in self.roster):
                self._undrawable(place, rule, said)
                continue
            legs_of[rule] += 1
            if under == NO_RULE:
                continue  # V5 has said that no such rule holds
            ruled = self._ruled[under]
            n, ppm = self._n[place], ruled.rule.ppm
            mine, theirs = keys[agent]
            is_drawn = drawn(combine(draw_output(mine, n), draw_output(theirs, n)), ppm)
            rates[agent][ppm] += 1
            drawn_by[agent] += is_drawn
            why = None
            if is_drawn:
                why = ruled.refusal(
                    legs=legs_of[rule],
                    hits=hits_of[rule],
                    today=hits_on[agent, day],
                    this_week=hits_by[agent],
                    of_campaign=campaigns[ruled.rule.campaign or ""],
                )
            self._judge(place, said, is_drawn=is_drawn, why=why)
            if said == HIT:
                hits_of[rule] += 1
                hits_on[agent, day] += 1
                hits_by[agent] += 1
                campaigns[ruled.rule.campaign or ""] += 1
        self.drawn = drawn_by.total()
        return [
            Share(self.name, self._names[agent], dict(rates[agent]), drawn_by[agent], hits_by[agent])
            for agent in range(len(self._names))
            if rates[agent]
        ]

    def _undrawable(self, place: int, rule: int, said: int) -> None:
        """A leg without rule, or of a pseudonym outside the roster, is never drawn."""
        index, name = self._entry[place], self._names[self._agent[place]]
        if self.roster is not None and name not in self.roster and (rule != NO_RULE or said in (HIT, CAP)):
            self.findings.at(Code.OUTSIDE_ROSTER, index, epoch=self.name)
        elif said in (HIT, CAP):
            self.findings.at(Code.HIT_NOT_DRAWN, index, epoch=self.name)

    def _judge(self, place: int, said: int, *, is_drawn: bool, why: Reason | None) -> None:
        wrong = None
        if said in (HIT, CAP) and not is_drawn:
            wrong = Code.HIT_NOT_DRAWN
        elif said == HIT and why is not None:
            wrong = _TOO_MANY[why]
        elif said == CAP and why is None:
            wrong = Code.CAP_WITHOUT_REASON
        elif said == NO and is_drawn:
            wrong = Code.DRAWN_NOT_SAID
        if wrong is not None:
            self.findings.at(wrong, self._entry[place], epoch=self.name)

    def forget(self) -> None:
        """After the reveal nothing of the legs is needed but their number."""
        self.count()
        self._agent, self._entry, self._n, self._wish_entry = array("I"), array("Q"), array("Q"), array("Q")
        self._rule, self._under, self._day = array("H"), array("H"), array("H")
        self._outs, self._wish_outs = bytearray(), bytearray()
        self._counted, self._names, self._agents, self.roster = {}, [], {}, None
