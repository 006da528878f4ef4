"""Epochs in database and log: one commitment, one order of steps, dense entries, days, counts, secrets that go."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from crypto.draw import epoch_commitment
from policy.decision import Rule
from policy.epochs import EpochState, RosterLeaf, roster_root
from policy.log_entry import (
    Call,
    Counted,
    Day,
    EClose,
    ECommit,
    Entry,
    EOpen,
    Halt,
    Out,
    Reveal,
    X,
    parse,
)
from policy.terms import Lane, Phase, Purpose
from storage.errors import EpochStep, EpochUnknown
from storage.legs import LegEntry, XKind
from storage.tables import epochs as table
from storage.tables import log_wal
from tests.peers.opened_epoch import LIMITS, SHARE, cosigned, epoch_named, open_epoch, promise
from tests.peers.stored import DAY, EPOCH, ORIGIN, TOLD, Folder, enter, pseudonym, ruled

S = EpochState
M = bytes(32)
ALWAYS = Rule(Lane.SAMPLE, Purpose.COACHING, 1_000_000, "sample/team-a/regular")
AT = epoch_named(EPOCH).end
LEAVES = [RosterLeaf(pseudonym(number), f"team-{'ab'[number % 2]}", Phase.REGULAR) for number in range(4)]


async def entries(folder: Folder, origin: str = ORIGIN) -> list[Entry]:
    query = select(log_wal.c.leaf).where(log_wal.c.origin == origin).order_by(log_wal.c.idx)
    rows = await folder.database.read(lambda connection: connection.execute(query).scalars().all())
    return [parse(bytes(leaf)) for leaf in rows]


async def over(folder: Folder, leg: LegEntry, *, drawn: bool = True) -> None:
    await folder.legs.admit(leg, drawn=drawn, ruled=ruled(ALWAYS))
    await folder.legs.out(leg, TOLD)


async def test_an_epoch_goes_from_commitment_to_reveal_and_the_log_tells_all_of_it(folder):
    row = await open_epoch(folder.epochs, EPOCH, LEAVES)
    assert row.host is not None and row.h == epoch_commitment("host", ORIGIN, EPOCH, row.host)
    assert (row.council, row.state, len(row.roster)) == (SHARE, S.OPENED, 4)
    legs = [await enter(folder, number) for number in (0, 1, 2, 2)]
    for number, leg in enumerate(legs):
        await over(folder, leg, drawn=number % 2 == 0)
    await folder.legs.enter_x(EPOCH, XKind.UNCLAIMED)
    assert await folder.epochs.close(EPOCH, LIMITS, AT)
    await folder.epochs.reveal(EPOCH)
    told = await entries(folder)
    commit = told[0]
    assert isinstance(commit, ECommit) and isinstance(told[1], EOpen)
    assert (commit.h, commit.c) == (row.h.hex(), row.c.hex())
    assert (commit.roster, commit.n, commit.policy) == (roster_root(LEAVES).hex(), 4, "a" * 64)
    assert [type(entry) for entry in told[2:]] == [Call] * 4 + [Out] * 4 + [X, EClose, Reveal]
    assert [(entry.a, entry.n) for entry in told if isinstance(entry, Call)] == [
        (pseudonym(0), 1), (pseudonym(1), 1), (pseudonym(2), 1), (pseudonym(2), 2),
    ]  # fmt: skip
    assert [entry.o for entry in told if isinstance(entry, Out)] == ["hit", "no", "hit", "no"]
    closed = next(entry for entry in told if isinstance(entry, EClose))
    assert closed.groups == {"team-a": Counted(3, 2), "team-b": Counted(1, 0)}
    assert closed.x == {"protected": 0, "unknown": 0, "unclaimed": 1}
    assert told[-1] == Reveal(EPOCH, row.host.hex(), SHARE.hex())
    after = await folder.epochs.get(EPOCH)
    assert (after.state, after.host, after.council) == (S.REVEALED, None, None)
    assert await folder.epochs.live() == {}


async def test_there_is_one_commitment_for_an_epoch(folder):
    epoch = epoch_named(EPOCH)
    await promise(folder.epochs, epoch)
    await promise(folder.epochs, epoch)  # the same again is harmless
    with pytest.raises(EpochStep, match="one for each"):
        await promise(folder.epochs, epoch, share=bytes(32))
    await folder.epochs.commit(EPOCH, LEAVES, [], "a" * 64)
    with pytest.raises(EpochStep):
        await folder.epochs.commit(EPOCH, LEAVES, [], "a" * 64)
    with pytest.raises(EpochUnknown):
        await folder.epochs.commit("2026-W16", LEAVES, [], "a" * 64)
    assert [type(entry) for entry in await entries(folder)] == [ECommit]


async def test_only_the_committed_share_opens_and_only_under_a_cosigned_checkpoint(folder):
    epoch = epoch_named(EPOCH)
    origin = await promise(folder.epochs, epoch)
    with pytest.raises(EpochStep, match="committed"):
        await folder.epochs.open(EPOCH, SHARE, 0)
    await folder.epochs.commit(EPOCH, LEAVES, [], "a" * 64)
    at = (await folder.epochs.get(EPOCH)).committed_index
    for size in (None, at):
        if size is not None:
            await cosigned(folder.epochs, origin, epoch.start, size)  # one entry short
        with pytest.raises(EpochStep, match="cosigned"):
            await folder.epochs.open(EPOCH, SHARE, 0)
    await cosigned(folder.epochs, "hamburg/fairtap/2026-27", epoch.start)  # another log's
    with pytest.raises(EpochStep, match="cosigned"):
        await folder.epochs.open(EPOCH, SHARE, 0)
    await cosigned(folder.epochs, origin, epoch.start, at + 1)
    with pytest.raises(EpochStep, match="open the epoch"):
        await folder.epochs.open(EPOCH, bytes(32), 0)
    await folder.epochs.open(EPOCH, SHARE, 0)
    await folder.epochs.open(EPOCH, SHARE, 0)  # the answer may have been lost
    assert [type(entry) for entry in await entries(folder)] == [ECommit, EOpen]


@pytest.mark.parametrize("state", [state for state in S if state is not S.OPENED])
async def test_legs_are_entered_in_an_open_epoch_alone(folder, state):
    if state is not S.NONE:
        await open_epoch(folder.epochs, EPOCH)
        await folder.database.write(lambda c: c.execute(update(table).values(state=state.value)).rowcount)
    before = len(await entries(folder))
    with pytest.raises(EpochStep):
        await folder.legs.enter(epoch=EPOCH, pseudonym=pseudonym(1), rule=0, queue="q", commitment=M, day=DAY)
    with pytest.raises(EpochStep):
        await folder.legs.enter_x(EPOCH, XKind.UNKNOWN)
    assert len(await entries(folder)) == before


async def test_midnights_stand_before_the_first_leg_after_them_and_never_go_back(folder):
    monday = epoch_named(EPOCH).start.date()
    for days in (0, 0, 2, 1, 3):
        await enter(folder, day=monday + timedelta(days=days))
    await folder.epochs.turn_day(EPOCH, 3)
    await folder.epochs.turn_day(EPOCH, 4)
    told = (await entries(folder))[2:]
    assert [entry.i if isinstance(entry, Day) else "leg" for entry in told] == [
        "leg",
        "leg",
        1,
        2,
        "leg",
        "leg",
        3,
        "leg",
        4,
    ]
    assert (await folder.epochs.get(EPOCH)).day == 4


async def test_a_wish_is_logged_in_a_dark_epoch_too(folder):
    wish = await folder.legs.enter_wish(
        origin=ORIGIN, epoch=EPOCH, pseudonym=pseudonym(1), commitment=M, day=DAY, lane=Lane.AGENT_REQUEST
    )
    await folder.legs.out(wish, TOLD)
    assert [entry.t for entry in await entries(folder)] == ["wish", "out"]


async def test_an_epoch_waits_for_the_last_out(folder):
    leg = await enter(folder)
    assert not await folder.epochs.close(EPOCH, LIMITS, AT)
    await over(folder, leg)
    assert await folder.epochs.close(EPOCH, LIMITS, AT)
    with pytest.raises(EpochStep):
        await folder.epochs.close(EPOCH, LIMITS, AT)


async def test_an_epoch_that_ends_early_says_so(folder):
    await open_epoch(folder.epochs, EPOCH)
    assert await folder.epochs.close(EPOCH, LIMITS, AT, halted=True)
    assert [type(entry) for entry in await entries(folder)][2:] == [Halt, EClose]


async def test_an_epoch_that_was_never_opened_leaves_no_secret(folder):
    await promise(folder.epochs, epoch_named(EPOCH))
    await folder.epochs.commit(EPOCH, LEAVES, [], "a" * 64)
    await folder.epochs.move(EPOCH, S.DARK)
    row = await folder.epochs.get(EPOCH)
    assert (row.state, row.host, row.council) == (S.DARK, None, None)
    with pytest.raises(EpochStep):
        await folder.epochs.reveal(EPOCH)


async def test_a_share_is_printed_nowhere(folder):
    row = await open_epoch(folder.epochs, EPOCH)
    assert SHARE.hex() not in repr(row) and str(SHARE) not in repr(row)
    assert replace(row).leaf("0" * 32) is None
