"""The errors of `policy`: one tree, one line each, the author's fault apart from ours."""

from __future__ import annotations


class PolicyError(ValueError):
    """Root of everything that `policy` raises on purpose."""


class PeriodError(PolicyError):
    """A text that isn't a duration."""


class StatementError(PolicyError):
    """A signed statement (consent, seat, enrolment) or receipt that isn't what it says it is."""


class WallclockError(PolicyError):
    """A wall clock without a time zone: our own fault, never a document's."""
