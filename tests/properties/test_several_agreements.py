"""Whatever agreements are in force, whatever acts come between legs: no rule of any of them is ever exceeded.

The gateway's own ledger enters the legs; the council's verifier must then say the same of every one of them.
"""

import asyncio
import shutil
import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from council.folder import LogFolder
from council.verify import Asked, verify
from policy.epochs import roster_root
from tests.peers.several_agreements import LINES, QUEUES, SITES, STAFF, Counts, Played, Step, Terms, play
from tests.peers.stored import open_folder

RULES = ("V4", "V5", "V6", "V7", "V9")
"""What of the verifier's checks is about legs and rules."""


def some(names: tuple[str, ...], least: int = 1):
    """Some of these, in any order."""
    return st.permutations(names).flatmap(
        lambda names: st.integers(least, len(names)).map(lambda count: tuple(names[:count]))
    )


def rates(lines: tuple[str, ...]):
    """High ones, so that a ceiling is soon in the way."""
    return st.fixed_dictionaries(
        {line: st.sampled_from((30, 40) if "onboarding" in line else (10, 17)) for line in lines}
    )


def terms(number: int):
    campaign = st.none() | st.tuples(st.just(QUEUES[0]), st.just(0), st.sampled_from((1, 4)))
    return st.builds(
        Terms,
        id=st.just(f"bv-{number}"),
        sites=st.just(SITES) | some(SITES),
        queues=some(QUEUES, least=2),
        excluded=st.just(()) | some(QUEUES[1:]),
        rates=some(LINES, least=2).flatmap(rates),
        campaign=campaign,
        per_week=st.sampled_from((99, 99, 99, 4)),
    ).map(consistent)


def consistent(one: Terms) -> Terms:
    """Nothing that the loader refuses: a queue is in or out, campaign and rates together stay below the ceiling."""
    excluded = tuple(queue for queue in one.excluded if queue not in one.queues)
    return Terms(one.id, one.sites, one.queues, excluded, one.rates, campaign_of(one), one.per_week)


def campaign_of(one: Terms):
    if one.campaign is None or one.campaign[0] not in one.queues:
        return None
    regular = [rate for line, rate in one.rates.items() if "regular" in line]
    return one.campaign[0], 20 - max(regular), one.campaign[2]


def steps(seed: int) -> list[Step]:
    """Legs of everybody from everywhere, with an act or a kill among them now and then: thrown, so that they vary."""
    dice = Random(seed)
    kinds = dice.choices(("leg", "lower", "drop", "kill"), (30, 1, 1, 1), k=100)
    return [
        Step(kind, dice.randrange(len(STAFF)), dice.choice(QUEUES), dice.randrange(3), dice.randrange(3))
        for kind in kinds
    ]


@pytest.fixture(scope="session")
def empty(tmp_path_factory) -> Path:
    """A database with every table and no row."""
    root = tmp_path_factory.mktemp("empty")

    async def make() -> None:
        await (await open_folder(root)).database.close()

    asyncio.run(make())
    return root / "fairtap.db"


def played(empty: Path, root: Path, agreements: list[Terms], then: list[Step]) -> tuple[Played, Counts]:
    async def run() -> tuple[Played, Counts]:
        shutil.copy(empty, root / "fairtap.db")
        folder = await open_folder(root, migrate=False)
        try:
            return await play(folder, agreements, then)
        finally:
            await folder.database.close()

    return asyncio.run(run())


def said(found: Played) -> list[str]:
    """What the council's verifier finds in legs, rules and counts."""
    rosters = {roster_root(found.roster).hex(): found.roster}
    asked = Asked(LogFolder(found.folder), found.origin, found.key, acts=found.posts, rosters=rosters)
    findings = verify(asked).findings.kept
    return [f"{one.code.value} {one.place}" for one in findings if one.code.value.startswith(RULES)]


def alike(queues: tuple[str, ...], percent: int, name: str) -> Terms:
    return Terms(name, SITES, queues, (), {LINES[0]: percent})


@example(agreements=(alike(QUEUES[:2], 50, "bv-0"), alike(QUEUES, 30, "bv-1")), then=steps(1))
@example(agreements=(alike(QUEUES, 50, "bv-0"), alike(QUEUES[:2], 30, "bv-1")), then=steps(2))
@given(
    agreements=st.integers(2, 3).flatmap(lambda count: st.tuples(*map(terms, range(count)))),
    then=st.integers(0, 1 << 32).map(steps),
)
# every example has a disk and dice of its own: found again smaller it would be another one
@settings(max_examples=7, phases=(Phase.explicit, Phase.generate))
def test_no_rule_of_any_agreement_is_exceeded_and_the_verifier_agrees_on_every_leg(empty, agreements, then):
    with tempfile.TemporaryDirectory(prefix="fairtap-test-") as root:
        found, counts = played(empty, Path(root), list(agreements), then)
        assert list(counts.exceeded(found.entries)) == []
        assert said(found) == []
