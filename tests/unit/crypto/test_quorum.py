"""The quorum object: two keys in a row, one step each, and nothing for anybody else."""

import pyrage  # type: ignore[import-untyped]  # ships no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto import age, quorum
from crypto.errors import AgeError, AgeHeaderError, AgeKeyError, AgeNoMatch, AgePayloadError
from crypto.stream import new_file_key
from crypto.x25519 import Identity

COUNCIL, DEPUTY, DPO, AGENT = (Identity.generate() for _ in range(4))
FILE_KEY = new_file_key()
HEADER = age.make_header(FILE_KEY, [AGENT.recipient])
SEALED = quorum.seal(FILE_KEY, [COUNCIL.recipient, DEPUTY.recipient], DPO.recipient)
INNER = quorum.open_outer(SEALED, [COUNCIL])


def test_any_member_of_the_council_and_the_officer_together_reach_the_file_key():
    for member in (COUNCIL, DEPUTY):
        assert quorum.open_inner(quorum.open_outer(SEALED, [member]), [DPO], HEADER) == FILE_KEY


@pytest.mark.parametrize("one", [DPO, AGENT], ids=["officer", "agent"])
def test_the_outer_file_opens_for_the_council_only(one):
    with pytest.raises(AgeNoMatch):
        quorum.open_outer(SEALED, [one])


@pytest.mark.parametrize("one", [COUNCIL, DEPUTY, AGENT])
def test_the_inner_file_opens_for_the_officer_only(one):
    with pytest.raises(AgeNoMatch):
        quorum.open_inner(INNER, [one], HEADER)


def test_the_object_holds_no_trace_of_the_file_key():
    assert bytes(FILE_KEY) not in SEALED and bytes(FILE_KEY) not in INNER


def test_an_object_of_another_segment_is_found_out():
    other = age.make_header(new_file_key(), [AGENT.recipient])
    with pytest.raises(AgeHeaderError):
        quorum.open_inner(INNER, [DPO], other)


def test_something_else_than_a_file_key_within_is_refused():
    with pytest.raises(AgeKeyError):
        quorum.open_inner(age.encrypt(b"x" * 17, [DPO.recipient]), [DPO], HEADER)


def test_an_object_without_council_is_never_made():
    with pytest.raises(AgeHeaderError):
        quorum.seal(FILE_KEY, [], DPO.recipient)


def test_pyrage_opens_it_the_same_way():
    keys = {who: pyrage.x25519.Identity.from_str(who.secret_text()) for who in (COUNCIL, DPO)}
    assert pyrage.decrypt(pyrage.decrypt(SEALED, [keys[COUNCIL]]), [keys[DPO]]) == FILE_KEY
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(SEALED, [keys[DPO]])


def test_a_long_object_is_not_read():
    with pytest.raises(AgePayloadError):
        quorum.open_outer(bytes(quorum.MAX_OBJECT + 1), [COUNCIL])


@given(st.integers(0, len(SEALED) - 1), st.integers(0, 7))
def test_a_flipped_bit_opens_nothing(place, bit):
    """Also where the bit stands in the council's other stanza: the header's MAC covers both."""
    altered = bytearray(SEALED)
    altered[place] ^= 1 << bit
    with pytest.raises(AgeError):
        quorum.open_outer(bytes(altered), [COUNCIL])


@given(st.binary(max_size=400))
def test_any_bytes_open_or_raise_the_declared_error(data):
    for step in (lambda: quorum.open_outer(data, [COUNCIL]), lambda: quorum.open_inner(data, [DPO], HEADER)):
        with pytest.raises(AgeError):
            step()
