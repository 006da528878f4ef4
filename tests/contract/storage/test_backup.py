"""Backup and restore over each kind of database: what comes back, what must not, what is refused and when."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import insert, select, text, update

from crypto.checkpoint import Checkpoint, open_checkpoint
from crypto.ssh_key import SigningKey
from crypto.x25519 import Identity
from gateway.engine.protected import ProtectedParties, protect
from gateway.migrate import migrate
from gateway.restore import Asked, restore
from policy.epochs import EpochState
from policy.retention import ERASE_SIDE_AFTER, ORPHAN_AFTER
from policy.terms import ConsentState
from storage import gateway_key, migrations
from storage.backup import contents
from storage.backup.databases import sqlite_file
from storage.blobs import Kind
from storage.consents import Consents
from storage.erasures import Erasures, Hold
from storage.errors import (
    BackupBroken,
    BackupRefused,
    RestoreUnfinished,
    SchemaNewer,
    StorageUnavailable,
    StorageUrlError,
    WriterRunning,
)
from storage.lock import WriterLock, restoring_mark
from storage.log import wal
from storage.names import SegmentKey
from storage.recordings import SegmentState
from storage.replay import erase_orphans
from storage.retention import erase_due
from storage.tables import block_shares, campaigns, epochs, legs
from tests.peers.backed_up import FIRST, LATER, SECOND, Site, publisher, quiet
from tests.peers.filled_epoch import Had, fill
from tests.peers.opened_epoch import LIMITS
from tests.peers.stored import AT, EPOCH, ORIGIN, add_agent

FRESH = f"{ORIGIN}-r1"


@pytest.fixture
async def site(tmp_path, fresh_url, identity):
    """Filled and closed."""
    made = Site(tmp_path, fresh_url(), identity)
    await made.fill()
    return made


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A site over SQLite with a backup, made once and copied, since that takes a while."""
    made = Site(tmp_path_factory.mktemp("template"), "", Identity.generate())
    made.url = f"sqlite:///{made.root}/site.db"
    asyncio.run(made.fill())
    made.back_up()
    return made


@pytest.fixture
def backed_up(tmp_path, template):
    """The copy: a site, and `backup` beside it."""
    root = tmp_path / "site"
    shutil.copytree(template.root, root)
    return Site(root, f"sqlite:///{root}/site.db", template.identity)


@pytest.fixture
def local_site(backed_up):
    """The copy without its backup."""
    shutil.rmtree(backed_up.root / "backup")
    return backed_up


async def test_a_site_comes_back_without_what_was_erased_and_asked_for_since(site, fresh_url):
    made = await site.kept()
    assert (made.recordings, made.gone, made.damaged) == (4, 0, [])
    folder = await site.open()
    erasures = Erasures(folder.recordings)
    await erasures.request(SECOND, "agent", AT)
    later = AT + ERASE_SIDE_AFTER
    assert (await erase_due(folder.recordings, Consents(folder.database), later)).sides == ((SECOND, "agent"),)
    await erasures.request(FIRST, "caller", later)
    for by in ("dpo", "agent"):
        await erasures.hold(Hold(FIRST, by, "a claim is under way", later, later + timedelta(days=30)))
    assert await erasures.lift(FIRST, "agent")
    await site.record(folder, LATER)
    await folder.database.close()
    site.lose()
    site.url = fresh_url()
    result = await site.put_back()
    assert result.recordings == {"kept": 2, "erased": 1, "asked": 1, "held": 1, "unreadable": 0, "orphans": 1}
    folder = await site.open()
    opening = [(one, side) for one in (FIRST, SECOND, LATER) for side in ("agent", "caller")]
    assert [pair for pair in opening if site.opens(folder, *pair)] == [
        (FIRST, "agent"),
        (FIRST, "caller"),
        (SECOND, "caller"),
    ]
    states = {part.key.side: part.state for part in (await folder.recordings.get(SECOND)).segments}
    assert states == {"agent": SegmentState.ERASED, "caller": SegmentState.SEALED}
    assert folder.sealer.blobs.size(SegmentKey(SECOND, 1, "agent"), Kind.PAYLOAD) is None  # not even copied
    asked = await Erasures(folder.recordings).pending(FIRST, AT)
    assert [(one.side, one.requested_at) for one in asked] == [("caller", later)]
    [held] = await Erasures(folder.recordings).holds(FIRST, later)
    assert (held.by, held.reason, held.until) == ("dpo", "a claim is under way", later + timedelta(days=30))
    assert not restoring_mark(site.data).exists() and not list(site.root.rglob("*.restoring*"))
    await folder.database.close()


