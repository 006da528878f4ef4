"""What callers are asked: every question with its words, to be read and heard before anybody agrees on it."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.responses import Response

from api.deps import Parts, need
from api.schemas.announcements import AnnouncementsOut
from gateway.control.protocol import FetchAnnouncement, ListAnnouncements

router = APIRouter(prefix="/announcements", tags=["agreement"], dependencies=[Depends(need("agreements:read"))])
SoundId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


@router.get("")
async def announcements(parts: Parts) -> AnnouncementsOut:
    """Shipped ones and the house's own; those that an agreement in force names are marked."""
    return AnnouncementsOut.model_validate(await parts.control.request(ListAnnouncements()))


@router.get("/{sound}/audio", response_class=Response)
async def audio(sound: SoundId, parts: Parts) -> Response:
    """The very file whose SHA-256 an agreement names."""
    told = await parts.control.request(FetchAnnouncement(sound))
    return Response(
        base64.b64decode(told["wav"]), media_type="audio/wav", headers={"Cache-Control": "private, no-cache"}
    )
