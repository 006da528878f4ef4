"""What a caller finds by record code, without signing in: what there is, and the erasure of their own side.

A code that never was, one that is gone and text that is no code get the same answer after the same work. Codes are in
no log; where a proxy logs paths, POST keeps them out of it.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from api.deps import Parts, client_address
from api.errors import Problem
from api.repeats import keeps_secret
from api.schemas.recordings import RecordAsked, RecordFound, SideErased
from gateway.control.protocol import EraseByCode, FindRecord
from policy.record_code import parse_code

router = APIRouter(prefix="/records", tags=["records"])
TOO_MANY = "too many tries; wait a full minute."
"""As long an answer as that for an unknown code."""


async def counted(request: Request, parts: Parts) -> None:
    """Each try counts, for its sender and for all together, before anything is looked up."""
    keeps_secret(request.scope)
    try:
        await parts.rates.spend("record", _source(client_address(request)))
        await parts.rates.spend("records", "")
    except Problem:
        raise Problem("too-many-requests", 429, TOO_MANY, {"Retry-After": "60"}) from None


Counted = Annotated[None, Depends(counted)]


@router.get("/{code:path}")
async def by_path(code: str, parts: Parts, _: Counted) -> RecordFound:
    """What there is of the record with this code."""
    return await _found(code, parts)


@router.post("")
async def by_body(body: RecordAsked, parts: Parts, _: Counted) -> RecordFound:
    """The same, with the code where no proxy logs it."""
    return await _found(body.code, parts)


@router.post("/erasure", status_code=202)
async def erase(body: RecordAsked, parts: Parts, _: Counted) -> SideErased:
    """The caller wants the caller's side gone: it is after a day, unless a hold stood earlier."""
    return SideErased(**await parts.control.request(EraseByCode(_digits(body.code))))


async def _found(code: str, parts: Parts) -> RecordFound:
    return RecordFound.model_validate(await parts.control.request(FindRecord(_digits(code))))


def _digits(text: str) -> str:
    """What can't be a code is asked for all the same, as one that never was."""
    return parse_code(text) or ""


def _source(address: str) -> str:
    """One sender: an IPv4 address, or the network that one IPv6 customer has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)
