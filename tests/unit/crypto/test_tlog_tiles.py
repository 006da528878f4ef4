"""Tiles: the specification's examples, every hash of a tree read from its tiles, what must be refused."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.errors import TileError
from crypto.merkle import leaf_hash, root_of, tree_hash
from crypto.tlog_tiles import (
    MAX_ENTRY,
    Tile,
    encode_bundle,
    encode_hashes,
    fold,
    parse_bundle,
    parse_hashes,
    tile_for,
    tiles_of,
)


def test_the_specifications_index_and_partial_width():
    assert Tile(0, 1_234_067).path == "tile/0/x001/x234/067"
    assert Tile(None, 5, 17).path == "tile/entries/005.p/17"
    assert Tile(1, 1000).path == "tile/1/x001/000"


def test_the_specifications_tree_of_seventy_thousand():
    tiles = list(tiles_of(70_000))
    by_level = {level: [tile for tile in tiles if tile.level == level] for level in (None, 0, 1, 2, 3)}
    assert [len(by_level[level]) for level in (None, 0, 1, 2, 3)] == [274, 274, 2, 1, 0]
    assert [by_level[level][-1].width for level in (None, 0, 1, 2)] == [112, 112, 17, 1]


def test_a_tree_of_256_is_a_full_tile_under_one_hash():
    assert [tile.path for tile in tiles_of(256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]


def test_growth_names_what_changes_only():
    assert [tile.path for tile in tiles_of(257, 256)] == ["tile/entries/001.p/1", "tile/0/001.p/1"]
    assert list(tiles_of(300, 300)) == []
    assert [tile.path for tile in tiles_of(512, 511)] == ["tile/entries/001", "tile/0/001", "tile/1/000.p/2"]


@pytest.mark.parametrize("size", [1, 255, 256, 257, 700])
def test_a_tree_is_read_from_its_tiles(size):
    leaves = [leaf_hash(b"%d" % i) for i in range(size)]
    kept = {}
    for tile in tiles_of(size):
        if tile.level is not None:
            first, step = tile.index * 256, 1 << 8 * tile.level
            hashes = [fold(leaves[(first + i) * step : (first + i + 1) * step]) for i in range(tile.width)]
            kept[tile] = encode_hashes(hashes)

    def read(level, index):
        tile, first, end = tile_for(level, index, size)
        return fold(parse_hashes(kept[tile], tile.width)[first:end])

    assert tree_hash(size, read) == root_of(leaves)


@given(st.integers(0, 6) | st.none(), st.integers(0, 2**53 // 256 - 1), st.integers(1, 256))
@settings(max_examples=60)
def test_paths_print_back(level, index, width):
    tile = Tile(level, index, width)
    assert Tile.parse(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/x001",
        "tile/0/001/000",
        "tile/00/000",
        "tile/7/000",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/-1/000",
        "tile/entries/000/",
        "tile/entries/../000",
        "/tile/0/000",
        "tile/0/٠٠٠",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "checkpoint",
        "",
    ],
)
def test_any_other_spelling_of_a_path_is_refused(path):
    with pytest.raises(TileError):
        Tile.parse(path)


@given(st.text(alphabet="tile/enrs0123x.p", max_size=30).map(lambda rest: "tile/" + rest))
@settings(max_examples=60)
def test_any_path_parses_or_raises_its_error(path):
    with contextlib.suppress(TileError):
        assert Tile.parse(path).path == path


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6), st.binary(max_size=4), st.integers(0, 8))
@settings(max_examples=60)
def test_bundles_print_back_and_nothing_else_is_one(entries, more, width):
    data = encode_bundle(entries)
    assert parse_bundle(data, len(entries)) == entries
    for odd, count in ((data + more, width), (data[:-1], len(entries))):
        with contextlib.suppress(TileError):
            assert encode_bundle(parse_bundle(odd, count)) == odd


@pytest.mark.parametrize(
    "call",
    [
        lambda: parse_hashes(bytes(31), 1),
        lambda: parse_hashes(bytes(64), 1),
        lambda: parse_bundle(b"", 1),
        lambda: parse_bundle(b"\0\1", 1),
        lambda: parse_bundle(b"\0\0\0", 1),
        lambda: encode_bundle([bytes(MAX_ENTRY + 1)]),
        lambda: list(tiles_of(3, 4)),
        lambda: tile_for(0, 5, 5),
        lambda: tile_for(3, 0, 7),
        lambda: Tile(7, 0),
        lambda: Tile(0, -1),
    ],
)
def test_what_no_log_has_is_refused(call):
    with pytest.raises(TileError):
        call()
