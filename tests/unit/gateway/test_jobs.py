"""Jobs by the clock: what ends soon is said once, before it ends."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from sqlalchemy import delete, update

from gateway.engine.jobs import Jobs
from gateway.engine.log_keeper import LogKeeper
from gateway.events import Alarm
from policy.draw_rules import Epoch
from policy.epochs import EpochState
from policy.log_block import LogBlock
from policy.log_entry import Build, parse
from storage.errors import StorageUnavailable
from storage.log import wal
from storage.log.files import LocalLogFiles
from storage.log.publish import Publisher
from storage.stamp import Stamp
from storage.tables import epochs, log_wal, logs
from tests.peers.engine_bench import EngineBench

BUILD = Build("a" * 64, "b" * 64, "c" * 64)


def keeper(bench):
    folder = bench.folder
    publisher = Publisher(folder.database, LocalLogFiles(folder.root), folder.key)
    return LogKeeper(
        folder.database, publisher, Stamp(folder.database, folder.root), "bremen", BUILD, bench.clock, bench.bus
    )


async def test_an_end_is_warned_of_once_on_its_day(tmp_path):
    bench = await EngineBench.make(tmp_path)
    jobs = Jobs(bench.engine, bench.engine.site.consents, tmp_path / "run", bench.epochs, keeper(bench), 60)
    heard = bench.bus.subscribe()
    agreement = bench.site.agreement
    assert agreement is not None
    bench.clock.step((agreement.validity.end - bench.clock.wallclock() - timedelta(days=7, hours=-1)).total_seconds())
    await jobs._warn()
    bench.clock.advance(3600)
    await jobs._warn()
    heard.end()
    said = [event.text for event in [one async for one in heard] if isinstance(event, Alarm)]
    assert [text for text in said if "7" in text and agreement.id in text] == said
    assert len(said) == 1
    await bench.close()


async def told(bench, origin):
    rows = await bench.folder.database.read(lambda connection: wal.waiting(connection, origin, 0, 99))
    return [parse(leaf) for _, leaf in rows]


async def test_logs_are_open_before_their_block_begins_and_say_what_runs(tmp_path):
    bench = await EngineBench.make(tmp_path)
    logs = keeper(bench)
    await logs.begin()
    today = LogBlock.of_day("bremen", bench.clock.wallclock().date())
    assert BUILD in await told(bench, str(today))
    later = LogBlock.of_day("bremen", today.days[1])
    soon = datetime.combine(today.days[1], time(), UTC) - timedelta(days=8)
    bench.clock.step((soon - bench.clock.wallclock()).total_seconds())
    await logs.publish()
    assert (await bench.folder.database.read(wal.open_logs))[-1] == str(later)
    assert (bench.folder.root / "log" / str(later) / "checkpoint").exists()
    await bench.close()


async def test_a_log_that_cannot_be_published_is_told_and_costs_nothing_else(tmp_path):
    bench = await EngineBench.make(tmp_path)
    logs = keeper(bench)
    await logs.begin()
    await logs.publish()
    heard = bench.bus.subscribe()
    [checkpoint] = (bench.folder.root / "log" / "bremen").glob("*/*/checkpoint")
    checkpoint.write_bytes(checkpoint.read_bytes().replace(b"\n", b"\n\n", 1))
    await logs.publish()
    heal = bench.break_database()
    await logs.publish()
    heal()
    heard.end()
    alarms = [event.text for event in [one async for one in heard] if isinstance(event, Alarm)]
    assert len(alarms) == 2
    assert "nothing is published" in alarms[0] and "check the disk" in alarms[1]
    await bench.close()


async def test_beside_an_older_database_the_log_begins_anew(tmp_path):
    bench = await EngineBench.make(tmp_path)
    logs = keeper(bench)
    await logs.begin()
    block = LogBlock.of_day("bremen", bench.clock.wallclock().date())
    fresh, epoch = str(block), Epoch("2026-W09", bench.clock.wallclock(), bench.clock.wallclock())
    for restores in (1, 2):
        await logs.publish()
        older = str(replace(block, restores=restores - 1))
        # as a snapshot from before the last publication, which doesn't know of a restore before it either
        await bench.folder.database.write(lambda connection: _put_back(connection, str(block)))
        await bench.folder.epochs.promise(epoch, str(block), epoch.start.date(), bytes(32), "signature")
        await keeper(bench).begin()
        fresh = str(replace(block, restores=restores))
        assert (await bench.folder.epochs.get(epoch.name)).state is EpochState.DARK
        standing = await bench.folder.database.read(wal.open_logs)
        assert fresh in standing and older not in standing
        assert BUILD in await told(bench, fresh)
        assert (bench.folder.root / "log" / older / "checkpoint").exists()
        logs = keeper(bench)
    await logs.publish()
    assert (bench.folder.root / "log" / fresh / "checkpoint").exists()
    await bench.close()


def _put_back(connection, origin):
    connection.execute(delete(log_wal))
    connection.execute(delete(epochs).where(epochs.c.name == "2026-W09"))
    connection.execute(delete(logs).where(logs.c.origin != origin))
    connection.execute(update(logs).values(size=0, open=True))


async def test_what_an_earlier_run_left_open_is_tried_again_until_the_disk_takes_it(tmp_path, monkeypatch):
    bench = await EngineBench.make(tmp_path)
    jobs = Jobs(bench.engine, bench.engine.site.consents, tmp_path / "run", bench.epochs, keeper(bench), 60)
    tries = []

    async def close_leftovers(ledger):
        tries.append(1)
        if len(tries) < 3:
            raise StorageUnavailable("the disk refuses")
        return 1

    monkeypatch.setattr(type(bench.engine.ledger), "close_leftovers", close_leftovers, raising=False)
    for period in ("WORKERS_REPORT_S", "PROBE_S"):
        monkeypatch.setattr(f"gateway.engine.jobs.{period}", 0)
    await jobs._leftovers()
    assert len(tries) == 3
    await bench.close()
