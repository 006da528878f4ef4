"""A log that was begun anew after a restore is accepted and named; what a restore undid is found."""

from datetime import UTC, datetime, timedelta

import pytest

from council import mirror
from council.codes import Code
from council.inspect import Sources, inspect
from council.report import Report
from council.words import LANGUAGES
from crypto.checkpoint import Checkpoint
from crypto.merkle import leaf_hash, root_of
from policy import log_entry as le
from tests.peers.log_world import KEYS, ORIGIN, WEEK, Host, cosigned, write_log

FRESH = f"{ORIGIN}-r1"


@pytest.fixture(scope="module")
def world():
    """Its last epoch is still open: the machine died in it."""
    return Host(5, legs=6, agents=8).run()


def put_log(folder, origin, leaves, now):
    hashes = [leaf_hash(leaf) for leaf in leaves]
    note = Checkpoint(origin, len(leaves), root_of(hashes)).signed(KEYS["log"])
    write_log(folder / "logs" / origin, leaves, hashes, bytes(note))
    return bytes(cosigned(note, now))


def looked_at(folder, world, fresh, *, older=None, late=3):
    """The council's tool over both logs, days after the restore."""
    put_log(folder, ORIGIN, older or [le.encode(entry) for entry in entries(world)], world.now)
    put_log(folder, FRESH, [le.encode(entry) for entry in fresh], world.now)
    sources = Sources(
        folder / "logs",
        acts=folder / "acts",
        roster=folder / "rosters",
        key=KEYS["log"].verify_key,
        pinned={role: KEYS[role].verify_key.line() for role in ("employer", "council", "dpo")},
        now=world.now + timedelta(days=late),
        zone=UTC,
    )
    return inspect(sources)


def entries(world):
    return [le.parse(leaf) for leaf in world.leaves]


def begun(world):
    """What a log begun anew has: the anchors, the acts so far, what runs."""
    found = [one for one in entries(world) if isinstance(one, le.Anchor | le.Act)]
    return [*found, le.Build("a" * 64, "b" * 64, "c" * 64)]


def test_a_log_after_a_restore_is_accepted_and_named(tmp_path, world):
    world.write(tmp_path, log=True, manifests=False)
    found = looked_at(tmp_path, world, begun(world))
    assert [(one.code, one.place) for one in found.findings] == []
    assert [one.followed_by for one in found.logs] == [FRESH, None]
    assert "restore" in found.missing
    for language in LANGUAGES:
        report = Report(found, language, datetime(2026, 4, 20, tzinfo=UTC))
        assert report.light == "yellow" and FRESH in report.text()
    assert f"ended by a restore; {FRESH} took its place" in Report(found, "en", world.now).text().lower()


def test_an_act_that_the_restore_undid_is_found(tmp_path, world):
    world.write(tmp_path, log=True, manifests=False)
    fresh = [one for one in begun(world) if not (isinstance(one, le.Act) and one.seq == 2)]
    found = looked_at(tmp_path, world, fresh)
    assert (Code.ACT_UNLOGGED, f"{FRESH} act 2") in [(one.code, one.place) for one in found.findings]


def test_an_act_that_came_after_the_restore_isnt_missed_in_the_log_that_ended(tmp_path, world):
    world.write(tmp_path, log=True, manifests=False)
    older = [leaf for leaf in world.leaves if not (isinstance(one := le.parse(leaf), le.Act) and one.seq == 2)]
    places = [(one.code, one.place) for one in looked_at(tmp_path, world, begun(world), older=older).findings]
    assert Code.ACT_UNLOGGED not in [code for code, _ in places]


def test_an_epoch_with_legs_is_not_drawn_again(tmp_path, world):
    world.write(tmp_path, log=True, manifests=False)
    again = [one for one in entries(world) if isinstance(one, le.ECommit | le.EOpen)]
    found = looked_at(tmp_path, world, [*begun(world), *again])
    twice = [one.place for one in found.findings if one.code is Code.EPOCH_TWICE]
    assert twice == [f"{FRESH} epoch {one.e}" for one in again if isinstance(one, le.EOpen)]


def test_an_epoch_that_had_no_leg_may_be_drawn_in_the_new_log(tmp_path, world):
    world.write(tmp_path, log=True, manifests=False)
    opened = [one for one in entries(world) if isinstance(one, le.ECommit | le.EOpen)]
    older = [leaf for leaf in world.leaves if le.parse(leaf).t in ("anchor", "act", "ecommit", "eopen")]
    found = looked_at(tmp_path, world, [*begun(world), *opened], older=older)
    assert Code.EPOCH_TWICE not in [one.code for one in found.findings]
    assert "restore" in found.missing  # whoever had both shares knew the first draw


def test_without_a_restore_a_missing_reveal_stays_a_finding(tmp_path, world):
    world.write(tmp_path, log=True, manifests=False)
    found = inspect(Sources(tmp_path / "log", key=KEYS["log"].verify_key, now=world.now + WEEK))
    assert Code.REVEAL_MISSING in [one.code for one in found.findings]


def test_the_copy_of_a_log_that_a_restore_cut_short_stays_and_is_no_fork(tmp_path, world):
    world.write(tmp_path, log=True, manifests=False)
    site, copy, evidence = tmp_path / "site", tmp_path / "copy", tmp_path / "evidence"
    leaves = [le.encode(entry) for entry in entries(world)]
    put_log(tmp_path, ORIGIN, leaves, world.now)
    whole = mirror.sync(mirror.from_folder(tmp_path / "logs" / ORIGIN), ORIGIN, KEYS["log"].verify_key, copy, evidence)
    put_log(site, ORIGIN, leaves[:-40], world.now)
    cut = mirror.from_folder(site / "logs" / ORIGIN)
    kept = mirror.sync(cut, ORIGIN, KEYS["log"].verify_key, copy, evidence, ended=True)
    assert (kept.checkpoint, kept.fetched, kept.evidence) == (whole.checkpoint, 0, None)
    assert (copy / "checkpoint").read_bytes().split(b"\n")[1] == str(len(leaves)).encode()
    # without a log in its place, or with another history, it is one
    assert mirror.sync(cut, ORIGIN, KEYS["log"].verify_key, copy, tmp_path / "first").evidence is not None
    put_log(tmp_path / "other", ORIGIN, [*leaves[1:60], leaves[0]], world.now)
    other = mirror.from_folder(tmp_path / "other" / "logs" / ORIGIN)
    found = mirror.sync(other, ORIGIN, KEYS["log"].verify_key, copy, tmp_path / "second", ended=True)
    assert found.evidence is not None


def test_a_site_that_goes_back_and_withholds_the_files_has_its_signature_kept(tmp_path, world):
    """The two checkpoints alone contradict each other."""
    world.write(tmp_path, log=True, manifests=False)
    leaves = [le.encode(entry) for entry in entries(world)]
    put_log(tmp_path, ORIGIN, leaves, world.now)
    copy, key = tmp_path / "copy", KEYS["log"].verify_key
    mirror.sync(mirror.from_folder(tmp_path / "logs" / ORIGIN), ORIGIN, key, copy, tmp_path / "evidence")
    put_log(tmp_path / "back", ORIGIN, leaves[:-40], world.now)
    note = (tmp_path / "back" / "logs" / ORIGIN / "checkpoint").read_bytes()
    found = mirror.sync(lambda name: note if name == "checkpoint" else None, ORIGIN, key, copy, tmp_path / "evidence")
    assert found.evidence == tmp_path / "evidence"
    assert (tmp_path / "evidence" / "checkpoint.new").read_bytes() == note
