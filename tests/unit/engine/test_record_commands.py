"""Commands around a record: its code read to the caller, found by it, erased, held, fetched by council and officer."""

import dataclasses
import logging
from datetime import timedelta

import pytest

from crypto.x25519 import Identity
from gateway.call.code_reading import READING
from gateway.control import protocol as p
from gateway.engine.commands import Commands
from gateway.engine.epoch_commands import EpochCommands
from gateway.engine.errors import Refused
from gateway.events import RecordCode
from gateway.media.plane import Discarded, Play, StopPlay
from policy.terms import Lane, Purpose, Side
from storage.erasures import Erasures
from storage.names import AgentId, SegmentKey
from tests.peers.printed_code import print_code
from tests.peers.stored import begin, open_side

REC = "4" * 32


@pytest.fixture
def commands(bench) -> Commands:
    return Commands(bench.engine, EpochCommands(bench.epochs, bench.folder.epochs))


@pytest.fixture
async def code(bench) -> str:
    """The code of a kept dispute recording of the bench's agent, both sides a second long."""
    identity = Identity.generate()
    await begin(
        bench.folder, REC, identity, agent=AgentId(bench.agent), lane=Lane.CUSTOMER_REQUEST, purpose=Purpose.DISPUTE
    )
    for side in Side:
        worker = await open_side(bench.folder, SegmentKey(REC, 1, side.value), identity)
        await bench.folder.recordings.seal(REC, 1, side.value, worker.finish(), "normal")
    now = bench.clock.wallclock()
    await bench.folder.recordings.close(REC, now)
    return await bench.custody.codes.issue(REC, now)


async def refused(commands, command) -> tuple[str, int]:
    with pytest.raises(Refused) as caught:
        await commands.command(command)
    return caught.value.refusal.code, caught.value.refusal.status


# --- by code ---------------------------------------------------------------------------------------------------------


async def test_a_code_tells_what_there_is_and_nothing_of_the_agent(bench, commands, code):
    found = await commands.command(p.FindRecord(print_code(code)))
    side = {"state": "kept", "seconds": 1, "segments": [1], "erase_at": None}
    assert found == {
        "recording": REC,
        "day": "2026-04-06",
        "purpose": "dispute",
        "keep_until": "2026-04-20",
        "held_until": None,
        "sides": [{"side": "agent", **side}, {"side": "caller", **side}],
    }
    assert bench.agent not in str(found) and "Alma" not in str(found)


@pytest.mark.parametrize("wrong", ["", "1" * 20, "not a code", "%00", "9" * 64, "\ud800"])
async def test_a_wrong_code_and_an_erased_ones_are_refused_alike(bench, commands, code, wrong):
    before = await refused_as(commands, p.FindRecord(wrong))
    await bench.folder.recordings.erase(REC)
    assert before == await refused_as(commands, p.FindRecord(code)) == await refused_as(commands, p.EraseByCode(code))


async def refused_as(commands, command) -> p.Refusal:
    with pytest.raises(Refused) as caught:
        await commands.command(command)
    return caught.value.refusal


async def test_a_caller_erases_the_callers_side_after_a_day(bench, commands, code):
    answer = await commands.command(p.EraseByCode(code))
    assert answer == await commands.command(p.EraseByCode(code)), "asking twice changes nothing"
    found = await commands.command(p.FindRecord(code))
    assert [side["erase_at"] for side in found["sides"]] == [None, answer["erase_at"]]
    erasures = Erasures(bench.folder.recordings)
    due = await erasures.due(bench.clock.wallclock() + timedelta(hours=24))
    assert [await erasures.execute(one) for one in due] == [True]
    found = await commands.command(p.FindRecord(code))
    assert [side["state"] for side in found["sides"]] == ["kept", "erased"]
    assert found["sides"][1]["segments"] == []


async def test_a_hold_is_told_and_moves_the_erasure_to_its_end(bench, commands, code):
    until = bench.clock.wallclock() + timedelta(days=30)
    asked = p.HoldRecording("dpo", None, REC, "case 7", until.isoformat())
    assert await commands.command(asked) == {"until": (await commands.command(p.EraseByCode(code)))["erase_at"]}
    assert (await commands.command(p.FindRecord(code)))["held_until"] is not None
    await commands.command(p.LiftHold("dpo", None, REC))
    assert (await commands.command(p.FindRecord(code)))["held_until"] is None
    assert await refused(commands, p.LiftHold("dpo", None, REC)) == ("no_hold", 404)


