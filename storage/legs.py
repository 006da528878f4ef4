"""The entries of agent legs: `call`, `wish`, `x` and their `out`, in one order (crypto.md §3, §4, agreement.md §4).

Each is a row and an entry of the epoch's log, durable together before the verb returns. The rows hold only epoch,
pseudonym, counter, rule, queue code, 32-byte commitments, the day and the number of the last act. Epochs themselves are
`epochs`'.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, update

from crypto.errors import FramingError
from crypto.framing import parse_hex
from crypto.merkle import leaf_hash
from policy import draw_rules, log_entry
from policy.agreement.schema import Agreement
from policy.decision import Reason
from policy.epoch_rules import Ceiling, Ruled
from policy.opening import OutOpening
from policy.terms import Lane
from storage.council_lists import ForCouncil, keep_opening
from storage.database import Database
from storage.epochs import open_row, turn_day
from storage.errors import EntryState, EntryUnknown, TermsChanged
from storage.figures import Answered, count_answer
from storage.log.leg_openings import Owned, Owner, forget_due, keep_call, keep_out
from storage.log.wal import append, open_log
from storage.tables import acts as acts_table
from storage.tables import campaigns, legs, recordings, segments

COMMITMENT_BYTES: Final = 32


class EntryKind(StrEnum):
    """What an entry says."""

    CALL = "call"
    """One agent's part in a call."""
    WISH = "wish"
    """A record that was asked for; counted apart."""
    X = "x"
    """A leg without counter and agent."""


class XKind(StrEnum):
    """Why a leg has no counter."""

    PROTECTED = "protected"
    UNKNOWN = "unknown"
    UNCLAIMED = "unclaimed"


class Out(StrEnum):
    """What came of an entry, kept or not."""

    NO = "no"
    CAP = "cap"
    HIT = "hit"
    WISH = "wish"


@dataclass(frozen=True, slots=True)
class LegEntry:
    """One `call` or `wish` entry."""

    entry: int
    """Place in the order; grows, may leave gaps."""
    kind: EntryKind
    epoch: str
    pseudonym: str
    """32 hex characters."""
    n: int
    """The agent's counter in this epoch, of this kind: 1, 2, 3, … without gaps."""
    rule: int | None
    """Place of the rule the leg is drawn under among its epoch's (`policy.epoch_rules`)."""
    admitted: Out | None = None
    """`no`, `cap` or `hit` once `admit` said so."""
    origin: str = ""
    """Of the log that holds it."""
    index: int = 0
    """Where it stands there."""
    leaf: bytes = b""
    """The hash of the entry, as it stands there."""
    queue: str | None = None
    """Of a `call` entry: a queue's name, also where the log doesn't say it."""
    acts: int | None = None
    """The number of the act that `rule` was read under, where it is known."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of a draw: `no`, `hit`, or `cap` with its reasons."""

    out: Out
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class EpochCounts:
    """Legs, hits and caps of an epoch by place of the rule, and legs without counter by kind."""

    legs: dict[int, int]
    hits: dict[int, int]
    caps: dict[int, int]
    x: dict[XKind, int]


