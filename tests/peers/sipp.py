"""sipp as a child process, with a scenario of `tests/peers/sipp_scenarios/`: its exit, complaints and RTP counters."""

import asyncio
import contextlib
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.peers.running_site import until

SCENARIOS = Path(__file__).with_name("sipp_scenarios")
SPEECH = Path("/usr/share/sip-tester/g711a.pcap")
"""Debian's capture of a spoken sentence, which comes with sipp."""
TRANSPORTS = {"udp": "u1", "tcp": "t1"}
LONGEST_S = 50
_SENT = re.compile(r"^\s*(\d+) Total RTP pckts sent", re.MULTILINE)


@dataclass(slots=True)
class Sipp:
    """One run; use it as a context manager. It ends by itself after its calls, or at the latest after `LONGEST_S`."""

    program: str
    folder: Path
    scenario: str
    address: str
    transport: str = "udp"
    calls: int = 1
    rate: int = 20
    pause_ms: int = 0
    to: str = ""
    """Whom a caller sends to: the gateway."""
    callee: str = ""
    """`host:port` of the phone that is called."""
    extension: str = "101"
    queue: str = "none"
    speech: Path = SPEECH
    echo: bool = False
    """Send back what comes in."""
    process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True)
        (self.folder / "speech.pcap").symlink_to(self.speech)
        command = [
            *([self.to] if self.to else []),
            *("-t", TRANSPORTS[self.transport], "-sf", SCENARIOS / f"{self.scenario}.xml", "-nostdin"),
            *("-i", self.address, "-p", "5060", "-mi", self.address, "-mp", "6000"),
            *("-m", self.calls, "-r", self.rate, "-d", self.pause_ms, "-s", self.extension),
            *("-key", "callee", self.callee, "-key", "queue", self.queue),
            *("-trace_err", "-trace_screen", "-screen_file", "screens", *(["-rtp_echo"] if self.echo else [])),
        ]
        with (self.folder / "said").open("wb") as said:
            self.process = await asyncio.create_subprocess_exec(
                self.program, *map(str, command), cwd=self.folder, stdout=said, stderr=said
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()

    async def done(self) -> None:
        """Wait until all calls went as the scenario says."""
        assert self.process is not None
        async with asyncio.timeout(LONGEST_S):
            await self.process.wait()
        assert self.process.returncode == 0, self.complaints()

    def complaints(self) -> str:
        """What it didn't expect."""
        return "".join(path.read_text(errors="replace")[-2000:] for path in self.folder.glob("*_errors.log"))

    async def rtp_sent(self, expected: int) -> int:
        """Its own counter of RTP packets sent, as soon as it has reached what is expected."""

        async def look() -> int | None:
            assert self.process is not None
            self.process.send_signal(signal.SIGUSR2)
            screens = self.folder / "screens"
            found = _SENT.findall(screens.read_text(errors="replace")) if screens.exists() else []
            return int(found[-1]) if found and int(found[-1]) >= expected else None

        return await until(look, 20, every=0.3)
