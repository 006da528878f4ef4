"""Digits that are only tones: each key once, and no digit in speech."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_speech_has_no_digits():
    catalogue = Catalogue()
    for name, sound in catalogue.sounds.items():
        assert read(np.concatenate((sound.samples, PAUSE))) == [], name


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=400), max_size=10))
def test_any_audio_is_survived(payloads):
    reader = InbandReader()
    for payload in payloads:
        reader.read(decode("PCMU", payload), 1.0)
