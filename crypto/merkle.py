"""Merkle trees of RFC 6962 §2.1 / RFC 9162 §2.1: hashes, the growing root, inclusion and consistency proofs.

Proofs are made from the hashes of perfect subtrees, wherever they are kept; nothing here stores a tree.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Self

from crypto.errors import MerkleError

HASH_BYTES: Final = 32
MAX_SIZE: Final = (1 << 53) - 1
MAX_PROOF: Final = 64
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
ReadNode = Callable[[int, int], bytes]
"""(level, index) to the hash of the perfect subtree over leaves `index · 2^level` … `(index + 1) · 2^level - 1`."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees side by side."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that only grows, kept as the hashes of its perfect subtrees, largest first: at most 53 of them."""

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if not 0 <= size <= MAX_SIZE or len(peaks) != size.bit_count():
            raise MerkleError("subtrees don't fit the tree's size")
        self.size = size
        self._peaks = list(peaks)

    @classmethod
    def load(cls, size: int, read: ReadNode) -> Self:
        """The frontier of a tree whose nodes are kept elsewhere."""
        return cls(size, [read(level, index) for level, index in _perfect(0, size)])

    def append(self, leaf: bytes) -> None:
        """Add the hash of the next entry."""
        size = self.size
        while size & 1:
            leaf = node_hash(self._peaks.pop(), leaf)
            size >>= 1
        self._peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The root over everything that was added."""
        return _join(self._peaks)


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def tree_hash(size: int, read: ReadNode) -> bytes:
    """The root of the first `size` leaves."""
    return _range_hash(0, size, read)


def inclusion_proof(index: int, size: int, read: ReadNode) -> list[bytes]:
    """From the leaf's sibling up to the root's child. Raises MerkleError unless 0 <= index < size."""
    if not 0 <= index < size <= MAX_SIZE:
        raise MerkleError("no such leaf in this tree")
    return [_range_hash(start, end, read) for start, end in reversed(_siblings(index, 0, size))]


def consistency_proof(old: int, new: int, read: ReadNode) -> list[bytes]:
    """That the tree of `new` leaves begins with the one of `old`. Empty where either is 0 or both are equal."""
    if not 0 <= old <= new <= MAX_SIZE:
        raise MerkleError("a tree doesn't shrink")
    if old in (0, new):
        return []
    start, end, path = 0, new, []
    while end != old:  # down to the subtree that ends where the old tree ends
        split = start + _split(end - start)
        if old <= split:
            path.append((split, end))
            end = split
        else:
            path.append((start, split))
            start = split
    if start:
        path.append((start, end))
    return [_range_hash(first, last, read) for first, last in reversed(path)]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise MerkleError unless `proof` leads from the leaf's hash at `index` to `root` (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size <= MAX_SIZE:
        raise MerkleError("no such leaf in this tree")
    node, last = index, size - 1
    found = leaf
    for sibling in _checked(proof):
        if last == 0:
            raise MerkleError("inclusion proof is too long")
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    if last != 0 or found != root:
        raise MerkleError("inclusion proof doesn't lead to the root")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raise MerkleError unless `proof` shows that `new_root` extends `old_root` (RFC 9162 §2.1.4.2)."""
    if not 0 <= old <= new <= MAX_SIZE:
        raise MerkleError("a tree doesn't shrink")
    hashes = _checked(proof)
    if old in (0, new):
        if hashes or (old == new and old_root != new_root) or (old == 0 and old_root != EMPTY_ROOT):
            raise MerkleError("trees of one size have two roots, or a needless proof")
        return
    if not old & (old - 1):
        hashes = [old_root, *hashes]
    if not hashes:
        raise MerkleError("consistency proof is empty")
    _climb(old - 1, new - 1, hashes, old_root, new_root)


def _climb(node: int, last: int, hashes: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    while node & 1:
        node, last = node >> 1, last >> 1
    seen_old = seen_new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise MerkleError("consistency proof is too long")
        if node & 1 or node == last:
            seen_old, seen_new = node_hash(sibling, seen_old), node_hash(sibling, seen_new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            seen_new = node_hash(seen_new, sibling)
        node, last = node >> 1, last >> 1
    if last != 0 or seen_old != old_root or seen_new != new_root:
        raise MerkleError("consistency proof doesn't lead to the roots")


def _checked(proof: Sequence[bytes]) -> Sequence[bytes]:
    if len(proof) > MAX_PROOF or any(len(one) != HASH_BYTES for one in proof):
        raise MerkleError("proof isn't a short list of 32-byte hashes")
    return proof


def _split(size: int) -> int:
    """The largest power of two under `size`."""
    return 1 << (size - 1).bit_length() - 1


def _siblings(index: int, start: int, end: int) -> list[tuple[int, int]]:
    """The ranges beside the way down to a leaf, outermost first."""
    path = []
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            path.append((split, end))
            end = split
        else:
            path.append((start, split))
            start = split
    return path


def _perfect(start: int, end: int) -> list[tuple[int, int]]:
    """(level, index) of the perfect subtrees of a range that begins at one's edge, largest first."""
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append((level, start >> level))
        start += 1 << level
    return nodes


def _range_hash(start: int, end: int, read: ReadNode) -> bytes:
    return _join([read(level, index) for level, index in _perfect(start, end)])


def _join(peaks: Sequence[bytes]) -> bytes:
    if not peaks:
        return EMPTY_ROOT
    found = peaks[-1]
    for peak in reversed(peaks[:-1]):
        found = node_hash(peak, found)
    return found
