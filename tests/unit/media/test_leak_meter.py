"""The leak meter: what it finds, what it must not mistake for a leak, and that nothing makes it fail or grow."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.media.recording.leak_meter import HOLD, LIMIT, MAX_DELAY, WINDOW, LeakMeter, Verdict
from gateway.rtp.g711 import RATE
from tests.peers.leak_curve import judged, measured
from tests.peers.leaky_room import Room, call, demo_voices, through

VOICES = demo_voices()
SILENCE = np.zeros(10 * RATE, np.int16)


@pytest.mark.parametrize("scene", ["silence", "conversation", "double talk"])
@pytest.mark.parametrize("level", [-20.0, -30.0])
def test_a_leak_is_found_whatever_the_agent_does(scene, level):
    share, when, _ = measured(Room(level, scene), 3, VOICES)
    assert share == 1.0
    assert when is not None and when <= 10


@pytest.mark.parametrize("scene", ["silence", "conversation"])
def test_a_faint_leak_is_found_where_the_agent_pauses(scene):
    share, _, _ = measured(Room(-40.0, scene), 3, VOICES)
    assert share == 1.0


@pytest.mark.parametrize("scene", ["silence", "conversation", "double talk"])
def test_voices_that_have_nothing_to_do_with_each_other_are_no_leak(scene):
    share, _, scores = measured(Room(None, scene, seconds=15), 6, VOICES)
    assert share == 0.0
    assert scores.max() < LIMIT - 0.5


@pytest.mark.parametrize("level", [-6.0, -15.0, -30.0])
def test_the_agent_s_own_echo_from_the_caller_s_line_is_no_leak(level):
    assert measured(Room(None, agent_echo_db=level, seconds=15), 3, VOICES)[0] == 0.0


def test_a_leak_is_found_beside_the_agent_s_own_echo():
    assert measured(Room(-30.0, agent_echo_db=-15.0), 3, VOICES)[0] == 1.0


@pytest.mark.parametrize("delay", [0.0, 100.0, 245.0])
def test_the_delay_may_be_anything_up_to_the_longest(delay):
    assert measured(Room(-30.0, "silence", delay_ms=delay, seconds=8), 2, VOICES)[0] == 1.0


@pytest.mark.parametrize(("heard_as", "said_as"), [("PCMA", "PCMU"), ("PCMU", "PCMA")])
def test_the_two_directions_may_have_different_codecs(heard_as, said_as):
    heard, microphone = call(Room(-30.0, law=heard_as), np.random.default_rng(1), VOICES)
    assert judged(heard, through(said_as, microphone))[2]


def test_a_level_that_changes_and_an_inverted_path_don_t_hide_a_leak():
    heard, microphone = call(Room(-25.0, "silence"), np.random.default_rng(1), VOICES)
    swelling = 10 ** (np.sin(np.arange(len(microphone)) / RATE) * 10 / 20)
    assert judged(heard, np.clip(-microphone * swelling, -32768, 32767).astype(np.int16))[2]


def test_lost_packets_on_both_sides_don_t_hide_a_leak():
    dice = np.random.default_rng(1)
    both = call(Room(-30.0), dice, VOICES)
    for side in both:
        side.reshape(-1, 160)[dice.random(len(side) // 160) < 0.05] = 0
    assert judged(*both)[2]


def test_clocks_that_drift_apart_don_t_hide_a_leak():
    heard, microphone = call(Room(-30.0), np.random.default_rng(1), VOICES)
    at = np.arange(len(heard)) * (1 + 60e-6)
    assert judged(np.interp(at, np.arange(len(heard)), heard).astype(np.int16), microphone)[2]


def test_a_delay_that_jumps_doesn_t_hide_a_leak():
    heard, microphone = call(Room(-25.0, delay_ms=60), np.random.default_rng(1), VOICES)
    jumping = np.concatenate([np.roll(part, 160 * (count % 3)) for count, part in enumerate(np.split(microphone, 4))])
    assert judged(heard, jumping)[2]


@pytest.mark.parametrize("pitch", [50.0, 425.0, 440.0])
def test_the_same_hum_on_both_sides_is_no_leak(pitch):
    at, dice = np.arange(10 * RATE) / RATE, np.random.default_rng(1)
    hum = sum(300 / harmonic * np.sin(2 * np.pi * pitch * harmonic * at) for harmonic in (1, 2, 3))
    sides = [through("PCMA", hum + dice.standard_normal(len(at)) * 30) for _ in range(2)]
    score, _, leak = judged(*sides)
    assert not leak and score < LIMIT - 0.5


def test_a_caller_who_says_nothing_leaves_nothing_to_find():
    _, microphone = call(Room(None, "double talk", seconds=10), np.random.default_rng(1), VOICES)
    meter = LeakMeter()
    assert meter.feed(SILENCE, microphone) is Verdict.SILENT
    assert meter.finish() is Verdict.SILENT


def test_a_muted_microphone_says_nothing():
    heard, _ = call(Room(None, "silence", seconds=10), np.random.default_rng(1), VOICES)
    meter = LeakMeter()
    meter.feed(heard, SILENCE)
    assert meter.finish() is Verdict.SILENT


def test_a_leak_in_a_segment_of_two_seconds_is_found_at_its_end():
    heard, microphone = call(Room(-20.0, "silence", seconds=10), np.random.default_rng(1), VOICES)
    meter = LeakMeter()
    assert meter.feed(heard[: 2 * RATE], microphone[: 2 * RATE]) is not Verdict.LEAK
    assert meter.finish() is Verdict.LEAK


@pytest.mark.parametrize(("seconds", "verdict"), [(3, Verdict.BRIEF), (4.9, Verdict.BRIEF), (5, Verdict.CLEAN)])
def test_a_segment_is_clean_only_if_it_lasted(seconds, verdict):
    heard, microphone = call(Room(None, "double talk"), np.random.default_rng(1), VOICES)
    meter, count = LeakMeter(), int(seconds * RATE)
    meter.feed(heard[:count], microphone[:count])
    assert meter.finish() is verdict


def test_a_leak_is_final_and_clears_nothing():
    meter = LeakMeter()
    meter.feed(*call(Room(-20.0, "silence"), np.random.default_rng(1), VOICES))
    assert (meter.verdict, meter.cleared) == (Verdict.LEAK, 0)
    quiet = np.zeros(60 * RATE, np.int16)
    assert meter.feed(quiet, quiet) is Verdict.LEAK
    assert (meter.finish(), meter.cleared) == (Verdict.LEAK, 0)


def test_audio_is_cleared_once_it_was_judged_and_has_waited():
    heard, microphone = call(Room(None), np.random.default_rng(1), VOICES)
    meter = LeakMeter()
    for at in range(0, len(heard), RATE // 10):
        meter.feed(heard[at : at + RATE // 10], microphone[at : at + RATE // 10])
        fed = at + RATE // 10
        assert max(fed - HOLD - WINDOW - MAX_DELAY, 0) <= meter.cleared <= max(fed - HOLD, 0)
    assert meter.cleared > 0


def test_pieces_of_any_size_give_the_same_score():
    heard, microphone = call(Room(-40.0), np.random.default_rng(4), VOICES)
    scores = []
    for size in (160, 8000, 8001, len(heard)):
        meter = LeakMeter()
        for at in range(0, len(heard), size):
            meter.feed(heard[at : at + size], microphone[at : at + size])
        scores.append(meter.score)
    assert scores == pytest.approx([scores[0]] * 4)


def test_silence_that_is_passed_over_counts_as_time():
    heard, microphone = call(Room(None, seconds=10), np.random.default_rng(1), VOICES)
    meter = LeakMeter()
    meter.skip(100 * RATE)
    assert meter.cleared == 100 * RATE - HOLD
    meter.feed(heard, microphone)
    assert meter.cleared > 100 * RATE
    assert meter.finish() is Verdict.CLEAN


extremes = st.sampled_from(["noise", "loud", "zero", "one", "low", "ramp"])


def _samples(kind: str, count: int) -> np.ndarray:
    dice = np.random.default_rng(count)
    return {
        "noise": dice.integers(-32768, 32768, count).astype(np.int16),
        "loud": np.full(count, 32767, np.int16),
        "low": np.full(count, -32768, np.int16),
        "zero": np.zeros(count, np.int16),
        "one": np.where(np.arange(count) == count // 2, 32767, 0).astype(np.int16),
        "ramp": np.arange(count).astype(np.int16),
    }[kind]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(extremes, extremes, st.integers(0, 20_000), st.booleans()), max_size=8))
def test_nothing_makes_it_fail_or_grow(stretches):
    meter = LeakMeter()
    for heard, microphone, count, skips in stretches:
        if skips:
            meter.skip(count)
        else:
            meter.feed(_samples(heard, count), _samples(microphone, count))
        held = sum(sys.getsizeof(value) for value in vars(meter).values())
        assert held < 8 * 8 * (WINDOW + 2 * MAX_DELAY)
        assert np.isfinite(meter.score)
    assert meter.finish() in Verdict
