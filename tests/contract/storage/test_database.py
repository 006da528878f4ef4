"""The database: migrations equal the tables, writes share commits but no failures, times are UTC."""

import asyncio
import contextlib
import os
import stat
import traceback
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, event, insert, select, text
from sqlalchemy.exc import StatementError

from storage import migrations
from storage.database import Database
from storage.errors import AgentUnknown, StorageUnavailable, StorageUrlError
from storage.figures import Figures
from storage.tables import acts, block_shares, campaigns, cosignatures, epochs, metadata, receipts
from tests.peers.stored import AT


@pytest.fixture
async def database(url):
    opened = await Database.open(url)
    await opened.migrate()
    yield opened
    await opened.close()


def add(name):
    return lambda connection: connection.execute(insert(campaigns).values(agreement="bv", id=name, hits=0)).rowcount


def names(connection):
    return list(connection.execute(select(campaigns.c.id).order_by(campaigns.c.id)).scalars())


async def test_migrations_make_exactly_the_tables(database):
    def differences(connection):
        return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)

    assert await database.read(differences) == []


async def test_migrating_again_changes_nothing(database):
    await database.write(add("kept"))
    await database.migrate()
    assert await database.read(names) == ["kept"]


async def test_a_campaigns_hits_count_on_for_every_agreement_and_epochs_from_the_acts_before_them(url):
    opened = await Database.open(url)
    await opened.write(lambda connection: upgraded(connection, "0011"))
    await opened.write(as_it_was)
    await opened.migrate()
    rows = await opened.read(lambda connection: connection.execute(select(campaigns).order_by(*campaigns.c)).all())
    assert [tuple(row) for row in rows] == [("bv-nord", "april", 7), ("bv-sued", "april", 7)]
    counted = await opened.read(lambda connection: dict(connection.execute(select(epochs.c.name, epochs.c.acts)).all()))
    assert counted == {"2026-W14": 1, "2026-W15": None, "2026-W16": 3}
    await opened.close()


async def test_what_an_older_version_kept_of_an_epoch_is_told_by_no_statistics(url):
    opened = await Database.open(url)
    await opened.write(lambda connection: upgraded(connection, "0013"))
    begun = datetime(2026, 3, 23, tzinfo=UTC)
    times = {"starts_at": begun, "ends_at": begun + timedelta(weeks=1), "first_day": begun.date()}
    row = {"name": "2026-W13", "origin": "hamburg/fairtap/2026-01", "state": "revealed", "c": b"", "csig": "", **times}
    counted = {"groups": {}, "x": {}, "manifests": ["ab" * 32], "root": "cd" * 32, "kept": 1, "hits": 2, "told": False}
    await opened.write(lambda connection: connection.execute(insert(epochs).values(**row, figures=counted)))
    await opened.migrate()
    assert await Figures(opened).kept_by(date(2026, 7, 1)) is None
    assert await opened.read(lambda connection: connection.execute(select(epochs.c.figures)).scalars().all()) == [None]
    await opened.close()


async def test_what_an_older_version_kept_of_agents_in_a_block_is_gone_from_the_file(url, tmp_path):
    opened = await Database.open(url)
    await opened.write(lambda connection: upgraded(connection, "0014"))
    begun, agent = datetime(2026, 3, 30, tzinfo=UTC), "5e" * 16
    rows = []
    for week, shares in [(13, {}), (14, {}), (15, {agent: [9, 0]})]:
        start = begun + timedelta(weeks=week - 14)
        times = {"starts_at": start, "ends_at": start + timedelta(weeks=1), "first_day": start.date()}
        origin, fixed = (
            f"hamburg/fairtap/2026-{'01' if week == 13 else '14'}",
            {"state": "revealed", "c": b"", "csig": ""},
        )
        counted = {"leaves": ["ab" * 32] * 50, "shares": shares, "kept": None}
        rows.append({"name": f"2026-W{week}", "origin": origin, "figures": counted, **fixed, **times})
    await opened.write(lambda connection: connection.execute(insert(epochs), rows).rowcount)
    await opened.close()
    assert not url.startswith("sqlite") or agent.encode() in everything_on_disk(tmp_path)
    opened = await Database.open(url)
    await opened.migrate()
    assert agent.encode() not in everything_on_disk(tmp_path)
    figures = await opened.read(lambda connection: connection.execute(select(epochs.c.figures)).scalars().all())
    assert figures == [{"leaves": ["ab" * 32] * 50, "kept": None}] * 3
    left = await opened.read(lambda connection: connection.execute(select(block_shares)).all())
    assert [tuple(row) for row in left] == [("hamburg/fairtap/2026-14", "", b"")]  # so it tells of no few weeks
    await opened.close()


