"""Reads what lies in the council's folders: acts, rosters, kept checkpoints, openings, inventories, manifests.

A file that can't be read is a finding; a folder that isn't there is wrong use. Nothing here is judged yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from council.codes import Code
from council.errors import WrongUse
from council.finding import Findings
from council.folder import read_file
from council.manifests import Shown
from council.tree_check import Kept, read_checkpoint
from crypto import age
from crypto.checkpoint import claimed_origin
from crypto.errors import CryptoError
from crypto.jcs import parse
from crypto.signed_note import MAX_NOTE
from crypto.ssh_key import VerifyKey
from crypto.sshsig import verify
from crypto.x25519 import Identity
from policy import act_file, inventory
from policy.acts import parse_act
from policy.chain import Posted
from policy.epochs import MAX_ROSTER, RosterLeaf, parse_roster, roster_root
from policy.errors import ActError, StatementError
from policy.opening import MAX_FILE, MAX_LINE, CallOpening, parse_openings, parse_out_opening

MOST_FILES: Final = 200_000
NAMESPACE: Final = "fairtap-recording@v1"
_MANIFEST: Final = ".manifest.json"
_MAX_MANIFEST: Final = 1 << 20


def acts(folder: Path | None, findings: Findings) -> dict[str, Posted] | None:
    """By digest; None without a folder."""
    if folder is None:
        return None
    found = {}
    for path, data in _files(folder, "*.json", act_file.MAX_BYTES):
        try:
            posted = act_file.parse_act_file(data)
            found[parse_act(posted.act).digest] = posted
        except ActError:
            findings.add(Code.ACT_FILE, path.name)
    return found


def rosters(path: Path | None, findings: Findings) -> dict[str, Collection[RosterLeaf]] | None:
    """By root, of a file or a folder of them; None without one."""
    if path is None:
        return None
    found: dict[str, Collection[RosterLeaf]] = {}
    for one, data in _files(path, "*.json", MAX_ROSTER):
        try:
            leaves = parse_roster(data)
            found[roster_root(leaves).hex()] = leaves
        except StatementError:
            findings.add(Code.ROSTER, one.name, epoch=one.stem)
    return found


def kept(
    folder: Path | None, origin: str, key: VerifyKey, council: Sequence[VerifyKey], findings: Findings
) -> list[Kept]:
    """The notes in a folder that are of this log."""
    found = []
    for path, data in _files(folder, "*.note", MAX_NOTE) if folder is not None else ():
        if claimed_origin(data) in (None, origin):
            one = read_checkpoint(data, origin, key, council, path.name, findings)
            found += [one] if one is not None else []
    return found


def openings(
    path: Path | None, identities: Sequence[Identity], findings: Findings
) -> dict[str, dict[int, CallOpening]]:
    """By epoch and entry. A file is named by its epoch; each line is an opening, or one sealed to the council."""
    found: dict[str, dict[int, CallOpening]] = {}
    for one, data in _files(path, "*", MAX_FILE) if path is not None else ():
        try:
            opened = list(parse_openings(data, lambda sealed: age.decrypt(sealed, identities)))
            found[one.name.partition(".")[0]] = {opening.entry: opening for opening in opened}
        except (CryptoError, StatementError):
            findings.add(Code.OPENING, one.name, epoch="")
    return found


def shown(manifests: Path | None, inventories: Path | None, keys: Mapping[str, VerifyKey], findings: Findings) -> Shown:
    """Everything about recordings; `keys`: of each log at hand, by its origin."""
    found = Shown()
    for folder in (inventories, manifests):
        for path, data in _files(folder, "**/*.inventory", inventory.MAX_BYTES) if folder is not None else ():
            try:
                epoch, digests = inventory.parse_inventory(data)
            except StatementError:
                findings.add(Code.MANIFEST_FILE, path.name)
                continue
            found.inventories[epoch] = digests
            found.complete |= {epoch} if folder == manifests else set()
    for path, data in _files(manifests, f"**/*{_MANIFEST}", _MAX_MANIFEST) if manifests is not None else ():
        found.manifests[hashlib.sha256(data).hexdigest()] = path.name
        recording = _signed(path, data, keys, findings)
        found.recordings |= {recording} if recording is not None else set()
    for path, data in _files(manifests, "**/*.out", MAX_LINE) if manifests is not None else ():
        try:
            found.outs.append(parse_out_opening(data))
        except StatementError:
            findings.add(Code.MANIFEST_FILE, path.name)
    return found


def _signed(path: Path, data: bytes, keys: Mapping[str, VerifyKey], findings: Findings) -> str | None:
    """The recording that a manifest is about, if a log at hand is its own and its gateway signed it."""
    signature = read_file(path.with_name(path.name.removesuffix(_MANIFEST) + ".manifest.sig"), _MAX_MANIFEST) or b""
    try:
        found = parse(data, limit=_MAX_MANIFEST)
        origin = str(found.get("origin")) if isinstance(found, dict) else ""
        if not isinstance(found, dict) or found.get("type") != "fairtap/recording" or origin not in keys:
            findings.add(Code.MANIFEST_FILE, path.name)
            return None
        verify(keys[origin], NAMESPACE, data, signature.decode("ascii", errors="replace"))
    except CryptoError:
        findings.add(Code.MANIFEST_SIGNATURE, path.name)
        return None
    return str(found.get("id"))


def _files(path: Path, pattern: str, limit: int) -> Iterator[tuple[Path, bytes]]:
    """The file itself, or those of a folder, in the order of their names. Raises WrongUse where there is nothing."""
    found: Iterable[Path] = [path]
    if not path.is_file():
        if not path.is_dir():
            raise WrongUse(f"no such file or folder: `{path}`")
        found = islice(sorted(one for one in path.glob(pattern) if one.is_file()), MOST_FILES)
    for one in found:
        yield one, read_file(one, limit) or b""
