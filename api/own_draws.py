"""Checks an agent's own legs offline: proofs against the gateway's key, openings by the agent's, the draw recomputed.

Ceiling and other agents' legs are the council's to check (`fairtap-council verify`); here everything is one agent's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from api.reads import DrawnEpoch, DrawRow, OwnDraws, Proven
from crypto.age import Identity, decrypt
from crypto.draw import AgentDraws, drawn, epoch_commitment
from crypto.errors import CryptoError
from crypto.ssh_key import VerifyKey
from crypto.tlog_proof import TlogProof
from policy import log_entry
from policy.epochs import RosterLeaf
from policy.errors import PolicyError
from policy.opening import CallOpening, OutOpening, parse_call_opening, parse_out_opening

__all__ = ["Checked", "OwnLeg", "check_draws"]

MAX_SEALED: Final = 1 << 18


@dataclass(slots=True)
class OwnLeg:
    """One leg, or one wish, with what its openings say."""

    epoch: str
    kind: str
    n: int
    origin: str
    a: str
    rule: int | None = None
    told: CallOpening | None = None
    out: str | None = None
    """`no`, `cap`, `hit` or `wish`; None while the leg goes on."""
    ended: OutOpening | None = None
    drawn: bool | None = None
    """Recomputed; None before the epoch's shares are revealed."""


@dataclass(slots=True)
class Checked:
    """Legs in the log's order, and every fault."""

    legs: list[OwnLeg] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    waiting: int = 0
    """Entries that aren't published yet."""
    rates: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """By epoch and rule: the rates (ppm) that the site names; whoever has the agreement compares them with it."""
    roster: dict[str, RosterLeaf] = field(default_factory=dict)
    """By epoch: the agent's proven entry of the roster; group and phase say under which rates legs were drawn."""


def check_draws(found: OwnDraws, identities: Sequence[Identity], key: VerifyKey) -> Checked:
    """Check everything; what doesn't hold is a fault, named with its place, and raises nothing."""
    check = _Check(identities, key)
    for row in found.items:
        check.take(row)
    check.counters()
    for epoch in found.epochs:
        check.place(epoch)
        check.draw(epoch)
    rates = {epoch.name: {rule: list(ppm) for rule, ppm in epoch.rates.items()} for epoch in found.epochs}
    return Checked(list(check.legs.values()), check.faults, check.waiting, rates, check.roster)


