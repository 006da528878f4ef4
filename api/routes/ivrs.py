"""IVRs that ask callers: registered by council or DPO, for what they bring stands as a caller's yes."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from api.deps import Parts, need
from api.repeats import keeps_secret
from api.schemas.machines import IvrCredential, NewIvr

router = APIRouter(prefix="/ivrs", tags=["calls"])


@router.post("", status_code=201, dependencies=[Depends(need("ivrs:register"))])
async def register(body: NewIvr, request: Request, parts: Parts) -> IvrCredential:
    """A credential for the IVR that the agreement names `ivr:NAME`, shown once; one made earlier for it ends."""
    keeps_secret(request.scope)
    return IvrCredential(name=body.name, token=await parts.accounts.register_ivr(body.name))
