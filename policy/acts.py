"""Signed acts `{v,type,agreement,seq,prev,body}`: how they read and print (agreement.md §3). What they do: `state`.

Canonical JSON both ways; the bytes are what the parties sign (SSHSIG, `ACT_NAMESPACE`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final

from crypto.errors import CryptoError
from crypto.jcs import canonical, parse
from crypto.ssh_key import VerifyKey
from crypto.x25519 import Recipient
from policy.errors import ActFault, MalformedAct
from policy.percent import parse_percent, percent_text
from policy.statements import MAX_SEQ

ACT_NAMESPACE: Final = "fairtap-act@v1"
MAX_ACT: Final = 32 * 1024
MAX_RATES: Final = 256
ROLES: Final = ("employer", "council", "council2", "council3", "dpo")
"""Roles with an anchored key; any of the council's three keys signs for the council."""
WITH_RECIPIENT: Final = frozenset({"council", "council2", "council3", "dpo"})

_FIELDS: Final = ("v", "type", "agreement", "seq", "prev", "body")
_AGREEMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_RULE = re.compile(rf"sample/{_NAME}/(?:onboarding|regular)|campaign/{_NAME}", re.ASCII)
_REF = re.compile(r"[ -~\u00a0-\u024f]{1,200}")


class ActType(StrEnum):
    """What an act does."""

    AGREEMENT = "agreement"
    NARROW = "narrow"
    RATES = "rates"
    SUSPEND = "suspend"
    RESUME = "resume"
    EVALUATION = "evaluation"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Resolution:
    """The council's resolution behind an act."""

    day: date
    minutes_sha256: str

    def fields(self) -> dict[str, object]:
        """As JSON fields."""
        return {"date": self.day.isoformat(), "minutes_sha256": self.minutes_sha256}


@dataclass(frozen=True, slots=True)
class NewAgreement:
    """Puts the document with this digest into force, now or when its time comes."""

    digest: str

    def fields(self) -> dict[str, object]:
        """As JSON fields."""
        return {"digest": self.digest}


@dataclass(frozen=True, slots=True)
class Narrow:
    """Replaces one document (`narrows`, its digest) by another one that only narrows it, at once."""

    digest: str
    narrows: str

    def fields(self) -> dict[str, object]:
        """As JSON fields."""
        return {"digest": self.digest, "narrows": self.narrows}


@dataclass(frozen=True, slots=True)
class Rates:
    """New percentages (ppm) of drawn rules; resolution and opinion are needed for a raise only."""

    rates: Mapping[str, int] = field(hash=False)
    """`sample/GROUP/PHASE` or `campaign/ID` → ppm."""
    resolution: Resolution | None = None
    opinion_ref: str | None = None

    def fields(self) -> dict[str, object]:
        """As JSON fields."""
        return {
            "rates": {rule: percent_text(ppm) for rule, ppm in self.rates.items()},
            "resolution": self.resolution.fields() if self.resolution is not None else None,
            "opinion_ref": self.opinion_ref,
        }


@dataclass(frozen=True, slots=True)
class Suspend:
    """Stops all recording until resumed."""

    def fields(self) -> dict[str, object]:
        """As JSON fields."""
        return {}


@dataclass(frozen=True, slots=True)
class Resume:
    """Takes a suspension back."""

    def fields(self) -> dict[str, object]:
        """As JSON fields."""
        return {}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Both parties evaluated the agreement on this day."""

    day: date

    def fields(self) -> dict[str, object]:
        """As JSON fields."""
        return {"date": self.day.isoformat()}


@dataclass(frozen=True, slots=True)
class NewKey:
    """Another anchored key for a role; with a resolution where the old key is lost."""

    role: str
    key: str
    """`ssh-ed25519 …`, without comment."""
    recipient: str | None
    """`age1…` of council and DPO."""
    resolution: Resolution | None = None

    def fields(self) -> dict[str, object]:
        """As JSON fields."""
        return {
            "role": self.role,
            "key": self.key,
            "recipient": self.recipient,
            "resolution": self.resolution.fields() if self.resolution is not None else None,
        }


Body = NewAgreement | Narrow | Rates | Suspend | Resume | Evaluation | NewKey


@dataclass(frozen=True, slots=True)
class Act:
    """One act of the chain, unverified."""

    type: ActType
    agreement: str
    """Id of the agreement it is about."""
    seq: int
    prev: str | None
    """Digest of the act before it; `None` for the first."""
    body: Body

    def canonical(self) -> bytes:
        """The bytes to sign."""
        return canonical(
            {
                "v": 1,
                "type": self.type.value,
                "agreement": self.agreement,
                "seq": self.seq,
                "prev": self.prev,
                "body": self.body.fields(),
            }
        )

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the signed bytes: the next act's `prev`."""
        return hashlib.sha256(self.canonical()).hexdigest()


def type_of(body: Body) -> ActType:
    """The type of the act that carries this body."""
    return _TYPES[type(body)]


