"""What is kept of a call's signalling, and that it is bounded in time and size."""

from gateway.engine.ladder import KEPT_S, MOST_CALLS, MOST_RUNGS, Ladder, Rung, method_word
from policy.decision import Side


def test_steps_are_dated_from_the_first():
    ladder = Ladder()
    ladder.note("a", Side.CALLER, "INVITE", 100.0, described=True)
    ladder.note("a", Side.AGENT, "180 INVITE", 100.25)
    assert ladder.rungs("a") == ((Rung(0.0, Side.CALLER, "INVITE SDP"), Rung(0.25, Side.AGENT, "180 INVITE")), 0)
    assert ladder.rungs("b") is None


def test_what_a_peer_made_up_as_a_method_is_not_kept():
    assert [method_word(one) for one in ("INVITE", "invite", "CALL-4930231255")] == ["INVITE", "other", "other"]


def test_a_call_that_never_stops_talking_is_cut_and_says_so():
    ladder = Ladder()
    for number in range(MOST_RUNGS + 3):
        ladder.note("a", Side.CALLER, "INFO", float(number))
    rungs, missed = ladder.rungs("a") or ((), 0)
    assert (len(rungs), missed) == (MOST_RUNGS, 3)


def test_after_a_day_and_beyond_the_limit_calls_are_forgotten():
    ladder = Ladder()
    ladder.note("old", Side.CALLER, "INVITE", 0.0)
    ladder.note("new", Side.CALLER, "INVITE", KEPT_S + 1)
    assert ladder.rungs("old") is None
    for number in range(MOST_CALLS + 1):
        ladder.note(str(number), Side.CALLER, "INVITE", KEPT_S + 2)
    assert ladder.rungs("new") is None
    assert ladder.rungs(str(MOST_CALLS)) is not None
