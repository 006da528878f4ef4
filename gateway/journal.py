"""What a restarted gateway needs to go on relaying: one small file a call, erased with the call. No numbers, no names.

Not durable against a power cut (the calls wouldn't survive it either), so nothing here waits for the disk.
"""

import contextlib
import os
from pathlib import Path

__all__ = ["CallJournal"]

MAX_ENTRY = 256 * 1024


class CallJournal:
    """`{run_dir}/calls/{call ref}.json`."""

    def __init__(self, run_dir: Path) -> None:
        self._folder = run_dir / "calls"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, call: str, state: bytes) -> None:
        """Replace a call's entry. A full disk costs the entry, never the call."""
        path = self._folder / f"{call}.json"
        part = path.with_suffix(".part")
        with contextlib.suppress(OSError):
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(state)
            part.replace(path)

    def erase(self, call: str) -> None:
        """The call is over. An entry that can't be erased must not keep it from ending."""
        with contextlib.suppress(OSError):
            (self._folder / f"{call}.json").unlink()

    def entries(self) -> list[bytes]:
        """All entries; unreadable or oversized ones are skipped."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            with contextlib.suppress(OSError):
                if path.stat().st_size <= MAX_ENTRY:
                    found.append(path.read_bytes())
        return found
