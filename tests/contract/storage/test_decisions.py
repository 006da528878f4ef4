"""Decision rows come back as they were written, by recording and by call."""

from policy.decision import Outcome, Reason
from policy.terms import Lane, Purpose, Side
from storage.decisions import DecisionRow, Decisions
from tests.peers.stored import AGREEMENT, AT

RECORD = DecisionRow(
    call_ref="0123456789abcdef",
    entry=1,
    recording="4" * 32,
    seg=1,
    outcome=Outcome.RECORD,
    lane=Lane.SAMPLE,
    purpose=Purpose.COACHING,
    sides=frozenset({Side.AGENT, Side.CALLER}),
    reasons=(),
    agreement=AGREEMENT,
    at=AT,
)
STOP = DecisionRow(
    call_ref="0123456789abcdef",
    entry=1,
    recording="4" * 32,
    seg=1,
    outcome=Outcome.NO,
    lane=None,
    purpose=None,
    sides=frozenset(),
    reasons=(Reason.WITHDRAWN_BY_AGENT, Reason.INDICATOR_STALE),
    agreement=None,
    at=AT,
)


async def test_rows_come_back_in_order(folder):
    decisions = Decisions(folder.database)
    assert [await decisions.write(row) for row in (RECORD, STOP)] == [1, 2]
    assert await decisions.of_recording("4" * 32) == [RECORD, STOP]
    assert await decisions.of_recording("5" * 32) == []
