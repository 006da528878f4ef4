"""Judges an agreement's text alone, for the route and the command line: every fault with its field and line."""

from __future__ import annotations

from dataclasses import dataclass

from policy.agreement.load import AgreementRefused, load

__all__ = ["Checked", "FaultLine", "check"]


@dataclass(frozen=True, slots=True)
class FaultLine:
    """One fault, as people are told it."""

    field: str
    line: int | None
    said: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.field}: {self.said}"


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdict."""

    ok: bool
    digest: str | None
    faults: tuple[FaultLine, ...] = ()


def check(document: bytes) -> Checked:
    """Whether `document` could be activated, as far as the document alone can tell."""
    try:
        return Checked(True, load(document).digest)
    except AgreementRefused as refused:
        return Checked(False, None, tuple(FaultLine(one.field, one.line, one.message) for one in refused.faults))
