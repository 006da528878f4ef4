"""Offline proofs: the format by hand, and every flipped bit of one."""

import base64
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.checkpoint import Checkpoint
from crypto.errors import NoteError, TlogProofError
from crypto.merkle import inclusion_proof, leaf_hash, root_of
from crypto.ssh_key import SigningKey
from crypto.tlog_proof import TlogProof
from crypto.tlog_tiles import fold

KEY = SigningKey.generate()
ORIGIN = "hamburg/fairtap/2026-40"
ENTRIES = [b"entry %d" % i for i in range(5)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
NOTE = bytes(Checkpoint(ORIGIN, 5, root_of(LEAVES)).signed(KEY))
HASHES = tuple(inclusion_proof(3, 5, lambda level, index: fold(LEAVES[index << level : (index + 1) << level])))
PROOF = bytes(TlogProof(3, HASHES, NOTE, b"extra"))


def test_a_proof_is_the_format_by_hand():
    lines = "".join(base64.b64encode(one).decode() + "\n" for one in HASHES)
    assert f"c2sp.org/tlog-proof@v1\nextra ZXh0cmE=\nindex 3\n{lines}\n".encode() + NOTE == PROOF


def test_a_proof_holds_for_its_entry_only():
    proof = TlogProof.parse(PROOF)
    assert proof.check(ENTRIES[3], ORIGIN, KEY.verify_key).size == 5
    with pytest.raises(TlogProofError):
        proof.check(ENTRIES[2], ORIGIN, KEY.verify_key)
    with pytest.raises(NoteError):
        proof.check(ENTRIES[3], ORIGIN, SigningKey.generate().verify_key)


def test_a_single_entry_needs_no_hashes():
    note = bytes(Checkpoint(ORIGIN, 1, LEAVES[0]).signed(KEY))
    proof = TlogProof.parse(b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + note)
    assert proof.check(ENTRIES[0], ORIGIN, KEY.verify_key).size == 1
    assert proof.extra is None


def test_every_flipped_bit_is_found_but_in_the_extra_data():
    extra = range(PROOF.index(b"ZXh0"), PROOF.index(b"index"))
    for at in range(len(PROOF) * 8):
        wrong = bytearray(PROOF)
        wrong[at // 8] ^= 1 << at % 8
        if at // 8 in extra:
            continue
        with pytest.raises((TlogProofError, NoteError)):
            TlogProof.parse(bytes(wrong)).check(ENTRIES[3], ORIGIN, KEY.verify_key)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"c2sp.org/tlog-proof@v1\n\n" + NOTE,
        b"c2sp.org/tlog-proof@v2\nindex 0\n\n" + NOTE,
        b"c2sp.org/tlog-proof@v1\nindex 00\n\n" + NOTE,
        b"c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\n" + NOTE,
        b"c2sp.org/tlog-proof@v1\nindex 0\nextra AAAA\n\n" + NOTE,
        b"c2sp.org/tlog-proof@v1\nindex 0\n" + (b"A" * 43 + b"=\n") * 65 + b"\n" + NOTE,
        b"c2sp.org/tlog-proof@v1\nextra A\nindex 0\n\n" + NOTE,
        "c2sp.org/tlog-proof@v1\nindex ٣\n\n".encode() + NOTE,
        bytes(1 << 18),
    ],
)
def test_what_is_not_a_proof_is_refused(data):
    with pytest.raises(TlogProofError):
        TlogProof.parse(data)


@given(st.lists(st.sampled_from([b"c2sp.org/tlog-proof@v1\n", b"extra AAAA\n", b"index 3\n", b"\n", b"A=\n", NOTE])))
@settings(max_examples=60)
def test_garbage_raises_its_error_and_proofs_print_back(pieces):
    data = b"".join(pieces)
    with contextlib.suppress(TlogProofError):
        assert bytes(TlogProof.parse(data)) == data
