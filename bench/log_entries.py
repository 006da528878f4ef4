"""How long a leg waits for its durable `call` entry and its draw, on this disk: prints one JSON object.

Legs come at random moments at a mean rate; each appends its entry, draws, and makes what the draw came to durable by a
second transaction, as an admission is. The log is published every ten seconds meanwhile.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
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

    site, dice, legs = Site(database), random.Random(1), []
    for _ in range(WARM_UP):  # statements are compiled, pages are there
        await site.leg(dice.choice(site.agents))
    publishing = asyncio.create_task(publish())
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        legs.append(asyncio.create_task(site.leg(dice.choice(site.agents))))
        await asyncio.sleep(dice.expovariate(rate))
    waited = sorted(await asyncio.gather(*legs))
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
    size = (await publisher.publish(ORIGIN)).size
    await database.close()
    at = {name: round(1000 * waited[int(len(waited) * share)], 2) for name, share in (("p50", 0.5), ("p99", 0.99))}
    top = round(1000 * waited[-1], 2)
    return {"legs": len(waited), "legs_per_s": rate, "entries": size, **at, "max": top, "unit": "ms"}


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="bench/log", description=__doc__)
    parser.add_argument("--rate", type=float, default=50, help="legs a second")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--dir", type=Path, help="where the disk is that counts (default: a temporary folder)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fairtap-bench-", dir=given.dir) as folder:
        print(json.dumps(asyncio.run(measure(Path(folder), given.rate, given.seconds))))


if __name__ == "__main__":
    main()
