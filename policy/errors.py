"""The errors of `policy`: one tree, one line each, the author's fault apart from ours."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class PolicyError(ValueError):
    """Root of everything that `policy` raises on purpose."""


class PeriodError(PolicyError):
    """A text that isn't a duration."""


class StatementError(PolicyError):
    """A signed statement (consent, seat, enrolment) or receipt that isn't what it says it is."""


class DryRunError(PolicyError):
    """A dry run that was asked for with figures that are missing, unknown or too large."""


class LogEntryError(PolicyError):
    """Bytes that aren't an entry of the log, or values that none may hold."""


class WallclockError(PolicyError):
    """A wall clock without a time zone: our own fault, never a document's."""


class ActFault(StrEnum):
    """Why an act is refused; `messages.say` puts each into words."""

    MALFORMED = "malformed"
    SIGNATURE = "signature"
    STALE = "stale"
    CLOCK_BACK = "clock_back"
    CLOCK_UNTRUSTED = "clock_untrusted"
    UNKNOWN_AGREEMENT = "unknown_agreement"
    DOCUMENT_MISSING = "document_missing"
    DOCUMENT_DIFFERS = "document_differs"
    NARROWS_ANOTHER = "narrows_another"
    ANCHOR_UNKNOWN = "anchor_unknown"
    NOBODY_SIGNED = "nobody_signed"
    MUST_SIGN_TOO = "must_sign_too"
    NOT_ALONE = "not_alone"
    NOT_NARROWER = "not_narrower"
    VERSION_NOT_NEWER = "version_not_newer"
    ENDED = "ended"
    DEMO_OFF_LOOPBACK = "demo_off_loopback"
    UNCHANGED = "unchanged"
    UNKNOWN_RULE = "unknown_rule"
    RATE_REFUSED = "rate_refused"
    RESOLUTION_MISSING = "resolution_missing"
    RESOLUTION_OLD = "resolution_old"
    OPINION_MISSING = "opinion_missing"
    NOT_SUSPENDED = "not_suspended"
    SUSPENDED_BY_OTHERS = "suspended_by_others"
    DAY_AHEAD = "day_ahead"
    DAY_NOT_NEWER = "day_not_newer"
    KEY_KNOWN = "key_known"
    KEY_UNKNOWN_ROLE = "key_unknown_role"
    KEY_NEEDS_RECIPIENT = "key_needs_recipient"


class ActError(PolicyError):
    """An act that isn't taken; `fault` and `values` say why, `messages.say` says it in the reader's language."""

    def __init__(self, fault: ActFault, **values: str | tuple[str, ...]) -> None:
        self.fault = fault
        self.values: Mapping[str, str | tuple[str, ...]] = values
        told = "; ".join(f"{key} {_shown(value)}" for key, value in values.items())
        super().__init__(f"act refused: {fault.value.replace('_', ' ')}" + (f" ({told})" if told else ""))


def _shown(value: str | tuple[str, ...]) -> str:
    return ", ".join(f"`{one}`" for one in ([value] if isinstance(value, str) else value))


class MalformedAct(ActError):
    """The bytes aren't an act."""


class BadSignature(ActError):
    """A signature doesn't hold under its party's anchored key."""


class StaleAct(ActError):
    """The act doesn't follow the act in force, or the clock stands before it."""


class WrongDocument(ActError):
    """The act is about another agreement or document than the one it came with."""


class NotPermitted(ActError):
    """Whoever signed can't do this, or not in this way."""
