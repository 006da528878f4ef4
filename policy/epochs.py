"""The life of an epoch of the draw: its states, its neighbours, when each step may be taken (crypto.md §3, §4).

Pure: what is stored about an epoch comes in, what may or must happen comes out. The draw's arithmetic is
`crypto.draw`, rules and ceilings are `draw_rules`, the council's signed part is `epoch_statement`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from crypto.errors import CryptoError
from crypto.jcs import Json, canonical, parse_json
from crypto.merkle import inclusion_proof, leaf_hash, root_of, verify_inclusion
from policy.agreement.schema import Agreement
from policy.draw_rules import Epoch, epoch_of
from policy.errors import StatementError
from policy.log_entry import Counted
from policy.terms import Phase
from policy.validity import local_time

AHEAD: Final = 13
"""How many epochs after the current one the council may commit to."""
REVEAL_WITHIN: Final = timedelta(hours=24)
"""After `eclose`; from then on nothing of the epoch's drawn lanes is served."""
MAX_ROSTER: Final = 16 << 20
"""Longest roster that is read, in bytes."""
SHRED_AFTER: Final = timedelta(days=14)
"""Without `reveal`; the epoch's drawn lanes are shredded then."""


class EpochState(StrEnum):
    """Where an epoch stands. Only in `OPENED` legs are entered and drawn; `NEXT` says what may follow what."""

    NONE = "none"
    """Nobody has committed to it."""
    PROMISED = "promised"
    """The council's commitment is here, `ecommit` waits for its time."""
    COMMITTED = "committed"
    """`ecommit` stands: both commitments and the roster are fixed."""
    OPENED = "opened"
    """A cosigned checkpoint holds `ecommit`, and the council's share opens its commitment."""
    CLOSED = "closed"
    """`eclose` stands: over, every leg has its `out`."""
    REVEALED = "revealed"
    """`reveal` stands: anybody can recompute the draw."""
    FROZEN = "frozen"
    """The reveal is missing for more than 24 h: its recordings are not served until it comes."""
    SHREDDED = "shredded"
    """It never came: recordings of the epoch's drawn lanes were destroyed."""
    DARK = "dark"
    """The epoch passed without being opened: nothing was drawn in it."""


NEXT: Final[dict[EpochState, frozenset[EpochState]]] = {
    EpochState.NONE: frozenset({EpochState.PROMISED, EpochState.DARK}),
    EpochState.PROMISED: frozenset({EpochState.COMMITTED, EpochState.DARK}),
    EpochState.COMMITTED: frozenset({EpochState.OPENED, EpochState.DARK}),
    EpochState.OPENED: frozenset({EpochState.CLOSED}),
    EpochState.CLOSED: frozenset({EpochState.REVEALED, EpochState.FROZEN}),
    EpochState.FROZEN: frozenset({EpochState.REVEALED, EpochState.SHREDDED}),
    EpochState.REVEALED: frozenset(),
    EpochState.SHREDDED: frozenset(),
    EpochState.DARK: frozenset(),
}


class Step(StrEnum):
    """What the clock asks for next."""

    COMMIT = "commit"
    CLOSE = "close"
    REVEAL = "reveal"
    FREEZE = "freeze"
    SHRED = "shred"
    GIVE_UP = "give_up"


LEGS_TO_COUNT: Final = 20
"""How many legs an agent needs in an epoch to count towards a `min_agents`: a name on the roster is nobody yet."""


def following(agreement: Agreement, epoch: Epoch) -> Epoch:
    """E+1."""
    return epoch_of(agreement, epoch.end)


def preceding(agreement: Agreement, epoch: Epoch) -> Epoch:
    """E-1."""
    return epoch_of(agreement, epoch.start - timedelta(microseconds=1))


def horizon(agreement: Agreement, wallclock: datetime, ahead: int = AHEAD) -> tuple[Epoch, ...]:
    """The current epoch and those that may be committed to ahead, as far as the agreement is valid."""
    found = [epoch_of(agreement, wallclock)]
    while len(found) <= ahead and found[-1].end < agreement.validity.end:
        found.append(following(agreement, found[-1]))
    return tuple(found)


def commit_due(agreement: Agreement, epoch: Epoch, wallclock: datetime, *, first: bool) -> bool:
    """Whether `ecommit` may be written now: from the start of E-1 until E starts.

    The first epoch of a site and those of a demo are committed as soon as the council's commitment is there, also when
    they have begun.
    """
    if wallclock >= epoch.end:
        return False
    if agreement.demo:
        return True
    if first and epoch.start <= wallclock:
        return True
    return preceding(agreement, epoch).start <= wallclock < epoch.start


def step_due(
    state: EpochState, end: datetime, closed_at: datetime | None, wallclock: datetime, *, shares: bool = True
) -> Step | None:
    """What the clock makes due for an epoch; `shares`: both are here, so that it can be revealed."""
    if state in (EpochState.PROMISED, EpochState.COMMITTED):
        return Step.GIVE_UP if wallclock >= end else None
    if state is EpochState.OPENED:
        return Step.CLOSE if wallclock >= end else None
    if state not in (EpochState.CLOSED, EpochState.FROZEN) or closed_at is None:
        return None
    if shares:
        return Step.REVEAL
    if state is EpochState.CLOSED:
        return Step.FREEZE if wallclock >= closed_at + REVEAL_WITHIN else None
    return Step.SHRED if wallclock >= closed_at + SHRED_AFTER else None


