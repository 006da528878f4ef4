"""Kamailio as a process of its own, every name set from outside: with the example of `deploy/`, or as a PBX."""

import asyncio
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "kamailio.cfg"
PBX = Path(__file__).with_name("pbx.cfg")
"""Phones register with `PASSWORD`."""
PASSWORD = "open sesame"
START_S = 10.0
STOP_S = 5.0


class Kamailio:
    """A context manager; ends what it started."""

    def __init__(
        self,
        program: str,
        folder: Path,
        address: str,
        carrier: tuple[str, int],
        relay: str,
        queue: str,
        configuration: Path = CONFIGURATION,
        bypassed: str = "",
        port: int = 5060,
    ) -> None:
        """`bypassed`: a PBX that leads calls through this `host:port`, and around it while that is away."""
        self.address = (address, port)
        self._program = program
        self._configuration = configuration
        self._log = folder / "kamailio.log"
        self._control = folder / "ctl"
        self._run = folder / "run"
        self._defines = {
            "LISTEN_AT": f"udp:{address}:{port}",
            "CARRIER": f'"{carrier[0]}"',
            "CARRIER_PORT": f'"{carrier[1]}"',
            "FAIRTAP": f'"udp:{relay}"',
            "QUEUE": f'"{queue}"',
            "CONTROL": f'"unixs:{self._control}"',
            "PASSWORD": f'"{PASSWORD}"',
        }
        if bypassed:
            (folder / "dispatcher.list").write_text(f"1 sip:{bypassed}\n")
            self._defines["FAIRTAP_LIST"] = f'"{folder / "dispatcher.list"}"'
        self._process: asyncio.subprocess.Process | None = None

    @property
    def uri(self) -> str:
        """The registrar."""
        return f"sip:{self.address[0]}:{self.address[1]}"

    async def __aenter__(self) -> Self:
        self._run.mkdir(parents=True)
        defines = [word for name, value in self._defines.items() for word in ("-A", f"{name}={value}")]
        with self._log.open("wb") as log:
            # -D foreground, -Y its own run folder, so that two of them don't meet
            self._process = await asyncio.create_subprocess_exec(
                self._program, "-DD", "-f", str(self._configuration), "-Y", str(self._run), "-m", "32", "-M", "4",
                *defines, stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        async with asyncio.timeout(START_S):
            while not self._control.exists():
                assert self._process.returncode is None, self._log.read_text()
                await asyncio.sleep(0.05)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_S)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

    async def command(self, *words: str) -> str:
        """What `kamcmd` says to a command."""
        program = shutil.which("kamcmd")
        assert program is not None
        process = await asyncio.create_subprocess_exec(
            program,
            "-s",
            f"unixs:{self._control}",
            *words,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return said.decode()

    async def relay_enabled(self) -> bool:
        """Whether it uses the relay now."""
        return "disabled: 0" in await self.command("rtpengine.show", "all")
