"""age's X25519 recipients: text forms, wrapping, and points that must not be wrapped to."""

import pytest

from crypto import bech32
from crypto.errors import AgeHeaderError, AgeKeyError
from crypto.header import Stanza, b64
from crypto.stream import new_file_key
from crypto.x25519 import Identity, Recipient, format_identity, parse_identities

P = 2**255 - 19
# The u-coordinates of low order on curve and twist, RFC 7748 §6.1's all-zero results.
LOW_ORDER = [
    0,
    1,
    P - 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
]


def _le(value):
    return value.to_bytes(32, "little")


def test_text_forms_round_trip():
    identity = Identity.generate()
    assert Identity.parse(identity.secret_text()) == identity
    assert Recipient.parse(str(identity.recipient)) == identity.recipient
    assert identity.secret_text().startswith("AGE-SECRET-KEY-1")
    assert str(identity.recipient).startswith("age1")


def test_the_secret_is_not_in_the_repr():
    identity = Identity.generate()
    assert identity.secret_text() not in repr(identity)
    assert repr(identity.secret) not in repr(identity)
    assert identity.secret.hex() not in str(identity)


def test_only_the_own_identity_unwraps():
    file_key, alice, bob = new_file_key(), Identity.generate(), Identity.generate()
    stanza = alice.recipient.wrap(file_key)
    assert alice.unwrap(stanza) == file_key
    assert bob.unwrap(stanza) is None
    assert alice.unwrap(Stanza("x25519", stanza.args, stanza.body)) is None


def test_two_stanzas_of_one_key_have_nothing_in_common():
    file_key, alice = new_file_key(), Identity.generate()
    one, two = alice.recipient.wrap(file_key), alice.recipient.wrap(file_key)
    assert one.args != two.args
    assert one.body != two.body


@pytest.mark.parametrize("u", LOW_ORDER)
def test_low_order_points_are_refused_as_recipient_and_as_share(u):
    with pytest.raises(AgeKeyError, match="low order"):
        Recipient(_le(u))
    with pytest.raises(AgeHeaderError, match="low order"):
        Identity.generate().unwrap(Stanza("X25519", (b64(_le(u)),), bytes(32)))


@pytest.mark.parametrize("u", [P, P + 9, 2**255 + 9, 2**256 - 1])
def test_a_second_spelling_of_a_point_is_no_recipient(u):
    Recipient(_le(9))
    with pytest.raises(AgeKeyError, match="canonical"):
        Recipient(_le(u))


@pytest.mark.parametrize(
    ("args", "body"),
    [
        ((), bytes(32)),
        ((b64(_le(9)), "extra"), bytes(32)),
        ((b64(bytes(31)),), bytes(32)),
        ((b64(bytes(33)),), bytes(32)),
        ((b64(_le(9)) + "=",), bytes(32)),
        ((b64(_le(9))[:-1] + "B",), bytes(32)),
        ((b64(_le(9)),), bytes(31)),
        ((b64(_le(9)),), bytes(48)),
    ],
)
def test_a_malformed_stanza_breaks_the_file(args, body):
    with pytest.raises(AgeHeaderError):
        Identity.generate().unwrap(Stanza("X25519", args, body))


def test_case_is_part_of_the_text_form():
    identity = Identity.generate()
    for text in (identity.secret_text().lower(), str(identity.recipient), ""):
        with pytest.raises(AgeKeyError):
            Identity.parse(text)
    for text in (str(identity.recipient).upper(), identity.secret_text(), bech32.encode("age", bytes(31))):
        with pytest.raises(AgeKeyError):
            Recipient.parse(text)


def test_key_errors_do_not_tell_the_key():
    text = Identity.generate().secret_text()
    with pytest.raises(AgeKeyError) as caught:
        Identity.parse(text[:-1] + ("Q" if text[-1] != "Q" else "P"))
    assert text[20:40] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_key_file_holds_identities_and_comments():
    identity = Identity.generate()
    text = format_identity(identity)
    assert parse_identities(text + "\n# another\n" + Identity.generate().secret_text())[0] == identity
    for bad in ("", "# only a comment\n", text + "nonsense\n"):
        with pytest.raises(AgeKeyError):
            parse_identities(bad)
