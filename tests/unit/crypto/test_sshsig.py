"""SSHSIG: what is signed, and that nothing but the signer's own key, namespace and message passes."""

import base64
import struct

import pytest

from crypto.errors import SshsigError
from crypto.ssh_key import SigningKey
from crypto.sshsig import Signature, sign, verify

KEY, OTHER = SigningKey.generate(), SigningKey.generate()
NS = "fairtap-recording@v1"


def _s(*items: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(item)) + item for item in items)


INNER = _s(b"ssh-ed25519", bytes(64))
NAMESPACE = NS.encode()


def _blob(
    magic=b"SSHSIG",
    version=1,
    key=KEY.verify_key.blob,
    namespace=NAMESPACE,
    reserved=b"",
    hash_name=b"sha512",
    inner=INNER,
    tail=b"",
):
    return magic + struct.pack(">I", version) + _s(key, namespace, reserved, hash_name, inner) + tail


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_sign_and_verify(size):
    verify(KEY.verify_key, NS, bytes(size), sign(KEY, NS, bytes(size)))


def test_another_key_namespace_or_message_is_refused():
    armored = sign(KEY, NS, b"message")
    for args, why in (
        ((OTHER.verify_key, NS, b"message"), "another key"),
        ((KEY.verify_key, "fairtap-act@v1", b"message"), "another namespace"),
        ((KEY.verify_key, NS, b"massage"), "doesn't verify"),
    ):
        with pytest.raises(SshsigError, match=why):
            verify(*args, armored)


def test_a_namespace_cannot_be_rewritten():
    signature = Signature.parse(sign(KEY, NS, b"message"))
    with pytest.raises(SshsigError, match="doesn't verify"):
        Signature(signature.key, "fairtap-act@v1", signature.raw).check(b"message")


def test_armored_and_binary_form_are_the_same_signature():
    armored = sign(KEY, NS, b"message")
    signature = Signature.parse(armored)
    assert Signature.from_blob(signature.blob) == signature
    assert str(signature) == armored
    assert signature.key == KEY.verify_key
    assert max(map(len, armored.splitlines())) <= 70


def test_every_flipped_bit_of_the_binary_form_is_found():
    blob = bytearray(Signature.parse(sign(KEY, NS, b"message")).blob)
    for bit in range(8 * len(blob)):
        blob[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SshsigError):
            signature = Signature.from_blob(bytes(blob))
            verify(KEY.verify_key, NS, b"message", str(signature))
        blob[bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        _blob(magic=b"SSHSIH"),
        _blob(version=2),
        _blob(key=KEY.verify_key.blob[:-1]),
        _blob(key=b"\x00\x00\x00\x07ssh-rsa"),
        _blob(key=KEY.verify_key.blob[:-32] + b"\x01" + bytes(31)),
        _blob(namespace=b""),
        _blob(namespace=b"a b"),
        _blob(namespace="ä".encode()),
        _blob(namespace=b"x" * 129),
        _blob(reserved=b"x"),
        _blob(hash_name=b"sha256"),
        _blob(hash_name=b"md5"),
        _blob(inner=_s(b"ssh-ed25519", bytes(63))),
        _blob(inner=_s(b"ssh-ed25519", bytes(65))),
        _blob(inner=_s(b"ssh-rsa", bytes(64))),
        _blob(inner=INNER + b"x"),
        _blob(tail=b"x"),
        _blob()[:-1],
        _blob(namespace=b"x" * 5000),
    ],
)
def test_a_malformed_blob_is_refused(blob):
    assert Signature.from_blob(_blob()).namespace == NS
    with pytest.raises(SshsigError):
        Signature.from_blob(blob)


def _armor(lines, begin="-----BEGIN SSH SIGNATURE-----", end="-----END SSH SIGNATURE-----\n"):
    return "\n".join([begin, *lines, end])


TEXT = base64.b64encode(_blob()).decode()


def test_lines_of_76_characters_and_a_missing_last_newline_are_read():
    lines = [TEXT[i : i + 76] for i in range(0, len(TEXT), 76)]
    assert Signature.parse(_armor(lines)) == Signature.parse(_armor(lines).rstrip()) == Signature.from_blob(_blob())


@pytest.mark.parametrize(
    "armored",
    [
        "",
        TEXT,
        _armor([TEXT]),
        _armor([]),
        _armor([TEXT[:70], "", TEXT[70:140], TEXT[140:]]),
        _armor([TEXT[:70], " " + TEXT[70:140], TEXT[140:210], TEXT[210:]]),
        _armor(["A"]),
        _armor(["AB=="]),
        "x" + sign(KEY, NS, b""),
        sign(KEY, NS, b"") + "x",
        sign(KEY, NS, b"").replace("\n", "\r\n"),
        sign(KEY, NS, b"") * 2,
        sign(KEY, NS, b"").replace("SSH", "PGP"),
        _armor(["A" * 70] * 100),
    ],
)
def test_malformed_armor_is_refused(armored):
    with pytest.raises(SshsigError):
        Signature.parse(armored)


@pytest.mark.parametrize("namespace", ["", "a b", "ä", "a\n", "x" * 129])
def test_a_namespace_is_printable_ascii(namespace):
    with pytest.raises(SshsigError):
        sign(KEY, namespace, b"")
