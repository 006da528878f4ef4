"""Every error that crypto raises. Messages are one lower-case line and never hold keys, plaintext or a peer's data."""


class CryptoError(Exception):
    """Root of the folder's tree."""


class FramingError(CryptoError):
    """A value doesn't fit LP framing or its hexadecimal field."""


class JcsError(CryptoError):
    """JSON outside the accepted subset, or not in canonical form."""


class Bech32Error(CryptoError):
    """A string isn't Bech32."""


class AgeError(CryptoError):
    """Anything wrong with an age file, recipient or identity."""


class AgeKeyError(AgeError):
    """A recipient, identity, passphrase or file key is malformed or weak."""


class AgeHeaderError(AgeError):
    """The header is malformed, or its MAC doesn't verify."""


class AgeNoMatch(AgeError):
    """No identity opens any stanza of this header."""


class AgePayloadError(AgeError):
    """The payload was altered, cut or extended."""


class AgeTruncated(AgePayloadError):
    """The payload ends before its final chunk; the whole chunks before it are genuine."""


class AgeWriterError(AgeError):
    """A payload writer was used out of order: our own fault, never a peer's."""


class SshKeyError(CryptoError):
    """An OpenSSH key is malformed, of another kind, or protected by a passphrase."""


class SshsigError(CryptoError):
    """A signature is malformed or doesn't verify."""


class DrawError(CryptoError):
    """A value outside the draw's domain."""


class TlogError(CryptoError):
    """Anything wrong with a transparency log, as a peer or a disk hands it to us."""


class NoteError(TlogError):
    """A signed note, verifier key or checkpoint is malformed, or isn't signed by the key that was asked for."""


class MerkleError(TlogError):
    """A proof doesn't verify, or a tree's position doesn't exist."""


class TileError(TlogError):
    """A tile's path or content is malformed."""


class TlogProofError(TlogError):
    """An offline proof is malformed."""
