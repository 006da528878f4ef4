"""The payload writer and reader: sizes, order of use, cut and altered payloads, and no nonce used twice."""

import hashlib
from typing import ClassVar

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from crypto import header, stream
from crypto.errors import AgeKeyError, AgePayloadError, AgeTruncated, AgeWriterError
from crypto.header import FileKey
from crypto.stream import (
    CHUNK_BYTES,
    NONCE_BYTES,
    SEALED_CHUNK_BYTES,
    PayloadWriter,
    encrypt_payload,
    new_file_key,
    read_chunks,
)

SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 7]


def _plaintext(size):
    return hashlib.shake_128(b"plaintext").digest(size)


def _prefix(key, payload):
    """What a reader gets before the error, and the error."""
    chunks = []
    with pytest.raises(AgePayloadError) as caught:
        for chunk in read_chunks(key, payload):
            chunks.append(chunk)
    return b"".join(chunks), caught.value


@pytest.mark.parametrize("size", SIZES)
def test_round_trip_and_length(size):
    key, plaintext = new_file_key(), _plaintext(size)
    payload = encrypt_payload(key, plaintext)
    chunks = list(read_chunks(key, payload))
    assert b"".join(chunks) == plaintext
    assert len(chunks) == max(1, -(-size // CHUNK_BYTES))
    assert len(payload) == NONCE_BYTES + size + 16 * len(chunks)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_any_buffer_is_sealed_in_place(wrap):
    key, plaintext = new_file_key(), _plaintext(2 * CHUNK_BYTES)
    writer = PayloadWriter(key)
    payload = (
        writer.nonce + writer.seal_chunk(wrap(plaintext[:CHUNK_BYTES])) + writer.finish(wrap(plaintext[CHUNK_BYTES:]))
    )
    assert b"".join(read_chunks(key, wrap(payload))) == plaintext
    assert writer.chunks == 2


def test_a_slice_of_wider_items_counts_in_bytes():
    key = new_file_key()
    samples = memoryview(bytearray(CHUNK_BYTES)).cast("h")
    writer = PayloadWriter(key)
    payload = writer.nonce + writer.seal_chunk(samples) + writer.finish(samples[:3])
    assert b"".join(read_chunks(key, payload)) == bytes(CHUNK_BYTES + 6)


def test_two_payloads_of_one_file_key_share_nothing():
    key = new_file_key()
    one, two = encrypt_payload(key, bytes(64)), encrypt_payload(key, bytes(64))
    assert one[:16] != two[:16]
    assert one[16:] != two[16:]


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES + 1])
def test_seal_chunk_takes_full_chunks_only(size):
    writer = PayloadWriter(new_file_key())
    with pytest.raises(AgeWriterError):
        writer.seal_chunk(bytes(size))
    assert writer.chunks == 0


def test_the_last_chunk_is_not_empty_after_others_nor_over_full():
    writer = PayloadWriter(new_file_key())
    writer.seal_chunk(bytes(CHUNK_BYTES))
    for size in (0, CHUNK_BYTES + 1):
        with pytest.raises(AgeWriterError):
            writer.finish(bytes(size))
    writer.finish(b"rest")


@pytest.mark.parametrize("end", [lambda writer: writer.finish(b"x"), lambda writer: writer.drop()])
def test_a_finished_or_dropped_writer_seals_no_more(end):
    writer = PayloadWriter(new_file_key())
    end(writer)
    for use in (lambda: writer.seal_chunk(bytes(CHUNK_BYTES)), lambda: writer.finish(b"y"), writer.finish):
        with pytest.raises(AgeWriterError, match="finished"):
            use()
    writer.drop()


def test_a_dropped_writer_leaves_a_genuine_cut_payload():
    key, plaintext = new_file_key(), _plaintext(CHUNK_BYTES)
    writer = PayloadWriter(key)
    payload = writer.nonce + writer.seal_chunk(plaintext)
    writer.drop()
    prefix, error = _prefix(key, payload)
    assert prefix == plaintext
    assert isinstance(error, AgeTruncated)


@pytest.mark.parametrize(
    "cut",
    [
        *range(0, 34, 3),
        NONCE_BYTES,
        NONCE_BYTES + SEALED_CHUNK_BYTES - 1,
        NONCE_BYTES + SEALED_CHUNK_BYTES,
        NONCE_BYTES + SEALED_CHUNK_BYTES + 1,
        NONCE_BYTES + SEALED_CHUNK_BYTES + 16,
        NONCE_BYTES + 2 * SEALED_CHUNK_BYTES - 1,
        NONCE_BYTES + 2 * SEALED_CHUNK_BYTES,
        NONCE_BYTES + 2 * SEALED_CHUNK_BYTES + 20,
    ],
)
def test_a_cut_payload_gives_its_whole_chunks_and_an_error(cut):
    key, plaintext = new_file_key(), _plaintext(2 * CHUNK_BYTES + 5)
    payload = encrypt_payload(key, plaintext)
    assert cut < len(payload)
    prefix, error = _prefix(key, payload[:cut])
    whole = max(0, cut - NONCE_BYTES) // SEALED_CHUNK_BYTES
    assert prefix == plaintext[: whole * CHUNK_BYTES]
    if cut in (NONCE_BYTES + SEALED_CHUNK_BYTES, NONCE_BYTES + 2 * SEALED_CHUNK_BYTES):
        assert isinstance(error, AgeTruncated)


