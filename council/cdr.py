"""A telephone system's own call records (CSV) against the log: calls that the log lacks, legs that nobody telephoned.

Knows the columns of Asterisk, FreeSWITCH and Kamailio; a file with other columns names them in its first line. Legs are
known by the opening file that the gateway encrypts to the council; numbers and names in the records are never read.
"""

import csv
import io
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from council.errors import CdrError
from policy.epoch_rules import Span
from policy.opening import CallOpening

MAX_BYTES: Final = 256 * 1024 * 1024
MAX_ROWS: Final = 2_000_000
TOLERANCE: Final = timedelta(seconds=5)
"""Between the two clocks, where a row has no Call-ID."""

_ASTERISK: Final = """
    accountcode src dst dcontext clid channel dstchannel lastapp lastdata start answer end duration billsec
    disposition amaflags uniqueid userfield
"""
_FREESWITCH: Final = """
    caller_id_name caller_id_number destination_number context start_stamp answer_stamp end_stamp duration billsec
    hangup_cause uuid bleg_uuid accountcode read_codec write_codec sip_call_id
"""
_NAMES: Final = {
    "call_id": ("callid", "call_id", "sip_call_id", "call-id", "sip-call-id", "userfield"),
    "answer": ("answer", "answer_stamp", "answer_time", "call_start_time", "start_time", "time"),
    "seconds": ("billsec", "duration"),
    "outcome": ("disposition", "sip_code"),
}
_ANSWERED: Final = ("ANSWERED", "200", None)
"""None: the file doesn't say it, since it has answered calls only."""


@dataclass(frozen=True, slots=True)
class Row:
    """One answered call as the telephone system wrote it down."""

    line: int
    call_id: str | None = field(repr=False)
    answered: datetime
    seconds: int


@dataclass(slots=True)
class Leg:
    """One `call` entry whose opening fits it."""

    entry: int
    opening: CallOpening = field(repr=False)
    hit: bool = False
    origin: str = ""

    @property
    def start(self) -> datetime:
        """When the leg began, by the gateway's clock."""
        return datetime.fromisoformat(self.opening.start)

    @property
    def place(self) -> str:
        """As findings name it."""
        return f"{self.origin} entry {self.entry}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is on one side only; calls that no agent claimed are `x` entries in the log, so as many rows have no leg."""

    rows: int
    """Answered calls in the epochs that are compared."""
    matched: int
    without_entry: tuple[Row, ...]
    without_row: tuple[Leg, ...]
    pairs: tuple[tuple[Leg, Row], ...]
    uncovered: int
    """Legs before the first record or after the last one: the records don't tell of that time."""


def read(data: bytes, zone: tzinfo = UTC) -> list[Row]:
    """The answered calls of a file; times without an offset are `zone`'s. Raises CdrError, which names the line."""
    if len(data) > MAX_BYTES:
        raise CdrError(f"call records are longer than {MAX_BYTES} bytes")
    text = data.decode("utf-8-sig", errors="replace").replace("\x00", "")
    try:
        lines = [row for row in csv.reader(io.StringIO(text), strict=False) if row]
    except csv.Error:
        raise CdrError("call records aren't a csv file") from None
    if not lines:
        return []
    if len(lines) > MAX_ROWS:
        raise CdrError(f"more than {MAX_ROWS} call records")
    names, skip = _columns(lines[0])
    rows = (dict(zip(names, row, strict=False)) for row in lines[skip:])
    found = (_row(number, cells, zone) for number, cells in enumerate(rows, skip + 1))
    return [row for row in found if row is not None]


def _columns(first: Sequence[str]) -> tuple[list[str], int]:
    """Name of each column, and how many lines to skip."""
    given = [name.strip().strip('"').lower() for name in first]
    if any(name in given for name in _NAMES["answer"]):
        return given, 1
    if 16 <= len(first) <= 18 and first[14] in ("ANSWERED", "NO ANSWER", "BUSY", "FAILED", "CONGESTION"):
        names = _ASTERISK.split()
        if len(first) == 17 and not first[16].replace(".", "", 1).isdigit():
            names.remove("uniqueid")  # it and `userfield` are each optional; a unique id is two numbers and a point
        return names, 0
    if 13 <= len(first) <= 16:
        return _FREESWITCH.split(), 0
    raise CdrError("call records: name the columns in the first line, at least `callid` and `start_time`")


