"""However a payload is cut into writes and wherever it is cut off, readers get exactly its whole chunks."""

from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import age
from crypto.errors import AgePayloadError
from crypto.stream import CHUNK_BYTES, NONCE_BYTES, SEALED_CHUNK_BYTES, PayloadWriter, new_file_key, read_chunks
from crypto.x25519 import Identity

IDENTITY = Identity.generate()
NOISE = bytes(range(256)) * (4 * CHUNK_BYTES // 256)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, CHUNK_BYTES + 9), max_size=6), st.integers(0, 3 * SEALED_CHUNK_BYTES))
def test_streamed_writing_is_one_age_file(sizes, cut):
    plaintext, buffered, file_key = NOISE[: min(sum(sizes), len(NOISE))], bytearray(), new_file_key()
    writer, position = PayloadWriter(file_key), 0
    payload = bytearray(writer.nonce)
    for size in sizes:
        buffered += plaintext[position : position + size]
        position += size
        while len(buffered) > CHUNK_BYTES:
            payload += writer.seal_chunk(memoryview(buffered)[:CHUNK_BYTES])
            del buffered[:CHUNK_BYTES]
    payload += writer.finish(buffered)
    assert age.decrypt(age.make_header(file_key, [IDENTITY.recipient]) + payload, [IDENTITY]) == plaintext

    read, whole = [], max(0, min(cut, len(payload)) - NONCE_BYTES) // SEALED_CHUNK_BYTES
    try:
        for chunk in read_chunks(file_key, memoryview(payload)[:cut]):
            read.append(chunk)
    except AgePayloadError:
        assert b"".join(read) == plaintext[: whole * CHUNK_BYTES]
    else:
        assert cut >= len(payload)
