"""Recordings as cipher text only: the API holds no key that opens one.

An agent fetches their own. A coach fetches what the agent released to them, council and officer what they open
together; each such fetch stands in the recording's accesses before it is answered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response, StreamingResponse

from api.deps import Parts, need
from api.errors import Problem
from api.reads import ObjectKind, RecordingRow
from api.roles import Principal, Role
from api.schemas.bodies import Done, HexId, PurposeName, Side
from api.schemas.recordings import AccessList, Hold, RecordingOut, RecordingPage, SideErased
from api.schemas.releases import NewRelease, ReleasedOut, ReleasedPage, ReleaseList, ReleaseMade
from gateway.control.protocol import (
    EraseOwnSide,
    FetchReleased,
    FetchTogether,
    HoldRecording,
    LiftHold,
    RecordingAccesses,
    RecordingReleases,
    ReleasedSide,
    ReleasedTo,
    ReleaseRecording,
    RevokeRelease,
    Signed,
)

router = APIRouter(prefix="/recordings", tags=["recordings"])
Reader = Annotated[Principal, Depends(need("recordings:read"))]
Listener = Annotated[Principal, Depends(need("recordings:read", "released:read"))]
Fetcher = Annotated[Principal, Depends(need("recordings:read", "released:read", "quorum:read"))]
Releaser = Annotated[Principal, Depends(need("recordings:release"))]
Together = Annotated[Principal, Depends(need("quorum:read"))]
Holder = Annotated[Principal, Depends(need("recordings:hold"))]
Segment = Annotated[int, Path(ge=1, le=9999)]


@router.get("")
async def list_recordings(
    who: Listener,
    parts: Parts,
    cursor: Annotated[str, Query(pattern=r"^([0-9a-f]{32})?$")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> RecordingPage | ReleasedPage:
    """The agent's own recordings, newest first; for a coach, what is released to them now, and nothing else."""
    if who.coach is not None:
        return ReleasedPage(items=await _released(who.coach, parts))
    rows = await parts.site.recordings(who.agent or "", cursor, limit + 1)
    items = [_out(row) for row in rows[:limit]]
    return RecordingPage(items=items, next=items[-1].id if len(rows) > limit else None)


@router.get("/{recording}")
async def one_recording(recording: HexId, who: Listener, parts: Parts) -> RecordingOut | ReleasedOut:
    """One of the agent's own recordings, or one that is released to the coach."""
    if who.coach is not None:
        found = [one for one in await _released(who.coach, parts) if one.id == recording]
        if not found:
            raise Problem("not-released", 403, "nothing of this recording is released to you now")
        return found[0]
    return _out(await _own(recording, who, parts))


@router.get("/{recording}/sides/{side}/{seg}.age", response_class=Response)
async def age_file(
    recording: HexId, side: Side, seg: Segment, who: Fetcher, parts: Parts, purpose: PurposeName | None = None
) -> Response:
    """Header and payload in one: an age file that only its recipient opens, or council and officer with its quorum.

    A coach may say what for: a release for another `purpose` is none.
    """
    if who.coach is not None:
        asked = FetchReleased(who.coach, recording, side, seg, purpose)
        release = (await parts.control.request(asked))["release"]
        pieces = await parts.site.fetch_released(release, recording, side, seg)
        return _stream(pieces, recording, side, seg, "age")
    if who.agent is None:
        return await _together(recording, side, seg, "age", who, parts)
    return await _object(recording, side, seg, "age", who, parts)


@router.get("/{recording}/sides/{side}/{seg}.quorum", response_class=Response)
async def quorum_object(recording: HexId, side: Side, seg: Segment, who: Together, parts: Parts) -> Response:
    """The file key, for the council to open first and the data-protection officer then; neither can alone."""
    return await _together(recording, side, seg, "quorum", who, parts)


@router.delete("/{recording}/sides/{side}", status_code=202)
async def erase_side(recording: HexId, side: Side, who: Reader, parts: Parts) -> SideErased:
    """The agent takes their own side back: it is erased after a day, unless a hold stood earlier."""
    if side != "agent":
        raise Problem("not-your-side", 403, "each erases their own side only; the other one is the caller's")
    return SideErased.model_validate(await parts.control.request(EraseOwnSide(who.agent or "", recording)))


@router.get("/{recording}/accesses")
async def accesses(recording: HexId, who: Reader, parts: Parts) -> AccessList:
    """Who but the agent fetched something of it."""
    asked = RecordingAccesses(who.agent or "", recording)
    return AccessList.model_validate(await parts.control.request(asked))


@router.post("/{recording}/releases", status_code=201)
async def release(recording: HexId, body: NewRelease, who: Releaser, parts: Parts) -> ReleaseMade:
    """The agent lets one coach hear it: signed by the agent's key, its headers made by the agent's client."""
    sides = tuple(
        ReleasedSide(Signed(one.statement.document, one.statement.signature), one.header) for one in body.sides
    )
    asked = ReleaseRecording(who.agent or "", recording, sides)
    return ReleaseMade.model_validate(await parts.control.request(asked))


