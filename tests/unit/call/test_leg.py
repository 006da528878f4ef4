"""The leg through all its stages: the exact order of its effects, and everything that must keep the tap shut."""

from dataclasses import replace

import pytest

from gateway.call.leg import Leg
from gateway.call.model import Asked
from gateway.call.notice import NOTICE_WAIT_S
from gateway.call.stage import STEPS, Stage
from gateway.call.way import LIT_WAIT_S, LegError
from gateway.events import LightState
from policy.decision import ConsentState, Facts, Purpose, Reason, Side, StandingAnswer
from tests.peers.leg_bench import AGENT, BEGIN, CODES, ENTRY, LINE, LegBench
from tests.unit.policy.green import agreement

ASKING = [
    "listen on, hold back",
    "play ask-de-2 instead to caller",
    "play ask-de-2 beneath to agent",
    "light asking",
]
NOTICING = ["listen on, hold back", "play notice-de-1 instead to caller", "play tone-start beneath to agent"]
AFTER = ["play tone-end beneath to agent", "listen off", "listen off"]


def tapped(bench: LegBench) -> bool:
    """Whether a tap is open, by the orders alone."""
    taps = [said for said in bench.said if said.startswith(("RECORD", "STOP", "discard"))]
    return bool(taps) and taps[-1].startswith("RECORD")


def test_the_whole_way_in_its_exact_order():
    bench = LegBench().armed()
    assert bench.step() == ASKING
    bench.now += 8
    assert bench.played("ask") == []
    bench.now += 1
    assert bench.pressed("1") == ["receipt yes"]
    assert bench.receipt_durable() == NOTICING
    bench.now += 2
    assert bench.played("tone") == []
    assert bench.played("notice") == ["light recording_both"]
    assert bench.step() == []
    assert bench.acknowledge() == ["decision 1"]
    assert bench.decision_durable() == ["RECORD 1 agent+caller", *CODES]
    bench.now += 1
    assert bench.step() == []
    assert bench.leave() == ["STOP 1 normal", "note stop 1", "light off, gone", "leave recorded"]
    assert bench.step() == bench.leave() == []


def test_the_order_to_record_names_both_sides_and_the_moment():
    bench = LegBench().opened()
    (record,) = bench.records
    assert {side.side: side.flow for side in record.sides} == {"agent": AGENT, "caller": LINE.caller_flow}
    assert all(side.recipients == bench.recipients for side in record.sides)
    assert record.opened_at == bench.now
    assert 101 not in record.sides[0].codecs


@pytest.mark.parametrize(
    "spoil",
    [
        lambda bench: setattr(bench.leg, "confirmed", False),
        lambda bench: setattr(bench.leg, "entry", None),
        lambda bench: setattr(bench.leg, "entry", replace(ENTRY, drawn=False)),
        lambda bench: setattr(bench.leg, "party_changed", True),
        lambda bench: setattr(bench.leg, "media_encrypted", True),
        lambda bench: setattr(bench, "line", None),
        lambda bench: setattr(bench, "line", replace(LINE, flowing=False)),
        lambda bench: setattr(bench, "pages", 0),
        lambda bench: bench.changes.update(blackout=True),
        lambda bench: bench.changes.update(suspended=None),
        lambda bench: bench.leg.withdraw(Side.AGENT),
        lambda bench: bench.leg.answer_in_call(Purpose.COACHING, ConsentState.NO),
    ],
)
def test_nobody_is_asked_in_vain(spoil):
    bench = LegBench().armed()
    spoil(bench)
    assert bench.step() == []
    assert bench.leg.stage is Stage.IDLE


# --- asking -------------------------------------------------------------------------------------------------------


def test_a_prompt_cut_short_is_no_question():
    bench = LegBench().armed()
    bench.step()
    said = bench.played("ask", complete=False)
    assert said[-1] == "light off CALLER_UNSET"
    assert bench.pressed("1") == []
    assert bench.leave()[-1] == "leave not_recorded CALLER_UNSET"


