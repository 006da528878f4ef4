"""What the agent asks for in a call: its own question, light and recording, whatever the leg was on before."""

from dataclasses import replace

import pytest

from gateway.call.effects import DiscardRecording, LeaveLeg, WriteDecision
from gateway.call.stage import Stage
from gateway.call.wish import MOST_ASKINGS, Wish, goes_first
from policy.decision import Purpose, Reason, Rule, Side
from policy.intersection import combined
from policy.terms import ASKED_LANES, Lane
from tests.peers.leg_bench import ENTRY, LegBench
from tests.unit.policy.green import agreement, example

FOR_CALLER = Wish(Lane.CUSTOMER_REQUEST, Purpose.DISPUTE, 101)
FOR_SELF = Wish(Lane.AGENT_REQUEST, Purpose.COACHING, 102)


class WishBench(LegBench):
    """A leg that nothing was drawn for, and what the engine does when the agent asks."""

    def wish(self, wish: Wish = FOR_CALLER) -> list[str]:
        """The wish is in the books."""
        assert self.leg.refuses(wish.lane) is None
        self.leg.wishing(wish.lane)
        assert self.step() == []
        return self.take(self.leg.wished(wish)) + self.step()

    def undrawn(self) -> "WishBench":
        self.leg.confirmed = True
        self.changes = {"rule": None, "drawn": None}
        return self

    def say_yes(self, turn: str = "") -> list[str]:
        """The caller hears the question out and says yes; up to the open tap."""
        self.now += 8
        self.played(f"ask{turn}")
        self.now += 1
        said = self.pressed("1") + self.receipt_durable()
        self.played(f"tone{turn}")
        return said + self.played(f"notice{turn}") + self.acknowledge() + self.decision_durable()

    def at(self, stage: Stage) -> bool:
        return self.leg.stage is stage

    @property
    def leavings(self) -> list[tuple[int, str, bool]]:
        left = [effect for effect in self.effects if isinstance(effect, LeaveLeg)]
        return [(one.entry, one.told_as, one.recording is not None) for one in left]

    @property
    def decided(self) -> list[tuple[int, Lane | None, Purpose | None]]:
        found = [effect for effect in self.effects if isinstance(effect, WriteDecision)]
        return [(one.entry, one.decision.lane, one.decision.purpose) for one in found]


@pytest.mark.parametrize("wish", [FOR_CALLER, FOR_SELF])
def test_a_wish_is_asked_lit_and_recorded_without_any_draw(wish):
    bench = WishBench().undrawn()
    assert bench.wish(wish)[-1] == "light asking"
    assert (bench.light.lane, bench.light.purpose) == (wish.lane, wish.purpose)
    bench.say_yes("-2")
    assert bench.at(Stage.OPEN)
    assert bench.decided == [(wish.entry, wish.lane, wish.purpose)]
    (record,) = bench.records
    assert (record.quorum is not None) == (wish is FOR_CALLER)
    assert (bench.light.lane, bench.light.purpose) == (wish.lane, wish.purpose)
    assert bench.leave()[0] == "STOP 1 normal"
    assert bench.leavings == [(wish.entry, "recorded", True)]


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch_dark": True, "draw_authority_ready": False, "log_unwitnessed": True},
        {"group_size": 1},
        {"group_size": None, "phase": None},
    ],
    ids=["dark", "small group", "unknown group"],
)
def test_nothing_of_the_draw_keeps_a_record_from_both_who_want_it(changes):
    bench = WishBench().undrawn()
    bench.changes |= changes
    bench.wish()
    bench.say_yes("-2")
    assert bench.at(Stage.OPEN)


@pytest.mark.parametrize("drawn", [True, False])
def test_a_leg_that_was_entered_has_an_out_for_each_of_its_entries(drawn):
    bench = WishBench().armed()
    if not drawn:
        bench.changes = {"group_size": 1}
    bench.wish()
    bench.say_yes("-2")
    bench.leave()
    assert sorted(bench.leavings) == [(ENTRY.entry, "not_recorded", False), (FOR_CALLER.entry, "recorded", True)]


def test_a_silent_caller_is_a_no_and_may_be_asked_again_but_not_for_ever():
    bench = WishBench().undrawn()
    for turn in range(2, 2 + MOST_ASKINGS[Lane.CUSTOMER_REQUEST]):
        bench.wish()
        bench.now += 8
        bench.played(f"ask-{turn}")
        bench.wait(6)
        assert bench.at(Stage.CLOSED) and bench.light.why == "CALLER_UNSET"
    assert bench.leg.refuses(Lane.CUSTOMER_REQUEST) == "asked_often_enough"
    assert bench.records == []
    bench.leave()
    assert bench.leavings == [(FOR_CALLER.entry, "not_recorded", False)]


