"""The council's part in the draw: epochs and what they wait for, commitments, shares, cosignatures, lists."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.deps import Parts, need
from api.errors import Problem
from api.schemas.agreements import Cosignature, EpochCommitment, EpochShare, Inventory, SealedOpening, SealedOpenings
from api.schemas.bodies import Done, EpochName
from gateway.control.protocol import CommitEpoch, CosignLog, EpochRoster, Epochs, ShareEpoch

router = APIRouter(tags=["council"])
Cursor = Annotated[int, Query(ge=0, description="the index of an entry: it goes on behind it")]
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.get("/epochs", dependencies=[Depends(need("epochs:read"))])
async def epochs(parts: Parts) -> Done:
    """Epochs that something still happens to, those that can be committed to now (`state` is `none`), those just over.

    `inventory` says whether one can be fetched.
    """
    return Done(**await parts.control.request(Epochs()))


@router.get("/epochs/{epoch}/roster", dependencies=[Depends(need("epochs:read"))])
async def roster(epoch: EpochName, parts: Parts) -> Done:
    """Two lists of one epoch: names without pseudonyms, and the leaves behind the roster's root without names."""
    return Done(**await parts.control.request(EpochRoster(epoch)))


@router.get("/epochs/{epoch}/openings", dependencies=[Depends(need("openings:read"))])
async def openings(epoch: EpochName, parts: Parts, cursor: Cursor = 0, limit: Limit = 1000) -> SealedOpenings:
    """Which call each entry of a closed epoch stands for, sealed to the council: for its comparison with call records.

    Says nothing of what became of a call. Destroyed 14 days after the epoch's end; `next` is the cursor that goes on.
    """
    found = await parts.site.council_openings(epoch, cursor, limit + 1)
    if found is None:
        raise Problem("not-found", 404, "there is no such epoch, or it isn't closed yet")
    shown = [SealedOpening(entry=index, sealed=base64.b64encode(data).decode()) for index, data in found[:limit]]
    return SealedOpenings(items=shown, next=shown[-1].entry if len(found) > limit else None)


@router.get("/epochs/{epoch}/inventory", dependencies=[Depends(need("epochs:read"))])
async def inventory(epoch: EpochName, parts: Parts) -> Inventory:
    """The leaves behind the root in the epoch's `eclose`, in its random order: two for each hit and wish.

    Whoever holds the manifests of a recording's side can find it there; nobody else can tell what was kept.
    """
    found = await parts.site.inventory(epoch)
    if found is None:
        raise Problem("not-found", 404, "there is no such epoch, or it isn't closed yet")
    return Inventory(e=epoch, leaves=list(found))


@router.post("/epochs/{epoch}/commitment", status_code=201, dependencies=[Depends(need("epochs:act"))])
async def commit(epoch: EpochName, body: EpochCommitment, parts: Parts) -> Done:
    """The council's signed commitment to its share; there is one for each epoch."""
    return Done(**await parts.control.request(CommitEpoch(epoch, body.c, body.csig)))


@router.post("/epochs/{epoch}/share", status_code=201, dependencies=[Depends(need("epochs:act"))])
async def share(epoch: EpochName, body: EpochShare, parts: Parts) -> Done:
    """The share behind the commitment, once the council has cosigned a checkpoint that holds both commitments."""
    return Done(**await parts.control.request(ShareEpoch(epoch, body.share)))


@router.post("/log/cosignatures", status_code=201, dependencies=[Depends(need("epochs:act"))])
async def cosign(body: Cosignature, parts: Parts) -> Done:
    """A checkpoint of this site's log with the council's cosignature (`cosignature/v1`) under it."""
    return Done(**await parts.control.request(CosignLog(body.note)))
