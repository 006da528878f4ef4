"""Reads an agent's own legs out of the log: sealed openings, leaves, proofs, the epochs' shares and rates.

Opens nothing: the openings are for the agent's key. Shares are those that the log reveals, rates those of the acts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from api.reads import DrawnEpoch, DrawRow, OwnDraws, Proven
from policy import log_entry
from policy.log_rules import OTHER, may_hold
from policy.state import State
from storage.database import Database
from storage.epochs import Epochs, StoredEpoch
from storage.errors import EpochUnknown, LogEntryUnknown
from storage.log.leg_openings import sealed_openings
from storage.log.reader import LogReader

__all__ = ["proven", "read_draws"]

StatesSince = Callable[[StoredEpoch], Sequence[State]]
"""The parties' acts folded, as they stood at an epoch's start and after each act in it."""


async def proven(reader: LogReader, origin: str, index: int) -> Proven:
    """An entry with its proof, which waits for the log's next publication."""
    [leaf] = await reader.entries(origin, index, index + 1)
    try:
        proof = bytes(await reader.proof(origin, index)).decode()
    except LogEntryUnknown:
        proof = None
    return Proven(origin, index, leaf.decode(), proof)


async def read_draws(
    database: Database, reader: LogReader, states: StatesSince, agent: str, after: int, limit: int
) -> OwnDraws:
    """An agent's legs from behind the id `after`, and every epoch that they are of. Raises `StorageError`."""
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


async def _epoch(database: Database, reader: LogReader, states: StatesSince, name: str, a: str) -> DrawnEpoch | None:
    try:
        epoch = await Epochs(database).get(name)
    except EpochUnknown:
        return None  # of wishes alone: those are asked for, not drawn
    commit, reveal = epoch.committed_index, epoch.revealed_index
    return DrawnEpoch(
        name,
        None if commit is None else await proven(reader, epoch.origin, commit),
        None if reveal is None else await proven(reader, epoch.origin, reveal),
        await asyncio.to_thread(lambda: _rates(states(epoch), epoch, a)),
    )


def _rates(states: Iterable[State], epoch: StoredEpoch, a: str) -> dict[str, list[int]]:
    """By rule index: every rate (ppm) that held for this roster entry at some time of the epoch."""
    leaf, found = epoch.leaf(a), dict[int, set[int]]()
    if leaf is None:
        return {}
    for state in states:
        queues = {name for term in state.terms for name in term.agreement.scope.queues}
        for queue in (OTHER, *queues):
            for index, ruled in may_hold(state, (epoch.start, epoch.end), queue, leaf.group, leaf.phase).items():
                found.setdefault(index, set()).add(ruled.rule.ppm)
    return {str(index): sorted(rates) for index, rates in sorted(found.items())}