def test_a_favour_is_asked_once():
    bench = WishBench().undrawn()
    bench.wish(FOR_SELF)
    bench.now += 8
    bench.played("ask-2")
    bench.wait(6)
    assert bench.leg.refuses(Lane.AGENT_REQUEST) == "asked_often_enough"
    assert bench.leg.refuses(Lane.CUSTOMER_REQUEST) is None


def test_a_callers_no_to_one_purpose_is_none_to_another():
    bench = WishBench().armed()
    bench.step()
    bench.pressed("9")
    assert bench.at(Stage.CLOSED)
    bench.wish()
    bench.say_yes("-2")
    assert bench.at(Stage.OPEN) and bench.decided[-1][1] is Lane.CUSTOMER_REQUEST


def test_a_recording_that_runs_ends_cleanly_and_is_kept():
    bench = WishBench().opened()
    first = bench.leg.way.recording
    said = bench.wish()
    assert said[:2] == ["STOP 1 normal", "note stop 1"]
    assert "light off" in said and said[-1] == "light asking"
    bench.say_yes("-2")
    second = bench.leg.way.recording
    assert bench.at(Stage.OPEN) and first != second
    bench.leave()
    assert bench.leavings == [(ENTRY.entry, "recorded", True), (FOR_CALLER.entry, "recorded", True)]
    assert not any(isinstance(effect, DiscardRecording) for effect in bench.effects)


def test_a_record_for_the_agent_gives_way_to_one_for_the_caller():
    bench = WishBench().undrawn()
    bench.wish(FOR_SELF)
    bench.say_yes("-2")
    assert bench.leg.refuses(Lane.AGENT_REQUEST) == "already_asked_for"
    bench.wish(FOR_CALLER)
    bench.say_yes("-3")
    assert bench.decided == [
        (FOR_SELF.entry, Lane.AGENT_REQUEST, Purpose.COACHING),
        (FOR_CALLER.entry, Lane.CUSTOMER_REQUEST, Purpose.DISPUTE),
    ]
    bench.leave()
    assert bench.leavings == [(FOR_SELF.entry, "recorded", True), (FOR_CALLER.entry, "recorded", True)]


def test_the_recording_before_is_kept_when_the_caller_says_no_to_the_next():
    bench = WishBench().opened()
    bench.wish()
    bench.pressed("9")
    bench.leave()
    assert bench.leavings == [(ENTRY.entry, "recorded", True), (FOR_CALLER.entry, "not_recorded", False)]
    assert not any(isinstance(effect, DiscardRecording) for effect in bench.effects)


@pytest.mark.parametrize("aloud", [True, False])
def test_a_withdrawal_is_for_the_whole_call(aloud):
    bench = WishBench().opened()
    bench.wish()
    bench.say_yes("-2")
    if aloud:
        bench.leg.caller_refused()
    else:
        bench.leg.withdraw(Side.AGENT)
    said = bench.step()
    assert said[0] == "STOP 1 stopped"
    assert said.count("discard") == 2
    bench.leave()
    assert [told for _, told, _ in bench.leavings] == ["discarded", "discarded"]


def test_told_no_aloud_while_the_next_is_asked_takes_what_was_kept_even_under_stop_only():
    bench = WishBench(agreement(consent__withdrawal_effect="stop_only")).opened()
    bench.wish()
    bench.leg.caller_refused()
    assert bench.step().count("discard") == 1


def test_told_no_aloud_after_a_stop_takes_what_was_kept():
    bench = WishBench().opened()
    bench.wait(5)  # nobody acknowledges the light
    assert bench.at(Stage.CLOSED) and bench.leg.resting
    bench.leg.caller_refused()
    assert bench.step() == ["discard"]
    assert bench.step() == []


def test_a_stop_is_final_for_every_lane():
    bench = WishBench().opened()
    bench.wait(5)
    assert bench.leg.way.ended_by == (Reason.INDICATOR_STALE,)
    assert {bench.leg.refuses(lane) for lane in ASKED_LANES} == {"stop_is_final"}


def test_a_stop_while_the_wish_is_written_is_final_too():
    bench = WishBench().opened()
    bench.leg.wishing(Lane.CUSTOMER_REQUEST)
    bench.wait(5)
    assert bench.at(Stage.CLOSED)
    assert bench.take(bench.leg.wished(FOR_CALLER)) + bench.step() == []
    assert bench.at(Stage.CLOSED)
    bench.leave()
    assert bench.leavings == [(ENTRY.entry, "recorded (cut)", True), (FOR_CALLER.entry, "not_recorded", False)]


def test_the_call_may_end_while_the_wish_is_written():
    bench = WishBench().undrawn()
    bench.leg.wishing(Lane.CUSTOMER_REQUEST)
    bench.leave()
    assert bench.take(bench.leg.wished(FOR_CALLER)) == ["leave not_recorded"]


