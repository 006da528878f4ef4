"""A transfer that a bridging PBX hides: the next agent has a leg of their own, and the caller's word holds on."""

import pytest

from crypto.x25519 import Identity
from gateway.call.stage import Stage
from gateway.control import protocol as p
from gateway.engine.commands import Commands
from gateway.engine.epoch_commands import EpochCommands
from gateway.engine.errors import Refused
from gateway.events import LegLight, LightState
from gateway.media.plane import CodeHeard, Discard, FlowId, PlayEnded, Record, Stop
from policy.decision import Purpose
from storage.names import AgentId
from storage.roster import NewAgent, Seat
from tests.peers.engine_bench import EXTENSION, PAGE, EngineBench

OTHER = "201"


@pytest.fixture
async def trunk(tmp_path):
    made = await EngineBench.make(tmp_path, "trunk")
    yield made
    await made.close()


@pytest.fixture
def commands(trunk):
    return Commands(trunk.engine, EpochCommands(trunk.epochs, trunk.folder.epochs))


@pytest.fixture
async def colleague(trunk):
    """A second agent, at another extension, with a page of their own."""
    site, at = trunk.site, trunk.clock.wallclock()
    agent = str(await trunk.folder.roster.add(NewAgent("Berta Beispiel", "team-a", "hamburg"), at))
    await site.load_agent(agent)
    object.__setattr__(site.agents[agent], "recipient", str(Identity.generate().recipient))
    site.standing[agent] = site.standing[trunk.agent]
    site.seats[OTHER] = Seat(AgentId(agent), OTHER, "s", 1, at, at.replace(year=at.year + 1), "{}", "s")
    trunk.engine.lights.open_page(agent, "page-2")
    return agent


def current(bench):
    (live,) = bench.engine.calls.values()
    return live


def orders(bench, kind):
    return [order for order in bench.worker.orders if isinstance(order, kind)]


async def recorded(bench):
    live = await bench.answered(extension="+494012340")
    bench.engine.lights.open_page(bench.agent, PAGE)
    lease(bench, EXTENSION)
    await bench.engine.finished()
    await bench.agree(live, 0.5)
    await open_up(bench, bench.agent, PAGE)
    return live


def lease(bench, extension):
    bench.engine.hearsay.lease(current(bench), extension, 10)


async def open_up(bench, agent, page):
    """The notice was heard, the light is acknowledged."""
    leg = current(bench).call.leg
    assert (leg.agent, bench.stage(current(bench))) == (agent, Stage.LIT)
    shown = leg.indicator.shown
    assert bench.engine.lights.acknowledge(agent, page, leg.call, shown.seq, shown.nonce, shown.state.value)
    bench.engine.reconsider(current(bench))
    await bench.engine.finished()
    assert bench.stage(current(bench)) is Stage.OPEN


def hear(bench, *, suffix: str = ""):
    ref = current(bench).call.ref
    for play, side in ((f"tone{suffix}", "agent"), (f"notice{suffix}", "caller")):
        bench.engine.reports.take(0, PlayEnded(play, FlowId(f"{ref}/{side}/0"), True, bench.clock.now()))


async def taken_over(bench, colleague):
    """The colleague's leg, recorded."""
    lease(bench, OTHER)
    await bench.engine.finished()
    hear(bench, suffix="-leg2")
    await open_up(bench, colleague, "page-2")


