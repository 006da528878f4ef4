"""A recording's evidence bundle as a site would hand it out, with a small log around it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crypto import age
from crypto.checkpoint import Checkpoint
from crypto.merkle import inclusion_proof, leaf_hash, root_of
from crypto.signed_note import VerifierKey
from crypto.ssh_key import SigningKey, allowed_signers_line
from crypto.stream import PayloadWriter, encrypt_payload, key_commit, new_file_key
from crypto.tlog_proof import TlogProof
from crypto.tlog_tiles import Tile, encode_bundle, encode_hashes
from crypto.x25519 import Identity
from policy import log_entry
from policy.opening import OutOpening
from storage import manifest as manifests
from storage.manifest import End, Manifest, Opening, Payload, Private, Side
from storage.sealing import chunks_in

RECORDING = "4" * 32
ORIGIN = "hamburg/fairtap/2026-14"
START = datetime(2026, 4, 6, 9, 30, 15, tzinfo=UTC)
LEG = 3
"""Index of the leg's `out`."""
SIZE = 9
EPOCH = "2026-W15"


@dataclass(frozen=True)
class Evidence:
    """Files by name, and whose they are."""

    files: dict[str, bytes]
    gateway: SigningKey
    owner: Identity
    tiles: dict[str, bytes]
    """The log as a copy has it, by path."""

    def write(self, folder: Path, **changed: bytes | None) -> Path:
        """The bundle with some files changed, or taken away (None)."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in {**self.files, **changed}.items():
            (folder / name).unlink(missing_ok=True)
            if data is not None:
                (folder / name).write_bytes(data)
        return folder

    def write_log(self, folder: Path) -> Path:
        """A copy of the log."""
        for path, data in self.tiles.items():
            target = folder / ORIGIN / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return folder


def make_evidence(segments: int = 2, audio: int = 70_000) -> Evidence:
    """Both sides of so many segments; all but the last end in a pause."""
    gateway, owner = SigningKey.generate(), Identity.generate()
    files: dict[str, bytes] = {}
    sides: tuple[Side, Side] = ("agent", "caller")
    for seg in range(1, segments + 1):
        for side in sides:
            add_segment(files, gateway, owner, side, seg, audio, "normal" if seg == segments else "paused")
    kept = [data for name, data in files.items() if name.endswith(".manifest.json")]
    digests = tuple(hashlib.sha256(data).hexdigest() for data in kept)
    told = OutOpening(LEG, "hit", "sample", ("recorded",), digests, bytes(range(32)))
    leaf = log_entry.encode(log_entry.Out(EPOCH, "1" * 32, 7, "hit", told.commitment().hex()))
    leaves = [leaf if i == LEG else log_entry.encode(log_entry.Day(EPOCH, i)) for i in range(SIZE)]
    hashes = [leaf_hash(one) for one in leaves]
    note = bytes(Checkpoint(ORIGIN, SIZE, root_of(hashes)).signed(gateway))
    proof = TlogProof(LEG, tuple(inclusion_proof(LEG, SIZE, lambda level, i: _node(hashes, level, i))), note)
    files["allowed_signers"] = allowed_signers_line("gateway", gateway.verify_key, (manifests.NAMESPACE,)).encode()
    files |= {"leg-3.out": told.line(), "leg-3.entry": leaf, "leg-3.tlog-proof": bytes(proof)}
    tiles = {Tile(0, 0, SIZE).path: encode_hashes(hashes), Tile(None, 0, SIZE).path: encode_bundle(leaves)}
    return Evidence(files, gateway, owner, tiles | {"checkpoint": note})


def add_segment(
    files: dict[str, bytes], gateway: SigningKey, owner: Identity, side: Side, seg: int, audio: int, end: End
) -> None:
    """One side of one segment; `interrupted` is cut after its whole chunks."""
    file_key = new_file_key()
    payload = encrypt_payload(file_key, bytes(audio)) if end != "interrupted" else _cut(PayloadWriter(file_key))
    private = Private(
        EPOCH, "1" * 32, 7, "sample", "coaching", "2" * 64, START, START + timedelta(seconds=9), ((20, 40, "loss"),),
        ("3" * 64,), (str(owner.recipient),),
    )  # fmt: skip
    opening = Opening.make(private)
    manifest = Manifest(
        RECORDING, ORIGIN, side, seg, "wav/PCMA", "inline", "rtp",
        Payload(hashlib.sha256(payload).hexdigest(), len(payload), chunks_in(len(payload))),
        key_commit(file_key, payload[:16]).hex(), 1, False, end,
        str(VerifierKey("hamburg", gateway.verify_key)), "7" * 64, opening.commitment,
    ).to_bytes()  # fmt: skip
    stem = f"{RECORDING}-{side}-{seg}"
    files[f"{stem}.age"] = age.make_header(file_key, [owner.recipient]) + payload
    files[f"{stem}.manifest.json"] = manifest
    files[f"{stem}.manifest.sig"] = manifests.sign(gateway, manifest)
    files[f"{stem}.opening"] = opening.seal(private.recipients)


def _cut(writer: PayloadWriter) -> bytes:
    return writer.nonce + writer.seal_chunk(bytes(65_536)) + writer.seal_chunk(bytes(65_536))


def _node(hashes: list[bytes], level: int, index: int) -> bytes:
    return root_of(hashes[index << level : (index + 1) << level])
