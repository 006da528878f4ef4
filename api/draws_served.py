"""Reads an agent's own legs out of the log: sealed openings, leaves, proofs, the epochs' shares and rates.

Opens nothing: the openings are for the agent's key. Shares are those that the log reveals, rates those of the acts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

from api.reads import DrawnEpoch, DrawRow, OwnDraws, Proven
from policy import log_entry
from policy.epoch_rules import EpochRules, since
from policy.epochs import place_in
from policy.log_rules import may_hold
from policy.state import State
from storage.database import Database
from storage.epochs import StoredEpoch, stored_epoch
from storage.errors import EpochUnknown, LogEntryUnknown
from storage.log.leg_openings import sealed_openings
from storage.log.reader import LogReader

__all__ = ["proven", "read_draws"]


async def proven(reader: LogReader, origin: str, index: int) -> Proven:
    """An entry with its proof, which waits for the log's next publication."""
    [leaf] = await reader.entries(origin, index, index + 1)
    try:
        proof = bytes(await reader.proof(origin, index)).decode()
    except LogEntryUnknown:
        proof = None
    return Proven(origin, index, leaf.decode(), proof)


async def read_draws(
    database: Database, reader: LogReader, states: Sequence[State], agent: str, after: int, limit: int
) -> OwnDraws:
    """An agent's legs from behind the id `after`, and every epoch that they are of. Raises `StorageError`.

    `states`: the parties' acts folded, before the first and after each.
    """
    found = await database.read(lambda connection: sealed_openings(connection, agent, after, limit))
    rows, own = [], {}
    for one in found:
        entry = await proven(reader, one.origin, one.index)
        rows.append(DrawRow(one.id, one.kind, one.sealed, entry))
        said = log_entry.parse(entry.entry.encode())
        if isinstance(said, log_entry.Call | log_entry.Wish | log_entry.Out):
            own[said.e] = said.a
    told = [await _epoch(database, reader, states, name, a) for name, a in sorted(own.items())]
    return OwnDraws(rows, [one for one in told if one is not None])


async def _epoch(
    database: Database, reader: LogReader, states: Sequence[State], name: str, a: str
) -> DrawnEpoch | None:
    try:
        epoch = await database.read(lambda connection: stored_epoch(connection, name))
    except EpochUnknown:
        return None  # of wishes alone: those are asked for, not drawn
    commit, reveal = epoch.committed_index, epoch.revealed_index
    return DrawnEpoch(
        name,
        None if commit is None else await proven(reader, epoch.origin, commit),
        None if reveal is None else await proven(reader, epoch.origin, reveal),
        await asyncio.to_thread(lambda: _rates(states, epoch, a)),
        place_in(epoch.roster, a),
    )


def _rates(states: Sequence[State], epoch: StoredEpoch, a: str) -> dict[str, list[int]]:
    """By the `r` of its log: every rate (ppm) that held for this roster entry at some time of the epoch."""
    leaf, found = epoch.leaf(a), dict[int, set[int]]()
    if leaf is None:
        return {}
    span, first = (epoch.start, epoch.end), since(states, epoch.acts)
    rules = EpochRules(span, states, first)
    for state, after in pairwise((*states[first:], None)):
        if state is None or (after is not None and after.changed_at is not None and after.changed_at < epoch.start):
            continue  # over before the epoch began
        for queue in {name for term in state.terms for name in term.agreement.scope.queues}:
            for place, ruled in may_hold(rules, state, span, queue, leaf.group, leaf.phase).items():
                found.setdefault(place, set()).add(ruled.rule.ppm)
    return {str(place): sorted(rates) for place, rates in sorted(found.items())}
