"""Percentages as agreements and acts write them: `"5"`, `"2.5"`, at most four decimals; parts per million inside."""

from __future__ import annotations

import re
from typing import Final

PPM_PER_PERCENT: Final = 10_000
_PERCENT = re.compile(r"(100|[1-9]?[0-9])(?:\.([0-9]{1,4}))?", re.ASCII)


def parse_percent(text: str) -> int | None:
    """Parts per million, or `None` for anything but a percentage from 0 to 100."""
    match = _PERCENT.fullmatch(text)
    if match is None or (match[1] == "100" and int(match[2] or "0")):
        return None
    return int(match[1]) * PPM_PER_PERCENT + int((match[2] or "0").ljust(4, "0"))


def percent_text(ppm: int) -> str:
    """The shortest text that reads back as `ppm`."""
    whole, rest = divmod(ppm, PPM_PER_PERCENT)
    return f"{whole}.{rest:04}".rstrip("0") if rest else str(whole)
