"""Bech32 against the strings of BIP 173 and its refusals."""

import pytest

from crypto import bech32
from crypto.errors import Bech32Error


@pytest.mark.parametrize(
    "text",
    ["A12UEL5L", "a12uel5l", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", "?1ezyfcl"],
)
def test_valid_strings_of_the_bip(text):
    hrp, raw = bech32.decode(text)
    assert bech32.encode(hrp, raw) == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "a",
        "\x201nwldj5",
        "\x7f1axkwrx",
        "pzry9x0s0muk",
        "1pzry9x0s0muk",
        "x1b4n0q5v",
        "li1dgmt3",
        "de1lg7wt\xff",
        "A1G7SGD8",
        "10a06t8",
        "1qzzfhee",
        "A12uEL5L",
        "a12uel5m",
        "a1" + "q" * 100,
        "ı12uel5l",
    ],
)
def test_invalid_strings_are_refused(text):
    with pytest.raises(Bech32Error):
        bech32.decode(text)


def test_padding_that_is_not_zero_is_refused():
    good = bech32.encode("a", b"\x01")  # two symbols, the second with two bits of padding
    values = [bech32._CHARSET.index(char) for char in good[2:4]]
    values[1] |= 1
    forged = "a1" + "".join(bech32._CHARSET[v] for v in values + bech32._checksum("a", values))
    with pytest.raises(Bech32Error, match="padding"):
        bech32.decode(forged)


def test_every_changed_symbol_is_found():
    good = bech32.encode("age", bytes(range(32)))
    for i in range(4, len(good)):
        other = "q" if good[i] != "q" else "p"
        with pytest.raises(Bech32Error, match="checksum"):
            bech32.decode(good[:i] + other + good[i + 1 :])


@pytest.mark.parametrize(("hrp", "size"), [("", 1), ("Age", 1), ("a b", 1), ("age", 60)])
def test_what_cannot_be_encoded_is_refused(hrp, size):
    with pytest.raises(Bech32Error):
        bech32.encode(hrp, bytes(size))
