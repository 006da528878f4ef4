"""V8: every manifest at hand is one that an `out` or an `eclose` committed to, and every one of theirs is at hand.

Reads a folder of `*.manifest.json` with `*.manifest.sig`, `*.inventory` (an epoch's digests in the order of its root)
and `*.out` (openings of `out` entries).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from council.epoch_book import EpochBook
from council.finding import Code, Findings
from council.folder import read_file
from crypto.errors import CryptoError
from crypto.framing import parse_hex
from crypto.jcs import parse
from crypto.merkle import leaf_hash, root_of
from crypto.ssh_key import VerifyKey
from crypto.sshsig import verify
from policy import log_entry
from policy.errors import StatementError
from policy.opening import OutOpening, parse_out_opening

NAMESPACE: Final = "fairtap-recording@v1"
MOST: Final = 200_000
_MANIFEST, _INVENTORY, _OUT = ".manifest.json", ".inventory", ".out"
_MAX_BYTES: Final = 1 << 20
_MAX_INVENTORY: Final = 64 << 20


@dataclass(slots=True)
class Shown:
    """What a folder of manifests holds."""

    manifests: dict[str, Path] = field(default_factory=dict)
    """By digest."""
    inventories: dict[str, list[str]] = field(default_factory=dict)
    """By epoch."""
    outs: list[OutOpening] = field(default_factory=list)


def read_shown(folder: Path, findings: Findings) -> Shown:
    """Everything in the folder; a file that can't be read is a finding."""
    shown = Shown()
    for path in _files(folder, _MANIFEST):
        shown.manifests[hashlib.sha256(read_file(path, _MAX_BYTES) or b"").hexdigest()] = path
    for path in _files(folder, _INVENTORY):
        try:
            epoch, digests = _inventory(read_file(path, _MAX_INVENTORY) or b"")
            shown.inventories[epoch] = digests
        except CryptoError:
            findings.add(Code.MANIFEST_FILE, path.name)
    for path in _files(folder, _OUT):
        try:
            shown.outs.append(parse_out_opening(read_file(path, _MAX_BYTES) or b""))
        except StatementError:
            findings.add(Code.MANIFEST_FILE, path.name)
    return shown


def check_shown(
    shown: Shown,
    origin: str,
    key: VerifyKey,
    epochs: Mapping[str, EpochBook],
    outs: Mapping[int, log_entry.Out],
    findings: Findings,
) -> int:
    """Judge all of it; the number of manifests that no closed epoch can vouch for yet."""
    proven = _by_inventory(shown, epochs, findings) | _by_outs(shown, outs, findings)
    for digest in sorted(proven - shown.manifests.keys()):
        findings.add(Code.ENTRY_WITHOUT_MANIFEST, f"manifest {digest[:16]}")
    unsettled = any(book.closed is None or book.closed.root is None for book in epochs.values() if book.open)
    recordings = {path: _signed(path, origin, key, findings) for path in shown.manifests.values()}
    counted = [book.count() for book in epochs.values()]
    if len(set(recordings.values()) - {None}) > sum(one["hits"] + one["wishes"] for one in counted):
        findings.add(Code.KEPT_TOO_MANY, "manifests", epoch="", kept=len(set(recordings.values())))
    waiting = 0
    for digest, path in sorted(shown.manifests.items()):
        if digest not in proven:
            waiting += unsettled
            if not unsettled:
                findings.add(Code.MANIFEST_WITHOUT_ENTRY, path.name)
    return waiting


def _by_inventory(shown: Shown, epochs: Mapping[str, EpochBook], findings: Findings) -> set[str]:
    proven: set[str] = set()
    for epoch, digests in shown.inventories.items():
        book = epochs.get(epoch)
        root = root_of(leaf_hash(bytes.fromhex(digest)) for digest in digests).hex()
        if book is None or book.closed is None or book.closed.root not in (None, root):
            findings.add(Code.INVENTORY, f"epoch {epoch}", epoch=epoch)
        elif book.closed.root is not None:
            proven |= set(digests)
    return proven


def _by_outs(shown: Shown, outs: Mapping[int, log_entry.Out], findings: Findings) -> set[str]:
    proven: set[str] = set()
    for opening in shown.outs:
        entry = outs.get(opening.entry)
        kept = entry is not None and (entry.o in ("hit", "wish") or not opening.manifests)
        if entry is None or not kept or not opening.fits(entry.m):
            findings.at(Code.MANIFEST_WITHOUT_ENTRY, opening.entry)
        else:
            proven |= set(opening.manifests)
    return proven


def _signed(path: Path, origin: str, key: VerifyKey, findings: Findings) -> str | None:
    """The recording that a manifest of this log is about, if its gateway signed it."""
    data = read_file(path, _MAX_BYTES) or b""
    signature = read_file(path.with_name(path.name.removesuffix(_MANIFEST) + ".manifest.sig"), _MAX_BYTES) or b""
    try:
        found = parse(data, limit=_MAX_BYTES)
        verify(key, NAMESPACE, data, signature.decode("ascii", errors="replace"))
    except CryptoError:
        findings.add(Code.MANIFEST_SIGNATURE, path.name)
        return None
    if not isinstance(found, dict) or found.get("type") != "fairtap/recording" or found.get("origin") != origin:
        findings.add(Code.MANIFEST_FILE, path.name)
        return None
    return str(found.get("id"))


def _inventory(data: bytes) -> tuple[str, list[str]]:
    found = parse(data, limit=_MAX_INVENTORY)
    if not isinstance(found, dict) or set(found) != {"e", "manifests"} or not isinstance(found["manifests"], list):
        raise CryptoError("not an inventory")
    digests = [str(digest) for digest in found["manifests"]]
    for digest in digests:
        parse_hex(digest, 32)
    return str(found["e"]), digests


def _files(folder: Path, suffix: str) -> Iterator[Path]:
    return islice(sorted(folder.rglob(f"*{suffix}")), MOST)
