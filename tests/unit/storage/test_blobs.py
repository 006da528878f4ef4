"""Local blobs and vault: layout, modes, durability order, nothing resumed, no path escaped."""

import hashlib
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import durable
from storage.blobs import Kind, LocalBlobs
from storage.errors import BlobExists, BlobMissing, BlobNameError, BlobStateError, StorageUnavailable
from storage.names import SegmentKey
from storage.vault import LocalVault, Secret

REC = "ab" + "0" * 30
KEY = SegmentKey(REC, 1, "agent")


@pytest.fixture
def blobs(tmp_path):
    return LocalBlobs(tmp_path)


@pytest.fixture
def vault(tmp_path):
    return LocalVault(tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def noted(name, real, calls):
    def call(*args):
        calls.append(name)
        return real(*args)

    return call


def tree(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_payload_grows_as_part_and_is_renamed_when_sealed(blobs, tmp_path):
    payload = blobs.payload(REC, "agent", 1)
    assert tree(tmp_path) == []
    payload.append(b"nonce")
    payload.append(b"chunk")
    assert tree(tmp_path) == [f"recordings/ab/{REC}/agent-1.payload.part"]
    assert payload.seal() == (hashlib.sha256(b"noncechunk").hexdigest(), 10)
    assert tree(tmp_path) == [f"recordings/ab/{REC}/agent-1.payload"]
    assert blobs.read(KEY, Kind.PAYLOAD) == b"noncechunk"
    assert blobs.digest(KEY) == (hashlib.sha256(b"noncechunk").hexdigest(), 10)


def test_modes_hold_whatever_the_umask(blobs, vault, tmp_path):
    old = os.umask(0)
    try:
        payload = blobs.payload(REC, "agent", 1)
        payload.append(b"x")
        payload.seal()
        blobs.put(KEY, Kind.MANIFEST, b"{}")
        vault.put(KEY, Secret.HEADER, b"h")
    finally:
        os.umask(old)
    for path in tmp_path.rglob("*"):
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path


def test_each_append_is_synced_before_it_returns(blobs, monkeypatch):
    calls: list[str] = []
    for name in ("write", "fdatasync", "fsync", "rename"):
        monkeypatch.setattr(os, name, noted(name, getattr(os, name), calls))
    payload = blobs.payload(REC, "agent", 1)
    payload.append(b"a")
    assert calls[-2:] == ["write", "fdatasync"]
    calls.clear()
    payload.append(b"b")
    assert calls == ["write", "fdatasync"]
    calls.clear()
    payload.seal()
    assert calls == ["fsync", "rename", "fsync"]
    calls.clear()
    blobs.put(KEY, Kind.MANIFEST, b"{}")
    assert calls == ["write", "fdatasync", "rename", "fsync"]


def test_a_payload_is_never_resumed_or_replaced(blobs):
    first = blobs.payload(REC, "agent", 1)
    first.append(b"a")
    with pytest.raises(BlobExists):
        blobs.payload(REC, "agent", 1).append(b"b")
    first.seal()
    with pytest.raises(BlobExists):
        blobs.payload(REC, "agent", 1).append(b"b")
    with pytest.raises(BlobStateError):
        first.append(b"c")
    with pytest.raises(BlobStateError):
        first.seal()
    assert blobs.read(KEY, Kind.PAYLOAD) == b"a"


def test_nothing_appended_is_nothing_to_seal(blobs, tmp_path):
    with pytest.raises(BlobStateError):
        blobs.payload(REC, "agent", 1).seal()
    assert tree(tmp_path) == []


def test_discard_leaves_no_file_and_may_be_repeated(blobs, tmp_path):
    payload = blobs.payload(REC, "agent", 1)
    payload.append(b"a")
    payload.discard()
    payload.discard()
    assert tree(tmp_path) == []
    with pytest.raises(BlobStateError):
        payload.append(b"b")


def test_a_failed_append_is_cut_off_and_the_rest_can_be_sealed(blobs, monkeypatch):
    payload = blobs.payload(REC, "agent", 1)
    payload.append(b"whole")
    real = os.write

    def torn(descriptor, data):
        real(descriptor, bytes(data)[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", torn)
    with pytest.raises(StorageUnavailable, match="no space left"):
        payload.append(b"torn!")
    monkeypatch.undo()
    with pytest.raises(BlobStateError):
        payload.append(b"more")
    assert payload.seal() == (hashlib.sha256(b"whole").hexdigest(), 5)
    assert blobs.read(KEY, Kind.PAYLOAD) == b"whole"


def test_short_writes_go_on_where_they_ended(blobs, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:3]))
    payload = blobs.payload(REC, "agent", 1)
    payload.append(b"0123456789")
    payload.seal()
    assert blobs.read(KEY, Kind.PAYLOAD) == b"0123456789"


def test_put_writes_once(blobs):
    blobs.put(KEY, Kind.MANIFEST, b"one")
    blobs.put(KEY, Kind.MANIFEST, b"one")
    with pytest.raises(BlobExists):
        blobs.put(KEY, Kind.MANIFEST, b"two")
    blobs.replace(KEY, Kind.MANIFEST, b"two")
    assert blobs.read(KEY, Kind.MANIFEST) == b"two"


def test_what_is_there_already_is_durable_when_it_is_written_again(blobs, monkeypatch):
    """Whoever wrote it may have died between the rename and the folder's fsync."""
    blobs.put(KEY, Kind.MANIFEST, b"{}")
    synced: list[Path] = []
    monkeypatch.setattr(durable, "sync_folder", synced.append)
    blobs.put(KEY, Kind.MANIFEST, b"{}")
    assert synced == [blobs.path(KEY, Kind.MANIFEST).parent]


def test_missing_is_declared(blobs, vault):
    with pytest.raises(BlobMissing):
        blobs.read(KEY, Kind.PAYLOAD)
    with pytest.raises(BlobMissing):
        blobs.digest(KEY)
    with pytest.raises(BlobMissing):
        blobs.salvage(KEY, 16)
    with pytest.raises(BlobMissing):
        vault.read(KEY, Secret.HEADER)
    assert blobs.size(KEY, Kind.PAYLOAD) is None


def test_a_file_where_a_folder_should_be_is_declared(tmp_path):
    (tmp_path / "recordings").write_text("in the way")
    blobs = LocalBlobs(tmp_path)
    with pytest.raises(StorageUnavailable):
        blobs.put(KEY, Kind.MANIFEST, b"x")
    with pytest.raises(StorageUnavailable):
        blobs.payload(REC, "agent", 1).append(b"x")


def test_erased_vault_bytes_are_overwritten_before_they_are_unlinked(vault, tmp_path):
    vault.put(KEY, Secret.HEADER, b"wrapped file key")
    vault.put(KEY, Secret.OPENING, b"opening")
    path = vault.path(KEY, Secret.HEADER)
    os.link(path, tmp_path / "still-open")  # what an undelete would find
    vault.erase(KEY)
    vault.erase(KEY)
    assert (tmp_path / "still-open").read_bytes() == bytes(16)
    assert vault.inventory() == []


def test_erase_recording_takes_leftovers_and_the_folder(blobs, vault, tmp_path):
    for side in ("agent", "caller"):
        payload = blobs.payload(REC, side, 1)
        payload.append(b"x")
        vault.put(SegmentKey(REC, 1, side), Secret.HEADER, b"h")
    (tmp_path / "recordings" / "ab" / REC / "agent-1.manifest.json.tmp").write_bytes(b"half")
    vault.erase_recording(REC)
    blobs.erase_recording(REC)
    assert tree(tmp_path) == []
    assert not (tmp_path / "vault" / "ab" / REC).exists()
    blobs.erase_recording(REC)


def test_inventory_lists_what_is_ours_only(blobs, vault, tmp_path):
    other = SegmentKey("cd" + "1" * 30, 2, "caller")
    blobs.put(KEY, Kind.MANIFEST, b"{}")
    blobs.payload(REC, "agent", 1).append(b"12345")
    blobs.put(other, Kind.SIGNATURE, b"sig")
    vault.put(other, Secret.OPENING, b"o")
    (tmp_path / "recordings" / "ab" / REC / "notes.txt").write_text("a stranger's")
    (tmp_path / "recordings" / "ab" / "short").mkdir()
    found = [(item.key, item.kind, item.size) for item in blobs.inventory()]
    assert found == [(KEY, Kind.MANIFEST, 2), (KEY, Kind.PART, 5), (other, Kind.SIGNATURE, 3)]
    assert vault.inventory() == [(other, Secret.OPENING)]


def test_salvage_cuts_and_seals(blobs):
    blobs.payload(REC, "agent", 1).append(b"whole|torn")
    blobs.salvage(KEY, 5)
    assert blobs.read(KEY, Kind.PAYLOAD) == b"whole"
    assert blobs.size(KEY, Kind.PART) is None


@pytest.mark.parametrize(
    ("recording", "side", "seg"),
    [
        ("../../etc/passwd", "agent", 1),
        (REC.upper(), "agent", 1),
        (REC[:-1], "agent", 1),
        (REC + "0", "agent", 1),
        (REC + "\n", "agent", 1),
        (REC, "both", 1),
        (REC, "agent/..", 1),
        (REC, "agent", 0),
        (REC, "agent", 10000),
        (REC, "agent", -1),
        (REC, "agent", True),
    ],
)
def test_names_that_could_leave_the_folder_are_refused(blobs, recording, side, seg):
    with pytest.raises(BlobNameError):
        blobs.payload(recording, side, seg)


@given(st.text(), st.text(), st.integers())
def test_any_name_is_refused_or_stays_below_the_folder(recording, side, seg):
    root = Path("/data")
    try:
        key = SegmentKey(recording, seg, side)
    except BlobNameError:
        return
    path = LocalBlobs(root).path(key, Kind.PAYLOAD)
    assert path.resolve().is_relative_to(root / "recordings" / recording[:2] / recording)


@given(st.from_regex(r"(agent|caller)-\d{1,5}", fullmatch=True) | st.text(max_size=20))
def test_a_stem_that_parses_prints_alike(stem):
    key = SegmentKey.parse(REC, stem)
    assert key is None or key.stem == stem


def test_an_erasure_that_a_crash_cut_short_is_durable_once_it_is_repeated(tmp_path, monkeypatch):
    path = tmp_path / "agent-1.header"
    path.write_bytes(b"h")
    calls: list[str] = []
    monkeypatch.setattr(os, "fsync", noted("fsync", os.fsync, calls))
    path.unlink()  # and killed here
    assert not durable.erase(path, overwrite=True) and calls == ["fsync"]
    assert not durable.erase(tmp_path / "gone" / "agent-1.header", overwrite=True) and calls == ["fsync"]
