"""The site's log as C2SP tlog-tiles: checkpoints, hash tiles, entry bundles.

Checkpoints and hashes are for council, data-protection officer and agents, who check that the log only grows; the
entries themselves for the first two. An agent's own entries come with their proofs elsewhere.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.responses import Response

from api.deps import Parts, need
from api.errors import Problem
from api.roles import Principal
from api.schemas.draws import LogListOut
from crypto.errors import TileError
from crypto.tlog_tiles import Tile

router = APIRouter(prefix="/log", tags=["log"])
_LOG = "/{site}/fairtap/{block}"
Checker = Annotated[Principal, Depends(need("log:check"))]
SiteName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Block = Annotated[str, Path(pattern=r"^[0-9]{4}-(01|14|27|40)(-r[1-9][0-9]{0,2})?$", description="year and first week")]
FRESH = {"Cache-Control": "private, no-cache"}
FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}


@router.get("")
async def logs(_: Checker, parts: Parts) -> LogListOut:
    """Which logs the site has, and the key that it says it signs them with; whoever checks knows the key already."""
    found = await parts.site.logs()
    return LogListOut(gateway=found.gateway, logs=list(found.origins))


@router.get(f"{_LOG}/checkpoint", response_class=Response)
async def checkpoint(site: SiteName, block: Block, _: Checker, parts: Parts) -> Response:
    """The newest signed checkpoint of one log."""
    data = await parts.site.log_checkpoint(_origin(site, block))
    if data is None:
        raise Problem("not-found", 404, "there is no such log, or nothing of it is published yet")
    return Response(data, media_type="text/plain; charset=utf-8", headers=FRESH)


@router.get(_LOG + "/tile/{path:path}", response_class=Response)
async def tile(site: SiteName, block: Block, path: str, who: Checker, parts: Parts) -> Response:
    """One tile of hashes, `0/000` or `1/000.p/7`, or one bundle of entries, `entries/x001/234`."""
    try:
        wanted = Tile.parse(f"tile/{path}")
    except TileError as error:
        raise Problem("not-found", 404, str(error)) from None
    if wanted.level is None and "log:read" not in who.scopes:
        raise Problem("not-permitted", 403, "entries are for the council and the data-protection officer")
    data = await parts.site.log_tile(_origin(site, block), wanted)
    if data is None:
        raise Problem("not-found", 404, "there is no such tile; its full one may stand")
    return Response(data, media_type="application/octet-stream", headers=FOR_EVER)


def _origin(site: str, block: str) -> str:
    return f"{site}/fairtap/{block}"
