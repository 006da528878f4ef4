"""Campaigns with the real books: drawn in their window and queue alone, under their ceiling, up to their count."""

from math import ceil

import pytest
from sqlalchemy import select

from gateway.call.leg import Leg
from gateway.call.model import SipCallId
from gateway.call.stage import Stage
from gateway.engine.ledger import Ledger, SealedShare
from gateway.engine.live_call import LiveCall
from gateway.media.plane import DigitHeard, FlowId, PlayEnded
from policy.decision import Purpose, Reason
from policy.terms import Lane
from storage.tables import legs
from tests.peers.askable import askable
from tests.peers.engine_bench import PAGE
from tests.peers.opened_epoch import opened_book
from tests.unit.policy.green import DELETED

WEEK, PERCENT, MOST = "2026-W10", 20, 2
APRIL = {
    "id": "april", "purpose": "process_quality", "queue": "service-strom", "announced_at": "2026-02-20",
    "start": "2026-03-04T00:00:00", "end": "2026-03-05T00:00:00", "max_recordings": MOST, "percent": str(PERCENT),
    "min_eligible_agents": 8,
}  # fmt: skip


@pytest.fixture
async def campaign(bench):
    bench.enact(lanes__campaigns=[APRIL], lanes__sample=DELETED)
    bench.say_yes()
    bench.site.announcements = askable(bench.site.agreements[0].consent.prompts, Purpose.PROCESS_QUALITY)
    book = await opened_book(bench.folder.epochs, WEEK, [bench.site.agents[bench.agent]])
    book.states = bench.site.book.states
    bench.ledger.books = Ledger("hamburg", bench.folder.legs, bench.folder.epochs, book, SealedShare())
    bench.ledger.real = True
    bench.engine.lights.open_page(bench.agent, PAGE)
    return bench


async def say_yes(bench, live: LiveCall) -> None:
    caller, agent = (FlowId(f"{live.call.ref}/{side}/0") for side in ("caller", "agent"))
    bench.clock.advance(8)
    bench.engine.reports.take(0, PlayEnded("ask", caller, True, bench.clock.now()))
    bench.clock.advance(1)
    bench.engine.reports.take(0, DigitHeard(caller, "1", 100, bench.clock.now(), "rfc4733"))
    await bench.engine.finished()
    bench.engine.reports.take(0, PlayEnded("tone", agent, True, bench.clock.now()))
    bench.engine.reports.take(0, PlayEnded("notice", caller, True, bench.clock.now()))
    bench.acknowledge(live)
    await bench.engine.finished()


def leg_of(live: LiveCall) -> Leg:
    assert live.call.leg is not None
    return live.call.leg


def asked(live: LiveCall) -> bool:
    return leg_of(live).stage is Stage.PROMPTING


async def next_asked(bench, start: int = 0) -> tuple[LiveCall, int]:
    """Calls come until one is drawn within its ceiling; with how many."""
    for number in range(start, start + 200):
        live = await bench.answered(f"call-{number}")
        if asked(live):
            return live, number
        bench.engine.hang_up(SipCallId(f"call-{number}"))
        await bench.engine.finished()
    raise AssertionError("none of 200 legs at 20 % was drawn")


async def outs(bench) -> list[str | None]:
    rows = await bench.folder.database.read(
        lambda connection: connection.execute(select(legs).order_by(legs.c.id)).all()
    )
    assert all((row.r, row.rule) == (0, "campaign/april") for row in rows)
    return [row.o for row in rows]


async def test_a_campaign_is_recorded_for_its_purpose_up_to_its_count(campaign):
    number = 0
    for _ in range(MOST):
        live, number = await next_asked(campaign, number)
        await say_yes(campaign, live)
        assert campaign.stage(live) is Stage.OPEN
        shown = leg_of(live).indicator.shown
        assert shown is not None
        assert (shown.lane, shown.purpose) == (Lane.CAMPAIGN, Purpose.PROCESS_QUALITY)
        campaign.engine.hang_up(live.call.new.call_id)
        await campaign.engine.finished()
        number += 1
    said = await outs(campaign)
    for legs_so_far in range(1, len(said) + 1):
        assert said[:legs_so_far].count("hit") <= ceil(PERCENT * legs_so_far / 100)
    full = []
    for more in range(number, number + 40):
        live = await campaign.answered(f"call-{more}")
        assert not asked(live), "its count is used up"
        if live.entered is not None and live.entered.result.drawn:
            full.append(Reason.CAMPAIGN_FULL in leg_of(live).told_reasons())
        campaign.engine.hang_up(SipCallId(f"call-{more}"))
        await campaign.engine.finished()
    assert any(full) or not full
    said = await outs(campaign)
    assert said.count("hit") == MOST and None not in said


async def test_its_end_ends_a_recording_that_runs(campaign):
    live, _ = await next_asked(campaign)
    await say_yes(campaign, live)
    (window,) = campaign.site.agreement.lanes.campaigns
    left = (window.end - campaign.clock.wallclock()).total_seconds()
    beats = campaign.engine.lights.lit
    for light in tuple(beats()):  # the page goes on acknowledging
        light.acknowledge(PAGE, light.shown.seq, light.shown.nonce, light.shown.state.value)
    campaign.clock.advance(left - 1)
    for light in tuple(beats()):
        beat = light.heartbeat(campaign.clock.now())
        light.acknowledge(PAGE, beat.seq, beat.nonce, beat.state.value)
    campaign.engine.tick()
    assert campaign.stage(live) is Stage.OPEN
    campaign.clock.advance(1)
    campaign.engine.tick()
    assert leg_of(live).way.ended_by == (Reason.CAMPAIGN_CLOSED,)
    campaign.clock.advance(1)
    after = await campaign.answered("after")
    assert after.entered is not None and after.entered.result.rule is None, "no rule, so nothing is drawn"


async def test_another_queue_has_no_part_in_it(campaign):
    new = campaign.new_call("gas")
    object.__setattr__(new, "queue", "service-gas")
    campaign.new_call = lambda call_id, **more: new
    live = await campaign.answered("gas")
    assert live.entered is not None and live.entered.result.rule is None and not asked(live)


async def test_too_few_agents_close_it(campaign):
    for number in range(8):
        campaign.site.agents.pop(f"colleague-{number}")
    for number in range(30):
        live = await campaign.answered(f"call-{number}")
        assert not asked(live)
        if live.entered is not None and live.entered.result.drawn:
            assert Reason.GROUP_TOO_SMALL in leg_of(live).told_reasons()
        campaign.engine.hang_up(SipCallId(f"call-{number}"))
        await campaign.engine.finished()
