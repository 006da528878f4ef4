"""One of eight agents always refuses, for a year or two: a council with all its data does no better than chance.

It knows whose each pseudonym is, so everybody's hits; that exactly one refuses; how often callers say yes. Where every
caller says yes, what it is ever given is the same to the byte count whichever of them it is, through the real ledger of
epochs. Where callers refuse, too, it takes what the likelihood says of the figure that is told of each block.
"""

import math
import random
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from policy.agreement.schema import StatisticsTerms
from policy.kept import Share, kept_fifths
from policy.log_block import LogBlock, first_day
from policy.log_entry import Call, EClose, Out, encode, parse
from policy.month import Month
from policy.statistics import publish
from storage.consents import Consents
from storage.epoch_figures import inventory
from storage.figures import Figures
from storage.log.wal import open_log
from storage.retention import erase_due
from storage.roster import NewAgent
from storage.tables import block_shares, epochs, log_wal, recordings
from tests.peers.filled_epoch import RULE, Had, fill
from tests.peers.opened_epoch import LIMITS, epoch_named
from tests.peers.stored import AT, open_folder

AGENTS = 8
WEEKS = [f"{day:%G-W%V}" for day in (date(2026, 3, 30) + timedelta(days=7 * week) for week in range(53))]
"""From the first day of a block: four of them, one with 14 weeks."""
MONTH = re.compile(r"20\d\d-\d\d")
PLACES = (("hamburg", "dtmf"),)
SALTED = frozenset({"c", "m", "h", "csig", "cosig", "root", "roster", "a"})
"""Fields of 32 random bytes each, signatures over them, and pseudonyms, which say no more than whose they are."""


@pytest.fixture
async def year(tmp_path: Path):
    """Plays the year anew for each agent who may refuse it."""
    dice = random.Random(11)
    rates = [dice.uniform(0.5, 3.0) for _ in range(AGENTS)]
    drawn = {week: [sum(dice.random() < rate / 8 for _ in range(8)) for rate in rates] for week in WEEKS}
    (tmp_path / "start").mkdir()
    folder = await open_folder(tmp_path / "start")
    for number in range(AGENTS):
        await folder.roster.add(NewAgent(f"Agent {number}", "team-a", "hamburg"), AT)
    origins = sorted({str(LogBlock.of_day("hamburg", first_day(week))) for week in WEEKS})

    def begin(connection: Connection) -> None:
        for origin in origins:
            open_log(connection, origin)

    await folder.database.write(begin)
    await folder.database.close()

    async def play(refuses: int) -> list[object]:
        root = tmp_path / f"world-{refuses}"
        shutil.copytree(tmp_path / "start", root)
        return await everything_told(root, drawn, refuses)

    return play, drawn


async def everything_told(root: Path, drawn: dict[str, list[int]], refuses: int) -> list[object]:
    """What council, employer, officer and log get of the year but for what is salted, in its order."""
    folder = await open_folder(root, migrate=False)
    agents = sorted(await folder.roster.list(), key=lambda agent: agent.name)
    consents, told = Consents(folder.database), list[object]()
    for week in WEEKS:
        origin, end = str(LogBlock.of_day("hamburg", first_day(week))), epoch_named(week).end
        kept = [0 if number == refuses else hits for number, hits in enumerate(drawn[week])]
        had = [Had(*one, others=2, channel="dtmf") for one in zip(agents, drawn[week], kept, strict=True)]
        await fill(folder, origin, week, had)
        assert await folder.epochs.close(week, LIMITS, end)
        await folder.epochs.reveal(week)
        leaves = await folder.database.read(partial(inventory, name=week))
        assert leaves is not None
        told.append((week, len(leaves), {len(leaf) for leaf in leaves}))
        told.append((week, await folder.database.read(block_in_a_copy)))
        if week in WEEKS[:4]:  # recordings last for 14 days
            await erase_due(folder.recordings, consents, end)
    query = select(log_wal.c.leaf).order_by(log_wal.c.origin, log_wal.c.idx)
    for leaf in await folder.database.read(lambda connection: connection.execute(query).scalars().all()):
        entry = parse(bytes(leaf))
        open_fields = {one.name: getattr(entry, one.name) for one in fields(entry) if one.name not in SALTED}
        told.append((entry.t, open_fields, len(encode(entry))))
    figures, month = Figures(folder.database), Month(date(2026, 4, 1))
    while month.after <= epoch_named(WEEKS[-1]).end.date():
        counts = await figures.of(month.first, month.after)
        assert counts is not None
        statistics = publish(
            counts, await figures.of_quarter(month.quarter), LIMITS, of_quarter=LIMITS, rules=[RULE], channels=PLACES
        )
        told.append((str(month), statistics, await figures.kept_by(month.after)))
        month = Month(month.after)
    left = select(recordings.c.id)
    assert await folder.database.read(lambda connection: connection.execute(left).all())  # so the worlds do differ
    await folder.database.close()
    return told


