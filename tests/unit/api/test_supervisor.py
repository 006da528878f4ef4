"""The supervisor with tiny children: each is started again when it dies, one drains first, all end."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.supervisor import NORMAL, QUICK, Backoff, Child, Supervisor, children_of
from gateway.clock import SystemClock
from gateway.config import Config

SLEEP = "import time; time.sleep(60)"
POLITE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep({drain}), open({mark!r}, "a").write("{name} "), sys.exit(0)))
open({mark!r} + ".{name}", "w").close()
time.sleep(60)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({mark!r}, 'w').close(); time.sleep(60)"


def python(name: str, code: str, **more: Any) -> Child:
    return Child(name, (sys.executable, "-S", "-c", code), **more)


class Story:
    """Collects what the supervisor says and lets a test wait for it."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self._more = asyncio.Event()

    def say(self, event: str, members: dict[str, Any]) -> None:
        self.lines.append((event, members))
        self._more.set()

    def count(self, event: str, process: str) -> int:
        return sum(1 for said, members in self.lines if said == event and members.get("process") == process)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self._more.clear()
                await self._more.wait()

    def pid(self, process: str) -> int:
        return int([m["pid"] for said, m in self.lines if said == "started" and m["process"] == process][-1])


def supervise(story: Story, *children: Child, drain_s: float = 5.0, stop_s: float = 5.0) -> Supervisor:
    return Supervisor(children, clock=SystemClock(), say=story.say, drain_s=drain_s, stop_s=stop_s)


async def exists(path: Path) -> None:
    async with asyncio.timeout(20):
        while not path.exists():  # noqa: ASYNC110 -- another process makes it
            await asyncio.sleep(0.01)


async def test_a_killed_worker_is_back_within_half_a_second_and_the_others_are_untouched() -> None:
    story = Story()
    supervisor = supervise(story, python("media-0", SLEEP, backoff=QUICK), python("gateway", SLEEP, stage=0))
    running = asyncio.create_task(supervisor.run())
    await story.until(lambda: story.count("started", "media-0") == 1 and story.count("started", "gateway") == 1)
    gateway = story.pid("gateway")
    os.kill(story.pid("media-0"), signal.SIGKILL)
    loop = asyncio.get_running_loop()
    died = loop.time()
    await story.until(lambda: story.count("started", "media-0") == 2)
    assert loop.time() - died < 0.5
    assert ("ended", {"process": "media-0", "rc": -signal.SIGKILL}) in story.lines
    assert story.pid("gateway") == gateway and story.count("ended", "gateway") == 0
    supervisor.stop()
    assert await running == 0


async def test_a_child_that_dies_at_once_is_started_again_ever_more_slowly() -> None:
    story = Story()
    supervisor = supervise(story, python("api", "raise SystemExit(3)", backoff=Backoff(0.01, 0.04, 60)))
    running = asyncio.create_task(supervisor.run())
    await story.until(lambda: story.count("starts again", "api") >= 4)
    waits = [members["in_s"] for said, members in story.lines if said == "starts again"][:4]
    assert waits == [0.01, 0.02, 0.04, 0.04]
    supervisor.stop()
    assert await running == 0


async def test_on_stop_the_gateway_drains_first_and_the_others_wait_for_it(tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    story = Story()
    children = [
        python("media-0", POLITE.format(drain=0, mark=mark, name="media")),
        python("gateway", POLITE.format(drain=0.3, mark=mark, name="gateway"), stage=0),
        python("api", POLITE.format(drain=0, mark=mark, name="api")),
    ]
    supervisor = supervise(story, *children)
    running = asyncio.create_task(supervisor.run())
    for name in ("media", "gateway", "api"):
        await exists(tmp_path / f"mark.{name}")
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 0
    ended = Path(mark).read_text().split()
    assert ended[0] == "gateway" and sorted(ended) == ["api", "gateway", "media"]


async def test_a_child_that_does_not_listen_is_killed_when_patience_ends(tmp_path: Path) -> None:
    story = Story()
    supervisor = supervise(story, python("api", DEAF.format(mark=str(tmp_path / "deaf"))), stop_s=0.1)
    running = asyncio.create_task(supervisor.run())
    await exists(tmp_path / "deaf")
    supervisor.stop()
    assert await running == 0
    assert ("killed", {"process": "api"}) in story.lines


async def test_a_second_signal_hurries(tmp_path: Path) -> None:
    story = Story()
    supervisor = supervise(story, python("gateway", DEAF.format(mark=str(tmp_path / "deaf")), stage=0), drain_s=60)
    running = asyncio.create_task(supervisor.run())
    await exists(tmp_path / "deaf")
    supervisor.stop()
    await story.until(lambda: any(said == "stopping" for said, _ in story.lines))
    supervisor.stop()
    async with asyncio.timeout(5):
        assert await running == 0


async def test_a_refused_configuration_ends_everything() -> None:
    story = Story()
    gateway = python("gateway", "raise SystemExit(2)", stage=0, essential=True)
    supervisor = supervise(story, gateway, python("media-0", SLEEP))
    async with asyncio.timeout(20):
        assert await supervisor.run() == 1
    assert story.count("started", "gateway") == 1


async def test_a_program_that_is_missing_is_told(tmp_path: Path) -> None:
    story = Story()
    supervisor = supervise(story, Child("gateway", (str(tmp_path / "nothing"),), stage=0, essential=True))
    assert await supervisor.run() == 1
    assert story.lines[0][0] == "cannot start"


@pytest.mark.parametrize(("workers", "count"), [(3, 3), (0, os.cpu_count() or 1)])
def test_the_children_are_gateway_workers_and_api(workers: int, count: int, tmp_path: Path) -> None:
    config = Config.model_validate({"media": {"workers": workers}})
    children = children_of(config, tmp_path / "fairtap.toml")
    assert [child.name for child in children] == [*(f"media-{i}" for i in range(count)), "gateway", "api"]
    assert all(child.command[-2:] == ("--config", str(tmp_path / "fairtap.toml")) for child in children[-2:])
    assert [child.backoff is QUICK for child in children[:count]] == [True] * count
    assert QUICK.longest_s <= 0.5 < NORMAL.longest_s
