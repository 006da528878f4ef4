"""What a site keeps about a person, written into a folder: an agent's all, or the record that a caller's code finds.

Audio stays sealed: `fairtap listen` opens an agent's, `fairtap quorum` and `listen` a caller's record. What the site
answers is taken for what it is; `fairtap verify-recording` and `my-draws` check it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from api.agent_client import fetch_draws
from api.errors import CommandError
from api.evidence_fetch import checked_id, fetch_evidence, named_sides, new_folder
from api.evidence_files import MAX_BYTES, MAX_PAYLOAD
from api.site_client import ClientProblem, SiteClient, private_file

__all__ = ["export_agent", "export_record"]

ABOUT: Final = ("accesses", "releases")
"""What is told of each recording beside its files."""
GONE: Final = 404


async def export_agent(site: SiteClient, out: Path, progress: Callable[[int, int], None]) -> list[str]:
    """Everything about the agent who is signed in; the files, by their paths below `out`.

    `me.json`, `recordings.json` with who heard each, `entries.json` and `draws.json` of the log, and a folder for each
    recording that is kept, an evidence bundle; one that is erased meanwhile is left out. `progress` hears how many
    recordings are done, of how many. Raises CommandError, ClientProblem.
    """
    new_folder(out)
    recordings = await site.items("/recordings", "")
    written: list[str] = []
    kept: list[dict[str, Any]] = []
    for done, one in enumerate(recordings):
        progress(done, len(recordings))
        try:
            written += await _recording(site, one, out)
        except ClientProblem as problem:
            if problem.status != GONE:
                raise
        else:
            kept.append(one)
    for name, told in (
        ("me", await site.ask("GET", "/agents/me")),
        ("recordings", kept),
        ("entries", await site.items("/agents/me/entries", "0")),
        ("draws", await fetch_draws(site)),
    ):
        written.append(_write(out / f"{name}.json", told))
    return written


async def _recording(site: SiteClient, one: dict[str, Any], out: Path) -> list[str]:
    """What is kept of a recording, and into `one` what is told of it; raises ClientProblem, GONE once it is erased."""
    path = f"/recordings/{checked_id(one['id'])}"
    for about in ABOUT:
        one |= await site.ask("GET", f"{path}/{about}")
    if not any(side["state"] == "sealed" for side in one["sides"]):
        return []
    found = await fetch_evidence(site, one["id"], out / one["id"])
    return [f"{one['id']}/{name}" for name in found.files]


async def export_record(site: SiteClient, code: str, out: Path, together: bool) -> list[str]:
    """What there is of a caller's record as `record.json`; `together`: council's or officer's, its sealed files too."""
    record = await site.ask("POST", "/records", {"code": code})
    new_folder(out)
    written = [_write(out / "record.json", record)]
    for side, seg in _segments(record) if together else ():
        for suffix, limit in (("age", MAX_PAYLOAD), ("quorum", MAX_BYTES)):
            name = f"{record['recording']}-{side}-{seg}.{suffix}"
            if not await site.save(f"/recordings/{record['recording']}/sides/{side}/{seg}.{suffix}", out / name, limit):
                raise CommandError(f"the site has no `{name}`: it was erased meanwhile")
            written.append(name)
    return written


def _write(path: Path, told: Any) -> str:
    with private_file(path) as file:
        file.write(json.dumps(told, ensure_ascii=False, indent=2).encode() + b"\n")
    return path.name


def _segments(record: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """What is kept of a record, by side and segment."""
    checked_id(record["recording"])
    return named_sides([{"side": one["side"], "seg": seg} for one in record["sides"] for seg in one["segments"]])
