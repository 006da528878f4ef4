"""What the council signs for an epoch, `{origin, e, c}` (crypto.md §3, §4): its commitment to a share of the draw.

Not an act: no `prev`, one for each epoch of each log. The share itself is 64 hexadecimal characters, handed over later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from crypto.draw import epoch_commitment
from crypto.errors import CryptoError
from crypto.jcs import canonical
from crypto.ssh_key import SigningKey, VerifyKey
from crypto.sshsig import sign, verify
from policy.statements import SHA256, Fields

EPOCH_NAMESPACE: Final = "fairtap-epoch@v1"
ORIGIN: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}/fairtap/[0-9]{4}-W?[0-9]{2}(?:-r[1-9][0-9]{0,3})?", re.ASCII)
"""`<site>/fairtap/<iso year>-<first week>`, after a restore with `-r1`, `-r2`, …"""
EPOCH: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{4}Z-PT[0-9]{1,2}M)?|[0-9]{4}-W[0-9]{2}", re.ASCII)
"""A day, an ISO week, or minutes of UTC (demo), as `draw_rules.epoch_of` names them."""


@dataclass(frozen=True, slots=True)
class CouncilCommitment:
    """The council's commitment to its share of one epoch's draw."""

    origin: str
    epoch: str
    c: str
    """com_council, hex32."""

    def canonical(self) -> bytes:
        """The bytes to sign under `EPOCH_NAMESPACE`."""
        return canonical({"origin": self.origin, "e": self.epoch, "c": self.c})

    def opened_by(self, share32: bytes) -> bool:
        """Whether this share is the one committed to. Raises `CryptoError` for one that isn't 32 bytes."""
        return epoch_commitment("council", self.origin, self.epoch, share32).hex() == self.c

    def signed_by(self, armored: str, keys: Iterable[VerifyKey]) -> bool:
        """Whether `armored` is the signature (SSHSIG) of one of the council's keys."""
        return any(_holds(key, self.canonical(), armored) for key in keys)


def commit(origin: str, epoch: str, share32: bytes, key: SigningKey) -> tuple[CouncilCommitment, str]:
    """The commitment to a share and its armoured signature. Raises `CryptoError`."""
    made = CouncilCommitment(origin, epoch, epoch_commitment("council", origin, epoch, share32).hex())
    return made, sign(key, EPOCH_NAMESPACE, made.canonical())


def parse_commitment(data: bytes) -> CouncilCommitment:
    """Read a commitment; raises `StatementError`, and nothing else."""
    fields = Fields.read(data, "origin e c")
    return CouncilCommitment(fields.text("origin", ORIGIN), fields.text("e", EPOCH), fields.text("c", SHA256))


def _holds(key: VerifyKey, message: bytes, armored: str) -> bool:
    try:
        verify(key, EPOCH_NAMESPACE, message, armored)
    except CryptoError:
        return False
    return True
