"""Reads the real data folder for the API: database read-only, blobs and vault as they lie. Never writes.

The gateway makes the data folder; while it hasn't, everything reads as `site-unavailable` (503), and is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from sqlalchemy import Connection, Row, and_, or_, select

from api.draws_served import proven, read_draws
from api.errors import Problem
from api.month_figures import MonthFigures
from api.reads import (
    ActRow,
    AgentRow,
    AgreementInForce,
    CoachKeyRow,
    CoachRow,
    ConsentText,
    EntryRow,
    LogList,
    MonthStatistics,
    ObjectKind,
    OwnDraws,
    RecordingRow,
    SideRow,
)
from crypto.errors import CryptoError
from crypto.ssh_key import VerifyKey
from crypto.tlog_tiles import Tile
from gateway.clock import Clock
from gateway.config import Config
from policy.act_file import act_fields
from policy.acts import parse_act
from policy.agreement.schema import Agreement
from policy.chain import Posted, fold, history
from policy.consent import ask_again_at, standing_answer
from policy.draw_rules import rules
from policy.endings import ends_soon
from policy.epochs import EpochState, frozen
from policy.errors import PolicyError
from policy.month import Month
from policy.percent import percent_text
from policy.state import Anchor, State, Term, rates_of
from policy.statements import LANGUAGES
from policy.terms import ASKED_LANES, DRAWN_LANES, Lane, Purpose
from policy.texts import consent_text, current_texts, text_sha256
from storage.acts import Acts
from storage.blobs import Kind, LocalBlobs
from storage.coaches import Coach, Coaches, told_of
from storage.consents import Consents, StandingConsent
from storage.council_lists import openings_of
from storage.database import Database, Work
from storage.epoch_figures import inventory
from storage.errors import AgentUnknown, CoachUnknown, LogEntryUnknown, StorageError
from storage.gateway_key import load_public, vkey
from storage.log.files import LocalLogFiles
from storage.log.openings import OwnOpening, own_openings
from storage.log.reader import LogReader
from storage.log.wal import known_logs
from storage.names import SegmentKey
from storage.recordings import State as RecordingState
from storage.roster import Agent, Roster
from storage.tables import epochs, recordings, segments
from storage.vault import LocalVault, Secret

__all__ = ["SiteFolder", "carries"]

T = TypeVar("T")
PIECE: Final = 64 * 1024
GONE: Final = (RecordingState.DISCARDING, RecordingState.DISCARDED, RecordingState.ERASING)


class SiteFolder:
    """`SiteReads` on a data folder."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._database: Database | None = None
        self._opening = asyncio.Lock()
        folder = config.site.data_dir.absolute()
        self._blobs = LocalBlobs(folder)
        self._vault = LocalVault(folder)
        self._log = LocalLogFiles(folder)
        self._folded: tuple[int, State] | None = None
        self._figures = MonthFigures(config.site.name, clock)

    async def __aenter__(self) -> Self:
        """Nothing is opened before it is needed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let the database go."""
        if self._database is not None:
            await self._database.close()
            self._database = None

    async def anchors(self, role: str) -> Sequence[str]:
        """Public acting keys of a role as acts have left them; the council may have up to three."""
        state, _ = await self._chain()
        found = state.anchors_at(self._clock.wallclock())
        return [anchor.key for anchor in found if anchor.role.rstrip("0123456789") == role]

    async def first_anchors(self) -> Sequence[Anchor]:
        """As `fairtap init` took them."""
        return [Anchor(one.role, one.key, one.recipient) for one in await Acts(await self._open()).anchors()]

    async def agents(self, after: str, limit: int) -> Sequence[AgentRow]:
        """Roster lines by id: an order that tells nothing."""
        listed = sorted(await Roster(await self._open()).list(), key=lambda agent: agent.id)
        return [_line(agent) for agent in listed if agent.id > after][:limit]

    async def agent(self, agent: str) -> AgentRow | None:
        """One agent with seat and answers."""
        database = await self._open()
        try:
            found = await Roster(database).get(agent)
        except AgentUnknown:
            return None
        seat = await Roster(database).seat(agent, self._clock.wallclock())
        standing = await Consents(database).standing(agent)
        agreements = [one for one in await self._agreements() if _about(one, found.site, found.group)]
        return _line(
            found,
            extension=None if seat is None else seat.extension,
            consents={purpose.value: _answer(one, agreements) for purpose, one in standing.items()},
            consent_seqs={purpose.value: one.seq for purpose, one in standing.items()},
            ask_again_at={
                purpose.value: until
                for purpose, one in standing.items()
                if (until := _instant(ask_again_at(one.answer, one.at))) is not None
            },
        )

    async def agreement(self, agent: str | None = None) -> AgreementInForce | None:
        """What binds now, as the acts have left it; the gateway alone judges whether it (still) permits anything.

        Of several the one about this agent that is valid the longest.
        """
        state, posts = await self._chain()
        now, line = self._clock.wallclock(), await self.agent(agent) if agent is not None else None
        terms = state.terms_in_force(now)
        about = [one for one in terms if line is not None and _about(one.agreement, line.site, line.group)]
        term = max(about or terms, key=lambda one: one.agreement.validity.end, default=None)
        if term is None:
            return None
        ends = [warned for one in (about or terms) for warned in ends_soon(one.agreement, now, one.evaluated)]
        return replace(_in_force(term, posts, state, now), ends_soon=ends)

    async def acts(self) -> Sequence[ActRow]:
        """Every act, oldest first."""
        _, posts = await self._chain()
        return [_act_row(posted) for posted in posts]

    async def act_files(self) -> Sequence[dict[str, object]]:
        """Every act with its bytes and signatures, oldest first."""
        _, posts = await self._chain()
        return await asyncio.to_thread(lambda: [act_fields(posted) for posted in posts])

    async def coaches(self) -> Sequence[CoachRow]:
        """With their entries in the log."""
        return [await self._coach_row(one) for one in await Coaches(await self._open()).list()]

    async def coach(self, coach: str) -> CoachRow | None:
        """With the entry in the log, once enrolled."""
        try:
            return await self._coach_row(await Coaches(await self._open()).get(coach))
        except CoachUnknown:
            return None

    async def _coach_row(self, coach: Coach) -> CoachRow:
        key = coach.key
        if key is None:
            return CoachRow(coach.id, coach.name, not coach.disabled)
        try:
            entry = await proven(await self._reader(), key.origin, key.index)
        except StorageError:
            raise _unreadable() from None
        row = CoachKeyRow(
            key.recipient, key.signing_key, key.statement, key.signature, told_of(coach.id, key), key.salt.hex(), entry
        )
        return CoachRow(coach.id, coach.name, not coach.disabled, row)

    async def recordings(self, agent: str, before: str, limit: int) -> Sequence[RecordingRow]:
        """Newest first."""
        return await self._read(lambda connection: _recordings_of(connection, agent, before, limit))

    async def recording(self, recording: str) -> RecordingRow | None:
        """One that isn't gone."""
        query = select(recordings).where(recordings.c.id == recording, recordings.c.state.not_in(GONE))
        found = await self._read(lambda connection: _with_sides(connection, connection.execute(query).all()))
        return found[0] if found else None

    async def fetch(self, recording: str, side: str, seg: int, kind: ObjectKind) -> AsyncIterator[bytes] | None:
        """An object in pieces of 64 KiB, None where it isn't (any more), or its epoch's reveal is overdue."""
        if kind in ("age", "opening", "quorum") and await self._frozen(recording):
            return None
        try:
            key = SegmentKey(recording, seg, side)
            if kind == "manifest":
                return _once(await asyncio.to_thread(self._blobs.read, key, Kind.MANIFEST))
            if kind == "signature":
                return _once(await asyncio.to_thread(self._blobs.read, key, Kind.SIGNATURE))
            if kind == "quorum":
                return _once(await asyncio.to_thread(self._vault.read, key, Secret.QUORUM))
            if kind == "opening":
                return _once(await asyncio.to_thread(self._vault.read, key, Secret.OPENING))
            header = await asyncio.to_thread(self._vault.read, key, Secret.HEADER)
        except StorageError:
            return None
        return await self._with_payload(header, key)

    async def fetch_released(self, release: str, recording: str, side: str, seg: int) -> AsyncIterator[bytes] | None:
        """None where the release's header isn't (any more), too."""
        if await self._frozen(recording):
            return None
        try:
            key = SegmentKey(recording, seg, side)
            header = await asyncio.to_thread(self._vault.read_release, release, key)
        except StorageError:
            return None
        return await self._with_payload(header, key)

    async def _with_payload(self, header: bytes, key: SegmentKey) -> AsyncIterator[bytes] | None:
        payload = self._blobs.path(key, Kind.PAYLOAD)
        return _file(header, payload) if await asyncio.to_thread(payload.is_file) else None

    async def _frozen(self, recording: str) -> bool:
        """Whether a drawn recording's epoch should have been revealed by now and wasn't."""
        query = select(epochs.c.state, epochs.c.closed_at).join(recordings, recordings.c.epoch == epochs.c.name)
        query = query.where(recordings.c.id == recording, recordings.c.lane.in_([lane.value for lane in DRAWN_LANES]))
        row = await self._read(lambda connection: connection.execute(query).one_or_none())
        return row is not None and frozen(EpochState(row.state), row.closed_at, self._clock.wallclock())

    async def statistics(self, month: Month | None) -> MonthStatistics:
        """Only what the policy lets out."""
        return await self._figures.of(await self._open(), month)

    async def own_entries(self, agent: str, after: int, limit: int) -> Sequence[EntryRow]:
        """Each with its leaf and, once published, its proof."""
        found = await self._read(lambda connection: own_openings(connection, agent, after, limit))
        reader = await self._reader()
        try:
            return [await _entry_row(reader, one) for one in found]
        except StorageError:
            raise _unreadable() from None

    async def own_draws(self, agent: str, after: int, limit: int) -> OwnDraws:
        """With leaves, proofs, and the epochs' shares and rates."""
        acts = Acts(await self._open())
        posts, first = await acts.chain(), await self.first_anchors()
        reader = await self._reader()
        try:
            states = await asyncio.to_thread(lambda: list(history(first, posts)))
            return await read_draws(await self._open(), reader, states, agent, after, limit)
        except (StorageError, CryptoError, PolicyError):
            raise _unreadable() from None

    async def council_openings(self, epoch: str, after: int, limit: int) -> Sequence[tuple[int, bytes]] | None:
        """As they lie there, sealed to the council."""
        return await self._read(lambda connection: openings_of(connection, epoch, after, limit))

    async def inventory(self, epoch: str) -> Sequence[str] | None:
        """As it was shuffled when the epoch was closed."""
        return await self._read(lambda connection: inventory(connection, epoch))

    async def logs(self) -> LogList:
        """Named by the same verifier key as `fairtap init` prints."""
        key = await self._public_key()
        origins = await self._read(known_logs)
        return LogList(vkey(f"{self._config.site.name}/fairtap", key), list(origins))

    async def log_checkpoint(self, origin: str) -> bytes | None:
        """Published files only: entries that wait are the gateway's."""
        return await asyncio.to_thread(_published, lambda: self._log.checkpoint(origin))

    async def log_tile(self, origin: str, tile: Tile) -> bytes | None:
        """As it lies there."""
        return await asyncio.to_thread(_published, lambda: self._log.tile(origin, tile))

    async def ready(self) -> bool:
        """Whether the database answers."""
        try:
            await self._open()
        except Problem:
            return False
        return True

    # ----------------------------------------------------------------------------------------------------------------

    async def _open(self) -> Database:
        async with self._opening:
            if self._database is None:
                try:
                    self._database = await Database.open(self._config.database_url, read_only=True)
                except StorageError:
                    detail = "the site's data can't be read; is the gateway running?"
                    raise Problem("site-unavailable", 503, detail, {"Retry-After": "1"}) from None
            return self._database

    async def _reader(self) -> LogReader:
        return LogReader(await self._open(), self._log, await self._public_key())

    async def _public_key(self) -> VerifyKey:
        try:
            return await asyncio.to_thread(load_public, self._config.site.data_dir.absolute())
        except StorageError:
            raise _unreadable() from None

    async def _read(self, work: Work[T]) -> T:
        return await (await self._open()).read(work)

    async def _agreements(self) -> tuple[Agreement, ...]:
        state, _ = await self._chain()
        return state.in_force(self._clock.wallclock())

    async def _chain(self) -> tuple[State, list[Posted]]:
        """The chain as it stands, folded anew only when it grew."""
        acts = Acts(await self._open())
        posts = await acts.chain()
        if self._folded is None or self._folded[0] != len(posts):
            anchors = await self.first_anchors()
            try:
                self._folded = (len(posts), await asyncio.to_thread(fold, anchors, posts))
            except (CryptoError, PolicyError):
                return State(()), posts  # the gateway permits nothing then, and says why
        return self._folded[1], posts


