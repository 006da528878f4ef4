"""A recipient as six words that two people can compare aloud: pronounceable, in no language, 75 bits of SHA-256."""

from __future__ import annotations

import hashlib
from typing import Final

CONSONANTS: Final = "bdfghjklmnprstvz"
VOWELS: Final = "aeiou"
WORDS: Final = 6
SYLLABLES: Final = 2


def key_words(recipient: str) -> str:
    """Six words for an age recipient; another recipient has others."""
    digest = iter(hashlib.sha256(b"fairtap/v1/key-words\n" + recipient.encode()).digest())
    words = ("".join(_syllable(next(digest), next(digest)) for _ in range(SYLLABLES)) for _ in range(WORDS))
    return " ".join(words)


def _syllable(first: int, second: int) -> str:
    return CONSONANTS[first % len(CONSONANTS)] + VOWELS[second % len(VOWELS)]
