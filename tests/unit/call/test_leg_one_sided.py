"""After a no the agent's side alone: only where agreed and said, with its own notice and light, and gone at a leak."""

from dataclasses import replace

import pytest

from gateway.call.stage import Stage
from gateway.events import LightState
from policy.decision import ConsentState, Purpose, Reason, Side
from tests.peers.leg_bench import AGENT, CALLER, CODES, ENTRY, LINE, LegBench
from tests.unit.policy.green import PROVEN_YES, example, per_leg

NOTICING = [
    "listen off",
    "listen on, hold back",
    "play notice-side-de-1 instead to caller",
    "play tone-start beneath to agent",
]


class OneSidedBench(LegBench):
    """Under an agreement that lets the agent's side be kept alone, with a prompt that says so."""

    def __init__(self, *agreements) -> None:
        super().__init__(*(agreements or (per_leg(),)))
        self.one_sided = frozenset({"ask-de-2"})

    def refused(self) -> "OneSidedBench":
        self.listening()
        self.now += 1
        self.pressed("9")
        return self

    def lit_alone(self) -> "OneSidedBench":
        self.refused()
        self.now += 3
        self.played("tone")
        self.played("notice")
        return self

    def opened_alone(self) -> "OneSidedBench":
        self.lit_alone().acknowledge()
        self.decision_durable()
        return self


def test_the_whole_way_after_a_no():
    bench = OneSidedBench()
    bench.listening()
    bench.now += 1
    assert bench.pressed("9") == NOTICING
    bench.now += 2
    assert bench.played("tone") == []
    assert bench.played("notice") == ["light recording_agent"]
    assert bench.acknowledge() == ["decision 1"]
    assert bench.decision_durable() == ["RECORD 1 agent", *CODES]
    bench.now += 1
    assert bench.step() == []
    assert bench.leave() == ["STOP 1 normal", "note stop 1", "light off, gone", "leave recorded"]
    assert not any(said.startswith("receipt") for said in bench.said), "a no leaves no receipt"


def test_the_order_names_the_agent_s_side_alone_and_whom_it_is_compared_with():
    (record,) = OneSidedBench().opened_alone().records
    (side,) = record.sides
    assert (side.side, side.flow, side.vetted_against) == ("agent", AGENT, CALLER)
    assert record.quorum is None


def test_a_yes_still_records_both_and_compares_nothing():
    bench = OneSidedBench().opened()
    assert bench.light.state is LightState.RECORDING_BOTH
    assert [(side.side, side.vetted_against) for side in bench.records[0].sides] == [("agent", None), ("caller", None)]


@pytest.mark.parametrize(
    "agreements",
    [(example(),), (per_leg(), example()), (example(), per_leg())],
    ids=["all parties", "second", "first"],
)
def test_every_agreement_must_allow_it(agreements):
    bench = OneSidedBench(*agreements).refused()
    assert bench.leg.stage is Stage.CLOSED
    assert bench.leg.way.ended_by == (Reason.CALLER_REFUSED,)


def test_a_prompt_that_didn_t_say_so_leaves_nothing():
    bench = OneSidedBench()
    bench.one_sided = frozenset({"ask-side-de-2"})
    assert bench.refused().leg.way.ended_by == (Reason.CALLER_REFUSED,)
    assert bench.records == []


def test_a_no_before_the_prompt_s_end_leaves_nothing():
    bench = OneSidedBench()
    bench.armed().step()
    bench.now += 2
    bench.pressed("9")
    assert bench.leg.stage is Stage.CLOSED
    assert bench.leg.way.ended_by == (Reason.CALLER_REFUSED,)


def test_a_no_that_began_before_the_prompt_s_end_leaves_nothing():
    bench = OneSidedBench()
    bench.armed().step()
    bench.now += 8
    bench.played("ask")
    bench.pressed("9", began_at=bench.now - 0.1)
    assert bench.leg.way.ended_by == (Reason.CALLER_REFUSED,)


def test_silence_leaves_nothing():
    bench = OneSidedBench().listening()
    bench.wait(6)
    assert bench.leg.way.ended_by == (Reason.CALLER_UNSET,)
    assert bench.leg.stage is Stage.CLOSED


def test_who_told_the_agent_no_is_not_kept_either():
    bench = OneSidedBench().armed()
    bench.leg.caller_refused()
    bench.step()
    assert bench.leg.stage is not Stage.OPEN
    assert bench.records == []
    opened = OneSidedBench().opened_alone()
    opened.leg.caller_refused()
    assert opened.step()[0] == "STOP 1 stopped"
    assert opened.leg.way.discarded


