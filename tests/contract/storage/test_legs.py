"""Leg entries: dense counters, one `out`, admission in log order under ceiling, caps and campaigns, raced."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import inspect, select

from policy.agreement.schema import Caps
from policy.decision import Reason, Rule
from policy.draw_rules import ceiling
from policy.terms import Lane, Purpose
from storage.database import Database
from storage.errors import EntryState, EntryUnknown
from storage.legs import Admission, EntryKind, Legs, Out, XKind
from storage.tables import legs as legs_table
from tests.peers.opened_epoch import open_epoch
from tests.peers.stored import DAY, EPOCH, ORIGIN, TOLD, enter, pseudonym, ruled

ASKED = Lane.CUSTOMER_REQUEST
RULE = Rule(Lane.SAMPLE, Purpose.COACHING, 300_000, "sample/team-a/regular")
ALWAYS = replace(RULE, ppm=1_000_000)
M = bytes(range(32))


class Terms:
    """As much of an agreement as caps and campaigns need."""

    def __init__(self, per_day=None, per_week=None, campaign=None, most=0):
        self.lanes = self
        self.sample = self
        self.caps = Caps(per_day, per_week)
        self.campaigns = [self] if campaign else []
        self.id, self.max_recordings = campaign, most


async def admit(folder, leg, drawn=True, rule=ALWAYS, terms=()):
    return await folder.legs.admit(leg, drawn=drawn, ruled=ruled(rule, leg.rule or 0, terms))


async def test_counters_are_dense_per_agent_epoch_and_kind(folder, url):
    entered = await asyncio.gather(*(enter(folder, number % 3) for number in range(30)))
    for agent in range(3):
        assert [leg.n for leg in entered if leg.pseudonym == pseudonym(agent)] == list(range(1, 11))
    assert [leg.entry for leg in entered] == sorted({leg.entry for leg in entered})
    assert (await enter(folder, 1, epoch="2026-W16")).n == 1
    wish = await folder.legs.enter_wish(
        origin=ORIGIN, epoch=EPOCH, pseudonym=pseudonym(1), commitment=M, day=DAY, lane=Lane.CUSTOMER_REQUEST
    )
    assert (wish.kind, wish.n) == (EntryKind.WISH, 1)
    again = await Database.open(url)  # a restart goes on where the counter stood
    legs = Legs(again)
    leg = await legs.enter(epoch=EPOCH, pseudonym=pseudonym(1), rule=0, queue="q", commitment=M, day=DAY)
    assert leg.n == 11
    await again.close()


async def test_an_entry_gets_one_out_that_says_what_was_admitted(folder):
    hit, no, cap = [await enter(folder, number) for number in (1, 2, 1)]
    wish = await folder.legs.enter_wish(
        origin=ORIGIN, epoch=EPOCH, pseudonym=pseudonym(1), commitment=M, day=DAY, lane=Lane.CUSTOMER_REQUEST
    )
    with pytest.raises(EntryState, match="admitted"):
        await folder.legs.out(hit, TOLD)
    await admit(folder, hit)
    await admit(folder, no, drawn=False)
    await admit(folder, cap, terms=[Terms(per_day=1)])
    outs = [await folder.legs.out(entry, TOLD) for entry in (hit, no, cap, wish)]
    assert outs == [Out.HIT, Out.NO, Out.CAP, Out.WISH]
    for entry in (hit, wish):
        with pytest.raises(EntryState, match="already"):
            await folder.legs.out(entry, TOLD)
    with pytest.raises(EntryUnknown):
        await folder.legs.out(replace(hit, entry=999), TOLD)


async def test_outs_raced_for_are_one(folder):
    leg = await enter(folder)
    await admit(folder, leg)
    results = await asyncio.gather(*(folder.legs.out(leg, TOLD) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [Out] + [EntryState] * 4


async def test_what_lacks_its_out_is_listed_for_a_restart(folder, url):
    done, admitted, entered = [await enter(folder) for _ in range(3)]
    wish = await folder.legs.enter_wish(
        origin=ORIGIN, epoch=EPOCH, pseudonym=pseudonym(1), commitment=M, day=DAY, lane=Lane.CUSTOMER_REQUEST
    )
    await folder.legs.enter_x(EPOCH, XKind.PROTECTED)
    for leg in (done, admitted):
        await admit(folder, leg)
    await folder.legs.out(done, TOLD)
    again = await Database.open(url)
    left = await Legs(again).without_out()
    assert left == [replace(admitted, admitted=Out.HIT), entered, wish]
    await again.close()


async def test_a_cap_says_why(folder):
    terms = [Terms(per_day=2, per_week=3, campaign="april", most=4)]
    rule = replace(ALWAYS, lane=Lane.CAMPAIGN, campaign="april")

    async def one(agent, day=DAY, rule=rule):
        return await admit(folder, await enter(folder, agent, day=day), rule=rule, terms=terms)

    assert [(await one(1)).out for _ in range(2)] == [Out.HIT, Out.HIT]
    assert await one(1) == Admission(Out.CAP, (Reason.AGENT_CAP,))  # two a day
    tomorrow = DAY + timedelta(days=1)
    assert (await one(1, tomorrow)).out is Out.HIT
    assert (await one(1, tomorrow)).reasons == (Reason.AGENT_CAP,)  # three a week
    assert (await one(2)).out is Out.HIT
    assert (await one(3)).reasons == (Reason.CAMPAIGN_FULL,)
    assert (await one(1)).reasons == (Reason.AGENT_CAP, Reason.CAMPAIGN_FULL)


async def test_the_ceiling_counts_legs_of_its_rule_and_epoch_only(folder):
    rule = replace(RULE, ppm=100_000)
    assert (await admit(folder, await enter(folder), rule=rule)).out is Out.HIT
    for _ in range(9):
        assert (await admit(folder, await enter(folder), rule=rule)).reasons == (Reason.CEILING,)
    assert (await admit(folder, await enter(folder), rule=rule)).out is Out.HIT  # 11 legs, ceil(1.1) = 2
    assert (await admit(folder, await enter(folder, rule=1), rule=rule)).out is Out.HIT
    assert (await admit(folder, await enter(folder, epoch="2026-W16"), rule=rule)).out is Out.HIT


async def test_a_campaign_counts_over_epochs(folder):
    rule, terms = replace(ALWAYS, campaign="april"), [Terms(campaign="april", most=1)]
    assert (await admit(folder, await enter(folder), rule=rule, terms=terms)).out is Out.HIT
    later = await enter(folder, epoch="2026-W16")
    assert (await admit(folder, later, rule=rule, terms=terms)).reasons == (Reason.CAMPAIGN_FULL,)


async def test_admitting_again_answers_alike_and_counts_once(folder):
    leg = await enter(folder)
    assert await admit(folder, leg) == await admit(folder, leg, drawn=False)
    assert (await folder.legs.counts(EPOCH)).hits == {0: 1}


async def test_a_wish_is_not_admitted(folder):
    wish = await folder.legs.enter_wish(
        origin=ORIGIN, epoch=EPOCH, pseudonym=pseudonym(1), commitment=M, day=DAY, lane=Lane.CUSTOMER_REQUEST
    )
    with pytest.raises(EntryUnknown):
        await admit(folder, wish)
    assert await folder.legs.wishes_since(ASKED, DAY) == [(EPOCH, pseudonym(1))]
    assert await folder.legs.wishes_since(Lane.AGENT_REQUEST, DAY) == []
    assert await folder.legs.wishes_since(ASKED, DAY + timedelta(days=1)) == []


async def test_admission_waits_for_earlier_legs(folder):
    first, second = await enter(folder, 1), await enter(folder, 2)
    waiting = asyncio.ensure_future(admit(folder, second, rule=RULE))
    done, _ = await asyncio.wait({waiting}, timeout=0.1)
    assert not done
    assert (await admit(folder, first, rule=RULE)).out is Out.HIT
    assert (await waiting).reasons == (Reason.CEILING,)  # ceil(0.3 · 2) = 1: the earlier leg has it


async def test_a_cancelled_admission_holds_nobody_up(folder):
    first, second = await enter(folder, 1), await enter(folder, 2)
    waiting = asyncio.ensure_future(admit(folder, second))
    leaving = asyncio.ensure_future(admit(folder, first))
    await asyncio.sleep(0)  # both attempts are under way
    leaving.cancel()
    assert (await asyncio.wait_for(waiting, 10)).out is Out.HIT


async def test_a_waiter_who_leaves_can_come_back(folder):
    first, second = await enter(folder, 1), await enter(folder, 2)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(admit(folder, second), 0.1)
    assert (await admit(folder, first)).out is Out.HIT
    assert (await admit(folder, second)).out is Out.HIT


async def test_another_epochs_open_leg_holds_nobody_up(folder):
    await enter(folder, epoch="2026-W14")
    assert (await admit(folder, await enter(folder))).out is Out.HIT


@pytest.mark.parametrize("seed", range(3))
async def test_at_every_prefix_hits_stay_under_the_ceiling(folder, seed):
    """Legs entered and admitted at once, in shuffled order, drawn far above the rate."""
    dice = random.Random(seed)
    entered = await asyncio.gather(*(enter(folder, dice.randrange(5), rule=dice.randrange(2)) for _ in range(120)))
    shuffled = list(entered)
    dice.shuffle(shuffled)
    drawn = {leg.entry: dice.random() < 0.7 for leg in entered}
    rules = [RULE, replace(RULE, ppm=50_000)]
    terms = [Terms(per_week=12)]
    answers = dict(
        zip(
            [leg.entry for leg in shuffled],
            await asyncio.gather(
                *(admit(folder, leg, drawn[leg.entry], rules[leg.rule or 0], terms) for leg in shuffled)
            ),
            strict=True,
        )
    )
    assert answers == {leg.entry: answer for leg, answer in replay(entered, drawn, rules, 12)}
    assert {Out.HIT, Out.CAP, Out.NO} == {answer.out for answer in answers.values()}


def replay(entered, drawn, rules, cap):
    """What a verifier computes from the entries alone."""
    legs: dict = {}
    hits: dict = {}
    of_agent: dict = {}
    for leg in sorted(entered, key=lambda leg: leg.entry):
        legs[leg.rule] = legs.get(leg.rule, 0) + 1
        if not drawn[leg.entry]:
            yield leg, Admission(Out.NO)
            continue
        reasons = []
        if hits.get(leg.rule, 0) + 1 > ceiling(rules[leg.rule].ppm, legs[leg.rule]):
            reasons.append(Reason.CEILING)
        if of_agent.get(leg.pseudonym, 0) >= cap:
            reasons.append(Reason.AGENT_CAP)
        if not reasons:
            hits[leg.rule] = hits.get(leg.rule, 0) + 1
            of_agent[leg.pseudonym] = of_agent.get(leg.pseudonym, 0) + 1
        yield leg, Admission(Out.CAP if reasons else Out.HIT, tuple(reasons))


async def test_counts(folder):
    for rule in (0, 0, 1):
        leg = await enter(folder, rule=rule)
        await admit(folder, leg, drawn=rule == 0, rule=replace(RULE, ppm=10), terms=[])
    await folder.legs.enter_x(EPOCH, XKind.UNCLAIMED)
    await folder.legs.enter_x(EPOCH, XKind.UNCLAIMED)
    counts = await folder.legs.counts(EPOCH)
    assert (counts.legs, counts.hits, counts.caps) == ({0: 2, 1: 1}, {0: 1}, {0: 1})
    assert counts.x == {XKind.UNCLAIMED: 2}


async def test_the_table_has_room_for_nothing_else(folder):
    columns = await folder.database.read(
        lambda connection: {column["name"] for column in inspect(connection).get_columns("legs")}
    )
    assert columns == {
        "id",
        "kind",
        "e",
        "a",
        "n",
        "r",
        "q",
        "c",
        "k",
        "day",
        "admission",
        "o",
        "m",
        "rule",
        "origin",
        "i",
        "out_i",
        "acts",
        "queue",
    }
    await open_epoch(folder.epochs, EPOCH)
    await folder.legs.enter_x(EPOCH, XKind.PROTECTED)
    rows = await folder.database.read(lambda connection: connection.execute(select(legs_table)).all())
    assert [value for value in rows[0] if value is not None][:4] == [1, "x", EPOCH, "protected"]


@pytest.mark.parametrize("bad", ["", "x" * 32, "A" * 32, "0" * 31])
async def test_other_pseudonyms_and_commitments_are_refused(folder, bad):
    with pytest.raises(EntryUnknown):
        await folder.legs.enter_wish(origin=ORIGIN, epoch=EPOCH, pseudonym=bad, commitment=M, day=DAY, lane=ASKED)
    with pytest.raises(EntryState):
        await folder.legs.enter_wish(
            origin=ORIGIN, epoch=EPOCH, pseudonym=pseudonym(1), commitment=M[:-1], day=DAY, lane=Lane.CUSTOMER_REQUEST
        )
