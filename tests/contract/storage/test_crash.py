"""kill -9 at every durable step of a writer: nothing acknowledged is lost, nothing inconsistent, discards resume."""

import asyncio
import contextlib
import signal
import subprocess
import sys

import pytest
from sqlalchemy import select

from policy.log_entry import Call, parse
from storage.blobs import Kind, LocalBlobs
from storage.names import SegmentKey
from storage.tables import log_wal
from tests.peers.stored import ORIGIN, enter, open_folder, pseudonym

REC = "ab" * 16
STEPS = {"record": 60, "discard": 15, "recover": 20, "erase": 15, "publish": 40}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("scenario", "at_least"), STEPS.items())
def test_a_crash_at_every_step(tmp_path, root, scenario, at_least):
    command = [sys.executable, "-m", "tests.peers.crash_points", tmp_path, scenario]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert int(done.stdout) >= at_least  # so many places to die at


APPENDER = """
import sys
from pathlib import Path
from storage.blobs import LocalBlobs
payload = LocalBlobs(Path(sys.argv[1])).payload(sys.argv[2], "agent", 1)
while True:
    payload.append(bytes(4096))
    print(payload.size, flush=True)
"""

ENTERER = """
import asyncio, sys
from pathlib import Path
from tests.peers.stored import enter, open_folder
async def main():
    folder = await open_folder(Path(sys.argv[1]))
    await enter(folder, 2)
    async def one():
        while True:
            leg = await enter(folder)
            print(leg.n, flush=True)
    await asyncio.gather(*(one() for _ in range(5)))
asyncio.run(main())
"""


def killed_after(lines, *command, cwd):
    """The last line a program printed before it was killed, some time after `lines` lines."""
    child = subprocess.Popen([sys.executable, "-c", *command], cwd=cwd, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with contextlib.closing(child.stdout) as output:
        last = [output.readline() for _ in range(lines)][-1]
        child.send_signal(signal.SIGKILL)
        rest = output.read().splitlines(keepends=True)
    assert child.wait() == -signal.SIGKILL
    return max([int(last), *(int(line) for line in rest if line.endswith("\n"))])


def test_appended_bytes_survive_their_writer(tmp_path, root):
    acknowledged = killed_after(50, APPENDER, tmp_path, REC, cwd=root)
    size = LocalBlobs(tmp_path).size(SegmentKey(REC, 1, "agent"), Kind.PART)
    assert size is not None and acknowledged <= size <= acknowledged + 4096


async def test_counters_go_on_dense_after_their_writer_was_killed(tmp_path, root):
    acknowledged = await asyncio.to_thread(killed_after, 60, ENTERER, tmp_path, cwd=root)
    folder = await open_folder(tmp_path)
    numbers = [leg.n for leg in await folder.legs.without_out() if leg.pseudonym == pseudonym(1)]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= acknowledged
    query = select(log_wal.c.leaf).where(log_wal.c.origin == ORIGIN).order_by(log_wal.c.idx)
    leaves = await folder.database.read(lambda connection: connection.execute(query).scalars().all())
    logged = [entry for leaf in leaves if isinstance(entry := parse(bytes(leaf)), Call)]
    assert [entry.n for entry in logged if entry.a == pseudonym(1)] == numbers
    assert (await enter(folder)).n == len(numbers) + 1
    await folder.database.close()


@pytest.mark.timeout(300)
def test_a_log_survives_a_hundred_kills_at_random(tmp_path, root):
    command = [sys.executable, "-m", "tests.peers.log_kill", tmp_path, "100"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    entries, published, checkpoints = (int(word) for word in done.stdout.split())
    assert entries >= published > 300
    assert checkpoints > 10  # it was killed while it published, not only before
