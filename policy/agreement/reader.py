"""Reads typed fields out of the tree and notes every fault with its path and line, instead of stopping at the first.

A faulty or missing field yields a harmless stand-in, so that reading can go on; the stand-ins never leave `load`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from enum import StrEnum
from typing import Final, Self, TypeVar

from policy.agreement.faults import Fault, FaultCode, printable
from policy.agreement.tree import WHOLE, Kind, ListNode, MapNode, Node, ScalarNode, in_quotes, join
from policy.errors import PeriodError
from policy.percent import parse_percent
from policy.period import Period, parse_period

E = TypeVar("E", bound=StrEnum)

MAX_TEXT: Final = 2_000
TOKEN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
HEX_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
NO_DATE: Final = date(1970, 1, 1)
NO_INSTANT: Final = datetime(1970, 1, 1, tzinfo=UTC)
NO_PERIOD: Final = Period(0, 0, "")

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_LOCAL_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}", re.ASCII)

PERSON_FIELDS: Final = frozenset(
    {
        "age",
        "agent",
        "agent_id",
        "agents",
        "contract",
        "contract_type",
        "employee",
        "employee_id",
        "employees",
        "employment_type",
        "extension",
        "extensions",
        "login",
        "name",
        "names",
        "person",
        "persons",
        "rating",
        "score",
        "sick_days",
        "absence",
        "absences",
        "tenure",
        "user",
        "users",
    }
)
"""Names of fields that would select people instead of groups."""


@dataclass(slots=True)
class Report:
    """The faults so far, and the line of every field seen."""

    faults: list[Fault] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)

    def add(self, code: FaultCode, path: str, message: str, line: int | None = None) -> None:
        """Note a fault; without `line`, that of the field or of the nearest section around it."""
        self.faults.append(Fault(code, path, self.line_of(path) if line is None else line, printable(message)))

    def line_of(self, path: str) -> int:
        """The line of a field, or of the nearest section around it."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, 1)

    def clean(self, prefix: str) -> bool:
        """No fault at or under that path, nor at a section around it."""
        return not any(_covers(fault.field, prefix) or _covers(prefix, fault.field) for fault in self.faults)


def _covers(outer: str, inner: str) -> bool:
    return inner == outer or inner.startswith((outer + ".", outer + "["))


def _visible(text: str) -> bool:
    """No control or direction-changing characters: what people sign is what they see."""
    return all(char.isprintable() or char in "\n\u00a0\u202f" for char in text)


