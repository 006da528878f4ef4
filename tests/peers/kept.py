"""What a gateway keeps of a recording, looked at from outside: its files, Debian's `age`, `ssh-keygen`."""

import json
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from crypto.ssh_key import allowed_signers_line
from storage.gateway_key import load_or_create
from storage.manifest import NAMESPACE


@dataclass(frozen=True, slots=True)
class Kept:
    """One recording in a data folder."""

    data: Path
    recording: str

    @property
    def files(self) -> list[Path]:
        """Everything of it under `recordings/` and `vault/`."""
        folders = [self.data / tree / self.recording[:2] / self.recording for tree in ("recordings", "vault")]
        return sorted(path for folder in folders if folder.is_dir() for path in folder.rglob("*"))

    def cipher(self, side: str, seg: int = 1) -> bytes:
        """Header and payload in one: an age file, or the beginning of one."""
        name = f"{self.recording[:2]}/{self.recording}/{side}-{seg}"
        return b"".join(
            (self.data / part).read_bytes() for part in (f"vault/{name}.header", f"recordings/{name}.payload")
        )

    def opened(self, side: str, identity_file: Path, seg: int = 1) -> tuple[bytes, bool]:
        """What `age -d` gives, and whether it took the file for whole."""
        command = ["age", "-d", "-i", str(identity_file)]
        done = subprocess.run(command, input=self.cipher(side, seg), capture_output=True, timeout=30, check=False)
        return done.stdout, done.returncode == 0

    def manifest(self, side: str, seg: int = 1) -> dict[str, Any]:
        """The manifest, once `ssh-keygen` has accepted the gateway's signature."""
        stem = self.data / "recordings" / self.recording[:2] / self.recording / f"{side}-{seg}.manifest"
        signers = self.data.parent / "allowed_signers"
        signers.write_text(allowed_signers_line("gateway", load_or_create(self.data).verify_key, (NAMESPACE,)))
        command = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", "gateway", "-n", NAMESPACE]
        document = stem.with_suffix(".manifest.json").read_bytes()
        done = subprocess.run(
            [*command, "-s", str(stem.with_suffix(".manifest.sig"))],
            input=document, capture_output=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        manifest: dict[str, Any] = json.loads(document)
        return manifest


def moment(text: str) -> float:
    """Wall clock seconds of an instant as the API writes it."""
    return datetime.fromisoformat(text).timestamp()
