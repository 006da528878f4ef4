"""Ed25519 acting keys in OpenSSH's formats: public line, private file, fingerprint, allowed_signers line.

No other key type is read, nor files under OpenSSH's own passphrase (bcrypt isn't at hand). A public key of low order,
under which anybody could sign, is refused.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
)

from crypto.errors import SshKeyError

ALGORITHM: Final = "ssh-ed25519"
KEY_BYTES: Final = 32
MAX_LINE: Final = 1024
MAX_FILE: Final = 8192
_FIELD: Final = (1 << 255) - 19
_BLOB_PREFIX: Final = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"
_COMMENT: Final = re.compile(r"[^\x00-\x1f\x7f]*")
# No blank, quote, comma or pattern character: exactly one principal, taken literally by ssh-keygen.
_PRINCIPAL: Final = re.compile(r"[A-Za-z0-9._@:/+-]{1,128}")


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """A public acting key. Raises SshKeyError for a value that isn't a canonical point of full order."""

    raw: bytes
    "The 32 bytes of RFC 8032."

    def __post_init__(self) -> None:
        if len(self.raw) != KEY_BYTES:
            raise SshKeyError("ed25519 key isn't 32 bytes")
        _check_order(self.raw)

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read `ssh-ed25519 AAAA… [comment]`, one line, with or without its newline."""
        if len(line) > MAX_LINE:
            raise SshKeyError("public key line is too long")
        words = line.removesuffix("\n").split(" ", 2)
        if len(words) < 2 or words[0] != ALGORITHM or not _COMMENT.fullmatch(" ".join(words)):
            raise SshKeyError(f"not an `{ALGORITHM}` public key line")
        try:
            blob = base64.b64decode(words[1], validate=True)
        except (binascii.Error, ValueError):
            raise SshKeyError("public key isn't base64") from None
        if base64.b64encode(blob).decode() != words[1]:
            raise SshKeyError("public key isn't canonical base64")
        return cls.from_blob(blob)

    @classmethod
    def from_blob(cls, blob: bytes) -> Self:
        """Read the SSH wire format (RFC 8709 §4)."""
        if not blob.startswith(_BLOB_PREFIX):
            raise SshKeyError(f"not an `{ALGORITHM}` key")
        return cls(blob[len(_BLOB_PREFIX) :])

    @property
    def blob(self) -> bytes:
        """The SSH wire format."""
        return _BLOB_PREFIX + self.raw

    def line(self, comment: str = "") -> str:
        """`ssh-ed25519 AAAA…`, without newline. Raises SshKeyError for a comment with control characters."""
        if not _COMMENT.fullmatch(comment):
            raise SshKeyError("comment holds a control character")
        return f"{self} {comment}" if comment else str(self)

    def __str__(self) -> str:
        return f"{ALGORITHM} {base64.b64encode(self.blob).decode()}"

    def fingerprint(self) -> str:
        """`SHA256:…` as ssh-keygen prints it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    def public_key(self) -> Ed25519PublicKey:
        """The same key for `cryptography`."""
        return Ed25519PublicKey.from_public_bytes(self.raw)


class SigningKey:
    """A private acting key; it prints as its fingerprint only."""

    __slots__ = ("_private", "verify_key")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.verify_key: Final = VerifyKey(private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> Self:
        """A fresh key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_openssh(cls, data: bytes) -> Self:
        """Read an `OPENSSH PRIVATE KEY` file without passphrase. Raises SshKeyError."""
        if len(data) > MAX_FILE:
            raise SshKeyError("private key file is too long")
        try:
            private = load_ssh_private_key(data, None)
        except TypeError:
            raise SshKeyError("private key has a passphrase: take it off with `ssh-keygen -p`") from None
        except (ValueError, UnsupportedAlgorithm):
            raise SshKeyError("not an openssh private key") from None
        if not isinstance(private, Ed25519PrivateKey):
            raise SshKeyError(f"not an `{ALGORITHM}` key")
        return cls(private)

    def to_openssh(self) -> bytes:
        """The file ssh-keygen reads, unprotected: for mode 0600, or inside an age file under a passphrase."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())

    def sign_raw(self, message: bytes) -> bytes:
        """The bare 64-byte signature of RFC 8032: only for formats with a domain of their own."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey({self.verify_key.fingerprint()})"


def allowed_signers_line(principal: str, key: VerifyKey, namespaces: tuple[str, ...] = ()) -> str:
    """One line, with newline, of the file that `ssh-keygen -Y verify -f` takes. Raises SshKeyError."""
    if not all(_PRINCIPAL.fullmatch(word) for word in (principal, *namespaces)):
        raise SshKeyError("principal or namespace holds a character that allowed_signers gives a meaning")
    options = f'namespaces="{",".join(namespaces)}" ' if namespaces else ""
    return f"{principal} {options}{key}\n"


def _check_order(raw: bytes) -> None:
    """Refuse y ≥ p and points whose eightfold is the identity, seen on the Montgomery side (RFC 7748 §4.1)."""
    y = int.from_bytes(raw, "little") & (1 << 255) - 1
    if y >= _FIELD:
        raise SshKeyError("ed25519 key isn't canonical")
    # The map isn't defined at the identity, y = 1; this way of inverting gives u = 0 there, of low order as well.
    u = (1 + y) * pow((1 - y) % _FIELD, _FIELD - 2, _FIELD) % _FIELD
    try:
        X25519PrivateKey.from_private_bytes(bytes(KEY_BYTES)).exchange(
            X25519PublicKey.from_public_bytes(u.to_bytes(KEY_BYTES, "little"))
        )
    except ValueError:
        raise SshKeyError("ed25519 key has low order") from None
