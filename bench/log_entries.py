"""How long a leg waits for its durable `call` entry and its draw, on this disk: prints one JSON object.

Legs come at random moments at a mean rate; each appends its entry, draws, and makes what the draw came to durable by a
second transaction, as an admission is. The log is published every ten seconds meanwhile. Turn about with it, in the
same run, the least that durability costs: as many legs, of which each forces two pages to the disk one after the other.
"""

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from crypto.draw import ROLES, agent_key, combine, draw_output, drawn, new_share
from crypto.ssh_key import SigningKey
from policy.log_entry import Call, Out
from storage.database import Database
from storage.log import wal
from storage.log.files import LocalLogFiles
from storage.log.publish import Publisher

ORIGIN, EPOCH = "bench/fairtap/2026-14", "2026-W15"
AGENTS = 200
PPM = 30_000
PUBLISH_S = 10.0
WARM_UP = 100
SLICE_S = 5.0
PAGE = bytes(4096)


class Site:
    """One log with its two shares and dense counters."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._shares = new_share(), new_share()
        self._counters = dict.fromkeys((f"{place:032x}" for place in range(AGENTS)), 0)

    async def leg(self, agent: str) -> float:
        """Seconds from the leg's coming to its admission."""
        start = time.perf_counter()
        self._counters[agent] += 1
        n = self._counters[agent]
        call = Call(EPOCH, agent, n, "other", 0, "ab" * 32)
        await self._database.write(lambda connection: wal.append(connection, ORIGIN, call))
        host, council = (
            draw_output(agent_key(role, ORIGIN, EPOCH, agent, share), n)
            for role, share in zip(ROLES, self._shares, strict=True)
        )
        out = Out(EPOCH, agent, n, "hit" if drawn(combine(host, council), PPM) else "no", "cd" * 32)
        await self._database.write(lambda connection: wal.append(connection, ORIGIN, out))
        return time.perf_counter() - start

    @property
    def agents(self) -> tuple[str, ...]:
        """Their pseudonyms."""
        return tuple(self._counters)


class Disk:
    """The peer: an append and `fdatasync` for each step of a leg, in one thread, as one database writes."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._thread = ThreadPoolExecutor(1)

    async def leg(self) -> float:
        """Seconds until both pages are durable."""
        start = time.perf_counter()
        for _ in range(2):
            await asyncio.get_running_loop().run_in_executor(self._thread, self._force)
        return time.perf_counter() - start

    def _force(self) -> None:
        os.write(self._file, PAGE)
        os.fdatasync(self._file)


async def arriving(
    leg: Callable[[], Awaitable[float]], rate: float, seconds: float, dice: random.Random
) -> list[float]:
    """How long each leg waited, that came within `seconds`."""
    legs, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        legs.append(asyncio.ensure_future(leg()))
        await asyncio.sleep(dice.expovariate(rate))
    return list(await asyncio.gather(*legs))


async def measure(folder: Path, rate: float, seconds: float) -> dict[str, object]:
    """Run it; milliseconds."""
    database = await Database.open(f"sqlite:///{folder}/fairtap.db")
    await database.migrate()
    await database.write(lambda connection: wal.open_log(connection, ORIGIN))
    publisher = Publisher(database, LocalLogFiles(folder), SigningKey.generate())

    async def publish() -> None:
        while True:
            await asyncio.sleep(PUBLISH_S)
            await publisher.publish(ORIGIN)

    site, disk, dice = Site(database), Disk(folder / "raw"), random.Random(1)

    def leg() -> Awaitable[float]:
        return site.leg(dice.choice(site.agents))

    for _ in range(WARM_UP):  # statements are compiled, pages are there
        await leg()
        await disk.leg()
    publishing = asyncio.create_task(publish())
    ours, raw, load = list[float](), list[float](), os.getloadavg()[0]
    for _ in range(max(1, round(seconds / SLICE_S))):
        ours += await arriving(leg, rate, SLICE_S, dice)
        raw += await arriving(disk.leg, rate, SLICE_S, dice)
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
    size = (await publisher.publish(ORIGIN)).size
    await database.close()
    told, beside = _told(ours), _told(raw)
    ratio = {name: round(told[name] / beside[name], 2) for name in ("p50", "p99")}
    counted = {"legs": len(ours), "legs_per_s": rate, "entries": size, "load": round(load, 2), "unit": "ms"}
    return {**counted, **told, "fdatasync": beside, "ratio": ratio}


def _told(waited: list[float]) -> dict[str, float]:
    waited.sort()
    at = {name: waited[int(len(waited) * share)] for name, share in (("p50", 0.5), ("p99", 0.99))} | {"max": waited[-1]}
    return {name: round(1000 * value, 2) for name, value in at.items()}


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="bench/log", description=__doc__)
    parser.add_argument("--rate", type=float, default=50, help="legs a second")
    parser.add_argument("--seconds", type=float, default=30, help="of each of the two")
    parser.add_argument("--dir", type=Path, help="where the disk is that counts (default: a temporary folder)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fairtap-bench-", dir=given.dir) as folder:
        print(json.dumps(asyncio.run(measure(Path(folder), given.rate, given.seconds))))


if __name__ == "__main__":
    main()
