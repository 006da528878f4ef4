"""A media worker with a gateway's end and two parties, in this process or in one of its own."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyrage  # type: ignore[import-untyped]  # ships no types

from gateway.clock import SystemClock
from gateway.config import Config
from gateway.media.gateway_line import GatewayLine
from gateway.media.plane import (
    CallRef,
    Counted,
    End,
    FlowId,
    FlowSpec,
    Forward,
    Hello,
    Query,
    Record,
    RecordingId,
    RecordSide,
    Reserve,
    Reserved,
    SegmentSealed,
    SideName,
    Stop,
)
from gateway.media.worker import Worker
from gateway.media.worker_process import make_worker, socket_path
from gateway.rtp.payload_types import STATIC_LAW
from storage.blobs import Kind, LocalBlobs
from storage.names import SegmentKey
from storage.vault import LocalVault, Secret
from tests.peers.gateway_end import GatewayEnd
from tests.peers.rtp_party import RtpParty

CALL = CallRef("00112233aabbccdd")
CALLER, AGENT = FlowId(f"{CALL}/caller/0"), FlowId(f"{CALL}/agent/0")
RECORDING = RecordingId("0123456789abcdef0123456789abcdef")
HEADER = 46
PROGRAM = """
import sys
from pathlib import Path
from gateway.config import Config
from gateway.media.worker_process import serve
serve(Config.model_validate_json(sys.argv[1]), 0)
"""


def make_config(folder: Path, ports: tuple[int, int]) -> Config:
    return Config.model_validate({"site": {"data_dir": folder}, "media": {"ports": ports, "workers": 1}})


class MediaHouse:
    """Two parties that speak through a worker; `gateway` gives the orders."""

    worker: Worker
    """Where it runs in this process."""
    process: "WorkerProcess"
    """Where it runs in one of its own."""

    def __init__(self, config: Config, prefix: str) -> None:
        self.config, self.prefix = config, prefix
        self.data = config.site.data_dir
        self.identity = pyrage.x25519.Identity.generate()
        self.caller = RtpParty(f"{prefix}.11", ssrc=0xCA11E700)
        self.agent = RtpParty(f"{prefix}.12", ssrc=0xA6E87000)
        self.blobs, self.vault = LocalBlobs(self.data), LocalVault(self.data)
        self.clock = SystemClock()

    async def connect(self) -> Hello:
        """Connect a gateway; the worker's hello."""
        self.gateway = await GatewayEnd.connect(socket_path(self.config, 0))
        return await self.gateway.report(Hello)

    async def call(self) -> None:
        """Reserve ports and forward both ways."""
        self.gateway.order(Reserve(CALL, (FlowSpec(CALLER, f"{self.prefix}.1"), FlowSpec(AGENT, f"{self.prefix}.2"))))
        self.ports = (await self.gateway.report(Reserved)).ports
        self.forward()
        await self.obeyed()

    def forward(self) -> None:
        self.gateway.order(
            Forward(CALLER, AGENT, self.caller.address, self.caller.rtcp_address),
            Forward(AGENT, CALLER, self.agent.address, self.agent.rtcp_address),
        )

    async def record(self, seg: int = 1, *, recipients=None, codecs=None) -> float:
        """Order both taps open from now; that moment."""
        opened_at = self.clock.now()
        to = recipients or (str(self.identity.to_public()),)
        parties: tuple[tuple[SideName, FlowId], ...] = (("agent", AGENT), ("caller", CALLER))
        sides = tuple(RecordSide(side, flow, to, codecs or dict(STATIC_LAW)) for side, flow in parties)
        self.gateway.order(Record(CALL, RECORDING, seg, sides, opened_at))
        await self.obeyed()
        return opened_at

    async def record_alone(self, *, codecs=None) -> None:
        """Order the agent's tap open, vetted against the caller."""
        side = RecordSide("agent", AGENT, (str(self.identity.to_public()),), codecs or dict(STATIC_LAW), CALLER)
        self.gateway.order(Record(CALL, RECORDING, 1, (side,), self.clock.now()))
        await self.obeyed()

    async def obeyed(self) -> Counted:
        """Wait until every order so far was carried out; the counters then."""
        self.gateway.order(Query(CALL))
        return await self.gateway.report(Counted, final=False)

    def stop(self, seg: int = 1, end: End = End.STOPPED) -> None:
        self.gateway.order(Stop(CALL, RECORDING, seg, end))

    async def sealed(self, side: str, **fields) -> SegmentSealed:
        return await self.gateway.report(SegmentSealed, side=side, **fields)

    async def talk(self, caller: bytes, agent: bytes, *, ptime_s: float = 0.02) -> None:
        """Both speak in real time, 160 bytes a packet, on one beat; a worker in this process has all of it then."""
        began = time.monotonic()
        for at in range(0, max(len(caller), len(agent)), 160):
            if caller[at : at + 160]:
                self.caller.say(self.ports[CALLER], caller[at : at + 160])
            if agent[at : at + 160]:
                self.agent.say(self.ports[AGENT], agent[at : at + 160])
            await asyncio.sleep(max(began + (at // 160 + 1) * ptime_s - time.monotonic(), 0))
        for _ in range(2):
            # after a stall its sockets and this are ready in one turn of the loop, and the next order would come first
            await asyncio.sleep(0)

    def opened(self, side: str, seg: int = 1) -> bytes:
        """A sealed side as its owner opens it: the WAV."""
        key = SegmentKey(RECORDING, seg, side)
        sealed = self.vault.read(key, Secret.HEADER) + self.blobs.read(key, Kind.PAYLOAD)
        return pyrage.decrypt(sealed, [self.identity])

    def close(self) -> None:
        self.caller.close()
        self.agent.close()


@contextlib.asynccontextmanager
async def worker_here(folder: Path, ports: tuple[int, int], prefix: str, *, payloads=None, vault=None):
    """A worker in this process and its house, connected."""
    house = MediaHouse(make_config(folder, ports), prefix)
    house.config.run_dir.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(1) as writer:
        worker = make_worker(house.config, 0, SystemClock(), writer, payloads or house.blobs, vault or house.vault)
        worker.start()
        house.worker = worker
        line = GatewayLine(worker, socket_path(house.config, 0))
        line.serve()
        try:
            await house.connect()
            yield house
        finally:
            house.gateway.close()
            await line.close()
            worker.stop()
            house.close()


class WorkerProcess:
    """A worker as it runs in earnest."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.process = self._begin()

    def _begin(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", PROGRAM, self._config.model_dump_json()])

    def kill_and_restart(self) -> None:
        """kill -9, then start anew."""
        self.process.kill()
        self.process.wait()
        self.process = self._begin()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
