"""Kills a log's writer at random moments, again and again on one log: `python -m tests.peers.log_kill DIR ROUNDS`.

Each child appends from several tasks while it publishes without a pause, and acknowledges on a pipe; the parent kills
it, checks what is published against everything ever acknowledged, and lets the next one go on from there.
Prints entries, how many of them are published, and in how many rounds the checkpoint moved.
"""

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

from policy.log_entry import Day, encode
from tests.peers.log_house import LogHouse
from tests.peers.stored import EPOCH, ORIGIN, open_folder

TASKS = 6
LONGEST_S = 0.12
"""From the first acknowledgement on."""


async def write(root: Path, pipe: int) -> None:
    """Append and publish until killed; every acknowledgement is `index number`."""
    folder = await open_folder(root, migrate=not (root / "fairtap.db").exists())
    house = LogHouse(folder)

    async def append(first: int) -> None:
        number = first
        while True:
            index = await house.append(Day(EPOCH, number))
            os.write(pipe, f"{index} {number}\n".encode())
            number += TASKS

    async def publish() -> None:
        while True:
            await house.publisher.publish(ORIGIN)

    await asyncio.gather(publish(), *(append(task) for task in range(TASKS)))


async def check(root: Path, acknowledged: dict[int, int]) -> tuple[int, int]:
    """Every entry acknowledged so far has its place, published or not; how many there are, and are published."""
    folder = await open_folder(root, migrate=False)
    house = LogHouse(folder)
    leaves = house.whole() if (house.folder / "checkpoint").exists() else []
    published, size = len(leaves), (await house.reader.sizes())[ORIGIN]
    leaves += await house.reader.entries(ORIGIN, published, size)
    await folder.database.close()
    assert all(leaves[index] == encode(Day(EPOCH, number)) for index, number in acknowledged.items())
    return size, published


def round_of(root: Path, dice: random.Random) -> dict[int, int]:
    """One child's life; what it acknowledged as a whole line before its end."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(write(root, theirs))
        finally:
            os._exit(1)
    os.close(theirs)
    lines = os.read(ours, 4096)
    time.sleep(dice.random() * LONGEST_S)
    os.kill(child, signal.SIGKILL)
    with os.fdopen(ours, "rb") as rest:
        lines += rest.read()
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL, "the writer died by itself"
    pairs = [line.split() for line in lines.splitlines(keepends=True) if line.endswith(b"\n")]
    return {int(index): int(number) for index, number in pairs}


def main(root: Path, rounds: int) -> None:
    """All rounds."""
    dice = random.Random(rounds)
    asyncio.run(_made(root))
    acknowledged: dict[int, int] = {}
    size = published = moved = 0
    for _ in range(rounds):
        new = round_of(root, dice)
        assert new and not new.keys() & acknowledged.keys(), "an index was given twice, or nothing was written"
        acknowledged |= new
        before = published
        size, published = asyncio.run(check(root, acknowledged))
        moved += published > before
    print(size, published, moved)


async def _made(root: Path) -> None:
    await (await open_folder(root)).database.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
