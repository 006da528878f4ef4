"""The phones' G.711 against the values of ITU-T G.711 and against the gateway's own tables."""

import numpy as np
import pytest

from demo.g711 import decode, encode
from gateway.rtp import g711


@pytest.mark.parametrize("codec", ["PCMA", "PCMU"])
def test_every_code_survives_a_round_trip(codec):
    codes = bytes(code for code in range(256) if (codec, code) != ("PCMU", 0x7F))
    assert encode(codec, decode(codec, codes)) == codes


def test_negative_zero_of_mu_law_becomes_positive():
    assert encode("PCMU", decode("PCMU", b"\x7f")) == b"\xff"


@pytest.mark.parametrize(("codec", "largest", "silence"), [("PCMA", 32256, b"\xd5"), ("PCMU", 32124, b"\xff")])
def test_levels_are_those_of_the_standard(codec, largest, silence):
    levels = decode(codec, bytes(range(256)))
    assert (levels.max(), levels.min()) == (largest, -largest)
    assert encode(codec, np.zeros(1, np.int16)) == silence


@pytest.mark.parametrize("codec", ["PCMA", "PCMU"])
def test_gateway_reads_the_same_levels(codec):
    codes = bytes(range(256))
    assert (decode(codec, codes) == g711.decode(codec, codes)).all()


@pytest.mark.parametrize("codec", ["PCMA", "PCMU"])
def test_quantisation_stays_below_a_32nd_of_the_level(codec):
    samples = np.arange(-32000, 32000, 7).astype(np.int16)
    error = abs(decode(codec, encode(codec, samples)).astype(int) - samples)
    assert (error <= abs(samples.astype(int)) / 32 + 16).all()
