"""The council's part in the draw: epochs and what they wait for, commitments, shares, cosignatures, rosters."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api.deps import Parts, need
from api.schemas import Cosignature, Done, EpochCommitment, EpochName, EpochShare
from gateway.control.protocol import CommitEpoch, CosignLog, EpochRoster, Epochs, ShareEpoch

router = APIRouter(tags=["council"])


@router.get("/epochs", dependencies=[Depends(need("epochs:read"))])
async def epochs(parts: Parts) -> Done:
    """The epochs that something still happens to, and those that can be committed to now (`state` is `none`)."""
    return Done(**await parts.control.request(Epochs()))


@router.get("/epochs/{epoch}/roster", dependencies=[Depends(need("epochs:read"))])
async def roster(epoch: EpochName, parts: Parts) -> Done:
    """Two lists of one epoch: names without pseudonyms, and the leaves behind the roster's root without names."""
    return Done(**await parts.control.request(EpochRoster(epoch)))


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
