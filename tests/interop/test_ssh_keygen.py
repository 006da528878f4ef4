"""`ssh-keygen` accepts our keys and signatures, and we accept its."""

import shutil
import subprocess

import pytest

from crypto.errors import SshKeyError, SshsigError
from crypto.ssh_key import SigningKey, VerifyKey, allowed_signers_line
from crypto.sshsig import sign, verify

SSH_KEYGEN = shutil.which("ssh-keygen") or ""
pytestmark = pytest.mark.skipif(not SSH_KEYGEN, reason="`ssh-keygen` isn't installed")

NS = "fairtap-recording@v1"


def _ssh_keygen(*args, stdin=b""):
    return subprocess.run([SSH_KEYGEN, *args], input=stdin, capture_output=True, timeout=60, check=False)


@pytest.fixture
def their_key(tmp_path):
    path = tmp_path / "theirs"
    made = _ssh_keygen("-q", "-t", "ed25519", "-N", "", "-C", "made by ssh-keygen", "-f", path)
    assert made.returncode == 0, made.stderr
    return path


@pytest.fixture
def our_key(tmp_path):
    key, path = SigningKey.generate(), tmp_path / "ours"
    path.write_bytes(key.to_openssh())
    path.chmod(0o600)
    return key, path


def _verify(tmp_path, key, armored, message, namespace=NS):
    (tmp_path / "allowed_signers").write_text(allowed_signers_line("gateway@site", key, (NS,)))
    (tmp_path / "m.sig").write_text(armored)
    args = [
        "-Y",
        "verify",
        "-f",
        tmp_path / "allowed_signers",
        "-I",
        "gateway@site",
        "-n",
        namespace,
        "-s",
        tmp_path / "m.sig",
    ]
    return _ssh_keygen(*args, stdin=message).returncode


@pytest.mark.parametrize("message", [b"", b"manifest", bytes(200_000)], ids=["empty", "short", "long"])
def test_ssh_keygen_verifies_ours(tmp_path, our_key, message):
    key, _ = our_key
    armored = sign(key, NS, message)
    assert _verify(tmp_path, key.verify_key, armored, message) == 0
    assert _verify(tmp_path, key.verify_key, armored, message + b"x") != 0
    assert _verify(tmp_path, key.verify_key, armored, message, namespace="other@v1") != 0
    assert _verify(tmp_path, SigningKey.generate().verify_key, armored, message) != 0


@pytest.mark.parametrize("message", [b"", b"manifest", bytes(200_000)], ids=["empty", "short", "long"])
def test_we_verify_ssh_keygen_s(their_key, message):
    public = VerifyKey.parse(their_key.with_suffix(".pub").read_text())
    made = _ssh_keygen("-q", "-Y", "sign", "-f", their_key, "-n", NS, stdin=message)
    assert made.returncode == 0, made.stderr
    armored = made.stdout.decode()
    verify(public, NS, message, armored)
    for args in (
        (public, NS, message + b"x"),
        (public, "other@v1", message),
        (SigningKey.generate().verify_key, NS, message),
    ):
        with pytest.raises(SshsigError):
            verify(*args, armored)


def test_the_same_key_makes_the_same_signature(our_key):
    # Ed25519 and SSHSIG have no randomness, so both sides must print the same bytes.
    key, path = our_key
    theirs = _ssh_keygen("-q", "-Y", "sign", "-f", path, "-n", NS, stdin=b"manifest")
    assert theirs.stdout.decode() == sign(key, NS, b"manifest")


def test_private_files_go_both_ways(our_key, their_key):
    key, path = our_key
    assert _ssh_keygen("-y", "-f", path).stdout.decode().split()[:2] == str(key.verify_key).split()
    theirs = SigningKey.from_openssh(their_key.read_bytes())
    assert theirs.verify_key == VerifyKey.parse(their_key.with_suffix(".pub").read_text())


def test_a_file_under_a_passphrase_is_refused_with_advice(their_key):
    assert _ssh_keygen("-p", "-q", "-f", their_key, "-P", "", "-N", "words").returncode == 0
    with pytest.raises(SshKeyError, match="passphrase"):
        SigningKey.from_openssh(their_key.read_bytes())


def test_fingerprints_are_alike(tmp_path, our_key):
    key, _ = our_key
    (tmp_path / "ours.pub").write_text(key.verify_key.line("gw") + "\n")
    assert _ssh_keygen("-l", "-f", tmp_path / "ours.pub").stdout.split()[1].decode() == key.verify_key.fingerprint()
