"""The correlation that judges recordings: right place, right strength, and no match where there is none."""

import numpy as np
import pytest

from demo.correlate import find, level_db, tone_db
from demo.g711 import decode, encode
from demo.speech import speech
from demo.tones import tone
from tests.peers.heard_out import heard_out


@pytest.mark.parametrize("lag", [0, 1, 159, 4000, 39_999])
def test_finds_speech_at_its_place(lag):
    sound = speech("agent")[:40_000]
    where = np.zeros(80_000, np.int16)
    where[lag : lag + 40_000] = sound
    match = find(sound, where)
    assert match.lag == lag
    assert match.strength == pytest.approx(1.0)
    assert match.lag_ms == lag / 8


def test_loudness_and_coding_do_not_matter():
    sound = speech("caller")[:24_000]
    coded = decode("PCMA", encode("PCMA", (sound // 8).astype(np.int16)))
    match = find(sound, np.concatenate((np.zeros(100, np.int16), coded)))
    assert match.lag == 100
    assert match.strength > 0.99


@pytest.mark.parametrize("language", ["de", "en"])
def test_other_speaker_is_no_match(language):
    assert find(speech("agent", language)[:40_000], speech("caller", language)).strength < 0.2


def test_speech_beneath_the_other_speaker_is_weaker_but_in_place():
    agent, caller = speech("agent")[:40_000], speech("caller")[:80_000].copy()
    caller[16_000:56_000] = caller[16_000:56_000] // 2 + agent // 2
    match = find(agent, caller)
    assert match.lag == 16_000
    assert 0.4 < match.strength < 0.9


@pytest.mark.parametrize(
    ("sound", "where"),
    [(0, 100), (100, 0), (101, 100), (100, 100)],
    ids=["empty sound", "nothing heard", "too short", "only silence"],
)
def test_nothing_is_found_in_nothing(sound, where):
    assert find(np.full(sound, 9, np.int16), np.zeros(where, np.int16)).strength == 0.0


def test_a_sound_is_heard_out_though_a_telephone_cut_it_once_and_only_once_it_is_over():
    sound = speech("agent")[16_000:24_000]
    cut = np.concatenate((np.zeros(8000, np.int16), sound[:3000], sound[3080:], np.zeros(800, np.int16)))
    assert find(sound, cut).strength < 0.9
    assert heard_out(sound, cut)
    assert not heard_out(sound, cut[:-1000])
    torn = np.concatenate((sound[:3000], np.zeros(2000, np.int16), sound[3000:]))
    assert not heard_out(sound, torn)
    assert not heard_out(sound, speech("caller")[:24_000])


def test_silent_sound_is_never_found():
    assert find(np.zeros(100, np.int16), speech("agent")).strength == 0.0


def test_levels():
    assert level_db(tone(1000, 1.0, -10.0)) == pytest.approx(-13.0, abs=0.1)
    assert level_db(np.zeros(10, np.int16)) == float("-inf")
    assert tone_db(tone(1000, 1.0, -10.0), 1000) == pytest.approx(-10.0, abs=0.1)
    assert tone_db(tone(1000, 1.0, -10.0), 1700) < -80
