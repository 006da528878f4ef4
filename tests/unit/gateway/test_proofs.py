"""Rows that somebody wrote into the database by hand: what isn't the agent's own word gives no key, seat or yes."""

import pytest
from sqlalchemy import update

from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from crypto.x25519 import Identity
from gateway.call.model import Private
from policy.agreement.load import load
from policy.statements import CONSENT_NAMESPACE, ENROLMENT_NAMESPACE, ConsentStatement, Enrolment
from policy.terms import ConsentState, Purpose
from policy.texts import consent_text, text_sha256
from storage.consents import Statement
from storage.tables import agent_keys, consents, seats
from tests.peers.enacted import DEMO, House

WHEN = "2026-03-01T09:30:00Z"
ADMIN = SigningKey.generate()


@pytest.fixture
async def house(folder) -> House:
    house = House.over(folder, protected=None)
    await house.enact()
    return house


async def tamper(house, table, agent, **values):
    """By hand, behind the gateway's back; then a restart reads it."""
    query = update(table).where(table.c.agent == agent).values(**values)
    await house.folder.database.write(lambda connection: connection.execute(query).rowcount)
    await house.site.load_agent(agent)


def answer(house, agent):
    return house.site.standing[agent][Purpose.COACHING].answer


async def test_what_the_agent_signed_stands(house):
    agent = await house.hire("200")
    await house.say(agent, Purpose.COACHING, ConsentState.YES)
    assert answer(house, agent) is ConsentState.YES
    assert house.site.holder(Private("200")) == agent and house.site.agents[agent].recipient is not None


async def test_a_no_that_was_turned_into_a_yes_is_unset(house):
    agent = await house.hire("200")
    await house.say(agent, Purpose.COACHING, ConsentState.NO)
    await tamper(house, consents, agent, answer="yes")
    assert answer(house, agent) is ConsentState.UNSET


@pytest.mark.parametrize(
    "values",
    [
        {"home_office": True},
        {"text_sha256": "ab" * 32},
        {"purpose": "coaching"},
        {"seq": 8},
        {"signature": "-"},
        {"statement": "{}"},
    ],
    ids=lambda values: next(iter(values)),
)
async def test_a_row_that_says_more_than_its_statement_is_unset(house, values):
    agent = await house.hire("200")
    said = Purpose.PROCESS_QUALITY if "purpose" in values else Purpose.COACHING
    await house.say(agent, said, ConsentState.YES)
    await tamper(house, consents, agent, **values)
    assert answer(house, agent) is ConsentState.UNSET


@pytest.mark.parametrize("signer", ["admin", "another agent"])
async def test_a_yes_that_somebody_else_signed_is_unset(house, signer):
    agent, other = await house.hire("200"), await house.hire("201")
    text = min(house.site.texts[Purpose.COACHING])
    await house.say(agent, Purpose.COACHING, ConsentState.NO)
    said = ConsentStatement(agent, Purpose.COACHING, "yes", text, "de", False, 1, WHEN).canonical()
    key = ADMIN if signer == "admin" else house.signers[other]
    forged = {"statement": said.decode(), "signature": sign(key, CONSENT_NAMESPACE, said)}
    await tamper(house, consents, agent, answer="yes", seq=1, text_sha256=text, language="de", **forged)
    assert answer(house, agent) is ConsentState.UNSET


async def test_a_text_under_a_no_counts_as_read_only_if_the_agent_signed_it(house):
    agent = await house.hire("200")
    text = text_sha256(consent_text(load(DEMO), Purpose.COACHING, "de"))
    said = Statement("{}", "nobody's", text, "de", 1)
    await house.consents.set(agent, Purpose.COACHING, ConsentState.NO, house.at, statement=said)
    await house.site.load_agent(agent)
    kept = house.site.standing[agent][Purpose.COACHING]
    assert (kept.answer, kept.statement) == (ConsentState.NO, None)


async def test_another_signing_key_takes_keys_seat_and_yes_away(house):
    agent = await house.hire("200")
    await house.say(agent, Purpose.COACHING, ConsentState.YES)
    await tamper(house, agent_keys, agent, signing_key=ADMIN.verify_key.line())
    assert answer(house, agent) is ConsentState.UNSET and house.site.holder(Private("200")) is None
    assert (house.site.agents[agent].recipient, house.site.agents[agent].signing_key) == (None, None)


async def test_another_recipient_is_none(house):
    agent = await house.hire("200")
    await tamper(house, agent_keys, agent, recipient=str(Identity.generate().recipient))
    assert house.site.agents[agent].recipient is None


async def test_another_agents_enrolment_is_none(house):
    agent, recipient = await house.hire("200"), str(Identity.generate().recipient)
    said = Enrolment("ab" * 16, recipient, WHEN).canonical()
    forged = {"statement": said.decode(), "signature": sign(ADMIN, ENROLMENT_NAMESPACE, said)}
    await tamper(house, agent_keys, agent, signing_key=ADMIN.verify_key.line(), recipient=recipient, **forged)
    assert house.site.agents[agent].recipient is None


@pytest.mark.parametrize("values", [{"extension": "300"}, {"session": "session-9"}, {"seq": 9}, {"signature": "-"}])
async def test_a_seat_that_differs_from_its_claim_is_nobody_s(house, values):
    agent = await house.hire("200")
    await tamper(house, seats, agent, **values)
    assert house.site.seats == {}


async def test_an_agent_without_keys_has_neither_seat_nor_yes(house):
    agent = await house.hire()
    assert house.site.agents[agent].recipient is None and house.site.seats == {}
