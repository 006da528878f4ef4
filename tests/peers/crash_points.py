"""Kills a writer at every durable step in turn, recovers, checks: `python -m tests.peers.crash_points DIR NAME`.

Each run forks: the child dies by SIGKILL at its k-th step (a torn write, a sync, a rename, an unlink, a transaction),
a second one recovers and checks what the first had acknowledged. Ends after the k at which the child lived through.
"""

import asyncio
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from crypto import age
from crypto.errors import AgeTruncated
from crypto.stream import CHUNK_BYTES, read_chunks
from crypto.x25519 import Identity
from policy.log_entry import Day, encode
from storage import manifest as manifests
from storage.blobs import Kind
from storage.database import Database
from storage.log import wal
from storage.manifest import Opening
from storage.names import SegmentKey
from storage.recordings import Recording, SegmentState, State
from storage.recovery import interrupt_open, rebuild, resume_discards
from storage.vault import Secret
from tests.peers.log_check import leftovers
from tests.peers.log_house import LogHouse
from tests.peers.stored import AT, EPOCH, ORIGIN, SIDES, Folder, begin, open_folder, open_side

IDENTITY = Identity(bytes(range(1, 33)))
FIRST, SECOND = "1" * 32, "2" * 32
Scenario = Callable[[Folder, Callable[[str], None]], Awaitable[None]]


async def record(folder: Folder, ack: Callable[[str], None]) -> None:
    """A recording of one segment, both sides, closed."""
    await begin(folder, FIRST, IDENTITY)
    ack(f"begun {FIRST}")
    for side in SIDES:
        worker = await open_side(folder, SegmentKey(FIRST, 1, side), IDENTITY)
        worker.chunk(7)
        ack(f"chunk {FIRST} {side.value}")
        facts = worker.finish()
        await folder.recordings.seal(FIRST, 1, side.value, facts, "normal")
        ack(f"sealed {FIRST} {side.value}")
    await folder.recordings.close(FIRST, AT)


async def discard(folder: Folder, ack: Callable[[str], None]) -> None:
    """A recording with a sealed and an open segment is discarded; another one isn't."""
    await folder.recordings.intend_discard(FIRST, AT)
    ack(f"intended {FIRST}")
    await folder.recordings.complete_discard(FIRST, AT)
    ack(f"discarded {FIRST}")


async def recover(folder: Folder, ack: Callable[[str], None]) -> None:
    """A gateway starts after a crash, and crashes again."""
    await resume_discards(folder.recordings, AT)
    await interrupt_open(folder.recordings, AT)


async def erase(folder: Folder, ack: Callable[[str], None]) -> None:
    """Retention erases a recording."""
    await folder.recordings.erase(FIRST)
    ack(f"erased {FIRST}")


async def publish(folder: Folder, ack: Callable[[str], None]) -> None:
    """Three entries come past the edge of a tile, are published, and a fourth waits."""
    house = LogHouse(folder)
    for i in range(254, 257):
        ack(f"entry {await house.append(Day(EPOCH, i))}")
    ack(f"published {(await house.publisher.publish(ORIGIN)).size}")
    ack(f"entry {await house.append(Day(EPOCH, 257))}")


async def nearly_full(folder: Folder) -> None:
    """A published log of 254 entries."""
    house = LogHouse(folder)
    await house.grow(254)
    await house.publisher.publish(ORIGIN)


async def nothing(folder: Folder) -> None:
    """An empty folder."""


async def half_recorded(folder: Folder, recording: str = FIRST) -> None:
    """One segment sealed, one open: a side with a torn chunk, a side without any."""
    await begin(folder, recording, IDENTITY)
    worker = await open_side(folder, SegmentKey(recording, 1, "agent"), IDENTITY)
    worker.chunk(7)
    await folder.recordings.seal(recording, 1, "agent", worker.finish(), "paused")
    worker = await open_side(folder, SegmentKey(recording, 2, "agent"), IDENTITY)
    worker.chunk(7)
    worker.file.append(b"torn off")
    await open_side(folder, SegmentKey(recording, 2, "caller"), IDENTITY)


