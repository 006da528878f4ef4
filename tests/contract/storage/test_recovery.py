"""What a start finds after a crash: whole chunks are kept as interrupted, the rest is failed, discards come first."""

from datetime import timedelta

import pytest

from crypto import age
from crypto.errors import AgeTruncated
from crypto.stream import CHUNK_BYTES, SEALED_CHUNK_BYTES, read_chunks
from storage.blobs import Kind
from storage.manifest import Opening
from storage.names import SegmentKey
from storage.recordings import SegmentState, State
from storage.recovery import NO_CHUNK, UNREGISTERED, Rebuilt, interrupt_open, rebuild, resume_discards
from storage.tables import segments
from storage.vault import Secret
from tests.peers.stored import AT, WorkerSide, begin, open_side

REC = "4" * 32
KEY = SegmentKey(REC, 1, "agent")
LATER = AT + timedelta(minutes=5)


async def part(folder, key=KEY):
    found = (await folder.recordings.get(key.recording)).segments
    return next(one for one in found if one.key == key)


def opened(folder, identity, key=KEY):
    """The chunks that open, and whether the payload is cut."""
    header = folder.sealer.vault.read(key, Secret.HEADER)
    chunks = []
    try:
        for chunk in read_chunks(age.open_header(header, [identity]), folder.sealer.blobs.read(key, Kind.PAYLOAD)):
            chunks.append(chunk)
    except AgeTruncated:
        return chunks, True
    return chunks, False


@pytest.mark.parametrize(("whole", "torn"), [(1, 0), (1, 1), (2, SEALED_CHUNK_BYTES - 1), (3, 17)])
async def test_an_unfinished_side_keeps_its_whole_chunks(folder, identity, whole, torn):
    await begin(folder, REC, identity)
    worker = await open_side(folder, KEY, identity)
    for number in range(whole):
        worker.chunk(number)
    if torn:
        worker.file.append(bytes(torn))
    assert await interrupt_open(folder.recordings, LATER) == [REC]
    assert opened(folder, identity) == ([bytes([number]) * CHUNK_BYTES for number in range(whole)], True)
    found = await folder.recordings.get(REC)
    assert (found.state, found.ended_at, len(found.manifests)) == (State.INTERRUPTED, LATER, 1)
    signed = folder.sealer.signed(KEY)
    assert signed is not None
    manifest = signed.manifest
    assert (manifest.end, manifest.payload.chunks, manifest.key_commit) == ("interrupted", whole, worker.key_commit)
    opening = Opening.open(folder.sealer.vault.read(KEY, Secret.OPENING), [identity])
    opening.check(manifest)
    assert opening.private.ended - opening.private.started == timedelta(seconds=whole * CHUNK_BYTES / 8000)
    assert await interrupt_open(folder.recordings, LATER) == []


@pytest.mark.parametrize("size", [0, 100, SEALED_CHUNK_BYTES - 1])
async def test_a_side_without_a_whole_chunk_has_failed_and_its_header_is_gone(folder, identity, size):
    await begin(folder, REC, identity)
    worker = await open_side(folder, KEY, identity)
    worker.file.append(bytes(size))
    await interrupt_open(folder.recordings, LATER)
    assert [(one.state, one.reason) for one in (await folder.recordings.get(REC)).segments] == [
        (SegmentState.FAILED, NO_CHUNK)
    ]
    assert (await folder.recordings.get(REC)).state is State.FAILED
    assert folder.sealer.vault.inventory() == [] and list(folder.sealer.blobs.inventory()) == []


async def test_a_finished_payload_without_manifest_is_kept_whole(folder, identity):
    await begin(folder, REC, identity)
    worker = await open_side(folder, KEY, identity)
    worker.chunk(1)
    facts = worker.finish()
    await interrupt_open(folder.recordings, AT)
    assert opened(folder, identity) == ([b"\x01" * CHUNK_BYTES, b"the end"], False)
    found = await part(folder)
    assert (found.end, found.sha256, found.chunks) == ("interrupted", facts.sha256, 2)
    assert found.ended == AT  # never later than the start that found it
    late = await folder.recordings.seal(REC, 1, "agent", facts, "normal")  # its worker's report comes after all
    assert late.manifest.end == "interrupted"


