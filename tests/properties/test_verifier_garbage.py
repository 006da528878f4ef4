"""Whatever lies in the files of a mirror, the verifier says what it found and never falls over."""

import contextlib
import functools
import shutil
import tempfile
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from council.errors import CdrError
from council.inspect import Sources, inspect
from crypto.checkpoint import Checkpoint
from crypto.merkle import leaf_hash, root_of
from tests.peers.log_world import KEYS, ORIGIN, Host, write_log

few = settings(max_examples=max(10, settings().max_examples // 4), deadline=None)
"""A whole verification takes 50 ms."""
FILES = [
    "log/checkpoint",
    "log/tile/entries/000",
    "log/tile/0/000",
    "log/tile/1/000.p/1",
    "acts/000001.json",
    "rosters/2026-W14.json",
    "seen/5.note",
    "openings/2026-W14",
    "cdr.csv",
    "manifests/2026-W14.inventory",
    "manifests/1.manifest.json",
    "manifests/1.out",
]


@functools.cache
def small():
    """A small world on disk, and its host."""
    host = Host(3, legs=8, agents=8)  # more than one bundle
    world = host.run()
    folder = Path(tempfile.mkdtemp(prefix="fairtap-garbage-"))
    world.write(folder)
    return folder, world


@pytest.fixture(scope="module", autouse=True)
def swept():
    yield
    shutil.rmtree(small()[0], ignore_errors=True)


def judged(folder):
    given = {name: folder / name for name in ("log", "acts", "manifests", "seen", "openings")}
    return inspect(
        Sources(
            **given,
            roster=folder / "rosters",
            cdr=folder / "cdr.csv" if (folder / "cdr.csv").exists() else None,
            key=KEYS["log"].verify_key,
            now=small()[1].now,
            zone=UTC,
        )
    )


def with_file(name, data):
    """Judge the small world with one file put in the place of another, then put things right."""
    folder, _ = small()
    path = folder / name
    before = path.read_bytes() if path.exists() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    try:
        return judged(folder)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)


def test_the_small_world_is_clean():
    assert judged(small()[0]).findings == []
    assert all((small()[0] / name).exists() for name in FILES if name.startswith(("log/", "acts/", "rosters/")))


@few
@given(st.sampled_from([name for name in FILES if name != "cdr.csv"]), st.binary(max_size=200))
def test_any_bytes_in_any_file(name, data):
    assert with_file(name, data).total > 0


@few
@given(st.sampled_from(FILES), st.data())
def test_any_file_with_some_bytes_changed(name, data):
    path = small()[0] / name
    content = bytearray(path.read_bytes() if path.exists() else b"{}")
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CdrError):
        with_file(name, bytes(content))


@few
@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=1, max_size=8), st.binary(max_size=9)
)
def test_any_order_of_genuine_entries_that_the_log_signs_anew(swaps, garbage):
    _, world = small()
    leaves = list(world.leaves)
    for one, other in swaps:
        leaves[one % len(leaves)], leaves[other % len(leaves)] = leaves[other % len(leaves)], leaves[one % len(leaves)]
    leaves.append(garbage)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name in ("acts", "rosters", "manifests", "seen", "openings"):
            (folder / name).symlink_to(small()[0] / name)
        hashes = [leaf_hash(leaf) for leaf in leaves]
        note = Checkpoint(ORIGIN, len(leaves), root_of(hashes)).signed(KEYS["log"])
        write_log(folder / "log", leaves, hashes, bytes(note))
        assert judged(folder).total > 0
