"""Commands around releases: an agent lets one coach hear a recording for a while, takes it back, sees who heard it.

Everything that grants is the agent's own signed word, verified here. There is no command that adds a recipient: the
header comes ready from the agent's client, and only its form, its digest and whom it is for can be checked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from crypto.header import parse as parse_header
from crypto.ssh_key import VerifyKey
from crypto.sshsig import verify
from gateway.control import protocol as p
from gateway.engine.engine import Engine, format_time
from gateway.engine.errors import Refused
from gateway.engine.proofs import proven_coach, proven_release
from gateway.engine.signed import own_statement, signed_by_agent
from policy.release import (
    RELEASE_NAMESPACE,
    SAID,
    Release,
    Released,
    evaluations_left,
    may_hear,
    parse_release,
    release_fault,
)
from policy.statements import ENROLMENT_NAMESPACE, parse_enrolment
from policy.terms import Purpose, Side
from storage.accesses import Access, Accesses
from storage.coaches import Coach, Coaches
from storage.errors import CoachUnknown, RecordingUnknown
from storage.recordings import GOING, Recording, SegmentState
from storage.releases import Part, Releases, StoredRelease

__all__ = ["ReleaseCommands"]

Answer = dict[str, Any]
MAX_HEADER = 4096
"""Bytes; an age header for one recipient has about 200."""
NOT_RELEASED = "nothing of this recording is released to you now"


class ReleaseCommands:
    """See the module: the part of the command table that deals with coaches and releases."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._recordings = engine.custody.recordings
        self._releases = Releases(self._recordings)
        self._accesses = Accesses(self._recordings.database)
        self._coaches = Coaches(self._recordings.database)
        self.table: dict[type, Callable[[Any], Awaitable[Answer]]] = {
            p.AddCoach: self._add_coach,
            p.EnrolCoach: self._enrol_coach,
            p.DisableCoach: self._disable_coach,
            p.ReleaseRecording: self._release,
            p.RevokeRelease: self._revoke,
            p.RecordingReleases: self._of_recording,
            p.ReleasedTo: self._released_to,
            p.FetchReleased: self._fetch,
        }

    # --- coaches ------------------------------------------------------------------------------------------------------

    async def _add_coach(self, command: p.AddCoach) -> Answer:
        return {"id": await self._coaches.add(command.name, self._engine.clock.wallclock())}

    async def _enrol_coach(self, command: p.EnrolCoach) -> Answer:
        key = VerifyKey.parse(command.signing_key)
        document = command.statement.document.encode()
        verify(key, ENROLMENT_NAMESPACE, document, command.statement.signature)
        statement = parse_enrolment(document)
        own_statement(statement.agent, command.coach)
        seq = await self._coaches.enrol(
            command.coach,
            recipient=statement.recipient,
            signing_key=key.line(),
            statement=command.statement.document,
            signature=command.statement.signature,
            at=self._engine.clock.wallclock(),
        )
        return {"key_seq": seq}

    async def _disable_coach(self, command: p.DisableCoach) -> Answer:
        await self._coaches.disable(command.coach)
        await self._releases.end_all_of(command.coach, self._engine.clock.wallclock())
        return {}

    # --- the agent ----------------------------------------------------------------------------------------------------

    async def _release(self, command: p.ReleaseRecording) -> Answer:
        recording, wallclock = await self._own(command.recording, command.agent), self._engine.clock.wallclock()
        signed = [self._said(command.agent, one) for one in command.sides]
        said = _alike([release for release, _ in signed], recording.id)
        coach = await self._coach(said.to)
        if coach.key is None or coach.key.recipient != said.recipient:
            raise Refused("other_key", "the release isn't for the key that this coach has enrolled", 409)
        agreements = self._engine.site.agreements
        fault = release_fault(agreements, _about(recording), [release for release, _ in signed], wallclock)
        if fault is not None:
            raise Refused(fault.value, SAID[fault], 403)
        parts = tuple(
            Part(release.side.value, release.seg, one.statement.document, one.statement.signature, header)
            for (release, header), one in zip(signed, command.sides, strict=True)
        )
        new = StoredRelease(
            said.id, recording.id, command.agent, coach.id, said.purpose.value, wallclock, said.until_at, parts
        )
        counted = await self._releases.add(new, evaluations_left(agreements, 0))
        self._engine.custody.changed(command.agent, recording.id)
        left = evaluations_left(agreements, counted)
        return {"release": said.id, "until": format_time(said.until_at), "evaluations_left": left}

    def _said(self, agent: str, one: p.ReleasedSide) -> tuple[Release, bytes]:
        """One side's statement, and the header that it names."""
        said = parse_release(signed_by_agent(self._engine.site, agent, one.statement, RELEASE_NAMESPACE))
        header = _unbase64(one.header)
        if hashlib.sha256(header).hexdigest() != said.header_sha256:
            raise Refused("header_differs", "the header isn't the one that was signed", 422)
        parsed, size = parse_header(header)
        if size != len(header) or [stanza.kind for stanza in parsed.stanzas] != ["X25519"]:
            raise Refused("header_invalid", "the header must be for one recipient and nobody else", 422)
        return said, header

    async def _revoke(self, command: p.RevokeRelease) -> Answer:
        await self._own(command.recording, command.agent)
        await self._releases.revoke(command.recording, command.release, self._engine.clock.wallclock())
        self._engine.custody.changed(command.agent, command.recording)
        return {}

    async def _of_recording(self, command: p.RecordingReleases) -> Answer:
        await self._own(command.recording, command.agent)
        found = await self._releases.of_recording(command.recording)
        names = {one: (await self._coaches.get(one)).name for one in {release.coach for release in found}}
        return {"releases": [_as_told(one) | {"name": names[one.coach]} for one in found]}

    # --- the coach ----------------------------------------------------------------------------------------------------

    async def _released_to(self, command: p.ReleasedTo) -> Answer:
        coach, wallclock = await self._coach(command.coach), self._engine.clock.wallclock()
        shown = []
        for kept in await self._releases.of_coach(coach.id, wallclock):
            recording = await self._there(kept.recording)
            sides = [part for part in kept.parts if self._hears(coach, recording, kept, part.side, part.seg)]
            if recording is not None and sides:
                shown.append(self._as_shown(kept, recording, sides))
        return {"releases": shown}

    async def _fetch(self, command: p.FetchReleased) -> Answer:
        coach, wallclock = await self._coach(command.coach), self._engine.clock.wallclock()
        found = [
            one for one in await self._releases.of_coach(coach.id, wallclock) if one.recording == command.recording
        ]
        recording = await self._there(command.recording) if found else None
        heard = [one for one in found if self._hears(coach, recording, one, command.side, command.seg)]
        if recording is None or not heard:
            raise Refused("not_released", NOT_RELEASED, 403)
        kept = heard[0]
        if command.purpose is not None and command.purpose != kept.purpose:
            raise Refused("purpose_differs", "it was released for another purpose", 403)
        if not may_hear(self._engine.site.agreements, recording.purpose):
            raise Refused("role_not_named", "the agreement lets no coach hear recordings of this purpose", 403)
        if recording.purpose is Purpose.DISPUTE and _about(recording).kept != set(Side):
            raise Refused("one_sided_not_evidence", "one side alone proves nothing: only the agent opens it", 403)
        access = Access(
            recording=recording.id, at=wallclock, role="coach", what="age", purpose=kept.purpose,
            side=command.side, seg=command.seg, who=coach.id,
        )  # fmt: skip
        await self._accesses.add(access)
        self._engine.custody.changed(recording.agent, recording.id)
        return {"release": kept.id}

    def _hears(self, coach: Coach, recording: Recording | None, kept: StoredRelease, side: str, seg: int) -> bool:
        """Whether a side is there, and its agent's own signed word gives it to this coach's key of now."""
        line = self._engine.site.agents.get(recording.agent) if recording is not None else None
        if line is None or recording is None or not _sealed(recording, side, seg):
            return False
        said = proven_release(line, kept, side, seg)
        return said is not None and coach.key is not None and said.recipient == coach.key.recipient

    def _as_shown(self, kept: StoredRelease, recording: Recording, sides: Sequence[Part]) -> Answer:
        """To the day, without the agent's name: the agent tells the coach in person."""
        begun = recording.begun_at.astimezone(self._engine.site.zone(recording.agreement))
        return {
            "id": kept.id,
            "recording": kept.recording,
            "purpose": kept.purpose,
            "day": begun.date().isoformat(),
            "until": format_time(kept.until),
            "sides": [{"side": part.side, "seg": part.seg} for part in sides],
        }

    # --- parts --------------------------------------------------------------------------------------------------------

    async def _there(self, recording: str) -> Recording | None:
        try:
            return await self._recordings.get(recording)
        except RecordingUnknown:
            return None

    async def _own(self, recording: str, agent: str) -> Recording:
        found = await self._there(recording)
        if found is None or found.agent != agent or found.state in GOING:
            raise Refused("recording_unknown", "no such recording of yours", 404)
        return found

    async def _coach(self, coach: str) -> Coach:
        found = proven_coach(await self._coaches.get(coach))
        if found.disabled:
            raise CoachUnknown("no such coach")
        return found


