"""baresip as a child process: one phone on one loopback address that says a tone, dumps what it hears, obeys commands.

Commanded over its `ctrl_tcp` module: netstrings of JSON, commands out, answers and events in. It binds media and
connections to no address, which on loopback means 127.0.0.1: a preloaded shim (`bind_here.c`) keeps it on its own.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import wave
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from demo.g711 import RATE, Samples
from demo.tones import tone
from tests.peers.running_site import until

CONTROL_PORT = 4444
LONGEST_S = 60
"""Of the tone, which has to be longer than the call."""
ANSWER_S = 8.0
_CONFIG = """\
poll_method epoll
sip_listen {address}:5060
net_interface {address}
audio_source aufile,{folder}/tone.wav
audio_player aubridge,nobody
audio_alert aubridge,nobody-rings
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
module_path {modules}
module g711.so
module g722.so
module opus.so
module aufile.so
module aubridge.so
module sndfile.so
module srtp.so
module ctrl_tcp.so
module uuid.so
module account.so
module menu.so
ctrl_tcp_listen {address}:4444
snd_path {folder}
"""
SHIM = Path(__file__).with_name("bind_here.c")
_MODULES = ("/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules")


def build_shim(compiler: str, folder: Path) -> Path:
    """Compile the shim into a folder."""
    built = folder / "bind_here.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", built, SHIM, "-ldl"], check=True)
    return built


class Baresip:
    """Use it as a context manager; it answers by itself."""

    def __init__(
        self,
        program: str,
        shim: Path,
        folder: Path,
        address: str,
        user: str,
        hertz: float,
        *,
        transport: str = "udp",
        outbound: str = "",
        registrar: str = "",
        password: str = "",
        picks_up: bool = True,
        srtp: bool = False,
        codec: str = "pcma/8000/1",
    ) -> None:
        """`outbound`: the SIP URI through which it calls and registers; `shim`: what `build_shim` built.

        `registrar`: the host where it registers, with a password; `picks_up`: it answers by itself; `srtp`: it
        takes nothing else; `codec`: neither.
        """
        self.folder = folder
        self.uri = f"sip:{user}@{address}:5060" + (";transport=tcp" if transport == "tcp" else "")
        self._program, self._address, self._shim = program, address, shim
        folder.mkdir(parents=True)
        modules = next(path for path in _MODULES if Path(path).is_dir())
        (folder / "config").write_text(_CONFIG.format(address=address, folder=folder, modules=modules))
        through = f';outbound="{outbound}"' if outbound else ""
        through += ";mediaenc=srtp-mand" if srtp else ""
        register = f';regint=600;sipnat=outbound;auth_user={user};auth_pass="{password}"' if registrar else ";regint=0"
        account = (
            f"<sip:{user}@{registrar or address};transport={transport}>{register};audio_codecs={codec}"
            f";answermode={'auto' if picks_up else 'manual'}{through}"
        )
        (folder / "accounts").write_text(account + "\n")
        with wave.open(str(folder / "tone.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(tone(hertz, LONGEST_S).astype("<i2").tobytes())
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        environment = {**os.environ, "LD_PRELOAD": str(self._shim), "BIND_HERE": self._address}
        with (self.folder / "said").open("wb") as said:
            self._process = await asyncio.create_subprocess_exec(
                *(self._program, "-f", str(self.folder)),
                stdout=said,
                stderr=said,
                stdin=asyncio.subprocess.DEVNULL,
                env=environment,
            )
        reader, self._writer = await until(self._connected)
        self._reading = asyncio.create_task(self._read(reader))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def command(self, name: str, params: str = "") -> None:
        """Do one command of its menu."""
        assert self._writer is not None
        text = json.dumps({"command": name, "params": params, "token": "t"}).encode()
        self._writer.write(b"%d:%s," % (len(text), text))
        async with asyncio.timeout(ANSWER_S):
            answer = await self._answers.get()
        assert answer["ok"], answer

    async def event(self, kind: str) -> dict[str, Any]:
        """The next event of a kind, such as `CALL_ESTABLISHED`."""
        async with asyncio.timeout(ANSWER_S):
            while (event := await self._events.get())["type"] != kind:
                pass
        return event

    def heard(self) -> Samples:
        """What it heard in its last call; the dump grows while the call runs."""
        dump = max(self.folder.glob("dump-*-dec.wav"), default=None)
        data = dump.read_bytes() if dump is not None else b""
        samples = np.frombuffer(data[44 : len(data) // 2 * 2], "<i2").astype(np.int16)
        # a wideband call is dumped as it was decoded, Opus in stereo
        rate, channels = int.from_bytes(data[24:28], "little"), int.from_bytes(data[22:24], "little")
        return samples[:: max(rate // RATE * channels, 1)]

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        assert self._process is not None
        assert self._process.returncode is None, (self.folder / "said").read_text()
        try:
            return await asyncio.open_connection(self._address, CONTROL_PORT)
        except OSError:
            return None

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                size = int((await reader.readuntil(b":"))[:-1])
                said = json.loads((await reader.readexactly(size + 1))[:-1])
                (self._events if said.get("event") else self._answers).put_nowait(said)
