"""An agent's page as a process of its own, which can be frozen: `python -m tests.peers.agent_page URL`.

The session's cookies come as JSON on stdin; it tells of its first snapshot and acknowledges what it shows.
"""

import asyncio
import contextlib
import json
import signal
import sys
from types import TracebackType
from typing import Self

import httpx

from api.agent_client import AgentClient, ClientKeys
from demo.agents import Desk
from gateway.clock import SystemClock


class AgentPage:
    """The process; a context manager that has its first snapshot once it is entered."""

    def __init__(self, desk: Desk, base_url: str) -> None:
        self._command = (sys.executable, "-m", "tests.peers.agent_page", base_url)
        self._cookies = json.dumps(dict(desk._http.cookies))

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(self._cookies.encode())
        self._process.stdin.close()
        assert await asyncio.wait_for(self._process.stdout.readline(), 10) == b"snapshot\n"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    def freeze(self) -> None:
        """Stop the process where it stands: its connection stays, nothing is acknowledged."""
        self._process.send_signal(signal.SIGSTOP)


async def show(base_url: str, cookies: dict[str, str]) -> None:
    """Show and acknowledge until killed."""
    async with httpx.AsyncClient(base_url=base_url, cookies=cookies) as http:
        async for event in AgentClient(http, ClientKeys.generate(), SystemClock()).live():
            if event.kind == "snapshot":
                sys.stdout.write("snapshot\n")
                sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(show(sys.argv[1], json.load(sys.stdin)))