def _line(agent: Agent, **more: Any) -> AgentRow:
    return AgentRow(
        id=agent.id, name=agent.name, group=agent.group, site=agent.site, enabled=not agent.disabled,
        recipient=agent.recipient, signing_key=agent.signing_key, seat_seq=agent.seat_seq, blackout=agent.blackout,
        enrolments=agent.key_seq, enrolled_from=_instant(agent.enrolled_from), **more,
    )  # fmt: skip


def _about(agreement: Agreement, site: str, group: str) -> bool:
    return site in agreement.scope.sites and group in agreement.scope.groups


def _answer(said: StandingConsent, agreements: Iterable[Agreement]) -> str:
    """The answer as it counts under any of the agreements about the agent."""
    shown = None if said.statement is None else said.statement.text_sha256
    texts = [text for one in agreements for text in current_texts(one, said.purpose)]
    return standing_answer(said.answer, said.home_office, shown, texts).answer.value


def _in_force(term: Term, posts: list[Posted], state: State, now: datetime) -> AgreementInForce:
    agreement = term.at(now)
    document = next((posted.document for posted in reversed(posts) if carries(posted, agreement.digest)), b"") or b""
    return AgreementInForce(
        digest=agreement.digest,
        document=document.decode("utf-8", "replace"),
        title=agreement.title,
        version=agreement.version,
        demo=agreement.demo,
        start=agreement.validity.start.isoformat(),
        end=agreement.validity.end.isoformat(),
        seq=term.seq,
        home_office_separate=agreement.consent.agent.home_office_separate,
        channels=agreement.consent.caller.channels,
        consents=[_text(agreement, purpose) for purpose in agreement.purposes],
        rates={rule: percent_text(ppm) for rule, ppm in rates_of(agreement).items()},
        suspended=state.suspended(now),
        asked_for={lane.value: purpose.value for lane in Lane if (purpose := _asked_for(agreement, lane)) is not None},
        drawn_for=sorted({rule.purpose.value for rule in rules(agreement)}),
    )


