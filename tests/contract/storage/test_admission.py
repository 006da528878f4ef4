"""Admission under more agreements than one: each rule counts its own legs and hits, and none is exceeded."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from policy.agreement.load import load
from policy.agreement.schema import Agreement
from policy.decision import Reason
from policy.epoch_rules import EpochRules
from policy.state import State, Term
from policy.terms import Phase
from storage.legs import Admission, Out
from tests.peers.opened_epoch import epoch_named, open_epoch
from tests.peers.stored import DAY, EPOCH, Folder, pseudonym
from tests.unit.policy.green import edited

NORTH, SOUTH = ("service-strom", "service-gas"), ("service-gas", "service-wasser")
ONBOARDING = {"group": "team-a", "phase": "onboarding", "percent": "10", "max_days": 42}
REGULAR = {"group": "team-a", "phase": "regular", "percent": "10"}
CEILING = Admission(Out.CAP, (Reason.CEILING,))
CAMPAIGN = {
    "id": "april", "purpose": "process_quality", "queue": "service-gas", "announced_at": "2026-03-01", "percent": "10",
    "start": "2026-04-01T00:00:00", "end": "2026-04-30T00:00:00", "min_eligible_agents": 8,
}  # fmt: skip


def agreement(name: str, queues, lines=(ONBOARDING, REGULAR), **edits) -> Agreement:
    lanes = {"lanes/sample/rates": list(lines), "lanes/campaigns": [], **edits}
    return load(edited({"id": name, "scope/queues": list(queues), **lanes}))


def state(seq: int, *agreements: Agreement) -> State:
    terms = (Term(one, 1, one.validity.start, one.validity.end) for one in agreements)
    return State((), seq=seq, terms=tuple(terms))


class Ledger:
    """Legs of an epoch under these agreements, each of an agent of its own."""

    def __init__(self, folder: Folder, *agreements: Agreement) -> None:
        epoch = epoch_named(EPOCH)
        self.folder, self.at = folder, epoch.start + timedelta(hours=9)
        self.states = [state(1, *agreements)]
        self.rules = EpochRules((epoch.start, epoch.end), self.states, 0)
        self.agents = 0
        self.places: list[int] = []

    def narrow(self, *agreements: Agreement) -> None:
        """What an act makes of them."""
        self.states.append(state(len(self.states) + 1, *agreements))

    async def leg(self, queue: str, phase: Phase = Phase.REGULAR, *, drawn: bool = True) -> Admission:
        """Enter one and admit it."""
        await open_epoch(self.folder.epochs, EPOCH)
        scoped = [one for term in self.states[-1].terms if queue in (one := term.agreement).scope.queues]
        found = self.rules.find(scoped, queue=queue, group="team-a", phase=phase, wallclock=self.at)
        assert found is not None
        place, ruled = found
        self.places.append(place)
        self.agents += 1
        entry = await self.folder.legs.enter(
            epoch=EPOCH, pseudonym=pseudonym(self.agents), rule=place, queue=queue, commitment=bytes(32), day=DAY
        )
        return await self.folder.legs.admit(entry, drawn=drawn, ruled=ruled)

    async def legs(self, count: int, queue: str, phase: Phase = Phase.REGULAR) -> None:
        """So many that aren't drawn."""
        for _ in range(count):
            assert await self.leg(queue, phase, drawn=False) == Admission(Out.NO)


async def test_the_first_rule_of_one_agreement_isnt_the_first_rule_of_the_other(folder):
    ledger = Ledger(folder, agreement("bv-nord", NORTH[:1], [REGULAR]), agreement("bv-sued", SOUTH[1:], [REGULAR]))
    await ledger.legs(20, "service-strom")
    assert await ledger.leg("service-wasser") == Admission(Out.HIT)
    assert await ledger.leg("service-wasser") == CEILING  # two legs of its own, ceil(0.2) = 1
    assert [await ledger.leg("service-strom") for _ in range(4)] == [Admission(Out.HIT)] * 3 + [CEILING]


