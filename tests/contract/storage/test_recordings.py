"""Recordings from begin to erasure: files before rows, each step repeatable, states follow their table."""

import asyncio
import dataclasses
import hashlib
import subprocess
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from crypto import age, quorum
from crypto.ssh_key import allowed_signers_line
from crypto.stream import CHUNK_BYTES, read_chunks
from crypto.x25519 import Identity
from policy.decision import Outcome
from policy.terms import Lane, Purpose
from storage import durable
from storage import manifest as manifests
from storage.blobs import Kind
from storage.consents import Consents
from storage.decisions import DecisionRow, Decisions
from storage.errors import (
    BlobMissing,
    BlobNameError,
    BlobStateError,
    RecordingState,
    RecordingUnknown,
    StorageUnavailable,
)
from storage.manifest import Opening
from storage.names import SegmentKey
from storage.recordings import NEXT, SegmentState, State
from storage.recovery import interrupt_open
from storage.retention import erase_due
from storage.tables import log_wal
from storage.vault import Secret
from tests.peers.stored import AGREEMENT, AT, BUILD, ORIGIN, SIDES, WorkerSide, add_agent, begin, open_side

REC = "4" * 32
DAYS = timedelta(days=1)


async def record(folder, identity, recording=REC, seg=1, end="normal"):
    """Both sides of one segment, sealed."""
    for side in SIDES:
        key = SegmentKey(recording, seg, side)
        worker = await open_side(folder, key, identity)
        worker.chunk(seg)
        await folder.recordings.seal(recording, seg, side.value, worker.finish(), end)


def files(folder, recording=REC):
    return [
        path.name for name in ("recordings", "vault") for path in sorted((folder.root / name).glob(f"*/{recording}/*"))
    ]


async def test_a_sealed_side_opens_with_its_owners_key_and_its_manifest_says_so(folder, identity):
    agent = await add_agent(folder)
    leg = await begin(folder, REC, identity, agent=agent)
    assert files(folder) == []
    await record(folder, identity)
    stems = ["agent-1", "caller-1"]
    kinds = [".manifest.json", ".manifest.sig", ".payload"]
    assert files(folder) == [s + k for s in stems for k in kinds] + [
        s + k for s in stems for k in (".header", ".opening")
    ]

    key = SegmentKey(REC, 1, "caller")
    blobs, vault = folder.sealer.blobs, folder.sealer.vault
    whole = vault.read(key, Secret.HEADER) + blobs.read(key, Kind.PAYLOAD)
    assert age.decrypt(whole, [identity]) == b"\x01" * CHUNK_BYTES + b"the end"

    data = blobs.read(key, Kind.MANIFEST)
    manifest = manifests.verify(folder.key.verify_key, data, blobs.read(key, Kind.SIGNATURE))
    assert (manifest.id, manifest.side, manifest.seg, manifest.origin, manifest.build) == (
        REC,
        "caller",
        1,
        ORIGIN,
        BUILD,
    )
    assert manifest.payload.sha256 == hashlib.sha256(blobs.read(key, Kind.PAYLOAD)).hexdigest()
    assert (manifest.payload.chunks, manifest.stanzas, manifest.quorum, manifest.end) == (2, 1, False, "normal")
    opening = Opening.open(vault.read(key, Secret.OPENING), [identity])
    opening.check(manifest)
    private = opening.private
    assert (private.epoch, private.agent, private.n) == (leg.epoch, leg.pseudonym, leg.n)
    assert (private.lane, private.purpose, private.agreement) == ("sample", "coaching", AGREEMENT)
    assert private.recipients == (str(identity.recipient),) and private.gaps == ((20, 40, "loss"),)
    for secret in (agent, leg.pseudonym, "coaching", "sample", str(identity.recipient), "Beispiel"):
        assert secret.encode() not in data

    ended = await folder.recordings.close(REC, AT + DAYS)
    assert (ended.state, ended.ended_at, ended.agent, ended.lane) == (State.KEPT, AT + DAYS, agent, Lane.SAMPLE)
    assert ended.purpose is Purpose.COACHING
    assert ended.manifests[1] == hashlib.sha256(data).hexdigest()
    assert [part.state for part in ended.segments] == [SegmentState.SEALED] * 2
    assert await folder.recordings.of_agent(agent) == [ended]
    assert await folder.recordings.of_agent("f" * 32) == []