def test_a_wish_asked_for_again_as_the_call_ends_has_one_out():
    bench = WishBench().undrawn()
    bench.wish()
    bench.now += 8
    bench.played("ask-2")
    bench.wait(6)
    bench.leg.wishing(FOR_CALLER.lane)
    bench.leave()
    assert bench.take(bench.leg.wished(FOR_CALLER)) == []
    assert bench.leavings == [(FOR_CALLER.entry, "not_recorded", False)]


def test_a_decision_on_its_way_is_settled_before_the_next_way_begins():
    bench = WishBench().lit()
    bench.acknowledge()
    assert bench.wish() == []
    assert bench.decision_durable() == ["note stop 1 not opened"]
    assert bench.step()[-1] == "light asking"
    assert bench.records == []


def test_a_receipt_on_its_way_is_of_the_question_it_answers():
    bench = WishBench().agreed()
    bench.wish()
    bench.receipt_durable()
    assert bench.at(Stage.PROMPTING)
    assert bench.leg.said.answers.keys() == {Purpose.COACHING}
    bench.say_yes("-2")
    assert bench.decided == [(FOR_CALLER.entry, Lane.CUSTOMER_REQUEST, Purpose.DISPUTE)]


def test_a_question_that_was_cut_ends_without_ending_the_next():
    bench = WishBench().armed()
    bench.step()
    bench.wish()
    bench.played("ask", complete=False)
    assert bench.at(Stage.PROMPTING)


def test_lanes_have_an_order_and_a_wish_stays_in_its_own():
    assert goes_first(Lane.CUSTOMER_REQUEST, Lane.AGENT_REQUEST) and goes_first(Lane.AGENT_REQUEST, Lane.SAMPLE)
    assert not goes_first(Lane.AGENT_REQUEST, Lane.CUSTOMER_REQUEST)
    assert not goes_first(Lane.CUSTOMER_REQUEST, Lane.CUSTOMER_REQUEST)
    bench = WishBench().undrawn()
    bench.wish()
    assert {bench.leg.refuses(lane) for lane in ASKED_LANES} == {"already_asked_for"}


def test_without_a_quorum_nothing_is_asked_of_the_caller():
    bench = WishBench().undrawn()
    bench.changes["quorum_ready"], bench.quorum = False, None
    foreseen = bench.leg.foreseen(bench.circumstances(), Lane.CUSTOMER_REQUEST, Purpose.DISPUTE, bench.now)
    assert Reason.KEY_UNAVAILABLE in foreseen.reasons
    assert bench.wish() == ["light off KEY_UNAVAILABLE"]


def test_a_prompt_for_another_purpose_asks_nobody():
    bench = WishBench().undrawn()
    whole = bench.circumstances
    bench.circumstances = lambda: replace(whole(), prompts={Purpose.COACHING: whole().prompts[Purpose.COACHING]})  # type: ignore[method-assign]  # a poorer catalogue
    assert bench.wish() == ["light off CALLER_UNSET"]


def test_what_would_be_said_is_told_before_anything_is_written():
    bench = WishBench().undrawn()
    bench.step()
    at = (Lane.CUSTOMER_REQUEST, Purpose.DISPUTE, bench.now)
    assert set(bench.leg.foreseen(bench.circumstances(), *at).reasons) <= {
        Reason.CALLER_UNSET, Reason.CALLER_NOTICE_MISSING, Reason.INDICATOR_STALE,
    }  # fmt: skip
    bench.changes["party_internal"] = True
    assert Reason.PARTY_INTERNAL in bench.leg.foreseen(bench.circumstances(), *at).reasons
    assert bench.leg.per_call == {} and bench.leg.wishes == []


def test_a_wish_waits_for_a_call_on_hold():
    bench = WishBench().undrawn()
    whole = bench.line
    assert whole is not None
    bench.line = replace(whole, flowing=False)
    assert bench.wish() == []
    bench.line = whole
    assert bench.step()[-1] == "light asking"


def test_the_call_is_told_to_the_agents_pages_once_and_dark():
    bench = WishBench().undrawn()
    assert bench.take(bench.leg.introduce(bench.now, bench.wallclock)) == ["light off"]
    assert bench.leg.introduce(bench.now, bench.wallclock) == []


def test_a_campaigns_window_ends_by_the_clock():
    (campaign,) = example().lanes.campaigns
    bench, terms = LegBench().opened(), combined([example()])
    assert campaign.end not in bench.leg._ends(terms)
    rule = Rule(Lane.CAMPAIGN, campaign.purpose, campaign.ppm, f"campaign/{campaign.id}", campaign.id)
    bench.leg.entry = replace(ENTRY, rule=rule)
    assert campaign.end in bench.leg._ends(terms)
