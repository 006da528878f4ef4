"""The signed manifest of one side and segment, and its committed private part (crypto.md §1).

Strict both ways: exactly the contract's fields, integers only, canonical JSON; what doesn't print alike is refused.
The public part names neither agent nor purpose nor time: those are in the opening, encrypted to the owner.
"""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self, cast, get_args

from crypto import age, jcs, sshsig
from crypto.commitment import SALT_BYTES, commitment, new_salt, opens
from crypto.errors import CryptoError, JcsError, SshsigError
from crypto.framing import parse_hex
from crypto.ssh_key import SigningKey, VerifyKey
from crypto.x25519 import Identity, Recipient
from storage.errors import ManifestError

NAMESPACE: Final = "fairtap-recording@v1"
TYPE: Final = "fairtap/recording"
PRIVATE_KIND: Final = "private"
"""Kind of the commitment to the private part."""
MAX_BYTES: Final = 1 << 20
End = Literal["normal", "paused", "stopped", "interrupted"]
Ingress = Literal["inline", "ng", "siprec"]
Media = Literal["rtp", "srtp"]
Side = Literal["agent", "caller"]
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Payload:
    """The payload object as it lies there."""

    sha256: str
    bytes: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Private:
    """What the manifest commits to and only the owner reads."""

    epoch: str
    agent: str
    """Pseudonym in this epoch, 32 hex characters."""
    n: int
    lane: str
    purpose: str
    agreement: str
    started: datetime
    ended: datetime
    gaps: tuple[tuple[int, int, str], ...]
    """(start ms, end ms, why), from the segment's start."""
    consents: tuple[str, ...]
    """Digests (hex) of the statements and receipts this stands on."""
    recipients: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The committed object; instants to the millisecond."""
        return {
            **{name: getattr(self, name) for name in ("epoch", "agent", "n", "lane", "purpose", "agreement")},
            "started": format_time(self.started),
            "ended": format_time(self.ended),
            "gaps": [list(gap) for gap in self.gaps],
            "consents": list(self.consents),
            "recipients": list(self.recipients),
        }

    @classmethod
    def from_json(cls, obj: object) -> Self:
        """Read the committed object. Raises ManifestError."""
        found = _members(obj, cls)
        _require(type(found["n"]) is int and found["n"] >= 0, "n")
        for name in ("epoch", "lane", "purpose"):
            _require(isinstance(found[name], str), name)
        _hex(found["agent"], 16, "agent")
        _hex(found["agreement"], 32, "agreement")
        consents = _texts(found["consents"], "consents")
        for digest in consents:
            _hex(digest, 32, "consents")
        times = {name: parse_time(found[name]) for name in ("started", "ended")}
        lists = {"consents": consents, "recipients": _texts(found["recipients"], "recipients")}
        return cls(**{**found, **times, **lists, "gaps": _gaps(found["gaps"])})


@dataclass(frozen=True, slots=True)
class Manifest:
    """The public part."""

    id: str
    origin: str
    side: Side
    seg: int
    container: str
    ingress: Ingress
    media: Media
    payload: Payload
    key_commit: str
    stanzas: int
    quorum: bool
    end: End
    gateway: str
    """Verifier key, see `gateway_key.vkey`."""
    build: str
    private: str
    """Commitment to the private part."""

    def to_bytes(self) -> bytes:
        """Canonical JSON: what is signed and stored."""
        return jcs.canonical({"v": 1, "type": TYPE, **dataclasses.asdict(self)})

    def committed(self, opening: "Opening") -> Self:
        """The same manifest with the commitment that `opening` opens."""
        return dataclasses.replace(self, private=opening.commitment)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a stored manifest. Raises ManifestError."""
        obj = _json(data)
        version, kind = obj.pop("v", None), obj.pop("type", None)
        if type(version) is not int or version != 1 or kind != TYPE:
            raise ManifestError("not a recording's manifest of version 1")
        found = _members(obj, cls)
        payload = Payload(**_members(found["payload"], Payload))
        _hex(found["id"], 16, "id")
        for name in ("key_commit", "build", "private"):
            _hex(found[name], 32, name)
        for name in ("origin", "container", "gateway"):
            _require(isinstance(found[name], str) and 0 < len(found[name]) <= 256, name)
        for name, words in (("side", Side), ("ingress", Ingress), ("media", Media), ("end", End)):
            _require(found[name] in get_args(words), name)
        _hex(payload.sha256, 32, "payload")
        for number in (found["seg"], found["stanzas"], payload.bytes, payload.chunks):
            _require(type(number) is int and number > 0, "seg, stanzas or payload")
        _require(type(found["quorum"]) is bool, "quorum")
        return cls(**{**found, "payload": payload})


