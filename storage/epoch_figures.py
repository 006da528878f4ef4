"""What an epoch's `eclose` says: its counts, the root of its inventory and, at its block's end, how much was kept."""

import secrets
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, func, select

from crypto.commitment import pseudonym
from policy.agreement.schema import StatisticsTerms
from policy.epochs import RosterLeaf, count_groups
from policy.inventory import LEAF_BYTES, LEAVES_OF_A_LEG, inventory_root, side_leaf
from policy.kept import Share, kept_fifths
from policy.log_block import ends_block
from policy.log_entry import X_KINDS, Counted, EClose
from storage.block_shares import Keyring, add_up, end
from storage.tables import agents, epochs, legs, recordings, segments

_KEPT: Final = ("kept", "interrupted")
_RECORDED: Final = ("hit", "wish")
_LEAVES: Final = "leaves"


def closing(
    connection: Connection,
    origin: str,
    name: str,
    roster: Sequence[RosterLeaf],
    limits: StatisticsTerms,
    ring: Keyring,
    *,
    halted: bool = False,
) -> tuple[EClose, dict[str, Any]]:
    """The entry of an epoch in which every leg has its `out`, and what its row keeps beside it.

    One that is `halted` ends before its block does: others come after it, and the block's figure is told once.
    """
    query = select(legs.c.a, legs.c.o, func.count().label("total")).where(legs.c.e == name, legs.c.kind == "call")
    found = connection.execute(query.group_by(legs.c.a, legs.c.o)).all()
    groups = count_groups({leaf.a: leaf for leaf in roster}, ((one.a, one.o, one.total) for one in found))
    kinds = select(legs.c.k, func.count().label("total")).where(legs.c.e == name, legs.c.kind == "x")
    x = dict.fromkeys(X_KINDS, 0) | {one.k: one.total for one in connection.execute(kinds.group_by(legs.c.k))}
    leaves = _leaves(connection, name)
    own = _shares(connection, origin, name, {one.a: one.total for one in found if one.o == "hit"})
    told, total = None, add_up(connection, origin, own, ring)
    if ends_block(origin, name) and not halted:
        told = None if total is None else kept_fifths(total.values(), limits)
        end(connection, origin)
    counted = {group: Counted(one.legs, one.hits) for group, one in groups.items()}
    entry = EClose(e=name, groups=counted, kept=told, root=inventory_root(leaves).hex(), x=x)
    return entry, {_LEAVES: leaves, "kept": told}


def inventory(connection: Connection, name: str) -> list[str] | None:
    """The leaves behind the root of an epoch's `eclose`, in its order; None before it is closed."""
    found = connection.execute(select(epochs.c.figures).where(epochs.c.name == name)).scalar_one_or_none()
    return list(found[_LEAVES]) if found is not None and listed(found) else None


def listed(figures: dict[str, Any] | None) -> bool:
    """Whether the row of an epoch has its inventory."""
    return figures is not None and _LEAVES in figures


def _leaves(connection: Connection, name: str) -> list[str]:
    query = (
        select(segments.c.recording, segments.c.side, segments.c.manifest_sha256)
        .join(recordings, recordings.c.id == segments.c.recording)
        .join(legs, legs.c.id == recordings.c.entry)
        .where(legs.c.e == name, legs.c.o.in_(_RECORDED), segments.c.state == "sealed")
        .where(recordings.c.state.in_(_KEPT))
        .order_by(segments.c.recording, segments.c.side, segments.c.seg)
    )
    sides = groupby(connection.execute(query), lambda row: (row.recording, row.side))
    leaves = [side_leaf(row.manifest_sha256 for row in rows) for _, rows in sides]
    recorded = select(func.count()).where(legs.c.e == name, legs.c.o.in_(_RECORDED))
    length = LEAVES_OF_A_LEG * connection.execute(recorded).scalar_one()
    leaves += [secrets.token_hex(LEAF_BYTES) for _ in range(length - len(leaves))]
    secrets.SystemRandom().shuffle(leaves)
    return leaves


def _shares(connection: Connection, origin: str, name: str, hits: dict[str, int]) -> dict[str, Share]:
    """Hits and kept ones of each agent (id) who had a hit in this epoch."""
    own = {pseudonym(bytes(one.salt), origin, name).hex(): one.id for one in connection.execute(select(agents))}
    of_hits = (
        select(recordings.c.agent, func.count().label("total"))
        .join(legs, legs.c.id == recordings.c.entry)
        .where(legs.c.e == name, legs.c.o == "hit", recordings.c.state.in_(_KEPT))
        .group_by(recordings.c.agent)
    )
    kept = {one.agent: one.total for one in connection.execute(of_hits)}
    return {own[a]: Share(count, min(kept.get(own[a], 0), count)) for a, count in hits.items() if a in own}
