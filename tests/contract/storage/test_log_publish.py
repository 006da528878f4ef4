"""Publication: roots at the tiles' edges, every flipped bit, files that don't fit, reading while it moves."""

import asyncio
import hashlib
import os
import shutil

import pytest
from sqlalchemy import delete, update

from crypto.checkpoint import open_checkpoint
from crypto.merkle import verify_consistency
from crypto.tlog_tiles import Tile
from policy.log_entry import Day, encode
from storage.errors import BlobExists, LogBroken, LogClosed, LogEntryUnknown, StorageUnavailable
from storage.log import wal
from storage.log.publish import Publisher
from storage.log.reader import MAX_ENTRIES
from storage.tables import log_wal, logs
from tests.peers.log_check import leftovers, naive_root, personal
from tests.peers.log_house import LogHouse
from tests.peers.log_samples import SAMPLES
from tests.peers.stored import EPOCH, ORIGIN


@pytest.fixture
def house(local):
    return LogHouse(local)


async def test_roots_at_the_edges_of_tiles_are_the_naive_ones(house):
    await house.grow(0)
    checkpoint = await house.publisher.publish(ORIGIN)
    leaves = [b"%d" % i for i in range(65537)]
    hashes = [hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves]
    for size in (1, 255, 256, 257, 65535, 65536, 65537):
        await house.grow(size, leaves)
        checkpoint = await house.publisher.publish(ORIGIN)
        assert (checkpoint.size, checkpoint.root) == (size, naive_root(hashes[:size]))
        assert leftovers(house.folder) == []
    assert house.whole() == leaves
    assert await house.database.read(lambda connection: wal.waiting(connection, ORIGIN, 0, 1 << 40)) == []
    for old in (255, 256, 257, 65535, 65536):
        proof = await house.reader.consistency(ORIGIN, old, 65537)
        verify_consistency(old, 65537, naive_root(hashes[:old]), checkpoint.root, proof)


async def test_the_same_over_each_database(folder):
    house = LogHouse(folder)
    await house.grow(3)
    await house.publisher.publish(ORIGIN)
    for entry in SAMPLES:
        await house.append(entry)
    await house.publisher.publish_all()
    leaves = house.whole()
    assert leaves[3:] == [encode(entry) for entry in SAMPLES]
    assert personal(leaves) == []
    assert await house.reader.sizes() == {ORIGIN: len(leaves)}
    assert await house.reader.entries(ORIGIN, 0, len(leaves)) == leaves


async def test_entries_are_read_published_or_not(house):
    await house.grow(300)
    await house.publisher.publish(ORIGIN)
    await house.grow(310)
    days = [encode(Day(EPOCH, i)) for i in range(310)]
    for start, end in ((0, 310), (250, 260), (295, 305), (300, 310), (309, 310), (7, 7)):
        assert await house.reader.entries(ORIGIN, start, end) == days[start:end]
    for start, end in ((0, 311), (310, 311), (-1, 3), (5, 4), (0, MAX_ENTRIES + 1)):
        with pytest.raises(LogEntryUnknown):
            await house.reader.entries(ORIGIN, start, end)


async def test_proofs_hold_for_published_entries_and_older_checkpoints(house):
    await house.grow(300)
    await house.publisher.publish(ORIGIN)
    older = await house.reader.checkpoint(ORIGIN)
    await house.grow(600)
    newest = await house.publisher.publish(ORIGIN)
    for index, note, size in ((0, None, 600), (299, older, 300), (299, None, 600), (599, None, 600)):
        proof = await house.reader.proof(ORIGIN, index, note)
        assert proof.check(encode(Day(EPOCH, index)), ORIGIN, house.key.verify_key).size == size
    assert open_checkpoint(await house.reader.checkpoint(ORIGIN), ORIGIN, house.key.verify_key)[0] == newest
    for index, note in ((600, None), (300, older)):
        with pytest.raises(LogEntryUnknown):
            await house.reader.proof(ORIGIN, index, note)
    with pytest.raises(LogEntryUnknown):
        await house.reader.consistency(ORIGIN, 601, 600)


async def test_publishing_and_appending_at_once_loses_nothing(house):
    await house.grow(0)

    async def appends():
        for i in range(60):
            await house.database.write(lambda connection, i=i: wal.append(connection, ORIGIN, Day(EPOCH, i)))

    async def publishes():
        for _ in range(8):
            await house.publisher.publish(ORIGIN)

    async def reads():
        for _ in range(20):
            size = (await house.reader.sizes())[ORIGIN]
            assert len(await house.reader.entries(ORIGIN, 0, size)) == size

    await asyncio.gather(appends(), publishes(), publishes(), reads())
    await house.publisher.publish(ORIGIN)
    assert house.whole() == [encode(Day(EPOCH, i)) for i in range(60)]


