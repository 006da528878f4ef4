"""Any input parses or raises the declared error, and what parses prints back to the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import age, bech32, framing, header, jcs
from crypto.errors import (
    AgeError,
    AgeHeaderError,
    AgeKeyError,
    Bech32Error,
    FramingError,
    JcsError,
    SshKeyError,
    SshsigError,
)
from crypto.ssh_key import SigningKey, VerifyKey
from crypto.sshsig import Signature, sign
from crypto.stream import read_chunks
from crypto.x25519 import Identity, Recipient, parse_identities

IDENTITY = Identity.generate()
KEY = SigningKey.generate()
AGE_FILE = age.encrypt(b"words", [IDENTITY.recipient])
ARMORED = sign(KEY, "ns@v1", b"message")
HEADER_ALPHABET = st.sampled_from(
    [b"age-encryption.org/v1\n", b"-> ", b"x", b" ", b"\n", b"AAAA", b"A" * 64, b"--- ", b"="]
)


@st.composite
def mutated(draw, original: bytes):
    """`original` with a few slices replaced, removed or doubled."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 8)))
        data[at:to] = draw(st.one_of(st.binary(max_size=6), st.just(bytes(data[at:to]) * 2), st.just(b"")))
    return bytes(data)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-jcs.MAX_INTEGER, jcs.MAX_INTEGER) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_jcs_round_trips(value):
    printed = jcs.canonical(value)
    assert jcs.parse(printed) == value
    assert jcs.canonical(jcs.parse_json(printed)) == printed


@given(json_values.map(jcs.canonical).flatmap(mutated) | st.binary(max_size=60))
def test_jcs_reads_canonical_bytes_only(data):
    try:
        value = jcs.parse(data)
    except JcsError:
        return
    assert jcs.canonical(value) == data


@given(st.text(alphabet='{}[]",:0123456789.eE+-\\un \ud800aNIfty', max_size=40))
def test_json_raises_its_own_error(text):
    try:
        value = jcs.parse_json(text.encode("utf-8", "surrogatepass"))
    except JcsError:
        return
    assert jcs.parse(jcs.canonical(value)) == value


@given(mutated(AGE_FILE) | st.lists(HEADER_ALPHABET, max_size=20).map(b"".join) | st.binary(max_size=80))
def test_an_age_file_is_whole_or_refused(data):
    try:
        parsed, size = header.parse(data)
    except AgeHeaderError:
        pass
    else:
        assert bytes(parsed) == data[:size]
    try:
        plaintext = age.decrypt(data, [IDENTITY])
    except AgeError:
        return
    assert plaintext == b"words"
    assert data == AGE_FILE


@given(st.binary(max_size=100))
def test_a_payload_raises_age_errors_only(data):
    with pytest.raises(AgeError):
        list(read_chunks(header.FileKey(bytes(16)), data))


@given(st.text(max_size=90) | mutated(str(IDENTITY.recipient).encode()).map(_text) | mutated(b"A12UEL5L").map(_text))
def test_bech32_and_recipients_print_back(text):
    try:
        hrp, raw = bech32.decode(text)
    except Bech32Error:
        pass
    else:
        assert bech32.encode(hrp, raw) == text.lower()
    try:
        recipient = Recipient.parse(text)
    except AgeKeyError:
        return
    assert str(recipient) == text


@given(st.text(max_size=90) | mutated(IDENTITY.secret_text().encode()).map(_text))
def test_key_files_raise_key_errors_only(text):
    try:
        identities = parse_identities(text)
    except AgeKeyError:
        return
    assert all(identity.secret_text() in text for identity in identities)


@given(
    st.binary(max_size=200),
    st.text(alphabet=st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=70),
)
def test_bech32_round_trips_within_its_length(raw, hrp):
    hrp = hrp.lower()
    try:
        text = bech32.encode(hrp, raw)
    except Bech32Error:
        assert len(hrp) + 1 + -(-len(raw) * 8 // 5) + 6 > bech32.MAX_LENGTH
        return
    assert bech32.decode(text) == bech32.decode(text.upper()) == (hrp, raw)


@given(st.text(max_size=60) | mutated(ARMORED.encode()).map(_text))
def test_an_armored_signature_prints_back_or_is_refused(text):
    try:
        signature = Signature.parse(text)
    except SshsigError:
        return
    assert Signature.parse(str(signature)) == signature


@given(st.binary(max_size=60) | mutated(Signature.parse(ARMORED).blob))
def test_a_binary_signature_prints_back_or_is_refused(blob):
    try:
        signature = Signature.from_blob(blob)
    except SshsigError:
        return
    assert signature.blob == blob


@given(st.text(max_size=60) | mutated(KEY.verify_key.line("gw").encode()).map(_text))
def test_a_public_line_prints_back_or_is_refused(line):
    try:
        key = VerifyKey.parse(line)
    except SshKeyError:
        return
    assert line.startswith(str(key))


@settings(max_examples=200)
@given(st.binary(max_size=60) | mutated(KEY.to_openssh()))
def test_a_private_file_raises_key_errors_only(data):
    try:
        SigningKey.from_openssh(data)
    except SshKeyError:
        return


@given(st.text(max_size=12), st.integers(0, 6))
def test_hex_prints_back_or_is_refused(text, size):
    try:
        raw = framing.parse_hex(text, size)
    except FramingError:
        return
    assert raw.hex() == text


@given(st.lists(st.binary(max_size=20) | st.text(max_size=10), max_size=6))
def test_lp_can_be_taken_apart_again(items):
    framed = framing.lp(*items)
    taken = []
    while framed:
        size = int.from_bytes(framed[:2], "big")
        taken.append(framed[2 : 2 + size])
        framed = framed[2 + size :]
    assert taken == [item.encode() if isinstance(item, str) else item for item in items]
