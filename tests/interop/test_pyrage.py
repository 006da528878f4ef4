"""pyrage, an age implementation of its own, opens our files and we open its."""

import os

import pytest

from crypto import age
from crypto.scrypt import Passphrase
from crypto.x25519 import Identity

pyrage = pytest.importorskip("pyrage", reason="pyrage isn't installed")

SIZES = [0, 1, 65535, 65536, 65537, 2 * 65536, 4 * 65536]
IDENTITY = Identity.generate()
THEIR_IDENTITY = pyrage.x25519.Identity.from_str(IDENTITY.secret_text())


@pytest.mark.parametrize("size", SIZES)
def test_pyrage_opens_ours(size):
    plaintext = os.urandom(size)
    assert pyrage.decrypt(age.encrypt(plaintext, [IDENTITY.recipient]), [THEIR_IDENTITY]) == plaintext


@pytest.mark.parametrize("size", SIZES)
def test_we_open_pyrage_s(size):
    plaintext = os.urandom(size)
    recipient = pyrage.x25519.Recipient.from_str(str(IDENTITY.recipient))
    assert age.decrypt(pyrage.encrypt(plaintext, [recipient]), [IDENTITY]) == plaintext


def test_keys_have_the_same_text_form():
    assert str(THEIR_IDENTITY) == IDENTITY.secret_text()
    assert str(THEIR_IDENTITY.to_public()) == str(IDENTITY.recipient)


def test_pyrage_opens_our_passphrase_file():
    data = age.encrypt(b"bundle", [Passphrase("six generated words", 16)])
    assert pyrage.passphrase.decrypt(data, "six generated words") == b"bundle"


def test_pyrage_refuses_a_cut_file_of_ours():
    data = age.encrypt(bytes(2 * 65536), [IDENTITY.recipient])
    for cut in (len(data) - 1, len(data) - 65552, len(data) - 65553):
        with pytest.raises(pyrage.DecryptError):
            pyrage.decrypt(data[:cut], [THEIR_IDENTITY])