async def test_it_is_settled_as_an_older_state(site, fresh_url):
    await site.kept()
    site.lose()
    site.url = fresh_url()
    result = await site.put_back()
    assert FRESH in result.logs
    folder = await site.open()
    [agent] = await folder.roster.list()
    standing = await Consents(folder.database).standing(agent.id)
    assert {one.answer for one in standing.values()} == {ConsentState.UNSET}
    assert (await folder.epochs.get(EPOCH)).state is EpochState.DARK
    assert await folder.legs.without_out() == []  # or nothing would ever be closed after them
    assert await folder.epochs.restored() and await folder.epochs.newest_cosignature() is None
    opened = await folder.database.read(wal.open_logs)
    assert FRESH in opened and ORIGIN not in opened
    # the older log is there to its last published entry, and nothing more is ever signed in it
    older = (site.data / "log" / ORIGIN / "checkpoint").read_bytes()
    await publisher(folder).publish_all()
    assert (site.data / "log" / ORIGIN / "checkpoint").read_bytes() == older
    assert (site.data / "log" / FRESH / "checkpoint").exists()
    assert "+4940998877" not in (site.root / "backup" / "protected.hashes").read_text()
    await folder.database.close()


async def test_a_second_restore_begins_other_logs_than_the_first(site, fresh_url):
    await site.kept()
    for number in (1, 2):
        site.lose()  # with the log's files, so that only the vault knows
        site.url = fresh_url()
        assert f"{ORIGIN}-r{number}" in (await site.put_back()).logs
    site.lose(vault=True)
    site.url = fresh_url()
    assert f"{ORIGIN}-r8" in (await site.put_back(without_vault=True, above=7)).logs


async def test_numbers_go_on_and_nothing_is_null_that_was_none(site, fresh_url):
    await site.kept()
    site.lose()
    site.url = fresh_url()
    await site.put_back()
    folder = await site.open()
    with_figures = select(epochs.c.name).where(epochs.c.figures.is_not(None))
    assert (await folder.database.read(lambda connection: connection.execute(with_figures).all())) == []
    query = select(legs.c.id).order_by(legs.c.id.desc()).limit(1)
    last = await folder.database.read(lambda connection: connection.execute(query).scalar_one())
    more = insert(legs).values(kind="x", e=EPOCH).returning(legs.c.id)
    assert await folder.database.write(lambda connection: connection.execute(more).scalar_one()) == last + 1
    await folder.database.close()


async def test_what_agents_kept_in_a_block_isnt_brought_back_and_its_key_is_destroyed(site):
    folder = await site.open()
    agents = [await folder.roster.get(await add_agent(folder, f"Agent {number}")) for number in range(5)]
    await fill(folder, ORIGIN, "2026-W16", [Had(one, hits=4, kept=4) for one in agents])
    assert await folder.epochs.close("2026-W16", LIMITS, AT)
    (row,) = await folder.database.read(lambda connection: connection.execute(select(block_shares)).all())
    await folder.database.close()
    await site.kept()
    (key,) = (site.data / "vault" / "shares").iterdir()
    files = [path.read_bytes() for path in (site.root / "backup").rglob("*") if path.is_file()]
    for secret in (bytes(row.sealed), row.key.encode(), key.read_bytes()):
        assert not any(secret in data for data in files)
    site.lose()
    site.url = f"sqlite:///{site.root}/back.db"
    await site.put_back()
    folder = await site.open()
    assert not await folder.database.read(lambda connection: connection.execute(select(block_shares)).all())
    await folder.epochs.forget_lists(AT)
    assert not key.exists()
    await folder.database.close()


