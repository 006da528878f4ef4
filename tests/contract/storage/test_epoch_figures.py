"""What a closed epoch tells of its recordings: an inventory whose length is public, and a share at its block's end."""

import hashlib
import json

import pytest
from sqlalchemy import select, update

from policy.inventory import inventory_root, side_leaf
from policy.log_entry import EClose, parse
from storage.epoch_figures import inventory
from storage.tables import epochs, log_wal, segments
from tests.peers.filled_epoch import Had, fill
from tests.peers.opened_epoch import LIMITS, epoch_named
from tests.peers.stored import ORIGIN, Folder, add_agent

WEEKS = [f"2026-W{week}" for week in range(14, 27)]
"""A whole block."""
NEXT = "hamburg/fairtap/2026-27"
"""The log after it."""


async def closed(folder: Folder, week: str, had: list[Had], origin: str = ORIGIN, halted: bool = False) -> EClose:
    """The epoch, filled and closed; its `eclose`."""
    await fill(folder, origin, week, had)
    assert await folder.epochs.close(week, LIMITS, epoch_named(week).end, halted=halted)
    query = select(log_wal.c.leaf).where(log_wal.c.origin == origin).order_by(log_wal.c.idx.desc()).limit(1)
    entry = parse(bytes(await folder.database.read(lambda connection: connection.execute(query).scalar_one())))
    assert isinstance(entry, EClose)
    return entry


async def leaves(folder: Folder, week: str) -> list[str]:
    found = await folder.database.read(lambda connection: inventory(connection, week))
    assert found is not None
    return found


async def team(folder: Folder, count: int = 5) -> list:
    return [await folder.roster.get(await add_agent(folder, f"Agent {number}")) for number in range(count)]


@pytest.mark.parametrize(
    "sides", [("agent", "caller"), ("agent",), ("agent", "agent", "caller", "caller", "caller"), ()]
)
async def test_an_inventory_has_two_leaves_for_each_hit_and_wish_whatever_was_kept(folder, sides):
    agents = await team(folder, 2)
    had = [Had(agents[0], hits=3, kept=2, others=4, wishes=1, segments=sides), Had(agents[1], hits=2, others=1)]
    entry = await closed(folder, WEEKS[0], had)
    found = await leaves(folder, WEEKS[0])
    assert len(found) == len(set(found)) == 2 * (3 + 1 + 2)
    assert entry.root == inventory_root(found).hex()
    by_side: dict[tuple[str, str], list[str]] = {}
    for recording, side, _, digest in had[0].made:
        by_side.setdefault((recording, side), []).append(digest)
    assert len(by_side) == 3 * len(set(sides)) and {side_leaf(one) for one in by_side.values()} <= set(found)
    assert not set(found) & {digest for *_, digest in had[0].made}


async def test_an_epoch_without_hits_has_an_empty_one(folder):
    entry = await closed(folder, WEEKS[0], [Had(one, others=3) for one in await team(folder, 2)])
    assert await leaves(folder, WEEKS[0]) == [] and entry.root == hashlib.sha256(b"").hexdigest()
    assert await folder.database.read(lambda connection: inventory(connection, "2026-W40")) is None
    rows = await folder.epochs.over_since(epoch_named(WEEKS[0]).start)
    assert [row.listed for row in rows.values()] == [True]


async def test_an_erased_side_is_as_one_that_never_was(folder):
    agent = (await team(folder, 1))[0]
    had = Had(agent, hits=2, kept=2)
    await fill(folder, ORIGIN, WEEKS[0], [had])
    recording, side, _, digest = had.made[0]
    gone = update(segments).where(segments.c.recording == recording, segments.c.side == side).values(state="erased")
    await folder.database.write(lambda connection: connection.execute(gone).rowcount)
    await folder.epochs.close(WEEKS[0], LIMITS, epoch_named(WEEKS[0]).end)
    found = await leaves(folder, WEEKS[0])
    assert len(found) == 4 and side_leaf([digest]) not in found
    assert {side_leaf([one]) for *_, one in had.made[1:]} <= set(found)


async def rows(folder: Folder) -> dict[str, dict]:
    query = select(epochs.c.name, epochs.c.figures)
    found = await folder.database.read(lambda connection: connection.execute(query).all())
    return {row.name: row.figures for row in found}


async def test_what_was_kept_is_told_with_a_blocks_last_epoch_alone(folder):
    agents = await team(folder)
    told = [(await closed(folder, week, [Had(one, hits=1, kept=1) for one in agents])).kept for week in WEEKS]
    assert told == [None] * 12 + [4]
    first = await closed(folder, "2026-W27", [Had(one, hits=1) for one in agents], NEXT)
    assert first.kept is None


async def test_a_last_week_that_is_halted_leaves_the_telling_to_the_blocks_last_day(folder):
    agents = await team(folder)
    halted = await closed(folder, WEEKS[-1], [Had(one, hits=4, kept=4) for one in agents], halted=True)
    entry = await closed(folder, "2026-06-28", [Had(one, hits=4) for one in agents])
    assert (halted.kept, entry.kept) == (None, 2)


@pytest.mark.parametrize(
    ("kept", "told"),
    [([4, 4, 4, 4, 4], 4), ([0, 4, 4, 4, 4], 4), ([0, 3, 4, 4, 4], 3), ([0, 0, 0, 0, 3], 0), ([0, 0, 0, 0, 0], 0)],
)
async def test_every_agent_weighs_the_same(folder, kept, told):
    agents = await team(folder)
    hits = [20, 4, 4, 4, 4]
    had = [Had(agent, hits=of, kept=of * share // 4) for agent, of, share in zip(agents, hits, kept, strict=True)]
    assert (await closed(folder, WEEKS[-1], had)).kept == told


async def test_nothing_is_told_of_few_hits_or_few_agents(folder):
    agents = await team(folder, 5)
    assert (await closed(folder, WEEKS[-1], [Had(one, hits=3, kept=3) for one in agents])).kept is None
    few = [Had(one, hits=30, kept=30) for one in agents[:4]]
    assert (await closed(folder, "2026-W39", few, NEXT)).kept is None


async def test_a_row_tells_nothing_of_single_legs(folder):
    agents = await team(folder, 2)
    had = [Had(one, hits=2, kept=1) for one in agents]
    await closed(folder, WEEKS[0], had)
    text = json.dumps(await rows(folder))
    assert not any(part in text for one in had for recording, *_, digest in one.made for part in (recording, digest))
