"""The words of the pages: one JSON catalogue per language, the same keys in each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["LANGUAGES", "catalogue", "choose"]

LANGUAGES: Final = ("en", "de", "nb")
_FOLDER: Final = Path(__file__).parent / "web" / "locales"
_ALIASES: Final = {"no": "nb", "nn": "nb", "da": "nb"}


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """All texts of one of `LANGUAGES`."""
    texts: dict[str, str] = json.loads((_FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    return texts


def choose(wanted: str | None, accept: str) -> str:
    """The page's language: the one asked for, else the browser's first that there is, else English."""
    for tag in (wanted or "", *_by_weight(accept[:500])):
        primary = tag.strip().lower().partition("-")[0]
        primary = _ALIASES.get(primary, primary)
        if primary in LANGUAGES:
            return primary
    return LANGUAGES[0]


def _by_weight(accept: str) -> list[str]:
    weighted = []
    for place, part in enumerate(accept.split(",")):
        tag, _, parameter = part.partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            weight = float(value) if name == "q" else 1.0
        except ValueError:
            weight = 0.0
        if weight > 0:
            weighted.append((-weight, place, tag))
    return [tag for _, _, tag in sorted(weighted)]
