"""Which log an epoch belongs to: one log per site and block of 13 ISO weeks (crypto.md §3), so none grows for ever.

Blocks begin in ISO weeks 1, 14, 27 and 40; a week 53 belongs to the fourth, which then has 14. Epochs are days or ISO
weeks (minutes only in a demo), so that none spans two logs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final, Self

from policy.errors import LogEntryError

FIRST_WEEKS: Final = (1, 14, 27, 40)
MAX_RESTORES: Final = 999
_SITE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_ORIGIN: Final = re.compile(r"([a-z0-9-]{1,63})/fairtap/([0-9]{4})-(01|14|27|40)(?:-r([1-9][0-9]{0,2}))?", re.ASCII)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_WEEK: Final = re.compile(r"([0-9]{4})-W([0-9]{2})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class LogBlock:
    """One log of a site; prints as its origin; in the order of time. Raises LogEntryError for one no calendar has."""

    site: str
    year: int
    """ISO year."""
    first_week: int
    restores: int = 0
    """How often this block's log was begun anew because an older state of the site was restored."""

    def __post_init__(self) -> None:
        fits = _SITE.fullmatch(self.site) and 1 <= self.year <= 9998 and 0 <= self.restores <= MAX_RESTORES
        if not fits or self.first_week not in FIRST_WEEKS:
            raise LogEntryError("not a log of a site and 13 weeks")

    @classmethod
    def of_day(cls, site: str, day: date, restores: int = 0) -> Self:
        """The block that holds a local day."""
        year, week, _ = day.isocalendar()
        return cls(site, year, max(first for first in FIRST_WEEKS if first <= week), restores)

    @classmethod
    def of_epoch(cls, site: str, epoch: str, restores: int = 0) -> Self:
        """The block of an epoch, by its name (`draw_rules.Epoch`). Raises LogEntryError."""
        return cls.of_day(site, first_day(epoch), restores)

    @classmethod
    def parse(cls, origin: str) -> Self:
        """Read an origin. Raises LogEntryError."""
        match = _ORIGIN.fullmatch(origin)
        if match is None:
            raise LogEntryError("not an origin of the form `<site>/fairtap/<iso year>-<first week>`")
        return cls(match[1], int(match[2]), int(match[3]), int(match[4] or 0))

    def follows(self, other: LogBlock) -> bool:
        """Whether it was begun in the other's place, because an older state of the site was restored."""
        return replace(self, restores=other.restores) == other and self.restores > other.restores

    @property
    def days(self) -> tuple[date, date]:
        """The first day, a Monday, and the first day after the block."""
        after = FIRST_WEEKS.index(self.first_week) + 1
        next_first = (self.year, FIRST_WEEKS[after]) if after < len(FIRST_WEEKS) else (self.year + 1, 1)
        return date.fromisocalendar(self.year, self.first_week, 1), date.fromisocalendar(*next_first, 1)

    def __str__(self) -> str:
        restored = f"-r{self.restores}" if self.restores else ""
        return f"{self.site}/fairtap/{self.year:04}-{self.first_week:02}{restored}"


def is_origin(text: str) -> bool:
    """Whether this is the origin of a site's log, printed as it must be."""
    try:
        return str(LogBlock.parse(text)) == text
    except LogEntryError:
        return False


def in_its_block(origin: str, epoch: str) -> bool:
    """Whether an epoch belongs into the log of this origin; never into what is no log of a site."""
    try:
        block = LogBlock.parse(origin)
        return LogBlock.of_epoch(block.site, epoch, block.restores) == block
    except LogEntryError:
        return False


def ends_block(origin: str, epoch: str) -> bool:
    """Whether an epoch of this log, a day or a week, is the last of the log's block."""
    if "T" in epoch or not in_its_block(origin, epoch):
        return False
    return first_day(epoch) + timedelta(days=7 if "W" in epoch else 1) == LogBlock.parse(origin).days[1]


def first_day(epoch: str) -> date:
    """The day on which an epoch begins, as its name says. Raises LogEntryError."""
    week = _WEEK.fullmatch(epoch)
    try:
        if week is not None:
            return date.fromisocalendar(int(week[1]), int(week[2]), 1)
        if _DAY.fullmatch(epoch[:10]) and (len(epoch) == 10 or epoch[10] == "T"):
            return date.fromisoformat(epoch[:10])
    except ValueError:
        pass
    raise LogEntryError("not an epoch's name")
