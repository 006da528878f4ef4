"""V3, V4, V6, V7 and V9 for one epoch: the order of its entries, its counters, outcomes and counts, the draw again.

The draw can be computed only after the reveal: until then the epoch's legs wait here, a small object each.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from council.codes import Code
from council.fairness import Share
from council.finding import Findings
from crypto.draw import AgentDraws, drawn
from policy import log_entry
from policy.decision import Reason
from policy.epoch_rules import Ruled, Tally
from policy.epochs import EpochState, RosterLeaf, count_groups

_STEPS: Final = {
    log_entry.ECommit: (EpochState.NONE, EpochState.COMMITTED, Code.ECOMMIT_REPEATED),
    log_entry.EOpen: (EpochState.COMMITTED, EpochState.OPENED, Code.EOPEN_ORDER),
    log_entry.EClose: (EpochState.OPENED, EpochState.CLOSED, Code.ECLOSE_ORDER),
    log_entry.Reveal: (EpochState.CLOSED, EpochState.REVEALED, Code.REVEAL_ORDER),
}
"""Entry → the state that it needs, the state that it brings, and what is wrong in any other."""
_INSTEAD_OF: Final = {
    ("no", "hit"): Code.HIT_NOT_DRAWN,
    ("no", "cap"): Code.HIT_NOT_DRAWN,
    ("hit", "cap"): Code.CAP_WITHOUT_REASON,
    ("hit", "no"): Code.DRAWN_NOT_SAID,
    ("cap", "no"): Code.DRAWN_NOT_SAID,
}
"""What it must be, what the log says instead → what is wrong."""


@dataclass(slots=True)
class Leg:
    """A `call` or `wish` entry, and what became of it."""

    entry: int
    a: str
    n: int
    out: str | None = None
    rule: int | None = None
    """Index of the rule that it is entered under."""
    ruled: Ruled | None = None
    """That rule, where V5 knows it."""
    day: int = 0


@dataclass(slots=True)
class _Counter:
    """One agent's calls, or wishes, by their numbers."""

    last: int = 0
    legs: dict[int, Leg] = field(default_factory=dict)