async def test_an_agent_takes_the_own_side_back_and_the_caller_s_stays(bench, commands, code):
    answer = await commands.command(p.EraseOwnSide(bench.agent, REC))
    found = await commands.command(p.FindRecord(code))
    assert [side["erase_at"] for side in found["sides"]] == [answer["erase_at"], None]


# --- holds of agents -------------------------------------------------------------------------------------------------


async def test_an_agent_holds_own_recordings_only(bench, commands, code):
    until = (bench.clock.wallclock() + timedelta(days=30)).isoformat()
    await commands.command(p.HoldRecording("agent", bench.agent, REC, "my defence", until))
    for stranger in (
        p.EraseOwnSide("colleague-1", REC),
        p.HoldRecording("agent", "colleague-1", REC, "curiosity", until),
        p.LiftHold("agent", "colleague-1", REC),
        p.RecordingAccesses("colleague-1", REC),
        p.HoldRecording("dpo", None, "5" * 32, "case", until),
    ):
        assert await refused(commands, stranger) == ("recording_unknown", 404)


@pytest.mark.parametrize("until", ["", "soon", "2026-04-07", "2026-04-07T10:00:00", "2036-04-07T10:00:00Z"])
async def test_a_hold_without_a_near_end_is_refused(commands, code, until):
    assert await refused(commands, p.HoldRecording("dpo", None, REC, "case", until)) == ("hold_invalid", 422)


# --- council and officer ---------------------------------------------------------------------------------------------


async def test_what_council_and_officer_fetch_is_shown_to_the_agent(bench, commands, code):
    await commands.command(p.FetchTogether("council", REC, "caller", 1, "quorum"))
    await commands.command(p.FetchTogether("dpo", REC, "caller", 1, "age"))
    seen = (await commands.command(p.RecordingAccesses(bench.agent, REC)))["accesses"]
    assert [(one["role"], one["what"], one["purpose"]) for one in seen] == [
        ("council", "quorum", "dispute"),
        ("dpo", "age", "dispute"),
    ]


async def test_without_a_line_for_the_quorum_nobody_fetches_anything(bench, commands, code):
    site = bench.engine.site
    silent = tuple(
        dataclasses.replace(one, access=tuple(line for line in one.access if line.role != "quorum"))
        for one in site.agreements
    )
    for agreements in (silent, (), (*site.agreements, *silent)):
        site.agreements = agreements
        assert await refused(commands, p.FetchTogether("dpo", REC, "caller", 1, "quorum")) == ("role_not_named", 403)
    assert (await commands.command(p.RecordingAccesses(bench.agent, REC)))["accesses"] == []


async def test_a_recording_of_another_purpose_is_nobodys_but_the_agents(bench, commands, code):
    identity, other = Identity.generate(), "5" * 32
    await begin(bench.folder, other, identity)
    worker = await open_side(bench.folder, SegmentKey(other, 1, "agent"), identity)
    await bench.folder.recordings.seal(other, 1, "agent", worker.finish(), "normal")
    assert await refused(commands, p.FetchTogether("council", other, "agent", 1, "age")) == ("role_not_named", 403)


async def test_one_side_alone_is_no_evidence_against_anybody(bench, commands, code):
    await bench.folder.recordings.erase_side(REC, "caller")
    asked = p.FetchTogether("council", REC, "agent", 1, "quorum")
    assert await refused(commands, asked) == ("one_sided_not_evidence", 403)


async def test_what_is_not_there_is_no_access(bench, commands, code):
    for gone in (
        p.FetchTogether("council", REC, "agent", 2, "age"),
        p.FetchTogether("dpo", "5" * 32, "agent", 1, "age"),
    ):
        assert await refused(commands, gone) == ("recording_unknown", 404)
    assert (await commands.command(p.RecordingAccesses(bench.agent, REC)))["accesses"] == []


async def test_what_cannot_be_noted_is_not_handed_out(bench, commands, code):
    mend = bench.break_database()
    try:
        assert await refused(commands, p.FetchTogether("dpo", REC, "caller", 1, "age")) == ("storage_unavailable", 503)
    finally:
        mend()


