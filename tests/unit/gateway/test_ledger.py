"""Legs are entered, drawn and admitted as anybody can recompute; what a crash or a fault left open is closed."""

import asyncio
import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import ceil

import pytest
from sqlalchemy import select

from crypto.merkle import leaf_hash
from gateway.engine.epoch_book import EpochBook
from gateway.engine.ledger import CouncilShare, Entered, Ledger, SealedShare
from policy.agreement.schema import Agreement
from policy.decision import Lane, Rule
from policy.log_rules import queue_code
from policy.terms import OTHER_QUEUES, Phase, Purpose
from storage.epochs import StoredEpoch
from storage.errors import EntryState, StorageUnavailable
from storage.legs import Out, XKind
from storage.roster import Agent
from storage.tables import legs, log_wal
from tests.peers.opened_epoch import LIMITS, opened_book, state_of
from tests.peers.stored import Folder, add_agent
from tests.unit.policy.green import agreement

ORIGIN = "hamburg/fairtap/2026-01"
NOW = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
WEEK, TODAY = "2026-W10", date(2026, 3, 4)
CALL = "00112233aabbccdd"
RATES = [
    {"group": "team-a", "phase": "onboarding", "percent": "50", "max_days": 42},
    {"group": "team-a", "phase": "regular", "percent": "20"},
]


class Booked(Ledger):
    """The epoch is opened before the first leg, with everybody hired until then on its roster."""

    def __init__(self, folder: Folder, share: CouncilShare | None = None, phase: Phase = Phase.ONBOARDING) -> None:
        self.folder, self.book, self.phase, self._opening = folder, EpochBook(), phase, asyncio.Lock()
        super().__init__("hamburg", folder.legs, folder.epochs, self.book, share or SealedShare())

    async def open(self) -> None:
        async with self._opening:
            rows = self.book.rows or await self.folder.epochs.live()
            if not rows:
                rows = (await opened_book(self.folder.epochs, WEEK, await self.folder.roster.list(), self.phase)).rows
            self.book.rows = rows


@pytest.fixture
def ledger(folder) -> Booked:
    return Booked(folder)


@pytest.fixture
def terms() -> Agreement:
    return agreement(
        lanes__campaigns=[], lanes__sample__rates=RATES, lanes__sample__caps={"per_agent": {"P1D": 4, "P1W": 6}}
    )


async def agent_of(folder: Folder) -> Agent:
    return await folder.roster.get(await add_agent(folder))


async def entering(
    ledger: Booked,
    agent: Agent,
    terms: Agreement,
    at: datetime = NOW,
    queue: str | None = "service-gas",
) -> Entered:
    await ledger.open()
    ledger.book.enact(state_of(terms))
    async with asyncio.timeout(5):
        entered = await ledger.enter(agent, (terms,), queue=queue, call=CALL, call_id="a84b@pbx", wallclock=at)
    assert entered is not None
    return entered


# --- the draw, from crypto.md §4 and nothing of ours -----------------------------------------------------------------


def lp(*items: str) -> bytes:
    return b"".join(len(item.encode()).to_bytes(2, "big") + item.encode() for item in items)


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def is_drawn(secrets: StoredEpoch, salt: bytes, n: int, percent: int) -> bool:
    a = mac(salt, lp("fairtap/v1/agent-pseudonym", ORIGIN, secrets.name))[:16].hex()
    outputs = b""
    for role, share in (("host", secrets.host), ("council", secrets.council)):
        assert share is not None
        key = mac(share, lp("fairtap/v1/agent-key", role, ORIGIN, secrets.name, a))
        outputs += mac(key, lp("fairtap/v1/draw") + n.to_bytes(8, "big"))
    u = int.from_bytes(hashlib.sha256(lp("fairtap/v1/u") + outputs).digest()[:8], "big")
    return u < percent * 10_000 * 2**64 // 10**6


