"""What a restarted gateway needs to go on relaying: one small file a call, erased with the call. No numbers, no names.

Not durable against a power cut (the calls wouldn't survive it either), and nobody waits for the disk: files are written
behind, by a thread, the newest state of each call.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

__all__ = ["CallJournal", "WriteBehind"]

MAX_ENTRY = 256 * 1024


class WriteBehind:
    """Does the newest job of each key in a thread of its own: a disk that hangs costs the jobs, not the caller."""

    def __init__(self) -> None:
        self.failed = 0
        """Jobs that the disk refused."""
        self._jobs: dict[str, Callable[[], None]] = {}
        self._changed = threading.Condition()
        self._busy = False
        self._thread: threading.Thread | None = None

    def put(self, key: str, job: Callable[[], None]) -> None:
        """Queue a job in place of the one that waits under this key."""
        with self._changed:
            self._jobs.pop(key, None)
            self._jobs[key] = job
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, timeout_s: float = 2.0) -> bool:
        """Wait until nothing waits; False when that took too long."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._jobs and not self._busy, timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._jobs))
                job = self._jobs.pop(next(iter(self._jobs)))
                self._busy = True
            try:
                job()
            except OSError:
                self.failed += 1
            with self._changed:
                self._busy = False
                self._changed.notify_all()


class CallJournal:
    """`{run_dir}/calls/{call ref}.json`."""

    def __init__(self, run_dir: Path) -> None:
        self._folder = run_dir / "calls"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._behind = WriteBehind()

    def put(self, call: str, state: bytes) -> None:
        """Replace a call's entry. A full disk costs the entry, never the call."""
        self._behind.put(call, partial(self._write, call, state))

    def erase(self, call: str) -> None:
        """The call is over. An entry that can't be erased must not keep it from ending."""
        self._behind.put(call, partial((self._folder / f"{call}.json").unlink, missing_ok=True))

    def flush(self) -> bool:
        """Wait until everything is written, for a while."""
        return self._behind.flush()

    def _write(self, call: str, state: bytes) -> None:
        path = self._folder / f"{call}.json"
        part = path.with_suffix(".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(state)
        part.replace(path)

    def entries(self) -> list[bytes]:
        """All entries; unreadable or oversized ones are skipped."""
        self.flush()
        found = []
        for path in sorted(self._folder.glob("*.json")):
            with contextlib.suppress(OSError):
                if path.stat().st_size <= MAX_ENTRY:
                    found.append(path.read_bytes())
        return found
