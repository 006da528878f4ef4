"""V0 and V5: the anchors and acts of a log, and which rules could hold for a leg at its place in it.

The log has no times, so a leg's rule is judged within its day: a campaign that begins at noon may have begun or not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from council.finding import Code, Findings
from crypto.errors import CryptoError
from crypto.ssh_key import VerifyKey
from policy import log_entry, state
from policy.act_effects import party_of
from policy.acts import NewKey, parse_act
from policy.agreement.load import AgreementRefused
from policy.agreement.schema import Agreement
from policy.chain import Posted, take
from policy.decision import Rule
from policy.draw_rules import Epoch, epoch_of, rule_for, rules
from policy.errors import ActError, LogEntryError
from policy.intersection import covering
from policy.log_block import first_day
from policy.terms import Phase

OTHER: Final = "other"
PATIENCE: Final = timedelta(minutes=10)
"""Between an act's own time and the midnights of the log."""
NEEDED: Final = ("employer", "council", "dpo")


@dataclass(frozen=True, slots=True)
class Ruled:
    """A rule that may hold for a leg, and the agreements whose caps count."""

    rule: Rule
    agreements: tuple[Agreement, ...]


@dataclass(slots=True)
class ActsCheck:
    """The chain as the log tells it. `posts`: the acts at hand by digest, None where none were given."""

    findings: Findings
    posts: Mapping[str, Posted] | None
    pinned: Mapping[str, str] = field(default_factory=dict)
    """Role → key, as the council holds them."""
    anchors: dict[str, log_entry.Anchor] = field(default_factory=dict)
    state: state.State | None = None
    _leaves: dict[str, str] = field(default_factory=dict)
    """Role → digest of its last anchor entry."""
    _promised: dict[str, str] = field(default_factory=dict)
    """Role → key that an act brought, before its anchor entry."""
    _logged: set[str] = field(default_factory=set)
    _known: dict[tuple[object, ...], dict[int, Ruled]] = field(default_factory=dict)

    def council_keys(self) -> list[VerifyKey]:
        """Every key of the council that this log has had, or that the council pinned."""
        lines = {one.key for role, one in self.anchors.items() if party_of(role) == "council"}
        lines |= {key for role, key in self.pinned.items() if party_of(role) == "council"}
        return [VerifyKey.parse(line) for line in sorted(lines)]

    # -- entries

    def anchor(self, index: int, entry: log_entry.Anchor, leaf: bytes) -> None:
        """The first of a role is the party's; a later one follows it, and an act brought it."""
        before = self.anchors.get(entry.role)
        pinned = self.pinned.get(entry.role)
        brought = self._promised.get(entry.role) == entry.key
        if before is None and not brought:
            # A further key of the council would let whoever holds it promise the council's part of the draw.
            unknown = pinned is None and party_of(entry.role) == "council" and bool(self.pinned)
            if unknown or pinned not in (None, entry.key):
                self.findings.at(Code.ANCHOR_DIFFERS, index, role=entry.role)
            elif self._logged:
                self.findings.at(Code.ANCHOR_CHAIN, index, role=entry.role)
        if before is not None:
            follows = (entry.seq, entry.prev) == (before.seq + 1, self._leaves[entry.role])
            if not follows or (self.posts is not None and not brought):
                self.findings.at(Code.ANCHOR_CHAIN, index, role=entry.role)
        self.anchors[entry.role] = entry
        self._leaves[entry.role] = hashlib.sha256(leaf).hexdigest()

    def act(self, index: int, entry: log_entry.Act, day_start: datetime | None) -> None:
        """The act that the entry names takes effect from here on."""
        self._logged.add(entry.digest)
        if self.posts is None:
            return
        posted = self.posts.get(entry.digest)
        if posted is None:
            self.findings.at(Code.ACT_MISSING, index, seq=entry.seq)
            return
        said = parse_act(posted.act)
        if (said.type.value, said.seq) != (entry.type, entry.seq):
            self.findings.at(Code.ACT_REFUSED, index, seq=entry.seq)
        if day_start is not None and posted.at < day_start - PATIENCE:
            self.findings.at(Code.ACT_LATE, index, seq=entry.seq)
        self._carry_over(said.seq)
        self._take(posted, f"entry {index}")

    def policy(self, index: int, digest: str) -> None:
        """What an `ecommit` says is in force must be the last act."""
        if self.posts is None:
            return
        if self.state is None and (posted := self.posts.get(digest)) is not None:
            self._carry_over(parse_act(posted.act).seq + 1)
        if self.state is None or self.state.digest != digest:
            self.findings.at(Code.POLICY, index)

    def finish(self) -> None:
        """Anchors that never came, and acts that the log doesn't know."""
        for role in NEEDED:
            if role not in self.anchors:
                self.findings.add(Code.ANCHOR_MISSING, "entry 0", role=role)
        if self.posts is None or self.state is None or not self._logged:
            return
        first = min((self._seq(digest) for digest in self._logged if digest in self.posts), default=0)
        for digest in self.posts:
            if digest not in self._logged and self._seq(digest) > first:
                self.findings.add(Code.ACT_UNLOGGED, f"act {self._seq(digest)}", seq=self._seq(digest))

    def _seq(self, digest: str) -> int:
        return parse_act(self.posts[digest].act).seq if self.posts else 0

    def _carry_over(self, before: int) -> None:
        """Acts of an earlier block of the log: they were in force when this one began."""
        if self.state is not None or self.posts is None:
            return
        found = (one for one in self.anchors.values())
        self.state = state.State(tuple(state.Anchor(one.role, one.key, one.rkey) for one in found))
        for posted in sorted(self.posts.values(), key=lambda one: parse_act(one.act).seq):
            if parse_act(posted.act).seq < before:
                self._take(posted, f"act {parse_act(posted.act).seq}")

    def _take(self, posted: Posted, place: str) -> None:
        said = parse_act(posted.act)
        try:
            self.state = take(self.state or state.State(()), posted)
        except (ActError, AgreementRefused, CryptoError):
            self.findings.add(Code.ACT_REFUSED, place, seq=said.seq)
            return
        self._known.clear()
        if isinstance(said.body, NewKey):
            self._promised[said.body.role] = said.body.key

    # -- time, as far as the names of epochs tell it

    def zone(self, default: tzinfo = UTC) -> tzinfo:
        """The site's time zone; UTC where no agreement says it."""
        terms = self.state.terms if self.state is not None else ()
        return terms[0].agreement.validity.zone if terms else default

    def span(self, epoch: str, day: int | None = None) -> tuple[datetime, datetime] | None:
        """An epoch, or its `day`-th local day, as instants; None for a name that no calendar has."""
        try:
            first = first_day(epoch)
        except LogEntryError:
            return None
        if "T" in epoch:
            return self._minutes(epoch)
        days = 7 if "W" in epoch else 1
        try:
            start = datetime.combine(first, datetime.min.time(), tzinfo=self.zone())
            if day is None:
                return start, start + timedelta(days=days)
            return start + timedelta(days=day), start + timedelta(days=day + 1)
        except OverflowError:
            return None

    def _minutes(self, epoch: str) -> tuple[datetime, datetime] | None:
        start, _, length = epoch.partition("-PT")
        try:
            begin = datetime.strptime(start, "%Y-%m-%dT%H%MZ").replace(tzinfo=UTC)
            seconds = int(length[:-1]) * {"H": 3600, "M": 60, "S": 1}[length[-1]]
            return begin, begin + timedelta(seconds=seconds)
        except (ValueError, OverflowError, KeyError, IndexError):
            return None

    def epoch_fits(self, epoch: str) -> bool:
        """Whether an agreement in force in it counts epochs of this length."""
        span = self.span(epoch)
        if self.state is None or span is None:
            return span is not None
        middle = span[0] + (span[1] - span[0]) / 2
        found: Iterable[Epoch] = (epoch_of(one, middle) for one in self.state.in_force(middle))
        return any(one.name == epoch for one in found)

    # -- rules

    def ruled(self, epoch: str, day: int | None, queue: str, group: str, phase: Phase) -> dict[int, Ruled]:
        """By index: the rules that may hold for a leg on this day."""
        key = (epoch, day, queue, group, phase)
        if key not in self._known:
            self._known[key] = self._find(epoch, day, queue, group, phase)
        return self._known[key]

    def listed(self, epoch: str, day: int | None) -> dict[int, Ruled]:
        """By index: every rule of the first agreement, where no roster says group and phase."""
        key = (epoch, day)
        if key not in self._known:
            found: dict[int, Ruled] = {}
            for agreements in self._in_force(epoch, day):
                for rule in rules(agreements[0]):
                    found.setdefault(rule.index, Ruled(rule, agreements))
            self._known[key] = found
        return self._known[key]

    def _find(self, epoch: str, day: int | None, queue: str, group: str, phase: Phase) -> dict[int, Ruled]:
        found: dict[int, Ruled] = {}
        for agreements, at in self._instants(epoch, day):
            sites = {site for one in agreements for site in one.scope.sites}
            queues = {name for one in agreements for name in one.scope.queues}
            told = {queue} if queue != OTHER else queues - set(agreements[0].scope.queues)
            for site in sorted(sites):
                for name in sorted(told):
                    scoped = covering(agreements, site=site, queue=name, group=group)
                    rule = rule_for(scoped, queue=name, group=group, phase=phase, wallclock=at)
                    if rule is not None:
                        found.setdefault(rule.index, Ruled(rule, scoped))
        return found

    def _in_force(self, epoch: str, day: int | None) -> list[tuple[Agreement, ...]]:
        return [agreements for agreements, _ in self._instants(epoch, day)]

    def _instants(self, epoch: str, day: int | None) -> list[tuple[tuple[Agreement, ...], datetime]]:
        """The agreements in force at the start of a day and at each of its instants where a rule may change."""
        span = self.span(epoch, day)
        if self.state is None or span is None:
            return []
        start, end = span
        latest = self.state.changed_at
        start = max(start, latest) if latest is not None and latest < end else start
        edges = {start}
        for term in self.state.terms:
            for one in term.agreement.lanes.campaigns:
                edges |= {one.start, one.end}
        at: datetime | None = start
        while at is not None and (at := self.state.next_change(at)) is not None and at < end:
            edges.add(at)
        found = ((self.state.in_force(edge), edge) for edge in sorted(edges) if start <= edge < end)
        return [(agreements, edge) for agreements, edge in found if agreements]
