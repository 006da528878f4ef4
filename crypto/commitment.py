"""Salted commitments to an object and the epoch's pseudonym of an agent: HMAC-SHA256 over LP framing and JCS.

Opening a commitment means showing the object and its salt; destroying the salt makes it unopenable.
"""

import hmac
import secrets
from typing import Final

from crypto.errors import FramingError
from crypto.framing import lp
from crypto.jcs import canonical

SALT_BYTES: Final = 32
PSEUDONYM_BYTES: Final = 16


def new_salt() -> bytes:
    """32 fresh random bytes."""
    return secrets.token_bytes(SALT_BYTES)


def commitment(kind: str, obj: object, salt32: bytes) -> bytes:
    """HMAC-SHA256(salt32, LP("fairtap/v1/commit", kind) ‖ JCS(obj)), 32 bytes. Raises FramingError, JcsError."""
    return hmac.digest(_checked(salt32), lp("fairtap/v1/commit", kind) + canonical(obj), "sha256")


def opens(committed: bytes, kind: str, obj: object, salt32: bytes) -> bool:
    """Whether (`obj`, `salt32`) is the opening of `committed`. Raises as `commitment`."""
    return hmac.compare_digest(committed, commitment(kind, obj, salt32))


def pseudonym(agent_salt32: bytes, origin: str, epoch: str) -> bytes:
    """The agent's 16 bytes in this epoch of this log: unlinkable to other epochs without `agent_salt32`."""
    mac = hmac.digest(_checked(agent_salt32), lp("fairtap/v1/agent-pseudonym", origin, epoch), "sha256")
    return mac[:PSEUDONYM_BYTES]


def _checked(salt32: bytes) -> bytes:
    if len(salt32) != SALT_BYTES:
        raise FramingError("salt isn't 32 bytes")
    return salt32