def frozen(state: EpochState, closed_at: datetime | None, wallclock: datetime) -> bool:
    """Whether the reveal is overdue, so that nothing of the epoch's drawn lanes may be served."""
    if state in (EpochState.FROZEN, EpochState.SHREDDED):
        return True
    return state is EpochState.CLOSED and closed_at is not None and wallclock >= closed_at + REVEAL_WITHIN


def witnessed(agreements: Iterable[Agreement], cosigned_at: datetime | None, wallclock: datetime) -> bool:
    """Whether the newest cosigned checkpoint is young enough for every agreement."""
    if cosigned_at is None:
        return False
    return all(wallclock < agreement.draw.cosign_max_age.after(cosigned_at) for agreement in agreements)


def day_index(agreement: Agreement, epoch: Epoch, wallclock: datetime) -> int:
    """How many local midnights lie between the start of the epoch and `wallclock`: the `i` of `day` entries."""
    first = local_time(agreement, epoch.start).date()
    return (local_time(agreement, wallclock).date() - first).days


# -- the roster that `ecommit` fixes


@dataclass(frozen=True, slots=True)
class RosterLeaf:
    """One agent of an epoch's roster, without a name."""

    a: str
    """The pseudonym."""
    group: str
    phase: Phase

    def fields(self) -> dict[str, str]:
        """As the council is given it."""
        return {"a": self.a, "group": self.group, "phase": self.phase.value}

    def canonical(self) -> bytes:
        """The bytes of the leaf."""
        return canonical(self.fields())


@dataclass(frozen=True, slots=True)
class RosterPlace:
    """One agent's entry of a roster, and what proves that the root is over it: so nobody has to see the others'."""

    leaf: RosterLeaf
    index: int
    path: Sequence[str]
    """Inclusion proof (RFC 9162), each hash in hexadecimal."""

    def verify(self, count: int, root: str) -> None:
        """Raises CryptoError, or ValueError for what isn't hexadecimal, unless `ecommit`'s root and headcount fit."""
        proof = [bytes.fromhex(one) for one in self.path]
        verify_inclusion(leaf_hash(self.leaf.canonical()), self.index, count, proof, bytes.fromhex(root))


def place_in(leaves: Collection[RosterLeaf], a: str) -> RosterPlace | None:
    """The entry of a pseudonym with its proof; None where the roster has none."""
    ordered = in_roster_order(leaves)
    hashes = [leaf_hash(leaf.canonical()) for leaf in ordered]

    def read(level: int, index: int) -> bytes:
        return root_of(hashes[index << level : (index + 1) << level])

    for index, leaf in enumerate(ordered):
        if leaf.a == a:
            return RosterPlace(leaf, index, [one.hex() for one in inclusion_proof(index, len(ordered), read)])
    return None


def parse_roster(data: bytes) -> list[RosterLeaf]:
    """The leaves in a JSON object's field `leaves`, as the council is given them. Raises StatementError."""
    try:
        found = parse_json(data, limit=MAX_ROSTER)
    except CryptoError:
        raise StatementError("roster isn't a json object") from None
    leaves = found.get("leaves") if isinstance(found, dict) else None
    if not isinstance(leaves, list):
        raise StatementError("roster has no list `leaves`")
    return [_leaf(one) for one in leaves]


def _leaf(found: Json) -> RosterLeaf:
    if isinstance(found, dict) and set(found) == {"a", "group", "phase"}:
        a, group, phase = found["a"], found["group"], found["phase"]
        if isinstance(a, str) and isinstance(group, str) and phase in list(Phase):
            return RosterLeaf(a, group, Phase(str(phase)))
    raise StatementError("not a leaf of a roster")


def in_roster_order(leaves: Collection[RosterLeaf]) -> tuple[RosterLeaf, ...]:
    """Sorted by pseudonym, which tells nothing of names."""
    return tuple(sorted(leaves, key=lambda leaf: leaf.a))


def count_groups(roster: Mapping[str, RosterLeaf], legs: Iterable[tuple[str, str | None, int]]) -> dict[str, Counted]:
    """Legs and hits of each group, as `eclose` has them; `legs`: pseudonym, what the `out` says, how many of these."""
    counted: dict[str, Counted] = {}
    for a, out, total in legs:
        if a in roster:
            before = counted.get(roster[a].group, Counted(0, 0))
            hits = before.hits + (total if out == "hit" else 0)
            counted[roster[a].group] = Counted(before.legs + total, hits)
    return counted


def roster_root(leaves: Collection[RosterLeaf]) -> bytes:
    """The Merkle root (RFC 6962) over the leaves in their order, 32 bytes."""
    return root_of(leaf_hash(leaf.canonical()) for leaf in in_roster_order(leaves))