def parse_act(data: bytes) -> Act:
    """Read an act; raises `MalformedAct`, which names the field, and nothing else."""
    try:
        fields = _Fields("", parse(data, limit=MAX_ACT), _FIELDS)
    except CryptoError:
        raise MalformedAct(ActFault.MALFORMED, field="json") from None
    if type(version := fields.value("v")) is not int or version != 1:
        raise fields.wrong("v")
    kind = fields.value("type")
    if not isinstance(kind, str) or kind not in _READERS:
        raise fields.wrong("type")
    seq = fields.value("seq")
    if type(seq) is not int or not 1 <= seq <= MAX_SEQ:
        raise fields.wrong("seq")
    prev = fields.optional_text("prev", _SHA256)
    if (prev is None) != (seq == 1):
        raise fields.wrong("prev")
    agreement = fields.text("agreement", _AGREEMENT)
    return Act(ActType(kind), agreement, seq, prev, _READERS[kind](fields.value("body")))


class _Fields:
    """An object with exactly these fields; errors name the field, never its value."""

    def __init__(self, path: str, values: object, names: tuple[str, ...]) -> None:
        self._path = path
        if not isinstance(values, dict) or set(values) != set(names):
            raise MalformedAct(ActFault.MALFORMED, field=path or "json")
        self._values: dict[str, object] = values

    def wrong(self, name: str) -> MalformedAct:
        return MalformedAct(ActFault.MALFORMED, field=f"{self._path}.{name}" if self._path else name)

    def value(self, name: str) -> object:
        return self._values[name]

    def text(self, name: str, pattern: re.Pattern[str]) -> str:
        value = self._values[name]
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self.wrong(name)
        return value

    def optional_text(self, name: str, pattern: re.Pattern[str]) -> str | None:
        return None if self._values[name] is None else self.text(name, pattern)

    def day(self, name: str) -> date:
        try:
            return date.fromisoformat(self.text(name, _DAY))
        except ValueError as error:
            if isinstance(error, MalformedAct):
                raise
            raise self.wrong(name) from None


def _new_agreement(body: object) -> NewAgreement:
    return NewAgreement(_Fields("body", body, ("digest",)).text("digest", _SHA256))


def _narrow(body: object) -> Narrow:
    fields = _Fields("body", body, ("digest", "narrows"))
    return Narrow(fields.text("digest", _SHA256), fields.text("narrows", _SHA256))


def _rates(body: object) -> Rates:
    fields = _Fields("body", body, ("rates", "resolution", "opinion_ref"))
    given = fields.value("rates")
    if not isinstance(given, dict) or not 1 <= len(given) <= MAX_RATES:
        raise fields.wrong("rates")
    rates = {}
    for rule, percent in given.items():
        ppm = parse_percent(percent) if isinstance(percent, str) and _RULE.fullmatch(rule) else None
        if ppm is None or percent_text(ppm) != percent:
            raise fields.wrong("rates")
        rates[rule] = ppm
    return Rates(rates, _resolution(fields.value("resolution")), fields.optional_text("opinion_ref", _REF))


def _resolution(value: object) -> Resolution | None:
    if value is None:
        return None
    fields = _Fields("body.resolution", value, ("date", "minutes_sha256"))
    return Resolution(fields.day("date"), fields.text("minutes_sha256", _SHA256))


def _suspend(body: object) -> Suspend:
    _Fields("body", body, ())
    return Suspend()


def _resume(body: object) -> Resume:
    _Fields("body", body, ())
    return Resume()


def _evaluation(body: object) -> Evaluation:
    return Evaluation(_Fields("body", body, ("date",)).day("date"))


def _new_key(body: object) -> NewKey:
    fields = _Fields("body", body, ("role", "key", "recipient", "resolution"))
    role, key, recipient = fields.value("role"), fields.value("key"), fields.value("recipient")
    if not isinstance(role, str) or role not in ROLES:
        raise fields.wrong("role")
    try:
        if not isinstance(key, str) or str(VerifyKey.parse(key)) != key:
            raise fields.wrong("key")
    except CryptoError:
        raise fields.wrong("key") from None
    try:
        if recipient is not None and (not isinstance(recipient, str) or str(Recipient.parse(recipient)) != recipient):
            raise fields.wrong("recipient")
    except CryptoError:
        raise fields.wrong("recipient") from None
    return NewKey(role, key, recipient, _resolution(fields.value("resolution")))


_READERS: Final[dict[str, Callable[[object], Body]]] = {
    ActType.AGREEMENT: _new_agreement,
    ActType.NARROW: _narrow,
    ActType.RATES: _rates,
    ActType.SUSPEND: _suspend,
    ActType.RESUME: _resume,
    ActType.EVALUATION: _evaluation,
    ActType.KEY: _new_key,
}
_TYPES: Final[dict[type[Body], ActType]] = {
    NewAgreement: ActType.AGREEMENT,
    Narrow: ActType.NARROW,
    Rates: ActType.RATES,
    Suspend: ActType.SUSPEND,
    Resume: ActType.RESUME,
    Evaluation: ActType.EVALUATION,
    NewKey: ActType.KEY,
}
