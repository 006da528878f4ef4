"""What the gateway's parts share when it is put together, and what they must not."""

import asyncio
import socket
import threading

from gateway import assembly
from gateway.clock import SystemClock
from gateway.config import Config
from storage.database import Database

SLOW = ".slow.example"


async def test_names_that_descriptions_give_keep_no_next_hops_waiting(tmp_path, monkeypatch):
    answer, asked = threading.Event(), []

    def look_up(name, *_, **__):
        if name.endswith(SLOW):
            asked.append(name)
            answer.wait(30)
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("192.0.2.7", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    config = Config.model_validate({"site": {"data_dir": tmp_path}})
    database = await Database.open(config.database_url)
    try:
        await database.migrate()
        parts = await assembly._assemble(config, SystemClock(), database)
        find = parts.engine.describing.find_hosts
        slow = asyncio.gather(*(find(f"{number}{SLOW}") for number in range(32)))
        await asyncio.sleep(0)
        assert await parts.inline._names.hosts("carrier.example") == ("192.0.2.7",)
        assert asked
    finally:
        answer.set()
        await slow
        await database.close()
