"""The RFC 4475 torture messages and their expected results, which live beside the checkout and not in it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Torture:
    name: str
    kind: str
    parser: str
    inline_proxy: frozenset[str]
    data: bytes


def vectors_folder() -> Path | None:
    root = os.environ.get("FAIRTAP_VECTORS") or str(Path(__file__).parents[3] / "shared" / "vectors")
    folder = Path(root) / "rfc4475"
    return folder if (folder / "expect.json").is_file() else None


def torture_messages() -> list:
    """One pytest parameter per message, or one that skips with its reason."""
    folder = vectors_folder()
    if folder is None:
        reason = "no RFC 4475 vectors: set FAIRTAP_VECTORS"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id="absent")]
    rows = json.loads((folder / "expect.json").read_text())
    made = [
        Torture(
            row["name"],
            row["kind"],
            row["parser"],
            frozenset(row["inline_proxy"].split("|")),
            (folder / row["file"]).read_bytes(),
        )
        for row in rows
    ]
    return [pytest.param(message, id=message.name) for message in made]
