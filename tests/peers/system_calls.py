"""What running processes write and when it is forced to disk, by `strace`: not by what they say about themselves."""

import asyncio
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_CALLS = (
    "openat,open,creat,mkdir,mkdirat,write,writev,pwrite64,pwritev,rename,renameat,renameat2,link,linkat,"
    "fsync,fdatasync"
)
_LINE = re.compile(r"^(?:\[pid +)?(\d+)\]? +(\d+\.\d+) (?:<\.\.\. )?(\w+)[( ](.*)$")


@dataclass(frozen=True, slots=True)
class SystemCall:
    """One call that touches a file."""

    at: float
    """Wall clock at which it was made, or at which it returned where it was interrupted."""
    name: str
    text: str
    """Arguments, paths of descriptors among them."""

    @property
    def forces(self) -> bool:
        """It waits for the disk."""
        return self.name in ("fsync", "fdatasync")

    @property
    def writes(self) -> bool:
        """It makes, changes or names a file."""
        return not self.forces and (not self.name.startswith("open") or "O_CREAT" in self.text)


class SystemCalls:
    """Watches processes; a context manager that is attached once it is entered. Needs the right to trace."""

    def __init__(self, output: Path, pids: list[int]) -> None:
        self._output = output
        self._command = [
            "strace", "-f", "-y", "-ttt", "-s", "16", "-e", f"trace={_CALLS}", "-o", str(output),
            *(word for pid in pids for word in ("-p", str(pid))),
        ]  # fmt: skip
        self._pids = pids

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(*self._command, stderr=asyncio.subprocess.PIPE)
        assert self._process.stderr is not None
        attached = 0
        while attached < len(self._pids):
            line = await asyncio.wait_for(self._process.stderr.readline(), 10)
            assert line, "strace ended"
            assert b"not permitted" not in line, line
            attached += b"attached" in line
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)
            await self._process.communicate()

    def seen(self) -> list[SystemCall]:
        """Everything up to now, in order."""
        found = []
        for line in self._output.read_text(errors="replace").splitlines():
            match = _LINE.match(line)
            if match is not None:
                found.append(SystemCall(float(match[2]), match[3], match[4]))
        return found
