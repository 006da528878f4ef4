"""An epoch's inventory: what its recordings' manifests are found by, in the random order of its `eclose`'s root.

It has one leaf for each side of each hit and wish, kept or not, so that its length tells nothing of consents. A kept
side's leaf is a hash over its manifests, any other is 32 random bytes: only who holds all manifests of a side can tell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from crypto.errors import CryptoError
from crypto.framing import lp, parse_hex
from crypto.jcs import canonical, parse
from crypto.merkle import leaf_hash, root_of
from policy.errors import StatementError
from policy.terms import Side

MAX_BYTES: Final = 64 << 20
LEAVES_OF_A_LEG: Final = len(Side)
LEAF_BYTES: Final = 32


def side_leaf(manifests: Iterable[str]) -> str:
    """The leaf (hex32) of one side of a recording: its manifests' digests (hex32), in the order of segments."""
    return hashlib.sha256(lp("fairtap/v1/inventory", *map(bytes.fromhex, manifests))).hexdigest()


def inventory_root(leaves: Sequence[str]) -> bytes:
    """The Merkle root (RFC 6962) over leaves (hex32) in their order."""
    return root_of(leaf_hash(bytes.fromhex(leaf)) for leaf in leaves)


def print_inventory(epoch: str, leaves: Sequence[str]) -> bytes:
    """As a file."""
    return canonical({"e": epoch, "leaves": list(leaves)})


def parse_inventory(data: bytes) -> tuple[str, list[str]]:
    """Epoch and leaves. Raises StatementError."""
    try:
        found = parse(data, limit=MAX_BYTES)
        if isinstance(found, dict) and set(found) == {"e", "leaves"} and isinstance(found["leaves"], list):
            return str(found["e"]), [parse_hex(str(leaf), LEAF_BYTES).hex() for leaf in found["leaves"]]
    except CryptoError:
        pass
    raise StatementError("not an inventory of an epoch")
