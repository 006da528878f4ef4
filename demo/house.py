"""The gateway of the demo as a child process: its configuration, `fairtap init`, `fairtap run`, and its end."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from demo.agreement import SITE
from demo.keys import Keys

LOG = "fairtap.log"
START_S = 40.0
STOP_S = 15.0


class HouseFailed(Exception):
    """The gateway didn't start or didn't answer; the message says where to look."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Who is where on loopback: five addresses of one /24, so that two demos don't meet."""

    network: str
    """`127.x.y`."""
    api_port: int

    @property
    def trunk(self) -> str:
        """The carrier."""
        return f"{self.network}.1"

    @property
    def pbx(self) -> str:
        """The PBX."""
        return f"{self.network}.2"

    @property
    def gateway_caller(self) -> str:
        """The gateway, towards the PBX."""
        return f"{self.network}.10"

    @property
    def gateway_agent(self) -> str:
        """The gateway, towards the phones."""
        return f"{self.network}.11"

    def phone(self, number: int) -> str:
        """A desk's phone."""
        return f"{self.network}.{128 + number}"

    @property
    def base_url(self) -> str:
        """The API and its pages."""
        return f"http://127.0.0.1:{self.api_port}"


def find_addresses() -> Addresses:
    """A free port for the API, and a network that goes with it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return Addresses(network_of(port), port)


def network_of(port: int) -> str:
    """Another network for every port that the system gives away by itself."""
    return f"127.{64 + port % 128}.{port // 128 % 256}"


def configuration(folder: Path, at: Addresses, own_phone: bool) -> str:
    """The `fairtap.toml` of the demo, placement `phones`; with an own phone, whatever sends from 127.0.0.1 is one."""
    phones = [f"{at.network}.128/25", *(["127.0.0.1/32"] if own_phone else [])]
    lines = [
        "# DEMO\ndrain_s = 5",
        f'[site]\nname = "{SITE}"\ndata_dir = {json.dumps(str(folder / "var"))}',
        f'[sip.caller_side]\nlisten = ["udp:{at.gateway_caller}:5060", "tcp:{at.gateway_caller}:5060"]',
        f'peers = ["{at.pbx}/32"]\nnext_hops = ["{at.pbx}:5060"]\nmedia_address = "{at.gateway_caller}"',
        f'[sip.agent_side]\nlisten = ["udp:{at.gateway_agent}:5060", "tcp:{at.gateway_agent}:5060"]',
        f'peers = {json.dumps(phones)}\nmedia_address = "{at.gateway_agent}"',
        '[sip.identity]\nplacement = "phones"',
        f'[api]\nlisten = "127.0.0.1:{at.api_port}"',
    ]
    return "\n".join(lines) + "\n"


class House:
    """The running gateway; a context manager that ends it with SIGTERM."""

    def __init__(self, folder: Path, at: Addresses, own_phone: bool = False) -> None:
        self.folder = folder
        self.at = at
        self.admin_token = ""
        self.log_key = ""
        self._config = folder / "fairtap.toml"
        self._config.write_text(configuration(folder, at, own_phone))
        self._process: asyncio.subprocess.Process | None = None

    @property
    def ended(self) -> bool:
        """Whether the child is gone."""
        return self._process is None or self._process.returncode is not None

    async def init(self, parties: dict[str, Keys]) -> None:
        """Make data folder, gateway key, database and anchors."""
        anchors = [word for role, keys in parties.items() for word in ("--anchor", f"{role}={keys.public_file}")]
        said = await self._fairtap("init", "--config", str(self._config), "--json", *anchors)
        made = json.loads(said)
        self.admin_token, self.log_key = made["admin_token"], made["gateway"]["log_key"]

    async def __aenter__(self) -> Self:
        with (self.folder / LOG).open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *_fairtap("run", "--config", str(self._config)),
                stdout=log,
                stderr=log,
                stdin=asyncio.subprocess.DEVNULL,
            )
        try:
            await self._ready()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """End the gateway, if it runs."""
        process = self._process
        if process is None or self.ended:
            return
        # told twice, the supervisor hurries; killed, it would leave its children behind
        for _ in range(2):
            with contextlib.suppress(TimeoutError, ProcessLookupError):
                process.send_signal(signal.SIGTERM)
                await asyncio.wait_for(process.wait(), STOP_S)
                return
        process.kill()
        await process.wait()

    async def _ready(self) -> None:
        assert self._process is not None
        async with httpx.AsyncClient(base_url=self.at.base_url) as http:
            for _ in range(int(START_S * 10)):
                if self._process.returncode is not None:
                    raise HouseFailed(f"the gateway ended at once: see {self.folder / LOG}")
                try:
                    if (await http.get("/readyz")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)
        raise HouseFailed(f"the gateway isn't ready after {START_S:.0f} s: see {self.folder / LOG}")

    async def _fairtap(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *_fairtap(*arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, complaint = await process.communicate()
        if process.returncode != 0:
            last = complaint.decode(errors="replace").strip().splitlines()[-1:]
            raise HouseFailed(f"`fairtap {arguments[0]}` failed: {' '.join(last)}")
        return out.decode()


def _fairtap(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "import sys; from api.cli import main; sys.exit(main())", *arguments]


def own_environment() -> None:
    """Let no setting of the caller's reach the demo's gateway."""
    for name in [name for name in os.environ if name.startswith("FAIRTAP_")]:
        del os.environ[name]
