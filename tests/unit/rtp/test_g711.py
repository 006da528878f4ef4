"""G.711 by table, against the standard library's own where it is there."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rtp.g711 import SILENCE, amplify, decode, encode, mix, transcode
from gateway.rtp.payload_types import Law

EVERY = np.arange(-32768, 32768).astype(np.int16)
CODES = bytes(range(256))


@pytest.fixture(scope="module")
def audioop():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("audioop", reason="`audioop` left the standard library with Python 3.13")


def test_decoding_is_the_standards(audioop):
    assert decode("PCMA", CODES).astype("<i2").tobytes() == audioop.alaw2lin(CODES, 2)
    assert decode("PCMU", CODES).astype("<i2").tobytes() == audioop.ulaw2lin(CODES, 2)


def test_encoding_is_as_near_as_the_standards(audioop):
    reference: dict[Law, Any] = {"PCMA": audioop.lin2alaw, "PCMU": audioop.lin2ulaw}
    for law, oracle in reference.items():
        ours = np.abs(decode(law, encode(law, EVERY)).astype(int) - EVERY)
        theirs = np.abs(decode(law, oracle(EVERY.astype("<i2").tobytes(), 2)).astype(int) - EVERY)
        # another tie at an edge of a step is no error
        assert (ours <= theirs + 8).all()
        assert abs(ours.mean() - theirs.mean()) < 1


@pytest.mark.parametrize("law", ["PCMA", "PCMU"])
def test_every_code_survives_decoding_and_encoding(law):
    again = decode(law, encode(law, decode(law, CODES)))
    assert (again == decode(law, CODES)).all()


@pytest.mark.parametrize("law", ["PCMA", "PCMU"])
def test_silence_is_silent_and_full_scale_is_not_wrapped(law):
    assert abs(int(decode(law, bytes([SILENCE[law]]))[0])) <= 8
    loud = decode(law, encode(law, np.array([-32768, 32767], np.int16)))
    assert loud[0] < -30000
    assert loud[1] > 30000


@given(st.binary(max_size=400))
def test_transcoding_stays_within_a_step(data):
    there = decode("PCMU", transcode(data, "PCMA", "PCMU")).astype(int)
    here = decode("PCMA", data).astype(int)
    assert (np.abs(there - here) <= np.maximum(np.abs(here) // 15, 16)).all()
    assert transcode(data, "PCMA", "PCMA") == data


def test_mixing_adds_and_clips():
    payload = encode("PCMA", np.array([1000, -20000, 5000], np.int16))
    mixed = decode("PCMA", mix("PCMA", payload, np.array([2000, -20000], np.int16))).astype(int)
    assert abs(mixed[0] - 3000) < 100
    assert mixed[1] < -31000
    assert abs(mixed[2] - 5000) < 200


def test_amplifying_is_in_decibels():
    assert amplify(np.array([1000, -32768], np.int16), -20).tolist() == [100, -3277]
    assert amplify(np.array([20000], np.int16), 6.0206).tolist() == [32767]
