"""A log walked through its tiles: every entry, and each place where tiles, roots and checkpoints contradict."""

import pytest

from crypto.checkpoint import Checkpoint
from crypto.cosignature import cosign
from crypto.errors import NoteError, TileError
from crypto.merkle import leaf_hash, root_of
from crypto.ssh_key import SigningKey
from crypto.tile_reader import TileReader
from crypto.tlog_tiles import WIDTH, Tile, encode_bundle, encode_hashes, fold, tiles_of
from crypto.tree_walk import Fault, TreeFault, TreeWalk, cosigned_size

ORIGIN = "hamburg/fairtap/2026-14"
KEY, OTHER = SigningKey.generate(), SigningKey.generate()


def leaves(size):
    return [b"entry %d" % index for index in range(size)]


def tiles(size):
    """The files of a log of this size."""
    levels = [[leaf_hash(leaf) for leaf in leaves(size)]]
    while len(levels[-1]) >= WIDTH:
        below = levels[-1]
        levels.append([fold(below[i : i + WIDTH]) for i in range(0, len(below) // WIDTH * WIDTH, WIDTH)])
    files = {}
    for tile in tiles_of(size):
        first = tile.index * WIDTH
        if tile.level is None:
            files[tile] = encode_bundle(leaves(size)[first : first + tile.width])
        else:
            files[tile] = encode_hashes(levels[tile.level][first : first + tile.width])
    return files


def head(size):
    return Checkpoint(ORIGIN, size, root_of(leaf_hash(leaf) for leaf in leaves(size)))


def walked(files, checkpoint, seen=()):
    faults: list[TreeFault] = []
    found = list(TreeWalk(TileReader(files.get), checkpoint, seen, faults.append).entries())
    return found, [(one.fault, one.place, one.size, one.seen) for one in faults]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 600])
def test_a_whole_log_gives_its_entries_and_no_fault(size):
    seen = [head(one) for one in {0, size // 2, size}]
    assert walked(tiles(size), head(size), seen) == (list(enumerate(leaves(size))), [])


def test_a_tile_that_has_grown_stands_for_the_narrower_one():
    reader = TileReader(tiles(512).get)
    assert reader.entries(Tile(None, 1, 44)) == leaves(300)[256:]
    assert reader.hashes(Tile(0, 1, 44)) == [leaf_hash(leaf) for leaf in leaves(300)[256:]]
    with pytest.raises(TileError):
        reader.hashes(Tile(0, 2, 1))


@pytest.mark.parametrize(
    ("tile", "place"),
    [(Tile(0, 1), "entry 263"), (Tile(1, 0, 2), "tile/1/000.p/2"), (Tile(None, 1), "entry 256")],
)
def test_a_flipped_bit_is_named_with_its_place(tile, place):
    files = tiles(600)
    data = bytearray(files[tile])
    data[32 * 7 if tile == Tile(0, 1) else 5] ^= 1
    files[tile] = bytes(data)
    _, faults = walked(files, head(600))
    assert (Fault.TILE, place, 600, 0) in faults


def test_what_is_missing_ends_the_walk_or_is_named():
    files = tiles(600)
    del files[Tile(0, 0)]
    found, faults = walked(files, head(600))
    assert (len(found), faults) == (600, [(Fault.TILE, "tile/0/000", 600, 0)])
    del files[Tile(None, 1)]
    found, faults = walked(files, head(600))
    assert (len(found), faults[-1]) == (256, (Fault.BUNDLE, "tile/entries/001", 600, 0))


def test_another_history_and_a_shorter_one_are_named():
    other = Checkpoint(ORIGIN, 300, bytes(32))
    _, faults = walked(tiles(600), head(600), [other, head(700)])
    assert faults == [(Fault.FORKED, "checkpoint 300", 300, 0), (Fault.ROLLED_BACK, "checkpoint", 600, 700)]
    _, faults = walked(tiles(600), Checkpoint(ORIGIN, 600, bytes(32)))
    assert faults == [(Fault.ROOT, "checkpoint", 600, 0)]


def test_a_cosignature_leads_to_its_checkpoint():
    reader = TileReader(tiles(600).get)
    line = str(cosign(str(head(321)), "hamburg/council", KEY, 1_770_000_000))
    keys = [OTHER.verify_key, KEY.verify_key]
    assert cosigned_size(reader, ORIGIN, line, keys, [7, *range(300, 400)], 600) == (321, 1_770_000_000)
    assert cosigned_size(reader, ORIGIN, line, keys, range(322, 400), 600) is None
    assert cosigned_size(reader, ORIGIN, line, [OTHER.verify_key], range(300, 400), 600) is None
    with pytest.raises(NoteError):
        cosigned_size(reader, ORIGIN, "garbage", keys, range(300, 400), 600)
    with pytest.raises(TileError):
        cosigned_size(reader, ORIGIN, line, keys, [601], 600)
