"""The gateway's Ed25519 key: `{data_dir}/keys/gateway.sign`, mode 0600, made once; it signs manifests and receipts."""

import os
import stat
from pathlib import Path

from crypto.errors import SshKeyError
from crypto.signed_note import VerifierKey
from crypto.ssh_key import SigningKey, VerifyKey
from storage import durable
from storage.errors import BlobMissing, KeyFileError


def key_path(data_dir: Path) -> Path:
    """Where the key lies."""
    return data_dir / "keys" / "gateway.sign"


def load(data_dir: Path) -> SigningKey:
    """The key that is there. Raises BlobMissing, KeyFileError, StorageUnavailable."""
    path = key_path(data_dir)
    data = durable.read(path)
    check_private(path)
    try:
        return SigningKey.from_openssh(data)
    except SshKeyError:
        raise KeyFileError("gateway's key file isn't an openssh ed25519 key without passphrase") from None


def load_public(data_dir: Path) -> VerifyKey:
    """The public part, from `keys/allowed_signers`, for whoever only checks. Raises as `load`."""
    line = durable.read(data_dir / "keys" / "allowed_signers").splitlines()[:1]
    try:
        return VerifyKey.parse(b"".join(line).decode("ascii").split(" ", 2)[-1])
    except (SshKeyError, UnicodeDecodeError):
        raise KeyFileError("`keys/allowed_signers` doesn't begin with the gateway's key: run `fairtap init`") from None


def load_or_create(data_dir: Path) -> SigningKey:
    """The key that is there, else a fresh one, durable before it is returned. Raises as `load`."""
    try:
        return load(data_dir)
    except BlobMissing:
        durable.put(key_path(data_dir), SigningKey.generate().to_openssh(), data_dir)
        return load(data_dir)


def check_private(path: Path) -> None:
    """Raise KeyFileError where others than the owner may read a key."""
    with durable.declared("look at a key file"):
        if stat.S_IMODE(os.stat(path).st_mode) & 0o077:
            raise KeyFileError(f"`{path.name}` may be read by others: `chmod 600 {path.name}`")


def vkey(name: str, key: VerifyKey) -> str:
    """The verifier key of C2SP signed-note, `name+hash+base64`: the manifest's `gateway` field."""
    return str(VerifierKey(name, key))
