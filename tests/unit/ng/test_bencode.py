"""Bencode as ng speaks it: round trips, limits, and only the declared error for anything else."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ng.bencode import MAX_BYTES, Cut, decode, decode_prefix, encode
from gateway.ng.errors import BencodeError

keys = st.text(st.characters(codec="utf-8"), max_size=12)
values = st.recursive(
    st.integers(-(10**18), 10**18) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_a_value_comes_back_as_it_went(value):
    assert decode(encode(value)) == value


@given(values, st.binary(max_size=8))
def test_a_prefix_ends_where_its_value_ends(value, after):
    data = encode(value)
    assert decode_prefix(data + after) == (value, len(data))


@given(values, st.data())
def test_every_cut_asks_for_more(value, data):
    whole = encode(value)
    with pytest.raises(Cut):
        decode_prefix(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_the_declared_error(data):
    with contextlib.suppress(BencodeError):
        assert decode(data) is not None


@pytest.mark.parametrize(
    "data",
    [
        b"", b"x", b"i1", b"ie", b"i-e", b"i1x2e", b"3:ab", b"-1:a", b"d3:abc", b"d1:ae", b"di1e1:ae", b"l", b"1:ab",
        b"i" + b"9" * 40 + b"e", b"99999999:a", b"l" * 20 + b"e" * 20, b"l" + b"i1e" * 5000 + b"e",
    ],
)  # fmt: skip
def test_what_is_no_value_is_refused(data):
    with pytest.raises(BencodeError):
        decode(data)


def test_more_than_the_limit_is_refused_however_it_comes():
    with pytest.raises(BencodeError) as caught:
        decode_prefix(b"l" + b"1000:" + b"x" * (MAX_BYTES + 2000))
    assert not isinstance(caught.value, Cut)


def test_keys_keep_their_order_and_the_first_of_two_counts():
    assert list(decode(b"d1:bi1e1:ai2e1:bi3ee").items()) == [("b", 1), ("a", 2)]  # type: ignore[union-attr]  # a dictionary
