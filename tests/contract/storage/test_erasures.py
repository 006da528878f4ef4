"""Sides that their own person wants gone, and holds: who waits for whom, and what is left."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from crypto import age
from policy.access_figures import AccessCount
from policy.retention import ERASE_SIDE_AFTER, MAX_HOLD
from storage.accesses import Access, Accesses
from storage.blobs import Kind
from storage.consents import Consents
from storage.erasures import Erasures, Hold
from storage.errors import HoldError, RecordingUnknown
from storage.log.wal import known_logs, open_log
from storage.names import SegmentKey
from storage.recordings import SegmentState, State
from storage.recovery import rebuild
from storage.retention import erase_due
from storage.tables import log_openings
from storage.vault import Secret
from tests.peers.stored import AT, SIDES, begin, open_side

REC = "4" * 32
HOUR = timedelta(hours=1)
DUE = AT + ERASE_SIDE_AFTER


@pytest.fixture
def erasures(request):
    name = "folder" if "folder" in request.fixturenames else "local"
    return Erasures(request.getfixturevalue(name).recordings)


async def record(folder, identity, segments=(1,)):
    await begin(folder, REC, identity)
    for seg in segments:
        for side in SIDES:
            worker = await open_side(folder, SegmentKey(REC, seg, side), identity)
            await folder.recordings.seal(REC, seg, side.value, worker.finish(), "normal")
    await folder.recordings.close(REC, AT)


async def run(folder, at):
    return await erase_due(folder.recordings, Consents(folder.database), at)


def opens(folder, identity, side, seg=1):
    key = SegmentKey(REC, seg, side)
    sealer = folder.sealer
    if not sealer.vault.holds(key, Secret.HEADER):
        assert sealer.blobs.size(key, Kind.PAYLOAD) is None
        return False
    return age.decrypt(sealer.vault.read(key, Secret.HEADER) + sealer.blobs.read(key, Kind.PAYLOAD), [identity]) != b""


async def test_a_side_goes_after_a_day_in_all_segments_and_the_other_still_opens(folder, erasures, identity):
    await record(folder, identity, segments=(1, 2))
    asked = await erasures.request(REC, "caller", AT)
    assert (asked.due_at, asked.held_until) == (DUE, None)
    assert (await erasures.request(REC, "caller", AT + HOUR)).due_at == DUE, "asking again puts nothing off"
    assert (await run(folder, DUE - timedelta(seconds=1))).sides == ()
    assert opens(folder, identity, "caller")
    assert (await run(folder, DUE)).sides == ((REC, "caller"),)
    found = await folder.recordings.get(REC)
    assert found.state is State.KEPT
    assert {(part.key.side, part.state) for part in found.segments} == {
        ("agent", SegmentState.SEALED),
        ("caller", SegmentState.ERASED),
    }
    for seg in (1, 2):
        assert opens(folder, identity, "agent", seg) and not opens(folder, identity, "caller", seg)
    assert await erasures.pending(REC, DUE) == []
    assert (await rebuild(folder.recordings)).missing == ()


async def test_when_both_sides_are_gone_nothing_is_left(local, erasures, identity):
    await record(local, identity)
    for side in SIDES:
        await erasures.request(REC, side.value, AT)
    await run(local, DUE)
    with pytest.raises(RecordingUnknown):
        await local.recordings.get(REC)
    assert local.sealer.vault.inventory() == [] == list(local.sealer.blobs.inventory())


async def test_a_side_waits_while_its_call_goes_on(local, erasures, identity):
    await begin(local, REC, identity)
    await erasures.request(REC, "caller", AT)
    assert (await run(local, DUE)).sides == ()
    assert len(await erasures.pending(REC, DUE)) == 1


async def test_a_crash_before_the_last_step_is_mended_by_the_next_run(local, erasures, identity):
    await record(local, identity)
    await erasures.request(REC, "agent", AT)
    await local.recordings.erase_side(REC, "agent")
    assert (await run(local, DUE)).sides == ((REC, "agent"),)
    assert await erasures.pending(REC, DUE) == []


async def test_a_hold_that_stood_earlier_delays_the_erasure_until_it_ends(folder, erasures, identity):
    await record(folder, identity)
    until = AT + timedelta(days=3)
    await erasures.hold(Hold(REC, "dpo", "case 7", AT - HOUR, until))
    assert (await erasures.request(REC, "caller", AT)).held_until == until
    assert (await run(folder, DUE)).sides == ()
    assert opens(folder, identity, "caller")
    assert (await run(folder, until)).sides == ((REC, "caller"),)


async def test_a_lifted_hold_delays_nothing(local, erasures, identity):
    await record(local, identity)
    await erasures.hold(Hold(REC, "agent", "my defence", AT - HOUR, AT + MAX_HOLD - HOUR))
    await erasures.request(REC, "caller", AT)
    assert [await erasures.lift(REC, who) for who in ("dpo", "agent", "agent")] == [False, True, False]
    assert (await run(local, DUE)).sides == ((REC, "caller"),)


async def test_a_later_hold_doesn_t_take_a_request_back(local, erasures, identity):
    await record(local, identity)
    await erasures.request(REC, "caller", AT)
    await erasures.hold(Hold(REC, "dpo", "case 7", AT + HOUR, AT + timedelta(days=9)))
    assert (await run(local, DUE)).sides == ((REC, "caller"),)


async def test_a_hold_that_ended_doesn_t_lend_its_beginning_to_a_new_one(local, erasures, identity):
    await record(local, identity)
    await erasures.hold(Hold(REC, "dpo", "case 7", AT - 2 * HOUR, AT - HOUR))
    await erasures.request(REC, "caller", AT)
    await erasures.hold(Hold(REC, "dpo", "case 8", AT + HOUR, AT + timedelta(days=9)))
    assert [one.set_at for one in await erasures.holds(REC, AT + 2 * HOUR)] == [AT + HOUR]
    assert (await run(local, DUE)).sides == ((REC, "caller"),)


async def test_retention_waits_for_a_hold_and_not_longer(folder, erasures, identity):
    await record(folder, identity)
    over = AT + timedelta(days=14)
    await erasures.hold(Hold(REC, "agent", "my defence", over - HOUR, over + HOUR))
    await erasures.hold(Hold(REC, "agent", "my defence, longer", over - HOUR, over + 2 * HOUR))
    assert (await run(folder, over + HOUR)).recordings == ()
    assert (await run(folder, over + 2 * HOUR)).recordings == (REC,)
    assert await erasures.holds(REC, AT) == []


async def test_an_agents_holds_end_whatever_is_renewed_and_an_officers_are_cases(local, erasures, identity):
    await record(local, identity)
    over = AT + timedelta(days=14)
    late = over - HOUR + MAX_HOLD - HOUR
    await erasures.hold(Hold(REC, "agent", "my defence", over - HOUR, over + MAX_HOLD - HOUR))
    with pytest.raises(HoldError):
        await erasures.hold(Hold(REC, "agent", "my defence", late, over + MAX_HOLD + HOUR))
    await erasures.hold(Hold(REC, "dpo", "case 7", late, over + MAX_HOLD + HOUR))


@pytest.mark.parametrize(
    ("reason", "lasts"),
    [("", HOUR), (" \n", HOUR), ("x" * 501, HOUR), ("case", MAX_HOLD + HOUR), ("case", timedelta(0)), ("case", -HOUR)],
)
async def test_a_hold_without_reason_or_near_end_is_refused(local, erasures, identity, reason, lasts):
    await record(local, identity)
    with pytest.raises(HoldError):
        await erasures.hold(Hold(REC, "dpo", reason, AT, AT + lasts))


async def test_what_is_gone_can_be_neither_held_nor_asked_for(local, erasures, identity):
    await record(local, identity)
    await local.recordings.intend_discard(REC, AT)
    for recording in (REC, "5" * 32):
        with pytest.raises(RecordingUnknown):
            await erasures.request(recording, "caller", AT)
        with pytest.raises(RecordingUnknown):
            await erasures.hold(Hold(recording, "dpo", "case", AT, AT + HOUR))


async def test_the_log_holds_a_commitment_of_each_and_only_the_agent_its_opening(local, erasures, identity):
    block = "hamburg/fairtap/2026-14"
    await local.database.write(lambda connection: open_log(connection, block))
    size = (await local.database.read(known_logs))[block]
    await record(local, identity)
    await erasures.hold(Hold(REC, "dpo", "case 7", AT - HOUR, AT + HOUR))
    await erasures.lift(REC, "dpo")
    for what in ("quorum", "age"):
        await Accesses(local.database).add(Access(REC, AT, "council", what, "dispute", "agent", 1))
    for side in (*SIDES, *SIDES):
        await erasures.request(REC, side.value, AT)
    query = select(log_openings).where(log_openings.c.idx >= size)
    rows = await local.database.read(lambda connection: connection.execute(query).all())
    assert len((await run(local, DUE)).sides) == 2
    assert len(await local.database.read(lambda connection: connection.execute(query).all())) == len(rows)
    assert [row.kind for row in rows if row.kind != "call"] == ["hold", "unhold", "quorum", "access", "erase", "erase"]
    assert len({row.agent for row in rows}) == 1
    agent = rows[0].agent
    counted = [AccessCount("council", "dispute", {agent: 1})]
    for first, after, expect in ((AT, DUE, counted), (DUE, DUE + timedelta(days=9), [])):
        assert list(await Accesses(local.database).within(first.date(), after.date())) == expect, (
            "the list is gone by now"
        )
    assert all(REC.encode() in bytes(row.told) for row in rows if row.kind != "call")