async def test_standard_tools_open_and_verify_it(local, identity, program, tmp_path):
    def run(*command, fed):
        return subprocess.run(command, cwd=tmp_path, input=fed, check=True, capture_output=True).stdout

    await begin(local, REC, identity)
    await record(local, identity)
    key = SegmentKey(REC, 1, "agent")
    blobs, vault = local.sealer.blobs, local.sealer.vault
    (tmp_path / "agent.key").write_text(identity.secret_text() + "\n")
    together = vault.path(key, Secret.HEADER).read_bytes() + blobs.path(key, Kind.PAYLOAD).read_bytes()
    opened = await asyncio.to_thread(run, program("age"), "-d", "-i", "agent.key", fed=together)
    assert opened == b"\x01" * CHUNK_BYTES + b"the end"
    (tmp_path / "signers").write_text(allowed_signers_line("gateway", local.key.verify_key, (manifests.NAMESPACE,)))
    words = ["-Y", "verify", "-f", "signers", "-I", "gateway", "-n", manifests.NAMESPACE, "-s"]
    command = [program("ssh-keygen"), *words, str(blobs.path(key, Kind.SIGNATURE))]
    await asyncio.to_thread(run, *command, fed=blobs.read(key, Kind.MANIFEST))


async def test_sealing_again_answers_as_the_first_time(folder, identity):
    await begin(folder, REC, identity)
    worker = await open_side(folder, SegmentKey(REC, 1, "agent"), identity)
    facts = worker.finish()
    first, second = await asyncio.gather(*(folder.recordings.seal(REC, 1, "agent", facts, "normal") for _ in range(2)))
    third = await folder.recordings.seal(REC, 1, "agent", dataclasses.replace(facts, ended=AT + DAYS), "interrupted")
    assert first == second == third


async def test_a_seal_without_its_opening_report_stands(folder, identity):
    """The report that a side opened may be lost with its connection; the facts carry all that is needed."""
    await begin(folder, REC, identity)
    worker = WorkerSide(folder.sealer, SegmentKey(REC, 1, "agent"), identity)
    await folder.recordings.seal(REC, 1, "agent", worker.finish(), "paused")
    part = (await folder.recordings.get(REC)).segments[0]
    assert (part.state, part.end, part.key_commit) == (SegmentState.SEALED, "paused", worker.key_commit)


@pytest.mark.parametrize("wrong", ["missing", "other size"])
async def test_nothing_is_signed_without_its_payload(folder, identity, wrong):
    await begin(folder, REC, identity)
    worker = await open_side(folder, SegmentKey(REC, 1, "agent"), identity)
    facts = worker.finish()
    path = folder.sealer.blobs.path(worker.key, Kind.PAYLOAD)
    if wrong == "missing":
        path.unlink()
    else:
        path.write_bytes(b"cut")
    with pytest.raises(BlobStateError):
        await folder.recordings.seal(REC, 1, "agent", facts, "normal")
    assert folder.sealer.signed(worker.key) is None


async def test_segments_after_a_pause(folder, identity):
    await begin(folder, REC, identity)
    await record(folder, identity, seg=1, end="paused")
    await record(folder, identity, seg=2, end="stopped")
    ended = await folder.recordings.close(REC, AT)
    assert [(part.key.stem, part.end) for part in ended.segments] == [
        ("agent-1", "paused"),
        ("caller-1", "paused"),
        ("agent-2", "stopped"),
        ("caller-2", "stopped"),
    ]
    assert ended.state is State.KEPT and len(set(ended.manifests)) == 4


async def test_a_failed_side_leaves_no_file(folder, identity):
    await begin(folder, REC, identity)
    worker = await open_side(folder, SegmentKey(REC, 1, "agent"), identity)
    worker.chunk(1)
    await folder.recordings.failed(REC, 1, "agent", "disk", AT)
    await folder.recordings.failed(REC, 1, "caller", "no_media", AT)
    assert files(folder) == []
    ended = await folder.recordings.close(REC, AT)
    assert [(part.state, part.reason) for part in ended.segments] == [
        (SegmentState.FAILED, "disk"),
        (SegmentState.FAILED, "no_media"),
    ]
    assert ended.state is State.FAILED and ended.manifests == ()