def _alike(releases: Sequence[Release], recording: str) -> Release:
    """The first of statements that differ in side, segment and header only."""
    if not releases:
        raise Refused("nothing_released", "a release needs a side at least", 422)
    first = releases[0]
    same = [replace(one, side=first.side, seg=first.seg, header_sha256=first.header_sha256) for one in releases]
    places = {(one.side, one.seg) for one in releases}
    if first.recording != recording or any(one != first for one in same) or len(places) != len(releases):
        raise Refused("statement_differs", "the signed statements aren't all of this one release", 422)
    return first


def _about(recording: Recording) -> Released:
    sealed = (part.key.side for part in recording.segments if part.state is SegmentState.SEALED)
    return Released(recording.lane, recording.purpose, recording.erase_at, frozenset(Side(side) for side in sealed))


def _sealed(recording: Recording, side: str, seg: int) -> bool:
    return any(
        (part.key.side, part.key.seg) == (side, seg) and part.state is SegmentState.SEALED
        for part in recording.segments
    )


def _as_told(one: StoredRelease) -> Answer:
    return {
        "id": one.id,
        "coach": one.coach,
        "purpose": one.purpose,
        "at": format_time(one.at),
        "until": format_time(one.until),
        "revoked_at": format_time(one.revoked_at) if one.revoked_at is not None else None,
        "sides": [{"side": part.side, "seg": part.seg} for part in one.parts],
    }


def _unbase64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("header_invalid", "the header isn't base64", 422) from None
    if len(data) > MAX_HEADER:
        raise Refused("header_invalid", f"the header is longer than {MAX_HEADER} bytes", 422)
    return data
