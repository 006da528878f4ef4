"""Standing consents and receipts: a yes needs its statement, numbers grow, a refusal of a caller is never written."""

from datetime import timedelta

import pytest

from policy.terms import ConsentState, Purpose
from storage.consents import Consents, Receipt, ReceiptOutcome, Statement
from storage.errors import AgentUnknown, ReceiptExists, StaleConsent, StatementMissing
from tests.peers.stored import AT, add_agent

YES, NO, UNSET = ConsentState.YES, ConsentState.NO, ConsentState.UNSET
COACHING, DISPUTE = Purpose.COACHING, Purpose.DISPUTE


def said(seq, document='{"answer":"yes"}'):
    return Statement(document, "sig", "0" * 64, "de", seq)


def receipt(jti="j1", outcome=ReceiptOutcome.YES, recording=None, days=1, call_ref="c1"):
    return Receipt(jti, call_ref, recording, outcome, b'{"v":1}', "sig", AT, AT + timedelta(days=days))


@pytest.fixture
def consents(folder):
    return Consents(folder.database)


async def test_nobody_said_yes_by_default(folder, consents):
    standing = await consents.standing(await add_agent(folder))
    assert set(standing) == set(Purpose)
    assert {(row.answer, row.seq, row.statement) for row in standing.values()} == {(UNSET, 0, None)}


async def test_a_yes_is_for_one_purpose_and_keeps_its_statement(folder, consents):
    agent = await add_agent(folder)
    await consents.set(agent, COACHING, YES, AT, statement=said(1), home_office=True)
    standing = await consents.standing(agent)
    assert (standing[COACHING].answer, standing[COACHING].home_office) == (YES, True)
    assert standing[COACHING].statement == said(1) and standing[COACHING].at == AT
    assert len(said(1).digest) == 64
    assert standing[DISPUTE].answer is UNSET


async def test_a_yes_without_statement_is_refused(folder, consents):
    agent = await add_agent(folder)
    with pytest.raises(StatementMissing):
        await consents.set(agent, COACHING, YES, AT)
    with pytest.raises(AgentUnknown):
        await consents.set("f" * 32, COACHING, NO, AT)


async def test_a_no_needs_nothing_and_an_old_yes_cant_undo_it(folder, consents):
    agent = await add_agent(folder)
    await consents.set(agent, COACHING, YES, AT, statement=said(4))
    await consents.set(agent, COACHING, NO, AT, home_office=True)
    for seq in (3, 4, 5):
        with pytest.raises(StaleConsent):
            await consents.set(agent, COACHING, YES, AT, statement=said(seq))
    now = (await consents.standing(agent))[COACHING]
    assert (now.answer, now.seq, now.statement, now.home_office) == (NO, 5, None, False)
    await consents.set(agent, COACHING, UNSET, AT)
    await consents.set(agent, COACHING, YES, AT, statement=said(7))
    history = await consents.history(agent)
    assert [(row.answer, row.seq) for row in history] == [(YES, 4), (NO, 5), (UNSET, 6), (YES, 7)]


async def test_a_no_is_never_too_old_and_opens_no_way_for_a_yes(folder, consents):
    agent = await add_agent(folder)
    await consents.set(agent, COACHING, YES, AT, statement=said(4))
    for seq in (4, 1):
        assert (await consents.set(agent, COACHING, NO, AT, statement=said(seq))).statement is None
    now = (await consents.standing(agent))[COACHING]
    assert (now.answer, now.seq) == (NO, 6)
    for seq in (4, 5, 6):
        with pytest.raises(StaleConsent):
            await consents.set(agent, COACHING, YES, AT, statement=said(seq))
    await consents.set(agent, COACHING, YES, AT, statement=said(7))
    assert (await consents.set(agent, COACHING, NO, AT, statement=said(9))).statement == said(9)


async def test_receipts_come_back_by_call_and_recording(consents):
    first, second = receipt("j1", recording="r1"), receipt("j2", ReceiptOutcome.WITHDRAWN, "r1")
    for one in (first, second, receipt("j3", call_ref="c2")):
        await consents.add_receipt(one)
    assert await consents.receipts(call_ref="c1") == [first, second]
    assert await consents.receipts(recording="r1") == [first, second]
    assert [one.jti for one in await consents.receipts(call_ref="c2")] == ["j3"]


async def test_a_receipt_is_used_once(consents):
    await consents.add_receipt(receipt())
    with pytest.raises(ReceiptExists):
        await consents.add_receipt(receipt(call_ref="other"))
    assert len(await consents.receipts()) == 1


def test_there_is_no_word_for_a_callers_refusal():
    assert set(ReceiptOutcome) == {"yes", "withdrawn"}


async def test_receipts_are_erased_when_due(consents):
    await consents.add_receipt(receipt("short", days=1))
    await consents.add_receipt(receipt("long", days=2))
    assert await consents.erase_due(AT) == 0
    assert await consents.erase_due(AT + timedelta(days=1)) == 1
    assert [one.jti for one in await consents.receipts()] == ["long"]
