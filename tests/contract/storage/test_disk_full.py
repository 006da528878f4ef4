"""A full or read-only disk is one declared error, and what was acknowledged before it is whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from policy.log_entry import Day, encode
from storage.blobs import Kind, LocalBlobs
from storage.database import Database
from storage.errors import StorageUnavailable
from storage.names import SegmentKey
from storage.roster import NewAgent, Roster
from storage.vault import LocalVault, Secret
from tests.peers.log_house import LogHouse
from tests.peers.stored import AT, EPOCH, ORIGIN, open_folder

REC = "cd" * 16
CHUNK = bytes(65552)


@pytest.fixture
def small_disk(tmp_path, request):
    """A tmpfs of 1 MiB, or of the size that a test names."""
    size = getattr(request, "param", "1m")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(disk: Path) -> None:
    with (disk / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def test_payload_on_a_full_disk_keeps_its_whole_chunks(small_disk):
    payload = LocalBlobs(small_disk).payload(REC, "agent", 1)
    payload.append(bytes(16))
    with pytest.raises(StorageUnavailable, match="no space left on device"):
        for _ in range(32):
            payload.append(CHUNK)
    acknowledged = payload.size
    assert acknowledged > 16 and (acknowledged - 16) % len(CHUNK) == 0
    assert payload.seal()[1] == acknowledged


def test_put_on_a_full_disk_leaves_nothing_behind(small_disk):
    vault, key = LocalVault(small_disk), SegmentKey(REC, 1, "agent")
    vault.put(key, Secret.HEADER, b"header")
    fill(small_disk)
    with pytest.raises(StorageUnavailable):
        vault.put(key, Secret.OPENING, bytes(100_000))
    assert [secret for _, secret in vault.inventory()] == [Secret.HEADER]
    assert not list(small_disk.rglob("*.tmp"))
    vault.erase_recording(REC)  # shredding works on a full disk
    assert vault.inventory() == []


async def test_database_on_a_full_disk_refuses_and_recovers(small_disk):
    database = await Database.open(f"sqlite:///{small_disk}/fairtap.db")
    await database.migrate()
    roster = Roster(database)
    kept = await roster.add(NewAgent("A", "team-a", "hq"), AT)
    fill(small_disk)
    with pytest.raises(StorageUnavailable):
        for _ in range(200):
            kept = await roster.add(NewAgent("B" * 200, "team-b", "hq"), AT)
    os.unlink(small_disk / "ballast")
    after = await roster.add(NewAgent("C", "team-c", "hq"), AT)
    assert {kept, after} <= {agent.id for agent in await roster.list()}
    await database.close()


def test_read_only_disk(small_disk):
    LocalBlobs(small_disk).put(SegmentKey(REC, 1, "agent"), Kind.MANIFEST, b"{}")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    blobs = LocalBlobs(small_disk)
    assert blobs.read(SegmentKey(REC, 1, "agent"), Kind.MANIFEST) == b"{}"
    for attempt in (
        lambda: blobs.put(SegmentKey(REC, 2, "agent"), Kind.MANIFEST, b"{}"),
        lambda: blobs.payload(REC, "agent", 3).append(b"x"),
        lambda: blobs.erase(SegmentKey(REC, 1, "agent")),
    ):
        with pytest.raises(StorageUnavailable, match="read-only file system"):
            attempt()


@pytest.mark.parametrize("small_disk", ["12m"], indirect=True)
async def test_a_log_on_a_full_and_on_a_read_only_disk_loses_nothing_acknowledged(small_disk):
    folder = await open_folder(small_disk)
    house = LogHouse(folder)
    acknowledged = [await house.append(Day(EPOCH, i)) for i in range(200)]
    assert (await house.publisher.publish(ORIGIN)).size == 200
    acknowledged += [await house.append(Day(EPOCH, i)) for i in range(200, 220)]
    fill(small_disk)
    refused = 0
    for i in range(220, 400):
        try:
            acknowledged.append(await house.append(Day(EPOCH, i)))
        except StorageUnavailable:
            refused += 1
    with pytest.raises(StorageUnavailable):
        await house.publisher.publish(ORIGIN)
    assert refused and house.whole() == [encode(Day(EPOCH, i)) for i in range(200)]
    os.unlink(small_disk / "ballast")
    acknowledged.append(await house.append(Day(EPOCH, len(acknowledged))))
    assert acknowledged == list(range(len(acknowledged)))  # dense: what was refused has no place
    assert (await house.publisher.publish(ORIGIN)).size == len(acknowledged) == len(house.whole())
    await folder.database.close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)  # noqa: ASYNC221 - nothing else runs here
    with pytest.raises(StorageUnavailable):
        house.files.commit(ORIGIN, b"longer")
    assert len(house.whole()) == len(acknowledged)


LIMITED = """
import resource, sys
from pathlib import Path
from storage.blobs import LocalBlobs
from storage.errors import StorageUnavailable
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
payload = LocalBlobs(Path(sys.argv[1])).payload(sys.argv[2], "agent", 1)
try:
    for _ in range(10):
        payload.append(bytes(65552))
except StorageUnavailable as error:
    print(payload.size, payload.seal()[1], error)
"""


def test_a_file_size_limit_is_declared_too(tmp_path, root):
    """The same without root: the limit tears the fourth write after 3344 of its bytes."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path, REC], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "196656 196656 can't write a payload: file too large\n"
    assert LocalBlobs(tmp_path).size(SegmentKey(REC, 1, "agent"), Kind.PAYLOAD) == 196656