@pytest.mark.parametrize("size", [0, 5, CHUNK_BYTES, CHUNK_BYTES + 5])
@pytest.mark.parametrize("tail", [1, 16, 17, SEALED_CHUNK_BYTES])
def test_an_extended_payload_is_refused(size, tail):
    key, plaintext = new_file_key(), _plaintext(size)
    prefix, _ = _prefix(key, encrypt_payload(key, plaintext) + bytes(tail))
    assert plaintext.startswith(prefix)


def test_chunks_cannot_change_places_or_payloads():
    key = new_file_key()
    a, b = encrypt_payload(key, _plaintext(3 * CHUNK_BYTES)), encrypt_payload(key, _plaintext(3 * CHUNK_BYTES))
    one, two, three = (slice(16 + i * SEALED_CHUNK_BYTES, 16 + (i + 1) * SEALED_CHUNK_BYTES) for i in range(3))
    for forged in (a[:16] + a[two] + a[one] + a[three], a[:16] + b[one] + a[two] + a[three], a[:16] + a[three]):
        assert _prefix(key, forged)[0] == b""
    assert _prefix(key, a[:16] + a[one] + a[three])[0] == _plaintext(CHUNK_BYTES)


def test_an_empty_last_chunk_after_a_full_one_is_refused():
    key, writer_nonce = new_file_key(), bytes(16)
    aead = ChaCha20Poly1305(header.hkdf(key, writer_nonce, b"payload"))
    payload = writer_nonce + aead.encrypt(bytes(12), bytes(CHUNK_BYTES), None)
    payload += aead.encrypt(bytes(10) + b"\x01\x01", b"", None)
    prefix, error = _prefix(key, payload)
    assert prefix == bytes(CHUNK_BYTES)
    assert "empty" in str(error)


@pytest.mark.parametrize("size", [0, 3])
def test_every_flipped_bit_of_a_small_payload_is_found(size):
    key = new_file_key()
    payload = bytearray(encrypt_payload(key, _plaintext(size)))
    for bit in range(8 * len(payload)):
        payload[bit // 8] ^= 1 << bit % 8
        assert _prefix(key, payload)[0] == b""
        payload[bit // 8] ^= 1 << bit % 8
    assert b"".join(read_chunks(key, payload)) == _plaintext(size)


@pytest.mark.parametrize(
    "position", [0, 15, 16, 16 + CHUNK_BYTES, 15 + SEALED_CHUNK_BYTES, 16 + SEALED_CHUNK_BYTES, -17, -1]
)
def test_a_flipped_bit_of_a_large_payload_is_found_in_its_chunk(position):
    key, plaintext = new_file_key(), _plaintext(2 * CHUNK_BYTES)
    payload = bytearray(encrypt_payload(key, plaintext))
    payload[position] ^= 0x80
    genuine = CHUNK_BYTES if position % len(payload) >= 16 + SEALED_CHUNK_BYTES else 0
    assert _prefix(key, payload)[0] == plaintext[:genuine]


def test_another_file_key_opens_nothing():
    assert _prefix(new_file_key(), encrypt_payload(new_file_key(), b"x"))[0] == b""


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_a_file_key_is_16_bytes(size):
    with pytest.raises(AgeKeyError):
        PayloadWriter(FileKey(bytes(size)))
    with pytest.raises(AgeKeyError):
        stream.key_commit(new_file_key(), bytes(size))


def test_key_commit_tells_file_keys_and_nonces_apart():
    key = new_file_key()
    writer = PayloadWriter(key)
    assert writer.key_commit == header.hkdf(key, writer.nonce, b"fairtap/v1/key-commit")
    assert len({writer.key_commit, PayloadWriter(key).key_commit, stream.key_commit(new_file_key(), writer.nonce)}) == 3


class _Instrumented:
    """An AEAD that notes each (key, nonce) it is given, and fails when told to."""

    used: ClassVar[list[tuple[bytes, bytes]]] = []
    fail_next = False

    def __init__(self, key):
        self._key, self._aead = key, ChaCha20Poly1305(key)

    def encrypt(self, nonce, data, associated_data):
        type(self).used.append((self._key, nonce))
        if type(self).fail_next:
            type(self).fail_next = False
            raise MemoryError
        return self._aead.encrypt(nonce, data, associated_data)


@pytest.fixture
def aead(monkeypatch):
    monkeypatch.setattr(_Instrumented, "used", [])
    monkeypatch.setattr(stream, "ChaCha20Poly1305", _Instrumented)
    return _Instrumented


def test_no_key_and_nonce_meet_two_plaintexts(aead):
    key = new_file_key()
    for _ in range(5):
        for size in SIZES:
            encrypt_payload(key, _plaintext(size))
    assert len(aead.used) == 5 * (1 + 1 + 1 + 1 + 2 + 3 + 4)
    assert len(set(aead.used)) == len(aead.used)


def test_a_failed_encryption_uses_its_nonce_up(aead):
    writer = PayloadWriter(new_file_key())
    for _ in range(3):
        writer.seal_chunk(bytes(CHUNK_BYTES))
        aead.fail_next = True
        with pytest.raises(MemoryError):
            writer.seal_chunk(bytes(CHUNK_BYTES))
    aead.fail_next = True
    with pytest.raises(MemoryError):
        writer.finish(b"rest")
    writer.finish(b"rest")
    assert len(aead.used) == 8
    assert len(set(aead.used)) == 8
