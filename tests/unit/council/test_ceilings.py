"""Two agreements at once: the verifier counts each one's legs and hits for itself, also where they overlap."""

import hashlib
import shutil
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from council.codes import Code
from council.inspect import Sources, inspect
from crypto.signed_note import VerifierKey
from policy.acts import NewAgreement
from policy.log_entry import Act, Call, Out
from policy.terms import OTHER_QUEUES
from tests.peers.log_world import EPOCHS, KEYS, ORIGIN, Host, World
from tests.peers.two_agreements import NORTH, RATES, SOUTH, TwoAgreements, document, over_the_rate

FIRST, SECOND = EPOCHS[:2]
NEXT = f"{ORIGIN}-r1"


@pytest.fixture(scope="module")
def honest() -> TwoAgreements:
    host = TwoAgreements(5, legs=40)
    host.run()
    return host


def findings(folder, world: World, *, roster: bool = True):
    world.write(folder, manifests=False)
    rosters = folder / "rosters" if roster else None
    found = inspect(
        Sources(folder / "log", acts=folder / "acts", roster=rosters, key=KEYS["log"].verify_key, now=world.now)
    )
    return [(one.code, one.place) for one in found.findings]


def calls_of(world: World, epoch: str) -> list[tuple[int, Call]]:
    return [(i, one) for i, one in enumerate(world.entries) if isinstance(one, Call) and one.e == epoch]


@pytest.mark.parametrize("roster", [True, False])
def test_an_honest_log_of_two_agreements_is_green(honest, tmp_path, roster):
    assert findings(tmp_path, honest.world.copy(), roster=roster) == []
    assert over_the_rate(honest.world.entries, honest.world.rosters) == []


class AtNoon(TwoAgreements):
    """The first agreement has a successor that takes over in the middle of a day, at lower rates."""

    def act(self, at: datetime) -> None:
        lower = {line: str(Decimal(rate) / 2) for line, rate in RATES[NORTH].items()}
        successor = document(NORTH, lower, version=2, validity__start="2026-04-09T12:00:00")
        self.enact(NewAgreement(hashlib.sha256(successor).hexdigest()), at, successor)


def test_an_honest_log_is_green_where_a_successor_takes_over_within_a_day(tmp_path):
    host = AtNoon(6, legs=40)
    world = host.run()
    assert findings(tmp_path, world) == []
    noon = datetime(2026, 4, 9, 10, tzinfo=UTC)
    starts = {one.entry: datetime.fromisoformat(one.start) for one in world.openings}
    places = [(starts[index] < noon, call.r) for index, call in calls_of(world, SECOND) if call.q == "service-strom"]
    before, after = ({r for was, r in places if was is early and r is not None} for early in (True, False))
    assert len(before) == len(after) == 3 and not before & after, "one day's legs tell which document they are under"


def test_every_rule_keeps_its_place_when_a_line_before_it_is_dropped(honest):
    dropped = honest.world.where(Act, type="narrow")
    before, after = Counter[tuple[str, int | None]](), Counter[tuple[str, int | None]]()
    group = {leaf.a: f"{leaf.group}/{leaf.phase}" for leaf in honest.world.rosters[SECOND]}
    for index, call in calls_of(honest.world, SECOND):
        (before if index < dropped else after)[f"{call.q} {group[call.a]}", call.r] += 1
    lost = {pair for pair in before if "onboarding" in pair[0] and "wasser" not in pair[0] and pair[1] is not None}
    assert len(lost) == 2 and {r for _, r in lost} == {0, 6}
    for queue_and_group, r in lost:
        assert (queue_and_group, None) in after and (queue_and_group, r) not in after
    assert {pair for pair in before if pair not in lost} <= after.keys()


def test_both_agreements_and_their_overlap_have_places_of_their_own(honest):
    used = {(call.q, call.r) for _, call in calls_of(honest.world, FIRST) if call.r is not None}
    assert used == (
        {("service-strom", r) for r in (0, 1, 2)}
        | {("service-wasser", r) for r in (3, 4, 5)}
        | {("service-gas", r) for r in (6, 7, 8)}
    )


