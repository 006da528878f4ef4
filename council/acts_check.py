"""V0 and V5: the anchors and acts of a log, in the order in which it has them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
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
from policy.chain import Posted, take
from policy.draw_rules import epoch_of
from policy.epochs import RosterLeaf
from policy.errors import ActError
from policy.log_rules import Ruled, Span, listed, may_hold, span_of

PATIENCE: Final = timedelta(minutes=10)
"""Between an act's own time and the midnights of the log."""
NEEDED: Final = ("employer", "council", "dpo")


@dataclass(slots=True)
class ActsCheck:
    """The chain as the log tells it. `posts`: the acts at hand by digest, None where none were given."""

    findings: Findings
    posts: Mapping[str, Posted] | None
    pinned: Mapping[str, str] = field(default_factory=dict)
    """Role → key, as the council holds them."""
    anchors: dict[str, log_entry.Anchor] = field(default_factory=dict)
    state: state.State | None = None
    logged: set[str] = field(default_factory=set)
    """Digests of the acts that the log has."""
    _leaves: dict[str, str] = field(default_factory=dict)
    """Role → digest of its last anchor entry."""
    _promised: dict[str, str] = field(default_factory=dict)
    """Role → key that an act brought, before its anchor entry."""
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
            elif self.logged:
                self.findings.at(Code.ANCHOR_CHAIN, index, role=entry.role)
        if before is not None:
            follows = (entry.seq, entry.prev) == (before.seq + 1, self._leaves[entry.role])
            if not follows or (self.posts is not None and not brought):
                self.findings.at(Code.ANCHOR_CHAIN, index, role=entry.role)
        self.anchors[entry.role] = entry
        self._leaves[entry.role] = hashlib.sha256(leaf).hexdigest()

    def act(self, index: int, entry: log_entry.Act, day_start: datetime | None) -> None:
        """The act that the entry names takes effect from here on."""
        self.logged.add(entry.digest)
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
        """Anchors that never came."""
        for role in NEEDED:
            if role not in self.anchors:
                self.findings.add(Code.ANCHOR_MISSING, "entry 0", role=role)

    def unlogged(self, later: Collection[str]) -> None:
        """Acts that the log doesn't know, though it had begun; `later`: those that a log after it has, as it must."""
        if self.posts is None or self.state is None or not self.logged:
            return
        first = min((self._seq(digest) for digest in self.logged if digest in self.posts), default=0)
        for digest in self.posts:
            if digest not in self.logged and digest not in later and self._seq(digest) > first:
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

    def span(self, epoch: str, day: int | None = None) -> Span | None:
        """An epoch, or its `day`-th local day, as instants; None for a name that no calendar has."""
        return span_of(epoch, self.zone(), day)

    def epoch_fits(self, epoch: str) -> bool:
        """Whether an agreement in force in it counts epochs of this length."""
        span = self.span(epoch)
        if self.state is None or span is None:
            return span is not None
        middle = span[0] + (span[1] - span[0]) / 2
        return any(epoch_of(one, middle).name == epoch for one in self.state.in_force(middle))

    # -- rules

    def ruled(self, epoch: str, day: int | None, queue: str, member: RosterLeaf | None) -> dict[int, Ruled]:
        """By index: the rules that may hold for a leg on this day; for `member` None all that there are."""
        key = (epoch, day, queue, member and (member.group, member.phase))
        found = self._known.get(key)
        if found is None:
            span = self.span(epoch, day)
            if self.state is None or span is None:
                return {}
            if member is None:
                found = listed(self.state, span)
            else:
                found = may_hold(self.state, span, queue, member.group, member.phase)
            self._known[key] = found
        return found