class _Check:
    def __init__(self, identities: Sequence[Identity], key: VerifyKey) -> None:
        self._identities = identities
        self._key = key
        self.legs: dict[tuple[str, str, str, int], OwnLeg] = {}
        self.faults: list[str] = []
        self.waiting = 0
        self.roster: dict[str, RosterLeaf] = {}

    def take(self, row: DrawRow) -> None:
        place = f"{row.entry.origin} entry {row.entry.index}"
        try:
            said = self._entry(row.entry)
            plain = decrypt(row.sealed, self._identities, limit=MAX_SEALED).rstrip(b" ")
            if isinstance(said, log_entry.Out):
                self._out(row.entry.origin, said, parse_out_opening(plain), row.entry.index)
            elif isinstance(said, log_entry.Call | log_entry.Wish):
                self._call(row.entry.origin, said, parse_call_opening(plain), row.entry.index)
            else:
                self.faults.append(f"{place}: not an entry of a leg")
        except (CryptoError, PolicyError, ValueError) as error:
            self.faults.append(f"{place}: {error}")

    def _entry(self, one: Proven) -> log_entry.Entry:
        """The entry, proven unless it waits. Raises CryptoError, PolicyError."""
        if one.proof is None:
            self.waiting += 1
        else:
            proof = TlogProof.parse(one.proof.encode())
            proof.check(one.entry.encode(), one.origin, self._key)
            if proof.index != one.index:
                raise ValueError("the proof is of another entry")
        return log_entry.parse(one.entry.encode())

    def _call(self, origin: str, said: log_entry.Call | log_entry.Wish, told: CallOpening, index: int) -> None:
        if told.entry != index or not told.fits(said.c) or (told.lane is not None) != (said.t == "wish"):
            raise ValueError("the opening isn't that of the entry")
        key = (said.e, said.t, said.a, said.n)
        if key in self.legs:
            raise ValueError("a counter stands there twice")
        rule = said.r if isinstance(said, log_entry.Call) else None
        self.legs[key] = OwnLeg(said.e, said.t, said.n, origin, said.a, rule, told)

    def _out(self, origin: str, said: log_entry.Out, ended: OutOpening, index: int) -> None:
        if ended.entry != index or not ended.fits(said.m):
            raise ValueError("the opening isn't that of the entry")
        kind = "wish" if said.o == "wish" else "call"
        leg = self.legs.setdefault((said.e, kind, said.a, said.n), OwnLeg(said.e, kind, said.n, origin, said.a))
        if leg.out is not None:
            raise ValueError("a second end of the same leg")
        leg.out, leg.ended = said.o, ended

    def counters(self) -> None:
        """One pseudonym in each epoch, and between its first and its last leg none is missing."""
        by_epoch: dict[tuple[str, str], list[OwnLeg]] = {}
        for leg in self.legs.values():
            by_epoch.setdefault((leg.epoch, leg.kind), []).append(leg)
        for (epoch, kind), legs in by_epoch.items():
            counted = {leg.n for leg in legs}
            if len({leg.a for leg in legs}) > 1:
                self.faults.append(f"{epoch}: more than one pseudonym for one agent")
            if missing := sorted(set(range(min(counted), max(counted))) - counted):
                self.faults.append(f"{epoch}: {kind} {', '.join(map(str, missing))} missing")

    def place(self, epoch: DrawnEpoch) -> None:
        """Group and phase are those that the roster was fixed with; who isn't on it is under no rule."""
        own = list(self._drawn_legs(epoch.name))
        try:
            if epoch.place is None or epoch.ecommit is None:
                if any(leg.rule is not None for leg in own):
                    raise ValueError("legs are under a rule, and no entry of the roster is proven")
                return
            commit = self._entry(epoch.ecommit)
            if not isinstance(commit, log_entry.ECommit) or commit.e != epoch.name:
                raise ValueError("the commitment is another entry")
            if {leg.a for leg in own} - {epoch.place.leaf.a}:
                raise ValueError("the roster's entry is another pseudonym's")
            epoch.place.verify(commit.n, commit.roster)
            self.roster[epoch.name] = epoch.place.leaf
        except (CryptoError, PolicyError, ValueError) as error:
            self.faults.append(f"{epoch.name}: roster: {error}")

    def draw(self, epoch: DrawnEpoch) -> None:
        """Recompute the draw of an epoch's legs from the shares that the log reveals."""
        if epoch.ecommit is None or epoch.reveal is None:
            return
        try:
            commit, reveal = self._entry(epoch.ecommit), self._entry(epoch.reveal)
            if not isinstance(commit, log_entry.ECommit) or not isinstance(reveal, log_entry.Reveal):
                raise ValueError("commitment or reveal is another entry")
            if {commit.e, reveal.e} != {epoch.name} or epoch.ecommit.origin != epoch.reveal.origin:
                raise ValueError("commitment or reveal is another epoch's")
            origin, host, council = epoch.reveal.origin, bytes.fromhex(reveal.h), bytes.fromhex(reveal.c)
            committed = (epoch_commitment("host", origin, epoch.name, host).hex() == commit.h) and (
                epoch_commitment("council", origin, epoch.name, council).hex() == commit.c
            )
            if not committed:
                raise ValueError("the revealed shares aren't those committed to")
            for leg in self._drawn_legs(epoch.name):
                self._draw(leg, origin, host, council, epoch.rates.get(str(leg.rule), []))
        except (CryptoError, PolicyError, ValueError) as error:
            self.faults.append(f"{epoch.name}: {error}")

    def _drawn_legs(self, epoch: str) -> Iterable[OwnLeg]:
        return (leg for leg in self.legs.values() if leg.epoch == epoch and leg.kind == "call" and leg.told)

    def _draw(self, leg: OwnLeg, origin: str, host: bytes, council: bytes, rates: Sequence[int]) -> None:
        if leg.origin != origin:
            raise ValueError(f"leg {leg.n} stands in another log than the epoch")
        u = AgentDraws(origin, leg.epoch, leg.a, host, council).u(leg.n)
        could = {drawn(u, ppm) for ppm in rates} if leg.rule is not None else {False}
        said = None if leg.out is None else leg.out != "no"
        leg.drawn = next(iter(could)) if len(could) == 1 else said
        if said is not None and said not in could:
            self.faults.append(f"{leg.epoch}: leg {leg.n} is `{leg.out}`, which the draw doesn't give")
