"""Protected parties: numbers that are never recorded, kept as keyed hashes (agreement.md §4).

Council, union, DPO, company doctor, counselling, lawyers, emergency. The host can test a number against the list, not
read the list. A number counts by its digits, and also by its last eight, all that a Norwegian one has: so `0171…` and
`+49171…` are the same. A list that is damaged isn't used: then everybody counts as protected.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from gateway.call.model import Private
from gateway.errors import GatewayError

__all__ = ["EMERGENCY", "ProtectedListError", "ProtectedParties", "is_emergency", "protect"]

EMERGENCY = ("110", "112", "113", "115", "116117", "116123", "911", "999")
"""Emergency and crisis numbers of the countries the texts are for."""
_EMERGENCY = re.compile(rf"(?:0{{0,2}}|(?:\+|00)(?:1|4[134579]))(?:{'|'.join(EMERGENCY)})", re.ASCII)
"""Also after a digit or two for an outside line, and as carriers write them with a country code."""
SUFFIX = 8
KEY_BYTES = 32
_DIGITS = re.compile(r"[0-9]+")
_HASH = re.compile(r"[0-9a-f]{64}")


def is_emergency(number: str) -> bool:
    """Whether somebody calls for help: a number as dialled, or a service URN (RFC 5031)."""
    if number.lower().startswith("urn:service:sos"):
        return True
    return _EMERGENCY.fullmatch(re.sub(r"[ ().-]", "", number.split("@")[0].split(";")[0])) is not None


class ProtectedListError(GatewayError):
    """The list or its key can't be read: nobody can be told to be unprotected."""


class ProtectedParties:
    """The list in memory. `load` raises `ProtectedListError`."""

    def __init__(self, key: bytes, hashes: frozenset[str]) -> None:
        self._key = key
        self._hashes = hashes

    @classmethod
    def load(cls, data_dir: Path) -> "ProtectedParties":
        """Read `keys/protected.key` and `protected.hashes`."""
        try:
            return cls(_read_key(data_dir), _read_list(data_dir))
        except OSError:
            raise ProtectedListError("the list of protected parties can't be read; run `fairtap init`") from None

    def __contains__(self, number: Private) -> bool:
        return any(_hash(self._key, form) in self._hashes for form in _forms(number.value))


def protect(data_dir: Path, numbers: Iterable[str]) -> int:
    """Add numbers to the list, making it where there is none; how many were new. Raises `ProtectedListError`."""
    try:
        known: frozenset[str] = _read_list(data_dir) if _list_path(data_dir).exists() else frozenset()
        if not known and not _key_path(data_dir).exists():
            _key_path(data_dir).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_private(_key_path(data_dir), secrets.token_bytes(KEY_BYTES))
        key = _read_key(data_dir)
        wanted = {_hash(key, form) for number in numbers for form in _forms(number)}
        if wanted - known:
            _write_private(_list_path(data_dir), "\n".join(sorted(known | wanted)).encode() + b"\n")
    except OSError as error:
        why = (error.strerror or "it can't be reached").lower()
        raise ProtectedListError(f"the list of protected parties can't be written: {why}") from None
    return len(wanted - known)


def _read_key(data_dir: Path) -> bytes:
    key = _key_path(data_dir).read_bytes()
    if len(key) != KEY_BYTES:
        raise ProtectedListError("the key of the list of protected parties is damaged; restore it")
    return key


def _read_list(data_dir: Path) -> frozenset[str]:
    """Raises `OSError`, `ProtectedListError`; an empty list is a lost one, since `init` writes emergency numbers."""
    lines = _list_path(data_dir).read_bytes().decode("ascii", "replace").split()
    if not lines or not all(_HASH.fullmatch(line) for line in lines):
        raise ProtectedListError("the list of protected parties is damaged; restore it")
    return frozenset(lines)


def _forms(number: str) -> Iterable[str]:
    digits = "".join(_DIGITS.findall(number.split("@")[0].split(";")[0]))
    if not digits:
        return
    yield digits
    if len(digits) >= SUFFIX:
        yield "…" + digits[-SUFFIX:]


def _hash(key: bytes, form: str) -> str:
    return hmac.new(key, form.encode(), hashlib.sha256).hexdigest()


def _write_private(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _key_path(data_dir: Path) -> Path:
    return data_dir / "keys" / "protected.key"


def _list_path(data_dir: Path) -> Path:
    return data_dir / "protected.hashes"
