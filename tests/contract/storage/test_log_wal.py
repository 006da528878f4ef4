"""Entries in the rows' own transaction: dense places, what a new log begins with, openings for their agents."""

import json
from datetime import timedelta

import pytest

from crypto.commitment import opens
from crypto.ssh_key import SigningKey
from crypto.x25519 import Identity
from policy.errors import LogEntryError
from policy.log_block import LogBlock
from policy.log_entry import Anchor, Day, Erase, Key, encode, parse
from storage.acts import Acts
from storage.acts import Anchor as SetAnchor
from storage.errors import LogClosed
from storage.log import wal
from storage.roster import NewAgent
from storage.tables import log_openings
from tests.peers.log_check import personal
from tests.peers.stored import AT, EPOCH, ORIGIN

LATER = "hamburg/fairtap/2026-27"


@pytest.fixture
def database(folder):
    return folder.database


def leaves(database, origin=ORIGIN):
    return database.read(lambda connection: wal.waiting(connection, origin, 0, 1 << 40))


async def test_entries_have_dense_places_and_one_refused_leaves_no_gap(database):
    assert not await database.write(lambda connection: wal.open_log(connection, ORIGIN))
    for i in range(3):
        assert await database.write(lambda connection, i=i: wal.append(connection, ORIGIN, Day(EPOCH, i))) == i
    with pytest.raises(LogEntryError):
        await database.write(lambda connection: wal.append(connection, ORIGIN, Day(EPOCH, -1)))

    def undone(connection):
        wal.append(connection, ORIGIN, Day(EPOCH, 7))
        raise LogClosed("the row that it describes was refused")

    with pytest.raises(LogClosed):
        await database.write(undone)
    assert await database.write(lambda connection: wal.append(connection, ORIGIN, Day(EPOCH, 3))) == 3
    assert await leaves(database) == [(i, encode(Day(EPOCH, i))) for i in range(4)]
    assert await database.read(wal.known_logs) == {ORIGIN: 4}


async def test_a_log_that_is_not_open_takes_nothing(database):
    await database.write(lambda connection: wal.close_log(connection, ORIGIN))
    for refused in (
        lambda connection: wal.append(connection, LATER, Day(EPOCH, 0)),
        lambda connection: wal.append(connection, ORIGIN, Day(EPOCH, 0)),
        lambda connection: wal.append_committed(connection, Erase, "x", {}),
        lambda connection: wal.open_log(connection, "../fairtap/2026-14"),
    ):
        with pytest.raises(LogClosed):
            await database.write(refused)


async def test_anchors_stand_in_every_open_log_and_begin_a_new_one(database):
    council, employer = SigningKey.generate().verify_key.line(), SigningKey.generate().verify_key.line()
    recipient = str(Identity.generate().recipient)
    given = [SetAnchor("council", council, recipient), SetAnchor("employer", employer, recipient)]
    await Acts(database).set_anchors(given, AT)
    await database.write(lambda connection: wal.open_log(connection, LATER))
    expected = [Anchor("council", council, recipient, 1, None), Anchor("employer", employer, None, 1, None)]
    for origin in (ORIGIN, LATER):
        assert [parse(leaf) for _, leaf in await leaves(database, origin)] == expected


async def test_a_log_whose_block_is_over_hears_of_no_act(database):
    await database.write(lambda connection: wal.open_log(connection, LATER))
    end = LogBlock.parse(ORIGIN).days[1]
    for day in (end + timedelta(days=14), end + timedelta(days=15)):
        await database.write(lambda connection, day=day: wal.append_everywhere(connection, day, [Day(EPOCH, 0)]))
    assert [len(await leaves(database, origin)) for origin in (ORIGIN, LATER)] == [1, 2]


async def test_a_commitment_opens_with_what_its_agent_keeps(folder, database):
    agent = await folder.roster.add(NewAgent("Erika Mustermann", "team-a", "hamburg"), AT)
    told = {"recording": "1" * 32, "side": "agent"}
    await database.write(lambda connection: wal.open_log(connection, LATER))
    await database.write(lambda connection: wal.append_committed(connection, Erase, agent, told))
    assert await leaves(database) == []
    [(index, leaf)] = await leaves(database, LATER)
    [row] = await database.read(lambda connection: connection.execute(log_openings.select()).all())
    entry = parse(leaf)
    assert (row.agent, row.origin, row.idx, row.kind) == (agent, LATER, index, "erase")
    assert isinstance(entry, Erase)
    assert opens(bytes.fromhex(entry.m), "erase", told, bytes(row.salt))


async def test_published_rows_go(database):
    for i in range(4):
        await database.write(lambda connection, i=i: wal.append(connection, ORIGIN, Day(EPOCH, i)))
    await database.write(lambda connection: wal.drop(connection, ORIGIN, 3))
    assert [index for index, _ in await leaves(database)] == [3]
    assert await database.read(wal.known_logs) == {ORIGIN: 4}


async def test_an_enrolment_is_in_the_log_and_opens_for_its_agent(folder, database, identity):
    agent = await folder.roster.add(NewAgent("Erika Mustermann", "team-a", "hamburg"), AT)
    recipient, signing = str(identity.recipient), str(SigningKey.generate().verify_key)
    await folder.roster.enrol(agent, recipient=recipient, signing_key=signing, statement="{}", signature="s", at=AT)
    [(index, leaf)] = await leaves(database)
    entry, told = parse(leaf), {"who": agent, "recipient": recipient, "from": "2026-04-06T09:30:15.123Z", "to": None}
    [row] = await database.read(lambda connection: connection.execute(log_openings.select()).all())
    assert (row.agent, row.idx, row.kind, json.loads(row.told)) == (agent, index, "key", told)
    assert isinstance(entry, Key)
    assert opens(bytes.fromhex(entry.c), "key", told, bytes(row.salt))
    assert personal([leaf]) == []