# --- reading to the caller -------------------------------------------------------------------------------------------


async def test_a_code_is_read_to_the_caller_twice_digit_by_digit_and_to_the_agent_softly(bench, commands):
    live = await bench.opened()
    live.record_code = "01234567890123456789"
    assert await commands.command(p.ReadCode(bench.agent, live.call.ref)) == {}
    plays = [order for order in bench.worker.orders if isinstance(order, Play) and order.play.startswith(READING)]
    caller, agent = plays
    assert (caller.flow.split("/")[1], caller.mode, agent.flow.split("/")[1], agent.mode) == (
        "caller", "instead", "agent", "beneath",
    )  # fmt: skip
    assert agent.gain_db < 0 and agent.then == caller.then
    digits = "".join(sound[-1] for sound in caller.then if sound.startswith("digit-"))
    assert digits == live.record_code * 2
    assert {sound.split("-")[1] for sound in caller.then if sound.startswith("digit-")} == {"de"}


async def test_reading_stops_on_the_agent_s_word_and_with_the_recording(bench, commands):
    live = await bench.opened()
    live.record_code, live.coded = "01234567890123456789", live.call.leg.way.recording
    await commands.command(p.ReadCode(bench.agent, live.call.ref, on=False))
    assert stopped(bench) == [READING, f"{READING}-agent"]
    await commands.command(p.ReadCode(bench.agent, live.call.ref))
    await commands.command(p.CallerRefused(bench.agent, live.call.ref))
    bench.worker.told(0, Discarded(live.call.ref, live.call.leg.way.recording))
    await bench.engine.finished()
    assert stopped(bench) == [READING, f"{READING}-agent"] * 2
    assert await refused(commands, p.ReadCode(bench.agent, live.call.ref)) == ("no_record_code", 409)


def stopped(bench) -> list[str]:
    orders = [order for order in bench.worker.orders if isinstance(order, StopPlay)]
    return [order.play for order in orders if order.play.startswith(READING)]


async def test_a_code_is_read_only_where_there_is_one_in_ones_own_call_and_somebody_hears_it(bench, commands):
    live = await bench.opened()
    ref = live.call.ref
    assert await refused(commands, p.ReadCode(bench.agent, ref)) == ("no_record_code", 409)
    live.record_code = "01234567890123456789"
    assert await refused(commands, p.ReadCode("colleague-1", ref)) == ("call_unknown", 404)
    assert await refused(commands, p.ReadCode(bench.agent, "0" * 16)) == ("call_unknown", 404)


async def test_a_code_is_shown_once_to_the_agent_and_again_to_a_page_that_opens_later(bench, commands, caplog):
    subscription, code = bench.bus.subscribe(), "01234567890123456789"
    live = await bench.lit()
    live.record_code = code
    with caplog.at_level(logging.DEBUG):
        bench.acknowledge(live)
        await bench.engine.finished()
    subscription.end()
    told = [event async for event in subscription if isinstance(event, RecordCode)]
    assert [(event.agent, event.call, event.code) for event in told] == [(bench.agent, live.call.ref, code)]
    assert code not in repr(told) and code not in repr(live) and code not in caplog.text
    answer = await commands.command(p.PageOpened(bench.agent, "later"))
    assert answer["snapshot"]["record_codes"] == {live.call.ref: code}
    bench.engine.hang_up(live.call.new.call_id)
    assert (await commands.command(p.PageOpened(bench.agent, "last")))["snapshot"]["record_codes"] == {}


async def test_a_code_goes_from_the_page_with_the_recording_that_it_finds(bench, commands):
    live = await bench.lit()
    live.record_code = live.coded = "01234567890123456789"
    bench.acknowledge(live)
    await bench.engine.finished()
    live.coded = live.call.leg.way.recording
    subscription = bench.bus.subscribe()
    await commands.command(p.CallerRefused(bench.agent, live.call.ref))
    bench.worker.told(0, Discarded(live.call.ref, live.coded))
    await bench.engine.finished()
    subscription.end()
    assert [event.code async for event in subscription if isinstance(event, RecordCode)] == [None]
    assert live.record_code is None
    assert (await commands.command(p.PageOpened(bench.agent, "later")))["snapshot"]["record_codes"] == {}
