"""The pages, rendered here and brought to life by one bundled module; strict content policy, nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.catalogue import LANGUAGES, catalogue, choose
from api.deps import Parts, optional_principal
from api.errors import Problem
from api.reads import MonthStatistics
from api.roles import COACHES, Principal, Role
from api.routes.council import MONTH, parse_month
from api.schemas.announcements import AnnouncementsOut
from gateway.control.protocol import ListAnnouncements
from policy.messages import say_warning
from policy.month import Month, newest_told

router = APIRouter(include_in_schema=False)
Visitor = Annotated[Principal | None, Depends(optional_principal)]
Language = Annotated[str | None, Query(alias="lang", max_length=16)]
_WEB = Path(__file__).parent.parent / "web"
_TEMPLATES = Environment(
    loader=FileSystemLoader(_WEB / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_HOME = {Role.AGENT: "/agent", Role.ENROLLING: "/agent", Role.COUNCIL: "/council", Role.DPO: "/dpo"}
_HOME |= {Role.COACH: "/coach", Role.COACH_ENROLLING: "/coach"}
_LANGUAGE_COOKIE = "fairtap_lang"


@router.get("/")
async def sign_in_page(request: Request, who: Visitor, parts: Parts, lang: Language = None) -> Response:
    """Sign in, or go where one's role is at home."""
    if who is not None and who.role in _HOME:
        return RedirectResponse(_HOME[who.role], 303)
    return await _page("sign_in.html", request, parts, lang)


@router.get("/agent")
async def agent_page(request: Request, who: Visitor, parts: Parts, lang: Language = None) -> Response:
    """The agent's light, recordings, consents; before that, enrolment."""
    if who is None or who.role not in (Role.AGENT, Role.ENROLLING):
        return RedirectResponse("/", 303)
    if who.role is Role.AGENT:
        return await _page("agent.html", request, parts, lang)
    return await _page("enrol.html", request, parts, lang, room="/agents/me", home="/agent")


@router.get("/coach")
async def coach_page(request: Request, who: Visitor, parts: Parts, lang: Language = None) -> Response:
    """What was released to the coach; before that, enrolment."""
    if who is None or who.role not in COACHES:
        return RedirectResponse("/", 303)
    if who.role is Role.COACH:
        return await _page("coach.html", request, parts, lang)
    return await _page("enrol.html", request, parts, lang, room="/coaches/me", home="/coach")


@router.get("/council")
@router.get("/dpo")
async def codes_page(
    request: Request,
    who: Visitor,
    parts: Parts,
    lang: Language = None,
    month: Annotated[str | None, Query(pattern=MONTH)] = None,
) -> Response:
    """Council's and DPO's room: enrolment codes for agents, the figures of a month."""
    if who is None or who.role not in (Role.COUNCIL, Role.DPO):
        return RedirectResponse("/", 303)
    asked = parse_month(month) or newest_told(parts.clock.wallclock())
    more = {"told": await _told(parts, asked), "announced": await _announced(parts), "warnings": await _warnings(parts)}
    return await _page("codes.html", request, parts, lang, month=asked, **more)


@router.get("/record")
async def record_page(request: Request, parts: Parts, lang: Language = None) -> Response:
    """A caller's own record, by its code; no sign-in."""
    return await _page("record.html", request, parts, lang)


async def _warnings(parts: Parts) -> dict[str, list[str]]:
    """What ends soon, by language."""
    try:
        agreement = await parts.site.agreement()
    except Problem:
        agreement = None
    ends = agreement.ends_soon if agreement is not None else ()
    return {language: [say_warning(one, language) for one in ends] for language in LANGUAGES}


async def _told(parts: Parts, month: Month) -> MonthStatistics | None:
    try:
        return await parts.site.statistics(month)
    except Problem:
        return None


async def _announced(parts: Parts) -> AnnouncementsOut | None:
    try:
        return AnnouncementsOut.model_validate(await parts.control.request(ListAnnouncements()))
    except Problem:
        return None


async def _page(template: str, request: Request, parts: Parts, lang: str | None, **more: Any) -> Response:
    wanted = lang or request.cookies.get(_LANGUAGE_COOKIE)
    language = choose(wanted, request.headers.get("accept-language", ""))
    texts = catalogue(language)
    html = _TEMPLATES.get_template(template).render(
        t=texts, language=language, languages=LANGUAGES, site=parts.config.site.name,
        demo=await _is_demo(parts), path=request.url.path, **more,
    )  # fmt: skip
    response = HTMLResponse(html)
    if lang is not None:
        response.set_cookie(_LANGUAGE_COOKIE, language, max_age=31536000, samesite="lax", secure=parts.secure)
    return response


async def _is_demo(parts: Parts) -> bool:
    try:
        agreement = await parts.site.agreement()
    except Problem:
        return False  # the site's data isn't there yet: the page still opens, and says unknown
    return agreement is not None and agreement.demo
