"""LP framing and fixed-size hexadecimal."""

import pytest

from crypto.errors import FramingError
from crypto.framing import lp, parse_hex, uint64be


def test_lp_frames_each_item_with_its_length():
    assert lp("ab", b"", b"\xff") == b"\x00\x02ab\x00\x00\x00\x01\xff"
    assert lp() == b""


def test_lp_is_injective_where_concatenation_is_not():
    assert lp("a", "bc") != lp("ab", "c")


def test_lp_counts_utf8_bytes():
    assert lp("ø€") == b"\x00\x05" + "ø€".encode()


def test_lp_takes_65535_bytes_and_no_more():
    assert lp(bytes(65535))[:2] == b"\xff\xff"
    with pytest.raises(FramingError, match="65535"):
        lp(bytes(65536))


def test_lp_refuses_a_lone_surrogate():
    with pytest.raises(FramingError, match="unicode"):
        lp("\ud800")


@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_uint64_has_edges(value):
    assert uint64be((1 << 64) - 1) == b"\xff" * 8
    with pytest.raises(FramingError):
        uint64be(value)


@pytest.mark.parametrize("text", ["", "0", "00ff0", "00FF", "0x00", "00 f", "zz00", "00f\n", "٠٠٠٠"])
def test_hex_is_exact_and_lower_case(text):
    assert parse_hex("00ff", 2) == b"\x00\xff"
    with pytest.raises(FramingError):
        parse_hex(text, 2)
