"""OpenSSH's Ed25519 keys: text forms, files, and points under which anybody could sign."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from crypto.errors import SshKeyError
from crypto.ssh_key import SigningKey, VerifyKey, allowed_signers_line

P = 2**255 - 19
KEY = SigningKey.generate()


def test_public_line_round_trips_with_and_without_comment():
    public = KEY.verify_key
    for line in (public.line(), public.line("gateway of hamburg"), public.line() + "\n"):
        assert VerifyKey.parse(line) == public
    assert public.line("gw").endswith(" gw")
    assert VerifyKey.from_blob(public.blob) == public


def test_a_comment_stays_on_its_line():
    with pytest.raises(SshKeyError):
        KEY.verify_key.line("a\nssh-ed25519 AAAA")


def test_private_file_round_trips():
    assert SigningKey.from_openssh(KEY.to_openssh()).verify_key == KEY.verify_key


def test_another_key_type_or_a_cut_file_is_refused():
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    for data in (KEY.to_openssh()[:-60], b"", bytes(10_000), other):
        with pytest.raises(SshKeyError):
            SigningKey.from_openssh(data)


def test_the_private_key_does_not_print():
    assert repr(KEY) == f"SigningKey({KEY.verify_key.fingerprint()})"


# y of the points of order 8 and, with its negative, of the other four of them.
Y8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022


@pytest.mark.parametrize("sign_bit", [0, 1])
@pytest.mark.parametrize("y", [1, P - 1, 0, Y8, P - Y8])
def test_points_of_low_order_are_refused(y, sign_bit):
    with pytest.raises(SshKeyError, match="low order"):
        VerifyKey((y | sign_bit << 255).to_bytes(32, "little"))


@pytest.mark.parametrize("y", [P, P + 1, 2**255 - 1])
def test_a_second_spelling_of_a_point_is_refused(y):
    with pytest.raises(SshKeyError, match="canonical"):
        VerifyKey(y.to_bytes(32, "little"))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-rsa AAAA",
        "ssh-ed25519 !!!!",
        "ssh-ed25519  " + str(KEY.verify_key).split()[1],
        str(KEY.verify_key)[:-4],
        str(KEY.verify_key) + "=",
        str(KEY.verify_key) + "\nssh-ed25519 AAAA",
        str(KEY.verify_key) + " " + "x" * 2000,
        "ssh-ed25519 " + base64.b64encode(KEY.verify_key.blob + b"\x00").decode(),
        "ssh-ed25519 " + base64.b64encode(KEY.verify_key.blob[:-1]).decode(),
    ],
    ids=lambda line: f"{len(line)} characters",  # the key is another one in each worker
)
def test_anything_else_is_no_public_line(line):
    with pytest.raises(SshKeyError):
        VerifyKey.parse(line)


def test_allowed_signers_line():
    line = allowed_signers_line("gateway@hamburg", KEY.verify_key, ("fairtap-recording@v1", "b"))
    assert line == f'gateway@hamburg namespaces="fairtap-recording@v1,b" {KEY.verify_key}\n'
    assert allowed_signers_line("gw", KEY.verify_key) == f"gw {KEY.verify_key}\n"


@pytest.mark.parametrize("principal", ["", "a b", "*", "a,b", "!a", 'a"', "a\nb", "#a", "ä"])
def test_a_principal_with_a_meaning_of_its_own_is_refused(principal):
    for args in ((principal, KEY.verify_key), ("gw", KEY.verify_key, (principal,))):
        with pytest.raises(SshKeyError):
            allowed_signers_line(*args)
