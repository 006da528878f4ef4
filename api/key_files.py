"""Key files that people hold: `OUT.key` (age identity), `OUT.sign` (OpenSSH Ed25519), `OUT.pub` (both public keys)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from api.errors import CommandError
from crypto import sshsig
from crypto.errors import CryptoError
from crypto.ssh_key import SigningKey, VerifyKey
from crypto.x25519 import Identity, Recipient, format_identity
from storage.named_file import read_named, why_not

__all__ = ["MadeKeys", "PublicKeys", "make_keys", "read_public_keys", "read_signing_key", "sign_file", "write_private"]


@dataclass(frozen=True, slots=True)
class MadeKeys:
    """What was made: public parts only."""

    recipient: str
    signing_key: str
    fingerprint: str
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """What an `OUT.pub` holds."""

    signing_key: str
    """`ssh-ed25519 …`, without comment."""
    recipient: str | None
    """`age1…`"""


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


def read_public_keys(path: Path) -> PublicKeys:
    """An `OUT.pub`: one line `ssh-ed25519 …`, at most one `age1…`; raises `CommandError`."""
    try:
        lines = read_named(path).decode("utf-8", "replace").splitlines()
        keys = [VerifyKey.parse(line) for line in lines if line.startswith("ssh-")]
        recipients = [str(Recipient.parse(line.strip())) for line in lines if line.startswith("age1")]
    except OSError as error:
        raise CommandError(why_not(path, error), 2) from None
    except CryptoError as error:
        raise CommandError(f"`{path}`: {error}", 2) from None
    if len(keys) != 1 or len(recipients) > 1:
        raise CommandError(f"`{path}` must hold one ssh-ed25519 key, and at most one age1… recipient", 2)
    return PublicKeys(str(keys[0]), recipients[0] if recipients else None)


def read_signing_key(path: Path) -> SigningKey:
    """An OpenSSH Ed25519 private key without passphrase; raises `CommandError`."""
    try:
        return SigningKey.from_openssh(read_named(path))
    except OSError as error:
        raise CommandError(why_not(path, error), 2) from None
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