def test_silence_is_no_yes_and_leaves_no_receipt():
    bench = LegBench().listening()
    said = bench.wait(6)
    assert said == ["listen off", "light off CALLER_UNSET"]


def test_a_prompt_that_never_ends_is_given_up():
    bench = LegBench().armed()
    bench.step()
    assert bench.wait(15.1)[:3] == ["stop playing ask", "stop playing ask-agent", "listen off"]
    assert bench.leg.stage is Stage.CLOSED


@pytest.mark.parametrize(
    "cut",
    [
        lambda bench: setattr(bench, "line", replace(LINE, flowing=False)),
        lambda bench: setattr(bench, "line", replace(LINE, payload_type=0, codec="PCMU")),
        lambda bench: setattr(bench, "line", None),
        lambda bench: setattr(bench.leg, "party_changed", True),
    ],
    ids=["hold", "codec", "no line", "transfer"],
)
@pytest.mark.parametrize("listening", [False, True])
def test_hold_transfer_and_media_change_cut_the_question(cut, listening):
    bench = LegBench().armed()
    bench.step()
    if listening:
        bench.played("ask")
    cut(bench)
    bench.step()
    assert bench.leg.stage is Stage.CLOSED
    assert not any(said.startswith("receipt") for said in bench.said)
    assert bench.light.state is LightState.OFF


def test_a_yes_before_the_prompts_end_counts_for_nothing():
    bench = LegBench().armed()
    bench.step()
    pressed_at = bench.now
    assert bench.pressed("1") == []
    bench.now += 8
    bench.played("ask")
    assert bench.pressed("1", began_at=pressed_at + 7.9) == []
    assert bench.pressed("1", duration_ms=39) == []
    assert bench.pressed("1", flow=AGENT) == []
    assert bench.leg.stage is Stage.LISTENING
    assert bench.pressed("1")[-1] == "receipt yes"


@pytest.mark.parametrize("way", ["armed", "listening", "agreed", "lit"])
def test_the_refuse_key_counts_at_any_time(way):
    bench = getattr(LegBench(), way)()
    bench.step()
    bench.pressed("9", duration_ms=20)
    assert bench.leg.stage is Stage.CLOSED
    assert bench.light.state is LightState.OFF
    if way == "agreed":
        bench.receipt_durable()
    proven = way in ("agreed", "lit")
    assert [said for said in bench.said if said.startswith("receipt")] == ["receipt yes", "receipt withdrawn"] * proven
    assert not any(said.startswith(("decision", "RECORD")) for said in bench.said)


def test_a_no_leaves_no_receipt():
    bench = LegBench().listening()
    assert bench.pressed("9") == ["listen off", "light off CALLER_REFUSED"]
    assert bench.leave()[-1] == "leave not_recorded CALLER_REFUSED"
    assert not any(said.startswith("receipt") for said in bench.said)


def test_keys_are_held_back_from_the_question_to_the_notice():
    bench = LegBench().agreed()
    assert "listen off" not in bench.said
    bench.receipt_durable()
    assert "listen off" not in bench.said


def test_a_yes_given_before_in_this_call_needs_only_the_notice():
    bench = LegBench().armed()
    prompt = bench.agreements[0].consent.prompts[0]
    bench.leg.said.written(Purpose.COACHING, Asked("dtmf", "de", prompt))
    assert bench.step() == [*NOTICING, "light asking"]


# --- notice and light ---------------------------------------------------------------------------------------------


def test_without_a_receipt_nothing_goes_on():
    bench = LegBench().agreed()
    assert bench.wait(NOTICE_WAIT_S + 0.1) == ["stop playing notice", "listen off", "light off CALLER_UNSET"]


@pytest.mark.parametrize("play", ["notice", "tone"])
def test_a_notice_or_tone_that_was_cut_ends_it(play):
    bench = LegBench().agreed()
    bench.receipt_durable()
    assert bench.played(play, complete=False)[-1] == "light off CALLER_NOTICE_MISSING"