async def test_a_line_that_is_dropped_leaves_the_others_their_places_and_counts(folder):
    both = agreement("bv-nord", NORTH)
    ledger = Ledger(folder, both)
    assert await ledger.leg("service-gas") == Admission(Out.HIT)
    await ledger.legs(20, "service-gas", Phase.ONBOARDING)
    ledger.narrow(agreement("bv-nord", NORTH, [REGULAR]))
    assert await ledger.leg("service-gas") == CEILING
    await ledger.legs(8, "service-gas")
    assert await ledger.leg("service-gas") == Admission(Out.HIT)  # 11 legs, ceil(1.1) = 2
    assert set(ledger.places) == {0, 1} and ledger.places[0] == ledger.places[-1] == 1


async def test_a_leg_under_two_agreements_counts_for_each_and_needs_room_under_both(folder):
    ledger = Ledger(folder, agreement("bv-nord", NORTH), agreement("bv-sued", SOUTH))
    assert await ledger.leg("service-gas") == Admission(Out.HIT)
    assert await ledger.leg("service-strom") == CEILING
    assert await ledger.leg("service-wasser") == CEILING
    await ledger.legs(10, "service-strom")
    assert await ledger.leg("service-gas") == CEILING  # room in the north, none in the south
    assert await ledger.leg("service-strom") == Admission(Out.HIT)
    await ledger.legs(8, "service-wasser")
    assert await ledger.leg("service-gas") == CEILING  # and now the other way round
    assert await ledger.leg("service-wasser") == Admission(Out.HIT)
    assert len(set(ledger.places)) == 3


async def test_a_lowered_rate_holds_from_the_next_leg_on_and_keeps_its_place(folder):
    before = agreement("bv-nord", NORTH, [{**REGULAR, "percent": "20"}])
    ledger = Ledger(folder, before)
    await ledger.legs(9, "service-gas")
    assert [await ledger.leg("service-gas") for _ in range(3)] == [Admission(Out.HIT)] * 2 + [Admission(Out.HIT)]
    lanes = before.lanes
    assert lanes.sample is not None
    rates = tuple(replace(one, ppm=10_000) for one in lanes.sample.rates)
    ledger.narrow(replace(before, lanes=replace(lanes, sample=replace(lanes.sample, rates=rates))))
    assert await ledger.leg("service-gas") == CEILING
    assert set(ledger.places) == {0}


async def test_a_campaigns_count_is_that_of_its_agreement(folder):
    """A hit under both fills both; what one agreement's campaign has had is nothing to the other's."""
    terms = [
        agreement("bv-nord", NORTH, **{"lanes/campaigns": [{**CAMPAIGN, "max_recordings": 2}]}),
        agreement("bv-sued", SOUTH, **{"lanes/campaigns": [{**CAMPAIGN, "max_recordings": 1}]}),
    ]
    ledger = Ledger(folder, *terms)
    await ledger.legs(30, "service-gas")
    assert await ledger.leg("service-gas") == Admission(Out.HIT)
    assert await ledger.leg("service-gas") == Admission(Out.CAP, (Reason.CAMPAIGN_FULL,))
    ledger.narrow(terms[0])  # the other one is over
    assert await ledger.leg("service-gas") == Admission(Out.HIT)
    assert await ledger.leg("service-gas") == Admission(Out.CAP, (Reason.CAMPAIGN_FULL,))


def test_a_narrowed_documents_state_may_share_id_and_version():
    """What tells agreements apart is the act that both parties signed, not what a document calls itself."""
    one, other = agreement("bv-nord", NORTH), agreement("bv-nord", NORTH, [REGULAR])
    assert (one.id, one.version) == (other.id, other.version) and one.digest != other.digest
    at = datetime(2026, 4, 6, 9, tzinfo=UTC)
    rules = EpochRules((at, at + timedelta(days=1)), [state(1, one), state(2, other)], 0)
    found = [
        rules.find([document], queue="service-gas", group="team-a", phase=Phase.REGULAR, wallclock=at)
        for document in (one, other)
    ]
    assert [place and place[0] for place in found] == [1, 1]
