"""What agents kept in a block under way: sealed in the database, its key beside it, and every earlier one destroyed."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import Row, select, update

from crypto.age import decrypt
from crypto.errors import AgeNoMatch
from crypto.x25519 import Identity
from policy.epochs import EpochState
from storage.block_shares import BYTES_OF_AN_AGENT
from storage.errors import EpochStep, StorageUnavailable
from storage.log.wal import close_log, open_log
from storage.roster import Agent
from storage.tables import block_shares, epochs, legs
from tests.contract.storage.test_epoch_figures import NEXT, WEEKS, closed, team
from tests.peers.filled_epoch import Had, fill
from tests.peers.opened_epoch import LIMITS, epoch_named
from tests.peers.stored import ORIGIN, Folder


def whole(agent: Agent) -> Had:
    """Of five agents it is enough for a figure."""
    return Had(agent, hits=4, kept=4)


async def sealed(folder: Folder) -> dict[str, Row]:
    """By log."""
    query = select(block_shares).order_by(block_shares.c.origin)
    rows = await folder.database.read(lambda connection: connection.execute(query).all())
    return {row.origin: row for row in rows}


def keys(folder: Folder) -> dict[str, Identity]:
    """By name."""
    paths = (folder.root / "vault" / "shares").glob("*")
    return {path.name: Identity.parse(path.read_text()) for path in paths}


def plain(row: Row, key: Identity) -> dict[str, list[int]]:
    return json.loads(decrypt(bytes(row.sealed), [key]))


async def test_each_closing_has_a_key_of_its_own_and_the_last_one_keeps_nothing(folder):
    agents = await team(folder)
    seen: list[Row] = []
    for count, week in enumerate(WEEKS[:-1], 1):
        await closed(folder, week, [Had(agents[0], hits=2), *(Had(one, hits=1, kept=1) for one in agents[1:])])
        row, held = (await sealed(folder))[ORIGIN], keys(folder)
        assert list(held) == [row.key]
        shares = plain(row, held[row.key])
        assert shares == {agents[0].id: [2 * count, 0], **{one.id: [count, count] for one in agents[1:]}}
        for earlier in seen:  # a copy of the database of any night before
            with pytest.raises(AgeNoMatch):
                plain(earlier, held[row.key])
        seen.append(row)
    assert len({row.key for row in seen}) == len({row.sealed for row in seen}) == 12
    await closed(folder, WEEKS[-1], [whole(one) for one in agents])
    row = (await sealed(folder))[ORIGIN]
    assert (row.key, bytes(row.sealed), keys(folder)) == ("", b"", {})


async def test_nothing_that_is_kept_of_an_epoch_names_an_agent(folder):
    agents = await team(folder)
    await closed(folder, WEEKS[0], [whole(one) for one in agents])
    query = select(epochs.c.figures)
    (figures,) = await folder.database.read(lambda connection: connection.execute(query).scalars().all())
    assert set(figures) == {"leaves", "kept"}
    row = (await sealed(folder))[ORIGIN]
    assert not any(one.id.encode() in bytes(row.sealed) + row.key.encode() for one in agents)


@pytest.mark.parametrize("kept", [0, 1, 10, 120])
async def test_how_long_it_is_depends_on_how_many_agents_had_hits(folder, kept):
    agents = await team(folder, 3)
    await closed(folder, WEEKS[0], [Had(agents[0], hits=120, kept=kept), Had(agents[1], hits=3), Had(agents[2])])
    row = (await sealed(folder))[ORIGIN]
    assert len(decrypt(bytes(row.sealed), list(keys(folder).values()))) == 3 * BYTES_OF_AN_AGENT


async def test_a_last_epoch_that_is_closed_after_the_next_blocks_first_has_its_figure(folder):
    agents = await team(folder)
    await closed(folder, WEEKS[0], [whole(one) for one in agents])
    await fill(folder, ORIGIN, WEEKS[-1], [Had(one, hits=4) for one in agents])
    await closed(folder, "2026-W27", [Had(one, hits=2) for one in agents], NEXT)
    assert set(keys(folder)) == {row.key for row in (await sealed(folder)).values()} and len(keys(folder)) == 2
    assert (await closed(folder, WEEKS[-1], [])).kept == 2
    assert {origin: bool(row.sealed) for origin, row in (await sealed(folder)).items()} == {ORIGIN: False, NEXT: True}
    assert list(keys(folder)) == [(await sealed(folder))[NEXT].key]


async def test_an_epoch_that_is_closed_after_its_blocks_last_adds_nothing_any_more(folder):
    agents = await team(folder)
    assert (await closed(folder, "2026-06-28", [whole(one) for one in agents])).kept == 4
    assert (await closed(folder, "2026-06-27", [Had(one, hits=4) for one in agents])).kept is None
    assert not (await sealed(folder))[ORIGIN].sealed and not keys(folder)


@pytest.mark.parametrize("fate", ["gone", "garbled", "another's"])
async def test_a_block_of_which_something_is_lost_is_told_nothing_of(folder, fate):
    agents = await team(folder)
    await closed(folder, WEEKS[0], [Had(one, hits=1) for one in agents])
    (key,) = (folder.root / "vault" / "shares").iterdir()
    if fate == "gone":
        key.unlink()
    else:
        key.write_bytes(b"\xff" if fate == "garbled" else Identity.generate().secret_text().encode())
    for week in WEEKS[1:]:
        assert (await closed(folder, week, [whole(one) for one in agents])).kept is None


async def test_what_a_refused_closing_leaves_is_destroyed_by_the_next(folder):
    agents = await team(folder)
    await closed(folder, WEEKS[0], [whole(one) for one in agents])
    with pytest.raises(EpochStep):
        await folder.epochs.close(WEEKS[0], LIMITS, epoch_named(WEEKS[0]).end)
    (folder.root / "vault" / "shares" / "half.tmp").write_text(Identity.generate().secret_text())
    row, held = (await sealed(folder))[ORIGIN], keys(folder)
    assert len(held) == 3 and plain(row, held[row.key])
    await folder.epochs.forget_lists(epoch_named(WEEKS[0]).end)
    assert keys(folder) == {row.key: held[row.key]}
    assert (await closed(folder, WEEKS[-1], [Had(one, hits=4) for one in agents])).kept == 2


async def test_a_key_that_the_disk_keeps_is_destroyed_later(folder, monkeypatch):
    def refuse(path: object, *, overwrite: bool) -> bool:
        raise StorageUnavailable("can't erase a file: input/output error")

    agents = await team(folder)
    await closed(folder, WEEKS[0], [whole(one) for one in agents])
    with monkeypatch.context() as disk:
        disk.setattr("storage.block_shares.durable.erase", refuse)
        await closed(folder, WEEKS[1], [whole(one) for one in agents])
        assert len(keys(folder)) == 2  # but the epoch is closed
        with pytest.raises(StorageUnavailable):
            await folder.epochs.forget_lists(epoch_named(WEEKS[1]).end)
    await folder.epochs.forget_lists(epoch_named(WEEKS[1]).end)
    assert list(keys(folder)) == [(await sealed(folder))[ORIGIN].key]


async def test_an_epoch_waits_for_its_legs_without_a_key(folder):
    agents = await team(folder)
    await fill(folder, ORIGIN, WEEKS[0], [whole(one) for one in agents])
    open_leg = update(legs).where(legs.c.id == 1).values(o=None)
    await folder.database.write(lambda connection: connection.execute(open_leg).rowcount)
    assert not await folder.epochs.close(WEEKS[0], LIMITS, epoch_named(WEEKS[0]).end)
    assert not (folder.root / "vault" / "shares").exists() and not await sealed(folder)
    assert (await folder.epochs.get(WEEKS[0])).state is EpochState.OPENED


async def test_without_a_place_for_the_key_nothing_is_closed(folder):
    agents = await team(folder)
    (folder.root / "vault").mkdir(exist_ok=True)
    (folder.root / "vault" / "shares").write_text("in the way")
    with pytest.raises(StorageUnavailable):
        await closed(folder, WEEKS[0], [whole(one) for one in agents])
    assert (await folder.epochs.get(WEEKS[0])).state is EpochState.OPENED and not await sealed(folder)


async def test_a_block_whose_end_never_came_is_forgotten_with_its_log(folder):
    agents = await team(folder)
    await closed(folder, WEEKS[0], [whole(one) for one in agents])
    over = epoch_named(WEEKS[-1]).end
    await folder.epochs.forget_lists(over + timedelta(days=14))
    assert await sealed(folder) and keys(folder)
    await folder.epochs.forget_lists(over + timedelta(days=15))
    assert not await sealed(folder) and not keys(folder)


async def test_a_log_that_another_took_the_place_of_has_none(folder):
    agents = await team(folder)
    await closed(folder, WEEKS[0], [whole(one) for one in agents])

    def begin_anew(connection) -> None:
        close_log(connection, ORIGIN)
        open_log(connection, f"{ORIGIN}-r1")

    await folder.database.write(begin_anew)
    await folder.epochs.forget_lists(epoch_named(WEEKS[0]).end)
    assert not await sealed(folder) and not keys(folder)
