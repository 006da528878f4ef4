"""The API as a test runs it: real uvicorn on loopback, real control socket with a gateway that is told what to say."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import argon2
import httpx
import uvicorn

from api.app import create_app
from api.control_client import ControlClient
from api.database import Database
from api.live import LiveHub
from api.rates import Rates
from api.services import Services
from gateway.clock import SystemClock
from gateway.config import Config
from tests.peers.control_server import ControlServer
from tests.peers.site_in_memory import SiteInMemory

HOST = "127.11.0.1"
QUICK = argon2.PasswordHasher.from_parameters(argon2.profiles.CHEAPEST)


class SetClock(SystemClock):
    """The machine's monotonic clock, and a wall clock that a test moves."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def wallclock(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class RunningApi:
    """What a test holds of it."""

    url: str
    services: Services
    gateway: ControlServer
    site: SiteInMemory
    clock: SetClock

    def http(self, cookies: dict[str, str] | None = None, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
        """A client with cookies of its own that sends the pages' own Origin."""
        return httpx.AsyncClient(
            base_url=self.url, headers={"Origin": self.url, **(headers or {})}, cookies=cookies, timeout=10
        )


@contextlib.asynccontextmanager
async def running_api(
    folder: Path, *, gateway: bool = True, rate_factor: int = 1000, port: int = 0
) -> AsyncIterator[RunningApi]:
    """Serve until the block ends."""
    listening = socket.create_server((HOST, port))
    port = listening.getsockname()[1]
    config = Config.model_validate({"site": {"name": "test", "data_dir": folder}, "api": {"listen": f"{HOST}:{port}"}})
    control_server = ControlServer(config.run_dir / "control.sock")
    if gateway:
        await control_server.start()
    site, hub, clock = SiteInMemory(), LiveHub(), SetClock()
    control = ControlClient(control_server.path, hub, answer_s=1.0)
    database = Database(folder / "api.db")
    services = Services(
        config,
        clock,
        database,
        site,
        control,
        hub,
        QUICK,
        Rates(rate_factor),
        resources=(database, control),
        alive_s=0.3,
    )
    settings = uvicorn.Config(
        create_app(services), log_config=None, access_log=False, timeout_graceful_shutdown=1, lifespan="on", ws="none"
    )
    server = uvicorn.Server(settings)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # the test ends it
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not server.started or (gateway and not control.connected):
            assert not serving.done(), serving.exception()
            await asyncio.sleep(0.005)
        yield RunningApi(f"http://{HOST}:{port}", services, control_server, site, clock)
    finally:
        server.should_exit = True
        await serving
        await control_server.stop()
        listening.close()
