"""tlog-scales, a reader of tlog-tiles logs that isn't ours, reads our log: signatures, tiles, entries, both proofs."""

import pytest

from crypto.checkpoint import open_checkpoint
from crypto.cosignature import cosign, cosigner
from crypto.signed_note import SignedNote, VerifierKey
from crypto.ssh_key import SigningKey
from policy.log_entry import encode
from tests.peers.log_house import LogHouse
from tests.peers.log_samples import SAMPLES
from tests.peers.stored import ORIGIN, open_folder

pytest.importorskip("tlog_scales", reason="tlog-scales isn't installed")
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tiles import leaf_hash
from tlog_scales.tlog import Checkpoint, ConsistencyProof, InclusionProof


@pytest.fixture
async def house(tmp_path):
    folder = await open_folder(tmp_path)
    yield LogHouse(folder)
    await folder.database.close()


async def test_a_foreign_reader_accepts_the_log_at_every_size(house):
    vkey = Vkey.from_string(str(VerifierKey(ORIGIN, house.key.verify_key)))
    assert vkey.serialize() == str(VerifierKey(ORIGIN, house.key.verify_key))
    for entry in SAMPLES:
        await house.append(entry)
    roots = {}
    reader = TilesReader(LocalBackend(house.folder))
    for size in (len(SAMPLES), 255, 256, 257, 600):
        await house.grow(size)
        await house.publisher.publish(ORIGIN)
        reader = TilesReader(reader.backend)
        checkpoint = reader.get_checkpoint()
        checkpoint.verify(vkey)
        assert (checkpoint.origin, checkpoint.size) == (ORIGIN, size)
        assert reader.calculate_root_hash() == checkpoint.root_hash
        roots[size] = checkpoint.root_hash
    leaves = await house.reader.entries(ORIGIN, 0, 600)
    assert [reader.get_entry(index) for index in range(600)] == leaves
    assert leaves[: len(SAMPLES)] == [encode(entry) for entry in SAMPLES]
    for index in (0, 255, 256, 599):
        ours = await house.reader.proof(ORIGIN, index)
        assert reader.get_inclusion_proof(index, 600).node_hashes == list(ours.hashes)
        InclusionProof(index, 600, list(ours.hashes)).check(leaf_hash(leaves[index]), roots[600])
    for old, root in roots.items():
        ours = await house.reader.consistency(ORIGIN, old, 600)
        assert reader.get_consistency_proof(old, 600).node_hashes == ours
        ConsistencyProof(old, 600, ours).check(root, roots[600])


async def test_a_foreign_reader_refuses_a_changed_log(house):
    await house.grow(300)
    await house.publisher.publish(ORIGIN)
    path = house.folder / "tile" / "0" / "001.p" / "44"
    data = bytearray(path.read_bytes())
    data[700] ^= 4
    path.write_bytes(data)
    reader = TilesReader(LocalBackend(house.folder))
    assert reader.get_checkpoint().root_hash != reader.calculate_root_hash()


async def test_a_foreign_reader_accepts_the_councils_cosignature(house):
    await house.grow(3)
    await house.publisher.publish(ORIGIN)
    _, note = open_checkpoint(await house.reader.checkpoint(ORIGIN), ORIGIN, house.key.verify_key)
    council = SigningKey.generate()
    line = cosign(note.text, "hamburg/council", council, 1_795_000_000)
    cosigned = Checkpoint.from_text(bytes(SignedNote(note.text, (*note.signatures, line))).decode())
    cosigned.verify(Vkey.from_string(str(cosigner("hamburg/council", council.verify_key))))
