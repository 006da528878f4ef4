"""Epochs of the draw, each step durable together with its log entry: commitments, roster, shares, counts, reveal.

When a step may be taken is `policy.epochs`' to say; here is only what stands, and that no step is taken twice. The
council's share lies here from the moment it is handed over until the reveal, which puts it into the log.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, exists, func, insert, select, update

from crypto.draw import epoch_commitment, new_share
from policy.agreement.schema import StatisticsTerms
from policy.draw_rules import Epoch
from policy.epochs import NEXT, EpochState, RosterLeaf, in_roster_order, roster_root
from policy.log_block import LogBlock
from policy.log_entry import Day, ECommit, EOpen, Halt, Reveal
from policy.terms import Phase
from storage.block_shares import BlockShares, Keyring
from storage.council_lists import forget_due, keep_names, names_of
from storage.database import Database
from storage.epoch_figures import closing, listed
from storage.errors import EpochStep, EpochUnknown
from storage.log.blocks import epoch_origin
from storage.log.wal import append, open_log, open_logs
from storage.tables import acts as acts_table
from storage.tables import cosignatures, epochs, legs, logs, recordings

MAX_OVER: Final = 400
"""More epochs than a year of days has."""
LAST_DAY: Final = 6
"""Index of a week's last day."""
_LIVE: Final = (EpochState.PROMISED, EpochState.COMMITTED, EpochState.OPENED, EpochState.CLOSED, EpochState.FROZEN)


@dataclass(frozen=True, slots=True)
class StoredEpoch:
    """One epoch as it stands."""

    name: str
    origin: str
    state: EpochState
    start: datetime
    end: datetime
    c: bytes
    """com_council."""
    csig: str
    h: bytes | None = None
    """com_host, with `ecommit`."""
    host: bytes | None = field(default=None, repr=False)
    council: bytes | None = field(default=None, repr=False)
    roster: tuple[RosterLeaf, ...] = ()
    committed_index: int | None = None
    """Where `ecommit` stands in its log."""
    day: int = 0
    """Index of the local day that its log has come to."""
    closed_at: datetime | None = None
    revealed_index: int | None = None
    """Where `reveal` stands in its log."""
    acts: int = 0
    """How many acts stood in its log before its `eopen`: its rules are counted from there."""
    listed: bool = False
    """Its inventory is here."""

    def leaf(self, a: str) -> RosterLeaf | None:
        """The roster's entry of a pseudonym: without one it is never drawn."""
        return next((leaf for leaf in self.roster if leaf.a == a), None)


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A checkpoint that the council cosigned."""

    origin: str
    size: int
    line: str
    at: datetime
    """The earlier of the council's own time and of when it arrived."""


@dataclass(frozen=True, slots=True)
class Worked:
    """How many legs each pseudonym had in an epoch that is over."""

    name: str
    origin: str
    legs: Mapping[str, Mapping[str, int]]
    """By queue."""


