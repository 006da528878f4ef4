"""The file as a tree of mappings, lists and scalars with their lines: what `yaml_tree` and `json_tree` build.

Knows nothing about agreements; scalars are typed by the narrow rules of `scalar_kind`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from policy.agreement.faults import AgreementRefused, Fault, FaultCode, printable

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 12
MAX_NODES: Final = 8_000
WHOLE: Final = "document"
"""The field that faults of the file as a whole name."""

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})", re.ASCII)
_NUMBER_LIKE = re.compile(r"[-+]?\.?[0-9][0-9_.]*(?:[eE][-+]?[0-9]+)?|0[xob][0-9a-fA-F_]+|[-+]?\.(?:inf|nan)", re.I)
_BOOLEANS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n"})
_NULLS = frozenset({"", "~", "null"})


class Kind(Enum):
    """What a scalar is. `BOOLEAN` and `NUMBER` (a float, or a number only some readers see) are never accepted."""

    STRING = "a text"
    INTEGER = "a whole number"
    BOOLEAN = "a boolean"
    NUMBER = "a number"
    NULL = "empty"


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A leaf."""

    text: str
    kind: Kind
    line: int

    def plain(self) -> str | int:
        """The value for the canonical JSON."""
        return int(self.text) if self.kind is Kind.INTEGER else self.text


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list."""

    items: list[Node]
    line: int

    def plain(self) -> list[object]:
        """The value for the canonical JSON."""
        return [item.plain() for item in self.items]


@dataclass(frozen=True, slots=True)
class MapNode:
    """A mapping; `lines` holds the line of each key."""

    entries: dict[str, Node]
    lines: dict[str, int]
    line: int

    def plain(self) -> dict[str, object]:
        """The value for the canonical JSON."""
        return {key: node.plain() for key, node in self.entries.items()}


Node = ScalarNode | ListNode | MapNode


def scalar_kind(text: str, *, quoted: bool) -> Kind:
    """Quoted scalars are texts. Unquoted ones that any YAML reader could take for something else are told apart."""
    if quoted:
        return Kind.STRING
    if text.lower() in _NULLS:
        return Kind.NULL
    if text.lower() in _BOOLEANS:
        return Kind.BOOLEAN
    if _INTEGER.fullmatch(text):
        return Kind.INTEGER
    return Kind.NUMBER if _NUMBER_LIKE.fullmatch(text) else Kind.STRING


def refused(code: FaultCode, line: int, message: str, field: str = WHOLE) -> AgreementRefused:
    """The one fault of a file that can't be read further."""
    return AgreementRefused([Fault(code, field, line, printable(message))])


def join(path: str, name: str) -> str:
    """The path of the field `name` in the section at `path`; a long or strange name is cut and made printable."""
    shown = printable(name[:64])
    return f"{path}.{shown}" if path and path != WHOLE else shown


def in_quotes(text: str) -> str:
    """What to tell the author of an unquoted boolean."""
    return f'reads as true or false; write it in quotes: "{text}"'
