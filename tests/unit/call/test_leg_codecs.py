"""A leg whose parties don't speak G.711, or change what they speak."""

from dataclasses import replace

from gateway.call.code_reading import reading
from gateway.call.stage import Stage
from gateway.call.way import MOST_SWITCHES
from gateway.media.plane import RecordingId
from policy.decision import Reason
from tests.peers.leg_bench import CODES, LINE, LegBench
from tests.unit.policy.green import per_leg

WIDE = replace(LINE, codec="G722", payload_type=9, codecs={9: "G722", 8: "PCMA"}, plain=False)


def test_what_can_t_be_mixed_isn_t_played_over_the_caller():
    bench = LegBench().armed()
    bench.line = WIDE
    assert bench.step() == ["listen on, hold back", "play ask-de-2 instead to caller", "light asking"]
    to_caller = reading(WIDE, "12345678901234567890", "de")
    assert [(play.flow, play.codec, play.payload_type) for play in to_caller] == [(WIDE.caller_flow, "G722", 9)]


def test_the_order_to_record_names_the_codecs_that_are_kept():
    bench = LegBench()
    bench.line = WIDE
    assert [side.codecs for side in bench.opened().records[0].sides] == [WIDE.codecs] * 2


def test_a_re_invite_to_another_codec_goes_on_in_a_new_segment_through_all_gates():
    bench = LegBench().opened()
    bench.line = WIDE
    said = bench.step()
    assert said == ["STOP 1 paused", "note stop 1 PAUSED", "light paused", "light recording_both"]
    assert bench.acknowledge() == ["decision 2"]
    assert bench.decision_durable() == ["RECORD 2 agent+caller", *CODES]
    assert bench.records[1].sides[0].codecs == WIDE.codecs
    assert bench.step() == []


def test_a_re_invite_that_only_leaves_codecs_out_changes_nothing():
    bench = LegBench().opened()
    bench.line = replace(LINE, codecs={8: "PCMA"})
    assert bench.step() == []
    bench.line = LINE
    assert bench.step() == []


def test_a_party_that_switches_by_itself_goes_on_in_a_new_segment():
    bench = LegBench().opened()
    recording = bench.records[0].recording
    bench.leg.codec_switched(recording, 2)
    bench.leg.codec_switched(RecordingId("f" * 32), 1)
    assert bench.step() == [], "an old report, or another recording's"
    bench.leg.codec_switched(recording, 1)
    assert bench.step()[0] == "STOP 1 paused"
    bench.leg.codec_switched(recording, 1)  # of the other side
    bench.acknowledge()
    assert bench.decision_durable()[0] == "RECORD 2 agent+caller"
    assert bench.step() == []


def test_who_switches_without_end_isn_t_recorded_on():
    bench = LegBench().opened()
    for seg in range(1, MOST_SWITCHES + 1):
        bench.leg.codec_switched(bench.records[0].recording, seg)
        bench.step()
        bench.acknowledge()
        bench.decision_durable()
    bench.leg.codec_switched(bench.records[0].recording, MOST_SWITCHES + 1)
    bench.step()
    assert bench.leg.told_reasons() == (Reason.MEDIA_UNSUPPORTED,)


def test_after_a_no_nothing_is_kept_that_can_t_be_compared():
    plain, wide = LegBench(per_leg()), LegBench(per_leg())
    wide.line = WIDE
    for bench in (plain, wide):
        bench.one_sided = frozenset({"ask-de-2"})
        bench.listening()
        bench.now += 1
        bench.pressed("9")
        bench.now += 3
        bench.played("tone")
        bench.played("notice")
        if bench.leg.stage is Stage.LIT:
            bench.acknowledge()
            bench.decision_durable()
    assert [side.codecs for record in plain.records for side in record.sides] == [LINE.codecs]
    assert not wide.records
    assert wide.leg.told_reasons() == (Reason.CALLER_REFUSED,)
