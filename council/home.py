"""The council's own folder: settings, the mirror, what was seen, and the shares of the draw that only it knows."""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from council.errors import WrongUse, about
from council.folder import read_file
from council.inspect import Sources, log_key
from crypto.draw import SHARE_BYTES, new_share
from crypto.errors import CryptoError
from crypto.framing import parse_hex
from crypto.jcs import parse_json
from crypto.ssh_key import SigningKey, VerifyKey
from crypto.x25519 import Identity

SETTINGS: Final = "council.json"
_MAX: Final = 65_536
_FOLDERS: Final = ("acts", "openings", "inventories", "manifests", "seen", "evidence")
_OPTIONAL: Final = ("identity", "ca", "cdr", "zone")


@dataclass(frozen=True, slots=True)
class Settings:
    """`council.json`."""

    url: str
    """Of the site's API, without a final slash."""
    key: str
    """The council's acting key, an OpenSSH private file."""
    log_key: str
    """The log's verifier key, as the gateway printed it."""
    role: str = "council"
    identity: str | None = None
    """The council's age identity, for opening files."""
    ca: str | None = None
    """Certificates to trust for `url`; None: the system's."""
    cdr: str | None = None
    """Where the telephone system's records are put for the weekly comparison, and the `zone` of their times."""
    zone: str | None = None
    language: str = "en"
    anchors: Mapping[str, str] = field(default_factory=dict)
    """Role → key as handed over on paper; of one's own role the first, where an act has brought another since."""


@dataclass(frozen=True, slots=True)
class Home:
    """The folder and its settings."""

    path: Path
    settings: Settings

    @classmethod
    def open(cls, path: Path) -> Self:
        """The folder that `init` made. Raises WrongUse."""
        data = read_file(path / SETTINGS, _MAX)
        if data is None:
            raise WrongUse(f"`{path}` isn't set up: run `fairtap-council init` first")
        try:
            found = parse_json(data, limit=_MAX)
            settings = Settings(**found)  # type: ignore[arg-type]  # looked at below; what is no object is refused
            told = {**asdict(settings), **settings.anchors, "anchors": ""}
            if not all(isinstance(one, str) or (one is None and name in _OPTIONAL) for name, one in told.items()):
                raise TypeError
        except (CryptoError, TypeError):
            raise WrongUse(f"`{path / SETTINGS}` can't be read: run `fairtap-council init` again") from None
        return cls(path, settings)

    def save(self) -> None:
        """Write the settings."""
        data = json.dumps(asdict(self.settings), ensure_ascii=False, indent=1) + "\n"
        write_private(self.path / SETTINGS, data.encode())

    def signing_key(self) -> SigningKey:
        """The council's acting key. Raises WrongUse."""
        with about(f"the council's key `{self.settings.key}`"):
            return SigningKey.from_openssh(read_file(Path(self.settings.key), _MAX) or b"")

    def identities(self) -> tuple[Identity, ...]:
        """What opens files encrypted to the council; empty without one. Raises WrongUse."""
        if self.settings.identity is None:
            return ()
        text = (read_file(Path(self.settings.identity), _MAX) or b"").decode("utf-8", errors="replace")
        lines = [line for line in text.splitlines() if line.startswith("AGE-SECRET-KEY-")]
        with about(f"the council's identity `{self.settings.identity}`"):
            return tuple(Identity.parse(line) for line in lines or [text])

    def pinned(self) -> dict[str, str]:
        """Role → key of every party whose key is known here, as logs begin with it."""
        with about(f"an anchored key in `{SETTINGS}`"):
            return self._own() | {role: str(VerifyKey.parse(line)) for role, line in self.settings.anchors.items()}

    def _own(self) -> dict[str, str]:
        return {self.settings.role: str(self.signing_key().verify_key)}

    def sources(self) -> Sources:
        """Everything in the folder, to be judged."""

        names = {"roster": "rosters", **{name: name for name in _FOLDERS}}
        found: dict[str, Any] = {name: path for name, folder in names.items() if (path := self.path / folder).is_dir()}
        if self.settings.identity is None:
            found.pop("openings", None)
        own, key = self._own(), log_key(self.settings.log_key)
        return Sources(
            self.path / "mirror", **found, key=key, pinned=self.pinned(), own=own, identities=self.identities()
        )

    # -- shares of the draw

    def share(self, origin: str, epoch: str) -> bytes | None:
        """The council's share of an epoch, if it was drawn. Raises WrongUse for a damaged file."""
        data = read_file(self._share_path(origin, epoch), _MAX)
        if data is None:
            return None
        with about(f"the share of {epoch} is damaged, this epoch stays dark"):
            return parse_hex(data.decode("ascii", errors="replace").strip(), SHARE_BYTES)

    def draw_share(self, origin: str, epoch: str) -> bytes:
        """The share of an epoch: the one there is, else a fresh one, on disk before it is returned."""
        known = self.share(origin, epoch)
        if known is None:
            write_private(self._share_path(origin, epoch), new_share().hex().encode() + b"\n")
        return known or self.draw_share(origin, epoch)

    def _share_path(self, origin: str, epoch: str) -> Path:
        return self.path / "shares" / origin.replace("/", "_") / epoch


def write_private(path: Path, data: bytes) -> None:
    """A file that only its owner reads, whole or not at all, durable on return."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
    with contextlib.suppress(OSError):  # Windows opens no folder
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
