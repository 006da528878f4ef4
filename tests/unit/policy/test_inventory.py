"""An epoch's inventory prints, reads, and gives its root; whatever else comes in is refused."""

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.errors import StatementError
from policy.inventory import inventory_root, parse_inventory, print_inventory

DIGESTS = ["ab" * 32, "cd" * 32]


def test_it_prints_and_reads():
    assert parse_inventory(print_inventory("2026-W15", DIGESTS)) == ("2026-W15", DIGESTS)


def test_its_root_is_rfc_6962s():
    leaves = [hashlib.sha256(b"\x00" + bytes.fromhex(one)).digest() for one in DIGESTS]
    assert inventory_root(DIGESTS) == hashlib.sha256(b"\x01" + b"".join(leaves)).digest()
    assert inventory_root([]) == hashlib.sha256(b"").digest()
    assert inventory_root(DIGESTS[::-1]) != inventory_root(DIGESTS)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"e":"2026-W15"}', b'{"e":"x","leaves":["AB"]}'])
def test_what_isnt_one_is_refused(data):
    with pytest.raises(StatementError):
        parse_inventory(data)


@given(st.binary(max_size=200))
def test_whatever_comes_in_only_the_declared_error_comes_out(data):
    with contextlib.suppress(StatementError):
        parse_inventory(data)
