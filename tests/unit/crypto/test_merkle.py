"""Merkle trees: the published roots of certificate transparency's eight leaves, and naive recursion for the rest."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.errors import MerkleError
from crypto.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
    tree_hash,
    verify_consistency,
    verify_inclusion,
)

ENTRIES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(b"%d" % i) for i in range(300)]


def naive(leaves):
    """RFC 6962 §2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + naive(leaves[:k]) + naive(leaves[k:])).digest()


def naive_path(m, leaves):
    """RFC 6962 §2.1.1, word for word."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m < k:
        return [*naive_path(m, leaves[:k]), naive(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive(leaves[:k])]


def naive_subproof(m, leaves, whole):
    """RFC 6962 §2.1.2, word for word."""
    if m == len(leaves):
        return [] if whole else [naive(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m <= k:
        return [*naive_subproof(m, leaves[:k], whole), naive(leaves[k:])]
    return [*naive_subproof(m - k, leaves[k:], False), naive(leaves[:k])]


def read(level, index):
    return naive(LEAVES[index << level : (index + 1) << level])


def test_the_published_roots():
    hashes = [leaf_hash(entry) for entry in ENTRIES]
    assert root_of([]) == EMPTY_ROOT == hashlib.sha256(b"").digest()
    assert [root_of(hashes[: i + 1]).hex() for i in range(8)] == ROOTS


@given(st.integers(0, 300))
@settings(max_examples=40)
def test_a_growing_root_is_the_naive_one(size):
    assert root_of(LEAVES[:size]) == naive(LEAVES[:size]) == tree_hash(size, read)


@given(st.data())
@settings(max_examples=40)
def test_inclusion_proofs_are_the_rfcs_and_verify(data):
    size = data.draw(st.integers(1, 70))
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, read)
    assert proof == naive_path(index, LEAVES[:size])
    verify_inclusion(LEAVES[index], index, size, proof, naive(LEAVES[:size]))


@given(st.data())
@settings(max_examples=40)
def test_consistency_proofs_are_the_rfcs_and_verify(data):
    new = data.draw(st.integers(1, 70))
    old = data.draw(st.integers(1, new))
    proof = consistency_proof(old, new, read)
    assert proof == naive_subproof(old, LEAVES[:new], True)
    verify_consistency(old, new, naive(LEAVES[:old]), naive(LEAVES[:new]), proof)


def test_every_small_tree():
    for new in range(1, 18):
        root = naive(LEAVES[:new])
        for index in range(new):
            verify_inclusion(LEAVES[index], index, new, inclusion_proof(index, new, read), root)
        for old in range(new + 1):
            verify_consistency(old, new, naive(LEAVES[:old]), root, consistency_proof(old, new, read))


@given(st.data())
@settings(max_examples=60)
def test_a_changed_proof_is_refused(data):
    size = data.draw(st.integers(2, 40))
    index = data.draw(st.integers(0, size - 1))
    root, proof = naive(LEAVES[:size]), inclusion_proof(index, size, read)
    for wrong in (_flip(data, proof), proof[:-1], [*proof, proof[-1]]):
        with pytest.raises(MerkleError):
            verify_inclusion(LEAVES[index], index, size, wrong, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda other: other != index))
    with pytest.raises(MerkleError):
        verify_inclusion(LEAVES[other], index, size, proof, root)


@given(st.data())
@settings(max_examples=60)
def test_a_changed_history_is_refused(data):
    new = data.draw(st.integers(2, 40))
    old = data.draw(st.integers(1, new - 1))
    proof = consistency_proof(old, new, read)
    roots = naive(LEAVES[:old]), naive(LEAVES[:new])
    for wrong in (_flip(data, proof), proof[:-1], [*proof, proof[-1]]):
        with pytest.raises(MerkleError):
            verify_consistency(old, new, *roots, wrong)
    forked = naive([*LEAVES[: old - 1], bytes(32)])
    with pytest.raises(MerkleError):
        verify_consistency(old, new, forked, roots[1], proof)


def test_two_roots_of_one_size_are_refused():
    with pytest.raises(MerkleError):
        verify_consistency(3, 3, naive(LEAVES[:3]), naive(LEAVES[1:4]), [])
    with pytest.raises(MerkleError):
        verify_consistency(3, 3, naive(LEAVES[:3]), naive(LEAVES[:3]), [bytes(32)])
    with pytest.raises(MerkleError):
        verify_consistency(0, 3, naive(LEAVES[:3]), naive(LEAVES[:3]), [])


@pytest.mark.parametrize(
    "call",
    [
        lambda: inclusion_proof(3, 3, read),
        lambda: inclusion_proof(-1, 3, read),
        lambda: consistency_proof(4, 3, read),
        lambda: verify_inclusion(LEAVES[0], 1, 1, [], LEAVES[0]),
        lambda: verify_inclusion(LEAVES[0], 0, 2, [b"short"], LEAVES[0]),
        lambda: verify_consistency(4, 3, EMPTY_ROOT, EMPTY_ROOT, []),
        lambda: verify_consistency(3, 5, LEAVES[0], LEAVES[1], []),
        lambda: verify_consistency(1, 2, LEAVES[0], LEAVES[1], [bytes(32)] * 65),
        lambda: Frontier(3, [bytes(32)]),
    ],
)
def test_what_no_tree_has_is_refused(call):
    with pytest.raises(MerkleError):
        call()


def test_a_frontier_goes_on_from_nodes_kept_elsewhere():
    frontier = Frontier.load(77, read)
    for leaf in LEAVES[77:130]:
        frontier.append(leaf)
    assert frontier.root() == naive(LEAVES[:130])


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=8), st.integers(0, 40), st.integers(0, 40))
@settings(max_examples=60)
def test_garbage_raises_merkle_errors_only(proof, one, two):
    for check in (
        lambda: verify_inclusion(LEAVES[0], one, two, proof, LEAVES[1]),
        lambda: verify_consistency(one, two, LEAVES[0], LEAVES[1], proof),
    ):
        with pytest.raises(MerkleError):
            check()


def _flip(data, proof):
    at = data.draw(st.integers(0, len(proof) * 256 - 1))
    wrong = bytearray(b"".join(proof))
    wrong[at // 8] ^= 1 << at % 8
    return [bytes(wrong[i : i + 32]) for i in range(0, len(wrong), 32)]
