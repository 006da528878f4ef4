"""The log's entries (crypto.md §3): one frozen value per type, its canonical bytes, and the strict way back.

What an entry may hold is the table `_FIELDS` here: codes, counters, digests and commitments. No field takes a name, a
number, a time or an address, so none can get into the log by mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar, Final, cast, get_args

from crypto import jcs
from crypto.errors import CryptoError
from crypto.framing import parse_hex
from crypto.signed_note import NoteSignature
from crypto.ssh_key import VerifyKey
from crypto.sshsig import Signature
from crypto.x25519 import Recipient
from policy.acts import ROLES, WITH_RECIPIENT, ActType
from policy.epoch_statement import EPOCH, EPOCH_NAMESPACE
from policy.errors import LogEntryError

MAX_ENTRY: Final = 0xFFFF
"""Bytes; what a bundle of the log takes."""
MAX_GROUPS: Final = 512
MOST_FIFTHS: Final = 4
OUTS: Final = ("no", "cap", "hit", "wish")
X_KINDS: Final = ("protected", "unknown", "unclaimed")
_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A party's keys. `prev`: SHA-256 of the role's anchor entry before, null exactly at `seq` 1."""

    t: ClassVar[str] = "anchor"
    role: str
    key: str
    """`ssh-ed25519 …`, without comment."""
    rkey: str | None
    """`age1…` of a council or DPO; always null for the employer."""
    seq: int
    prev: str | None


@dataclass(frozen=True, slots=True)
class Act:
    """A signed act was taken: its digest, type and number in the chain."""

    t: ClassVar[str] = "act"
    digest: str
    type: str
    seq: int


@dataclass(frozen=True, slots=True)
class Key:
    """An agent enrolled a key: commitment to `{who, recipient, from, to}`."""

    t: ClassVar[str] = "key"
    c: str


@dataclass(frozen=True, slots=True)
class ECommit:
    """Both parties' commitments for an epoch, with what the epoch is drawn under."""

    t: ClassVar[str] = "ecommit"
    e: str
    h: str
    c: str
    csig: str
    """The council's armoured SSHSIG over JCS {origin, e, c}, namespace `fairtap-epoch@v1`."""
    policy: str
    """Digest of the acts in force."""
    roster: str
    """Root over the roster's leaves."""
    n: int
    """Headcount: how many leaves."""


@dataclass(frozen=True, slots=True)
class EOpen:
    """The epoch may draw. `cosig`: the council's line under a checkpoint that holds the `ecommit`, without newline."""

    t: ClassVar[str] = "eopen"
    e: str
    cosig: str


@dataclass(frozen=True, slots=True)
class Day:
    """A local midnight within an epoch; `i` counts them from 0."""

    t: ClassVar[str] = "day"
    e: str
    i: int


@dataclass(frozen=True, slots=True)
class Call:
    """One agent's part in a call. `r`: see `epoch_rules`; null where no rule covers the leg, which is never drawn."""

    t: ClassVar[str] = "call"
    e: str
    a: str
    n: int
    q: str
    r: int | None
    c: str


@dataclass(frozen=True, slots=True)
class X:
    """A leg without counter and agent."""

    t: ClassVar[str] = "x"
    e: str
    k: str


@dataclass(frozen=True, slots=True)
class Wish:
    """A record that was asked for, under the agent's own counter of wishes."""

    t: ClassVar[str] = "wish"
    e: str
    a: str
    n: int
    c: str


@dataclass(frozen=True, slots=True)
class Out:
    """What came of a `call` (`no`, `cap`, `hit`) or of a `wish` entry."""

    t: ClassVar[str] = "out"
    e: str
    a: str
    n: int
    o: str
    m: str


@dataclass(frozen=True, slots=True)
class Halt:
    """The epoch draws no more."""

    t: ClassVar[str] = "halt"
    e: str


@dataclass(frozen=True, slots=True)
class Counted:
    """Legs and hits of one group."""

    legs: int
    hits: int