@dataclass(frozen=True, slots=True)
class Opening:
    """The private part and the salt of its commitment."""

    private: Private
    salt: bytes

    @classmethod
    def make(cls, private: Private) -> Self:
        """An opening under a fresh salt."""
        return cls(private, new_salt())

    @property
    def commitment(self) -> str:
        """What the manifest holds, hex."""
        return commitment(PRIVATE_KIND, self.private.to_json(), self.salt).hex()

    def seal(self, recipients: Sequence[str]) -> bytes:
        """The `.opening` object: encrypted to `age1…` recipients. Raises ManifestError."""
        plain = jcs.canonical({"object": self.private.to_json(), "salt": self.salt.hex()})
        try:
            return age.encrypt(plain, [Recipient.parse(recipient) for recipient in recipients])
        except CryptoError as error:
            raise ManifestError(f"opening can't be encrypted: {error}") from None

    @classmethod
    def open(cls, data: bytes, identities: Sequence[Identity]) -> Self:
        """Decrypt an `.opening` object. Raises ManifestError."""
        try:
            plain = age.decrypt(data, identities, limit=MAX_BYTES)
        except CryptoError as error:
            raise ManifestError(f"opening: {error}") from None
        obj = _json(plain)
        _require(set(obj) == {"object", "salt"}, "opening")
        return cls(Private.from_json(obj["object"]), _hex(obj["salt"], SALT_BYTES, "salt"))

    def check(self, manifest: Manifest) -> None:
        """Raise ManifestError unless this opens the manifest's commitment."""
        if not opens(bytes.fromhex(manifest.private), PRIVATE_KIND, self.private.to_json(), self.salt):
            raise ManifestError("opening doesn't open the manifest's commitment")


def sign(key: SigningKey, manifest: bytes) -> bytes:
    """The `.manifest.sig` object, armoured SSHSIG."""
    return sshsig.sign(key, NAMESPACE, manifest).encode()


def verify(key: VerifyKey, manifest: bytes, signature: bytes) -> Manifest:
    """The manifest behind bytes that `key` signed. Raises ManifestError."""
    try:
        sshsig.verify(key, NAMESPACE, manifest, signature.decode("ascii"))
    except (SshsigError, UnicodeDecodeError):
        raise ManifestError("manifest's signature doesn't verify") from None
    return Manifest.parse(manifest)


def format_time(at: datetime) -> str:
    """RFC 3339 with milliseconds, UTC, cut."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def parse_time(text: object) -> datetime:
    """Read what `format_time` writes. Raises ManifestError."""
    if isinstance(text, str) and _TIME.fullmatch(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    raise ManifestError("time isn't rfc 3339 with milliseconds in utc")


def _json(data: bytes) -> dict[str, Any]:
    try:
        obj = jcs.parse(data, limit=MAX_BYTES)
    except JcsError as error:
        raise ManifestError(str(error)) from None
    if not isinstance(obj, dict):
        raise ManifestError("not a json object")
    return obj


def _members(obj: object, shape: type) -> dict[str, Any]:
    """`obj` with exactly the fields of `shape`."""
    if not isinstance(obj, dict) or set(obj) != {field.name for field in fields(shape)}:
        raise ManifestError(f"{shape.__name__.lower()} has a missing or unknown field")
    return obj


def _require(fits: bool, name: str) -> None:
    if not fits:
        raise ManifestError(f"field `{name}` holds something else than the contract says")


def _hex(value: object, size: int, name: str) -> bytes:
    try:
        return parse_hex(value if isinstance(value, str) else "", size)
    except CryptoError:
        raise ManifestError(f"field `{name}` isn't {2 * size} lower-case hexadecimal characters") from None


def _texts(value: object, name: str) -> tuple[str, ...]:
    _require(isinstance(value, list) and all(isinstance(item, str) for item in value), name)
    return tuple(cast(list[str], value))


def _gaps(value: object) -> tuple[tuple[int, int, str], ...]:
    _require(isinstance(value, list), "gaps")
    found = []
    for gap in cast(list[Any], value):
        _require(isinstance(gap, list) and [type(part) for part in gap] == [int, int, str], "gaps")
        _require(0 <= gap[0] <= gap[1], "gaps")
        found.append((gap[0], gap[1], gap[2]))
    return tuple(found)