async def test_a_late_failure_does_not_undo_a_sealed_side(folder, identity):
    await begin(folder, REC, identity)
    await record(folder, identity)
    await folder.recordings.failed(REC, 1, "agent", "late", AT)
    assert len((await folder.recordings.get(REC)).manifests) == 2 and len(files(folder)) == 10


async def test_an_open_segment_keeps_its_recording_open(folder, identity):
    await begin(folder, REC, identity)
    await open_side(folder, SegmentKey(REC, 1, "agent"), identity)
    with pytest.raises(RecordingState):
        await folder.recordings.close(REC, AT)
    assert await folder.recordings.count(State.OPEN) == 1


async def test_a_recording_without_any_segment_has_failed(folder, identity):
    await begin(folder, REC, identity)
    assert (await folder.recordings.close(REC, AT)).state is State.FAILED
    assert (await folder.recordings.close(REC, AT + DAYS)).ended_at == AT
    with pytest.raises(RecordingState):
        await open_side(folder, SegmentKey(REC, 1, "agent"), identity)


async def test_unknown_recordings_and_names(folder):
    recordings = folder.recordings
    for attempt in (
        recordings.get(REC),
        recordings.close(REC, AT),
        recordings.intend_discard(REC, AT),
        recordings.complete_discard(REC, AT),
        recordings.failed(REC, 1, "agent", "x", AT),
    ):
        with pytest.raises(RecordingUnknown):
            await attempt
    with pytest.raises(BlobNameError):
        await recordings.failed("../x", 1, "agent", "x", AT)
    with pytest.raises(BlobNameError):
        await recordings.erase("../x")


# --- discarding -------------------------------------------------------------------------------------------------------


async def test_a_discard_destroys_everything_of_all_segments(folder, identity):
    await begin(folder, REC, identity)
    await record(folder, identity, seg=1, end="paused")
    worker = await open_side(folder, SegmentKey(REC, 2, "agent"), identity)
    worker.chunk(1)
    await folder.recordings.intend_discard(REC, AT)
    assert len(files(folder)) == 12  # the intent alone destroys nothing
    await folder.recordings.complete_discard(REC, AT + DAYS)
    assert files(folder) == []
    found = await folder.recordings.get(REC)
    assert (found.state, found.segments, found.ended_at) == (State.DISCARDED, (), AT + DAYS)
    await folder.recordings.intend_discard(REC, AT)
    await folder.recordings.complete_discard(REC, AT)
    assert (await folder.recordings.close(REC, AT)).state is State.DISCARDED


async def test_nothing_is_discarded_without_an_intent(folder, identity):
    await begin(folder, REC, identity)
    await record(folder, identity)
    with pytest.raises(RecordingState):
        await folder.recordings.complete_discard(REC, AT)
    assert len(files(folder)) == 10


@pytest.mark.parametrize("completed", [False, True])
async def test_a_seal_that_comes_after_the_intent_destroys_its_file(folder, identity, completed):
    await begin(folder, REC, identity)
    worker = await open_side(folder, SegmentKey(REC, 1, "agent"), identity)
    facts = worker.finish()
    await folder.recordings.intend_discard(REC, AT)
    if completed:
        await folder.recordings.complete_discard(REC, AT)
    with pytest.raises(RecordingState):
        await folder.recordings.seal(REC, 1, "agent", facts, "normal")
    with pytest.raises(BlobMissing):
        folder.sealer.blobs.read(worker.key, Kind.PAYLOAD)
    assert files(folder) == []


async def test_a_kept_recording_can_be_discarded_too(folder, identity):
    await begin(folder, REC, identity)
    await record(folder, identity)
    await folder.recordings.close(REC, AT)
    await folder.recordings.intend_discard(REC, AT)
    await folder.recordings.complete_discard(REC, AT)
    assert files(folder) == []


async def test_what_opens_a_recording_goes_first(local, identity, monkeypatch):
    await begin(local, REC, identity)
    await record(local, identity)
    gone = []
    real = durable.erase

    def noting(path, *, overwrite):
        gone.append((path.parent.parent.parent.name, overwrite))
        return real(path, overwrite=overwrite)

    monkeypatch.setattr(durable, "erase", noting)
    await local.recordings.intend_discard(REC, AT)
    await local.recordings.complete_discard(REC, AT)
    assert gone == [("vault", True)] * 4 + [("recordings", False)] * 6


def test_the_table_of_states_is_closed():
    assert set(NEXT) == set(State) and not NEXT[State.ERASING]
    assert all(State.OPEN not in reached for reached in NEXT.values())


