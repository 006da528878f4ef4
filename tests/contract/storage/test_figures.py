"""Counters of a month: written with a leg's `out` and a recording's end, over both databases; never a person's."""

from datetime import date, timedelta
from secrets import token_hex

from sqlalchemy import inspect, select

from policy.decision import Rule
from policy.statistics import AnswerCount, LegCount
from policy.terms import Lane, Purpose
from storage.errors import EntryState
from storage.figures import Answered, Figures, What
from storage.legs import LegEntry
from storage.names import SegmentKey
from storage.recordings import State
from storage.tables import figures
from tests.peers.opened_epoch import open_epoch
from tests.peers.stored import AT, DAY, ORIGIN, TOLD, Folder, begin, open_side, pseudonym, ruled

ALWAYS = Rule(Lane.SAMPLE, Purpose.COACHING, 1_000_000, "sample/team-a/regular")
NAME = "sample/regular/team-a"
M = bytes(32)
FIRST, AFTER = date(2026, 4, 1), date(2026, 5, 1)
YES, NO = Answered(ORIGIN, "dtmf", What.YES), Answered(ORIGIN, "agent_key", What.NO)


def week_of(day: date) -> str:
    return f"{day:%G-W%V}"


async def entered(folder: Folder, agent: int = 1, *, day: date = DAY, name: str | None = NAME, drawn=True) -> LegEntry:
    epoch = week_of(day)
    await open_epoch(folder.epochs, epoch)
    leg = await folder.legs.enter(
        epoch=epoch, pseudonym=pseudonym(agent), rule=0, queue="q", commitment=M, day=day, rule_name=name
    )
    await folder.legs.admit(leg, drawn=drawn, ruled=ruled(ALWAYS))
    return leg


async def counters(folder: Folder) -> list[tuple[object, ...]]:
    query = select(figures).order_by(*figures.c)
    return await folder.database.read(lambda connection: [tuple(row) for row in connection.execute(query)])


async def test_answers_are_counted_with_the_out_and_for_hits_only(folder):
    for answered in (YES, YES, NO, None):
        await folder.legs.out(await entered(folder), TOLD, answered)
    await folder.legs.out(await entered(folder, drawn=False), TOLD, NO)
    await folder.legs.out(await entered(folder, name=None), TOLD, YES)
    assert await counters(folder) == [
        ("2026-04", "hamburg", NAME, "agent_key", "no", 1),
        ("2026-04", "hamburg", NAME, "dtmf", "yes", 2),
    ]


async def test_a_second_out_counts_nothing(folder):
    leg = await entered(folder)
    await folder.legs.out(leg, TOLD, YES)
    try:
        await folder.legs.out(leg, TOLD, YES)
    except EntryState:
        assert [row[-1] for row in await counters(folder)] == [1]
    else:
        raise AssertionError("a second `out` was taken")


async def kept(folder: Folder, identity, *, discard: bool = False, crash: bool = False) -> State:
    """A recording from its begin to its end; its leg is of the rule."""
    recording = token_hex(16)
    leg = await begin(folder, recording, identity)
    await folder.database.write(
        lambda connection: (
            connection.exec_driver_sql(f"UPDATE legs SET rule = '{NAME}' WHERE id = {leg.entry}").rowcount
        )
    )
    await folder.legs.admit(leg, drawn=True, ruled=ruled(ALWAYS))
    key = SegmentKey(recording, 1, "agent")
    side = await open_side(folder, key, identity)
    await folder.recordings.seal(recording, 1, "agent", side.finish(), "normal")
    if discard:
        await folder.recordings.intend_discard(recording, AT)
    elif crash:
        await folder.recordings.close_crashed(recording, AT)
    else:
        await folder.recordings.close(recording, AT)
        await folder.recordings.close(recording, AT)
    await folder.legs.out(leg, TOLD)
    return (await folder.recordings.get(recording)).state


async def test_a_recording_is_counted_once_when_it_is_kept(folder, identity):
    assert await kept(folder, identity) is State.KEPT
    assert await kept(folder, identity, crash=True) is State.INTERRUPTED
    assert await kept(folder, identity, discard=True) is State.DISCARDING
    assert await counters(folder) == [("2026-04", "hamburg", NAME, "", "kept", 2)]
    counts = await Figures(folder.database).of(FIRST, AFTER)
    assert counts is not None and counts.kept == {NAME: 2}


async def test_a_month_is_its_local_days_and_nothing_else(folder):
    for day in (FIRST - timedelta(days=1), FIRST, AFTER - timedelta(days=1), AFTER):
        await folder.legs.out(await entered(folder, day=day), TOLD, YES)
    await folder.legs.out(await entered(folder, 2, day=FIRST, drawn=False), TOLD)
    counts = await Figures(folder.database).of(FIRST, AFTER)
    assert counts is not None
    assert set(counts.legs) == {
        LegCount(NAME, week_of(FIRST), pseudonym(1), "hit", 1),
        LegCount(NAME, week_of(AFTER), pseudonym(1), "hit", 1),
        LegCount(NAME, week_of(FIRST), pseudonym(2), "no", 1),
    }  # fmt: skip
    assert counts.answers == (AnswerCount(NAME, "hamburg", "dtmf", "yes", 2),)


async def test_a_month_with_an_open_leg_or_recording_is_not_told(folder, identity):
    source = Figures(folder.database)
    leg = await entered(folder)
    assert await source.of(FIRST, AFTER) is None
    await folder.legs.out(leg, TOLD)
    assert await source.of(FIRST, AFTER) is not None
    recording = token_hex(16)
    late = await begin(folder, recording, identity)
    await folder.legs.admit(late, drawn=True, ruled=ruled(ALWAYS))
    await folder.legs.out(late, TOLD)
    assert await source.of(FIRST, AFTER) is None
    assert await source.of(AFTER, date(2026, 6, 1)) is not None
    await folder.recordings.close(recording, AT)
    assert await source.of(FIRST, AFTER) is not None


async def test_a_counter_has_no_room_for_a_person_or_a_time(folder):
    columns = await folder.database.read(
        lambda connection: {column["name"] for column in inspect(connection).get_columns("figures")}
    )
    assert columns == {"month", "site", "rule", "channel", "what", "total"}
