"""The scrypt recipient of age v1 (C2SP age.md): a file under a passphrase, for the bundle of an agent's own keys.

Its stanza stands alone in a header; the work factor is bounded, since memory is 2^logN KiB.
"""

import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from crypto.errors import AgeHeaderError, AgeKeyError
from crypto.header import FILE_KEY_BYTES, FileKey, Stanza, b64, unb64

KIND: Final = "scrypt"
MIN_LOG_N: Final = 16
MAX_LOG_N: Final = 18
_LABEL: Final = b"age-encryption.org/v1/scrypt"
_SALT_BYTES: Final = 16
_BODY_BYTES: Final = FILE_KEY_BYTES + 16
_WORK_FACTOR: Final = re.compile(r"[1-9][0-9]?")
# Safe only because each wrap key is fresh (random salt) and wraps one file key.
_ZERO_NONCE: Final = bytes(12)


@dataclass(frozen=True, slots=True)
class Passphrase:
    """Recipient and identity in one. Raises AgeKeyError for an empty passphrase or a work factor outside 16 to 18."""

    text: str = field(repr=False)
    log_n: int = 17
    "Used when wrapping; unwrapping takes any stanza's up to 18."

    def __post_init__(self) -> None:
        if not self.text:
            raise AgeKeyError("passphrase is empty")
        if not MIN_LOG_N <= self.log_n <= MAX_LOG_N:
            raise AgeKeyError(f"work factor is outside {MIN_LOG_N} to {MAX_LOG_N}")

    def wrap(self, file_key: FileKey) -> Stanza:
        """A stanza that must be the header's only one."""
        salt = secrets.token_bytes(_SALT_BYTES)
        body = self._aead(salt, self.log_n).encrypt(_ZERO_NONCE, file_key, None)
        return Stanza(KIND, (b64(salt), str(self.log_n)), body)

    def unwrap(self, stanza: Stanza) -> FileKey | None:
        """The file key, or None for another passphrase or kind. Raises AgeHeaderError for a malformed stanza."""
        if stanza.kind != KIND:
            return None
        salt, log_n = _parameters(stanza)
        try:
            return FileKey(self._aead(salt, log_n).decrypt(_ZERO_NONCE, stanza.body, None))
        except InvalidTag:
            return None

    def _aead(self, salt: bytes, log_n: int) -> ChaCha20Poly1305:
        try:
            secret = self.text.encode()
        except UnicodeEncodeError:
            raise AgeKeyError("passphrase isn't valid unicode") from None
        return ChaCha20Poly1305(Scrypt(salt=_LABEL + salt, length=32, n=1 << log_n, r=8, p=1).derive(secret))


def _parameters(stanza: Stanza) -> tuple[bytes, int]:
    if len(stanza.args) != 2 or not _WORK_FACTOR.fullmatch(stanza.args[1]):
        raise AgeHeaderError("scrypt stanza needs a salt and a work factor")
    salt, log_n = unb64(stanza.args[0]), int(stanza.args[1])
    if len(salt) != _SALT_BYTES or len(stanza.body) != _BODY_BYTES:
        raise AgeHeaderError("scrypt stanza has a wrong size")
    if log_n > MAX_LOG_N:
        raise AgeHeaderError(f"scrypt work factor is over {MAX_LOG_N}")
    return salt, log_n
