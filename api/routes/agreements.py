"""The works agreement: as it stands, judged before it is signed, put into force and changed by signed acts."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request

from api.agreement_check import check
from api.catalogue import choose
from api.deps import Parts, need
from api.dry_run import DryRun, legs_of_month, run_dry
from api.errors import Problem
from api.roles import Principal, Role
from api.schemas.agreements import (
    ActDraft,
    ActFiles,
    ActList,
    AgreementOut,
    CheckResult,
    Document,
    DryRunAsked,
    SignedAct,
    SignedRates,
)
from api.schemas.bodies import Done
from gateway.control.protocol import DraftAct, PostAct, SuspendRecording
from policy.acts import parse_act
from policy.agreement.load import AgreementRefused, load
from policy.errors import ActError, DryRunError
from policy.messages import say_fault, say_warning

router = APIRouter(tags=["agreement"])
Party = Literal["employer", "council"]
_ALONE = ThreadPoolExecutor(1, "dry-run")
"""One simulation at a time: acknowledgements of lights have to get through beside it."""


@router.get("/agreements/current")
async def current_agreement(
    parts: Parts, request: Request, who: Annotated[Principal, Depends(need("agreements:read"))]
) -> AgreementOut:
    """The agreement in force, with what a yes for each purpose says; of several the one about the agent who asks."""
    agreement, language = await parts.site.agreement(who.agent), _language(request)
    if agreement is None:
        raise Problem("no-agreement", 404, "no agreement is in force: nothing is recorded")
    warnings = [say_warning(one, language) for one in agreement.ends_soon]
    return AgreementOut.model_validate(asdict(agreement) | {"warnings": warnings})


@router.post("/agreements/check", dependencies=[Depends(need("agreements:read"))])
async def check_agreement(body: Document, request: Request, parts: Parts) -> CheckResult:
    """Judge a document alone, in the language of the request: anchors and signatures count when it is activated."""
    return CheckResult.model_validate(
        asdict(check(body.document.encode(), _language(request), parts.clock.wallclock()))
    )


@router.post("/agreements/dry-run")
async def dry_run_agreement(
    body: DryRunAsked, parts: Parts, request: Request, who: Annotated[Principal, Depends(need("agreements:read"))]
) -> DryRun:
    """What a document would come to: the effective rate of each rule, and where ceiling, caps and counts bind."""
    loop = asyncio.get_running_loop()
    try:
        agreement = await loop.run_in_executor(_ALONE, load, body.document.encode())
    except AgreementRefused as refused:
        why = say_fault(refused.faults[0], _language(request)).rstrip(".")
        raise Problem("agreement-refused", 422, f"{why}; `POST /v1/agreements/check` lists every fault") from None
    legs = body.legs
    if not legs and "statistics:read" in who.scopes:
        legs = legs_of_month(agreement, await parts.site.statistics(None), body.agents)
    try:
        return await loop.run_in_executor(_ALONE, run_dry, agreement, legs, body.agents, _language(request))
    except DryRunError as error:
        raise Problem("figures-unfit", 422, str(error)) from None


@router.get("/agreements", dependencies=[Depends(need("agreements:read"))])
async def acts_so_far(parts: Parts) -> ActList:
    """Every act ever, oldest first: who signed what, when it was taken, and the document where it carried one."""
    return ActList.model_validate({"acts": [asdict(one) for one in await parts.site.acts()]})


@router.get("/acts", dependencies=[Depends(need("acts:carry"))])
async def act_files(parts: Parts) -> ActFiles:
    """Every act as it was signed, oldest first, and the first anchors, for whoever folds the chain alone."""
    anchors = [asdict(one) for one in await parts.site.first_anchors()]
    return ActFiles.model_validate({"anchors": anchors, "acts": await parts.site.act_files()})


@router.post("/acts", status_code=201, dependencies=[Depends(need("acts:carry"))])
async def post_act(body: SignedAct, parts: Parts, request: Request) -> Done:
    """A signed act. Whoever carries it: the gateway verifies the parties' signatures."""
    language = _language(request)
    return Done(**await parts.control.request(PostAct(body.act, body.signatures, body.document, language)))


@router.post("/acts/draft", dependencies=[Depends(need("acts:carry"))])
async def draft_act(body: ActDraft, parts: Parts, request: Request) -> Done:
    """The bytes to sign for an act that would follow the last one."""
    return Done(**await parts.control.request(DraftAct(body.type, body.agreement, body.body, _language(request))))


@router.get("/agreements/{agreement}/rates/draft", dependencies=[Depends(need("acts:carry"))])
async def draft_rates(
    agreement: str, parts: Parts, request: Request, rates: Annotated[list[str], Query(max_length=64)]
) -> Done:
    """The bytes to sign for other percentages: `rates=sample/team-a/regular=2`, repeated."""
    pairs = [text.rpartition("=") for text in rates]
    body = {"rates": {rule: percent for rule, _, percent in pairs}, "resolution": None, "opinion_ref": None}
    return Done(**await parts.control.request(DraftAct("rates", agreement, body, _language(request))))


@router.put("/agreements/{agreement}/rates", dependencies=[Depends(need("acts:carry"))])
async def put_rates(agreement: str, body: SignedRates, parts: Parts, request: Request) -> Done:
    """Other percentages by a signed act: the council alone may lower, a raise takes both and waits for the epoch."""
    if _names(body.document) != ("rates", agreement):
        raise Problem("wrong-act", 422, "the document is not an act of type `rates` for this agreement")
    return Done(**await parts.control.request(PostAct(body.document, body.signatures, None, _language(request))))


@router.post("/agreements/{agreement}/suspend")
async def suspend(
    agreement: str, parts: Parts, request: Request, who: Annotated[Principal, Depends(need("agreements:suspend"))]
) -> Done:
    """Stops every recording within a second; calls go on. A party's session is enough, no key is needed."""
    party: Party = "council" if who.role is Role.COUNCIL else "employer"
    return Done(**await parts.control.request(SuspendRecording(agreement, party, _language(request))))


def _language(request: Request) -> str:
    return choose(None, request.headers.get("accept-language", ""))


def _names(act: str) -> tuple[str, str] | None:
    """Type and agreement that an act speaks of."""
    try:
        parsed = parse_act(act.encode())
    except ActError:
        return None
    return parsed.type.value, parsed.agreement
