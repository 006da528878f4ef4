"""Writes what makes a payload a recording: opening, manifest, signature, in this order (crypto.md §1).

The signature is the commit point: a signed manifest stands for ever, anything less is written anew. Blocking.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Final

from crypto.ssh_key import SigningKey
from crypto.stream import NONCE_BYTES, SEALED_CHUNK_BYTES, TAG_BYTES
from storage import manifest as manifests
from storage.blobs import Kind, LocalBlobs
from storage.errors import BlobMissing, BlobStateError, ManifestError
from storage.manifest import Manifest, Opening, Private
from storage.names import SegmentKey
from storage.vault import LocalVault, Secret

SAMPLES_PER_S: Final = 8_000
"""G.711 has one octet a sample."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A signed manifest and the digest (hex) of its bytes."""

    manifest: Manifest
    digest: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a writer that died left of a payload."""

    size: int
    """Bytes that can be kept: all of a renamed payload, the whole chunks of an unfinished one; 0: nothing."""
    finished: bool
    """The payload was renamed: only its manifest is missing."""

    @property
    def chunks(self) -> int:
        """Chunks in `size` bytes."""
        return chunks_in(self.size)

    @property
    def seconds(self) -> float:
        """Audio in these chunks, the container's own few octets counted as such."""
        return (self.size - NONCE_BYTES - TAG_BYTES * self.chunks) / SAMPLES_PER_S if self.chunks else 0.0


class Sealer:
    """Signs for one gateway: its key, its verifier key `gateway` and the digest of its `build`."""

    def __init__(self, blobs: LocalBlobs, vault: LocalVault, key: SigningKey, *, gateway: str, build: str) -> None:
        self.blobs: Final = blobs
        self.vault: Final = vault
        self.gateway: Final = gateway
        self.build: Final = build
        self._key = key

    def seal(self, manifest: Manifest, private: Private) -> Sealed:
        """Make a payload's opening, manifest (`private` and `quorum` are set here) and signature durable; at most once.

        A segment that has its signed manifest keeps it. Raises BlobStateError when the payload isn't there as the
        manifest says, ManifestError, StorageUnavailable.
        """
        key = SegmentKey(manifest.id, manifest.seg, manifest.side)
        signed = self.signed(key)
        if signed is not None:
            return signed
        if self.blobs.size(key, Kind.PAYLOAD) != manifest.payload.bytes:
            raise BlobStateError("payload isn't there, or of another size than its manifest would say")
        opening = Opening.make(private)
        self.vault.replace(key, Secret.OPENING, opening.seal(private.recipients))
        manifest = replace(manifest, quorum=self.vault.holds(key, Secret.QUORUM)).committed(opening)
        data = manifest.to_bytes()
        Manifest.parse(data)  # never sign what its readers refuse
        self.blobs.replace(key, Kind.MANIFEST, data)
        self.blobs.replace(key, Kind.SIGNATURE, manifests.sign(self._key, data))
        return Sealed(manifest, hashlib.sha256(data).hexdigest())

    def signed(self, key: SegmentKey) -> Sealed | None:
        """The manifest of a segment if it stands there with a signature of this gateway's key."""
        try:
            data = self.blobs.read(key, Kind.MANIFEST)
            found = manifests.verify(self._key.verify_key, data, self.blobs.read(key, Kind.SIGNATURE))
        except (BlobMissing, ManifestError):
            return None
        if (found.id, found.seg, found.side) != (key.recording, key.seg, key.side):
            return None  # a manifest that was moved here from elsewhere
        return Sealed(found, hashlib.sha256(data).hexdigest())

    def found(self, key: SegmentKey) -> Found:
        """What is there of a payload whose writer is gone."""
        size = self.blobs.size(key, Kind.PAYLOAD)
        if size is not None:
            return Found(size if size > NONCE_BYTES else 0, finished=True)
        size = self.blobs.size(key, Kind.PART) or 0
        whole = max(size - NONCE_BYTES, 0) // SEALED_CHUNK_BYTES
        return Found(NONCE_BYTES + whole * SEALED_CHUNK_BYTES if whole else 0, finished=False)

    def erase(self, key: SegmentKey) -> None:
        """Destroy one side and segment: what opens it first."""
        self.vault.erase(key)
        self.blobs.erase(key)

    def erase_recording(self, recording: str) -> None:
        """Destroy a recording with all sides and segments: everything that opens any of them first."""
        self.vault.erase_recording(recording)
        self.blobs.erase_recording(recording)


def chunks_in(size: int) -> int:
    """How many chunks a payload of `size` bytes has; the last one may be short."""
    return -(-max(size - NONCE_BYTES, 0) // SEALED_CHUNK_BYTES)
