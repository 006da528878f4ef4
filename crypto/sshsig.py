"""SSHSIG, OpenSSH's detached signatures (PROTOCOL.sshsig), with Ed25519 and SHA-512 only.

`ssh-keygen -Y verify` accepts what `sign` makes, `verify` what `ssh-keygen -Y sign` makes.
"""

import base64
import binascii
import hashlib
import re
import struct
from dataclasses import dataclass
from typing import Final, Self

from cryptography.exceptions import InvalidSignature

from crypto.errors import SshKeyError, SshsigError
from crypto.ssh_key import ALGORITHM, SigningKey, VerifyKey

MAX_SIGNATURE: Final = 4096
SIGNATURE_BYTES: Final = 64
_MAGIC: Final = b"SSHSIG"
_VERSION: Final = 1
_HASH: Final = b"sha512"
_BEGIN: Final = "-----BEGIN SSH SIGNATURE-----\n"
_END: Final = "-----END SSH SIGNATURE-----\n"
_COLUMNS: Final = 70
_ARMOR: Final = re.compile(re.escape(_BEGIN) + r"((?:[A-Za-z0-9+/=]{1,76}\n)+)" + re.escape(_END.rstrip()) + r"\n?")
_NAMESPACE: Final = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True, slots=True)
class Signature:
    """A parsed signature: says who claims to have signed and for what, proves nothing before `verify`."""

    key: VerifyKey
    namespace: str
    raw: bytes
    "64 bytes, RFC 8032."

    @classmethod
    def parse(cls, armored: str) -> Self:
        """Read the armoured form, lines of up to 76 characters. Raises SshsigError."""
        match = _ARMOR.fullmatch(armored) if len(armored) <= MAX_SIGNATURE else None
        if match is None:
            raise SshsigError("not an armoured ssh signature")
        text = match[1].replace("\n", "")
        try:
            blob = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise SshsigError("signature isn't base64") from None
        if base64.b64encode(blob).decode() != text:
            raise SshsigError("signature isn't canonical base64")
        return cls.from_blob(blob)

    @classmethod
    def from_blob(cls, blob: bytes) -> Self:
        """Read the binary form. Raises SshsigError, also for another key type, hash or a non-empty reserved field."""
        version = _MAGIC + struct.pack(">I", _VERSION)
        if len(blob) > MAX_SIGNATURE or not blob.startswith(version):
            raise SshsigError("not an ssh signature of version 1")
        key, namespace, reserved, hash_name, inner = _read_strings(blob[len(version) :], 5)
        algorithm, raw = _read_strings(inner, 2)
        if reserved or hash_name != _HASH or algorithm != ALGORITHM.encode() or len(raw) != SIGNATURE_BYTES:
            raise SshsigError("signature isn't ed25519 with sha512")
        try:
            return cls(VerifyKey.from_blob(key), _checked_namespace(namespace.decode("ascii")), raw)
        except (SshKeyError, UnicodeDecodeError):
            raise SshsigError("signature's key or namespace is malformed") from None

    @property
    def blob(self) -> bytes:
        """The binary form."""
        inner = _strings(ALGORITHM.encode(), self.raw)
        fields = _strings(self.key.blob, self.namespace.encode(), b"", _HASH, inner)
        return _MAGIC + struct.pack(">I", _VERSION) + fields

    def __str__(self) -> str:
        text = base64.b64encode(self.blob).decode()
        lines = [text[i : i + _COLUMNS] + "\n" for i in range(0, len(text), _COLUMNS)]
        return "".join((_BEGIN, *lines, _END))

    def check(self, message: bytes) -> None:
        """Raise SshsigError unless `key` signed `message` for `namespace`; whose key it is, the caller judges."""
        try:
            self.key.public_key().verify(self.raw, _to_be_signed(self.namespace, message))
        except InvalidSignature:
            raise SshsigError("signature doesn't verify") from None


def sign(private: SigningKey, namespace: str, message: bytes) -> str:
    """The armoured signature of `message` for `namespace`. Raises SshsigError for a malformed namespace."""
    raw = private.sign_raw(_to_be_signed(_checked_namespace(namespace), message))
    return str(Signature(private.verify_key, namespace, raw))


def verify(public: VerifyKey, namespace: str, message: bytes, armored: str) -> None:
    """Raise SshsigError unless `armored` is `public`'s signature of `message` for exactly this namespace."""
    signature = Signature.parse(armored)
    if signature.key != public:
        raise SshsigError("signed by another key")
    if signature.namespace != namespace:
        raise SshsigError("signed for another namespace")
    signature.check(message)


def _to_be_signed(namespace: str, message: bytes) -> bytes:
    return _MAGIC + _strings(namespace.encode(), b"", _HASH, hashlib.sha512(message).digest())


def _checked_namespace(namespace: str) -> str:
    if not _NAMESPACE.fullmatch(namespace):
        raise SshsigError("namespace isn't 1 to 128 printable ascii characters")
    return namespace


def _strings(*items: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(item)) + item for item in items)


def _read_strings(data: bytes, count: int) -> list[bytes]:
    """Exactly `count` SSH strings (RFC 4251 §5) and nothing after them."""
    items: list[bytes] = []
    for _ in range(count):
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 + size:
            raise SshsigError("signature is cut")
        items.append(data[4 : 4 + size])
        data = data[4 + size :]
    if data:
        raise SshsigError("signature is followed by something else")
    return items
