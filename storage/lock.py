"""One writer: an exclusive lock on `run/gateway.lock`, held by the gateway for as long as it runs.

The kernel drops it with the process, so no lock outlives a crash. `flock`, not `lockf`: another open of the file by
the same process mustn't drop it.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from storage import durable
from storage.errors import RestoreUnfinished, WriterRunning


def restoring_mark(data_dir: Path) -> Path:
    """A file that stands there while a restore isn't finished: the digest of the backup it is from."""
    return data_dir / "restoring"


class WriterLock:
    """Held between `acquire` and `release`, or as a context manager."""

    def __init__(self, data_dir: Path, *, restoring: bool = False) -> None:
        self._root = data_dir
        self._restoring = restoring
        self._path = data_dir / "run" / "gateway.lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock at once. Raises WriterRunning when another process holds it, StorageUnavailable.

        Who isn't `restoring` is refused where a restore was begun and not completed: RestoreUnfinished.
        """
        with durable.declared("make the lock file"):
            durable.make_folder(self._path.parent, self._root)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, durable.FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise WriterRunning("a gateway writes to this data folder already: stop it first") from None
        self._descriptor = descriptor
        if not self._restoring and restoring_mark(self._root).exists():
            self.release()
            raise RestoreUnfinished("a restore isn't finished in this data folder: run `fairtap restore` again")

    def release(self) -> None:
        """Give the lock back; harmless when repeated."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
