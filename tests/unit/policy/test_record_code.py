"""Record codes: what a person types is read whatever its spacing, and a slip is noticed."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.record_code import DIGITS, MAX_TEXT, RANDOM, code_of, parse_code
from tests.peers.printed_code import print_code

CODES = st.integers(0, RANDOM - 1).map(code_of)


def test_a_code_has_more_than_sixty_bits():
    assert math.log2(RANDOM) > 63


@given(CODES, st.sampled_from(["", " ", "-", ".", " – ", "\u202f"]))
def test_a_printed_code_is_read_however_it_is_grouped(code, separator):
    assert len(code) == DIGITS
    assert parse_code(print_code(code)) == parse_code(separator.join(print_code(code).split())) == code


def test_digits_of_another_script_are_the_same_digits():
    code = code_of(1234567890123456789)
    assert parse_code(code.translate({ord("0") + digit: 0x0660 + digit for digit in range(10)})) == code


@given(CODES, st.integers(0, DIGITS - 1), st.integers(1, 9))
def test_one_wrong_digit_is_always_noticed(code, place, by):
    wrong = code[:place] + str((int(code[place]) + by) % 10) + code[place + 1 :]
    assert parse_code(wrong) is None


def test_nearly_every_swap_of_neighbours_is_noticed():
    dice, swaps, missed = random.Random(7), 0, 0
    for _ in range(2000):
        code = code_of(dice.randrange(RANDOM))
        place = dice.randrange(DIGITS - 1)
        swapped = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
        swaps += swapped != code
        missed += swapped != code and parse_code(swapped) is not None
    assert missed / swaps < 0.03


@pytest.mark.parametrize(
    "text", ["", "1", "x" * 20, "1234 5678 9012 3456 789", "½" * 20, "²" * 20, "0" * (MAX_TEXT + 1)]
)
def test_what_cannot_be_a_code_is_none(text):
    assert parse_code(text) is None


@given(st.text(max_size=MAX_TEXT + 5))
def test_any_text_is_read_or_none(text):
    found = parse_code(text)
    assert found is None or (len(found) == DIGITS and found.isascii() and found.isdigit())


@pytest.mark.parametrize("number", [-1, RANDOM])
def test_a_number_outside_the_codes_is_a_bug(number):
    with pytest.raises(ValueError):
        code_of(number)