class Legs:
    """Entries in the database and in their logs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._admissions = 0
        self._turns: dict[str, dict[int, asyncio.Event]] = {}
        """By epoch and entry: who waits for the legs before it."""

    async def enter(
        self,
        *,
        epoch: str,
        pseudonym: str,
        rule: int | None,
        queue: str,
        commitment: bytes,
        day: date,
        code: str | None = None,
        rule_name: str | None = None,
        acts: int | None = None,
        owned: Owned | None = None,
        shown: ForCouncil | None = None,
    ) -> LegEntry:
        """Write a leg's `call` entry with the agent's next counter; durable on return. Raises StorageUnavailable.

        `day` is the local day, `code` what the log calls the `queue` (None: its name), `rule_name` what statistics call
        the rule. Every entry must be admitted afterwards, drawn or not. `acts` is the number of the act that `rule` was
        read under: where another one stands in the log by now, TermsChanged is raised. `owned` opens `commitment` for
        the agent, `shown` for the council. Raises EpochStep unless the epoch is open.
        """
        row = {
            "e": epoch,
            "a": _pseudonym(pseudonym),
            "r": rule,
            "queue": queue,
            "c": _commitment(commitment),
            "day": day,
        }
        row |= {"q": code or queue, "rule": rule_name, "acts": acts}

        def work(connection: Connection) -> LegEntry:
            found = open_row(connection, epoch)
            newest = select(func.max(acts_table.c.seq))
            if acts is not None and (connection.execute(newest).scalar_one() or 0) != acts:
                raise TermsChanged("an act was taken meanwhile")
            counted = turn_day(connection, found, (day - found.first_day).days)
            row["day"] = found.first_day + timedelta(days=counted)
            entry = _enter(connection, EntryKind.CALL, {**row, "origin": found.origin}, owned)
            if shown is not None:
                keep_opening(connection, epoch, entry.index, shown)
            return entry

        return await self._database.write(work)

    async def enter_wish(
        self,
        *,
        origin: str,
        epoch: str,
        pseudonym: str,
        commitment: bytes,
        day: date,
        lane: Lane,
        owned: Owned | None = None,
    ) -> LegEntry:
        """Write a `wish` entry with the agent's next counter of wishes; durable on return. The row knows its lane.

        Asked-for lanes are open in a dark epoch too: `origin` is the log that the epoch belongs to.
        """
        row = {"e": epoch, "a": _pseudonym(pseudonym), "c": _commitment(commitment), "day": day, "k": lane.value}
        row["origin"] = origin

        def work(connection: Connection) -> LegEntry:
            open_log(connection, origin)
            return _enter(connection, EntryKind.WISH, row, owned)

        return await self._database.write(work)

    async def enter_x(self, epoch: str, kind: XKind) -> None:
        """Count a leg that has no counter and names no agent. Raises EpochStep unless the epoch is open."""

        def work(connection: Connection) -> None:
            origin = open_row(connection, epoch).origin
            index = append(connection, origin, log_entry.X(e=epoch, k=kind.value))
            row = {"kind": EntryKind.X.value, "e": epoch, "k": kind.value, "origin": origin, "i": index}
            connection.execute(insert(legs).values(**row))

        await self._database.write(work)

    async def admit(self, entry: LegEntry, *, drawn: bool, ruled: Ruled | None) -> Admission:
        """Admit a drawn leg under its rules' ceilings, the agent's caps and its campaign's counts; durable on return.

        In log order: waits until every earlier leg of the epoch is admitted, since their hits count. A second time it
        answers as the first. Raises EntryUnknown for what isn't a `call` entry, StorageUnavailable.
        """
        held = ruled if drawn else None
        while True:
            seen = self._admissions
            # A caller who is cancelled here must not keep those who wait from hearing of the admission.
            answer = await asyncio.shield(asyncio.create_task(self._attempt(entry, held)))
            if answer is not None:
                return answer
            if seen == self._admissions:  # else the leg before may have been admitted meanwhile
                await self._turns.setdefault(entry.epoch, {}).setdefault(entry.entry, asyncio.Event()).wait()

    async def _attempt(self, entry: LegEntry, held: Ruled | None) -> Admission | None:
        answer = await self._database.write(lambda connection: _admit(connection, entry, held))
        if answer is not None:
            self._call_next(entry)
        return answer

    def _call_next(self, admitted: LegEntry) -> None:
        """Wake the next in the epoch's order; whoever is behind that one would only find it still open."""
        self._admissions += 1
        turns = self._turns.get(admitted.epoch, {})
        for entry in sorted(turns):
            turns.pop(entry).set()
            if entry > admitted.entry:
                break
        if not turns:
            self._turns.pop(admitted.epoch, None)

    async def out(
        self, entry: LegEntry, told: OutOpening, answered: Answered | None = None, owner: Owner | None = None
    ) -> Out:
        """Close an entry, once, with the commitment to what came of it; durable on return. Its `owner` can open it.

        What the caller `answered` is counted for a hit only, and not kept with the entry.
        Raises EntryState for a second `out` or a leg that wasn't admitted yet, EntryUnknown.
        """
        m = told.commitment()

        def work(connection: Connection) -> Out:
            row = _row(connection, entry.entry)
            if row.o is not None:
                raise EntryState("entry has its `out` already")
            said = Out.WISH if row.kind == EntryKind.WISH else row.admission
            if said is None:
                raise EntryState("leg isn't admitted yet")
            over = log_entry.Out(e=row.e, a=row.a, n=row.n, o=said, m=m.hex())
            index = append(connection, row.origin, over)
            connection.execute(update(legs).where(legs.c.id == entry.entry).values(o=said, m=m, out_i=index))
            keep_out(connection, row.origin, row.i, index, told, owner)
            if answered is not None and said == Out.HIT:
                count_answer(connection, row, answered)
            return Out(said)

        return await self._database.write(work)

    async def forget_openings(self, at: datetime) -> None:
        """Destroy what agents could open of legs whose log's time is over."""
        while await self._database.write(lambda connection: forget_due(connection, at)):
            pass

    async def without_out(self) -> list[LegEntry]:
        """Entries that lack their `out`, in order: what a restarted gateway has to admit and close."""
        query = select(legs).where(legs.c.kind != EntryKind.X.value, legs.c.o.is_(None)).order_by(legs.c.id)
        return [_entry(row) for row in await self._database.read(lambda connection: connection.execute(query).all())]

    async def recorded(self, entry: int) -> tuple[Lane | None, tuple[str, ...]]:
        """Lane of what is kept of an entry's leg, and the digests of its manifests; (None, ()) where nothing is."""
        query = (
            select(recordings.c.lane, segments.c.manifest_sha256)
            .join(segments, segments.c.recording == recordings.c.id)
            .where(recordings.c.entry == entry, recordings.c.state.in_(("kept", "interrupted")))
            .where(segments.c.state == "sealed")
            .order_by(recordings.c.begun_at, segments.c.seg, segments.c.side)
        )
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return Lane(rows[0].lane) if rows else None, tuple(row.manifest_sha256 for row in rows)

    async def wishes_since(self, lane: Lane, day: date) -> list[tuple[str, str]]:
        """Epoch and pseudonym of every wish in a lane from a local day on: whose they are, their agents' salts tell."""
        query = select(legs.c.e, legs.c.a).where(
            legs.c.kind == EntryKind.WISH.value, legs.c.k == lane.value, legs.c.day >= day
        )
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [(row.e, row.a) for row in rows]

    async def counts(self, epoch: str) -> EpochCounts:
        """Counts of an epoch, for the site; small ones aren't for publication."""
        query = (
            select(legs.c.kind, legs.c.r, legs.c.k, legs.c.admission, func.count().label("total"))
            .where(legs.c.e == epoch, legs.c.kind != EntryKind.WISH.value)
            .group_by(legs.c.kind, legs.c.r, legs.c.k, legs.c.admission)
        )
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        counts = EpochCounts({}, {}, {}, {})
        for row in rows:
            _add(counts, row)
        return counts