@dataclass(frozen=True, slots=True)
class EClose:
    """The epoch's counts, and what its recordings are found by."""

    t: ClassVar[str] = "eclose"
    e: str
    groups: Mapping[str, Counted]
    kept: int | None
    """Of the whole block's hits, in fifths (`policy.kept`): in its last epoch alone, null where it is about too few."""
    root: str
    """Of the epoch's inventory (`policy.inventory`)."""
    x: Mapping[str, int]
    """By kind, each of the three."""


@dataclass(frozen=True, slots=True)
class Reveal:
    """Both shares of an epoch that is over."""

    t: ClassVar[str] = "reveal"
    e: str
    h: str
    c: str


@dataclass(frozen=True, slots=True)
class Release:
    """An agent released a recording to a coach; like those below, only a commitment."""

    t: ClassVar[str] = "release"
    m: str


@dataclass(frozen=True, slots=True)
class Unrelease:
    """A release ended."""

    t: ClassVar[str] = "unrelease"
    m: str


@dataclass(frozen=True, slots=True)
class Erase:
    """A side was erased because its own person asked: what time or a missing reveal ends has no entry."""

    t: ClassVar[str] = "erase"
    m: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Erasure is blocked for a while."""

    t: ClassVar[str] = "hold"
    m: str


@dataclass(frozen=True, slots=True)
class Unhold:
    """A hold ended."""

    t: ClassVar[str] = "unhold"
    m: str


@dataclass(frozen=True, slots=True)
class Access:
    """Somebody fetched what was released or opened by a quorum."""

    t: ClassVar[str] = "access"
    m: str


@dataclass(frozen=True, slots=True)
class Quorum:
    """A quorum object was handed out."""

    t: ClassVar[str] = "quorum"
    m: str


@dataclass(frozen=True, slots=True)
class Build:
    """What runs: SHA-256 over the code, the effective configuration, and what the pages are made of."""

    t: ClassVar[str] = "build"
    code: str
    config: str
    pages: str


Entry = (
    Anchor | Act | Key | ECommit | EOpen | Day | Call | X | Wish | Out | Halt | EClose | Reveal
    | Release | Unrelease | Erase | Hold | Unhold | Access | Quorum | Build
)  # fmt: skip
KINDS: Final[dict[str, type[Entry]]] = {kind.t: kind for kind in get_args(Entry)}


def encode(entry: Entry) -> bytes:
    """The leaf's bytes, JCS. Raises LogEntryError for a value that the table doesn't permit."""
    members = {field.name: _plain(getattr(entry, field.name)) for field in fields(entry)}
    _check(type(entry), members)
    try:
        data = jcs.canonical({"v": 1, "t": entry.t, **members})
    except CryptoError as error:
        raise LogEntryError(f"log entry: {error}") from None
    if len(data) > MAX_ENTRY:
        raise LogEntryError(f"log entry is longer than {MAX_ENTRY} bytes")
    return data


def parse(data: bytes) -> Entry:
    """Read a leaf. Raises LogEntryError for anything but what `encode` makes."""
    try:
        found = jcs.parse(data, limit=MAX_ENTRY)
    except CryptoError as error:
        raise LogEntryError(f"log entry: {error}") from None
    if not isinstance(found, dict):
        raise LogEntryError("log entry isn't a json object")
    version, name = found.pop("v", None), found.pop("t", None)
    kind = KINDS.get(name) if isinstance(name, str) else None
    if type(version) is not int or version != 1 or kind is None:
        raise LogEntryError("log entry has an unknown version or type")
    _check(kind, found)
    if kind is EClose:
        groups = cast(dict[str, dict[str, int]], found["groups"])
        return EClose(**{**found, "groups": {group: Counted(**counted) for group, counted in groups.items()}})  # type: ignore[arg-type]  # _check saw each field
    return kind(**found)  # type: ignore[arg-type]  # _check saw each field


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return {"legs": value.legs, "hits": value.hits} if isinstance(value, Counted) else value


def _check(kind: type[Entry], members: Mapping[str, Any]) -> None:
    expected = _SHAPES[kind]
    if members.keys() != expected.keys():
        raise LogEntryError(f"log entry `{kind.t}` lacks a field or has an unknown one")
    for name, fits in expected.items():
        if not fits(members[name]):
            raise LogEntryError(f"log entry `{kind.t}`: field `{name}` holds something else than it may")
    if not _RELATIONS.get(kind, _always)(members):
        raise LogEntryError(f"log entry `{kind.t}`: its fields contradict one another")


def _always(_: object) -> bool:
    return True


def _anchor_fits(members: Mapping[str, Any]) -> bool:
    recipient_fits = members["rkey"] is None or members["role"] in WITH_RECIPIENT
    return (members["seq"] == 1) == (members["prev"] is None) and recipient_fits


def _eclose_fits(members: Mapping[str, Any]) -> bool:
    return all(counted["hits"] <= counted["legs"] for counted in members["groups"].values())


def _hex(size: int, value: object) -> bool:
    try:
        return isinstance(value, str) and bool(parse_hex(value, size))
    except CryptoError:
        return False


def _count(least: int, value: object) -> bool:
    return type(value) is int and least <= value <= jcs.MAX_INTEGER


def _fifths(value: object) -> bool:
    return type(value) is int and 0 <= value <= MOST_FIFTHS


def _word(words: tuple[str, ...], value: object) -> bool:
    return isinstance(value, str) and value in words


def _match(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _prints_alike(read: Callable[[str], object], value: object) -> bool:
    try:
        return isinstance(value, str) and str(read(value)) == value
    except CryptoError:
        return False


def _or_null(fits: Callable[[object], bool], value: object) -> bool:
    return value is None or fits(value)


def _csig(value: object) -> bool:
    return _prints_alike(Signature.parse, value) and Signature.parse(str(value)).namespace == EPOCH_NAMESPACE


def _groups(value: object) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= MAX_GROUPS
        and all(_match(_CODE, group) and _counts(("legs", "hits"), counted) for group, counted in value.items())
    )


def _counts(names: tuple[str, ...], value: object) -> bool:
    return isinstance(value, dict) and value.keys() == set(names) and all(_count(0, one) for one in value.values())


_DIGEST: Final = partial(_hex, 32)
_NUMBER: Final = partial(_count, 1)
_TOTAL: Final = partial(_count, 0)
_FIELDS: Final[dict[str, Callable[[object], bool]]] = {
    "a": partial(_hex, 16),
    "c": _DIGEST,
    "code": _DIGEST,
    "config": _DIGEST,
    "cosig": partial(_prints_alike, NoteSignature.parse),
    "csig": _csig,
    "digest": _DIGEST,
    "e": partial(_match, EPOCH),
    "groups": _groups,
    "h": _DIGEST,
    "i": _TOTAL,
    "k": partial(_word, X_KINDS),
    "kept": partial(_or_null, _fifths),
    "key": partial(_prints_alike, VerifyKey.parse),
    "m": _DIGEST,
    "n": _NUMBER,
    "o": partial(_word, OUTS),
    "pages": _DIGEST,
    "policy": _DIGEST,
    "prev": partial(_or_null, _DIGEST),
    "q": partial(_match, _CODE),
    "r": partial(_or_null, _TOTAL),
    "rkey": partial(_or_null, partial(_prints_alike, Recipient.parse)),
    "role": partial(_word, ROLES),
    "root": _DIGEST,
    "roster": _DIGEST,
    "seq": _NUMBER,
    "type": partial(_word, tuple(ActType)),
    "x": partial(_counts, X_KINDS),
}
"""A field's name means the same in every type, but for those below."""
_OWN: Final[dict[type[Entry], dict[str, Callable[[object], bool]]]] = {ECommit: {"n": _TOTAL}}
_SHAPES: Final = {
    kind: {field.name: _FIELDS[field.name] for field in fields(kind)} | _OWN.get(kind, {}) for kind in KINDS.values()
}
_RELATIONS: Final[dict[type[Entry], Callable[[Mapping[str, Any]], bool]]] = {
    Anchor: _anchor_fits,
    EClose: _eclose_fits,
}
