"""What the verifier can find: which check, where, and the values that its sentence needs. The sentences: `words`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from council.codes import Code
from council.folder import printable

MOST: Final = 1_000
"""Findings that are kept one by one; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be."""

    code: Code
    place: str
    """Where: the log's origin and the entry, or a file."""
    values: Mapping[str, str] = field(default_factory=dict, hash=False)


class Findings:
    """A list that stops growing before memory does."""

    def __init__(self, place: str = "") -> None:
        self._place = place
        self.kept: list[Finding] = []
        self.total = 0

    def add(self, code: Code, place: str, **values: object) -> None:
        """Put one down; `place` within the log."""
        self.total += 1
        if len(self.kept) < MOST:
            told = {key: printable(value) for key, value in values.items()}
            self.kept.append(Finding(code, printable(f"{self._place} {place}".lstrip()), told))

    def at(self, code: Code, index: int, **values: object) -> None:
        """Put one down at an entry."""
        self.add(code, f"entry {index}", **values)
