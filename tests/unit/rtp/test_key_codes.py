"""Codes among the keys that somebody presses: whole ones, in time, whatever was typed before."""

import pytest

from gateway.rtp.key_codes import KeyCodes


def heard(codes: KeyCodes, keys: str, every: float = 0.5) -> list[str]:
    return [code for place, key in enumerate(keys) if (code := codes.pressed(key, place * every)) is not None]


@pytest.mark.parametrize(
    ("keys", "codes"),
    [
        ("*7", ["*7"]),
        ("**7", ["*7"]),
        ("4111*8", ["*8"]),
        ("*7*8*7", ["*7", "*8", "*7"]),
        ("7*", []),
        ("*9", []),
        ("*17", []),
        ("", []),
    ],
)
def test_codes_are_found_in_what_is_typed(keys, codes):
    assert heard(KeyCodes(("*7", "*8")), keys) == codes


def test_keys_too_far_apart_are_no_code():
    assert heard(KeyCodes(("*7",)), "*7", every=4.0) == ["*7"]
    assert heard(KeyCodes(("*7",)), "*7", every=4.1) == []


def test_codes_of_different_lengths():
    assert heard(KeyCodes(("*9", "##11")), "##11*9") == ["##11", "*9"]


def test_what_would_complete_a_code_is_known_while_it_is_down():
    codes = KeyCodes(("*7", "*8"))
    assert not codes.completes("7", 0.0)
    codes.pressed("*", 0.0)
    assert codes.completes("7", 0.5) and codes.completes("8", 4.0)
    assert not codes.completes("9", 0.5) and not codes.completes("7", 4.1)
    codes.pressed("1", 1.0)
    assert not codes.completes("7", 1.5)
    assert not KeyCodes(()).completes("7", 0.0)
