"""Who is never recorded: found in every spelling, kept as keyed hashes; a broken list protects everybody."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.call.model import Private
from gateway.engine.protected import EMERGENCY, ProtectedListError, ProtectedParties, protect

LAWYER = "+49 40 1234567-8"


@pytest.mark.parametrize(
    "number",
    [
        "+4940 12345678",
        "004940123456 78",
        "040/12345678",
        "494012345678",
        "4940-1234-5678@carrier.example",
        "04012345678;x=1",
    ],
)
def test_a_number_is_found_however_it_is_written(number, tmp_path):
    protect(tmp_path, [LAWYER])
    assert Private(number) in ProtectedParties.load(tmp_path)


@pytest.mark.parametrize(
    ("listed", "called"),
    [
        ("22 33 44 55", "+4722334455"),
        ("+47 22 33 44 55", "22334455"),
        ("301234567", "+49301234567"),
        ("+49 30 1234567", "0301234567"),
    ],
)
def test_a_national_number_without_trunk_prefix_is_the_international_one(listed, called, tmp_path):
    protect(tmp_path, [listed])
    assert Private(called) in ProtectedParties.load(tmp_path)


@pytest.mark.parametrize("number", ["+494012345679", "12345678901234", "345678", "", "alma", "+", "@112"])
def test_others_are_not_on_it(number, tmp_path):
    protect(tmp_path, [LAWYER, "112"])
    assert Private(number) not in ProtectedParties.load(tmp_path)


@pytest.mark.parametrize("number", EMERGENCY)
def test_emergency_numbers_are_found_only_as_themselves(number, tmp_path):
    protect(tmp_path, EMERGENCY)
    parties = ProtectedParties.load(tmp_path)
    assert Private(number) in parties
    assert Private(f"+49401{number}") not in parties


def test_adding_counts_what_is_new_and_keeps_what_was_there(tmp_path):
    assert protect(tmp_path, ["112", "110"]) == 2
    assert protect(tmp_path, ["112", "113", "not a number"]) == 1
    parties = ProtectedParties.load(tmp_path)
    assert all(Private(number) in parties for number in ("110", "112", "113"))


def test_adding_nobody_makes_no_list(tmp_path):
    assert protect(tmp_path, ["", "nobody"]) == 0
    assert protect(tmp_path, ["112"]) == 1


def test_the_list_holds_keyed_hashes_and_no_number(tmp_path):
    protect(tmp_path, ["112", LAWYER])
    lines = (tmp_path / "protected.hashes").read_text().split()
    key = (tmp_path / "keys" / "protected.key").read_bytes()
    assert len(key) == 32
    assert hmac.new(key, b"112", hashlib.sha256).hexdigest() in lines
    assert all(len(line) == 64 for line in lines)
    assert hashlib.sha256(b"112").hexdigest() not in lines
    for path in (tmp_path / "protected.hashes", tmp_path / "keys" / "protected.key"):
        assert path.stat().st_mode & 0o077 == 0


def test_two_houses_have_different_hashes(tmp_path):
    for house in ("one", "two"):
        (tmp_path / house).mkdir()
        protect(tmp_path / house, ["112"])
    assert (tmp_path / "one" / "protected.hashes").read_text() != (tmp_path / "two" / "protected.hashes").read_text()


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("protected.hashes", None),
        ("keys/protected.key", None),
        ("keys/protected.key", b""),
        ("keys/protected.key", b"short"),
        ("protected.hashes", b""),
        ("protected.hashes", "ä".encode()),
        ("protected.hashes", b"110\n112\n"),
    ],
)
def test_a_list_that_can_t_be_trusted_is_the_declared_error(path, content, tmp_path):
    """Else nobody would be found on it, and everybody could be recorded."""
    protect(tmp_path, EMERGENCY)
    if content is None:
        (tmp_path / path).unlink()
    else:
        (tmp_path / path).write_bytes(content)
    with pytest.raises(ProtectedListError):
        ProtectedParties.load(tmp_path)


@pytest.mark.parametrize("content", [None, b""])
def test_nothing_is_added_under_another_key(content, tmp_path):
    """What stands on the list would never be found again."""
    protect(tmp_path, EMERGENCY)
    key, before = tmp_path / "keys" / "protected.key", (tmp_path / "protected.hashes").read_bytes()
    key.unlink()
    if content is not None:
        key.write_bytes(content)
    with pytest.raises(ProtectedListError):
        protect(tmp_path, ["1234567890"])
    assert (tmp_path / "protected.hashes").read_bytes() == before


def test_a_folder_that_can_t_be_written_is_the_declared_error(tmp_path):
    (tmp_path / "keys").write_text("in the way")
    with pytest.raises(ProtectedListError):
        protect(tmp_path, ["112"])


@given(st.text(max_size=40))
def test_any_text_is_on_the_list_or_not(text):
    assert (Private(text) in ProtectedParties(bytes(32), frozenset())) is False
