"""Fetches a recording's sides to be heard: an agent's own, or what was released to a coach. Nothing is written."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from api.errors import CommandError
from api.evidence_fetch import checked_id, named_sides
from api.evidence_files import MAX_PAYLOAD
from api.listen import SideFile
from api.site_client import SiteClient

__all__ = ["fetch_sides"]

MAX_SIDES: Final = 2 * 200


async def fetch_sides(site: SiteClient, recording: str) -> list[SideFile]:
    """Every side of a recording that whoever is signed in may fetch. Raises as `fetch_evidence` does."""
    told = await site.ask("GET", f"/recordings/{checked_id(recording)}")
    kept = [one for one in told["sides"] if one.get("state", "sealed") == "sealed"][:MAX_SIDES]
    files = []
    for one, (side, seg) in zip(kept, named_sides(kept), strict=True):
        data, started = await site.fetch(recording, side, seg), one.get("started")
        if len(data) > MAX_PAYLOAD:
            raise CommandError("the site's answer is larger than any such file")
        files.append(SideFile(side, seg, data, started=None if started is None else datetime.fromisoformat(started)))
    return files