async def test_no_secret_of_the_draw_and_nothing_of_the_vault_is_in_it(site):
    folder = await site.open()
    row = await folder.epochs.get(EPOCH)
    assert row.host is not None and row.council is not None
    shares = {"origin": ORIGIN, "key": "a key's name", "sealed": b"agents' shares of a block"}
    await folder.database.write(lambda connection: connection.execute(insert(block_shares).values(shares)).rowcount)
    headers = [path.read_bytes() for path in (site.data / "vault").rglob("*.header")]
    await folder.database.close()
    await site.kept()
    files = [path.read_bytes() for path in (site.root / "backup").rglob("*") if path.is_file()]
    assert headers and len(files) > 12
    for secret in (row.host, row.council, shares["sealed"], *headers):
        assert not any(secret in data for data in files)
    check = ["sha256sum", "-c", "contents"]
    done = await asyncio.to_thread(subprocess.run, check, cwd=site.root / "backup", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


async def test_while_a_gateway_writes_it_is_of_one_instant(local_site):
    folder = await local_site.open()
    with WriterLock(local_site.data):
        made = await local_site.kept()  # needs no lock: it only reads
        await local_site.record(folder, LATER)
        await folder.database.write(
            lambda connection: connection.execute(insert(campaigns).values(agreement="bv", id="x", hits=1))
        )
        second = await local_site.kept("second")
    assert second.recordings == made.recordings + 2
    await folder.database.close()


async def test_sealed_it_tells_no_name_and_comes_back_with_the_key(local_site):
    key = Identity.generate()
    await local_site.kept(recipients=[key.recipient])
    folder = local_site.root / "backup"
    for path in folder.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert b"Alma Beispiel" not in data and b"OPENSSH" not in data, path
    local_site.lose()
    with pytest.raises(BackupRefused, match="sealed"):
        await local_site.put_back()
    with pytest.raises(BackupBroken, match=r"database.db.age.*no identity"):
        await local_site.put_back(identities=[Identity.generate()])
    assert not restoring_mark(local_site.data).exists()
    await local_site.put_back(identities=[key])
    reopened = await local_site.open()
    assert local_site.opens(reopened, FIRST, "agent")
    await reopened.database.close()


# --- what is refused, before anything is written ---


def nothing_written(site) -> bool:
    left = {path.name for path in site.data.iterdir()} - {"vault", "log", "run"}
    return left == set() and not list(site.root.glob("site.db*"))


def cut(folder):
    next(folder.glob("recordings/*/*/*.payload")).unlink()
    return r"cut: `recordings/.*` is missing"


def altered(folder):
    path = next(folder.glob("log/**/checkpoint"))
    path.write_bytes(path.read_bytes()[:-1])
    return r"altered: `log/.*checkpoint`"


def altered_database(folder):
    data = bytearray((folder / "database.db").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "database.db").write_bytes(data)
    return "altered: `database.db`"


def one_more_file(folder):
    (folder / "keys" / "more").write_bytes(b"x")
    return r"`keys/more` isn't in the backup's list"


def a_link(folder):
    (folder / "protected.hashes").unlink()
    (folder / "protected.hashes").symlink_to("/etc/hosts")
    return "is a link"


def list_altered(folder):
    told = json.loads((folder / "backup.json").read_bytes())
    (folder / "backup.json").write_text(
        json.dumps({**told, "made": "2030-01-01T00:00:00Z"}, sort_keys=True, separators=(",", ":"))
    )
    return "signature doesn't verify"


def contents_altered(folder):
    lines = (folder / "contents").read_text().splitlines(keepends=True)
    (folder / "contents").write_text("".join(lines[1:]))
    return "`contents` was altered"


def unsigned(folder):
    (folder / "backup.sig").unlink()
    return "isn't a whole backup"


def not_one(folder):
    shutil.rmtree(folder)
    return "is no folder"


SPOILT = [cut, altered, altered_database, one_more_file, a_link, list_altered, contents_altered, unsigned, not_one]


async def test_a_backup_that_was_cut_or_altered_is_refused(backed_up):
    backed_up.lose()
    for spoil in SPOILT:
        shutil.copytree(backed_up.root / "backup", backed_up.root / "spoilt")
        with pytest.raises(BackupBroken, match=spoil(backed_up.root / "spoilt")) as refused:
            await backed_up.put_back("spoilt")
        assert "\n" not in str(refused.value) and nothing_written(backed_up)
        shutil.rmtree(backed_up.root / "spoilt", ignore_errors=True)


async def test_paths_that_leave_the_folder_are_refused_though_signed(backed_up):
    out = backed_up.root / "evil"
    out.mkdir()
    key = SigningKey.generate()
    for name in ("../../etc/cron", "/etc/passwd", "keys//x", "a/./b", "ключ"):
        said = {"site": "hamburg", "made": "x", "gateway": gateway_key.vkey("hamburg/fairtap", key.verify_key)}
        for old in out.iterdir():
            old.unlink()
        contents.write(out, {name: "0" * 64}, 1, key, schema="0009", **said)
        with pytest.raises(BackupBroken):
            contents.read(out)


async def test_another_sites_or_gateways_backup_is_refused(backed_up, tmp_path):
    backed_up.lose()
    foreign = Site(tmp_path / "other", f"sqlite:///{tmp_path}/other/site.db", backed_up.identity)
    (tmp_path / "other").mkdir()
    await foreign.fill()
    foreign.lose()
    gateway_key.load_or_create(foreign.data)
    shutil.copytree(backed_up.root / "backup", foreign.root / "backup")
    with pytest.raises(BackupRefused, match="another gateway's key"):
        await foreign.put_back()
    config = foreign.config.model_copy(update={"site": foreign.config.site.model_copy(update={"name": "bremen"})})
    with pytest.raises(BackupRefused, match=r"`hamburg`.*`bremen`"):
        restore(config, Asked(foreign.root / "backup"), AT, lambda *_: None)


async def test_a_folder_that_holds_something_needs_to_be_told(backed_up):
    with pytest.raises(BackupRefused, match="isn't empty"):
        await backed_up.put_back()
    with WriterLock(backed_up.data), pytest.raises(WriterRunning):
        await backed_up.put_back(replace=True)
    protect(backed_up.data, ["+4940112233"])
    result = await backed_up.put_back(replace=True)
    assert [path.rpartition("/")[2][:15] for path in result.set_aside] == ["site.db.before-"]
    # numbers that were protected since stay so
    assert len((backed_up.data / "protected.hashes").read_text().split()) > len(
        (backed_up.root / "backup" / "protected.hashes").read_text().split()
    )
    ProtectedParties.load(backed_up.data)
    folder = await backed_up.open()
    assert backed_up.opens(folder, FIRST, "agent")
    await folder.database.close()


async def test_a_restore_that_died_at_once_still_sets_aside_what_was_there(backed_up):
    (backed_up.data / "restoring").write_text(f"{contents.read(backed_up.root / 'backup')[0].digest}\n")
    (backed_up.root / "site.db.restoring").write_bytes(b"")
    assert [Path(path).suffix[:8] for path in (await backed_up.put_back()).set_aside] == [".before-"]
    folder = await backed_up.open()
    assert await folder.epochs.restored() and backed_up.opens(folder, FIRST, "agent")
    await folder.database.close()


async def test_a_server_that_isnt_empty_is_refused(site):
    if site.url.startswith("sqlite"):
        pytest.skip("a file is set aside instead")
    await site.kept()
    for name in ("keys", "recordings", "protected.hashes"):
        path = site.data / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(BackupRefused, match="server isn't empty"):
        await site.put_back(replace=True)


async def test_a_vault_that_isnt_there_is_missed_before_anything_is_erased(backed_up):
    backed_up.lose(vault=True)
    with pytest.raises(BackupRefused, match="opens none of 4"):
        await backed_up.put_back()
    assert nothing_written(backed_up)
    result = await backed_up.put_back(without_vault=True)
    assert result.recordings is not None and (result.recordings["kept"], result.recordings["erased"]) == (0, 4)
    assert list((backed_up.data / "recordings").glob("*/*/*")) == []


async def test_a_newer_versions_database_is_refused(local_site):
    folder = await local_site.open()
    newer = text("UPDATE alembic_version SET version_num = '9999'")
    await folder.database.write(lambda connection: connection.execute(newer).rowcount)
    with pytest.raises(SchemaNewer, match=r"`9999`.*update"):
        await folder.database.migrate()
    await folder.database.close()
    with pytest.raises(SchemaNewer):
        await local_site.kept()
    assert not (local_site.root / "backup").exists() and not (local_site.root / "backup.part").exists()


async def test_a_log_with_another_history_is_refused(backed_up):
    backed_up.lose(log=False)
    shutil.copytree(backed_up.data / "log", backed_up.root / "log")
    # the same key signs another history, as long
    key = SigningKey.from_openssh((backed_up.root / "backup" / "keys" / "gateway.sign").read_bytes())
    path = backed_up.data / "log" / ORIGIN / "checkpoint"
    size = open_checkpoint(path.read_bytes(), ORIGIN, key.verify_key)[0].size
    tile = backed_up.data / "log" / ORIGIN / "tile" / "0" / f"000.p/{size}"
    hashes = bytearray(tile.read_bytes())
    hashes[0] ^= 1
    tile.write_bytes(hashes)
    path.write_bytes(bytes(Checkpoint(ORIGIN, size, hashlib.sha256(hashes).digest()).signed(key)))
    with pytest.raises(BackupRefused, match="contradicts"):
        await backed_up.put_back()
    with pytest.raises(RestoreUnfinished):
        WriterLock(backed_up.data).acquire()
    shutil.rmtree(backed_up.data / "log")
    shutil.copytree(backed_up.root / "log", backed_up.data / "log")
    assert FRESH in (await backed_up.put_back()).logs


async def test_a_dry_run_writes_nothing(backed_up):
    backed_up.lose()
    result = await backed_up.put_back(dry_run=True)
    assert (result.sealed_segments, result.without_header, result.recordings) == (4, 0, None)
    assert nothing_written(backed_up) and not list(backed_up.root.rglob("*.restoring*"))


# --- disks that fill ---


def full(monkeypatch, patched, name="write_all"):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    patched.setattr("storage.durable." + name, refuse)


async def test_a_full_disk_costs_the_backup_and_leaves_nothing(local_site, monkeypatch):
    with monkeypatch.context() as patched:
        full(monkeypatch, patched)
        with pytest.raises(StorageUnavailable, match="no space left"):
            await local_site.kept()
    assert not list(local_site.root.glob("backup*")) and not list((local_site.data / "run").glob("backup-*"))
    await local_site.kept()
    with pytest.raises(BackupRefused, match="never written over"):
        await local_site.kept()


async def test_a_full_disk_stops_a_restore_that_goes_on_later(backed_up, monkeypatch):
    backed_up.lose()
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
        with pytest.raises(BackupRefused, match="disk is too full"):
            await backed_up.put_back()
    assert nothing_written(backed_up)
    calls = []

    def refuse(source, target):
        calls.append(target)
        if len(calls) == 6:
            raise OSError(28, "No space left on device")
        os.rename(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", refuse)
        with pytest.raises(StorageUnavailable, match="no space left"):
            await backed_up.put_back()
    with pytest.raises(RestoreUnfinished, match="run `fairtap restore` again"):
        WriterLock(backed_up.data).acquire()
    shutil.copytree(backed_up.root / "backup", backed_up.root / "same")
    await backed_up.put_back("same")
    folder = await backed_up.open()
    assert backed_up.opens(folder, SECOND, "caller")
    await folder.database.close()


async def test_another_backup_doesnt_finish_what_one_began(backed_up):
    folder = await backed_up.open()
    await backed_up.record(folder, LATER)
    await folder.database.close()
    await backed_up.kept("second")
    backed_up.lose()
    (backed_up.data / "restoring").write_text("0" * 64)
    with pytest.raises(BackupRefused, match="another backup isn't finished"):
        await backed_up.put_back("second")


@pytest.mark.timeout(300)
def test_killed_anywhere_they_go_on_to_the_same_end(tmp_path, root):
    command = [sys.executable, "-m", "tests.peers.backup_kill", tmp_path, "3", "16"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert [int(count) >= 5 for count in done.stdout.split()] == [True, True]


# --- another kind of database ---


async def test_a_database_moves_from_one_kind_to_the_other_and_back(site, fresh_url, tmp_path):
    before = site.url
    there = f"sqlite:///{tmp_path}/moved.db" if not before.startswith("sqlite") else None
    if there is None:
        pytest.skip("the other kind's turn moves both ways")
    moved = await asyncio.to_thread(migrate, site.config, to=there, dry_run=False, tell=quiet)
    assert moved.moved_to == there and moved.rows > 10
    with pytest.raises(BackupRefused, match="nothing is yet"):
        await asyncio.to_thread(migrate, site.config, to=there, dry_run=True, tell=quiet)
    site.url = there
    with pytest.raises(BackupRefused, match="isn't empty"):
        await asyncio.to_thread(migrate, site.config, to=before, dry_run=True, tell=quiet)
    site.url, empty = there, fresh_url()
    back = await asyncio.to_thread(migrate, site.config, to=empty, dry_run=False, tell=quiet)
    assert back.rows == moved.rows
    site.url = empty
    folder = await site.open()
    assert (await folder.epochs.get(EPOCH)).state is EpochState.OPENED  # a move is no restore
    assert ORIGIN in await folder.database.read(wal.open_logs)
    assert site.opens(folder, FIRST, "agent")
    await folder.database.close()


def made_with(path, revision):
    """A database as an older version made it."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with sqlite_file(path) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


async def test_migrating_says_its_steps_first_and_takes_them_then(backed_up):
    (backed_up.root / "site.db").unlink()
    made_with(backed_up.root / "site.db", "0008")
    with pytest.raises(BackupRefused, match="fairtap migrate"):
        await backed_up.kept("older")
    for dry_run in (True, True, False):
        done = await asyncio.to_thread(migrate, backed_up.config, to=None, dry_run=dry_run, tell=quiet)
        assert (done.revision, done.steps[0][:6], done.steps[-1][:4]) == ("0008", "0009: ", done.newest)
    assert (await asyncio.to_thread(migrate, backed_up.config, to=None, dry_run=False, tell=quiet)).steps == []
    with WriterLock(backed_up.data), pytest.raises(WriterRunning):
        await asyncio.to_thread(migrate, backed_up.config, to=None, dry_run=True, tell=quiet)
    for wrong in ("mysql://x", "sqlite:///relative.db"):
        with pytest.raises((BackupRefused, StorageUrlError)):
            await asyncio.to_thread(migrate, backed_up.config, to=wrong, dry_run=True, tell=quiet)


# --- damage, and what nobody knows any more ---


async def test_a_damaged_recording_is_told_and_left_out(local_site):
    path = next((local_site.data / "recordings").glob(f"*/{FIRST}/agent-1.payload"))
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    made = await local_site.kept()
    assert made.damaged == [f"recordings/11/{FIRST}/agent-1.payload"] and made.recordings == 3
    local_site.lose()
    result = await local_site.put_back()
    assert result.recordings is not None and result.recordings["unreadable"] == 1


async def test_what_has_no_row_any_more_goes_after_a_while_and_not_at_once(local_site):
    folder = await local_site.open()
    gone = update(epochs).values(state=EpochState.DARK.value)
    await folder.database.write(lambda connection: connection.execute(gone).rowcount)
    now = AT + timedelta(days=400)
    for table in ("decisions", "segments", "recordings"):
        query = text(f"DELETE FROM {table} WHERE {'id' if table == 'recordings' else 'recording'} = :one")
        await folder.database.write(lambda connection, query=query: connection.execute(query, {"one": FIRST}).rowcount)
    assert await erase_orphans(folder.recordings, now) == 0
    assert await erase_orphans(folder.recordings, now + ORPHAN_AFTER - timedelta(seconds=1)) == 0
    assert folder.sealer.vault.of_recording(FIRST)
    assert await erase_orphans(folder.recordings, now + ORPHAN_AFTER) == 1
    assert not folder.sealer.vault.of_recording(FIRST) and folder.sealer.vault.of_recording(SECOND)
    await folder.database.close()
