"""Roster, keys and seats: one extension per agent, one agent per extension, numbers grow, new keys undo every yes."""

import asyncio
from datetime import date, timedelta

import pytest

from policy.terms import ConsentState, Purpose
from storage.consents import Consents, Statement
from storage.errors import AgentUnknown, RosterValueError, SeatConflict, StaleClaim
from storage.roster import NewAgent
from tests.peers.stored import AT, add_agent

HOURS = timedelta(hours=1)


async def claim(folder, agent, extension, seq, at=AT):
    return await folder.roster.claim(
        agent, extension=extension, session="s", seq=seq, statement="{}", signature="sig", at=at
    )


async def enrol(folder, agent, recipient="age1one", at=AT):
    return await folder.roster.enrol(
        agent, recipient=recipient, signing_key="ssh-ed25519 AAAA", statement="{}", signature="sig", at=at
    )


async def test_what_is_added_comes_back(folder):
    new = NewAgent("Ærlig Øye", "team-b", "oslo", onboarding_from=date(2026, 4, 1), home_office=True)
    agent = await folder.roster.get(await folder.roster.add(new, AT))
    assert (agent.name, agent.group, agent.site) == ("Ærlig Øye", "team-b", "oslo")
    assert agent.onboarding_from == date(2026, 4, 1) and agent.home_office
    assert (agent.disabled, agent.blackout, agent.key_seq, agent.recipient) == (False, False, 0, None)
    assert len(agent.id) == 32 and len(agent.salt) == 32
    assert "Ærlig" not in repr(agent) and agent.salt.hex() not in repr(agent)


async def test_ids_and_salts_are_everybodys_own(folder):
    ids = await folder.roster.add_all([NewAgent(f"a{n}", "team-a", "hq") for n in range(20)], AT)
    listed = await folder.roster.list()
    assert {agent.id for agent in listed} == set(ids) and len({agent.salt for agent in listed}) == 20
    assert await folder.roster.members("team-a") == 20
    await folder.roster.disable(ids[0])
    assert await folder.roster.members("team-a") == 19
    assert await folder.roster.members("team-x") == 0
    assert await folder.roster.add_all([], AT) == ()


@pytest.mark.parametrize("bad", ["", " padded", "line\n", "x" * 201, "nul\x00"])
async def test_other_roster_lines_are_refused_together(folder, bad):
    with pytest.raises(RosterValueError) as caught:
        await folder.roster.add_all([NewAgent("fine", "team-a", "hq"), NewAgent(bad, "team-a", "hq")], AT)
    assert not bad or bad not in str(caught.value)
    assert await folder.roster.list() == ()


async def test_unknown_and_disabled_agents(folder):
    gone = await add_agent(folder)
    await folder.roster.disable(gone)
    assert (await folder.roster.get(gone)).disabled
    for agent in (gone, "f" * 32):
        for attempt in (claim(folder, agent, "10", 1), enrol(folder, agent), folder.roster.set_blackout(agent, True)):
            with pytest.raises(AgentUnknown):
                await attempt
    with pytest.raises(AgentUnknown):
        await folder.roster.get("f" * 32)
    with pytest.raises(AgentUnknown):
        await folder.roster.disable("f" * 32)


async def test_blackout(folder):
    agent = await add_agent(folder)
    await folder.roster.set_blackout(agent, True)
    assert (await folder.roster.get(agent)).blackout
    await folder.roster.set_blackout(agent, False)
    assert not (await folder.roster.get(agent)).blackout


async def test_a_seat_holds_twelve_hours(folder):
    agent = await add_agent(folder)
    seat = await claim(folder, agent, "2001", 1)
    assert await folder.roster.holder("2001", AT) == agent
    assert await folder.roster.holder("2001", AT + 12 * HOURS - timedelta(microseconds=1)) == agent
    assert await folder.roster.holder("2001", AT + 12 * HOURS) is None
    assert await folder.roster.holder("2002", AT) is None
    assert await folder.roster.seat(agent, AT) == seat and await folder.roster.seats(AT) == (seat,)
    assert await folder.roster.seats(AT + 12 * HOURS) == ()
    assert "2001" not in repr(seat)


async def test_one_extension_per_agent_and_one_agent_per_extension(folder):
    first, second = await add_agent(folder), await add_agent(folder)
    await claim(folder, first, "2001", 1)
    with pytest.raises(SeatConflict):
        await claim(folder, second, "2001", 1)
    await claim(folder, first, "2002", 2)
    assert await folder.roster.holder("2001", AT) is None and await folder.roster.holder("2002", AT) == first
    await claim(folder, second, "2001", 1)  # the refused claim used no number up
    await folder.roster.release(first)
    await folder.roster.release(first)
    assert await folder.roster.holder("2002", AT) is None and await folder.roster.holder("2001", AT) == second
    assert await claim(folder, first, "2001", 3, at=AT + 12 * HOURS)  # an expired seat is nobody's


async def test_claims_raced_for_one_extension_have_one_winner(folder):
    agents = [await add_agent(folder) for _ in range(8)]
    results = await asyncio.gather(*(claim(folder, agent, "9", 1) for agent in agents), return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["Seat"] + ["SeatConflict"] * 7


@pytest.mark.parametrize("seq", [0, 4, 5])
async def test_an_old_claim_is_stale_even_after_release_and_new_keys(folder, seq):
    agent = await add_agent(folder)
    await claim(folder, agent, "1", 5)
    await enrol(folder, agent)
    with pytest.raises(StaleClaim):
        await claim(folder, agent, "1", seq)
    assert await folder.roster.holder("1", AT) is None
    assert (await folder.roster.get(agent)).seat_seq == 5


async def test_new_keys_undo_every_yes_and_release_the_seat(folder):
    agent, other = await add_agent(folder), await add_agent(folder)
    consents = Consents(folder.database)
    assert await enrol(folder, agent) == 1
    for who in (agent, other):
        said = Statement("{}", "sig", "0" * 64, "de", 3)
        await consents.set(who, Purpose.COACHING, ConsentState.YES, AT, statement=said)
    await consents.set(agent, Purpose.DISPUTE, ConsentState.NO, AT)
    await claim(folder, agent, "1", 1)
    assert await enrol(folder, agent, "age1two", AT + HOURS) == 2
    now = await folder.roster.get(agent)
    assert (now.recipient, now.key_seq, now.enrolled_from) == ("age1two", 2, AT + HOURS)
    assert [(key.seq, key.recipient) for key in await folder.roster.keys(agent)] == [(1, "age1one"), (2, "age1two")]
    assert {row.answer for row in (await consents.standing(agent)).values()} == {ConsentState.UNSET}
    assert (await consents.standing(other))[Purpose.COACHING].answer is ConsentState.YES
    assert await folder.roster.seat(agent, AT) is None
