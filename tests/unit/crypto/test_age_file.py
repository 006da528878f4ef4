"""Whole age files: recipients, nesting, flipped bits, and who may not open."""

import pytest

from crypto import age, header
from crypto.errors import AgeError, AgeHeaderError, AgeKeyError, AgeNoMatch, AgePayloadError
from crypto.header import FileKey, Stanza
from crypto.scrypt import Passphrase
from crypto.stream import new_file_key
from crypto.x25519 import Identity

ALICE, BOB, CAROL = (Identity.generate() for _ in range(3))


def test_each_recipient_opens_and_nobody_else():
    data = age.encrypt(b"words", [ALICE.recipient, BOB.recipient])
    assert age.decrypt(data, [ALICE]) == age.decrypt(data, [CAROL, BOB]) == b"words"
    with pytest.raises(AgeNoMatch):
        age.decrypt(data, [CAROL])
    with pytest.raises(AgeNoMatch):
        age.decrypt(data, [])


def test_quorum_is_nested_and_needs_both_keys():
    file_key = new_file_key()
    inner = age.encrypt(file_key, [BOB.recipient])
    quorum = age.encrypt(inner, [ALICE.recipient])
    assert age.decrypt(age.decrypt(quorum, [ALICE]), [BOB]) == file_key
    with pytest.raises(AgeNoMatch):
        age.decrypt(quorum, [BOB])
    with pytest.raises(AgeNoMatch):
        age.decrypt(age.decrypt(quorum, [ALICE]), [ALICE])


def test_header_and_payload_are_apart_and_make_a_file_together():
    data = age.encrypt(b"words", [ALICE.recipient])
    head, payload = age.split_header(data)
    assert bytes(head) + bytes(payload) == data
    file_key = age.open_header(bytes(head), [ALICE])
    # A second header for another recipient opens the same payload: that is what a release is.
    released = age.make_header(file_key, [BOB.recipient]) + bytes(payload)
    assert age.decrypt(released, [BOB]) == b"words"
    with pytest.raises(AgeHeaderError, match="followed"):
        age.open_header(data, [ALICE])


def test_stanzas_are_exactly_the_recipients():
    assert age.count_stanzas(age.make_header(new_file_key(), [ALICE.recipient])) == 1
    assert age.count_stanzas(age.make_header(new_file_key(), [ALICE.recipient, BOB.recipient, CAROL.recipient])) == 3
    with pytest.raises(AgeHeaderError):
        age.make_header(new_file_key(), [])


def test_unknown_stanzas_are_passed_over():
    file_key = new_file_key()
    head = header.seal(file_key, [Stanza("grease-x", ("1",), b"noise"), ALICE.recipient.wrap(file_key)])
    assert age.open_header(bytes(head), [ALICE]) == file_key


def test_a_stanza_of_another_file_key_is_found_by_the_mac():
    head = header.seal(new_file_key(), [ALICE.recipient.wrap(new_file_key())])
    with pytest.raises(AgeHeaderError, match="mac"):
        age.open_header(bytes(head), [ALICE])


def test_every_flipped_bit_of_a_file_is_found():
    data = bytearray(age.encrypt(b"words", [ALICE.recipient]))
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(AgeError):
            age.decrypt(data, [ALICE])
        data[bit // 8] ^= 1 << bit % 8
    assert age.decrypt(data, [ALICE]) == b"words"


def test_no_part_of_a_cut_file_is_returned():
    data = age.encrypt(bytes(70_000), [ALICE.recipient])
    for cut in (0, 10, 150, 250, 65_000, len(data) - 16, len(data) - 1):
        with pytest.raises(AgeError):
            age.decrypt(data[:cut], [ALICE])


def test_a_file_over_the_limit_is_refused():
    data = age.encrypt(b"words", [ALICE.recipient])
    assert age.decrypt(data, [ALICE], limit=len(data)) == b"words"
    with pytest.raises(AgePayloadError, match="longer"):
        age.decrypt(data, [ALICE], limit=len(data) - 1)


def test_a_passphrase_opens_its_own_file_only():
    data = age.encrypt(b"bundle", [Passphrase("six words made by the page", 16)])
    assert age.decrypt(data, [ALICE, Passphrase("six words made by the page", 18)]) == b"bundle"
    with pytest.raises(AgeNoMatch):
        age.decrypt(data, [Passphrase("six words made by the pages")])
    with pytest.raises(AgeNoMatch):
        age.decrypt(data, [ALICE])


def test_a_scrypt_stanza_stands_alone():
    file_key, phrase = new_file_key(), Passphrase("words", 16)
    with pytest.raises(AgeHeaderError, match="alone"):
        age.make_header(file_key, [phrase, ALICE.recipient])
    forged = header.seal(file_key, [Stanza("scrypt", ("AAAA", "16"), b""), ALICE.recipient.wrap(file_key)])
    with pytest.raises(AgeHeaderError, match="alone"):
        age.open_header(bytes(forged), [ALICE])


@pytest.mark.parametrize("log_n", [0, 15, 19, 30])
def test_the_work_factor_is_bounded_when_wrapping(log_n):
    with pytest.raises(AgeKeyError):
        Passphrase("words", log_n)


@pytest.mark.parametrize(
    "stanza",
    [
        Stanza("scrypt", ("A" * 22, "19"), bytes(32)),
        Stanza("scrypt", ("A" * 22, "22"), bytes(32)),
        Stanza("scrypt", ("A" * 22, "018"), bytes(32)),
        Stanza("scrypt", ("A" * 22, "0"), bytes(32)),
        Stanza("scrypt", ("A" * 22, "+8"), bytes(32)),
        Stanza("scrypt", ("A" * 22, "-8"), bytes(32)),
        Stanza("scrypt", ("A" * 22, "0x1"), bytes(32)),
        Stanza("scrypt", ("A" * 22, "9" * 30), bytes(32)),
        Stanza("scrypt", ("A" * 22,), bytes(32)),
        Stanza("scrypt", ("A" * 22, "10", "x"), bytes(32)),
        Stanza("scrypt", ("A" * 20, "10"), bytes(32)),
        Stanza("scrypt", ("A" * 22 + "==", "10"), bytes(32)),
        Stanza("scrypt", ("A" * 22, "10"), bytes(48)),
    ],
)
def test_a_malformed_or_costly_scrypt_stanza_is_refused(stanza):
    with pytest.raises(AgeHeaderError):
        Passphrase("words").unwrap(stanza)


def test_a_passphrase_does_not_print():
    assert "six" not in repr(Passphrase("six words"))


@pytest.mark.parametrize("text", ["", "\ud800"])
def test_a_passphrase_is_unicode_text(text):
    with pytest.raises(AgeKeyError):
        Passphrase(text).wrap(FileKey(bytes(16)))
