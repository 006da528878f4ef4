"""Reads a file that a person named: an ordinary one, and no more of it than it may hold.

Neither a device without end nor a pipe that nobody writes to holds up a command.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

__all__ = ["MAX_BYTES", "read_named", "why_not"]

MAX_BYTES: Final = 1 << 20
_MB: Final = 1 << 20
_WORDS: Final = {
    errno.ENOENT: "isn't there: name a file that is",
    errno.ENOTDIR: "isn't there: a part of the path is no folder",
    errno.EISDIR: "is a folder: name a file",
    errno.EACCES: "can't be read by this account: give it the right, or use another one",
}


def read_named(path: Path, limit: int = MAX_BYTES) -> bytes:
    """All its bytes; raises OSError whose `strerror` says why not: also for a pipe, a device, more than `limit`."""
    # without O_NONBLOCK, opening a pipe waits for its writer
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "Not an ordinary file", str(path))
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"Larger than {limit // _MB} MB", str(path))
    return data


def why_not(path: Path, error: OSError) -> str:
    """One line about a file that couldn't be read, with what to do."""
    words = _WORDS.get(error.errno or 0)
    return f"`{path}` {words}" if words is not None else f"`{path}`: {error.strerror or error}"
