"""Where a canary could be: every file below a folder, the tables of SQLite by page, `/dev/shm`, `/tmp`, processes.

A process is looked at by its open files and its mapped ones, deleted ones too, and, for root, by its writable memory.
Audio is looked for in memory by exact pieces only: a matched filter over some hundred megabytes takes minutes.
"""

import contextlib
import os
import re
import sqlite3
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.peers.canary import Canaries, Finding

CHUNK = 4 << 20
OVERLAP = 256
LARGEST = 32 << 20
"""A file beside the site's that is larger is somebody else's; one of the site's is an error."""
WAL_HEADER, FRAME_HEADER = 32, 24
_REGION = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ (\d+) *(.*)$")


class Region(NamedTuple):
    """A part of a process' address space."""

    start: int
    end: int
    access: str
    inode: int
    path: str


def look_in_folder(folder: Path, canaries: Canaries) -> list[Finding]:
    """Every file below a folder, and the names of files and folders."""
    found = []
    for path in sorted(folder.rglob("*")):
        place = str(path.relative_to(folder))
        found += canaries.look_for_texts(place.encode(), f"name of {place}")
        data = _read(path)
        if data is not None:
            assert len(data) <= LARGEST, f"{place} is too large to be looked through"
            found += _by_table(path, data, canaries.look(data, place))
    return found


def look_at_fresh_files(folder: Path, since: float, without: Path, canaries: Canaries) -> list[Finding]:
    """Files below a folder that were written since, but for those below another one."""
    found = []
    # other processes make and remove folders here meanwhile: `os.walk` doesn't mind
    for path in (Path(parent, name) for parent, _, names in os.walk(folder) for name in names):
        if path.is_relative_to(without):
            continue
        with contextlib.suppress(OSError):
            state = path.lstat()
            if state.st_mtime >= since and state.st_size <= LARGEST:
                data = _read(path)
                found += canaries.look_for_texts(data or b"", str(path))
                found += canaries.look_for_windows(data or b"", str(path))
    return found


def look_at_open_files(pid: int, since: float, canaries: Canaries, folder: Path) -> list[Finding]:
    """What a process has open or mapped, and isn't older than the run: also what no folder shows any more."""
    found = []
    for link in [*_links(Path(f"/proc/{pid}/fd")), *_links(Path(f"/proc/{pid}/map_files"))]:
        with contextlib.suppress(OSError):
            state = link.stat()
            if stat.S_ISREG(state.st_mode) and (state.st_mtime >= since or state.st_nlink == 0):
                target = link.readlink()
                inside = target.is_relative_to(folder)
                data = link.read_bytes()
                place = str(target.relative_to(folder)) if inside else f"{link} → {target}"
                found += _by_table(target, data, canaries.look(data, place))
    return found


def look_in_memories(processes: dict[str, int], canaries: Canaries) -> list[Finding] | None:
    """What `look_in_memory` finds in several processes; None where that isn't permitted."""
    try:
        return [one for what, pid in processes.items() for one in look_in_memory(pid, what, canaries)]
    except PermissionError:
        return None


def look_in_memory(pid: int, what: str, canaries: Canaries) -> list[Finding]:
    """Pieces of audio, and card digits, in the writable memory of a process. Raises `PermissionError`."""
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for region in regions(pid):
            if region.access.startswith("rw"):
                place = f"memory of {what}, {region.path or 'anonymous'}"
                for piece in _pieces(memory.fileno(), region):
                    found += canaries.look_for_windows(piece, place)
                    found += canaries.look_for_texts(piece, place, ("card",))
    return found


def regions(pid: int) -> list[Region]:
    """The address space of a process."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    parsed = [match for line in lines if (match := _REGION.match(line))]
    return [Region(int(one[1], 16), int(one[2], 16), one[3], int(one[4]), one[5]) for one in parsed]


def page_owners(database: Path) -> dict[int, str]:
    """The table or index of each page, by SQLite itself; pages of no table are free ones."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return dict(connection.execute("SELECT pageno, name FROM dbstat").fetchall())
    finally:
        connection.close()


def _by_table(path: Path, data: bytes, found: list[Finding]) -> list[Finding]:
    """Findings in a database or its write-ahead log, with the table in place of the file alone."""
    base = path.with_name(path.name.removesuffix("-wal"))
    if not found or not base.name.endswith(".db") or not base.exists():
        return found
    owners, size = page_owners(base), _page_size(base)
    return [one._replace(place=f"{one.place}:{owners.get(_page(path, data, one.at, size), 'free')}") for one in found]


def _page(path: Path, data: bytes, at: int, size: int) -> int:
    if not path.name.endswith("-wal"):
        return at // size + 1
    frame = WAL_HEADER + (at - WAL_HEADER) // (size + FRAME_HEADER) * (size + FRAME_HEADER)
    page: int = struct.unpack_from(">I", data, frame)[0]
    return page


def _page_size(database: Path) -> int:
    with database.open("rb") as file:
        size: int = struct.unpack(">H", file.read(18)[16:])[0]
    return 65536 if size == 1 else size


def _read(path: Path) -> bytes | None:
    with contextlib.suppress(OSError):
        if stat.S_ISREG(path.lstat().st_mode):
            return path.read_bytes()
    return None


def _links(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return list(folder.iterdir())
    return []


def _pieces(memory: int, region: Region) -> Iterator[bytes]:
    for start in range(region.start, region.end, CHUNK):
        with contextlib.suppress(OSError):
            yield os.pread(memory, min(CHUNK + OVERLAP, region.end - start), start)
