"""The gateway's key file: made once, 0600, refused when others may read it; its verifier key."""

import base64
import hashlib

import pytest

from crypto.ssh_key import SigningKey, VerifyKey
from storage import gateway_key
from storage.errors import BlobMissing, KeyFileError


def test_made_once_and_private(tmp_path):
    with pytest.raises(BlobMissing):
        gateway_key.load(tmp_path)
    first = gateway_key.load_or_create(tmp_path)
    path = gateway_key.key_path(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    assert gateway_key.load_or_create(tmp_path).verify_key == first.verify_key


def test_a_key_others_may_read_is_refused(tmp_path):
    gateway_key.load_or_create(tmp_path)
    gateway_key.key_path(tmp_path).chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        gateway_key.load_or_create(tmp_path)


def test_a_broken_key_file_is_refused_and_not_replaced(tmp_path):
    gateway_key.load_or_create(tmp_path)
    gateway_key.key_path(tmp_path).write_bytes(b"broken")
    with pytest.raises(KeyFileError):
        gateway_key.load_or_create(tmp_path)
    assert gateway_key.key_path(tmp_path).read_bytes() == b"broken"


def test_vkey_is_signed_notes_form():
    key = SigningKey.generate().verify_key
    name, number, encoded = gateway_key.vkey("hamburg/gateway", key).split("+", 2)
    raw = base64.b64decode(encoded)
    assert name == "hamburg/gateway" and raw == b"\x01" + key.raw
    assert number == hashlib.sha256(b"hamburg/gateway\n" + raw).hexdigest()[:8]


def test_vkey_of_the_go_documentation():
    """The example of golang.org/x/mod/sumdb/note."""
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    raw = base64.b64decode(text.split("+", 2)[2])
    assert gateway_key.vkey("PeterNeumann", VerifyKey(raw[1:])) == text
