"""An evidence bundle as a folder: what each file name means, read within limits, nothing judged yet.

`[ID-]SIDE-SEG.age` (or `.header` and `.payload`), `.manifest.json`, `.manifest.sig`, `.opening`; `allowed_signers`;
for each leg's end in the log `X.out` (opening), `X.entry` (leaf), `X.tlog-proof`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from api.errors import CommandError
from storage.named_file import read_named, why_not

__all__ = ["SIGNERS", "Bundle", "read_bundle"]

SIGNERS: Final = "allowed_signers"
MAX_FILES: Final = 10_000
MAX_PAYLOAD: Final = 4 << 30
MAX_BYTES: Final = 1 << 20
_SEGMENT: Final = re.compile(
    r"((?:[0-9a-f]{32}-)?(?:agent|caller)-[1-9][0-9]{0,3})"
    r"\.(age|header|payload|manifest\.json|manifest\.sig|opening)",
    re.ASCII,
)
_LEG: Final = re.compile(r"([A-Za-z0-9_-]{1,128})\.(out|entry|tlog-proof)", re.ASCII)


@dataclass(slots=True)
class Bundle:
    """Files by what they belong to: `{stem: {suffix: bytes}}`."""

    segments: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """The stem is `agent-1` or `ID-agent-1`; header and payload stand as one `age`."""
    legs: dict[str, dict[str, bytes]] = field(default_factory=dict)
    signers: bytes | None = None
    unread: list[str] = field(default_factory=list)
    """Names of files that couldn't be read, or are larger than any of their kind."""


def read_bundle(folder: Path) -> Bundle:
    """Everything in the folder that belongs to a bundle; raises `CommandError` where there is no recording in it."""
    bundle = Bundle()
    for path in _listed(folder):
        segment, leg = _SEGMENT.fullmatch(path.name), _LEG.fullmatch(path.name)
        match = segment or leg
        if match is None and path.name != SIGNERS:
            continue
        limit = MAX_PAYLOAD if match is not None and match[2] in ("age", "payload") else MAX_BYTES
        data = _read(path, limit)
        if data is None:
            bundle.unread.append(path.name)
        elif match is None:
            bundle.signers = data
        else:
            (bundle.segments if segment else bundle.legs).setdefault(match[1], {})[match[2]] = data
    if not bundle.segments:
        raise CommandError(f"`{folder}` holds no recording: no *.age and no *.manifest.json file", 2)
    bundle.segments = {stem: _joined(files) for stem, files in bundle.segments.items()}
    return bundle


def _joined(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """With header and payload in one, where they came apart and both are there."""
    rest = {kind: data for kind, data in files.items() if kind not in ("header", "payload")}
    if "age" not in rest and {"header", "payload"} <= files.keys():
        rest["age"] = files["header"] + files["payload"]
    return rest


def _listed(folder: Path) -> list[Path]:
    try:
        found = sorted(folder.iterdir())
    except NotADirectoryError:
        raise CommandError(f"`{folder}` is no folder: name the one that `fairtap evidence` wrote", 2) from None
    except OSError as error:
        raise CommandError(why_not(folder, error), 2) from None
    if len(found) > MAX_FILES:
        raise CommandError(f"`{folder}` holds over {MAX_FILES} files: name the folder of one recording", 2)
    return found


def _read(path: Path, limit: int) -> bytes | None:
    try:
        return read_named(path, limit)
    except OSError:
        return None
