"""An epoch's inventory: the digests of the manifests of what it kept, in the random order of its `eclose`'s root.

Digests tell nothing of a recording: whoever holds a manifest can find it there, nobody else can look for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crypto.errors import CryptoError
from crypto.framing import parse_hex
from crypto.jcs import canonical, parse
from crypto.merkle import leaf_hash, root_of
from policy.errors import StatementError

MAX_BYTES: Final = 64 << 20


def inventory_root(digests: Sequence[str]) -> bytes:
    """The Merkle root (RFC 6962) over digests (hex32) in their order."""
    return root_of(leaf_hash(bytes.fromhex(digest)) for digest in digests)


def print_inventory(epoch: str, digests: Sequence[str]) -> bytes:
    """As a file."""
    return canonical({"e": epoch, "manifests": list(digests)})


def parse_inventory(data: bytes) -> tuple[str, list[str]]:
    """Epoch and digests. Raises StatementError."""
    try:
        found = parse(data, limit=MAX_BYTES)
        if isinstance(found, dict) and set(found) == {"e", "manifests"} and isinstance(found["manifests"], list):
            return str(found["e"]), [parse_hex(str(digest), 32).hex() for digest in found["manifests"]]
    except CryptoError:
        pass
    raise StatementError("not an inventory of an epoch")
