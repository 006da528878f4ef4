"""The life of an epoch: which step may follow which, when, and what its roster's root is made of."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from crypto.errors import CryptoError
from policy.agreement.schema import Agreement
from policy.draw_rules import Epoch, epoch_of
from policy.epochs import (
    AHEAD,
    NEXT,
    EpochState,
    RosterLeaf,
    Step,
    commit_due,
    day_index,
    following,
    frozen,
    horizon,
    in_roster_order,
    place_in,
    preceding,
    roster_root,
    step_due,
    witnessed,
)
from policy.terms import Phase
from tests.unit.policy.green import agreement, example

S = EpochState
NOW = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)  # Wednesday of week 10
WEEK = epoch_of(example(), NOW)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(scope="module")
def demo() -> Agreement:
    return agreement(demo="yes", draw__epoch="PT10M", lanes__sample__caps={"per_agent": {}})


def test_every_state_is_reached_from_the_first_and_ends_somewhere():
    reached, new = set(), {S.NONE}
    while new:
        reached |= new
        new = {after for state in new for after in NEXT[state]} - reached
    assert reached == set(EpochState) == set(NEXT)
    assert {state for state in S if not NEXT[state]} == {S.REVEALED, S.SHREDDED, S.DARK}
    assert not any(S.OPENED in NEXT[state] for state in S if state is not S.COMMITTED)


def test_neighbours_touch():
    assert following(example(), preceding(example(), WEEK)) == WEEK
    assert (preceding(example(), WEEK).end, following(example(), WEEK).start) == (WEEK.start, WEEK.end)


def test_neighbours_touch_where_clocks_change():
    last = datetime(2026, 3, 29, 12, tzinfo=UTC)
    days = agreement(draw__epoch="P1D", lanes__sample__caps={"per_agent": {"P1D": 2}})
    day = epoch_of(days, last)
    assert (day.name, day.end - day.start) == ("2026-03-29", timedelta(hours=23))
    assert following(days, day).name == "2026-03-30" and preceding(days, day).name == "2026-03-28"


def test_thirteen_can_be_committed_ahead_and_none_beyond_the_agreements_end():
    found = horizon(example(), NOW)
    assert [epoch.name for epoch in found] == [f"2026-W{week}" for week in range(10, 24)]
    assert len(found) == AHEAD + 1
    late = example().validity.end - timedelta(days=10)
    assert [epoch.name for epoch in horizon(example(), late)] == ["2026-W34", "2026-W35", "2026-W36"]


@pytest.mark.parametrize(
    ("weeks", "at", "first", "due"),
    [
        (0, NOW, False, False),
        (0, NOW, True, True),
        (0, WEEK.start, False, False),
        (1, NOW, False, True),
        (1, WEEK.start, False, True),
        (1, WEEK.end - timedelta(microseconds=1), False, True),
        (1, WEEK.end, False, False),
        (2, NOW, False, False),
        (2, NOW, True, False),
        (2, WEEK.end, False, True),
        (0, WEEK.end, True, False),
    ],
)
def test_ecommit_is_due_from_the_start_of_the_epoch_before(weeks, at, first, due):
    epoch = WEEK
    for _ in range(weeks):
        epoch = following(example(), epoch)
    assert commit_due(example(), epoch, at, first=first) is due


def test_a_demos_epochs_are_committed_at_once(demo):
    epochs = horizon(demo, NOW)
    assert [commit_due(demo, epoch, NOW, first=False) for epoch in epochs] == [True] * len(epochs)
    assert not commit_due(demo, epochs[0], epochs[0].end, first=True)


@pytest.mark.parametrize(
    ("state", "at", "closed", "shares", "step"),
    [
        (S.NONE, WEEK.end, None, True, None),
        (S.PROMISED, NOW, None, True, None),
        (S.PROMISED, WEEK.end, None, True, Step.GIVE_UP),
        (S.COMMITTED, NOW, None, True, None),
        (S.COMMITTED, WEEK.end, None, True, Step.GIVE_UP),
        (S.OPENED, WEEK.end - HOUR, None, True, None),
        (S.OPENED, WEEK.end, None, True, Step.CLOSE),
        (S.CLOSED, WEEK.end, WEEK.end, True, Step.REVEAL),
        (S.CLOSED, WEEK.end + 23 * HOUR, WEEK.end, False, None),
        (S.CLOSED, WEEK.end + 24 * HOUR, WEEK.end, False, Step.FREEZE),
        (S.FROZEN, WEEK.end + 24 * HOUR, WEEK.end, False, None),
        (S.FROZEN, WEEK.end + 13 * DAY, WEEK.end, True, Step.REVEAL),
        (S.FROZEN, WEEK.end + 14 * DAY, WEEK.end, False, Step.SHRED),
        (S.REVEALED, WEEK.end + 99 * DAY, WEEK.end, True, None),
        (S.SHREDDED, WEEK.end + 99 * DAY, WEEK.end, True, None),
        (S.DARK, WEEK.end + 99 * DAY, None, True, None),
    ],
)
def test_what_the_clock_makes_due(state, at, closed, shares, step):
    assert step_due(state, WEEK.end, closed, at, shares=shares) is step
    assert step is None or {Step.GIVE_UP: S.DARK, Step.CLOSE: S.CLOSED, Step.REVEAL: S.REVEALED,
                            Step.FREEZE: S.FROZEN, Step.SHRED: S.SHREDDED}.get(step) in NEXT[state]  # fmt: skip


@pytest.mark.parametrize(
    ("state", "after", "is_frozen"),
    [
        (S.OPENED, 99 * DAY, False),
        (S.CLOSED, 24 * HOUR - timedelta(seconds=1), False),
        (S.CLOSED, 24 * HOUR, True),
        (S.FROZEN, 24 * HOUR, True),
        (S.SHREDDED, 15 * DAY, True),
        (S.REVEALED, 15 * DAY, False),
    ],
)
def test_what_is_not_revealed_in_time_is_not_served(state, after, is_frozen):
    closed = None if state is S.OPENED else WEEK.end
    assert frozen(state, closed, WEEK.end + after) is is_frozen


def test_a_cosignature_grows_old():
    age = timedelta(days=8)
    assert not witnessed([example()], None, NOW)
    assert witnessed([example()], NOW - age + HOUR, NOW) and not witnessed([example()], NOW - age, NOW)
    strict = agreement(draw__cosign_max_age="P2D")
    assert not witnessed([example(), strict], NOW - timedelta(days=3), NOW)


@pytest.mark.parametrize(("at", "index"), [(WEEK.start, 0), (NOW, 2), (WEEK.end - HOUR, 6)])
def test_days_are_local_ones(at, index):
    assert day_index(example(), WEEK, at) == index
    spring = Epoch("2026-W13", datetime(2026, 3, 22, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC))
    assert day_index(example(), spring, spring.end - HOUR) == 6


# --- the roster ------------------------------------------------------------------------------------------------------

LEAVES = [RosterLeaf(f"{number:032x}", "team-a", Phase.REGULAR) for number in (3, 1, 2)]


def test_the_root_is_what_anybody_recomputes():
    one, two, three = (
        hashlib.sha256(b'\x00{"a":"%032x","group":"team-a","phase":"regular"}' % number).digest()
        for number in (1, 2, 3)
    )
    left = hashlib.sha256(b"\x01" + one + two).digest()
    assert roster_root(LEAVES) == hashlib.sha256(b"\x01" + left + three).digest()
    assert roster_root(LEAVES) == roster_root(LEAVES[::-1])
    assert roster_root([]) == hashlib.sha256(b"").digest()


@pytest.mark.parametrize("edit", [{"a": "f" * 32}, {"group": "team-b"}, {"phase": Phase.ONBOARDING}])
def test_the_root_tells_every_change(edit):
    assert roster_root([*LEAVES[:2], replace(LEAVES[2], **edit)]) != roster_root(LEAVES)


def test_the_order_is_that_of_pseudonyms():
    assert [leaf.a[-1] for leaf in in_roster_order(LEAVES)] == ["1", "2", "3"]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9])
def test_each_entry_of_a_roster_is_proven_alone(count):
    leaves = [RosterLeaf(f"{number:032x}", "team-a", Phase.REGULAR) for number in range(count)]
    root = roster_root(leaves).hex()
    for leaf in leaves:
        place = place_in(leaves[::-1], leaf.a)
        assert place is not None and place.leaf == leaf
        place.verify(count, root)
        for other in (replace(place, leaf=replace(leaf, phase=Phase.ONBOARDING)), replace(place, path=["00" * 32])):
            with pytest.raises(CryptoError):
                other.verify(count, root)
    assert place_in(leaves, "f" * 32) is None
