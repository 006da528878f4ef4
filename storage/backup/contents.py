"""What a backup says it holds: `contents` in the form of sha256sum, `backup.json` over it, signed by the gateway.

`sha256sum -c contents` and `ssh-keygen -Y verify -n fairtap-backup@v1` check it without us. The signature shows that a
backup is whole and which gateway made it; whose gateway that is, only its fingerprint tells.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from crypto.errors import CryptoError
from crypto.jcs import canonical, parse
from crypto.signed_note import VerifierKey
from crypto.ssh_key import SigningKey, VerifyKey
from crypto.sshsig import sign, verify
from storage import durable
from storage.errors import BackupBroken, BlobMissing

NAMESPACE: Final = "fairtap-backup@v1"
TYPE: Final = "fairtap/backup"
LIST: Final = "backup.json"
SIGNATURE: Final = "backup.sig"
CONTENTS: Final = "contents"
SEALED: Final = ".age"
"""A file that only the backup's recipients can open."""
DATABASE: Final = "database.db"
"""SQLite, whatever the site's own database is."""
_FIELDS: Final = {"v", "type", "site", "made", "gateway", "schema", "contents", "files", "size"}
_MAX_LIST: Final = 64 << 10
_LINE: Final = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9][A-Za-z0-9._/-]{0,254})", re.ASCII)
_PIECE: Final = 1 << 20
Progress = Callable[[int], None]
"""Hears of so many more bytes."""


@dataclass(frozen=True, slots=True)
class BackupList:
    """`backup.json`."""

    site: str
    made: str
    """RFC 3339, whole seconds."""
    gateway: str
    """Verifier key of the gateway that made it."""
    schema: str
    """Revision of the database's tables."""
    contents: str
    """SHA-256 (hex) of `contents`."""
    files: int
    size: int
    """Bytes of all files together."""

    def to_bytes(self) -> bytes:
        """Canonical JSON, as signed."""
        names = ("site", "made", "gateway", "schema", "contents", "files", "size")
        return canonical({"v": 1, "type": TYPE, **{name: getattr(self, name) for name in names}})

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read what `to_bytes` writes. Raises BackupBroken."""
        try:
            found = parse(data, limit=_MAX_LIST)
        except CryptoError:
            raise BackupBroken(f"`{LIST}` isn't a backup's list") from None
        if not isinstance(found, dict) or set(found) != _FIELDS or (found["v"], found["type"]) != (1, TYPE):
            raise BackupBroken(f"`{LIST}` isn't a backup's list, or of a version that this one doesn't know")
        texts = [found[name] for name in ("site", "made", "gateway", "schema", "contents")]
        numbers = [found[name] for name in ("files", "size")]
        if not all(isinstance(text, str) for text in texts) or not all(type(number) is int for number in numbers):
            raise BackupBroken(f"`{LIST}` isn't a backup's list")
        return cls(*texts, *numbers)  # type: ignore[arg-type]  # their types were looked at above

    @property
    def key(self) -> VerifyKey:
        """The gateway's public key. Raises BackupBroken."""
        try:
            return VerifierKey.parse(self.gateway).key
        except CryptoError:
            raise BackupBroken(f"`{LIST}` names no gateway's key") from None

    @property
    def digest(self) -> str:
        """What tells this backup from every other one, hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def write(folder: Path, files: dict[str, str], total: int, key: SigningKey, **said: str) -> BackupList:
    """List and sign `files` (name → SHA-256). Raises StorageUnavailable."""
    lines = "".join(f"{files[name]}  {name}\n" for name in sorted(files)).encode()
    durable.put(folder / CONTENTS, lines, folder)
    digest = hashlib.sha256(lines).hexdigest()
    made = BackupList(**said, contents=digest, files=len(files), size=total)
    data = made.to_bytes()
    durable.put(folder / LIST, data, folder)
    durable.put(folder / SIGNATURE, sign(key, NAMESPACE, data).encode(), folder)
    return made


def read(folder: Path) -> tuple[BackupList, dict[str, str]]:
    """The signed list and its files, without looking at them. Raises BackupBroken, StorageUnavailable."""
    if not folder.is_dir():
        raise BackupBroken(f"`{folder}` is no folder: name the one that `fairtap backup` made")
    try:
        data, signature = durable.read(folder / LIST), durable.read(folder / SIGNATURE)
        lines = durable.read(folder / CONTENTS)
    except BlobMissing:
        raise BackupBroken(
            f"`{folder}` isn't a whole backup: `{LIST}`, `{SIGNATURE}` or `{CONTENTS}` is missing"
        ) from None
    found = BackupList.parse(data)
    try:
        verify(found.key, NAMESPACE, data, signature.decode("ascii"))
    except (CryptoError, UnicodeDecodeError):
        raise BackupBroken(f"`{LIST}` was altered: its signature doesn't verify") from None
    if hashlib.sha256(lines).hexdigest() != found.contents:
        raise BackupBroken(f"`{CONTENTS}` was altered: it isn't what `{LIST}` says")
    return found, dict(_listed(lines))


def check(folder: Path, files: dict[str, str], progress: Progress = lambda _: None) -> None:
    """Every file is there as listed, and no other one. Raises BackupBroken, StorageUnavailable."""
    there = set(_names(folder)) - {LIST, SIGNATURE, CONTENTS}
    for name in sorted(there - set(files)):
        raise BackupBroken(f"`{name}` isn't in the backup's list")
    for name, digest in sorted(files.items()):
        if name not in there:
            raise BackupBroken(f"backup is cut: `{name}` is missing")
        if sha256_of(folder / name, progress) != digest:
            raise BackupBroken(f"backup was altered: `{name}` isn't what its list says")


def sha256_of(path: Path, progress: Progress = lambda _: None) -> str:
    """Hex digest of a file. Raises StorageUnavailable."""
    sha256 = hashlib.sha256()
    with durable.declared("read a backup"), path.open("rb") as file:
        while piece := file.read(_PIECE):
            sha256.update(piece)
            progress(len(piece))
    return sha256.hexdigest()


def _listed(lines: bytes) -> Iterator[tuple[str, str]]:
    for line in lines.decode("ascii", "replace").splitlines():
        match = _LINE.fullmatch(line)
        if match is None or any(part in ("", ".", "..") for part in match[2].split("/")):
            raise BackupBroken(f"`{CONTENTS}` has a line that names no file of a backup")
        yield match[2], match[1]


def _names(folder: Path) -> Iterator[str]:
    for where, folders, names in os.walk(folder):
        for name in [*names, *(one for one in folders if (Path(where) / one).is_symlink())]:
            path = Path(where) / name
            if path.is_symlink():
                raise BackupBroken(f"`{path.relative_to(folder)}` is a link: a backup has none")
            yield path.relative_to(folder).as_posix()