def _asked_for(agreement: Agreement, lane: Lane) -> Purpose | None:
    return agreement.lanes.purpose(lane) if lane in ASKED_LANES else None


def carries(posted: Posted, digest: str) -> bool:
    """Whether an act came with this document."""
    body = parse_act(posted.act).body
    return posted.document is not None and getattr(body, "digest", None) == digest


def _act_row(posted: Posted) -> ActRow:
    act = parse_act(posted.act)
    return ActRow(
        seq=act.seq,
        type=act.type.value,
        agreement=act.agreement,
        digest=act.digest,
        at=_instant(posted.at) or "",
        signed_by=sorted(posted.signatures),
        session=posted.session,
        document=None if posted.document is None else posted.document.decode("utf-8", "replace"),
    )


def _text(agreement: Agreement, purpose: Purpose) -> ConsentText:
    texts = {language: consent_text(agreement, purpose, language) for language in LANGUAGES}
    return ConsentText(purpose.value, texts, {language: text_sha256(text) for language, text in texts.items()})


def _recordings_of(connection: Connection, agent: str, before: str, limit: int) -> list[RecordingRow]:
    query = select(recordings).where(recordings.c.agent == agent, recordings.c.state.not_in(GONE))
    if before:
        start = connection.execute(select(recordings.c.begun_at).where(recordings.c.id == before)).scalar_one_or_none()
        if start is None:
            return []
        older = recordings.c.begun_at < start
        query = query.where(or_(older, and_(recordings.c.begun_at == start, recordings.c.id < before)))
    query = query.order_by(recordings.c.begun_at.desc(), recordings.c.id.desc()).limit(limit)
    return _with_sides(connection, connection.execute(query).all())