def block_in_a_copy(connection: Connection) -> list[object]:
    """What a copy of the database has of a block under way, for whoever hasn't the vault: how long it is."""
    sealed = connection.execute(select(block_shares).order_by(block_shares.c.origin)).all()
    closed = connection.execute(select(epochs.c.figures).order_by(epochs.c.name)).scalars().all()
    figures = [{name: value for name, value in one.items() if name != "leaves"} for one in closed if one is not None]
    return [[(row.origin, len(row.key), len(row.sealed)) for row in sealed], figures]


@pytest.mark.timeout(300)
async def test_a_year_of_all_that_is_told_is_the_same_whoever_refuses(year):
    play, drawn = year
    worlds = {refuses: await play(refuses) for refuses in (0, 3, 7)}
    first = worlds[0]
    assert all(len(told) == len(first) for told in worlds.values())
    for told in worlds.values():
        for one, other in zip(first, told, strict=True):
            assert one == other
    closed = [entry for entry in first if isinstance(entry, tuple) and entry[0] == EClose.t]
    assert len(closed) == len(WEEKS)
    assert [entry[1]["kept"] for entry in closed if entry[1]["kept"] is not None] == [4] * 4
    assert sum(entry[0] in (Call.t, Out.t) for entry in first if isinstance(entry, tuple)) > 2000
    rates = [one[1].channels[0].yes_percent for one in first if isinstance(one, tuple) and MONTH.fullmatch(one[0])]
    assert set(rates) == {None, 100}
    # what was told before, the count of each epoch, names each of them
    for refuses in worlds:
        before = [sum(hits) - hits[refuses] for hits in drawn.values()]
        fits = [sum(hits) - hits[who] for who in range(AGENTS) for hits in drawn.values()]
        rows = [fits[who * len(WEEKS) : (who + 1) * len(WEEKS)] for who in range(AGENTS)]
        assert [who for who, row in enumerate(rows) if row == before] == [refuses]


# --- the game over many sites, where callers refuse, too --------------------------------------------------------------


@dataclass(frozen=True)
class Figure:
    """What is told of a block, and by candidate who refuses: mean and variance of the share behind it."""

    told: Callable[[Sequence[Share]], float | None]
    law: Callable[[Sequence[int], int, float], tuple[float, float]]
    edges: Callable[[float, Sequence[int]], tuple[float, float]]
    """The shares that are told so."""


def mean_law(hits: Sequence[int], who: int, yes: float) -> tuple[float, float]:
    others = [one for place, one in enumerate(hits) if one and place != who]
    count = sum(one > 0 for one in hits)
    return yes * len(others) / count, yes * (1 - yes) * sum(1 / one for one in others) / count**2


def sum_law(hits: Sequence[int], who: int, yes: float) -> tuple[float, float]:
    others, total = sum(hits) - hits[who], sum(hits)
    return yes * others / total, yes * (1 - yes) * others / total**2


def in_fifths(told: float, _: Sequence[int]) -> tuple[float, float]:
    return (told / 5 if told else -math.inf), ((told + 1) / 5 if told < 4 else math.inf)


