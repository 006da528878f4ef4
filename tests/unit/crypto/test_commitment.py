"""Commitments and pseudonyms, against the formula written out by hand."""

import hashlib
import hmac

import pytest

from crypto.commitment import commitment, new_salt, opens, pseudonym
from crypto.errors import FramingError, JcsError

SALT = bytes(range(32))


def test_commitment_is_the_formula():
    message = b"\x00\x11fairtap/v1/commit\x00\x04call" + b'{"a":1,"b":[]}'
    assert commitment("call", {"b": [], "a": 1}, SALT) == hmac.new(SALT, message, hashlib.sha256).digest()


def test_only_kind_object_and_salt_together_open_it():
    committed = commitment("call", {"a": 1}, SALT)
    assert opens(committed, "call", {"a": 1}, SALT)
    assert not opens(committed, "out", {"a": 1}, SALT)
    assert not opens(committed, "call", {"a": 2}, SALT)
    assert not opens(committed, "call", {"a": 1}, new_salt())


def test_kind_and_object_cannot_run_into_each_other():
    assert commitment('x"', "", SALT) != commitment("x", '"', SALT)


def test_pseudonym_is_the_formula():
    message = b"\x00\x1afairtap/v1/agent-pseudonym\x00\x01o\x00\x082026-W01"
    assert pseudonym(SALT, "o", "2026-W01") == hmac.new(SALT, message, hashlib.sha256).digest()[:16]


def test_pseudonyms_differ_by_salt_origin_and_epoch():
    seen = {
        pseudonym(SALT, "o", "1"),
        pseudonym(new_salt(), "o", "1"),
        pseudonym(SALT, "p", "1"),
        pseudonym(SALT, "o", "2"),
    }
    assert len(seen) == 4


@pytest.mark.parametrize("salt", [b"", bytes(31), bytes(33)])
def test_a_salt_is_32_bytes(salt):
    for call in (lambda: commitment("call", {}, salt), lambda: pseudonym(salt, "o", "1")):
        with pytest.raises(FramingError, match="salt"):
            call()


def test_an_object_outside_jcs_is_refused():
    with pytest.raises(JcsError):
        commitment("call", {"a": 0.5}, SALT)