@pytest.mark.parametrize(
    "spoil",
    [
        lambda bench: setattr(bench.leg, "entry", replace(ENTRY, drawn=False)),
        lambda bench: setattr(bench.leg, "entry", replace(ENTRY, ceiling_ok=False)),
        lambda bench: bench.leg.answer_in_call(Purpose.COACHING, ConsentState.NO),
        lambda bench: bench.leg.withdraw(Side.AGENT),
        lambda bench: setattr(bench.leg, "party_changed", True),
    ],
    ids=["not drawn", "ceiling", "agent's no", "agent's stop", "party"],
)
@pytest.mark.parametrize("stage", ["refused", "lit_alone"])
def test_draw_and_agent_bind_the_agent_s_side_too(spoil, stage):
    bench = getattr(OneSidedBench(), stage)()
    spoil(bench)
    bench.step()
    bench.acknowledge()
    assert bench.leg.stage is Stage.CLOSED
    assert bench.records == []


def test_the_caller_s_code_ends_it_and_nothing_stays():
    bench = OneSidedBench().opened_alone()
    said = bench.pressed("*9")
    assert said[:2] == ["STOP 1 stopped", "discard"]
    assert bench.leave()[-1] == "leave discarded WITHDRAWN_BY_CALLER"


def test_a_notice_that_is_cut_leaves_nothing():
    bench = OneSidedBench().refused()
    bench.played("notice", complete=False)
    assert bench.leg.stage is Stage.CLOSED
    assert bench.records == []


def test_a_leak_destroys_the_leg():
    bench = OneSidedBench().opened_alone()
    bench.leg.leaked(bench.records[0].recording)
    said = bench.step()
    assert said[:2] == ["STOP 1 stopped", "discard"]
    assert "light off LEG_LEAK" in said
    assert bench.leave()[-1] == "leave discarded LEG_LEAK"
    assert bench.leg.way.ended_by == (Reason.LEG_LEAK,)


def test_a_leak_that_is_found_in_the_pause_destroys_what_was_before_it():
    bench = OneSidedBench().opened_alone()
    bench.leg.paused_by_call = True
    assert bench.step()[0] == "STOP 1 paused"
    bench.leg.leaked(bench.records[0].recording)
    assert "discard" in bench.step()
    assert bench.leg.way.ended_by[0] is Reason.LEG_LEAK


def test_a_hold_ends_the_segment_and_the_next_one_is_one_sided_again():
    bench = OneSidedBench().opened_alone()
    bench.line = replace(LINE, flowing=False)
    assert bench.step()[0] == "STOP 1 paused"
    bench.line = LINE
    assert bench.step() == ["light recording_agent"]
    bench.acknowledge()
    assert bench.decision_durable()[0] == "RECORD 2 agent"
    assert bench.records[1].sides[0].vetted_against == CALLER


def test_a_leak_of_a_leg_that_was_stopped_is_told_as_discarded():
    bench = OneSidedBench().opened_alone()
    bench.leg.party_changed = True
    bench.step()
    bench.leg.leaked(bench.records[0].recording)
    assert bench.step() == []
    assert bench.leave()[-1] == "leave discarded PARTY_UNKNOWN"


def test_a_leak_of_another_recording_is_none_of_this_leg_s():
    bench = OneSidedBench().opened_alone()
    bench.leg.leaked("f" * 32)  # type: ignore[arg-type]  # any id
    assert bench.step() == []
    assert bench.leg.stage is Stage.OPEN


def test_what_the_light_shows_is_what_is_recorded():
    bench = OneSidedBench().lit_alone()
    bench.acknowledge()
    bench.leg.said.answers[Purpose.COACHING] = PROVEN_YES
    assert "RECORD 1 agent+caller" not in bench.decision_durable()
    assert bench.leg.stage is Stage.CLOSED


def test_a_no_that_comes_while_both_are_recorded_ends_it():
    bench = OneSidedBench().opened()
    bench.leg.said.refuse((Purpose.COACHING,), "dtmf", told_one_sided=True)
    said = bench.step()
    assert said[:2] == ["STOP 1 stopped", "discard"]
    assert bench.leg.way.ended_by == (Reason.CALLER_REFUSED,)


def test_a_later_leg_of_the_call_isn_t_asked_again():
    first = OneSidedBench().opened_alone()
    later = OneSidedBench().armed()
    later.leg.said = later.leg.way.said = first.leg.said
    said = later.step()
    assert "play notice-side-de-1 instead to caller" in said
    assert not any(word.startswith("play ask") for word in said)