async def beside_another(folder: Folder) -> None:
    """The same, and a sealed recording that must be left alone."""
    await half_recorded(folder)
    await begin(folder, SECOND, IDENTITY)
    worker = await open_side(folder, SegmentKey(SECOND, 1, "agent"), IDENTITY)
    worker.chunk(7)
    await folder.recordings.seal(SECOND, 1, "agent", worker.finish(), "normal")
    await folder.recordings.close(SECOND, AT)


class Fuse:
    """Counts durable steps and kills this process before the one with its number."""

    def __init__(self, number: int) -> None:
        self._left = number

    def install(self) -> None:
        """From now on every step counts."""
        for name in ("fdatasync", "fsync", "sync", "rename", "replace", "unlink", "ftruncate", "mkdir"):
            setattr(os, name, self._step(getattr(os, name)))
        real_write, real_transact = os.write, Database._transact

        def torn(descriptor: int, data: bytes) -> int:
            if self._burnt():
                real_write(descriptor, bytes(data)[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real_write(descriptor, data)

        async def transact(database: Database, work: Any) -> Any:
            self._tick()
            result = await real_transact(database, work)
            self._tick()
            return result

        os.write = torn  # type: ignore[assignment]  # stands in for a builtin
        Database._transact = transact  # type: ignore[method-assign,assignment]  # the same, around a commit

    def _step(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*words: Any, **named: Any) -> Any:
            self._tick()
            return real(*words, **named)

        return step

    def _tick(self) -> None:
        if self._burnt():
            os.kill(os.getpid(), signal.SIGKILL)

    def _burnt(self) -> bool:
        self._left -= 1
        return self._left == 0


def forked(work: Callable[[], None]) -> bool:
    """Run `work` in a child; False when it was killed. A failed check ends this program."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit(f"failed in {work}")
    return os.WIFEXITED(status)


async def in_folder(root: Path, work: Callable[[Folder], Awaitable[None]]) -> None:
    """Open, work, close."""
    folder = await open_folder(root, migrate=not (root / "fairtap.db").exists())
    await work(folder)
    await folder.database.close()


async def dying(root: Path, scenario: Scenario, number: int) -> None:
    """The scenario with its fuse lit; acknowledgements go to a file by one write each."""
    descriptor = os.open(root / "acks", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    write = os.write

    async def work(folder: Folder) -> None:
        Fuse(number).install()
        await scenario(folder, lambda line: noted(write(descriptor, f"{line}\n".encode())))

    await in_folder(root, work)


def noted(written: int) -> None:
    """An acknowledgement is in the file as a whole."""
    assert written


async def check(folder: Folder) -> None:
    """Recover, and see that nothing acknowledged is lost and nothing is inconsistent."""
    acks = (folder.root / "acks").read_text().splitlines() if (folder.root / "acks").exists() else []
    await resume_discards(folder.recordings, AT)
    await interrupt_open(folder.recordings, AT)
    found = {recording: await get(folder, recording) for recording in (FIRST, SECOND)}
    rebuilt = await rebuild(folder.recordings)
    assert rebuilt.missing == rebuilt.restored == (), rebuilt
    assert not rebuilt.orphans, rebuilt
    if SECOND in (folder.root / "prepared").read_text():
        kept = found[SECOND]
        assert kept is not None and kept.state is State.KEPT
    for one in found.values():
        if one is not None:
            check_recording(folder, one)
    for word, recording, *side in (line.split() for line in acks):
        check_ack(folder, word, recording, side, found[recording])


async def get(folder: Folder, recording: str) -> Recording | None:
    """The recording, or None."""
    known = [one for state in State for one in await folder.recordings.in_state(state) if one.id == recording]
    return known[0] if known else None


def check_recording(folder: Folder, recording: Recording) -> None:
    """Its state fits its files."""
    assert recording.state not in (State.OPEN, State.DISCARDING, State.ERASING), recording.state
    sealed = [part for part in recording.segments if part.state is SegmentState.SEALED]
    assert bool(sealed) == (recording.state in (State.KEPT, State.INTERRUPTED)), recording
    assert all(part.state is not SegmentState.OPEN for part in recording.segments)
    wanted = {part.key for part in sealed}
    assert {item.key for item in folder.sealer.blobs.of_recording(recording.id)} == wanted
    assert {key for key, _ in folder.sealer.vault.of_recording(recording.id)} == wanted
    for part in sealed:
        check_sealed(folder, part.key)


def check_sealed(folder: Folder, key: SegmentKey) -> None:
    """Signature, digest, commitment hold, and every whole chunk opens."""
    blobs, vault = folder.sealer.blobs, folder.sealer.vault
    data = blobs.read(key, Kind.MANIFEST)
    manifest = manifests.verify(folder.key.verify_key, data, blobs.read(key, Kind.SIGNATURE))
    assert blobs.digest(key) == (manifest.payload.sha256, manifest.payload.bytes)
    Opening.open(vault.read(key, Secret.OPENING), [IDENTITY]).check(manifest)
    header = vault.read(key, Secret.HEADER)
    assert age.count_stanzas(header) == manifest.stanzas
    chunks = []
    try:
        for chunk in read_chunks(age.open_header(header, [IDENTITY]), blobs.read(key, Kind.PAYLOAD)):
            chunks.append(chunk)
        assert chunks[-1] == b"the end"
    except AgeTruncated:
        assert manifest.end == "interrupted"
    assert chunks[0] == b"\x07" * CHUNK_BYTES and len(chunks) == manifest.payload.chunks


def check_ack(folder: Folder, word: str, recording: str, side: list[str], found: Recording | None) -> None:
    """What was said to have happened has happened."""
    if word == "erased":
        assert found is None
    elif word in ("intended", "discarded"):
        assert found is not None and found.state is State.DISCARDED
        assert not folder.sealer.blobs.of_recording(recording) and not folder.sealer.vault.of_recording(recording)
    else:
        assert found is not None
        ends = {part.key.side: part.end for part in found.segments}
        if word == "sealed":
            assert ends[side[0]] == "normal", ends
        if word == "chunk":
            assert ends[side[0]] in ("normal", "interrupted"), ends


async def check_log(folder: Folder) -> None:
    """Before and after it is published anew: every entry acknowledged is there, and what is published is whole."""
    path = folder.root / "acks"
    acks = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    house = LogHouse(folder)
    published = house.whole()
    sizes = [int(count) for word, count in acks if word == "published"]
    assert len(published) in (254, 255, 256, 257) and len(published) >= max(sizes, default=254)
    size = (await house.reader.sizes())[ORIGIN]
    days = [encode(Day(EPOCH, i)) for i in range(size)]
    assert size > max((int(index) for word, index in acks if word == "entry"), default=253)
    assert await house.reader.entries(ORIGIN, 0, size) == days
    assert (await house.publisher.publish(ORIGIN)).size == size
    assert house.whole() == days
    assert await folder.database.read(lambda connection: wal.waiting(connection, ORIGIN, 0, size)) == []
    odd = [name for name in leftovers(house.folder) if not name.endswith(".tmp")]
    assert odd == []


Check = Callable[[Folder], Awaitable[None]]
SCENARIOS: dict[str, tuple[Callable[[Folder], Awaitable[None]], Scenario, Check]] = {
    "record": (nothing, record, check),
    "discard": (beside_another, discard, check),
    "recover": (half_recorded, recover, check),
    "erase": (beside_another, erase, check),
    "publish": (nearly_full, publish, check_log),
}


def main(base: Path, name: str) -> int:
    """Every k; how many there were."""
    prepare, scenario, checked = SCENARIOS[name]
    start = base / "start"
    start.mkdir()
    forked(lambda: asyncio.run(in_folder(start, prepare)))
    (start / "prepared").write_text(" ".join(path.name for path in start.glob("recordings/*/*")))
    number = 0
    while True:
        number += 1
        root = base / str(number)
        shutil.copytree(start, root)
        lived = forked(lambda root=root, number=number: asyncio.run(dying(root, scenario, number)))  # type: ignore[misc]  # bound now
        forked(lambda root=root: asyncio.run(in_folder(root, checked)))  # type: ignore[misc]  # bound now
        if lived:
            return number
        shutil.rmtree(root)


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), sys.argv[2]))
