"""One side as an age file, at the sizes where chunks end; opened with pyrage."""

import pyrage  # type: ignore[import-untyped]  # ships no types
import pytest

from crypto import age, quorum
from crypto.errors import AgeError
from crypto.stream import CHUNK_BYTES, SEALED_CHUNK_BYTES
from crypto.x25519 import Identity
from gateway.media.plane import Quorum
from gateway.media.recording.container import HEADER_BYTES, wav_header
from gateway.media.recording.segment_file import Openers, SegmentFile
from storage.blobs import Kind, LocalBlobs
from storage.errors import StorageError, StorageUnavailable
from storage.names import SegmentKey
from storage.vault import LocalVault, Secret

KEY = SegmentKey("0123456789abcdef0123456789abcdef", 1, "agent")


@pytest.fixture
def stores(tmp_path):
    return LocalBlobs(tmp_path), LocalVault(tmp_path)


@pytest.fixture
def identity():
    return Identity.generate()


def begin(stores, identity, law="PCMA"):
    file = SegmentFile(KEY, law, Openers([identity.recipient]), *stores)
    return file, file.open()


def opened(stores, identity, kind=Kind.PAYLOAD):
    whole = stores[1].read(KEY, Secret.HEADER) + stores[0].read(KEY, kind)
    return pyrage.decrypt(whole, [pyrage.x25519.Identity.from_str(identity.secret_text())])


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_BYTES - HEADER_BYTES, CHUNK_BYTES - HEADER_BYTES + 1, 2 * CHUNK_BYTES - HEADER_BYTES, 200_000]
)
def test_every_length_opens(stores, identity, size):
    audio = bytes(index % 251 for index in range(size))
    file, first = begin(stores, identity)
    file.add([audio[:1000], audio[1000:]])
    sealed = file.seal()
    assert opened(stores, identity) == wav_header("PCMA") + audio
    assert sealed.chunks == -(-(size + HEADER_BYTES) // CHUNK_BYTES)
    assert (sealed.sha256, sealed.size) == stores[0].digest(KEY)
    assert first.stanzas == 1
    assert len(first.key_commit) == 64


def test_silence_as_a_number_is_silence_in_the_file(stores, identity):
    file, _ = begin(stores, identity, "PCMU")
    file.add([b"a", 150_000, b"z"])
    file.seal()
    assert opened(stores, identity)[HEADER_BYTES:] == b"a" + b"\xff" * 150_000 + b"z"


def test_only_whole_chunks_are_on_disk_before_the_end(stores, identity):
    file, _ = begin(stores, identity)
    sizes = []
    for _ in range(5):
        file.add([bytes(CHUNK_BYTES // 2)])
        sizes.append(stores[0].size(KEY, Kind.PART))
    assert sizes == [16, 16 + SEALED_CHUNK_BYTES, 16 + SEALED_CHUNK_BYTES, *[16 + 2 * SEALED_CHUNK_BYTES] * 2]


def test_the_header_is_durable_before_the_payload_is_begun(stores, identity):
    blobs, _ = stores

    class Vault:
        def put(self, key, secret, data):
            assert blobs.size(KEY, Kind.PART) is None
            raise StorageUnavailable("can't write a file: read-only file system")

    file = SegmentFile(KEY, "PCMA", Openers([identity.recipient]), blobs, Vault())
    with pytest.raises(StorageUnavailable):
        file.open()
    file.abandon()
    assert list(blobs.inventory()) == []


def test_the_quorum_opens_what_the_owner_opens_and_only_together(stores, identity):
    council, dpo = Identity.generate(), Identity.generate()
    together = Quorum((str(council.recipient),), str(dpo.recipient))
    file = SegmentFile(KEY, "PCMA", Openers.parse([str(identity.recipient)], together), *stores)
    assert file.open().stanzas == 1, "the quorum is no recipient of the file itself"
    file.seal()
    header, together_object = (stores[1].read(KEY, secret) for secret in (Secret.HEADER, Secret.QUORUM))
    file_key = quorum.open_inner(quorum.open_outer(together_object, [council]), [dpo], header)
    assert file_key == age.open_header(header, [identity])
    for nobody in (council, dpo):
        with pytest.raises(AgeError):
            age.open_header(header, [nobody])


def test_the_quorum_object_is_durable_before_the_payload_is_begun(stores, identity):
    blobs, vault = stores

    class Vault:
        def put(self, key, secret, data):
            assert blobs.size(KEY, Kind.PART) is None
            if secret is Secret.QUORUM:
                raise StorageUnavailable("can't write a file: no space left on device")
            vault.put(key, secret, data)

    file = SegmentFile(
        KEY, "PCMA", Openers([identity.recipient], [identity.recipient], identity.recipient), blobs, Vault()
    )
    with pytest.raises(StorageUnavailable):
        file.open()
    file.abandon()
    assert list(blobs.inventory()) == vault.inventory() == []


@pytest.mark.parametrize("together", [Quorum((), "age1x"), Quorum(("age1x",), "age1x")], ids=["nobody", "malformed"])
def test_an_order_with_a_quorum_that_cannot_open_is_refused(identity, together):
    with pytest.raises((StorageError, AgeError)):
        Openers.parse([str(identity.recipient)], together)


def test_discarding_leaves_no_payload_and_no_key(stores, identity):
    file, _ = begin(stores, identity)
    file.add([bytes(100_000)])
    file.discard()
    assert list(stores[0].inventory()) == []
    with pytest.raises(RuntimeError):
        file.seal()


def test_abandoning_keeps_the_whole_chunks(stores, identity):
    file, _ = begin(stores, identity)
    file.add([bytes(100_000)])
    file.abandon()
    assert stores[0].size(KEY, Kind.PAYLOAD) == 16 + SEALED_CHUNK_BYTES
    file.abandon()


def test_two_files_never_share_a_key(stores, identity, tmp_path):
    _, first = begin(stores, identity)
    _, second = begin((LocalBlobs(tmp_path / "b"), LocalVault(tmp_path / "b")), identity)
    assert first.key_commit != second.key_commit