def test_nobody_acknowledges():
    bench = LegBench().lit()
    assert bench.wait(LIT_WAIT_S + 0.1) == ["listen off", "light off INDICATOR_STALE"]


def test_a_heartbeats_acknowledgement_opens_nothing():
    bench = LegBench().lit()
    beat = bench.indicator.heartbeat(bench.now)
    assert bench.acknowledge(beat) == []
    bench.now += 1
    assert bench.acknowledge(bench.indicator.heartbeat(bench.now)) == []
    assert bench.acknowledge() == ["decision 1"]


def test_an_earlier_lights_acknowledgement_opens_nothing():
    bench = LegBench().listening()
    asking = bench.light
    bench.pressed("1")
    bench.receipt_durable()
    bench.played("tone")
    bench.played("notice")
    assert bench.acknowledge(asking) == []
    assert bench.acknowledge(replace(bench.light, nonce=asking.nonce)) == []
    assert bench.acknowledge(replace(bench.light, state=LightState.RECORDING_AGENT)) == []
    assert bench.leg.stage is Stage.LIT


# --- decision and tap ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda bench: setattr(bench, "now", bench.now + 3.1), "INDICATOR_STALE"),
        (lambda bench: bench.indicator.page_closed("page-1"), "INDICATOR_STALE"),
        (lambda bench: bench.changes.update(suspended=True), "SUSPENDED"),
        (lambda bench: setattr(bench, "line", None), "MEDIA_UNSUPPORTED"),
        (lambda bench: setattr(bench, "recipients", ()), "KEY_UNAVAILABLE"),
        (lambda bench: bench.leg.withdraw(Side.CALLER), "WITHDRAWN_BY_CALLER"),
    ],
)
def test_all_gates_are_asked_once_more_when_the_decision_is_durable(spoil, reason):
    bench = LegBench().lit()
    bench.acknowledge()
    spoil(bench)
    said = bench.decision_durable()
    assert said[0] == "note stop 1 not opened"
    assert f"light off {reason}" in said
    assert bench.leg.stage is Stage.CLOSED
    assert not tapped(bench)


def test_a_decision_that_cant_be_written_opens_nothing():
    bench = LegBench().lit()
    bench.acknowledge()
    assert bench.decision_failed() == ["listen off", "light off STORAGE_UNAVAILABLE"]
    assert bench.decision_durable() == ["note stop 1 not opened"]


def test_a_call_that_ends_while_the_decision_is_written_is_never_tapped():
    bench = LegBench().lit()
    bench.acknowledge()
    assert bench.leave() == ["light off, gone", "leave not_recorded"]
    assert bench.decision_durable() == ["note stop 1 not opened"]
    assert bench.step() == []


def test_one_decision_at_a_time():
    bench = LegBench().lit()
    assert bench.acknowledge() == ["decision 1"]
    assert bench.acknowledge() == bench.step() == []


# --- open and paused ----------------------------------------------------------------------------------------------


def test_pause_and_resume_make_a_new_segment_with_a_new_acknowledgement():
    bench = LegBench().opened()
    first = bench.light
    bench.leg.paused_by_call = True
    assert bench.step() == ["STOP 1 paused", "note stop 1 PAUSED", "light paused"]
    bench.now += 2
    bench.leg.paused_by_call = False
    assert bench.step() == ["light recording_both"]
    assert bench.acknowledge(first) == []
    assert bench.acknowledge() == ["decision 2"]
    assert bench.decision_durable() == ["RECORD 2 agent+caller", *CODES]
    assert bench.leave()[-1] == "leave recorded"


def test_a_hold_pauses_and_its_end_resumes():
    bench = LegBench().opened()
    bench.line = replace(LINE, flowing=False)
    assert bench.step()[0] == "STOP 1 paused"
    bench.line = LINE
    assert bench.step() == ["light recording_both"]