@pytest.mark.parametrize("agreement", [NORTH, SOUTH])
def test_a_leg_under_both_that_exceeds_the_ceiling_of_one_is_found(honest, tmp_path, agreement):
    world = honest.world.copy()
    index, call = next(
        (index, call)
        for index, call in calls_of(world, FIRST)
        if call.q == "service-gas" and honest.why.get((FIRST, call.a, call.n)) == f"ceiling of {agreement}"
    )
    world.change(world.where(Out, e=FIRST, a=call.a, n=call.n, o="cap"), o="hit")
    assert over_the_rate(world.entries, world.rosters)
    assert (Code.CEILING, f"{ORIGIN} entry {index}") in findings(tmp_path, world)


def test_a_hit_that_the_other_agreements_legs_would_leave_room_for_is_found(honest, tmp_path):
    """Counted by the line's number in its document, as if both agreements had one list."""
    world = honest.world.copy()
    index, call = next(
        (index, call)
        for index, call in calls_of(world, FIRST)
        if call.q == "service-wasser" and honest.why.get((FIRST, call.a, call.n)) == f"ceiling of {SOUTH}"
    )
    world.change(world.where(Out, e=FIRST, a=call.a, n=call.n, o="cap"), o="hit")
    assert (Code.CEILING, f"{ORIGIN} entry {index}") in findings(tmp_path, world)


def test_a_campaigns_hits_in_one_log_count_in_the_next(tmp_path):
    """A quarter's end doesn't give the campaign its recordings anew."""
    for origin in (ORIGIN, NEXT):
        Host(14, origin=origin).run().write(tmp_path / origin, manifests=False)
        (tmp_path / origin / "log" / "vkey").write_text(f"{VerifierKey(origin, KEYS['log'].verify_key)}\n")
        shutil.copytree(tmp_path / origin / "log", tmp_path / "logs" / origin)
    acts, roster = tmp_path / NEXT / "acts", tmp_path / NEXT / "rosters"
    alone, after = (
        [
            one.place
            for one in inspect(Sources(logs, acts=acts, roster=roster)).findings
            if one.code is Code.CAMPAIGN_FULL
        ]
        for logs in (tmp_path / "logs" / NEXT, tmp_path / "logs")
    )
    assert alone == [] and len(after) == 5 and all(place.startswith(NEXT) for place in after)


def test_a_rule_of_the_other_agreement_is_no_rule_of_the_leg(honest, tmp_path):
    world = honest.world.copy()
    index, _ = next((i, one) for i, one in calls_of(world, FIRST) if (one.q, one.r) == ("service-wasser", 4))
    world.change(index, r=1)
    assert (Code.RULE, f"{ORIGIN} entry {index}") in findings(tmp_path, world)


def test_a_queue_that_the_log_doesn_t_name_may_be_any_of_the_agreements(honest, tmp_path):
    world = honest.world.copy()
    for epoch in EPOCHS:
        for index, _ in calls_of(world, epoch):
            world.change(index, q=OTHER_QUEUES)
    assert findings(tmp_path / "told", world) == []
    index, _ = next((i, one) for i, one in calls_of(world, FIRST) if one.r == 4)
    world.change(index, r=99)
    assert findings(tmp_path / "spoilt", world)[0] == (Code.RULE, f"{ORIGIN} entry {index}")


def test_a_line_that_was_dropped_draws_nobody_any_more(honest, tmp_path):
    world = honest.world.copy()
    dropped = world.where(Act, type="narrow")
    onboarding = {leaf.a for leaf in world.rosters[SECOND] if leaf.phase == "onboarding"}
    index, _ = next(
        (i, one)
        for i, one in calls_of(world, SECOND)
        if i > dropped and one.q == "service-strom" and one.a in onboarding
    )
    world.change(index, r=0)
    assert (Code.RULE, f"{ORIGIN} entry {index}") in findings(tmp_path, world)
