"""The works agreement: as it stands, judged before it is signed, and put into force by signed acts."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Depends

from api.agreement_check import check
from api.deps import Parts, need
from api.errors import Problem
from api.schemas import AgreementOut, CheckResult, Document, Done, SignedAct
from gateway.control.protocol import Activate

router = APIRouter(tags=["agreement"])


@router.get("/agreements/current", dependencies=[Depends(need("agreements:read"))])
async def current_agreement(parts: Parts) -> AgreementOut:
    """The agreement in force, with what a yes for each purpose says."""
    agreement = await parts.site.agreement()
    if agreement is None:
        raise Problem("no-agreement", 404, "no agreement is in force: nothing is recorded")
    return AgreementOut.model_validate(asdict(agreement))


@router.post("/agreements/check", dependencies=[Depends(need("agreements:read"))])
async def check_agreement(body: Document) -> CheckResult:
    """Judge a document alone: anchors and signatures count when it is activated."""
    return CheckResult.model_validate(asdict(check(body.document.encode())))


@router.post("/acts", status_code=201, dependencies=[Depends(need("acts:carry"))])
async def post_act(body: SignedAct, parts: Parts) -> Done:
    """A signed act. Whoever carries it: the gateway verifies the parties' signatures."""
    return Done(**await parts.control.request(Activate(body.document, body.act, body.signatures)))
