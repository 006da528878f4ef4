"""One writer: a second lock is refused in one sentence, a dead holder's lock is free."""

import signal
import subprocess
import sys

import pytest

from storage.errors import WriterRunning
from storage.lock import WriterLock

HOLDER = """
import sys, time
from pathlib import Path
from storage.lock import WriterLock
WriterLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
time.sleep(60)
"""


def test_two_writers_are_refused_until_the_first_lets_go(tmp_path):
    first, second = WriterLock(tmp_path), WriterLock(tmp_path)
    with first:
        with pytest.raises(WriterRunning, match="stop it first"):
            second.acquire()
        with pytest.raises(WriterRunning):  # a failed attempt doesn't drop the first one's lock
            second.acquire()
    with second:
        pass
    second.release()


def test_a_killed_writer_leaves_no_lock(tmp_path, root):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], cwd=root, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(WriterRunning):
            WriterLock(tmp_path).acquire()
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    with WriterLock(tmp_path):
        assert (tmp_path / "run" / "gateway.lock").stat().st_mode & 0o777 == 0o600
