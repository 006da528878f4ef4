"""Key files that people hold: `OUT.key` (age identity), `OUT.sign` (OpenSSH Ed25519), `OUT.pub` (both public keys)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from api.errors import CommandError
from crypto import sshsig
from crypto.errors import CryptoError
from crypto.ssh_key import SigningKey
from crypto.x25519 import Identity, format_identity

__all__ = ["MadeKeys", "make_keys", "read_signing_key", "sign_file", "write_private"]


@dataclass(frozen=True, slots=True)
class MadeKeys:
    """What was made: public parts only."""

    recipient: str
    signing_key: str
    fingerprint: str
    files: tuple[Path, ...]


def make_keys(out: Path, comment: str = "") -> MadeKeys:
    """Make a pair of keys and write three files, none of which may exist; raises `CommandError`."""
    files = tuple(out.with_name(out.name + suffix) for suffix in (".key", ".sign", ".pub"))
    taken = [path for path in files if path.exists()]
    if not out.parent.is_dir():
        raise CommandError(f"`{out.parent}` is no folder: make it first", 2)
    if taken:
        raise CommandError(f"`{taken[0]}` exists; keys are never overwritten, choose another name")
    identity, signing = Identity.generate(), SigningKey.generate()
    try:
        line = signing.verify_key.line(comment)
        write_private(files[0], format_identity(identity).encode())
        write_private(files[1], signing.to_openssh())
        files[2].write_text(f"{line}\n{identity.recipient}\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"`{out}`: {error.strerror or error}") from None
    except CryptoError as error:
        raise CommandError(f"--comment: {error}") from None
    return MadeKeys(str(identity.recipient), str(signing.verify_key), signing.verify_key.fingerprint(), files)


def read_signing_key(path: Path) -> SigningKey:
    """An OpenSSH Ed25519 private key without passphrase; raises `CommandError`."""
    try:
        return SigningKey.from_openssh(path.read_bytes())
    except OSError as error:
        raise CommandError(f"`{path}`: {error.strerror or error}", 2) from None
    except CryptoError as error:
        said = "keys under a passphrase are used with `ssh-keygen -Y sign`"
        raise CommandError(f"`{path}`: {error}; {said}", 2) from None


def sign_file(data: bytes, key: SigningKey, namespace: str) -> str:
    """The armoured SSHSIG over `data`; raises `CommandError`."""
    try:
        return sshsig.sign(key, namespace, data)
    except CryptoError as error:
        raise CommandError(f"--namespace: {error}") from None


def write_private(path: Path, data: bytes) -> None:
    """Write a new file that only its owner reads."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