async def test_a_flipped_bit_in_what_is_still_read_is_never_signed_over(house):
    await house.grow(300)
    await house.publisher.publish(ORIGIN)
    await house.grow(301)
    good = {path: path.read_bytes() for path in house.folder.rglob("*") if path.is_file()}
    read_on = ["checkpoint", "tile/entries/001.p/44", "tile/0/001.p/44", "tile/1/000.p/1"]
    for name in read_on:
        path = house.folder / name
        for at in range(0, len(good[path]) * 8, max(1, len(good[path]) * 8 // 40)):
            data = bytearray(good[path])
            data[at // 8] ^= 1 << at % 8
            path.write_bytes(data)
            with pytest.raises(LogBroken):
                await house.publisher.publish(ORIGIN)
        path.write_bytes(good[path])
    assert (await house.publisher.publish(ORIGIN)).size == 301


async def test_any_flipped_bit_of_a_published_log_is_found(house):
    await house.grow(260)
    await house.publisher.publish(ORIGIN)
    for path in [path for path in house.folder.rglob("*") if path.is_file()]:
        good = path.read_bytes()
        for at in range(0, len(good) * 8, max(1, len(good) * 8 // 12)):
            data = bytearray(good)
            data[at // 8] ^= 1 << at % 8
            path.write_bytes(data)
            with pytest.raises(Exception):  # noqa: B017 whatever it trips over first
                house.whole()
        path.write_bytes(good)
    house.whole()


async def test_rows_that_do_not_follow_the_checkpoint_are_never_signed_over(house):
    await house.grow(10)
    await house.publisher.publish(ORIGIN)
    await house.grow(14)
    await house.database.write(
        lambda connection: connection.execute(delete(log_wal).where(log_wal.c.idx == 11)).rowcount
    )
    with pytest.raises(LogBroken):
        await house.publisher.publish(ORIGIN)
    shutil.rmtree(house.folder)
    with pytest.raises(LogBroken):
        await Publisher(house.database, house.files, house.key).publish_all()


async def test_an_older_database_beside_a_newer_log_is_seen(house):
    await house.grow(10)
    await house.publisher.publish(ORIGIN)
    await house.database.write(lambda connection: connection.execute(update(logs).values(size=9)).rowcount)
    with pytest.raises(LogBroken, match="older database"):
        await house.publisher.publish(ORIGIN)


async def test_nothing_is_published_for_a_log_that_nobody_opened(house):
    with pytest.raises(LogClosed):
        await house.publisher.publish("hamburg/fairtap/2026-27")
    with pytest.raises(LogEntryUnknown):
        await house.reader.checkpoint("../../etc")
    with pytest.raises(LogEntryUnknown):
        await house.reader.checkpoint(ORIGIN)


async def test_a_full_disk_costs_a_publication_and_nothing_else(house, monkeypatch):
    await house.grow(300)

    def full(*_):
        raise OSError(28, "No space left on device")

    for name in ("fdatasync", "rename"):
        with monkeypatch.context() as patched:
            patched.setattr(os, name, full)
            with pytest.raises(StorageUnavailable):
                await house.publisher.publish(ORIGIN)
    assert (await house.publisher.publish(ORIGIN)).size == 300
    assert len(house.whole()) == 300


async def test_partial_tiles_stay_as_long_as_the_checkpoint_needs_them(house, monkeypatch):
    await house.grow(240)
    await house.publisher.publish(ORIGIN)
    await house.grow(300)

    def dies(*_):
        raise StorageUnavailable("before the commit point")

    with monkeypatch.context() as patched:
        patched.setattr(house.files, "commit", dies)
        for _ in range(2):  # the second time as after a restart
            with pytest.raises(StorageUnavailable):
                await Publisher(house.database, house.files, house.key).publish(ORIGIN)
            assert len(house.whole()) == 240
    await house.publisher.publish(ORIGIN)
    assert len(house.whole()) == 300
    assert leftovers(house.folder) == []


async def test_a_tile_is_never_written_over(house):
    await house.grow(300)
    await house.publisher.publish(ORIGIN)
    with pytest.raises(BlobExists):
        house.files.put(ORIGIN, Tile(0, 0), bytes(8192))


async def test_the_scan_of_leaves_would_see(house):
    assert personal([encode(Day(EPOCH, 3))]) == []
    leaf = encode(SAMPLES[7]).replace(b"service-strom", b"4940123456")
    assert personal([leaf]) != []
