"""Inventories as `sync` fetches them, without manifests and beside a site's disk that has lost some since."""

import json
import shutil

import pytest

from council.codes import Code
from council.inspect import Sources, inspect
from crypto.jcs import canonical
from policy.inventory import inventory_root, side_leaf
from tests.peers.log_world import EPOCHS, KEYS, ORIGIN, Host, digest_of, signed

SECOND = EPOCHS[1]
WAITING = 4
"""Legs of the third epoch that have no end yet: each may have a recording."""


@pytest.fixture(scope="module")
def world():
    host = Host(14)
    host.run()
    return host.world


@pytest.fixture
def folder(tmp_path, world):
    """The council's: inventories lie apart from manifests."""
    world.write(tmp_path)
    (tmp_path / "inventories").mkdir()
    for path in (tmp_path / "manifests").glob("*.inventory"):
        shutil.move(path, tmp_path / "inventories")
    for path in (tmp_path / "manifests").glob("*.out"):
        path.unlink()
    return tmp_path


def looked_at(folder, world, **given):
    named = {name: folder / name for name in ("acts", "seen", "inventories")}
    key = KEYS["log"].verify_key
    sources = Sources(folder / "log", roster=folder / "rosters", key=key, now=world.now, **{**named, **given})
    found = inspect(sources)
    return {(one.code, one.place) for one in found.findings}, found.missing


def test_an_inventory_alone_is_held_against_its_root(folder, world):
    assert looked_at(folder, world) == (set(), ["cdr"])
    path = folder / "inventories" / f"{SECOND}.inventory"
    told = json.loads(path.read_bytes())
    path.write_bytes(canonical({**told, "leaves": told["leaves"][1:]}))
    assert (Code.INVENTORY, f"epoch {SECOND}") in looked_at(folder, world)[0]
    path.unlink()
    assert looked_at(folder, world) == (set(), ["cdr", "manifests"])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda leaves: [*leaves, "ab" * 32, "cd" * 32], Code.KEPT_TOO_MANY),
        (lambda leaves: leaves[:-2], Code.INVENTORY),
    ],
    ids=["longer", "shorter"],
)
def test_an_inventory_is_as_long_as_the_hits_and_wishes_make_it(world, tmp_path, change, code):
    other = world.copy()
    leaves = other.inventories[SECOND] = change(other.inventories[SECOND])
    other.change(other.where("eclose", e=SECOND), root=inventory_root(leaves).hex())
    other.write(tmp_path)
    shutil.copytree(tmp_path / "manifests", tmp_path / "inventories")
    assert (code, f"epoch {SECOND}") in looked_at(tmp_path, other)[0]


def test_a_side_is_found_by_all_of_its_segments_and_by_nothing_less(world, tmp_path):
    other = world.copy()
    host = Host(7)
    made = [host.manifest("ab" * 16, side, seg) for side, seg in (("agent", 1), ("agent", 2), ("caller", 1))]
    sides = [side_leaf(map(digest_of, made[:2])), side_leaf([digest_of(made[2])])]
    decoys = len(other.manifests[SECOND])
    leaves = [*map(side_leaf, ([digest_of(one)] for one in other.manifests[SECOND])), *sides]
    leaves += [one for one in other.inventories[SECOND] if one not in leaves][2:]
    assert len(leaves) == len(other.inventories[SECOND]) > decoys + 2
    other.inventories[SECOND] = leaves
    other.change(other.where("eclose", e=SECOND), root=inventory_root(leaves).hex())
    other.manifests[SECOND] = [*other.manifests[SECOND], *made]
    other.write(tmp_path)
    shutil.copytree(tmp_path / "manifests", tmp_path / "inventories")
    for path in (tmp_path / "manifests").glob("*.out"):
        path.unlink()
    for name in EPOCHS:  # so that no manifest can be of one that goes on
        for path in (tmp_path / "manifests").glob(f"{name}.inventory"):
            path.unlink()
    assert looked_at(tmp_path, other, manifests=tmp_path / "manifests")[0] == set()
    assert waiting(tmp_path, other) == 0
    (tmp_path / "manifests" / f"{digest_of(made[1])[:16]}.manifest.json").unlink()
    assert waiting(tmp_path, other) == 1


def waiting(folder, world):
    """Manifests that no inventory vouches for, and which may be of the epoch that goes on."""
    sources = Sources(
        folder / "log",
        acts=folder / "acts",
        roster=folder / "rosters",
        manifests=folder / "manifests",
        inventories=folder / "inventories",
        key=KEYS["log"].verify_key,
        now=world.now,
    )
    return inspect(sources).waiting


def test_what_was_erased_since_is_no_finding_and_what_was_added_is(folder, world):
    manifests = sorted((folder / "manifests").glob("*.manifest.json"))
    manifests[0].unlink()
    assert looked_at(folder, world, manifests=folder / "manifests")[0] == set()
    for number in range(WAITING):
        _add(folder, number)
    assert looked_at(folder, world, manifests=folder / "manifests")[0] == set()  # of the epoch that goes on, perhaps
    _add(folder, WAITING)
    assert looked_at(folder, world, manifests=folder / "manifests")[0] == {(Code.KEPT_TOO_MANY, "manifests")}


def _add(folder, number):
    """A recording more, signed by the gateway."""
    made = Host(99).manifest(f"{number:032x}", "agent")
    (folder / "manifests" / f"more-{number}.manifest.json").write_bytes(made)
    (folder / "manifests" / f"more-{number}.manifest.sig").write_text(signed(made))


def test_manifests_of_another_site_are_named(folder, world):
    path = next((folder / "manifests").glob("*.manifest.json"))
    path.write_bytes(path.read_bytes().replace(ORIGIN.encode(), b"berlin/fairtap/2026-14"))
    assert (Code.MANIFEST_FILE, path.name) in looked_at(folder, world, manifests=folder / "manifests")[0]
