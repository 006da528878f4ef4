"""What an `eclose` may tell of kept recordings: with a block's last epoch, of enough hits, and in fifths."""

import pytest

from council.codes import Code
from council.inspect import Sources, inspect
from policy.log_entry import Halt
from tests.peers.log_world import KEYS, START, WEEK, Host, PendingOpen

LAST, BEFORE = "2026-W26", "2026-W25"


def found(tmp_path, epoch: str, legs: int, halted: bool = False) -> set[tuple[Code, object]]:
    """Of a log that holds one epoch, whose `eclose` tells three fifths."""
    host = Host(3, legs=legs)
    host.begin()
    start = START + (int(epoch[-2:]) - 14) * WEEK
    host.commit(epoch)
    host.log(PendingOpen(epoch, start - WEEK / 7))
    host.week(epoch, start)
    if halted:
        host.log(Halt(epoch))
    host.close(epoch)
    world = host.world
    world.change(world.where("eclose"), kept=3)
    world.now = start + 1.1 * WEEK
    world.write(tmp_path, manifests=False)
    given = {name: tmp_path / name for name in ("acts", "seen")}
    outcome = inspect(
        Sources(tmp_path / "log", roster=tmp_path / "rosters", key=KEYS["log"].verify_key, now=world.now, **given)
    )
    assert outcome.logs[0].epochs[epoch].kept == 3
    return {(one.code, dict(one.values).get("what")) for one in outcome.findings}


@pytest.mark.parametrize(
    ("epoch", "legs", "wrong"),
    [(LAST, 60, set()), (BEFORE, 60, {(Code.ECLOSE_COUNTS, "kept")}), (LAST, 24, {(Code.ECLOSE_COUNTS, "kept")})],
    ids=["last", "before", "few"],
)
def test_what_was_kept_is_told_with_a_blocks_last_epoch_of_enough_hits(tmp_path, epoch, legs, wrong):
    assert found(tmp_path, epoch, legs) == wrong


def test_a_halted_epoch_does_not_end_its_block(tmp_path):
    assert found(tmp_path, LAST, 60, halted=True) == {(Code.ECLOSE_COUNTS, "kept")}