async def test_the_next_agent_has_a_leg_of_their_own_and_the_yes_holds_but_the_notice_is_played_again(trunk, colleague):
    live = await recorded(trunk)
    told: list[object] = []
    trunk.bus.publish = told.append
    lease(trunk, OTHER)
    assert len(orders(trunk, Stop)) == 1, "the tap closes first"
    await trunk.engine.finished()
    follower = current(trunk)
    assert follower is not live and follower.call.ref == live.call.ref
    assert (follower.agent, follower.call.leg.agent) == (colleague, colleague)
    assert trunk.ledger.entered == [live.call.ref] * 2, "a draw of its own"
    assert trunk.stage(follower) is Stage.NOTICING, "not asked again"
    lights = [event for event in told if isinstance(event, LegLight) and event.agent == trunk.agent]
    assert lights[-1].state is LightState.OFF and not lights[-1].connected
    hear(trunk)
    assert trunk.stage(follower) is Stage.NOTICING, "what was played for the leg before ended for that one"
    hear(trunk, suffix="-leg2")
    await open_up(trunk, colleague, "page-2")
    first, second = orders(trunk, Record)
    assert first.recording != second.recording
    trunk.engine.hang_up(live.call.new.call_id)
    await trunk.engine.finished()
    assert sorted(trunk.ledger.outs) == ["not_recorded", "not_recorded"], "one `out` each; nobody spoke here"
    assert trunk.ledger.x == []
    assert not trunk.engine.by_ref and len(orders(trunk, Stop)) == 2
    for agent in (trunk.agent, colleague):
        assert trunk.engine.memory.get(live.call.ref, agent).agent == agent


async def test_who_comes_back_is_not_drawn_a_second_time(trunk, colleague):
    live = await recorded(trunk)
    await taken_over(trunk, colleague)
    lease(trunk, EXTENSION)
    await trunk.engine.finished()
    assert trunk.stage(current(trunk)) is Stage.CLOSED
    lease(trunk, OTHER)
    await trunk.engine.finished()
    assert trunk.stage(current(trunk)) is Stage.CLOSED
    assert trunk.ledger.entered == [live.call.ref] * 2
    assert len(orders(trunk, Record)) == len(orders(trunk, Stop)) == 2


async def test_nobody_s_seat_and_a_lease_that_ran_out_begin_nothing(trunk, colleague):
    live = await recorded(trunk)
    lease(trunk, "299")
    assert current(trunk) is live and trunk.stage(live) is Stage.CLOSED
    lease(trunk, None)
    assert current(trunk) is live
    lease(trunk, OTHER)
    await trunk.engine.finished()
    assert trunk.stage(current(trunk)) is Stage.NOTICING
    trunk.clock.advance(11)
    trunk.engine.tick()
    assert trunk.stage(current(trunk)) is Stage.CLOSED
    assert len(orders(trunk, Record)) == 1


async def test_the_callers_withdrawal_takes_what_was_kept_of_the_leg_before(trunk, colleague):
    live = await recorded(trunk)
    await taken_over(trunk, colleague)
    trunk.engine.reports.take(0, CodeHeard(FlowId(f"{live.call.ref}/caller/0"), "*9"))
    await trunk.engine.finished()
    assert {order.recording for order in orders(trunk, Discard)} == {r.recording for r in orders(trunk, Record)}
    assert not live.call.said.agreed(Purpose.COACHING)


async def test_an_agents_stop_is_for_their_own_leg_also_after_the_transfer(trunk, colleague, commands):
    live = await recorded(trunk)
    await taken_over(trunk, colleague)
    first, second = (order.recording for order in orders(trunk, Record))
    await commands.command(p.StopRecording(trunk.agent, live.call.ref))
    await trunk.engine.finished()
    assert [order.recording for order in orders(trunk, Discard)] == [first]
    assert trunk.stage(current(trunk)) is Stage.OPEN, "the colleague's goes on"
    await commands.command(p.StopRecording(colleague, live.call.ref))
    await trunk.engine.finished()
    assert [order.recording for order in orders(trunk, Discard)] == [first, second]


async def test_who_handed_a_call_over_can_ask_why_and_stop_and_nothing_else(trunk, colleague, commands):
    live = await recorded(trunk)
    await taken_over(trunk, colleague)
    ref = live.call.ref
    assert (await commands.command(p.Explain(ref, trunk.agent)))["reasons"] == ["PARTY_UNKNOWN"]
    assert (await commands.command(p.Explain(ref, colleague)))["outcome"] == "recording"
    with pytest.raises(Refused):
        await commands.command(p.CallerRefused(trunk.agent, ref))
    with pytest.raises(Refused):
        await commands.command(p.CallerRefused("nobody", ref))
