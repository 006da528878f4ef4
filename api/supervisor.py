"""Starts gateway, media workers and API as processes of their own, and again when one dies; nothing else.

A worker outlives its gateway and the other way round. SIGTERM drains: the gateway takes no new calls and ends by
itself, at the latest after the drain time; workers and API, whose light running recordings need, end after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.clock import Clock
from gateway.config import Config

__all__ = ["Backoff", "Child", "Supervisor", "child_environment", "children_of"]

STOP_S: Final = 5.0
WRONG_USE: Final = 2
Say = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a child is started again."""

    first_s: float
    longest_s: float
    steady_s: float
    """Lived so long: the next wait is the first again."""

    def wait(self, failures: int) -> float:
        """Seconds before the start that follows so many quick deaths."""
        return float(min(self.first_s * 2 ** min(failures, 16), self.longest_s))


QUICK: Final = Backoff(0.1, 0.5, 10.0)
"""Media workers: their calls are silent meanwhile."""
NORMAL: Final = Backoff(0.2, 5.0, 30.0)


@dataclass(frozen=True, slots=True)
class Child:
    """One process: its name, its command and how it is started again."""

    name: str
    command: tuple[str, ...]
    backoff: Backoff = NORMAL
    stage: int = 1
    """0 ends first, and the others wait for its end."""
    essential: bool = False
    """Wrong use (rc 2) of it ends everything: starting again wouldn't help."""


@dataclass(slots=True)
class _Running:
    child: Child
    process: asyncio.subprocess.Process | None = None
    failures: int = 0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


def children_of(config: Config, config_file: Path | None) -> list[Child]:
    """Gateway, a media worker per core (or as configured), API."""
    named = () if config_file is None else ("--config", str(config_file))
    python = (sys.executable, "-m")
    workers = config.media.workers or os.cpu_count() or 1
    media = [
        Child(f"media-{index}", (*python, "gateway", "worker", *named, "--index", str(index)), QUICK)
        for index in range(workers)
    ]
    gateway = Child("gateway", (*python, "gateway", "serve", *named), QUICK, stage=0, essential=True)
    return [*media, gateway, Child("api", (*python, "api.serve", *named), essential=True)]


def child_environment() -> dict[str, str]:
    """Ours, with the modules of this very installation first, whatever the current folder holds."""
    root = str(Path(__file__).parents[1])
    path = [root, *(one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one not in ("", root))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"}


class Supervisor:
    """Runs children until told to stop."""

    def __init__(
        self, children: Sequence[Child], *, clock: Clock, say: Say, drain_s: float, stop_s: float = STOP_S
    ) -> None:
        self._running = [_Running(child) for child in children]
        self._clock = clock
        self._say = say
        self._drain_s = drain_s
        self._stop_s = stop_s
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._rc = 0

    async def run(self) -> int:
        """Until SIGTERM or SIGINT (a second one hurries), or an essential child refuses its configuration."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        tasks = [asyncio.create_task(self._keep(one), name=one.child.name) for one in self._running]
        try:
            await self._stop.wait()
            await self._end_all()
            await asyncio.gather(*tasks)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
        self._say("stopped", {})
        return self._rc

    def stop(self) -> None:
        """Drain and end; told twice: end at once."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def _keep(self, one: _Running) -> None:
        """Start a child, and again each time it ends unasked."""
        while not one.stopping.is_set():
            started = self._clock.now()
            try:
                process = await asyncio.create_subprocess_exec(
                    *one.child.command, start_new_session=True, env=child_environment()
                )
            except OSError as error:
                self._say("cannot start", {"process": one.child.name, "error": error.strerror or "?"})
                rc = WRONG_USE
            else:
                one.process = process
                self._say("started", {"process": one.child.name, "pid": process.pid})
                if one.stopping.is_set():
                    process.terminate()
                rc = await process.wait()
                one.process = None
            self._say("ended", {"process": one.child.name, "rc": rc})
            if one.stopping.is_set():
                return
            if rc == WRONG_USE and one.child.essential:
                self._rc = 1
                self._stop.set()
                return
            await self._pause(one, self._clock.now() - started)

    async def _pause(self, one: _Running, lived_s: float) -> None:
        one.failures = 0 if lived_s >= one.child.backoff.steady_s else one.failures + 1
        wait = one.child.backoff.wait(max(0, one.failures - 1))
        self._say("starts again", {"process": one.child.name, "in_s": wait})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await one.stopping.wait()

    async def _end_all(self) -> None:
        for stage in sorted({one.child.stage for one in self._running}):
            group = [one for one in self._running if one.child.stage == stage]
            self._say("stopping", {"processes": " ".join(one.child.name for one in group)})
            patience = self._drain_s + self._stop_s if stage == 0 else self._stop_s
            await asyncio.gather(*(self._end(one, patience) for one in group))

    async def _end(self, one: _Running, patience_s: float) -> None:
        one.stopping.set()
        if one.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            one.process.terminate()
        ended = asyncio.create_task(one.process.wait())
        hurried = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({ended, hurried}, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not ended.done():
            self._say("killed", {"process": one.child.name})
            with contextlib.suppress(ProcessLookupError):
                one.process.kill()
        await ended