# --- retention --------------------------------------------------------------------------------------------------------


async def leaves(folder) -> int:
    count = select(func.count()).select_from(log_wal)
    return await folder.database.read(lambda connection: connection.execute(count).scalar_one())


async def test_retention_erases_what_is_due_and_nothing_else(folder, identity):
    due, live = "5" * 32, "6" * 32
    for recording in (REC, due, live):
        await begin(folder, recording, identity)
        await record(folder, identity, recording)
    row = DecisionRow("c", 1, due, 1, Outcome.RECORD, Lane.SAMPLE, Purpose.COACHING, frozenset(), (), AGREEMENT, AT)
    decisions, consents = Decisions(folder.database), Consents(folder.database)
    await decisions.write(row)
    for recording in (REC, due):
        await folder.recordings.close(recording, AT)
    assert (await erase_due(folder.recordings, consents, AT + 13 * DAYS)).recordings == ()
    await folder.recordings.erase(REC)
    before = await leaves(folder)
    erased = await erase_due(folder.recordings, consents, AT + 14 * DAYS)
    assert (erased.recordings, erased.left) == ((due,), ())
    assert await leaves(folder) == before, "as many entries as recordings would say what was kept"
    assert files(folder, due) == files(folder, REC) == [] and len(files(folder, live)) == 10  # still open
    assert await decisions.of_recording(due) == []
    with pytest.raises(RecordingUnknown):
        await folder.recordings.get(due)
    assert await folder.recordings.count() == 1
    await folder.recordings.erase(due)


async def test_an_erasure_that_the_disk_refuses_is_reported_and_tried_again(local, identity, monkeypatch):
    await begin(local, REC, identity)
    await record(local, identity)
    await local.recordings.close(REC, AT)
    consents = Consents(local.database)

    def refuse(recording):
        raise StorageUnavailable("can't erase a file: read-only file system")

    monkeypatch.setattr(local.sealer, "erase_recording", refuse)
    assert (await erase_due(local.recordings, consents, AT + 14 * DAYS)).left == (REC,)
    assert (await local.recordings.get(REC)).state is State.ERASING
    monkeypatch.undo()
    assert (await erase_due(local.recordings, consents, AT + 14 * DAYS)).recordings == (REC,)
    assert files(local) == []


async def test_a_quorum_object_is_said_in_the_signed_manifest_and_goes_with_the_header(local, identity):
    council, dpo = Identity.generate(), Identity.generate()
    await begin(local, REC, identity, lane=Lane.CUSTOMER_REQUEST, purpose=Purpose.DISPUTE)
    with_it, without = SegmentKey(REC, 1, "caller"), SegmentKey(REC, 1, "agent")
    for key, members in ((with_it, (council, dpo)), (without, None)):
        worker = await open_side(local, key, identity, members)
        sealed = await local.recordings.seal(REC, 1, key.side, worker.finish(), "normal")
        assert sealed.manifest.quorum is (members is not None)
    header, together = (local.sealer.vault.read(with_it, secret) for secret in (Secret.HEADER, Secret.QUORUM))
    file_key = quorum.open_inner(quorum.open_outer(together, [council]), [dpo], header)
    assert b"".join(read_chunks(file_key, local.sealer.blobs.read(with_it, Kind.PAYLOAD))) == b"the end"
    await local.recordings.close(REC, AT)
    await local.recordings.erase(REC)
    assert files(local) == [] == local.sealer.vault.inventory()


async def test_a_crash_keeps_the_quorum_of_what_is_kept_and_a_discard_destroys_it(local, identity):
    members = (Identity.generate(), Identity.generate())
    await begin(local, REC, identity)
    worker = await open_side(local, SegmentKey(REC, 1, "agent"), identity, members)
    worker.chunk(1)
    worker.chunk(2)
    WorkerSide(local.sealer, SegmentKey(REC, 2, "agent"), identity, members)  # nobody ever heard of this one
    assert await interrupt_open(local.recordings, AT + DAYS) == [REC]
    found = local.sealer.signed(SegmentKey(REC, 1, "agent"))
    assert found is not None and found.manifest.quorum
    assert [item for item in files(local) if item.startswith("agent-2")] == []
    await local.recordings.intend_discard(REC, AT)
    await local.recordings.complete_discard(REC, AT)
    assert local.sealer.vault.inventory() == []
