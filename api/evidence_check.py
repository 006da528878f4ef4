"""Checks an evidence bundle offline (crypto.md §1, §3): signature, payload, key commitment, opening, log proof.

Without the owner's key it checks what anybody can: a header's MAC, the key commitment and the opening stay unchecked
and the report says so. Whose key signed is for the reader to compare, unless a verifier key is given.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from api.evidence_files import SIGNERS, Bundle
from crypto import age
from crypto.errors import AgeTruncated, CryptoError
from crypto.header import FileKey
from crypto.signed_note import VerifierKey
from crypto.ssh_key import VerifyKey
from crypto.stream import NONCE_BYTES, key_commit, read_chunks
from crypto.x25519 import Identity
from storage import manifest as manifests
from storage.errors import ManifestError
from storage.manifest import Manifest, Opening, Private
from storage.sealing import chunks_in

__all__ = ["Check", "Finding", "Report", "Segment", "check_segments", "signer_of"]

_SIGNER: Final = re.compile(r'gateway namespaces="([!-!#-~]*)" (ssh-ed25519 [A-Za-z0-9+/=]+)')


class Check(StrEnum):
    """What was looked at."""

    FILE = "file"
    SIGNER = "signer"
    SIGNATURE = "signature"
    MANIFEST = "manifest"
    HEADER = "header"
    PAYLOAD = "payload"
    KEY_COMMIT = "key-commitment"
    OPENING = "opening"
    SEGMENT = "segment"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that isn't as it should be."""

    check: Check
    place: str
    sentence: str


@dataclass(slots=True)
class Segment:
    """One side of one segment, as far as it could be read."""

    name: str
    """Stem of its files."""
    manifest: Manifest | None = None
    digest: str | None = None
    """Of the manifest's bytes, hex: what the log commits to."""
    private: Private | None = None
    """What the opening says; None without the owner's key."""
    whole_chunks: int | None = None
    """Chunks that decrypt, from the start; None without the owner's key."""


@dataclass(slots=True)
class Report:
    """Everything found in a bundle."""

    findings: list[Finding] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    """What wasn't looked at, and what it would take."""
    segments: list[Segment] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    """Entries of the log that were proven, as `ORIGIN INDEX`."""

    def add(self, check: Check, place: str, sentence: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(check, place, sentence))


def signer_of(bundle: Bundle, given: VerifyKey | None, report: Report) -> VerifyKey | None:
    """The gateway's key: the given one, else the folder's own, which then proves only that all is of one hand."""
    named = _signer(bundle.signers, report)
    if given is not None and named is not None and named != given:
        report.add(Check.SIGNER, SIGNERS, "names another key than the one that was given")
    if given is None and named is not None:
        report.unchecked.append(
            f"whose key signed: {named.fingerprint()} is the folder's own word; compare it with what the council "
            "holds, or give --vkey"
        )
    return given or named


def check_segments(bundle: Bundle, key: VerifyKey | None, identities: Sequence[Identity], report: Report) -> None:
    """Check every side and segment by itself, then that they are of one recording; fills `report.segments`."""
    for name in bundle.unread:
        report.add(Check.FILE, name, "can't be read, or is larger than any such file")
    if not identities:
        report.unchecked.append(
            "the header's MAC, the key commitment, each chunk and the opening: they take the owner's key (-i)"
        )
    for stem, files in sorted(bundle.segments.items()):
        report.segments.append(_Side(stem, files, report).check(key, identities))
    _check_together(report)