def test_a_hold_before_the_tap_opened_keeps_it_shut():
    bench = LegBench().lit()
    bench.acknowledge()
    bench.line = replace(LINE, flowing=False)
    assert bench.step() == ["light paused"]
    assert bench.decision_durable() == ["note stop 1 not opened"]
    bench.line = LINE
    assert bench.step() == ["light recording_both"]
    assert bench.acknowledge() == ["decision 2"]
    assert bench.decision_durable()[0] == "RECORD 2 agent+caller"


def test_a_pause_that_lasts_too_long_is_final():
    bench = LegBench().opened()
    bench.leg.paused_by_call = True
    bench.step()
    assert "light off PAUSED" in bench.wait(600.1)
    bench.leg.paused_by_call = False
    assert bench.step() == []


def test_paused_and_withdrawn_discards_what_was_recorded():
    bench = LegBench().opened()
    bench.leg.paused_by_call = True
    bench.step()
    bench.leg.withdraw(Side.AGENT)
    assert bench.step() == ["discard", *AFTER, "light off WITHDRAWN_BY_AGENT"]


# --- what ends a recording ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", list(Side))
def test_a_withdrawal_closes_the_tap_first_and_then_discards(by):
    bench = LegBench().opened()
    bench.leg.withdraw(by)
    reason = Reason.WITHDRAWN_BY_AGENT if by is Side.AGENT else Reason.WITHDRAWN_BY_CALLER
    said = bench.step()
    receipt = ["receipt withdrawn"] if by is Side.CALLER else []
    assert said == ["STOP 1 stopped", "discard", *AFTER, f"light off {reason.value}", *receipt]
    assert bench.leave()[-1] == f"leave discarded {reason.value}"


def test_an_agents_no_in_the_call_withdraws_like_stop():
    bench = LegBench().opened()
    bench.leg.answer_in_call(Purpose.COACHING, ConsentState.NO)
    assert bench.step() == ["STOP 1 stopped", "discard", *AFTER, "light off AGENT_NO_OR_UNSET"]
    assert bench.leave()[-1] == "leave discarded AGENT_NO_OR_UNSET WITHDRAWN_BY_AGENT"


def test_a_consent_that_is_merely_unset_stops_and_keeps():
    bench = LegBench().opened()
    bench.changes["agent_standing"] = {purpose: StandingAnswer(ConsentState.UNSET) for purpose in Purpose}
    assert "discard" not in bench.step()
    assert bench.leave()[-1] == "leave recorded (cut) AGENT_NO_OR_UNSET"


@pytest.mark.parametrize("by", list(Side))
def test_stop_only_keeps_what_was_recorded(by):
    bench = LegBench(agreement(consent__withdrawal_effect="stop_only")).opened()
    bench.leg.withdraw(by)
    said = bench.step()
    assert said[0] == "STOP 1 stopped"
    assert said[1].startswith("note stop 1 WITHDRAWN")
    assert "discard" not in said
    assert bench.leave()[-1].startswith("leave recorded (cut) WITHDRAWN")


def test_a_refusal_told_to_the_agent_discards_even_under_stop_only():
    bench = LegBench(agreement(consent__withdrawal_effect="stop_only")).opened()
    bench.leg.caller_refused()
    said = bench.step()
    assert said[:2] == ["STOP 1 stopped", "discard"]
    assert bench.leave()[-1].startswith("leave discarded CALLER_REFUSED")


def test_the_withdrawal_code_needs_its_keys_in_order_and_in_time():
    bench = LegBench().opened()
    assert bench.pressed("9*19") == []
    assert bench.pressed("*") == []
    bench.now += 2.5
    beat = bench.indicator.heartbeat(bench.now)
    bench.acknowledge(beat)
    bench.now += 2.5
    assert bench.pressed("9") == []
    assert tapped(bench)
    assert bench.pressed("*9")[0] == "STOP 1 stopped"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda bench: setattr(bench.leg, "party_changed", True), "PARTY_UNKNOWN"),
        (lambda bench: bench.indicator.page_closed("page-1"), "INDICATOR_STALE"),
        (lambda bench: bench.changes.update(seat_bound=False), "LEG_UNBOUND"),
        (lambda bench: bench.changes.update(storage_available=False), "STORAGE_UNAVAILABLE"),
        (lambda bench: setattr(bench, "line", None), "MEDIA_UNSUPPORTED"),
    ],
)
def test_whatever_stops_a_leg_is_final_for_it(spoil, reason):
    bench = LegBench().opened()
    spoil(bench)
    said = bench.step()
    assert said[:2] == ["STOP 1 stopped", f"note stop 1 {reason}"]
    bench.changes.clear()
    bench.line = LINE
    bench.leg.party_changed = False
    bench.acknowledge()
    assert bench.step() == bench.pressed("1") == bench.wait(5) == []
    assert bench.leave()[-1] == f"leave recorded (cut) {reason}"