async def test_draw_ceiling_and_caps_are_what_anybody_recomputes(folder, ledger, terms):
    agents = [await agent_of(folder) for _ in range(2)]
    entered = [
        (
            agent,
            NOW + timedelta(days=number // 12),
            await entering(ledger, agent, terms, NOW + timedelta(days=number // 12)),
        )
        for number in range(36)
        for agent in agents
    ]
    secrets = await folder.epochs.get(WEEK)
    hits = 0
    kept: dict[tuple[str, date], int] = {}
    numbers = dict.fromkeys([agent.id for agent in agents], 0)
    for total, (agent, at, leg) in enumerate(entered, start=1):
        numbers[agent.id] += 1
        assert leg.entry.n == numbers[agent.id]
        assert leg.entry.pseudonym == mac(agent.salt, lp("fairtap/v1/agent-pseudonym", ORIGIN, WEEK))[:16].hex()
        drawn = is_drawn(secrets, agent.salt, leg.entry.n, 50)
        assert leg.result.drawn is drawn
        under = hits + 1 <= ceil(Fraction(50, 100) * total)
        today = kept.get((agent.id, at.date()), 0)
        week = sum(count for (of, _), count in kept.items() if of == agent.id)
        capped = today >= 4 or week >= 6
        if drawn:
            assert (leg.result.ceiling_ok, leg.result.caps_ok) == (under, not capped)
        expected = Out.NO if not drawn else Out.HIT if under and not capped else Out.CAP
        assert leg.admission.out is expected
        if expected is Out.HIT:
            hits += 1
            kept[agent.id, at.date()] = today + 1
    outs = {leg.admission.out for _, _, leg in entered}
    assert outs == {Out.NO, Out.HIT, Out.CAP}


async def test_legs_that_come_at_once_are_admitted_in_log_order(folder, ledger, terms):
    agents = [await agent_of(folder) for _ in range(8)]
    entered = await asyncio.gather(*(entering(ledger, agent, terms) for agent in agents for _ in range(3)))
    secrets = await folder.epochs.get(WEEK)
    salts = {mac(agent.salt, lp("fairtap/v1/agent-pseudonym", ORIGIN, WEEK))[:16].hex(): agent.salt for agent in agents}
    hits = 0
    for total, leg in enumerate(sorted(entered, key=lambda leg: leg.entry.entry), start=1):
        drawn = is_drawn(secrets, salts[leg.entry.pseudonym], leg.entry.n, 50)
        hit = drawn and hits + 1 <= ceil(Fraction(50, 100) * total)
        assert (leg.result.drawn, leg.admission.out is Out.HIT) == (drawn, hit)
        hits += hit


async def test_the_rule_is_the_group_s_and_the_phase_s(folder, ledger, terms):
    onboarding = await entering(ledger, await agent_of(folder), terms)
    row = ledger.book.rows[WEEK]
    ledger.book.rows[WEEK] = replace(row, roster=tuple(replace(leaf, phase=Phase.REGULAR) for leaf in row.roster))
    regular = await entering(ledger, await folder.roster.get((await folder.roster.list())[0].id), terms)
    assert (regular.result.rule, onboarding.result.rule) == (
        Rule(Lane.SAMPLE, Purpose.COACHING, 200_000, "sample/team-a/regular"),
        Rule(Lane.SAMPLE, Purpose.COACHING, 500_000, "sample/team-a/onboarding"),
    )


async def test_a_leg_under_no_rule_is_entered_and_never_drawn(folder, ledger):
    terms = agreement(lanes__campaigns=[], lanes__sample__rates=RATES[:1])
    ledger.phase = Phase.REGULAR
    leg = await entering(ledger, await agent_of(folder), terms)
    assert (leg.result.rule, leg.result.drawn, leg.entry.rule, leg.admission.out) == (None, False, None, Out.NO)


async def test_the_share_is_asked_with_epoch_pseudonym_and_counter(folder, terms):
    asked = []

    class Share(SealedShare):
        async def draw(self, epoch, agent, n, entry_hash):
            asked.append((epoch.name, agent, n, entry_hash))
            return await super().draw(epoch, agent, n, entry_hash)

    leg = await entering(Booked(folder, Share()), await agent_of(folder), terms)
    query = select(log_wal.c.leaf).where(log_wal.c.idx == leg.entry.index)
    leaf = bytes(await folder.database.read(lambda connection: connection.execute(query).scalar_one()))
    assert b'"t":"call"' in leaf
    assert asked == [(WEEK, leg.entry.pseudonym, 1, leaf_hash(leaf))]


async def rows(folder: Folder) -> list[dict[str, object]]:
    return await folder.database.read(
        lambda connection: [dict(row._mapping) for row in connection.execute(select(legs))]
    )


async def test_an_entry_names_neither_call_nor_agent_nor_number(folder, ledger, terms):
    agent = await agent_of(folder)
    leg = await entering(ledger, agent, terms, queue="+4940123456")
    await ledger.leave(leg, "recorded", (), ("d" * 64,))
    (row,) = await rows(folder)
    query = select(log_wal.c.leaf)
    leaves = await folder.database.read(lambda connection: connection.execute(query).scalars().all())
    assert len(leaves) == 6  # `ecommit`, `eopen`, two midnights, `call`, `out`
    text = repr(row) + "".join(bytes(leaf).decode() for leaf in leaves)
    for secret in (CALL, agent.id, agent.name, "4940123456", "d" * 64, "recorded", "09:30", "sample", "coaching"):
        assert secret not in text
    assert "2026-03-04" not in "".join(bytes(leaf).decode() for leaf in leaves)
    assert row["q"] == "other" and row["day"] == TODAY


@pytest.mark.parametrize(
    ("working", "told"),
    [(None, "other"), ({}, "other"), ({"service-gas": 4}, "other"), ({"service-gas": 5}, "service-gas")],
)
async def test_the_log_names_a_queue_once_enough_agents_work_in_it(folder, ledger, terms, working, told):
    ledger.book.working = working
    leg = await entering(ledger, await agent_of(folder), terms)
    (row,) = await rows(folder)
    assert (row["q"], row["queue"], leg.entry.queue) == (told, "service-gas", "service-gas")
    assert f'"q":"{told}"' in (await newest_leaf(folder)).decode()
    assert leg.result.rule is not None, "what it is drawn under doesn't depend on it"
    (left,) = await folder.legs.without_out()
    assert left.leaf == leaf_hash(await newest_leaf(folder))


async def newest_leaf(folder: Folder) -> bytes:
    query = select(log_wal.c.leaf).order_by(log_wal.c.idx.desc()).limit(1)
    return bytes(await folder.database.read(lambda connection: connection.execute(query).scalar_one()))


def test_a_demo_s_queues_are_named_and_a_strange_one_never(terms):
    demo = agreement(demo="yes")
    assert queue_code((demo,), "service-gas", None) == "service-gas"
    assert queue_code((demo, terms), "+4940123456", {"+4940123456": 99}) == OTHER_QUEUES
    assert queue_code((), "service-gas", {"service-gas": 99}) == OTHER_QUEUES


async def test_commitments_are_of_equal_size_whatever_came_of_the_leg(folder, ledger, terms):
    agent = await agent_of(folder)
    for told in (("not_recorded", ("NOT_DRAWN", "CALLER_UNSET"), ()), ("recorded", (), ("a" * 64, "b" * 64))):
        await ledger.leave(await entering(ledger, agent, terms), *told)
    found = await rows(folder)
    assert [len(row["m"]) for row in found if isinstance(row["m"], bytes)] == [32, 32]
    assert len({bytes(row["c"]) for row in found if isinstance(row["c"], bytes)}) == 2


async def test_a_leg_has_one_out(folder, ledger, terms):
    leg = await entering(ledger, await agent_of(folder), terms)
    assert await ledger.leave(leg, "not_recorded", (), ()) is leg.admission.out
    with pytest.raises(EntryState):
        await ledger.leave(leg, "recorded", (), ())


async def test_an_end_that_the_disk_refused_is_said_once_it_takes_it(folder, ledger, terms, monkeypatch):
    """Else the epoch could never be closed, nor be revealed."""
    entered = await entering(ledger, await agent_of(folder), terms)
    refusing = [True, True]
    out = folder.legs.out

    async def refuse(*args, **kwargs):
        if refusing:
            refusing.pop()
            raise StorageUnavailable("disk full")
        return await out(*args, **kwargs)

    monkeypatch.setattr(folder.legs, "out", refuse)
    with pytest.raises(StorageUnavailable):
        await ledger.leave(entered, "not_recorded", ("NOT_DRAWN",), ())
    with pytest.raises(StorageUnavailable):
        await ledger.close_failed()
    assert await folder.epochs.close(WEEK, LIMITS, NOW) is False
    for _ in range(2):
        await ledger.close_failed()
    assert await folder.legs.without_out() == [] and await folder.epochs.close(WEEK, LIMITS, NOW) is True
    with pytest.raises(EntryState):
        await ledger.leave(entered, "not_recorded", ("NOT_DRAWN",), ())


async def test_legs_without_agent_are_only_counted(folder, ledger, terms):
    await ledger.enter_x((terms,), XKind.UNCLAIMED, NOW)  # dark
    await ledger.open()
    await ledger.enter_x((terms,), XKind.UNCLAIMED, NOW)
    await ledger.enter_x((terms,), XKind.UNCLAIMED, NOW)
    await ledger.enter_x((terms,), XKind.PROTECTED, NOW)
    assert (await folder.legs.counts(WEEK)).x == {XKind.UNCLAIMED: 2, XKind.PROTECTED: 1}
    await ledger.note_leftovers()
    assert await ledger.close_leftovers() == 0


# --- what was left open ----------------------------------------------------------------------------------------------


async def test_leftovers_are_closed_and_what_runs_is_not(folder, ledger, terms):
    agent = await agent_of(folder)
    over, left = [await entering(ledger, agent, terms) for _ in range(2)]
    await ledger.leave(over, "recorded", (), ())
    await ledger.note_leftovers()
    running = await entering(ledger, agent, terms)
    assert await ledger.close_leftovers() == 1
    assert [entry.entry for entry in await folder.legs.without_out()] == [running.entry.entry]
    assert (await rows(folder))[1]["o"] == left.admission.out.value
    await ledger.leave(running, "recorded", (), ())
    await ledger.note_leftovers()
    assert await ledger.close_leftovers() == 0


class Gone(Exception):
    """The process died here."""


class DyingShare(SealedShare):
    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error

    async def draw(self, epoch, agent, n, entry_hash):
        if self.error is not None:
            raise self.error
        return await super().draw(epoch, agent, n, entry_hash)


async def test_a_crash_before_the_admission_changes_no_draw(folder, ledger, terms):
    agent = await agent_of(folder)
    for _ in range(20):
        with pytest.raises(Gone):
            await entering(Booked(folder, DyingShare(Gone())), agent, terms)
    await ledger.note_leftovers()
    ledger.book.enact(state_of(terms))
    assert await ledger.close_leftovers() == 20
    secrets = await folder.epochs.get(WEEK)
    hits = 0
    for n, row in enumerate(await rows(folder), start=1):
        drawn = is_drawn(secrets, agent.salt, n, 50)
        hit = drawn and hits + 1 <= ceil(Fraction(50, 100) * n) and hits < 4
        hits += hit
        assert row["o"] == ("hit" if hit else "cap" if drawn else "no")
    assert hits


async def test_without_an_agreement_leftovers_are_closed_undrawn(folder, ledger, terms):
    with pytest.raises(Gone):
        await entering(Booked(folder, DyingShare(Gone())), await agent_of(folder), terms)
    await ledger.note_leftovers()
    ledger.book.enact(state_of())
    assert await ledger.close_leftovers() == 1
    assert [row["o"] for row in await rows(folder)] == ["no"]


async def test_a_wish_that_was_left_open_keeps_nothing_else_open(folder, ledger, terms):
    await folder.legs.enter_wish(
        origin=ORIGIN, epoch=WEEK, pseudonym="ab" * 16, commitment=bytes(32), day=TODAY, lane=Lane.AGENT_REQUEST
    )
    await entering(ledger, await agent_of(folder), terms)
    await ledger.note_leftovers()
    assert await ledger.close_leftovers() == 2
    assert await folder.legs.without_out() == []


async def test_a_leg_whose_draw_failed_holds_up_no_later_one(folder, terms):
    share = DyingShare(StorageUnavailable("disk full"))
    ledger, agent = Booked(folder, share), await agent_of(folder)
    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            await entering(ledger, agent, terms)
    share.error = None
    leg = await entering(ledger, agent, terms)
    assert leg.entry.n == 3
    assert [entry.entry for entry in await folder.legs.without_out()] == [leg.entry.entry]


async def test_a_leg_whose_draw_failed_is_drawn_under_the_rule_that_it_was_entered_under(folder, terms):
    """Rates may be lowered before the disk is back: whoever checks the log goes by the acts before the entry."""
    share = DyingShare(StorageUnavailable("disk full"))
    ledger, agent = Booked(folder, share), await agent_of(folder)
    for _ in range(20):
        with pytest.raises(StorageUnavailable):
            await entering(ledger, agent, terms)
    share.error = None
    lowered = [{"group": "team-a", "phase": "onboarding", "percent": "1", "max_days": 42}, RATES[1]]
    await entering(ledger, agent, agreement(lanes__campaigns=[], lanes__sample__rates=lowered))
    secrets = await folder.epochs.get(WEEK)
    for n, row in enumerate((await rows(folder))[:20], 1):
        assert (row["o"] != "no") == is_drawn(secrets, agent.salt, n, 50)


async def test_legs_that_wait_for_one_whose_draw_failed_go_on_once_it_is_closed(folder, terms):
    share = DyingShare(StorageUnavailable("disk full"))
    ledger, agent = Booked(folder, share), await agent_of(folder)
    with pytest.raises(StorageUnavailable):
        await entering(ledger, agent, terms)
    waiting = asyncio.create_task(entering(Booked(folder), agent, terms))
    async with asyncio.timeout(5):
        while len(await rows(folder)) < 2:
            pass
    assert not waiting.done()
    with pytest.raises(StorageUnavailable):
        await ledger.close_failed()
    share.error = None
    await ledger.close_failed()
    assert (await waiting).entry.n == 2


async def test_a_leg_that_a_kill_left_is_drawn_under_the_agreement_and_the_act_that_it_was_entered_under(folder):
    """Not under the first agreement's rule of the same number, and not at a rate that an act brought since."""
    line = {"group": "team-a", "phase": "onboarding", "max_days": 42}

    def terms(percent: str, **edits: object) -> Agreement:
        rates = [{**line, "percent": percent}]
        return agreement(lanes__campaigns=[], lanes__sample__rates=rates, **edits)

    rare, often = terms("1", id="bv-nord", scope__queues=["service-strom"]), terms("50", id="bv-sued")
    agent, dying = await agent_of(folder), Booked(folder, DyingShare(Gone()))
    await dying.open()
    dying.book.enact(state_of(rare, often))
    for _ in range(30):
        with pytest.raises(Gone):
            await dying.enter(
                agent, (rare, often), queue="service-gas", call=CALL, call_id="a84b@pbx", wallclock=NOW, acts=0
            )
    again = Booked(folder)
    await again.note_leftovers()
    again.book.states = [*dying.book.states]
    again.book.enact(replace(state_of(rare), seq=2))
    assert await again.close_leftovers() == 30
    secrets = await folder.epochs.get(WEEK)
    told = [row["o"] != "no" for row in await rows(folder)]
    assert told == [is_drawn(secrets, agent.salt, n, 50) for n in range(1, 31)]