OURS = Figure(lambda shares: kept_fifths(shares, StatisticsTerms(5, 20)), mean_law, in_fifths)
SITE_IN_FIFTHS = Figure(
    lambda shares: min(4, 5 * sum(one.kept for one in shares) // sum(one.hits for one in shares)), sum_law, in_fifths
)
"""What a figure of the site would be without every agent weighing the same."""
COUNT = Figure(
    lambda shares: sum(one.kept for one in shares),
    sum_law,
    lambda told, hits: ((told - 0.5) / sum(hits), (told + 0.5) / sum(hits)),
)
"""As it was told before, though only once in 13 weeks."""


def mean_of(shares: Sequence[Share]) -> float | None:
    """Without a word of names; None where fewer than two agents had a hit."""
    found = [one.kept / one.hits for one in shares if one.hits]
    return sum(found) / len(found) if len(found) > 1 else None


def mean_in_fifths(shares: Sequence[Share]) -> int | None:
    mean = mean_of(shares)
    return None if mean is None else min(4, int(5 * mean + 1e-9))


BETWEEN_COPIES = Figure(mean_of, mean_law, lambda told, _: (told - 0.02, told + 0.02))
"""What a sum that grows by each week's shares, and a number of agents, would give who compares two copies."""
FIFTHS_BETWEEN_COPIES = Figure(mean_in_fifths, mean_law, in_fifths)
"""The same, as coarse as what a block's end tells."""


def noisy(scale: float) -> Figure:
    """The same with so much noise in each week's."""
    dice = random.Random(2027)

    def told(shares: Sequence[Share]) -> float | None:
        mean = mean_of(shares)
        return None if mean is None else mean + dice.gauss(0, scale)

    def law(hits: Sequence[int], who: int, yes: float) -> tuple[float, float]:
        mean, variance = mean_law(hits, who, yes)
        return mean, variance + scale**2

    return Figure(told, law, BETWEEN_COPIES.edges)


def likelihood(figure: Figure, told: float, hits: Sequence[int], who: int, yes: float) -> float:
    (mean, variance), (low, high) = figure.law(hits, who, yes), figure.edges(told, hits)
    if variance < 1e-12:
        return 1.0 if low - 1e-9 <= mean < high - 1e-9 else 1e-12
    scale = math.sqrt(2 * variance)
    return max((math.erf((high - mean) / scale) - math.erf((low - mean) / scale)) / 2, 1e-12)


def named(figure: Figure, *, yes: float, a_week: float, blocks: int, games: int = 500, weeks: int = 13) -> float:
    """How often the likeliest agent is the one who refuses; those as likely share the guess.

    A figure is told once in so many `weeks`.
    """
    dice, right = random.Random(2026), 0.0
    for _ in range(games):
        rates = [a_week * dice.uniform(0.4, 1.6) for _ in range(AGENTS)]
        refuses, logs = dice.randrange(AGENTS), [0.0] * AGENTS
        for _ in range(blocks):
            hits = [sum(dice.random() < rate / 10 for _ in range(10 * weeks)) for rate in rates]
            kept = [sum(dice.random() < yes for _ in range(one)) for one in hits]
            kept[refuses] = 0
            told = figure.told([Share(*one) for one in zip(hits, kept, strict=True)])
            if told is not None:
                for who in range(AGENTS):
                    logs[who] += math.log(likelihood(figure, told, hits, who, yes))
        likeliest = [who for who, log in enumerate(logs) if log > max(logs) - 1e-9]
        right += (refuses in likeliest) / len(likeliest)
    return right / games


CHANCE = 1 / AGENTS
MARGIN = 4 * math.sqrt(CHANCE * (1 - CHANCE) / 500)
"""Four standard errors of 500 games."""
ON_AN_EDGE = 0.4 / (1 - CHANCE)
"""The callers' rate at which the figure is told now so, now so: where it tells most."""


@pytest.mark.parametrize("blocks", [4, 8])
@pytest.mark.parametrize("a_week", [1.0, 4.0])
@pytest.mark.parametrize("yes", [1.0, 0.6, ON_AN_EDGE])
def test_what_a_block_tells_names_nobody(yes, a_week, blocks):
    assert named(OURS, yes=yes, a_week=a_week, blocks=blocks) <= CHANCE + MARGIN


@pytest.mark.parametrize(("figure", "yes"), [(SITE_IN_FIFTHS, ON_AN_EDGE), (COUNT, 1.0), (COUNT, 0.6)])
def test_the_same_council_names_the_agent_by_what_isnt_told(figure, yes):
    """So the game can be lost."""
    assert named(figure, yes=yes, a_week=4.0, blocks=8, games=150) > 2 * CHANCE


@pytest.mark.parametrize(
    ("figure", "yes"), [(BETWEEN_COPIES, 1.0), (BETWEEN_COPIES, 0.6), (FIFTHS_BETWEEN_COPIES, 1.0)]
)
def test_a_sum_that_grows_in_the_open_would_name_the_agent_to_who_keeps_copies(figure, yes):
    """So shares are sealed until the block ends (`storage.block_shares`)."""
    assert named(figure, yes=yes, a_week=1.0, blocks=52, games=150, weeks=1) > 4 * CHANCE


def test_noise_that_spoils_the_figure_would_not_hide_the_agent():
    """Half in each week: after 13 of them the mean is off by 0.14, most of a fifth."""
    assert named(noisy(0.5), yes=1.0, a_week=1.0, blocks=52, games=150, weeks=1) > 4 * CHANCE
