"""Counters of a month: written with a leg's `out`, over both databases; never a person's."""

from datetime import date, timedelta
from secrets import token_hex

from sqlalchemy import inspect, select

from policy.decision import Rule
from policy.kept import BlockKept
from policy.month import Month
from policy.statistics import AnswerCount, LegCount
from policy.terms import Lane, Purpose
from storage.errors import EntryState
from storage.figures import Answered, Figures, What
from storage.legs import LegEntry
from storage.tables import figures
from tests.peers.filled_epoch import Had, fill
from tests.peers.opened_epoch import LIMITS, epoch_named, open_epoch
from tests.peers.stored import AT, DAY, ORIGIN, TOLD, Folder, add_agent, begin, pseudonym, ruled

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


async def test_a_quarter_is_three_months_of_answers_and_hits(folder):
    april = Month(FIRST)
    months = (april, Month.of(april.after), Month.of(Month.of(april.after).after))
    for month in (april.before, *months, Month.of(months[-1].after)):
        await folder.legs.out(await entered(folder, day=month.first), TOLD, YES)
    await folder.legs.out(await entered(folder, day=months[1].first), TOLD, NO)
    await folder.legs.out(await entered(folder, day=months[1].first, drawn=False), TOLD, NO)
    found = await Figures(folder.database).of_quarter(months)
    assert found.hits == 4
    assert set(found.answers) == {
        AnswerCount("hamburg", "dtmf", "yes", 3), AnswerCount("hamburg", "agent_key", "no", 1)
    }  # fmt: skip


async def test_what_a_block_told_is_told_with_the_month_in_which_it_ended_and_on(folder):
    agents = [await folder.roster.get(await add_agent(folder, f"Agent {number}")) for number in range(5)]
    for week, kept in (("2026-W26", 4), ("2026-W39", 2)):
        origin = f"hamburg/fairtap/2026-{int(week[-2:]) - 12}"
        await fill(folder, origin, week, [Had(one, hits=4, kept=kept) for one in agents])
        await folder.epochs.close(week, LIMITS, epoch_named(week).end)
    told = [await Figures(folder.database).kept_by(date(2026, month, 1)) for month in (6, 7, 9, 10)]
    first, second = BlockKept("hamburg/fairtap/2026-14", 4), BlockKept("hamburg/fairtap/2026-27", 2)
    assert told == [None, first, first, second]


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