@dataclass(slots=True)
class EpochBook:
    """One epoch as the log tells it. `roster` None: not at hand; `day` None: opened within the epoch, no `day` yet."""

    name: str
    findings: Findings
    state: EpochState = EpochState.NONE
    ecommit: log_entry.ECommit | None = None
    ecommit_at: int = 0
    closed: log_entry.EClose | None = None
    kept: int | None = None
    """In fifths, of the whole block, as `eclose` tells it."""
    halted: bool = False
    roster: Mapping[str, RosterLeaf] | None = None
    day: int | None = 0
    x: Counter[str] = field(default_factory=Counter)
    legs: list[Leg] = field(default_factory=list)
    under_rule: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """Legs that a rule may hold for, by pseudonym and whether they are under one; others are never drawn."""
    recorded: int = 0
    """Hits and wishes when it was closed: what its inventory is about."""
    drawn: int | None = None
    """Legs that the draw drew, once it was computed again."""
    _wishes: list[Leg] = field(default_factory=list)
    _counters: defaultdict[tuple[type, str], _Counter] = field(default_factory=lambda: defaultdict(_Counter))
    _counted: Counter[str] | None = None

    @property
    def opened(self) -> bool:
        """It was opened, and may be over by now."""
        return self.state in (EpochState.OPENED, EpochState.CLOSED, EpochState.REVEALED)

    @property
    def over(self) -> bool:
        """Its counts stand."""
        return self.state in (EpochState.CLOSED, EpochState.REVEALED)

    def step(self, index: int, entry: log_entry.Entry) -> bool:
        """Whether the entry comes in its turn, once (V3, V9). What doesn't is named, and but for `eopen` left out."""
        needs, brings, wrong = _STEPS[type(entry)]
        fits = self.state is needs
        if not fits:
            self.findings.at(wrong, index, epoch=self.name)
        if fits or (self.state is EpochState.NONE and brings is EpochState.OPENED):
            self.state = brings
        return fits

    def in_time(self, index: int) -> None:
        """A leg is entered inside the open epoch (V3)."""
        if self.state is not EpochState.OPENED or self.halted:
            self.findings.at(Code.LEG_OUTSIDE_EPOCH, index, epoch=self.name)

    def enter(self, index: int, entry: log_entry.Call | log_entry.Wish, ruled: Ruled | None = None) -> None:
        """A leg or wish under its agent's next counter (V4); wishes are logged in a dark epoch too."""
        leg = Leg(index, sys.intern(entry.a), entry.n, ruled=ruled, day=self.day or 0)
        if isinstance(entry, log_entry.Call):
            leg.rule = entry.r
            self.legs.append(leg)
        else:
            self._wishes.append(leg)
        counter = self._counters[type(entry), leg.a]
        expected = counter.last + 1
        if entry.n != expected:
            wrong = Code.COUNTER_REPEATED if entry.n < expected else Code.COUNTER_GAP
            self.findings.at(wrong, index, n=entry.n, expected=expected)
        counter.last = max(counter.last, entry.n)
        known = counter.legs.get(entry.n)
        if known is None or known.out is not None:
            counter.legs[entry.n] = leg

    def out(self, index: int, entry: log_entry.Out) -> None:
        """The one end of a leg or wish (V6)."""
        kind = log_entry.Wish if entry.o == "wish" else log_entry.Call
        counter = self._counters.get((kind, entry.a))
        leg = counter.legs.get(entry.n) if counter is not None else None
        if leg is None:
            self.findings.at(Code.OUT_WITHOUT_LEG, index, epoch=self.name)
        elif leg.out is not None:
            self.findings.at(Code.OUT_REPEATED, index, epoch=self.name)
        else:
            leg.out = sys.intern(entry.o)
            if self.over:
                self.findings.at(Code.OUT_LATE, index, epoch=self.name)

    # -- the epoch's end

    @property
    def counted(self) -> Counter[str]:
        """Legs, hits, caps, legs without an end, wishes, as the log has them."""
        if self._counted is not None:
            return self._counted
        outs = Counter(leg.out for leg in self.legs)
        figures = {"hits": outs["hit"], "caps": outs["cap"], "open": outs[None], "wishes": len(self._wishes)}
        return Counter(legs=len(self.legs), **figures)

    def close(self, index: int, said: log_entry.EClose) -> None:
        """Every leg and wish has its `out` (V6), and what `eclose` reports equals the entries (V9)."""
        self.closed, self.kept = said, said.kept
        self.recorded = self.counted["hits"] + self.counted["wishes"]
        for leg in (one for one in (*self.legs, *self._wishes) if one.out is None):
            self.findings.at(Code.OUT_MISSING, leg.entry, epoch=self.name)
        wrong = [f"x/{kind}" for kind in log_entry.X_KINDS if said.x[kind] != self.x[kind]]
        if self.roster is not None:
            mine = count_groups(self.roster, ((leg.a, leg.out, 1) for leg in self.legs))
            none = log_entry.Counted(0, 0)
            wrong += [g for g in sorted({*said.groups, *mine}) if said.groups.get(g, none) != mine.get(g, none)]
        elif sum(one.hits for one in said.groups.values()) != self.counted["hits"]:
            wrong.append("*")
        for what in wrong:
            self.findings.at(Code.ECLOSE_COUNTS, index, epoch=self.name, what=what)

    def replay(self, host: bytes, council: bytes, origin: str, campaigns: Counter[tuple[str, str]]) -> list[Share]:
        """Every outcome follows from the shares, the ceiling and the caps, in log order (V7)."""
        tally, agents = Tally(campaigns), dict[str, tuple[AgentDraws, Share]]()
        for leg in self.legs:
            outside = self.roster is not None and leg.a not in self.roster
            if outside and (leg.rule is not None or leg.out in ("hit", "cap")):
                self.findings.at(Code.OUTSIDE_ROSTER, leg.entry, epoch=self.name)
                continue
            if leg.ruled is None:
                if leg.rule is None:  # else V5 has said that no such rule holds
                    self._judge(leg, is_drawn=False)
                continue
            tally.leg(leg.ruled)
            if leg.a not in agents:
                agents[leg.a] = AgentDraws(origin, self.name, leg.a, host, council), Share(self.name, leg.a)
            draws, share = agents[leg.a]
            ppm = leg.ruled.rule.ppm
            is_drawn = drawn(draws.u(leg.n), ppm)
            share.legs[ppm] += 1
            share.drawn += is_drawn
            self._judge(leg, is_drawn, tally.refusal(leg.ruled, leg.a, leg.day) if is_drawn else None)
            if leg.out == "hit":
                tally.hit(leg.ruled, leg.a, leg.day)
                share.hits += 1
        self.drawn = sum(share.drawn for _, share in agents.values())
        return [share for _, share in agents.values()]

    def _judge(self, leg: Leg, is_drawn: bool, why: Reason | None = None) -> None:
        must = "no" if not is_drawn else "hit" if why is None else "cap"
        if leg.out not in (None, must):
            wrong = Code[why.name] if why is not None and leg.out == "hit" else _INSTEAD_OF[must, leg.out]
            self.findings.at(wrong, leg.entry, epoch=self.name)

    def forget(self) -> None:
        """After the reveal nothing of the legs is needed but their number."""
        self._counted = self.counted
        self.legs, self._wishes, self.roster = [], [], None
        self._counters.clear()