def everything_on_disk(folder: Path) -> bytes:
    """The file, and what is written ahead of it."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def upgraded(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def as_it_was(connection: Connection) -> None:
    """Two agreements and rates of one; an epoch opened ahead, between the agreements, one promised, one opened late."""
    connection.execute(text("INSERT INTO campaigns (id, hits) VALUES ('april', 7)"))
    for seq, (kind, agreement, day) in enumerate(
        (("agreement", "bv-nord", 1), ("agreement", "bv-sued", 2), ("rates", "bv-nord", 9)), start=1
    ):
        row = {"seq": seq, "type": kind, "agreement": agreement, "digest": str(seq), "act": b"", "signatures": {}}
        connection.execute(insert(acts).values(**row, at=datetime(2026, 4, day, tzinfo=UTC)))
    seen = {"origin": "o", "line": "", "at": datetime(2026, 4, 1, 12, tzinfo=UTC)}
    connection.execute(insert(cosignatures), [{**seen, "size": size} for size in (5, 6)])
    for week, share, index in ((14, b"share", 5), (15, None, None), (16, b"share", 9)):
        start = datetime(2026, 4, 6, tzinfo=UTC) + timedelta(weeks=week - 14)
        times = {"starts_at": start, "ends_at": start + timedelta(weeks=1), "first_day": start.date()}
        row = {"name": f"2026-W{week}", "origin": "o", "state": "x", "c": b"", "csig": "", "council_secret": share}
        connection.execute(insert(epochs).values(**row, **times, committed_index=index))


async def test_a_refused_work_undoes_itself_alone(database):
    def refuse(connection):
        add("undone")(connection)
        raise AgentUnknown("no such agent on the roster")

    async def refused():
        with pytest.raises(AgentUnknown):
            await database.write(refuse)

    async def twice():
        with pytest.raises(StorageUnavailable, match="IntegrityError"):
            await database.write(add("first"))

    await database.write(add("first"))
    await asyncio.gather(database.write(add("before")), refused(), twice(), database.write(add("after")))
    assert await database.read(names) == ["after", "before", "first"]


async def test_waiting_writes_share_a_commit(database):
    commits = []
    event.listen(database._writer.sync_engine, "commit", lambda connection: commits.append(1))
    await asyncio.gather(*(database.write(add(f"{number:03}")) for number in range(100)))
    assert len(commits) < 10
    assert len(await database.read(names)) == 100


async def test_a_cancelled_waiter_harms_no_other(database):
    first, second = (asyncio.ensure_future(database.write(add(name))) for name in ("one", "two"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 1
    with contextlib.suppress(asyncio.CancelledError):
        await first
    assert "two" in await database.read(names)


async def test_close_finishes_what_waits(url):
    database = await Database.open(url)
    await database.migrate()
    waiting = asyncio.ensure_future(database.write(add("late")))
    await asyncio.sleep(0)
    await database.close()
    assert await waiting == 1


async def test_bugs_reach_their_caller_and_nobody_else(database):
    def bug(connection):
        raise ZeroDivisionError

    results = await asyncio.gather(database.write(bug), database.write(add("fine")), return_exceptions=True)
    assert isinstance(results[0], ZeroDivisionError) and results[1] == 1


def receipt(at):
    values = {"jti": "j", "call_ref": "c", "outcome": "yes", "receipt": b"", "signature": "", "at": at}
    return insert(receipts).values(keep_until=at, **values)


async def test_times_come_back_aware_in_utc(database):
    there = AT.astimezone(timezone(timedelta(hours=2)))
    await database.write(lambda connection: connection.execute(receipt(there)).rowcount)
    found = await database.read(lambda connection: connection.execute(select(receipts.c.at)).scalar_one())
    assert found == AT and found.tzinfo is UTC


async def test_a_naive_time_is_refused(database):
    naive = datetime(2026, 4, 6, 9, 30)  # noqa: DTZ001  # what the test is about
    with pytest.raises((StorageUnavailable, StatementError)):
        await database.write(lambda connection: connection.execute(receipt(naive)).rowcount)
    assert await database.read(lambda connection: connection.execute(select(receipts.c.at)).all()) == []


async def test_values_never_stand_in_an_error(database):
    secret = "Alma Beispiel"
    await database.write(add(secret))
    with pytest.raises(StorageUnavailable) as caught:
        await database.write(add(secret))
    assert secret not in "".join(traceback.format_exception(caught.value))


async def test_a_reader_beside_the_writer_sees_what_is_committed_and_writes_nothing(database, url):
    await database.write(add("seen"))
    reader = await Database.open(url, read_only=True)
    assert await reader.read(names) == ["seen"]
    with pytest.raises(StorageUnavailable):
        await reader.write(add("x"))
    with pytest.raises(StorageUnavailable):
        await reader.read(add("x"))
    await database.write(add("later"))
    assert await reader.read(names) == ["later", "seen"]
    await reader.close()


async def test_a_reader_of_a_folder_whose_gateway_is_off(tmp_path):
    url = f"sqlite:///{tmp_path}/fairtap.db"
    database = await Database.open(url)
    await database.migrate()
    await database.write(add("kept"))
    await database.close()
    reader = await Database.open(url, read_only=True)
    assert await reader.read(names) == ["kept"]
    await reader.close()


async def test_sqlite_is_durable_and_private(tmp_path):
    database = await Database.open(f"sqlite:///{tmp_path}/new/fairtap.db")
    await database.migrate()
    pragmas = {}

    def look(connection):
        for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete"):
            pragmas[name] = connection.execute(text(f"PRAGMA {name}")).scalar_one()

    await database.write(look)
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
    for path in (tmp_path / "new").iterdir():
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path
    await database.close()


@pytest.mark.parametrize(
    "url",
    [
        *("sqlite:///relative.db", "sqlite://", "mysql://host/db", "postgresql://host/db", "nonsense", "sqlite+x:///y"),
        *("postgresql+asyncpg://user:wort", "postgresql+asyncpg://user:a@wort:b@host/db"),
    ],
)
async def test_other_urls_are_refused_and_nothing_of_a_password_is_told(url):
    with pytest.raises(StorageUrlError) as refused:
        await Database.open(url)
    assert "wort" not in str(refused.value)


async def test_a_database_that_isnt_there_is_declared(tmp_path):
    with pytest.raises(StorageUnavailable):
        await Database.open(f"sqlite:///{tmp_path}/none.db", read_only=True)
    with pytest.raises(StorageUnavailable):
        await Database.open(f"postgresql+asyncpg://fairtap@/none?host={tmp_path}")
    (tmp_path / "no.db").write_bytes(b"not a database, though long enough to look at" * 40)
    with pytest.raises(StorageUnavailable):
        broken = await Database.open(f"sqlite:///{tmp_path}/no.db")
        await broken.migrate()
