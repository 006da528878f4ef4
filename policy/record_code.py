"""The record code: 20 decimal digits by which a caller finds their own record again (agreement.md §6).

19 random digits (63 bits) and a check digit by ISO/IEC 7064 MOD 11,10, so that one misheard digit is noticed before
anything is asked. Digits only: they can be said on any phone, in any language, and typed anywhere.
"""

from typing import Final

DIGITS: Final = 20
GROUP: Final = 4
MAX_TEXT: Final = 64
"""Longest text that is read, in characters."""
RANDOM: Final = 10 ** (DIGITS - 1)
"""How many codes there are."""
_SEPARATORS: Final = frozenset(" -.\t\u00a0\u2009\u202f\u2013")


def code_of(number: int) -> str:
    """The code with this number below `RANDOM`, as its 20 digits."""
    if not 0 <= number < RANDOM:
        raise ValueError("number is outside the codes")
    digits = f"{number:0{DIGITS - 1}d}"
    return digits + _check_digit(digits)


def parse_code(text: str) -> str | None:
    """The 20 digits that a person typed, however grouped and in whatever script; None: this can't be a code."""
    if len(text) > MAX_TEXT or not all(letter.isdecimal() or letter in _SEPARATORS for letter in text):
        return None
    digits = "".join(str(int(letter)) for letter in text if letter.isdecimal())
    return digits if len(digits) == DIGITS and _check_digit(digits[:-1]) == digits[-1] else None


def _check_digit(digits: str) -> str:
    product = 10
    for digit in digits:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    return str((11 - product) % 10)