def test_a_light_that_isnt_acknowledged_any_more_stops_the_recording_in_time():
    bench = LegBench().opened()
    opened_at = bench.now
    while not bench.leg.way.ended_by:
        due = bench.leg.next_timeout(bench.now, bench.wallclock)
        assert due is not None
        bench.now = due
        bench.step()
    assert 3.0 < bench.now - opened_at < 3.01


def test_acknowledged_heartbeats_keep_it_open():
    bench = LegBench().opened()
    for _ in range(10):
        bench.wait(1)
        bench.acknowledge(bench.beats[-1])
    assert tapped(bench)


def test_the_agreements_end_stops_it_to_the_second():
    bench = LegBench(agreement(validity__end="2026-03-04T10:31:00")).opened()  # 09:31 UTC
    while not bench.leg.way.ended_by:
        due = bench.leg.next_timeout(bench.now, bench.wallclock)
        assert due is not None
        bench.now = due
        beat = bench.indicator.heartbeat(bench.now - 0.01)
        assert beat is not None
        bench.indicator.acknowledge("page-1", beat.seq, beat.nonce, beat.state.value)
        bench.step()
    assert bench.leg.way.ended_by == (Reason.OUTSIDE_VALIDITY,)
    assert bench.now == pytest.approx(BEGIN + 60)


def test_abandoned_by_its_worker_it_closes_with_the_order_first():
    bench = LegBench().opened()
    reasons = (Reason.STORAGE_UNAVAILABLE,)
    said = bench.take(bench.leg.abandon(bench.now, bench.wallclock, reasons))
    assert said[:2] == ["STOP 1 stopped", "note stop 1 STORAGE_UNAVAILABLE"]
    assert bench.leg.abandon(bench.now, bench.wallclock, reasons) == []


def test_a_call_that_ends_while_the_caller_is_asked():
    bench = LegBench().listening()
    unreached = "CALLER_UNSET CALLER_NOTICE_MISSING INDICATOR_STALE"
    assert bench.leave() == ["light off, gone", f"leave not_recorded {unreached}"]
    assert bench.pressed("1") == []


def test_an_evaluation_that_fails_stops_it():
    bench = LegBench().opened()
    bench.changes["group_size"] = "eight"
    said = bench.step()
    assert said[0] == "STOP 1 stopped"
    assert bench.leg.way.ended_by == (Reason.EVALUATION_ERROR,)


# --- the table ----------------------------------------------------------------------------------------------------


def test_a_step_that_isnt_in_the_table_is_a_bug():
    bench = LegBench().opened()
    with pytest.raises(LegError):
        bench.leg.way._go(Stage.LIT)
    assert bench.leg.stage is Stage.OPEN


def test_nothing_leads_back_and_every_stage_can_close():
    assert STEPS[Stage.CLOSED] == frozenset()
    assert all(Stage.CLOSED in STEPS[stage] for stage in Stage if stage is not Stage.CLOSED)


def test_facts_of_the_leg_win_over_gathered_ones():
    bench = LegBench()
    facts = bench.leg.facts(bench.circumstances().facts, bench.now)
    assert isinstance(facts, Facts)
    assert isinstance(bench.leg, Leg)
    assert (facts.drawn, facts.caller, facts.ack_age_ms, facts.caller_notice_played) == (None, {}, None, False)
