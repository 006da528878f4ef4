"""Judges an agreement's text alone, for the route and the command line: every fault with its field and line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from policy.agreement.faults import Fault
from policy.agreement.load import AgreementRefused, load
from policy.messages import say_fault, say_what
from policy.plain import remarks

__all__ = ["Checked", "FaultLine", "check"]


@dataclass(frozen=True, slots=True)
class FaultLine:
    """One fault, as people are told it."""

    field: str
    line: int | None
    said: str
    """What is wrong, in the language that was asked for."""
    whole: str
    """The same with its place."""

    def __str__(self) -> str:
        return self.whole


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdict."""

    ok: bool
    digest: str | None
    faults: tuple[FaultLine, ...] = ()
    notes: tuple[str, ...] = ()
    """What is easily overlooked, a sentence each."""


def check(document: bytes, language: str, now: datetime) -> Checked:
    """Whether `document` could be activated, as far as the document alone can tell; faults in `de`, `en` or `nb`."""
    try:
        found = load(document)
        return Checked(True, found.digest, notes=remarks(found, language, now))
    except AgreementRefused as refused:
        return Checked(False, None, tuple(_line(fault, language) for fault in refused.faults))


def _line(fault: Fault, language: str) -> FaultLine:
    return FaultLine(fault.field, fault.line, say_what(fault, language), say_fault(fault, language))
