"""V0 and V5: the anchors and acts of a log, in the order in which it has them."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from council.codes import Code
from council.finding import Findings
from crypto.errors import CryptoError
from crypto.ssh_key import VerifyKey
from policy import log_entry
from policy.act_effects import party_of
from policy.acts import Act, NewKey, parse_act
from policy.agreement.load import AgreementRefused
from policy.chain import Posted, take
from policy.errors import ActError
from policy.log_rules import LogTerms
from policy.state import Anchor, State

PATIENCE: Final = timedelta(minutes=10)
"""Between an act's own time and the midnights of the log."""
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
NEEDED: Final = ("employer", "council", "dpo")


@dataclass(slots=True)
class ActsCheck:
    """The chain as the log tells it. `posts`: the acts at hand by digest, None where none were given."""

    findings: Findings
    posts: Mapping[str, Posted] | None
    pinned: Mapping[str, str] = field(default_factory=dict)
    """Role → key, as the council holds them."""
    anchors: dict[str, log_entry.Anchor] = field(default_factory=dict)
    terms: LogTerms = field(default_factory=LogTerms)
    logged: set[str] = field(default_factory=set)
    """Digests of the acts that the log has."""
    _acts: dict[str, Act] = field(default_factory=dict)
    """What the acts at hand say, by digest, in the order of the chain."""
    _leaves: dict[str, str] = field(default_factory=dict)
    """Role → digest of its last anchor entry."""
    _promised: dict[str, str] = field(default_factory=dict)
    """Role → key that an act brought, before its anchor entry."""

    _since: dict[str, datetime] = field(default_factory=dict)
    """Key in a lost one's place → when it counts; never, where an act brought another meanwhile."""

    def __post_init__(self) -> None:
        acts = {digest: parse_act(posted.act) for digest, posted in (self.posts or {}).items()}
        self._acts = dict(sorted(acts.items(), key=lambda one: one[1].seq))

    def council_keys(self) -> list[VerifyKey]:
        """Every key of the council that this log has had, or that the council pinned."""
        known = [*((role, one.key) for role, one in self.anchors.items()), *self.pinned.items()]
        return [VerifyKey.parse(line) for line in sorted({key for role, key in known if party_of(role) == "council"})]

    def early_keys(self, at: int) -> list[VerifyKey]:
        """Keys in the place of lost ones that don't count yet (POSIX seconds): 14 days after their act they do."""
        return [VerifyKey.parse(key) for key, since in self._since.items() if at < since.timestamp()]

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
        said = self._acts.get(entry.digest)
        if said is None:
            self.findings.at(Code.ACT_MISSING, index, seq=entry.seq)
            return
        if (said.type.value, said.seq) != (entry.type, entry.seq):
            self.findings.at(Code.ACT_REFUSED, index, seq=entry.seq)
        if day_start is not None and self.posts[entry.digest].at < day_start - PATIENCE:
            self.findings.at(Code.ACT_LATE, index, seq=entry.seq)
        self._carry_over(said.seq)
        self._take(entry.digest, f"entry {index}")

    def policy(self, index: int, digest: str) -> None:
        """What an `ecommit` says is in force must be the last act."""
        if self.posts is None:
            return
        if digest in self._acts:
            self._carry_over(self._acts[digest].seq + 1)
        if self.terms.state is None or self.terms.state.digest != digest:
            self.findings.at(Code.POLICY, index)

    def finish(self) -> None:
        """Anchors that never came."""
        for role in sorted(set(NEEDED) - self.anchors.keys()):
            self.findings.add(Code.ANCHOR_MISSING, "entry 0", role=role)

    def unlogged(self, later: Collection[str]) -> None:
        """Acts that the log doesn't know, though it had begun; `later`: those that a log after it has, as it must."""
        known = [act.seq for digest, act in self._acts.items() if digest in self.logged]
        if self.terms.state is None or not self.logged:
            return
        for digest, act in self._acts.items():
            if digest not in self.logged and digest not in later and act.seq > min(known, default=0):
                self.findings.add(Code.ACT_UNLOGGED, f"act {act.seq}", seq=act.seq)

    def _carry_over(self, before: int) -> None:
        """Acts of an earlier block of the log: they were in force when this one began."""
        if self.terms.state is None:
            found = [Anchor(one.role, one.key, one.rkey) for one in self.anchors.values()]
            self.terms.become(State(tuple(found)))
            for digest, act in self._acts.items():
                if act.seq < before:
                    self._take(digest, f"act {act.seq}")

    def _take(self, digest: str, place: str) -> None:
        said, posted = self._acts[digest], (self.posts or {})[digest]
        try:
            state = take(self.terms.state or State(()), posted)
        except (ActError, AgreementRefused, CryptoError):
            self.findings.add(Code.ACT_REFUSED, place, seq=said.seq)
            return
        self.terms.become(state)
        waiting = {one.anchor.key: one.since for one in state.replacements}
        gone = {key for key, since in self._since.items() if since > posted.at} - waiting.keys()
        self._since |= waiting | dict.fromkeys(gone, _NEVER)
        anchored = {one.key for one in state.anchors} & self._since.keys()  # the one before it has agreed
        self._since |= {key: min(self._since[key], posted.at) for key in anchored}
        if isinstance(said.body, NewKey):
            self._promised[said.body.role] = said.body.key
