"""What an agent signs with their own key: a standing answer, a seat claim, an enrolment (agreement.md §3).

Canonical JSON both ways: `parse_*` takes only what prints back to the same bytes. The signature (SSHSIG under the
statement's namespace), replay and order of `seq` are the caller's checks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from crypto.errors import CryptoError
from crypto.jcs import canonical, parse
from crypto.x25519 import Recipient
from policy.errors import StatementError
from policy.terms import Purpose

CONSENT_NAMESPACE: Final = "fairtap-consent@v1"
SEAT_NAMESPACE: Final = "fairtap-seat@v1"
CALL_CONSENT_NAMESPACE: Final = "fairtap-call-consent@v1"
CALLER_CONSENT_NAMESPACE: Final = "fairtap-caller-consent@v1"
ENROLMENT_NAMESPACE: Final = "fairtap-enrol@v1"
MAX_STATEMENT: Final = 4_096
MAX_SEQ: Final = 2**53 - 1

AGENT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
EXTENSION: Final = re.compile(r"[A-Za-z0-9*#+._-]{1,32}", re.ASCII)
SESSION: Final = re.compile(r"[A-Za-z0-9._~-]{8,128}", re.ASCII)
CALL_REF: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)
SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
RECIPIENT: Final = re.compile(r"age1[a-z0-9]{10,100}", re.ASCII)
LANGUAGES: Final = ("de", "en", "nb")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{3})?Z", re.ASCII)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ConsentStatement:
    """An agent's standing answer for one purpose. A `yes` counts only signed; a `no` needs no key."""

    agent: str
    purpose: Purpose
    answer: str
    """`yes` or `no`."""
    text_sha256: str
    """Hash of the text that was shown (`texts.consent_text`)."""
    language: str
    home_office: bool
    """The answer holds at the agent's home too."""
    seq: int
    at: str
    """UTC, `2026-03-01T09:30:00Z`, by the agent's clock: shown, never decided on."""

    def canonical(self) -> bytes:
        """The bytes to sign under `CONSENT_NAMESPACE`."""
        return canonical(
            {
                "v": 1,
                "type": "consent",
                "agent": self.agent,
                "purpose": self.purpose.value,
                "answer": self.answer,
                "text_sha256": self.text_sha256,
                "language": self.language,
                "scope": {"home_office": self.home_office},
                "seq": self.seq,
                "at": self.at,
            }
        )


@dataclass(frozen=True, slots=True)
class CallConsent:
    """An agent's answer for one purpose in one running call, given unprompted."""

    agent: str
    call: str
    """The gateway's reference of the call: what is signed for one call is worth nothing in another."""
    purpose: Purpose
    answer: str
    """`yes` or `no`."""
    text_sha256: str | None = None
    """Of the purpose's text as it was shown: who said no to it, or nothing yet, has read it all the same."""

    def canonical(self) -> bytes:
        """The bytes to sign under `CALL_CONSENT_NAMESPACE`."""
        said = {
            "v": 1,
            "type": "call_consent",
            "agent": self.agent,
            "call": self.call,
            "purpose": self.purpose.value,
            "answer": self.answer,
        }
        return canonical(said if self.text_sha256 is None else {**said, "text_sha256": self.text_sha256})


@dataclass(frozen=True, slots=True)
class CallerConsent:
    """An agent's word that the caller said yes to one purpose in one running call; there is no such word for a no."""

    agent: str
    call: str
    purpose: Purpose
    language: str
    """In which the agent asked."""

    def canonical(self) -> bytes:
        """The bytes to sign under `CALLER_CONSENT_NAMESPACE`."""
        return canonical(
            {
                "v": 1,
                "type": "caller_consent",
                "agent": self.agent,
                "call": self.call,
                "purpose": self.purpose.value,
                "answer": "yes",
                "language": self.language,
            }
        )


@dataclass(frozen=True, slots=True)
class SeatClaim:
    """An agent's claim that the phone with this extension is theirs, for one sign-in."""

    agent: str
    extension: str
    session: str
    seq: int
    place: str | None = None
    """`site` or `home`; `None`: the claim doesn't say, and the roster's word stands."""

    def canonical(self) -> bytes:
        """The bytes to sign under `SEAT_NAMESPACE`."""
        where = {} if self.place is None else {"place": self.place}
        return canonical(
            {
                "v": 1,
                "type": "seat",
                "agent": self.agent,
                "extension": self.extension,
                "session": self.session,
                "seq": self.seq,
                **where,
            }
        )


@dataclass(frozen=True, slots=True)
class Enrolment:
    """An agent's recipient for recordings, valid from an instant on."""

    agent: str
    recipient: str
    """`age1…`, lower case."""
    valid_from: str
    """UTC, `2026-03-01T09:30:00Z`; the JSON field is `from`."""

    def canonical(self) -> bytes:
        """The bytes to sign under `ENROLMENT_NAMESPACE`."""
        return canonical({"agent": self.agent, "recipient": self.recipient, "from": self.valid_from})


def parse_consent(data: bytes) -> ConsentStatement:
    """Read a standing answer; raises `StatementError`, and nothing else."""
    fields = Fields.read(data, "v type agent purpose answer text_sha256 language scope seq at")
    fields.tagged("consent")
    scope = fields.mapping("scope", "home_office")
    return ConsentStatement(
        agent=fields.text("agent", AGENT_ID),
        purpose=Purpose(fields.one_of("purpose", [purpose.value for purpose in Purpose])),
        answer=fields.one_of("answer", ("yes", "no")),
        text_sha256=fields.text("text_sha256", SHA256),
        language=fields.one_of("language", LANGUAGES),
        home_office=scope.boolean("home_office"),
        seq=fields.integer("seq", 1),
        at=fields.instant("at"),
    )