@router.get("/{recording}/releases")
async def releases(recording: HexId, who: Releaser, parts: Parts) -> ReleaseList:
    """To whom the agent released it, until when."""
    asked = RecordingReleases(who.agent or "", recording)
    return ReleaseList.model_validate(await parts.control.request(asked))


@router.delete("/{recording}/releases/{release}", status_code=204)
async def revoke(recording: HexId, release: HexId, who: Releaser, parts: Parts) -> None:
    """The agent takes it back, without any key: refused from now on."""
    await parts.control.request(RevokeRelease(who.agent or "", recording, release))


@router.post("/{recording}/hold")
async def hold(recording: HexId, body: Hold, who: Holder, parts: Parts) -> Done:
    """Nothing of it is erased until then: an agent for their own defence, the officer for a case. Nobody may listen."""
    asked = HoldRecording(_holder(who), who.agent, recording, body.reason, body.until)
    return Done(**await parts.control.request(asked))


@router.delete("/{recording}/hold", status_code=204)
async def lift_hold(recording: HexId, who: Holder, parts: Parts) -> None:
    """End one's own hold."""
    await parts.control.request(LiftHold(_holder(who), who.agent, recording))


@router.get("/{recording}/sides/{side}/{seg}.manifest.json", response_class=Response)
async def manifest(recording: HexId, side: Side, seg: Segment, who: Reader, parts: Parts) -> Response:
    """The signed public part of what was recorded."""
    return await _object(recording, side, seg, "manifest", who, parts)


@router.get("/{recording}/sides/{side}/{seg}.manifest.sig", response_class=Response)
async def manifest_signature(recording: HexId, side: Side, seg: Segment, who: Reader, parts: Parts) -> Response:
    """The gateway's SSHSIG over the manifest, namespace `fairtap-recording@v1`."""
    return await _object(recording, side, seg, "signature", who, parts)


@router.get("/{recording}/sides/{side}/{seg}.opening", response_class=Response)
async def opening(recording: HexId, side: Side, seg: Segment, who: Reader, parts: Parts) -> Response:
    """What the manifest commits to, encrypted to the agent: when, why, under what, with which gaps."""
    return await _object(recording, side, seg, "opening", who, parts)


_MEDIA = {
    "age": "application/octet-stream",
    "opening": "application/octet-stream",
    "quorum": "application/octet-stream",
    "manifest": "application/json",
    "signature": "text/plain",
}
_SUFFIX = {
    "age": "age",
    "opening": "opening",
    "quorum": "quorum",
    "manifest": "manifest.json",
    "signature": "manifest.sig",
}


async def _object(recording: str, side: Side, seg: int, kind: ObjectKind, who: Principal, parts: Parts) -> Response:
    await _own(recording, who, parts)
    return await _sent(recording, side, seg, kind, parts)


async def _together(
    recording: str, side: Side, seg: int, kind: Literal["age", "quorum"], who: Principal, parts: Parts
) -> Response:
    """For council and officer: the gateway says whether they may, and notes it."""
    role: Literal["council", "dpo"] = "council" if who.role is Role.COUNCIL else "dpo"
    await parts.control.request(FetchTogether(role, recording, side, seg, kind))
    return await _sent(recording, side, seg, kind, parts)


async def _sent(recording: str, side: str, seg: int, kind: ObjectKind, parts: Parts) -> Response:
    return _stream(await parts.site.fetch(recording, side, seg, kind), recording, side, seg, kind)


def _stream(
    pieces: AsyncIterator[bytes] | None, recording: str, side: str, seg: int, kind: ObjectKind
) -> StreamingResponse:
    if pieces is None:
        raise Problem("not-found", 404, "there is no such segment, or it was erased")
    name = f"{recording}-{side}-{seg}.{_SUFFIX[kind]}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pieces, media_type=_MEDIA[kind], headers=headers)


def _holder(who: Principal) -> Literal["agent", "dpo"]:
    return "dpo" if who.agent is None else "agent"


async def _released(coach: str, parts: Parts) -> list[ReleasedOut]:
    told = (await parts.control.request(ReleasedTo(coach)))["releases"]
    return [
        ReleasedOut.model_validate({**one, "id": one["recording"], "release": one["id"]})
        for one in told
    ]  # fmt: skip


async def _own(recording: str, who: Principal, parts: Parts) -> RecordingRow:
    row = await parts.site.recording(recording)
    if row is None or row.agent != who.agent:
        # somebody else's recording answers like one that never was
        raise Problem("not-found", 404, "there is no such recording of yours")
    return row


def _out(row: RecordingRow) -> RecordingOut:
    names = ("id", "call", "lane", "purpose", "started", "ended", "state", "keep_until")
    sides = [asdict(one) for one in row.sides]
    return RecordingOut.model_validate({**{name: getattr(row, name) for name in names}, "sides": sides})