class Epochs:
    """Epochs in the database and in the log; under `root` (the data folder) is the vault."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._shares = BlockShares(database, root)

    # --- steps -------------------------------------------------------------------------------------------------------

    async def promise(self, epoch: Epoch, origin: str, first_day: date, c: bytes, csig: str) -> None:
        """Keep the council's signed commitment. The same one again is harmless; raises EpochStep for another one."""

        def work(connection: Connection) -> None:
            row = connection.execute(select(epochs).where(epochs.c.name == epoch.name)).one_or_none()
            if row is not None:
                if bytes(row.c) != c:
                    raise EpochStep("epoch has its commitment: there is one for each epoch")
                return
            connection.execute(
                insert(epochs).values(
                    name=epoch.name,
                    origin=origin,
                    state=EpochState.PROMISED.value,
                    starts_at=epoch.start,
                    ends_at=epoch.end,
                    first_day=first_day,
                    c=c,
                    csig=csig,
                )
            )

        await self._database.write(work)

    async def commit(self, name: str, leaves: Sequence[RosterLeaf], names: Sequence[str], policy: str) -> None:
        """Draw the host's share, fix the roster, and log `ecommit`. Raises EpochStep, EpochUnknown."""
        ordered = in_roster_order(leaves)

        def work(connection: Connection) -> None:
            row = _row(connection, name)
            open_log(connection, row.origin)
            share = new_share()
            h = epoch_commitment("host", row.origin, name, share)
            entry = ECommit(
                e=name,
                h=h.hex(),
                c=bytes(row.c).hex(),
                csig=row.csig,
                policy=policy,
                roster=roster_root(ordered).hex(),
                n=len(ordered),
            )
            index = append(connection, row.origin, entry)
            _move(
                connection,
                row,
                EpochState.COMMITTED,
                h=h,
                host_secret=share,
                roster=[leaf.fields() for leaf in ordered],
                committed_index=index,
            )
            keep_names(connection, name, names)

        await self._database.write(work)

    async def open(self, name: str, share: bytes, day: int) -> None:
        """Take the council's share and log `eopen`; legs may be entered from now on.

        `day` is the index of the local day within the epoch. Raises EpochStep where no cosigned checkpoint holds
        `ecommit` yet, or the share isn't the one committed to; EpochUnknown.
        """

        def work(connection: Connection) -> None:
            row = _row(connection, name)
            if row.state == EpochState.OPENED and bytes(row.council_secret) == share:
                return
            if epoch_commitment("council", row.origin, name, share) != bytes(row.c):
                raise EpochStep("share doesn't open the epoch's commitment")
            if row.committed_index is None:
                raise EpochStep("epoch isn't committed yet")
            seen = _cosigned(connection, row.origin, row.committed_index)
            if seen is None:
                raise EpochStep("no cosigned checkpoint holds the epoch's commitments yet")
            append(connection, row.origin, EOpen(e=name, cosig=seen.line))
            acts = connection.execute(select(func.max(acts_table.c.seq))).scalar_one() or 0
            _move(connection, row, EpochState.OPENED, council_secret=share, day=day, acts=acts)

        await self._database.write(work)

    async def turn_day(self, name: str, day: int) -> None:
        """Log `day` up to this local day of an open epoch."""
        await self._database.write(lambda connection: turn_day(connection, _row(connection, name), day))

    async def close(self, name: str, limits: StatisticsTerms, at: datetime, *, halted: bool = False) -> bool:
        """Log `eclose` with its counts once every leg has its `out`; False while one hasn't.

        `limits`: about how few what was kept isn't told. `halted`: the epoch ends before its time, which `halt` says
        first.
        """

        def work(connection: Connection, ring: Keyring) -> bool:
            row = _row(connection, name)
            if _unfinished(connection, name):
                return False
            if halted:
                append(connection, row.origin, Halt(e=name))
            entry, figures = closing(connection, row.origin, name, _roster(row), limits, ring, halted=halted)
            append(connection, row.origin, entry)
            _move(connection, row, EpochState.CLOSED, closed_at=at, figures=figures)
            return True

        if await self._database.read(lambda connection: _unfinished(connection, name)):
            return False  # asked again all the time: no key is made for that
        return await self._shares.under_fresh_key(work)

    async def reveal(self, name: str) -> None:
        """Log both shares, and keep them no longer. Raises EpochStep without the council's."""

        def work(connection: Connection) -> None:
            row = _row(connection, name)
            if row.host_secret is None or row.council_secret is None:
                raise EpochStep("a share is missing")
            entry = Reveal(e=name, h=bytes(row.host_secret).hex(), c=bytes(row.council_secret).hex())
            index = append(connection, row.origin, entry)
            _move(connection, row, EpochState.REVEALED, host_secret=None, council_secret=None, revealed_index=index)

        await self._database.write(work)

    async def move(self, name: str, state: EpochState) -> None:
        """A step that needs no log entry: dark, frozen, shredded. Secrets of an epoch that was never opened go."""
        gone: dict[str, Any] = {}
        if state is EpochState.DARK:
            gone = {"host_secret": None, "council_secret": None}
        await self._database.write(lambda connection: _move(connection, _row(connection, name), state, **gone))

    async def cosigned(self, found: Cosigned) -> bool:
        """Keep a verified cosignature; False: of a log that another has taken the place of, which witnesses nothing."""
        row = {"origin": found.origin, "size": found.size, "line": found.line, "at": found.at}

        def work(connection: Connection) -> bool:
            connection.execute(insert(cosignatures).values(**row))
            closed = select(logs.c.id).where(logs.c.origin == found.origin, logs.c.open.is_(False))
            return connection.execute(closed).first() is None

        return await self._database.write(work)

    async def forget_lists(self, at: datetime) -> None:
        """Destroy the council's lists of epochs that have been over for long enough, and shares of blocks that have."""
        while await self._database.write(lambda connection: forget_due(connection, at)):
            pass
        await self._shares.forget_due(at)

    # --- reading -----------------------------------------------------------------------------------------------------

    async def live(self) -> dict[str, StoredEpoch]:
        """Epochs that something still happens to, by name in the order of time."""
        query = select(epochs).where(epochs.c.state.in_(_LIVE)).order_by(epochs.c.starts_at)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return {row.name: _epoch(row) for row in rows}

    async def over_since(self, at: datetime) -> dict[str, StoredEpoch]:
        """Epochs that are closed and ended after `at`, the newest MAX_OVER of them, by name."""
        closed = (epochs.c.closed_at.is_not(None), epochs.c.ends_at > at)
        query = select(epochs).where(*closed).order_by(epochs.c.ends_at.desc()).limit(MAX_OVER)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return {row.name: _epoch(row) for row in rows}

    async def names(self, name: str) -> tuple[str, ...]:
        """Of the agents on an epoch's roster, in their own order: nothing ties a name to a pseudonym. Later empty."""
        return await self._database.read(lambda connection: names_of(connection, name))

    async def get(self, name: str) -> StoredEpoch:
        """One epoch. Raises EpochUnknown."""
        return await self._database.read(lambda connection: stored_epoch(connection, name))

    async def origins(self, site: str, names: Collection[str]) -> dict[str, str]:
        """The log that each of these epochs belongs to."""
        return await self._database.read(
            lambda connection: {name: epoch_origin(connection, site, name) for name in names}
        )

    async def any_committed(self) -> bool:
        """Whether an epoch was ever committed at this site: only the first may be while it goes on."""
        query = select(epochs.c.name).where(epochs.c.h.is_not(None)).limit(1)
        return await self._database.read(lambda connection: connection.execute(query).first()) is not None

    async def restored(self) -> bool:
        """Whether a log stands open that was begun because an older state of the site was put back."""
        origins = await self._database.read(open_logs)
        return any(LogBlock.parse(origin).restores for origin in origins)

    async def newest_cosignature(self) -> Cosigned | None:
        """The one with the latest time, of a log that no other has taken the place of."""
        closed = select(logs.c.origin).where(logs.c.open.is_(False))
        query = select(cosignatures).where(cosignatures.c.origin.not_in(closed))
        query = query.order_by(cosignatures.c.at.desc()).limit(1)
        row = await self._database.read(lambda connection: connection.execute(query).first())
        return None if row is None else Cosigned(row.origin, row.size, row.line, row.at)

    async def last_worked(self) -> Worked | None:
        """The newest closed epoch in which a leg was entered; None before there is one."""

        def work(connection: Connection) -> Worked | None:
            entered = exists().where(legs.c.e == epochs.c.name, legs.c.kind == "call")
            query = select(epochs.c.name, epochs.c.origin).where(epochs.c.closed_at.is_not(None), entered)
            row = connection.execute(query.order_by(epochs.c.ends_at.desc()).limit(1)).first()
            if row is None:
                return None
            counted = select(legs.c.a, legs.c.queue, func.count().label("total")).group_by(legs.c.a, legs.c.queue)
            found: dict[str, dict[str, int]] = {}
            for one in connection.execute(counted.where(legs.c.e == row.name, legs.c.kind == "call")):
                found.setdefault(one.a, {})[one.queue] = one.total
            return Worked(row.name, row.origin, found)

        return await self._database.read(work)

    async def drawn_recordings(self, name: str) -> list[str]:
        """Recordings of the drawn lanes of an epoch: what is shredded without its reveal."""
        query = select(recordings.c.id).where(recordings.c.epoch == name, recordings.c.lane.in_(("sample", "campaign")))
        return list(await self._database.read(lambda connection: connection.execute(query).scalars().all()))


