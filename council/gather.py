"""Reads what lies in the council's folders: acts, rosters, kept checkpoints, openings, inventories, manifests.

A file that can't be read is a finding; a folder that isn't there is wrong use. Nothing here is judged yet.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from council.codes import Code
from council.errors import WrongUse
from council.finding import Findings
from council.folder import read_file
from council.manifests import Place, Shown
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
from policy.errors import PolicyError
from policy.opening import MAX_FILE, MAX_LINE, CallOpening, parse_openings, parse_out_opening

T = TypeVar("T")
MOST_FILES: Final = 200_000
NAMESPACE: Final = "fairtap-recording@v1"
_MANIFEST: Final = ".manifest.json"
_MAX_MANIFEST: Final = 1 << 20


def acts(folder: Path | None, findings: Findings) -> dict[str, Posted] | None:
    """By digest; None without a folder."""
    if folder is None:
        return None
    found = _parsed(folder, "*.json", act_file.MAX_BYTES, _act, findings, Code.ACT_FILE)
    return {digest: posted for _, (digest, posted) in found}


def _act(data: bytes) -> tuple[str, Posted]:
    posted = act_file.parse_act_file(data)
    return parse_act(posted.act).digest, posted


def rosters(path: Path | None, findings: Findings) -> dict[str, Collection[RosterLeaf]] | None:
    """By root, of a file or a folder of them; None without one."""
    if path is None:
        return None
    found = _parsed(path, "*.json", MAX_ROSTER, parse_roster, findings, Code.ROSTER)
    return {roster_root(leaves).hex(): leaves for _, leaves in found}


def kept(
    folder: Path | None, origin: str, key: VerifyKey, council: Sequence[VerifyKey], findings: Findings
) -> list[Kept]:
    """The notes in a folder that are of this log."""
    notes = [
        (path, data) for path, data in _files(folder, "*.note", MAX_NOTE) if claimed_origin(data) in (None, origin)
    ]
    found = [read_checkpoint(data, origin, key, council, path.name, findings) for path, data in notes]
    return [one for one in found if one is not None]


def openings(
    path: Path | None, identities: Sequence[Identity], findings: Findings
) -> dict[str, dict[int, CallOpening]]:
    """By epoch and entry. A file is named by its epoch; each line is an opening, or one sealed to the council."""

    def opened(data: bytes) -> dict[int, CallOpening]:
        found = parse_openings(data, lambda sealed: age.decrypt(sealed, identities))
        return {opening.entry: opening for opening in found}

    found = _parsed(path, "*", MAX_FILE, opened, findings, Code.OPENING)
    return {one.name.partition(".")[0]: lines for one, lines in found}


def shown(manifests: Path | None, inventories: Path | None, keys: Mapping[str, VerifyKey], findings: Findings) -> Shown:
    """Everything about recordings; `keys`: of each log at hand, by its origin."""
    found, wrong = Shown(), Code.MANIFEST_FILE
    for folder in (inventories, manifests):
        read = _parsed(folder, "**/*.inventory", inventory.MAX_BYTES, inventory.parse_inventory, findings, wrong)
        found.inventories |= dict(told for _, told in read)
    for path, data in _files(manifests, f"**/*{_MANIFEST}", _MAX_MANIFEST):
        digest, place = hashlib.sha256(data).hexdigest(), _signed(path, data, keys, findings)
        found.manifests[digest] = path.name
        found.places |= {digest: place} if place is not None else {}
    found.outs = [one for _, one in _parsed(manifests, "**/*.out", MAX_LINE, parse_out_opening, findings, wrong)]
    return found


def _signed(path: Path, data: bytes, keys: Mapping[str, VerifyKey], findings: Findings) -> Place | None:
    """What a manifest is about, if a log at hand is its own and its gateway signed it."""
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
    seg = found.get("seg")
    return Place(str(found.get("id")), str(found.get("side")), seg if isinstance(seg, int) else 0)


def _parsed(
    path: Path | None, pattern: str, limit: int, parse: Callable[[bytes], T], findings: Findings, wrong: Code
) -> Iterator[tuple[Path, T]]:
    """What each file holds; one that can't be read is a finding."""
    for one, data in _files(path, pattern, limit):
        try:
            yield one, parse(data)
        except (CryptoError, PolicyError):
            findings.add(wrong, one.name, epoch=one.stem)


def _files(path: Path | None, pattern: str, limit: int) -> Iterator[tuple[Path, bytes]]:
    """The file itself, or those of a folder, in the order of their names. Raises WrongUse where there is nothing."""
    if path is None:
        return
    if not path.exists():
        raise WrongUse(f"no such file or folder: `{path}`")
    found = [path] if path.is_file() else sorted(one for one in path.glob(pattern) if one.is_file())
    for one in found[:MOST_FILES]:
        yield one, read_file(one, limit) or b""