@pytest.mark.parametrize("lost", ["signature", "manifest", "row"])
async def test_a_crash_between_the_files_of_a_seal(folder, identity, lost):
    await begin(folder, REC, identity)
    worker = await open_side(folder, KEY, identity)
    facts = worker.finish()
    signed = await folder.recordings.seal(REC, 1, "agent", facts, "normal")
    await folder.database.write(
        lambda connection: connection.execute(segments.update().values(state="open", manifest_sha256=None)).rowcount
    )
    if lost != "row":
        folder.sealer.blobs.path(KEY, Kind.SIGNATURE).unlink()
    if lost == "manifest":
        folder.sealer.blobs.path(KEY, Kind.MANIFEST).unlink()
    await interrupt_open(folder.recordings, LATER)
    again = folder.sealer.signed(KEY)
    assert again is not None and (again == signed) == (lost == "row")
    Opening.open(folder.sealer.vault.read(KEY, Secret.OPENING), [identity]).check(again.manifest)
    assert (await part(folder)).manifest_sha256 == again.digest


async def test_a_side_the_index_never_heard_of_is_destroyed(folder, identity):
    """Its key commitment is unknown: no manifest could be signed."""
    await begin(folder, REC, identity)
    WorkerSide(folder.sealer, KEY, identity).chunk(1)
    await interrupt_open(folder.recordings, LATER)
    assert (await part(folder)).reason == UNREGISTERED
    assert folder.sealer.vault.inventory() == [] and list(folder.sealer.blobs.inventory()) == []


async def test_what_a_live_worker_carries_is_left_to_it(folder, identity):
    other = SegmentKey(REC, 1, "caller")
    await begin(folder, REC, identity)
    carried = await open_side(folder, KEY, identity)
    carried.chunk(1)
    (await open_side(folder, other, identity)).chunk(2)
    assert await interrupt_open(folder.recordings, LATER, carried={KEY}) == []
    assert (await part(folder)).state is SegmentState.OPEN and (await part(folder, other)).end == "interrupted"
    await folder.recordings.seal(REC, 1, "agent", carried.finish(), "interrupted")
    assert (await folder.recordings.close(REC, LATER)).state is State.INTERRUPTED
    assert opened(folder, identity)[0][0] == b"\x01" * CHUNK_BYTES


async def test_intended_discards_run_before_anything_is_interrupted(folder, identity):
    await begin(folder, REC, identity)
    worker = await open_side(folder, KEY, identity)
    worker.chunk(1)
    await folder.recordings.intend_discard(REC, AT)
    assert await interrupt_open(folder.recordings, LATER) == []  # even in the wrong order nothing is kept
    assert await resume_discards(folder.recordings, LATER) == [REC]
    assert (await folder.recordings.get(REC)).state is State.DISCARDED
    assert folder.sealer.vault.inventory() == [] and list(folder.sealer.blobs.inventory()) == []
    assert await resume_discards(folder.recordings, LATER) == []


async def test_rebuild_restores_rows_from_signed_manifests_only(folder, identity):
    await begin(folder, REC, identity)
    facts = (await open_side(folder, KEY, identity)).finish()
    await folder.recordings.seal(REC, 1, "agent", facts, "normal")
    before = await part(folder)
    assert await rebuild(folder.recordings) == Rebuilt((), (), ())
    await folder.database.write(lambda connection: connection.execute(segments.delete()).rowcount)
    assert (await rebuild(folder.recordings)).restored == (KEY,)
    after = await part(folder)
    assert after.manifest_sha256 == before.manifest_sha256 and after.sha256 == before.sha256
    path = folder.sealer.blobs.path(KEY, Kind.MANIFEST)
    path.write_bytes(path.read_bytes().replace(b'"normal"', b'"paused"'))
    found = await rebuild(folder.recordings)
    assert (found.restored, found.missing) == ((), (KEY,))
    folder.sealer.erase(KEY)
    assert (await rebuild(folder.recordings)).missing == (KEY,)


async def test_rebuild_leaves_what_has_no_row_alone(folder, identity):
    WorkerSide(folder.sealer, KEY, identity).finish()
    found = await rebuild(folder.recordings)
    assert (found.orphans, found.restored) == ((REC,), ())
    assert len(list(folder.sealer.blobs.inventory())) == 1