def stored_epoch(connection: Connection, name: str) -> StoredEpoch:
    """One epoch. Raises EpochUnknown."""
    return _epoch(_row(connection, name))


def open_row(connection: Connection, name: str) -> Row[Any]:
    """The row of an epoch in which legs may be entered now. Raises EpochStep for any other."""
    row = connection.execute(select(epochs).where(epochs.c.name == name)).one_or_none()
    if row is None or row.state != EpochState.OPENED:
        raise EpochStep("epoch isn't open")
    return row


def turn_day(connection: Connection, row: Row[Any], day: int) -> int:
    """Log each midnight since the last one that was; the day that counts, which never goes back."""
    last, day = int(row.day or 0), min(day, LAST_DAY)
    for index in range(last + 1, day + 1):
        append(connection, row.origin, Day(e=row.name, i=index))
    if day > last:
        connection.execute(update(epochs).where(epochs.c.name == row.name).values(day=day))
    return max(last, day)


def _move(connection: Connection, row: Row[Any], new: EpochState, **values: Any) -> None:
    old = EpochState(row.state)
    if new not in NEXT[old]:
        raise EpochStep(f"epoch is `{old}` and can't become `{new}`")
    connection.execute(update(epochs).where(epochs.c.name == row.name).values(state=new.value, **values))


