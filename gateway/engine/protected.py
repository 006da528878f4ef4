"""Protected parties: numbers that are never recorded, kept as keyed hashes (agreement.md §4).

Council, union, DPO, company doctor, counselling, lawyers, emergency. The host can test a number against the list, not
read the list. A number counts by its digits, and also by its last nine, so that `0171…` and `+49171…` are the same.
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

__all__ = ["EMERGENCY", "ProtectedListError", "ProtectedParties", "protect"]

EMERGENCY = ("110", "112", "113", "115", "116117", "116123", "911", "999")
"""Emergency and crisis numbers of the countries the texts are for."""
SUFFIX = 9
_DIGITS = re.compile(r"[0-9]+")


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
            key = _key_path(data_dir).read_bytes()
            lines = _list_path(data_dir).read_text(encoding="ascii").split()
        except (OSError, UnicodeDecodeError):
            raise ProtectedListError("the list of protected parties can't be read; run `fairtap init`") from None
        return cls(key, frozenset(lines))

    def __contains__(self, number: Private) -> bool:
        return any(_hash(self._key, form) in self._hashes for form in _forms(number.value))


def protect(data_dir: Path, numbers: Iterable[str]) -> int:
    """Add numbers to the list, making it where there is none; how many were new."""
    key_path, list_path = _key_path(data_dir), _list_path(data_dir)
    if not key_path.exists():
        key_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_private(key_path, secrets.token_bytes(32))
    key = key_path.read_bytes()
    known = set(list_path.read_text(encoding="ascii").split()) if list_path.exists() else set()
    wanted = {_hash(key, form) for number in numbers for form in _forms(number)}
    _write_private(list_path, "\n".join(sorted(known | wanted)).encode() + b"\n")
    return len(wanted - known)


def _forms(number: str) -> Iterable[str]:
    digits = "".join(_DIGITS.findall(number.split("@")[0].split(";")[0]))
    if not digits:
        return
    yield digits
    if len(digits) > SUFFIX:
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
