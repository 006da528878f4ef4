"""The X25519 recipient of age v1 (C2SP age.md, "The X25519 recipient type"): `age1…` and `AGE-SECRET-KEY-1…`."""

from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from crypto import bech32
from crypto.errors import AgeHeaderError, AgeKeyError, Bech32Error
from crypto.header import FILE_KEY_BYTES, FileKey, Stanza, b64, hkdf, unb64

KIND: Final = "X25519"
KEY_BYTES: Final = 32
RECIPIENT_PREFIX: Final = "age"
IDENTITY_PREFIX: Final = "age-secret-key-"
_INFO: Final = b"age-encryption.org/v1/X25519"
_FIELD: Final = (1 << 255) - 19
_BODY_BYTES: Final = FILE_KEY_BYTES + 16
# Safe only because each wrap key is fresh and wraps one file key.
_ZERO_NONCE: Final = bytes(12)


@dataclass(frozen=True, slots=True)
class Recipient:
    """A public key files are encrypted to. Raises AgeKeyError for a point of low order or a second spelling of one."""

    point: bytes

    def __post_init__(self) -> None:
        if len(self.point) != KEY_BYTES or int.from_bytes(self.point, "little") >= _FIELD:
            raise AgeKeyError("recipient isn't a canonical x25519 point")
        _shared(X25519PrivateKey.from_private_bytes(bytes(KEY_BYTES)), self.point)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `age1…`; lower case only, as age does."""
        return cls(_decode(text, RECIPIENT_PREFIX, text == text.lower()))

    def __str__(self) -> str:
        return bech32.encode(RECIPIENT_PREFIX, self.point)

    def wrap(self, file_key: FileKey) -> Stanza:
        """The stanza from which only this recipient's identity recovers `file_key`."""
        ephemeral = X25519PrivateKey.generate()
        share = ephemeral.public_key().public_bytes_raw()
        aead = ChaCha20Poly1305(hkdf(_shared(ephemeral, self.point), share + self.point, _INFO))
        return Stanza(KIND, (b64(share),), aead.encrypt(_ZERO_NONCE, file_key, None))


@dataclass(frozen=True, slots=True)
class Identity:
    """A private key. It prints as its recipient only; `secret_text` is the one way out."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise AgeKeyError("identity isn't 32 bytes")

    @classmethod
    def generate(cls) -> Self:
        """A fresh identity."""
        return cls(X25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `AGE-SECRET-KEY-1…`; upper case only, as age does."""
        return cls(_decode(text, IDENTITY_PREFIX, text == text.upper()))

    def secret_text(self) -> str:
        """`AGE-SECRET-KEY-1…`, for the key file of its owner."""
        return bech32.encode(IDENTITY_PREFIX, self.secret).upper()

    @property
    def recipient(self) -> Recipient:
        """The public half."""
        return Recipient(self._private().public_key().public_bytes_raw())

    def unwrap(self, stanza: Stanza) -> FileKey | None:
        """The file key, or None when the stanza is another's. Raises AgeHeaderError for a malformed X25519 stanza."""
        if stanza.kind != KIND:
            return None
        share = _share_of(stanza)
        try:
            shared = _shared(self._private(), share)
        except AgeKeyError:
            raise AgeHeaderError("x25519 share has low order") from None
        aead = ChaCha20Poly1305(hkdf(shared, share + self.recipient.point, _INFO))
        try:
            return FileKey(aead.decrypt(_ZERO_NONCE, stanza.body, None))
        except InvalidTag:
            return None

    def _private(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(self.secret)


def format_identity(identity: Identity) -> str:
    """A key file for `age -i`: the recipient as a comment, then the secret."""
    return f"# public key: {identity.recipient}\n{identity.secret_text()}\n"


def parse_identities(text: str) -> list[Identity]:
    """The identities of an age key file: one a line, `#` comments. Raises AgeKeyError for any other line, or none."""
    lines = (line.strip() for line in text.splitlines())
    identities = [Identity.parse(line) for line in lines if line and not line.startswith("#")]
    if not identities:
        raise AgeKeyError("key file holds no identity")
    return identities


def _share_of(stanza: Stanza) -> bytes:
    if len(stanza.args) != 1:
        raise AgeHeaderError("x25519 stanza needs one argument")
    share = unb64(stanza.args[0])
    # The body's length is checked first: an AEAD that isn't key-committing must see one size only.
    if len(share) != KEY_BYTES or len(stanza.body) != _BODY_BYTES:
        raise AgeHeaderError("x25519 stanza has a wrong size")
    return share


def _shared(private: X25519PrivateKey, point: bytes) -> bytes:
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(point))
    except ValueError:  # all-zero result, RFC 7748 §6.1: the point has low order
        raise AgeKeyError("x25519 point has low order") from None


def _decode(text: str, prefix: str, right_case: bool) -> bytes:
    try:
        hrp, raw = bech32.decode(text)
    except Bech32Error as error:
        raise AgeKeyError(str(error)) from None
    if hrp != prefix or not right_case or len(raw) != KEY_BYTES:
        raise AgeKeyError(f"not an age key that starts with `{prefix}1` in its own case")
    return raw
