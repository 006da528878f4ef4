"""What a leg leaves for the statistics: the caller's last word, and nothing that tells silence from an agent's no."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import select

from gateway.call.model import SipCallId
from gateway.engine.ledger import Ledger, SealedShare
from gateway.media.plane import DigitHeard, FlowId, PlayEnded
from policy.decision import CallerAnswer, ConsentState, Reason, Side
from storage.figures import Figures
from storage.legs import EntryKind
from storage.tables import figures, legs, metadata
from tests.peers.engine_bench import PAGE
from tests.peers.opened_epoch import opened_book
from tests.unit.policy.green import agreement

NOW = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
GROUND = {"agents", "alembic_version", "epochs", "epoch_names", "cosignatures", "logs"}
"""What is there before the leg."""
YES, NO, UNSET = ConsentState.YES, ConsentState.NO, ConsentState.UNSET


async def asked(bench):
    """Up to the end of the question."""
    bench.engine.lights.open_page(bench.agent, PAGE)
    live = await bench.answered()
    caller = FlowId(f"{live.call.ref}/caller/0")
    bench.clock.advance(8)
    bench.engine.reports.take(0, PlayEnded("ask", caller, True, bench.clock.now()))
    return live, caller


async def over(bench) -> list[tuple[ConsentState, str | None] | None]:
    """Hang up; what the leg's `out` was told of the caller's answer."""
    bench.engine.hang_up(SipCallId("call-1"))
    await bench.engine.finished()
    return [None if said is None else (said.answer, said.channel) for said in bench.ledger.answers]


async def test_a_callers_yes_is_the_legs_answer(bench):
    await bench.opened()
    assert await over(bench) == [(YES, "dtmf")]


async def test_a_callers_no_is_the_legs_answer(bench):
    _, caller = await asked(bench)
    bench.engine.reports.take(0, DigitHeard(caller, "9", 100, bench.clock.now(), "rfc4733"))
    assert await over(bench) == [(NO, "dtmf")]


async def test_the_last_word_counts(bench):
    live = await bench.opened()
    live.call.leg.caller_refused()
    bench.engine.reconsider(live)
    assert await over(bench) == [(NO, "agent_key")]


async def test_a_withdrawn_yes_was_a_yes(bench):
    live = await bench.opened()
    live.call.leg.withdraw(Side.CALLER)
    bench.engine.reconsider(live)
    assert await over(bench) == [(YES, "dtmf")]


async def silence(bench):
    live, _ = await asked(bench)
    bench.clock.advance(60)
    bench.engine.reconsider(live)
    return live


async def veto(bench):
    bench.site.standing[bench.agent] = {}
    live, _ = await asked(bench)
    return live


async def no_page(bench):
    return await bench.answered()


@pytest.mark.parametrize(
    ("world", "why"),
    [(silence, Reason.CALLER_UNSET), (veto, Reason.AGENT_NO_OR_UNSET), (no_page, Reason.CALLER_UNSET)],
)
async def test_silence_and_an_agents_no_leave_the_same(bench, world, why):
    live = await world(bench)
    assert why in live.call.leg.told_reasons()
    assert await over(bench) == [None]
    # whatever is durable: nothing but the leg's own entry, which is as any other's
    query = {name: select(table) for name, table in metadata.tables.items() if name not in GROUND}
    filled = await bench.folder.database.read(
        lambda connection: {name: len(connection.execute(one).all()) for name, one in query.items()}
    )
    assert {name: count for name, count in filled.items() if count} == {
        "legs": 1,
        "log_wal": 3,
    }  # `ecommit`, `eopen`, `call`


# --- in the books -----------------------------------------------------------------------------------------------------


async def opened(bench, terms, group: str = "team-a") -> Ledger:
    agent = replace(await bench.folder.roster.get(bench.agent), group=group)
    book = await opened_book(bench.folder.epochs, "2026-W10", [agent], terms=[terms])
    return Ledger("hamburg", bench.folder.legs, bench.folder.epochs, book, SealedShare())


async def entered(bench, ledger: Ledger, terms):
    agent = await bench.folder.roster.get(bench.agent)
    for _ in range(50):
        leg = await ledger.enter(agent, (terms,), queue="service-gas", call="c", call_id="a84b@pbx", wallclock=NOW)
        assert leg is not None
        if leg.admission.out == "hit":
            return leg
        await ledger.leave(leg, "not_recorded", (), (), CallerAnswer(YES, "dtmf"))
    raise AssertionError("never drawn")


@pytest.mark.parametrize(
    ("answer", "counted"),
    [
        (None, []),
        (CallerAnswer(UNSET, "dtmf"), []),
        (CallerAnswer(YES), []),
        (CallerAnswer(YES, "dtmf", receipt=True), [("dtmf", "yes", 1)]),
        (CallerAnswer(NO, "agent_key"), [("agent_key", "no", 1)]),
    ],
)
async def test_an_answer_is_counted_under_site_month_and_rule(bench, answer, counted):
    rates = [{"group": "team-a", "phase": "regular", "percent": "20"}]
    terms = agreement(demo="yes", lanes__campaigns=[], lanes__sample__rates=rates)
    ledger = await opened(bench, terms)
    leg = await entered(bench, ledger, terms)
    await ledger.leave(leg, "not_recorded", (), (), answer)
    rows = await bench.folder.database.read(lambda connection: connection.execute(select(figures)).all())
    rule = ("2026-03", "hamburg", "sample/regular/team-a")
    assert [tuple(row) for row in rows] == [(*rule, *one) for one in counted]
    names = select(legs.c.rule).where(legs.c.kind == EntryKind.CALL.value).distinct()
    assert await bench.folder.database.read(lambda c: c.execute(names).scalars().all()) == [rule[-1]]
    counts = await Figures(bench.folder.database).of(date(2026, 3, 1), date(2026, 4, 1))
    assert counts is not None and sum(one.total for one in counts.legs if one.out == "hit") == 1


async def test_a_leg_under_no_rule_has_no_name_in_the_books(bench):
    terms = agreement(demo="yes", lanes__campaigns=[])
    ledger = await opened(bench, terms, group="team-z")
    agent = await bench.folder.roster.get(bench.agent)
    object.__setattr__(agent, "group", "team-z")
    leg = await ledger.enter(agent, (terms,), queue="service-gas", call="c", call_id="a84b@pbx", wallclock=NOW)
    assert leg is not None
    await ledger.leave(leg, "not_recorded", (), (), CallerAnswer(NO, "agent_key"))
    found = await bench.folder.database.read(lambda connection: connection.execute(select(legs.c.rule)).scalars().all())
    assert found == [None]
