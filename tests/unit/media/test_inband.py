"""Digits that are only tones: each key once, and no digit in speech."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.speech import speech
from gateway.media.inband import COLUMNS, KEYS, ROWS, InbandReader
from gateway.media.prompts.sounds import Catalogue
from gateway.rtp.g711 import RATE, decode, encode


def tone(key, ms=80, level=8000.0, twist=1.0):
    row = next(index for index, keys in enumerate(KEYS) if key in keys)
    at = np.arange(RATE * ms // 1000) / RATE
    low = np.sin(2 * np.pi * ROWS[row] * at) * level
    high = np.sin(2 * np.pi * COLUMNS[KEYS[row].index(key)] * at + 1.0) * level * twist
    return (low + high).astype(np.int16)


def read(samples, size=160):
    reader = InbandReader()
    heard = decode("PCMA", encode("PCMA", samples))
    found = []
    for at in range(0, len(heard), size):
        found += reader.read(heard[at : at + size], 10.0 + (at + size) / RATE)
    return found


PAUSE = np.zeros(640, np.int16)


@pytest.mark.parametrize("size", [80, 160, 240, 480])
def test_all_sixteen_keys_are_heard_once(size):
    said = np.concatenate([part for key in "123A456B789C*0#D" for part in (tone(key), PAUSE)])
    assert "".join(press.digit for press in read(said, size)) == "123A456B789C*0#D"


def test_duration_and_beginning_are_near_the_truth():
    (press,) = read(np.concatenate((np.zeros(1600, np.int16), tone("1", ms=200), PAUSE)))
    assert press.duration_ms == pytest.approx(200, abs=30)
    assert press.began_at == pytest.approx(10.2, abs=0.04)


@pytest.mark.parametrize(
    "samples",
    [
        tone("5", ms=25),  # too short
        tone("5", level=60),  # too soft
        tone("5", twist=6.0),  # one tone far above the other
        (np.sin(2 * np.pi * 770 * np.arange(1600) / RATE) * 9000).astype(np.int16),  # one tone only
    ],
)
def test_what_isn_t_a_key_is_none(samples):
    assert read(np.concatenate((PAUSE, samples, PAUSE))) == []


@pytest.mark.parametrize("pitch", [0.8, 1.0, 1.25])
def test_speech_has_no_digits(pitch):
    """Talk-off: nobody's voice is a yes. What the demo's people say, and every prompt, lower, as it is, and higher."""
    said = [speech(who, language) for who in ("agent", "caller") for language in ("de", "en")]
    said += [sound.samples for sound in Catalogue().sounds.values() if sound.words.text]
    for samples in said:
        at = np.arange(0, len(samples) - 1, pitch)
        voice = np.interp(at, np.arange(len(samples)), samples.astype(float)).astype(np.int16)
        assert read(np.concatenate((voice, PAUSE))) == []


@pytest.mark.parametrize("key", "159D*0")
@pytest.mark.parametrize(
    ("off", "noise_db", "heard"),
    [(0.015, -15, True), (-0.015, -15, True), (0.0, -12, True), (0.035, -60, False), (-0.035, -60, False)],
)
def test_a_phone_s_tones_may_be_off_by_as_much_as_q_24_says(key, off, noise_db, heard):
    tones = tone(key, ms=100).astype(float)
    at = np.arange(0, len(tones) - 1, 1 + off)
    pressed = np.concatenate((np.zeros(500), np.interp(at, np.arange(len(tones)), tones), np.zeros(800)))
    noise = np.random.default_rng(7).normal(0, 8000 * 10 ** (noise_db / 20), len(pressed))
    assert [press.digit for press in read((pressed + noise).astype(np.int16))] == ([key] if heard else [])


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=400), max_size=10))
def test_any_audio_is_survived(payloads):
    reader = InbandReader()
    for payload in payloads:
        reader.read(decode("PCMU", payload), 1.0)
