"""What the log says of a leg opens for its own agent, and at rest nothing tells anybody else how it ended."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from crypto.age import decrypt
from crypto.errors import CryptoError
from crypto.x25519 import Identity
from gateway.engine.ledger import Ledger, SealedShare
from policy.decision import Lane, Reason
from policy.opening import parse_call_opening, parse_out_opening
from policy.terms import Phase
from storage.log.leg_openings import sealed_openings
from storage.log.wal import waiting
from storage.names import SegmentKey
from storage.tables import leg_openings
from tests.peers.opened_epoch import opened_book
from tests.peers.stored import SIDES, add_agent, begin, open_side
from tests.unit.policy.green import agreement

ORIGIN = "hamburg/fairtap/2026-01"
NOW = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
WEEK, CALL, CALL_ID = "2026-W10", "00112233aabbccdd", "a84b4c76@pbx.example"
TOLD = (("not_recorded", ("AGENT_NO_CONSENT", "CALLER_DENIED"), ()), ("recorded", (), ("a" * 64, "b" * 64)))

REC = "6" * 32


@pytest.fixture
async def own(folder):
    """A ledger, and an agent with a key."""
    identity = Identity.generate()
    agent = await folder.roster.get(await add_agent(folder))
    book = await opened_book(folder.epochs, WEEK, await folder.roster.list(), Phase.REGULAR, [agreement()])
    ledger = Ledger("hamburg", folder.legs, folder.epochs, book, SealedShare())
    return ledger, replace(agent, recipient=str(identity.recipient)), identity


async def entered(ledger, agent, terms, call_id=CALL_ID):
    leg = await ledger.enter(agent, (terms,), queue="service-gas", call=CALL, call_id=call_id, wallclock=NOW)
    assert leg is not None
    return leg


async def kept(folder, agent):
    return await folder.database.read(lambda connection: sealed_openings(connection, agent.id, 0, 99))


async def leaf(folder, one):
    [(_, found)] = await folder.database.read(
        lambda connection: waiting(connection, one.origin, one.index, one.index + 1)
    )
    return json.loads(found)


async def test_an_agent_opens_every_entry_of_an_own_leg(folder, own):
    ledger, agent, identity = own
    for told in TOLD:
        await ledger.leave(await entered(ledger, agent, agreement()), *told)
    found = await kept(folder, agent)
    assert [one.kind for one in found] == ["call", "out"] * 2
    for one, (outcome, reasons, manifests) in zip(found[1::2], TOLD, strict=True):
        out = parse_out_opening(decrypt(one.sealed, [identity]).rstrip(b" "))
        assert (out.entry, out.outcome, out.reasons, out.manifests) == (one.index, outcome, reasons, manifests)
        assert out.fits((await leaf(folder, one))["m"])
    call = parse_call_opening(decrypt(found[0].sealed, [identity]).rstrip(b" "))
    assert (call.entry, call.call, call.call_id) == (found[0].index, CALL, CALL_ID)
    assert call.start == "2026-03-04T09:30:00.000Z" and call.fits((await leaf(folder, found[0]))["c"])


async def test_a_wish_opens_too(folder, own):
    ledger, agent, identity = own
    wished = await ledger.wish(agent, (agreement(),), Lane.AGENT_REQUEST, call=CALL, call_id=CALL_ID, wallclock=NOW)
    await ledger.leave(wished, "recorded", (), ())
    wish, out = await kept(folder, agent)
    opened = parse_call_opening(decrypt(wish.sealed, [identity]).rstrip(b" "))
    assert opened.lane == "agent_request" and opened.fits((await leaf(folder, wish))["c"])
    assert parse_out_opening(decrypt(out.sealed, [identity]).rstrip(b" ")).lane == "agent_request"


async def test_at_rest_nothing_tells_how_a_leg_ended(folder, own):
    ledger, agent, _ = own
    every = ("not_recorded", tuple(reason.value for reason in Reason), ())
    for told in (*TOLD, every):
        await ledger.leave(await entered(ledger, agent, agreement()), *told)
    rows = await folder.database.read(lambda connection: connection.execute(select(leg_openings)).all())
    assert len({len(row.sealed) for row in rows}) == 1
    at_rest = repr([row._asdict() for row in rows])
    for secret in (CALL, CALL_ID, "not_recorded", "CALLER_DENIED", "a" * 64, "09:30"):
        assert secret not in at_rest
    with pytest.raises(CryptoError):
        decrypt(rows[0].sealed, [Identity.generate()])


async def test_what_a_crash_left_open_is_its_agents_too(folder, own):
    ledger, agent, identity = own
    await entered(ledger, agent, agreement())
    await ledger.note_leftovers()
    assert await ledger.close_leftovers() == 1
    out = (await kept(folder, agent))[1]
    opened = parse_out_opening(decrypt(out.sealed, [identity]).rstrip(b" "))
    assert opened.outcome == "interrupted" and opened.fits((await leaf(folder, out))["m"])


async def test_what_was_stored_before_a_crash_stands_in_the_out(folder, own):
    ledger, agent, identity = own
    leg = await entered(ledger, agent, agreement())
    await begin(folder, REC, identity, agent=agent.id, leg=leg.entry)
    for side in SIDES:
        worker = await open_side(folder, SegmentKey(REC, 1, side), identity)
        await folder.recordings.seal(REC, 1, side.value, worker.finish(), "normal")
    await folder.recordings.close(REC, NOW)
    await ledger.note_leftovers()
    assert await ledger.close_leftovers() == 1
    opened = parse_out_opening(decrypt((await kept(folder, agent))[1].sealed, [identity]).rstrip(b" "))
    stored = [part.manifest_sha256 for part in (await folder.recordings.get(REC)).segments]
    assert (opened.lane, sorted(opened.manifests)) == ("sample", sorted(stored)) and len(stored) == 2


async def test_nothing_is_kept_without_a_key_or_past_its_time(folder, own):
    ledger, agent, _ = own
    terms = agreement()
    await ledger.leave(await entered(ledger, replace(agent, recipient=None), terms), *TOLD[0])
    assert await kept(folder, agent) == []
    await ledger.leave(await entered(ledger, agent, terms), *TOLD[0])
    over = terms.retention.log.after(datetime(2026, 3, 4, tzinfo=UTC))
    await ledger.forget_openings(over - timedelta(seconds=1))
    assert len(await kept(folder, agent)) == 2
    await ledger.forget_openings(over)
    assert await kept(folder, agent) == []


@pytest.mark.parametrize("odd", ["a\udcff@pbx", "x" * 5000, "a\x07b"])
async def test_an_odd_call_id_keeps_no_leg_from_being_entered(folder, own, odd):
    ledger, agent, identity = own
    await entered(ledger, agent, agreement(), odd)
    [call] = await kept(folder, agent)
    opened = parse_call_opening(decrypt(call.sealed, [identity]).rstrip(b" "))
    assert opened.fits((await leaf(folder, call))["c"])