def _row(number: int, cells: Mapping[str, str], zone: tzinfo) -> Row | None:
    """An answered call; None for one that nobody answered."""
    told = {
        what: next((cells[name].strip() for name in names if name in cells), None) for what, names in _NAMES.items()
    }
    answer = told["answer"]
    if not answer or answer.startswith("0000") or told["outcome"] not in _ANSWERED:
        return None
    try:
        at = datetime.fromisoformat(answer)
        seconds = int(float(told["seconds"] or 0))
    except (ValueError, OverflowError):
        raise CdrError(f"call records, line {number}: the time or duration can't be read") from None
    aware = at if at.tzinfo is not None else at.replace(tzinfo=zone)
    return Row(number, told["call_id"] or None, aware, max(0, seconds))


def compare(rows: Sequence[Row], legs: Iterable[Leg], spans: Sequence[Span]) -> Comparison:
    """Pair each leg with a call: by Call-ID, and for rows that have none by the moment of the answer.

    `spans`: the epochs whose legs are all among `legs`; of other times nothing is said.
    """
    by_id: dict[str, list[Row]] = {}
    for row in rows:
        if row.call_id is not None:
            by_id.setdefault(row.call_id, []).append(row)
    nameless = sorted((row for row in rows if row.call_id is None), key=lambda row: row.answered)
    pairs: list[tuple[Leg, Row]] = []
    alone: list[Leg] = []
    used: set[int] = set()
    for leg in sorted(legs, key=lambda leg: leg.start):
        found = _nearest(by_id.get(leg.opening.call_id, ()), leg) or _free(nameless, used, leg)
        if found is None:
            alone.append(leg)
        else:
            used.add(found.line)
            pairs.append((leg, found))
    heard = {leg.opening.call_id for leg, _ in pairs}
    within = [row for row in rows if any(start + TOLERANCE <= row.answered < end - TOLERANCE for start, end in spans)]
    left = tuple(row for row in within if row.line not in used and row.call_id not in heard)
    told = (min(row.answered for row in rows), max(row.answered for row in rows)) if rows else None
    missed = tuple(leg for leg in alone if told and told[0] - TOLERANCE <= leg.start <= told[1] + TOLERANCE)
    return Comparison(len(within), len(within) - len(left), left, missed, tuple(pairs), len(alone) - len(missed))


def _nearest(rows: Sequence[Row], leg: Leg) -> Row | None:
    return min(rows, key=lambda row: abs(row.answered - leg.start), default=None)


def _free(rows: Sequence[Row], used: set[int], leg: Leg) -> Row | None:
    low = bisect_left(rows, leg.start - TOLERANCE, key=lambda row: row.answered)
    high = bisect_left(rows, leg.start + TOLERANCE, key=lambda row: row.answered)
    return _nearest([row for row in rows[low:high] if row.line not in used], leg)


def steering(pairs: Iterable[tuple[Leg, Row]]) -> dict[str, tuple[list[float], list[float]]]:
    """For hits and for the others: seconds of talk, second of the day. What a rank sum compares."""
    values: dict[str, tuple[list[float], list[float]]] = {"seconds": ([], []), "time_of_day": ([], [])}
    for leg, row in pairs:
        side = 0 if leg.hit else 1
        at = row.answered
        values["seconds"][side].append(float(row.seconds))
        values["time_of_day"][side].append(float(at.hour * 3600 + at.minute * 60 + at.second))
    return values


def repeated(legs: Sequence[Leg]) -> list[Leg]:
    """Legs that speak of the same call, start and reference as another one: written down twice."""
    seen = Counter((leg.opening.call, leg.opening.start) for leg in legs)
    return [leg for leg in legs if seen[leg.opening.call, leg.opening.start] > 1]
