"""An agreement as flat fields, path → value, named as the document names them; what narrowing compares.

Lines of a list are named by what they are about (`lanes.sample.rates[team-a/regular]`), not by their place; their
order is a field of its own. Every field of `schema` shows up here without being listed, so none can be forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Final, TypeGuard

from policy.agreement.schema import AccessLine, Agreement, Campaign, Prompt, Rate
from policy.period import Period

__all__ = ["leaves"]

Line = Rate | Campaign | Prompt | AccessLine

_DERIVED: Final = frozenset({"digest", "validity.zone"})
"""Follow from other fields."""
_SECTIONS: Final = frozenset({"lanes.sample", "lanes.customer_request", "lanes.agent_request", "council_powers"})
"""Sections that a document may leave out: then they have no fields at all."""
_LISTS: Final = frozenset({"lanes.sample.rates", "lanes.campaigns", "consent.prompts", "access"})
_NAMES: Final = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"\.ppm$", ".percent"),
        (r"caps\.per_day$", "caps.per_agent.P1D"),
        (r"caps\.per_week$", "caps.per_agent.P1W"),
        (r"customer_request\.per_week$", "customer_request.per_agent.P1W"),
        (r"^scope\.groups\.(.*)$", r"scope.groups.\1.min_agents"),
        (r"^evaluations_per_year$", "evaluations.per_agent_per_year"),
        (r"^retention\.purposes\.", "retention."),
        (r"^storage_regions$", "storage.regions"),
        (r"^change\.", "change.raise."),
    )
)
"""Where `schema` has another name than the document."""


def leaves(agreement: Agreement) -> dict[str, object]:
    """Every field that the document states, and its value."""
    return {_named(path): value for path, value in _walk("", agreement) if path not in _DERIVED}


def _named(path: str) -> str:
    for pattern, name in _NAMES:
        path = pattern.sub(name, path)
    return path


def _walk(path: str, value: object) -> Iterator[tuple[str, object]]:
    if path in _LISTS and isinstance(value, tuple):
        yield from _lines(path, value)
    elif isinstance(value, Mapping):
        for key in value:
            yield from _walk(f"{path}.{key}", value[key])
    elif is_dataclass(value) and not isinstance(value, type | Period):
        for field in fields(value):
            yield from _walk(f"{path}.{field.name}" if path else field.name, getattr(value, field.name))
    elif value is not None or path not in _SECTIONS:
        yield path, value


def _lines(path: str, lines: tuple[Line, ...]) -> Iterator[tuple[str, object]]:
    named: dict[str, Line] = {}
    for line in lines:
        key = _key(line)
        named[key if key not in named else f"{key}#{len(named)}"] = line
    yield f"{path}.order", tuple(named)
    for key, line in named.items():
        yield from _walk(f"{path}[{key}]", line)


def _key(line: Line) -> str:
    if isinstance(line, Rate):
        return f"{line.group}/{line.phase}"
    return line.role if isinstance(line, AccessLine) else line.id


def is_texts(value: object) -> TypeGuard[tuple[str, ...] | frozenset[str]]:
    """A list of texts whose order says nothing."""
    return isinstance(value, tuple | frozenset) and all(isinstance(item, str) for item in value)
