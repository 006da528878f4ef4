"""A coach as a site shows them to agents: enrolled, with the entry of the key in a published log of a few entries."""

import hashlib

from api.keyed_client import ClientKeys
from api.reads import CoachKeyRow, CoachRow, Proven
from crypto.checkpoint import Checkpoint
from crypto.commitment import commitment
from crypto.merkle import leaf_hash
from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from crypto.tlog_proof import TlogProof
from policy import log_entry
from policy.statements import ENROLMENT_NAMESPACE, Enrolment

COACH, GATEWAY, ORIGIN, SALT = "cd" * 16, SigningKey.generate(), "test/fairtap/2026-01", b"s" * 32
BEFORE, AFTER = 5, 3
"""Entries of the log besides the coach's."""


def enrolled(keys: ClientKeys, published: bool = True) -> CoachRow:
    """The coach with these keys."""
    recipient = str(keys.identity.recipient)
    said = Enrolment(COACH, recipient, "2026-03-01T09:30:00Z").canonical()
    told = {"who": COACH, "recipient": recipient, "from": "2026-03-01T09:30:00.000Z", "to": None}
    leaf = log_entry.encode(log_entry.Key(commitment("key", told, SALT).hex()))
    others = [log_entry.encode(log_entry.Day("2026-W10", number)) for number in range(BEFORE + AFTER)]
    hashes = [leaf_hash(entry) for entry in (*others[:BEFORE], leaf, *others[BEFORE:])]
    root, path = _proof(hashes, BEFORE)
    note = bytes(Checkpoint(ORIGIN, len(hashes), root).signed(GATEWAY))
    proof = bytes(TlogProof(BEFORE, tuple(path), note)).decode() if published else None
    key = CoachKeyRow(
        recipient, keys.signing.verify_key.line(), said.decode(), sign(keys.signing, ENROLMENT_NAMESPACE, said),
        told, SALT.hex(), Proven(ORIGIN, BEFORE, leaf.decode(), proof),
    )  # fmt: skip
    return CoachRow(COACH, "Carla Coach", key=key)


def _proof(hashes: list[bytes], index: int) -> tuple[bytes, list[bytes]]:
    """RFC 6962, 2.1 and 2.1.1, as written there: the root, and the path of a leaf."""
    if len(hashes) == 1:
        return hashes[0], []
    split = 1 << (len(hashes) - 1).bit_length() - 1
    left, right = hashes[:split], hashes[split:]
    (near, path), (far, _) = (
        (_proof(left, index), _proof(right, 0)) if index < split else (_proof(right, index - split), _proof(left, 0))
    )
    pair = near + far if index < split else far + near
    return hashlib.sha256(b"\1" + pair).digest(), [*path, far]