def parse_call_consent(data: bytes) -> CallConsent:
    """Read an answer for one call; raises `StatementError`, and nothing else."""
    fields = Fields.read(data, "v type agent call purpose answer", optional="text_sha256")
    fields.tagged("call_consent")
    return CallConsent(
        agent=fields.text("agent", AGENT_ID),
        call=fields.text("call", CALL_REF),
        purpose=Purpose(fields.one_of("purpose", [purpose.value for purpose in Purpose])),
        answer=fields.one_of("answer", ("yes", "no")),
        text_sha256=fields.text("text_sha256", SHA256) if fields.has("text_sha256") else None,
    )


def parse_caller_consent(data: bytes) -> CallerConsent:
    """Read an agent's word about a caller's yes; raises `StatementError`, and nothing else."""
    fields = Fields.read(data, "v type agent call purpose answer language")
    fields.tagged("caller_consent")
    fields.one_of("answer", ("yes",))
    return CallerConsent(
        agent=fields.text("agent", AGENT_ID),
        call=fields.text("call", CALL_REF),
        purpose=Purpose(fields.one_of("purpose", [purpose.value for purpose in Purpose])),
        language=fields.one_of("language", LANGUAGES),
    )


def parse_seat(data: bytes) -> SeatClaim:
    """Read a seat claim; raises `StatementError`, and nothing else."""
    fields = Fields.read(data, "v type agent extension session seq", optional="place")
    fields.tagged("seat")
    return SeatClaim(
        agent=fields.text("agent", AGENT_ID),
        extension=fields.text("extension", EXTENSION),
        session=fields.text("session", SESSION),
        seq=fields.integer("seq", 1),
        place=fields.one_of("place", ("site", "home")) if fields.has("place") else None,
    )


def parse_enrolment(data: bytes) -> Enrolment:
    """Read an enrolment; raises `StatementError`, and nothing else."""
    fields = Fields.read(data, "agent recipient from")
    recipient = recipient_of(fields.text("recipient", RECIPIENT), "recipient")
    return Enrolment(fields.text("agent", AGENT_ID), recipient, fields.instant("from"))


def recipient_of(text: str, field: str) -> str:
    """`text`, if it is an age recipient; raises `StatementError`."""
    try:
        Recipient.parse(text)
    except CryptoError:
        raise StatementError(f"field `{field}` is no age recipient") from None
    return text


class Fields:
    """The fields of one JSON object, read strictly; messages name the field, never its value."""

    def __init__(self, values: dict[str, object]) -> None:
        self._values = values

    @classmethod
    def read(cls, data: bytes, names: str, limit: int = MAX_STATEMENT, optional: str = "") -> Fields:
        """Canonical JSON whose fields are exactly `names` (separated by spaces), and perhaps `optional` ones."""
        try:
            parsed = parse(data, limit=limit)
        except CryptoError as error:
            raise StatementError(str(error)) from None
        if isinstance(parsed, dict):
            names = " ".join((names, *(name for name in optional.split() if name in parsed)))
        return cls._exact(parsed, names)

    @classmethod
    def _exact(cls, parsed: object, names: str) -> Fields:
        if not isinstance(parsed, dict) or set(parsed) != set(names.split()):
            raise StatementError(f"must have exactly the fields `{names}`")
        return cls(parsed)

    def tagged(self, kind: str) -> None:
        """Version 1 of this type of statement."""
        self.integer("v", 1, 1)
        self.one_of("type", (kind,))

    def mapping(self, name: str, names: str) -> Fields:
        """An object with exactly these fields."""
        return self._exact(self._values[name], names)

    def has(self, name: str) -> bool:
        """Whether an optional field is there."""
        return name in self._values

    def text(self, name: str, pattern: re.Pattern[str]) -> str:
        """A text of that form."""
        value = self._values[name]
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise StatementError(f"field `{name}` doesn't have its form")
        return value

    def optional_text(self, name: str, pattern: re.Pattern[str]) -> str | None:
        """A text of that form, or null."""
        return None if self._values[name] is None else self.text(name, pattern)

    def texts(self, name: str, pattern: re.Pattern[str], most: int) -> tuple[str, ...]:
        """At most so many texts of that form."""
        values = self._values[name]
        if not isinstance(values, list) or len(values) > most:
            raise StatementError(f"field `{name}` must be a list of at most {most}")
        found = tuple(value for value in values if isinstance(value, str) and pattern.fullmatch(value))
        if len(found) != len(values):
            raise StatementError(f"field `{name}` doesn't have its form")
        return found

    def one_of(self, name: str, allowed: list[str] | tuple[str, ...]) -> str:
        """One of these texts."""
        value = self._values[name]
        if not isinstance(value, str) or value not in allowed:
            raise StatementError(f"field `{name}` must be {' or '.join(allowed)}")
        return value

    def integer(self, name: str, least: int, most: int = MAX_SEQ) -> int:
        """A whole number within bounds."""
        value = self._values[name]
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise StatementError(f"field `{name}` must be a whole number from {least}")
        return value

    def boolean(self, name: str) -> bool:
        """True or false."""
        value = self._values[name]
        if not isinstance(value, bool):
            raise StatementError(f"field `{name}` must be true or false")
        return value

    def instant(self, name: str) -> str:
        """A UTC time that exists, kept as written."""
        text = self.text(name, _INSTANT)
        try:
            datetime.fromisoformat(text)
        except ValueError:
            raise StatementError(f"field `{name}` is no time of the calendar") from None
        return text

    def optional_instant(self, name: str) -> str | None:
        """As `instant`, or null."""
        return None if self._values[name] is None else self.instant(name)