def _row(connection: Connection, name: str) -> Row[Any]:
    row = connection.execute(select(epochs).where(epochs.c.name == name)).one_or_none()
    if row is None:
        raise EpochUnknown("nobody has committed to this epoch")
    return row


def _cosigned(connection: Connection, origin: str, index: int) -> Row[Any] | None:
    """The first cosignature of a checkpoint that holds the entry at `index`."""
    query = select(cosignatures).where(cosignatures.c.origin == origin, cosignatures.c.size > index)
    return connection.execute(query.order_by(cosignatures.c.id).limit(1)).first()


def _unfinished(connection: Connection, name: str) -> bool:
    query = select(legs.c.id).where(legs.c.e == name, legs.c.kind != "x", legs.c.o.is_(None)).limit(1)
    return connection.execute(query).first() is not None


def _roster(row: Row[Any]) -> tuple[RosterLeaf, ...]:
    return tuple(RosterLeaf(leaf["a"], leaf["group"], Phase(leaf["phase"])) for leaf in row.roster or ())


def _epoch(row: Row[Any]) -> StoredEpoch:
    return StoredEpoch(
        name=row.name,
        origin=row.origin,
        state=EpochState(row.state),
        start=row.starts_at,
        end=row.ends_at,
        c=bytes(row.c),
        csig=row.csig,
        h=None if row.h is None else bytes(row.h),
        host=None if row.host_secret is None else bytes(row.host_secret),
        council=None if row.council_secret is None else bytes(row.council_secret),
        roster=_roster(row),
        committed_index=row.committed_index,
        day=row.day or 0,
        closed_at=row.closed_at,
        revealed_index=row.revealed_index,
        acts=row.acts or 0,
        listed=listed(row.figures),
    )