class Section:
    """One mapping of the document. Used as a context: on leaving it, fields that nobody read are refused."""

    def __init__(self, report: Report, path: str, node: MapNode | None, *, selector: bool = False) -> None:
        self._report = report
        self._node = node
        self._read: set[str] = set()
        self._selector = selector
        self.path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._node is None or kind is not None:
            return
        for name in self._node.entries:
            if name not in self._read:
                self._report.lines[join(self.path, name)] = self._node.lines[name]
                self._unknown(name)

    def _unknown(self, name: str) -> None:
        path = join(self.path, name)
        if self._selector and name.lower() in PERSON_FIELDS:
            self._report.add(FaultCode.PERSON_SELECTOR, path, "nothing may be selected by person; name a group")
        else:
            self._report.add(FaultCode.UNKNOWN_FIELD, path, "no such field here; nothing in it would be enforced")

    # -- sections and lists

    @property
    def absent(self) -> bool:
        """The section itself is missing (already noted, or optional)."""
        return self._node is None

    def names(self) -> list[str]:
        """The fields that the document gives here."""
        return list(self._node.entries) if self._node is not None else []

    def has(self, name: str) -> bool:
        """The document gives this field."""
        return self._node is not None and name in self._node.entries

    def refuse(self, code: FaultCode, name: str, message: str) -> None:
        """Note a fault of the field `name`."""
        self._report.add(code, join(self.path, name), message)

    def section(self, name: str, *, optional: bool = False, selector: bool | None = None) -> Section:
        """The mapping `name`; an absent section where it is missing or no mapping."""
        node = self._take(name, optional, FaultCode.MISSING_FIELD, "missing")
        if node is not None and not isinstance(node, MapNode):
            self._wrong_type(name, "a section of fields")
            node = None
        inherited = self._selector if selector is None else selector
        return Section(self._report, join(self.path, name), node, selector=inherited)

    def sections(self, name: str, *, optional: bool = False) -> Iterator[Section]:
        """The list of mappings `name`, each entered and left as a context."""
        for place, node in enumerate(self._items(name, optional)):
            path = f"{join(self.path, name)}[{place}]"
            self._report.lines[path] = node.line
            if not isinstance(node, MapNode):
                self._report.add(FaultCode.WRONG_TYPE, path, "must be a section of fields")
                continue
            with Section(self._report, path, node, selector=self._selector) as section:
                yield section

    def texts(
        self, name: str, pattern: re.Pattern[str] = TOKEN, *, optional: bool = False, least: int = 0
    ) -> tuple[str, ...]:
        """A list of texts without repeats."""
        found: list[str] = []
        for place, node in enumerate(self._items(name, optional)):
            path = f"{join(self.path, name)}[{place}]"
            self._report.lines[path] = node.line
            text = self._scalar(node, path, Kind.STRING)
            if text is None:
                continue
            if not pattern.fullmatch(text) or len(text) > MAX_TEXT or not _visible(text):
                self._report.add(FaultCode.WRONG_VALUE, path, "not an accepted name or text")
            elif text in found:
                self._report.add(FaultCode.WRONG_VALUE, path, f"`{text[:40]}` is listed twice")
            else:
                found.append(text)
        if not optional and self.has(name) and len(found) < least:
            self._report.add(FaultCode.WRONG_VALUE, join(self.path, name), f"needs at least {least}")
        return tuple(found)

    def choices(self, name: str, allowed: Iterable[str], *, least: int = 1) -> tuple[str, ...]:
        """A list of texts out of `allowed`."""
        known = tuple(allowed)
        found = self.texts(name, re.compile(r".{0,200}"), least=least)
        for text in found:
            if text not in known:
                self.refuse(FaultCode.WRONG_VALUE, name, f"`{text[:40]}` is not one of {', '.join(known)}")
        return tuple(text for text in found if text in known)

    # -- scalars

    def text(
        self,
        name: str,
        pattern: re.Pattern[str] | None = None,
        *,
        missing: FaultCode = FaultCode.MISSING_FIELD,
        why: str = "missing",
    ) -> str:
        """A non-empty text, matching `pattern`."""
        return self.optional_text(name, pattern, missing=missing, why=why) or ""

    def optional_text(
        self, name: str, pattern: re.Pattern[str] | None = None, *, missing: FaultCode | None = None, why: str = ""
    ) -> str | None:
        """As `text`; `None` where the field is absent, noted only if `missing` says how."""
        node = self._take(name, missing is None, missing or FaultCode.MISSING_FIELD, why)
        text = self._scalar(node, join(self.path, name), Kind.STRING) if node is not None else None
        if text is None:
            return None
        if not text.strip() and missing is not None:
            self.refuse(missing, name, "is empty")
        elif len(text) > MAX_TEXT:
            self.refuse(FaultCode.WRONG_VALUE, name, f"longer than {MAX_TEXT} characters")
        elif not _visible(text):
            self.refuse(FaultCode.WRONG_VALUE, name, "holds control characters")
        elif pattern is not None and not pattern.fullmatch(text):
            self.refuse(FaultCode.WRONG_VALUE, name, f"`{text[:40]}` doesn't have the form asked for")
        else:
            return text
        return None

    def choice(self, name: str, kind: type[E]) -> E:
        """One member of an enum."""
        members = list(kind)
        text = self.one_of(name, [member.value for member in members])
        return kind(text) if text else members[0]

    def one_of(self, name: str, allowed: Iterable[str], code: FaultCode = FaultCode.WRONG_VALUE) -> str:
        """One text out of `allowed`; anything else is refused with `code`."""
        known = tuple(allowed)
        missing = code if code is FaultCode.NOT_MANDATORY else FaultCode.MISSING_FIELD
        text = self.text(name, missing=missing, why=f"missing; must be {' or '.join(known)}")
        if text and text not in known:
            self.refuse(code, name, f"`{text[:40]}` is not accepted; must be {' or '.join(known)}")
            return ""
        return text

    def yes_no(self, name: str) -> bool:
        """`"yes"` or `"no"`, in quotes."""
        return self.one_of(name, ("yes", "no")) == "yes"

    def integer(
        self,
        name: str,
        least: int,
        most: int,
        *,
        missing: FaultCode = FaultCode.MISSING_FIELD,
        why: str = "missing",
    ) -> int:
        """A whole number within bounds."""
        node = self._take(name, False, missing, why)
        text = self._scalar(node, join(self.path, name), Kind.INTEGER) if node is not None else None
        if text is None:
            return least
        if not least <= int(text) <= most:
            self.refuse(FaultCode.WRONG_VALUE, name, f"{text} is not between {least} and {most}")
            return least
        return int(text)

    def ppm(self, name: str) -> int:
        """A percentage in quotes, with at most four decimals, as parts per million."""
        text = self.text(name)
        if not text:
            return 0
        ppm = parse_percent(text)
        if ppm is None:
            self.refuse(FaultCode.WRONG_VALUE, name, f'`{text[:40]}` is not a percentage such as "5" or "2.5"')
        return ppm or 0

    def period(self, name: str) -> Period:
        """A duration."""
        return self.optional_period(name, optional=False) or NO_PERIOD

    def optional_period(self, name: str, *, optional: bool = True) -> Period | None:
        """A duration, or `None` where absent or faulty."""
        text = self.optional_text(name) if optional else self.text(name)
        if not text:
            return None
        try:
            return parse_period(text)
        except PeriodError as error:
            self.refuse(FaultCode.WRONG_VALUE, name, str(error))
            return None

    def day(self, name: str) -> date:
        """A calendar day `YYYY-MM-DD`."""
        return self.optional_day(name, optional=False) or NO_DATE

    def optional_day(self, name: str, *, optional: bool = True) -> date | None:
        """A calendar day, or `None` where absent or faulty."""
        text = self.optional_text(name) if optional else self.text(name)
        if not text:
            return None
        try:
            if _DATE.fullmatch(text):
                return date.fromisoformat(text)
        except ValueError:  # the form is right, the calendar has no such day: told below
            pass
        self.refuse(FaultCode.WRONG_VALUE, name, f'`{text[:40]}` is not a day such as "2026-03-01"')
        return None

    def instant(self, name: str, zone: tzinfo, *, missing: FaultCode, why: str) -> datetime:
        """A local time `YYYY-MM-DDThh:mm:ss` that exists exactly once in `zone`, as UTC."""
        text = self.text(name, missing=missing, why=why)
        if not text:
            return NO_INSTANT
        try:
            local = datetime.fromisoformat(text) if _LOCAL_TIME.fullmatch(text) else None
            if local is not None and 1990 <= local.year <= 2200:
                return self._once(name, local, zone)
        except ValueError:  # as in `optional_day`
            pass
        self.refuse(FaultCode.WRONG_VALUE, name, f'`{text[:40]}` is not a time such as "2026-03-01T00:00:00"')
        return NO_INSTANT

    def _once(self, name: str, local: datetime, zone: tzinfo) -> datetime:
        first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if first != second:
            what = "happens twice" if first < second else "doesn't exist"
            self.refuse(FaultCode.WRONG_VALUE, name, f"this hour {what} when the clocks change; name another")
        return first

    # -- inside

    def _take(self, name: str, optional: bool, missing: FaultCode, why: str) -> Node | None:
        self._read.add(name)
        if self._node is None:
            return None
        path = join(self.path, name)
        node = self._node.entries.get(name)
        if node is None:
            if not optional:
                self._report.add(missing, path, why, self._node.line)
            return None
        self._report.lines[path] = self._node.lines[name]
        if isinstance(node, ScalarNode) and node.kind is Kind.NULL:
            self._report.add(FaultCode.MISSING_FIELD if optional else missing, path, "is empty")
            return None
        return node

    def _items(self, name: str, optional: bool) -> list[Node]:
        node = self._take(name, optional, FaultCode.MISSING_FIELD, "missing")
        if node is None:
            return []
        if not isinstance(node, ListNode):
            self._wrong_type(name, "a list")
            return []
        return node.items

    def _scalar(self, node: Node, path: str, wanted: Kind) -> str | None:
        if isinstance(node, ScalarNode) and node.kind is wanted:
            return node.text
        if isinstance(node, ScalarNode) and node.kind is Kind.BOOLEAN:
            self._report.add(FaultCode.BOOLEAN, path, in_quotes(node.text[:40]), node.line)
        elif isinstance(node, ScalarNode) and wanted is Kind.STRING and node.kind is not Kind.NULL:
            self._report.add(FaultCode.WRONG_TYPE, path, f'write it in quotes: "{node.text[:40]}"', node.line)
        else:
            self._report.add(FaultCode.WRONG_TYPE, path, f"must be {wanted.value}", node.line)
        return None

    def _wrong_type(self, name: str, wanted: str) -> None:
        self.refuse(FaultCode.WRONG_TYPE, name, f"must be {wanted}")


def root_section(tree: MapNode, report: Report) -> Section:
    """The document itself."""
    report.lines[WHOLE] = tree.line
    return Section(report, "", tree)


ZoneSource = Callable[[str], tzinfo]
"""Where time zones come from: a name in, the zone out; any error means that there is no such zone."""