@dataclass(slots=True)
class _Side:
    """One side of one segment, while it is checked."""

    name: str
    files: dict[str, bytes]
    report: Report

    def check(self, key: VerifyKey | None, identities: Sequence[Identity]) -> Segment:
        manifest = self._manifest(key)
        data = self.files.get("manifest.json")
        found = Segment(self.name, manifest, hashlib.sha256(data).hexdigest() if data is not None else None)
        if "age" not in self.files:
            self._add(Check.SEGMENT, ".age", "is missing: erased, or left out")
        elif manifest is not None:
            found.whole_chunks = self._audio(manifest, self.files["age"], identities)
        if identities and manifest is not None:
            found.private = self._opening(manifest, identities)
        return found

    def _manifest(self, key: VerifyKey | None) -> Manifest | None:
        data, signature = self.files.get("manifest.json"), self.files.get("manifest.sig")
        if data is None:
            self._add(Check.SEGMENT, ".manifest.json", "is missing: nothing says what was recorded here")
            return None
        if signature is None:
            self._add(Check.SIGNATURE, ".manifest.sig", "is missing")
        try:
            manifest = Manifest.parse(data)
            if key is not None and signature is not None:
                self._signature(key, data, signature)
        except ManifestError as error:
            self._add(Check.MANIFEST, ".manifest.json", str(error))
            return None
        self._names(manifest, key)
        return manifest

    def _signature(self, key: VerifyKey, data: bytes, signature: bytes) -> None:
        try:
            manifests.verify(key, data, signature)
        except ManifestError:
            said = "doesn't verify: manifest or signature was altered, or another key signed"
            self._add(Check.SIGNATURE, ".manifest.sig", said)

    def _names(self, manifest: Manifest, key: VerifyKey | None) -> None:
        """Whether the manifest is about this file, and names who signed it."""
        if self.name not in (own := f"{manifest.side}-{manifest.seg}", f"{manifest.id}-{own}"):
            self._add(Check.MANIFEST, ".manifest.json", f"is about segment `{own}` of recording {manifest.id}")
        try:
            named = VerifierKey.parse(manifest.gateway).key
        except CryptoError:
            self._add(Check.MANIFEST, ".manifest.json", "field `gateway` isn't a verifier key")
            return
        if key is not None and named != key:
            self._add(Check.SIGNER, ".manifest.json", "names another gateway's key")

    def _audio(self, manifest: Manifest, data: bytes, identities: Sequence[Identity]) -> int | None:
        try:
            header, payload = age.split_header(data)
            stanzas = age.count_stanzas(bytes(header))
        except CryptoError as error:
            self._add(Check.HEADER, ".age", str(error))
            return None
        if stanzas != manifest.stanzas:
            said = f"has {stanzas} recipients, the manifest says {manifest.stanzas}"
            self._add(Check.HEADER, ".age", said)
        self._compare(manifest, payload)
        return self._decrypt(manifest, bytes(header), payload, identities) if identities else None

    def _compare(self, manifest: Manifest, payload: memoryview) -> None:
        told = manifest.payload
        if len(payload) != told.bytes:
            said = f"payload has {len(payload)} bytes, the manifest says {told.bytes}"
            self._add(Check.PAYLOAD, ".age", said)
        elif hashlib.sha256(payload).hexdigest() != told.sha256:
            self._add(Check.PAYLOAD, ".age", "payload was altered: its SHA-256 isn't the manifest's")
        if chunks_in(told.bytes) != told.chunks:
            said = f"{told.bytes} bytes aren't {told.chunks} chunks"
            self._add(Check.MANIFEST, ".manifest.json", said)

    def _decrypt(
        self, manifest: Manifest, header: bytes, payload: memoryview, identities: Sequence[Identity]
    ) -> int | None:
        try:
            file_key = age.open_header(header, identities)
            committed = key_commit(file_key, bytes(payload[:NONCE_BYTES])).hex()
        except CryptoError as error:
            said = f"{error}: altered, or encrypted to somebody else"
            self._add(Check.HEADER, ".age", said)
            return None
        if committed != manifest.key_commit:
            said = "key in the header, or nonce, isn't the one that the manifest commits to"
            self._add(Check.KEY_COMMIT, ".age", said)
        return self._whole_chunks(manifest, file_key, payload)

    def _whole_chunks(self, manifest: Manifest, file_key: FileKey, payload: memoryview) -> int:
        whole = 0
        try:
            for _ in read_chunks(file_key, payload):
                whole += 1
        except CryptoError as error:
            # what a crash left ends without a last chunk, and its manifest says so
            left = isinstance(error, AgeTruncated) and manifest.end == "interrupted"
            if not left or whole != manifest.payload.chunks:
                said = f"{error}; {whole} whole chunks before it are genuine"
                self._add(Check.PAYLOAD, ".age", said)
        return whole

    def _opening(self, manifest: Manifest, identities: Sequence[Identity]) -> Private | None:
        data = self.files.get("opening")
        if data is None:
            self.report.unchecked.append(f"{self.name}: whose it is, when and why: its .opening isn't here")
            return None
        try:
            opening = Opening.open(data, identities)
            opening.check(manifest)
        except ManifestError as error:
            self._add(Check.OPENING, ".opening", str(error))
            return None
        if len(opening.private.recipients) != manifest.stanzas:
            self._add(Check.OPENING, ".opening", "names more or fewer recipients than the manifest")
        return opening.private

    def _add(self, check: Check, suffix: str, sentence: str) -> None:
        self.report.add(check, self.name + suffix, sentence)


def _check_together(report: Report) -> None:
    """One recording, one leg."""
    manifests_of = [one.manifest for one in report.segments if one.manifest is not None]
    if len({(one.id, one.origin, one.gateway) for one in manifests_of}) > 1:
        report.add(Check.MANIFEST, "manifests", "are of different recordings, logs or gateways")
    private = [one.private for one in report.segments if one.private is not None]
    if len({(one.epoch, one.agent, one.n, one.lane) for one in private}) > 1:
        report.add(Check.OPENING, "openings", "are of different legs")


def _signer(data: bytes | None, report: Report) -> VerifyKey | None:
    if data is None:
        report.add(Check.FILE, SIGNERS, "is missing")
        return None
    try:
        match = _SIGNER.fullmatch(data.decode("ascii").split("\n", 1)[0])
        if match is not None and manifests.NAMESPACE in match[1].split(","):
            return VerifyKey.parse(match[2])
    except (UnicodeDecodeError, CryptoError):
        pass
    said = f"doesn't begin with the gateway's key for `{manifests.NAMESPACE}`"
    report.add(Check.SIGNER, SIGNERS, said)
    return None
