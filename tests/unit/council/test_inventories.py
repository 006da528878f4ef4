"""Inventories as `sync` fetches them, without manifests and beside a site's disk that has lost some since."""

import json
import shutil

import pytest

from council.codes import Code
from council.inspect import Sources, inspect
from crypto.jcs import canonical
from tests.peers.log_world import EPOCHS, KEYS, ORIGIN, Host, signed

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
    path.write_bytes(canonical({**told, "manifests": told["manifests"][1:]}))
    assert (Code.INVENTORY, f"epoch {SECOND}") in looked_at(folder, world)[0]
    path.unlink()
    assert looked_at(folder, world) == (set(), ["cdr", "manifests"])


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