def _enter(connection: Connection, kind: EntryKind, row: dict[str, Any], owned: Owned | None) -> LegEntry:
    where = (legs.c.e == row["e"], legs.c.kind == kind.value, legs.c.a == row["a"])
    # INVARIANT: read and written under the one writing transaction, so the counter has no gap and no repeat.
    n = (connection.execute(select(func.max(legs.c.n)).where(*where)).scalar_one() or 0) + 1
    values = {"kind": kind.value, "n": n, "q": None, "r": None, **row}
    index = append(connection, row["origin"], _said(values))
    if owned is not None:
        keep_call(connection, row["origin"], index, kind.value, owned)
    inserted = insert(legs).values(i=index, **values).returning(legs)
    return _entry(connection.execute(inserted).one())


def _admit(connection: Connection, entry: LegEntry, held: Ruled | None) -> Admission | None:
    """The admission, or None while an earlier leg of the epoch has none. `held` None: not drawn."""
    row = _row(connection, entry.entry)
    if row.kind != EntryKind.CALL:
        raise EntryUnknown("not a leg's `call` entry")
    if row.admission is not None:
        return Admission(Out(row.admission))
    if _earlier_open(connection, row):
        return None
    answer = Admission(Out.NO)
    if held is not None:
        reasons = _refusals(connection, row, held)
        answer = Admission(Out.CAP if reasons else Out.HIT, reasons)
    connection.execute(update(legs).where(legs.c.id == entry.entry).values(admission=answer.out.value))
    if answer.out is Out.HIT and held is not None and held.rule.campaign is not None:
        for agreement in held.agreements:
            _count_campaign(connection, agreement.id, held.rule.campaign)
    return answer


def _earlier_open(connection: Connection, row: Row[Any]) -> bool:
    query = select(legs.c.id).where(*_calls(row), legs.c.id < row.id, legs.c.admission.is_(None)).limit(1)
    return connection.execute(query).first() is not None