def _with_sides(connection: Connection, rows: Iterable[Row[Any]]) -> list[RecordingRow]:
    rows = list(rows)
    wanted = segments.c.recording.in_([row.id for row in rows])
    sides: dict[str, list[SideRow]] = {}
    for one in connection.execute(select(segments).where(wanted).order_by(segments.c.seg, segments.c.side)):
        side = SideRow(one.side, one.seg, one.state, one.bytes, one.sha256, _instant(one.started), _instant(one.ended))
        sides.setdefault(one.recording, []).append(side)
    return [
        RecordingRow(
            id=row.id, agent=row.agent, call=row.call_ref, lane=row.lane, purpose=row.purpose,
            started=_instant(row.begun_at) or "", ended=_instant(row.ended_at), state=row.state,
            keep_until=_instant(row.erase_at), sides=sides.get(row.id, []),
        )
        for row in rows
    ]  # fmt: skip


async def _entry_row(reader: LogReader, one: OwnOpening) -> EntryRow:
    there = await proven(reader, one.origin, one.index)
    return EntryRow(one.id, one.origin, one.index, one.kind, one.told, one.salt.hex(), there.entry, there.proof)


def _unreadable() -> Problem:
    return Problem("site-unavailable", 503, "the log can't be read now", {"Retry-After": "1"})


def _published(read: Callable[[], bytes]) -> bytes | None:
    try:
        return read()
    except LogEntryUnknown:
        return None
    except StorageError:
        raise _unreadable() from None


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _file(header: bytes, payload: Path) -> AsyncIterator[bytes]:
    yield header
    file = await asyncio.to_thread(payload.open, "rb")
    try:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
    finally:
        file.close()