def _refusals(connection: Connection, row: Row[Any], held: Ruled) -> tuple[Reason, ...]:
    """Why a drawn leg isn't a hit; counts this leg and what lies before it."""

    def count(*where: Any) -> int:
        return connection.execute(select(func.count()).where(*_calls(row), *where)).scalar_one()

    hit = legs.c.admission == Out.HIT.value

    def under(ceiling: Ceiling) -> bool:
        of_rule = legs.c.r.in_(sorted(ceiling.places))
        so_far = count(of_rule, legs.c.id <= row.id)
        return draw_rules.ceiling_ok(ceiling.ppm, legs=so_far, hits=count(of_rule, hit))

    agreements, campaign = held.agreements, held.rule.campaign
    reasons = []
    if not all(under(ceiling) for ceiling in held.ceilings):
        reasons.append(Reason.CEILING)
    # Caps are never longer than the epoch, and an epoch never longer than a week: its hits are the week's.
    week, today = count(legs.c.a == row.a, hit), count(legs.c.a == row.a, legs.c.day == row.day, hit)
    if not draw_rules.caps_ok(agreements, hits_today=today, hits_this_week=week):
        reasons.append(Reason.AGENT_CAP)
    if campaign is not None and any(_is_full(connection, one, campaign) for one in agreements):
        reasons.append(Reason.CAMPAIGN_FULL)
    return tuple(reasons)


def _is_full(connection: Connection, agreement: Agreement, campaign: str) -> bool:
    query = select(campaigns.c.hits).where(*_campaign(agreement.id, campaign))
    used = connection.execute(query).scalar_one_or_none()
    return draw_rules.campaign_full((agreement,), campaign, hits=used or 0)


def _campaign(agreement: str, campaign: str) -> tuple[Any, ...]:
    return campaigns.c.agreement == agreement, campaigns.c.id == campaign


def _calls(row: Row[Any]) -> tuple[Any, ...]:
    """The `call` entries of the same epoch."""
    return legs.c.e == row.e, legs.c.kind == EntryKind.CALL.value


def _count_campaign(connection: Connection, agreement: str, campaign: str) -> None:
    counted = update(campaigns).where(*_campaign(agreement, campaign)).values(hits=campaigns.c.hits + 1)
    if connection.execute(counted).rowcount == 0:
        connection.execute(insert(campaigns).values(agreement=agreement, id=campaign, hits=1))


def end_untold(connection: Connection) -> None:
    """Legs without `out` end as they were admitted: the log that would say so takes nothing any more."""
    open_ones = update(legs).where(legs.c.o.is_(None))
    calls = open_ones.where(legs.c.kind == EntryKind.CALL.value)
    connection.execute(calls.values(o=func.coalesce(legs.c.admission, Out.NO.value)))
    connection.execute(open_ones.where(legs.c.kind == EntryKind.WISH.value).values(o=Out.WISH.value))


def _row(connection: Connection, entry: int) -> Row[Any]:
    row = connection.execute(select(legs).where(legs.c.id == entry, legs.c.kind != EntryKind.X.value)).one_or_none()
    if row is None:
        raise EntryUnknown("no such leg entry")
    return row


def _said(row: Mapping[str, Any]) -> log_entry.Call | log_entry.Wish:
    """The entry that a row of `legs` stands for."""
    e, a, n, c = row["e"], row["a"], row["n"], bytes(row["c"]).hex()
    if row["kind"] == EntryKind.CALL:
        return log_entry.Call(e=e, a=a, n=n, q=row["q"], r=row["r"], c=c)
    return log_entry.Wish(e=e, a=a, n=n, c=c)


def _entry(row: Row[Any]) -> LegEntry:
    admitted = None if row.admission is None else Out(row.admission)
    leaf = leaf_hash(log_entry.encode(_said(row._asdict())))
    kind = EntryKind(row.kind)
    return LegEntry(row.id, kind, row.e, row.a, row.n, row.r, admitted, row.origin, row.i, leaf, row.queue, row.acts)


def _add(counts: EpochCounts, row: Row[Any]) -> None:
    if row.kind == EntryKind.X:
        counts.x[XKind(row.k)] = row.total
    elif row.r is not None:
        counts.legs[row.r] = counts.legs.get(row.r, 0) + row.total
        for wanted, by_rule in ((Out.HIT, counts.hits), (Out.CAP, counts.caps)):
            if row.admission == wanted:
                by_rule[row.r] = row.total


def _pseudonym(text: str) -> str:
    try:
        parse_hex(text, 16)
    except FramingError:
        raise EntryUnknown("pseudonym isn't 32 hexadecimal characters") from None
    return text


def _commitment(data: bytes) -> bytes:
    if len(data) != COMMITMENT_BYTES:
        raise EntryState("commitment isn't 32 bytes")
    return data
